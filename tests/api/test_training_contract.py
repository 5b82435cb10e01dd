"""Training jobs: what a container finds, what becomes of what it leaves, and how it is ended."""

from __future__ import annotations

import json
import tarfile
from io import BytesIO
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.core.opt_ml import is_available
from tests.cloud import TestCloud, wait_for
from tests.sagemaker import ended, prepare, training

BUCKET = "contract-tests"
GUIDE = "https://docs.aws.amazon.com/sagemaker/latest/dg"
API = "https://docs.aws.amazon.com/sagemaker/latest/APIReference"


@pytest.fixture(scope="module")
def image(cloud: TestCloud) -> str:
    made = prepare(cloud, BUCKET)
    cloud.client("s3").put_object(Bucket=BUCKET, Key="data/a/train.csv", Body=b"a,1\n")
    return made


def archived(cloud: TestCloud, uri: str, name: str) -> bytes:
    """Return a file of a tar archive in S3."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    body = cloud.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=BytesIO(body)) as archive:
        member = archive.extractfile(name)
        assert member is not None
        return member.read()


def job(sagemaker: Any, name: str) -> dict[str, Any]:
    return dict(sagemaker.describe_training_job(TrainingJobName=name))


@pytest.mark.aws_documented(f"{GUIDE}/your-algorithms-training-algo-running-container.html")
def test_a_container_finds_its_configuration_channels_and_names(
    cloud: TestCloud, image: str
) -> None:
    sagemaker = cloud.client("sagemaker")
    channel = {
        "ChannelName": "train",
        "ContentType": "text/csv",
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/data/"}},
    }
    request = training(image, BUCKET, "contract", InputDataConfig=[channel])
    made = sagemaker.create_training_job(**request, HyperParameters={"depth": "3"})
    done = ended(lambda: job(sagemaker, "contract"), "TrainingJobStatus")
    assert done["TrainingJobStatus"] == "Completed", done
    output = f"s3://{BUCKET}/out/contract/output/output.tar.gz"
    found = json.loads(archived(cloud, output, "contract.json"))
    assert found == {
        "hyperparameters": {"depth": "3"},
        "inputdataconfig": {
            "train": {
                "ContentType": "text/csv",
                "TrainingInputMode": "File",
                "S3DistributionType": "FullyReplicated",
                "RecordWrapperType": "None",
            }
        },
        "resourceconfig": {
            "current_host": "algo-1",
            "current_instance_type": "ml.m5.large",
            "hosts": ["algo-1"],
            "network_interface_name": "lo",
        },
        "environment": {
            "TRAINING_JOB_NAME": "contract",
            "TRAINING_JOB_ARN": made["TrainingJobArn"],
        },
    }
    assert json.loads(archived(cloud, output, "files.json")) == ["train.csv"]


@pytest.mark.aws_documented(f"{API}/API_StoppingCondition.html")
def test_a_job_that_takes_too_long_is_stopped_and_says_so(cloud: TestCloud, image: str) -> None:
    sagemaker = cloud.client("sagemaker")
    limit = {"StoppingCondition": {"MaxRuntimeInSeconds": 1}}
    request = training(image, BUCKET, "too-long", HyperParameters={"seconds": "50"}, **limit)
    sagemaker.create_training_job(**request)
    done = ended(lambda: job(sagemaker, "too-long"), "TrainingJobStatus")
    assert (done["TrainingJobStatus"], done["SecondaryStatus"]) == (
        "Stopped",
        "MaxRuntimeExceeded",
    )
    assert "ModelArtifacts" not in done


@pytest.mark.aws_documented(f"{API}/API_StopTrainingJob.html")
def test_a_job_that_is_stopped_may_save_its_model_before_it_ends(
    cloud: TestCloud, image: str
) -> None:
    sagemaker, logs = cloud.client("sagemaker"), cloud.client("logs")
    parameters = {"seconds": "50", "save": "so far"}
    sagemaker.create_training_job(**training(image, BUCKET, "saves", HyperParameters=parameters))

    def begun() -> bool:
        try:
            found = logs.filter_log_events(logGroupName="/aws/sagemaker/TrainingJobs")
        except logs.exceptions.ResourceNotFoundException:
            return False
        return "training saves" in [event["message"] for event in found["events"]]

    wait_for("the container's first line", begun, 20)
    sagemaker.stop_training_job(TrainingJobName="saves")
    done = ended(lambda: job(sagemaker, "saves"), "TrainingJobStatus")
    assert (done["TrainingJobStatus"], done["SecondaryStatus"]) == ("Stopped", "Stopped")
    uri = done["ModelArtifacts"]["S3ModelArtifacts"]
    assert archived(cloud, uri, "answer.txt") == b"so far"


@pytest.mark.botocore_modelled
@pytest.mark.parametrize(
    ("more", "member"),
    [
        ({"HyperParameters": {str(n): "" for n in range(101)}}, "hyperParameters"),
        ({"HyperParameters": {"k" * 257: ""}}, "hyperParameters"),
        ({"HyperParameters": {"k": "v" * 2501}}, "hyperParameters"),
        ({"TrainingJobName": "n" * 64}, "trainingJobName"),
        ({"TrainingJobName": "name-"}, "trainingJobName"),
    ],
)
def test_names_and_hyperparameters_have_their_limits(
    cloud: TestCloud, image: str, more: dict[str, Any], member: str
) -> None:
    with pytest.raises(ClientError, match=f"at '{member}") as caught:
        cloud.client("sagemaker").create_training_job(**training(image, BUCKET, "limits") | more)
    assert caught.value.response["Error"]["Code"] == "ValidationException"


@pytest.mark.botocore_modelled
def test_what_just_keeps_the_limits_is_taken(cloud: TestCloud, image: str) -> None:
    sagemaker = cloud.client("sagemaker")
    parameters = {f"{n:02d}".ljust(256, "k"): "v" * 2500 for n in range(100)}
    name = "n" * 63
    sagemaker.create_training_job(**training(image, BUCKET, name, HyperParameters=parameters))
    done = ended(lambda: job(sagemaker, name), "TrainingJobStatus")
    assert done["TrainingJobStatus"] == "Completed"
    assert done["HyperParameters"] == parameters


@pytest.mark.emulator_only
@pytest.mark.parametrize(
    "member", ["AlgorithmSpecification", "ResourceConfig", "StoppingCondition"]
)
def test_a_job_without_what_each_job_here_needs_is_refused(
    cloud: TestCloud, image: str, member: str
) -> None:
    request = training(image, BUCKET, "lacks")
    del request[member]
    with pytest.raises(ClientError, match=f"{member} must be given") as caught:
        cloud.client("sagemaker").create_training_job(**request)
    assert caught.value.response["Error"]["Code"] == "ValidationException"


@pytest.mark.aws_documented(f"{API}/API_S3DataSource.html")
@pytest.mark.parametrize(
    ("uri", "files"),
    [
        ("tree", ["deep/b.csv", "tree-2/c.csv", "a.csv"]),  # a folder without a slash is a folder
        ("tree/", ["deep/b.csv", "a.csv"]),
        ("tree/deep", ["b.csv"]),
        ("tree/a.csv", ["a.csv"]),  # one object
        ("tr", ["tree-2/c.csv", "tree/a.csv", "tree/deep/b.csv"]),  # a part of a name
        ("", ["tree-2/c.csv", "tree/a.csv", "tree/deep/b.csv"]),
    ],
)
def test_a_channel_holds_what_is_below_its_prefix(
    cloud: TestCloud, image: str, uri: str, files: list[str]
) -> None:
    s3, sagemaker = cloud.client("s3"), cloud.client("sagemaker")
    bucket = "contract-prefixes"
    s3.create_bucket(Bucket=bucket)
    for key in ("tree/a.csv", "tree/deep/b.csv", "tree-2/c.csv"):
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    name = f"prefix-{uri.replace('/', '-').replace('.', '-')}-x"
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/{uri}"}
    channel = {"ChannelName": "train", "DataSource": {"S3DataSource": source}}
    request = training(image, BUCKET, name, InputDataConfig=[channel])
    listing = (
        "cd /opt/ml/input/data/train && find . -type f | LC_ALL=C sort > /opt/ml/model/answer.txt"
    )
    request["AlgorithmSpecification"] |= {"ContainerEntrypoint": ["/bin/sh", "-c", listing]}
    sagemaker.create_training_job(**request)
    done = ended(lambda: job(sagemaker, name), "TrainingJobStatus")
    assert done["TrainingJobStatus"] == "Completed", done
    found = archived(cloud, done["ModelArtifacts"]["S3ModelArtifacts"], "answer.txt").decode()
    assert found.split() == sorted(f"./{file}" for file in files)


_SCRIPT = """
import os, pathlib, sys
answer = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "model", "answer.txt")
answer.write_text(" ".join(sys.argv[1:]))
"""


@pytest.mark.aws_documented(f"{GUIDE}/your-algorithms-training-algo-dockerfile.html")
@pytest.mark.parametrize(
    ("given", "ran"),
    [
        ({"ContainerEntrypoint": ["python3", "/opt/ml/input/data/code/run.py"]}, ""),
        (
            {
                "ContainerEntrypoint": ["/bin/sh", "-c"],
                "ContainerArguments": ["cd /opt/ml/input/data/code && exec python3 run.py a 'b c'"],
            },
            "a b c",
        ),
        (
            {
                "ContainerEntrypoint": ["python3", "/opt/ml/input/data/code/run.py", "first"],
                "ContainerArguments": ["/opt/mlflow", "x/opt/ml", ""],
            },
            "first /opt/mlflow x/opt/ml ",
        ),
    ],
)
def test_an_entrypoint_from_outside_runs_in_place_of_the_images_own(
    cloud: TestCloud, image: str, given: dict[str, Any], ran: str
) -> None:
    cloud.client("s3").put_object(Bucket=BUCKET, Key="code/run.py", Body=_SCRIPT.encode())
    sagemaker, name = cloud.client("sagemaker"), f"entrypoint-{len(ran)}"
    uri = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/code/"}
    channel = {"ChannelName": "code", "DataSource": {"S3DataSource": uri}}
    request = training(image, BUCKET, name, InputDataConfig=[channel])
    request["AlgorithmSpecification"] |= given
    sagemaker.create_training_job(**request)
    done = ended(lambda: job(sagemaker, name), "TrainingJobStatus")
    assert done["TrainingJobStatus"] == "Completed", done
    assert given.items() <= done["AlgorithmSpecification"].items()
    model = done["ModelArtifacts"]["S3ModelArtifacts"]
    assert archived(cloud, model, "answer.txt").decode() == ran


_HARD_CODED = """
import json
with open("/opt/ml/input/config/resourceconfig.json") as file:
    hosts = json.load(file)["hosts"]
with open("/opt/ml/model/answer.txt", "w") as file:
    file.write(hosts[0])
"""


@pytest.mark.skipif(not is_available(), reason="this machine gives no process a mount namespace")
@pytest.mark.aws_documented(f"{GUIDE}/your-algorithms-training-algo-running-container.html")
def test_a_program_may_have_opt_ml_written_in_it(cloud: TestCloud, image: str) -> None:
    cloud.client("s3").put_object(Bucket=BUCKET, Key="hard/run.py", Body=_HARD_CODED.encode())
    sagemaker = cloud.client("sagemaker")
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/hard/"}
    channel = {"ChannelName": "code", "DataSource": {"S3DataSource": source}}
    request = training(image, BUCKET, "hard-coded", InputDataConfig=[channel])
    entrypoint = ["python3", "/opt/ml/input/data/code/run.py"]
    request["AlgorithmSpecification"] |= {"ContainerEntrypoint": entrypoint}
    sagemaker.create_training_job(**request)
    done = ended(lambda: job(sagemaker, "hard-coded"), "TrainingJobStatus")
    assert done["TrainingJobStatus"] == "Completed", done
    model = done["ModelArtifacts"]["S3ModelArtifacts"]
    assert archived(cloud, model, "answer.txt") == b"algo-1"


@pytest.mark.aws_documented(f"{GUIDE}/your-algorithms-training-algo-dockerfile.html")
def test_arguments_alone_take_the_place_of_train(cloud: TestCloud, image: str) -> None:
    """The tests' container serves when it is not told to train, and fails without a port."""
    sagemaker = cloud.client("sagemaker")
    request = training(image, BUCKET, "arguments")
    request["AlgorithmSpecification"] |= {"ContainerArguments": ["serve"]}
    sagemaker.create_training_job(**request)
    done = ended(lambda: job(sagemaker, "arguments"), "TrainingJobStatus")
    assert done["TrainingJobStatus"] == "Failed"
    assert "SAGEMAKER_BIND_TO_PORT" in done["FailureReason"]


@pytest.mark.aws_documented(f"{GUIDE}/your-algorithms-training-algo-dockerfile.html")
def test_an_entrypoint_that_is_not_there_fails_the_job(cloud: TestCloud, image: str) -> None:
    sagemaker = cloud.client("sagemaker")
    request = training(image, BUCKET, "no-entrypoint")
    request["AlgorithmSpecification"] |= {"ContainerEntrypoint": ["/no/such/program"]}
    sagemaker.create_training_job(**request)
    done = ended(lambda: job(sagemaker, "no-entrypoint"), "TrainingJobStatus")
    assert done["TrainingJobStatus"] == "Failed"
    assert "/no/such/program" in done["FailureReason"]


@pytest.mark.emulator_only
def test_output_without_compression_is_refused_by_name(cloud: TestCloud, image: str) -> None:
    request = training(image, BUCKET, "uncompressed")
    request["OutputDataConfig"] |= {"CompressionType": "NONE"}
    with pytest.raises(ClientError, match=r"OutputDataConfig\.CompressionType NONE"):
        cloud.client("sagemaker").create_training_job(**request)
