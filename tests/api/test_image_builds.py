"""Images with packages of their own: built over HTTP, and run by every kind of container."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlencode

import pytest

from localcloud.core.internal_client import RequestFailed, post, post_lines
from tests.archives import tar_of
from tests.cloud import CONTAINER, SAGEMAKER_ROLE, TestCloud, make_config, wait_for
from tests.images import wheel
from tests.sagemaker import ended, prepare, remove_endpoints, training

pytestmark = pytest.mark.emulator_only

NAME = "image-builds"
PACKAGE, CONTENT = wheel("gamma_lab", "3.0", "VALUE = 'packages are there'\ndef main(): pass\n")
DOCKERFILE = f"""ARG VERSION=3.11
FROM python:$VERSION
WORKDIR /opt/program
COPY . .
RUN apt-get update && pip install --no-index ./{PACKAGE}
ENV HOST=0.0.0.0
ENTRYPOINT ["python3.12", "main.py"]
"""
# As the container of the other tests, with a package that only the image has.
PROGRAM = CONTAINER.replace(
    "def train():", "import gamma_lab\nprint(gamma_lab.VALUE, flush=True)\n\ndef train():"
)


@pytest.fixture(scope="module")
def repository(cloud: TestCloud) -> str:
    prepare(cloud, NAME)
    return NAME


def address(cloud: TestCloud, route: str = "", **query: str) -> str:
    return f"{cloud.url}/_localcloud/images{route}?{urlencode(query)}"


def test_an_image_trains_processes_and_serves_with_its_packages(
    cloud: TestCloud, repository: str
) -> None:
    lines: list[str] = []
    body = tar_of({"Dockerfile": DOCKERFILE, "main.py": PROGRAM, PACKAGE: CONTENT})
    pushed = post_lines(address(cloud, repository=repository, stream="1"), body, lines.append)
    assert any("gamma_lab-3.0" in line for line in lines) or any("cache" in x for x in lines)
    assert [note.partition(":")[0] for note in pushed["notes"]] == [
        "FROM python",
        "RUN apt-get update",
    ]
    sagemaker, uri = cloud.client("sagemaker"), pushed["uri"]
    sagemaker.create_training_job(**training(uri, NAME, "packages"))
    job = ended(
        lambda: sagemaker.describe_training_job(TrainingJobName="packages"), "TrainingJobStatus"
    )
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    sagemaker.create_processing_job(
        ProcessingJobName="packages",
        AppSpecification={
            "ImageUri": uri,
            "ContainerEntrypoint": ["python3", "-c", "import gamma_lab; print(gamma_lab.VALUE)"],
        },
        ProcessingResources={
            "ClusterConfig": {
                "InstanceType": "ml.m5.large",
                "InstanceCount": 1,
                "VolumeSizeInGB": 1,
            }
        },
        RoleArn=SAGEMAKER_ROLE,
    )
    processing = ended(
        lambda: sagemaker.describe_processing_job(ProcessingJobName="packages"),
        "ProcessingJobStatus",
    )
    assert processing["ProcessingJobStatus"] == "Completed", processing.get("FailureReason")
    make_config(sagemaker, "packages", uri, f"s3://{NAME}/one/model.tar.gz")
    sagemaker.create_endpoint(EndpointName="packages", EndpointConfigName="packages")
    endpoint = ended_endpoint(sagemaker)
    assert endpoint["EndpointStatus"] == "InService", endpoint.get("FailureReason")
    wait_for("the line of the server", lambda: said(cloud) or None)
    remove_endpoints(sagemaker)


def ended_endpoint(sagemaker: Any) -> Any:
    def probe() -> Any:
        found = sagemaker.describe_endpoint(EndpointName="packages")
        return None if found["EndpointStatus"] == "Creating" else found

    return wait_for("an endpoint", probe)


def said(cloud: TestCloud) -> bool:
    logs, group = cloud.client("logs"), "/aws/sagemaker/Endpoints/packages"
    try:
        events = logs.filter_log_events(logGroupName=group)["events"]
    except logs.exceptions.ResourceNotFoundException:
        return False
    return any(event["message"] == "packages are there" for event in events)


def test_an_image_is_built_first_and_registered_by_its_digest(
    cloud: TestCloud, repository: str
) -> None:
    body = tar_of({"Containerfile": "ARG A\nFROM x\nARG A\nENV A=$A\nCOPY . /x\n"})
    lines: list[str] = []
    built = post_lines(
        address(cloud, "/build", file="Containerfile", arg="A=1=2", stream="1"), body, lines.append
    )
    assert lines == []
    query = {"repository": repository, "tag": "built", "digest": built["digest"]}
    assert built["digest"].encode() in post(address(cloud, **query), b"")
    found = cloud.client("ecr").describe_images(
        repositoryName=repository, imageIds=[{"imageTag": "built"}]
    )
    assert found["imageDetails"][0]["imageDigest"] == built["digest"]


@pytest.mark.parametrize(
    ("query", "dockerfile", "status", "why"),
    [
        ({"repository": "nosuch"}, "FROM x", 404, "RepositoryNotFoundException"),
        ({"repository": "A B"}, "FROM x", 400, "bad repository 'A B'"),
        ({"repository": NAME, "digest": "sha256:1"}, "FROM x", 404, "is not a digest"),
        ({"repository": NAME, "digest": "sha256:" + "0" * 64}, "FROM x", 404, "is not on this"),
        ({"repository": NAME, "target": "b"}, "FROM x AS a", 400, "no stage b; its stages are: a"),
        ({"repository": NAME, "file": "../x"}, "FROM x", 400, "holds no ../x"),
        (
            {"repository": NAME},
            "FROM x\nRUN pip install --no-index nothing-of-nobody",
            400,
            "pip ended with status 1: .*nothing-of-nobody",
        ),
    ],
)
def test_a_build_is_refused_with_a_reason(
    cloud: TestCloud,
    repository: str,
    query: dict[str, str],
    dockerfile: str,
    status: int,
    why: str,
) -> None:
    body = tar_of({"Dockerfile": dockerfile})
    with pytest.raises(RequestFailed, match=why):
        post(address(cloud, **query), body)
    with pytest.raises(RequestFailed, match=why):
        post_lines(address(cloud, **query, stream="1"), body, lambda line: None)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(address(cloud, **query), body, timeout=60)
    with refused.value as answer:
        assert answer.code == status
