"""Snapshots: the whole state of one moment, saved under load and loaded exactly."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.archives import tar_of, zip_of
from tests.cloud import (
    TestCloud,
    configured_url,
    local_cloud,
    make_config,
    push_container,
    wait_for,
)
from tests.command_line import document, refused, run
from tests.pipelines import approval_pipeline, approval_token

pytestmark = pytest.mark.emulator_only

_WRITERS = 3


@pytest.fixture(autouse=True)
def _ours() -> None:
    if configured_url() is not None:
        pytest.skip("another endpoint has no snapshots")


class _Writers:
    """Clients that write pairs, each to S3 and then as a record, until they are stopped.

    Attributes:
        acknowledged: the pairs of each writer that were acknowledged as a whole.
    """

    def __init__(self, cloud: TestCloud) -> None:
        self._cloud = cloud
        self._stopped = threading.Event()
        self.acknowledged = [0] * _WRITERS

    def write(self, writer: int) -> None:
        s3, sagemaker = self._cloud.client("s3"), self._cloud.client("sagemaker")
        while not self._stopped.is_set():
            number = self.acknowledged[writer]
            s3.put_object(Bucket="pairs", Key=f"{writer}/{number:05}", Body=b"x")
            sagemaker.create_model_package_group(ModelPackageGroupName=f"p-{writer}-{number:05}")
            self.acknowledged[writer] = number + 1

    @contextmanager
    def running(self) -> Iterator[None]:
        with ThreadPoolExecutor(_WRITERS) as pool:
            done = [pool.submit(self.write, writer) for writer in range(_WRITERS)]
            try:
                yield
            finally:
                self._stopped.set()
                for each in done:
                    each.result()


def _pairs(cloud: TestCloud) -> tuple[set[str], set[str]]:
    """Return the objects and the records, by the same names."""
    objects = {
        entry["Key"].replace("/", "-")
        for page in cloud.client("s3").get_paginator("list_objects_v2").paginate(Bucket="pairs")
        for entry in page.get("Contents", [])
    }
    groups = cloud.client("sagemaker").get_paginator("list_model_package_groups").paginate()
    records = {
        group["ModelPackageGroupName"].removeprefix("p-")
        for page in groups
        for group in page["ModelPackageGroupSummaryList"]
    }
    return objects, records


def _count_of(names: set[str], writer: int) -> int:
    return sum(1 for name in names if name.startswith(f"{writer}-"))


def _ask(cloud: TestCloud) -> str | None:
    client = cloud.client("sagemaker-runtime")
    try:
        answer = client.invoke_endpoint(EndpointName="kept", Body=b"x", ContentType="text/csv")
    except client.exceptions.ClientError:
        return None
    return str(answer["Body"].read().decode())


def _prepare(cloud: TestCloud) -> tuple[str, str]:
    """Make an endpoint and a pipeline that waits for an approval; return its token and an image."""
    image = push_container(cloud, "kept")
    s3, sagemaker = cloud.client("s3"), cloud.client("sagemaker")
    for bucket in ("bucket", "pairs"):
        s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket="bucket", Key="source.zip", Body=zip_of({"a": "b"}))
    body = tar_of({"answer.txt": "kept"}, mode="w:gz")
    s3.put_object(Bucket="bucket", Key="model.tar.gz", Body=body)
    make_config(sagemaker, "kept", image, "s3://bucket/model.tar.gz")
    sagemaker.create_endpoint(EndpointName="kept", EndpointConfigName="kept")
    approval_pipeline(cloud, "kept", "bucket")
    token = wait_for("the approval", lambda: approval_token(cloud, "kept"))
    wait_for("the endpoint", lambda: _ask(cloud))
    return token, image


def _snapshot(cloud: TestCloud, *arguments: str) -> Any:
    return document("snapshot", *arguments, "--endpoint-url", cloud.url)


@pytest.mark.parametrize(
    "kept",
    [
        pytest.param(True, id="with a state directory"),
        pytest.param(False, id="ephemeral", marks=pytest.mark.slow),
    ],
)
def test_one_moment_is_saved_under_load_and_loaded_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    state = tmp_path / "state" if kept else None
    with local_cloud(state_dir=state, log=tmp_path / "log", snapshots=tmp_path / "saved") as cloud:
        token, image = _prepare(cloud)
        sagemaker = cloud.client("sagemaker")
        writers = _Writers(cloud)
        with writers.running():
            wait_for("each writer", lambda: min(writers.acknowledged) >= 5)
            sagemaker.create_training_job(
                TrainingJobName="trains",
                AlgorithmSpecification={"TrainingImage": image, "TrainingInputMode": "File"},
                RoleArn="arn:aws:iam::000000000000:role/service-role/sagemaker",
                OutputDataConfig={"S3OutputPath": "s3://bucket/out"},
                ResourceConfig={
                    "InstanceType": "ml.m5.large",
                    "InstanceCount": 1,
                    "VolumeSizeInGB": 1,
                },
                StoppingCondition={"MaxRuntimeInSeconds": 3600},
                HyperParameters={"seconds": "6"},
            )
            before = list(writers.acknowledged)
            now_before = cloud.now()
            saved = _snapshot(cloud, "save", "busy")
            after, now_after = list(writers.acknowledged), cloud.now()
            wait_for("more writes", lambda: min(writers.acknowledged) >= max(after) + 3)
        # Whatever came after the save is gone, and what was there is as it was.
        place = {"Bucket": "bucket", "Key": "source.zip"}
        source = cloud.client("s3").get_object(**place)["Body"].read()
        cloud.client("s3").delete_object(**place)
        pipeline = cloud.client("codepipeline")
        approved = {"status": "Approved", "summary": "before the load"}
        where = {"pipelineName": "kept", "stageName": "Approve", "actionName": "Approve"}
        pipeline.put_approval_result(**where, token=token, result=approved)
        sagemaker.delete_endpoint(EndpointName="kept")
        loaded = _snapshot(cloud, "load", "busy")

        assert saved["now"] == loaded["now"]
        assert now_before <= cloud.now()
        objects, records = _pairs(cloud)
        for writer in range(_WRITERS):
            # An object comes first; at most the last one's record was not acknowledged yet.
            count = _count_of(records, writer)
            assert before[writer] <= count <= after[writer] + 1
            assert _count_of(objects, writer) in (count, count + 1)
        assert records <= objects
        body = cloud.client("s3").get_object(**place)["Body"].read()
        assert source == body
        assert wait_for("the endpoint again", lambda: _ask(cloud)) == "kept:x"
        assert wait_for("the approval again", lambda: approval_token(cloud, "kept")) == token
        pipeline.put_approval_result(**where, token=token, result=approved)

        def status() -> bool:
            found = pipeline.list_pipeline_executions(pipelineName="kept")
            return bool(found["pipelineExecutionSummaries"][0]["status"] == "Succeeded")

        wait_for("the pipeline", status)
        job = wait_for("the job", lambda: _completed(cloud, "trains"))
        assert "Restarting" in [t["Status"] for t in job["SecondaryStatusTransitions"]]
        (listed,) = _snapshot(cloud, "list")
        assert saved == listed
        assert now_after > 0
    assert "Traceback" not in (tmp_path / "log").read_text()


def _completed(cloud: TestCloud, name: str) -> dict[str, Any] | None:
    job: dict[str, Any] = cloud.client("sagemaker").describe_training_job(TrainingJobName=name)
    return job if job["TrainingJobStatus"] == "Completed" else None


def test_a_snapshot_outlives_its_cloud_and_its_time_returns(tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    with local_cloud(speed=1.0, snapshots=saved) as cloud:
        cloud.client("ssm").put_parameter(Name="/kept", Value="1", Type="String")
        repository = {"repositoryName": "kept"}
        cloud.client("codecommit").create_repository(**repository)
        commit = _push(cloud, tmp_path)
        now = datetime.fromisoformat(_snapshot(cloud, "save", "first")["now"]).timestamp()
        cloud.advance(7200)
        cloud.client("ssm").delete_parameter(Name="/kept")
    with local_cloud(speed=1.0, snapshots=saved, state_dir=tmp_path / "state") as cloud:
        cloud.client("ssm").put_parameter(Name="/other", Value="1", Type="String")
        cloud.advance(3600)
        _snapshot(cloud, "load", "first")
        assert 0 <= cloud.now() - now < 600
        names = [p["Name"] for p in cloud.client("ssm").describe_parameters()["Parameters"]]
        assert ["/kept"] == names
        branch = {"repositoryName": "kept", "branchName": "main"}
        found = cloud.client("codecommit").get_branch(**branch)["branch"]["commitId"]
        assert commit == found


def _push(cloud: TestCloud, directory: Path) -> str:
    """Push a commit to the repository `kept`; return its id."""
    clone = directory / "clone"
    url = f"{cloud.url}/_localcloud/git/000000000000/us-east-1/kept"
    clone.mkdir()
    (clone / "a").write_text("b")
    as_somebody = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    for words in (
        ("init", "-q", "-b", "main"),
        ("add", "a"),
        (*as_somebody, "commit", "-q", "-m", "a"),
        ("push", "-q", url, "main"),
    ):
        subprocess.run(["git", *words], cwd=clone, check=True, capture_output=True)
    done = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=clone, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_what_cannot_be_used_is_one_sentence_and_changes_nothing(tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    with local_cloud(snapshots=saved, state_dir=tmp_path / "state") as cloud:
        at = ("--endpoint-url", cloud.url)
        cloud.client("ssm").put_parameter(Name="/kept", Value="1", Type="String")
        _snapshot(cloud, "save", "good")
        shutil.copytree(saved / "good", saved / "changed")
        (saved / "changed" / "snapshot.json").write_text("{")
        # A copy under another name is not what was signed.
        shutil.copytree(saved / "good", saved / "copied")
        cases = {
            "missing": "there is no snapshot 'missing'",
            "../good": "cannot be the name of a snapshot",
            "changed": "its snapshot.json cannot be read",
            "copied": "does not describe it",
        }
        for name, expected in cases.items():
            assert expected in refused(run("snapshot", "load", name, *at))
        assert "'good' already" in refused(run("snapshot", "save", "good", *at))
        assert "the limit" not in refused(run("snapshot", "save", "", *at))
        names = [p["Name"] for p in cloud.client("ssm").describe_parameters()["Parameters"]]
        assert ["/kept"] == names
        assert ["good"] == [entry["name"] for entry in _snapshot(cloud, "list")]
        assert run("snapshot", "delete", "changed", *at).returncode == 0
        assert not (saved / "changed").exists()
        left = {path.name for path in (tmp_path / "state").iterdir()}
        assert left <= {"lock", "images"} | {
            f"{name}.sqlite{suffix}"
            for name in ("state", "moto")
            for suffix in ("", "-wal", "-shm")
        }
        with (saved / "good" / "moto.sqlite").open("r+b") as file:
            file.write(b"?")
        assert "its moto.sqlite is damaged" in refused(run("snapshot", "load", "good", *at))
        names = [p["Name"] for p in cloud.client("ssm").describe_parameters()["Parameters"]]
        assert ["/kept"] == names
