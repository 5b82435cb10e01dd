"""The SageMaker Python SDK, unchanged: version 2, as the lab's course has it, and version 3."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from localcloud.core.opt_ml import is_available
from tests.clients.conftest import HERE, Client, client_of
from tests.cloud import ACCOUNT, SAGEMAKER_ROLE, TestCloud, have_role, push_container

pytestmark = [pytest.mark.emulator_only, pytest.mark.clients]

_STS = "sts.us-east-1.amazonaws.com"
_BUCKET = """SchemaVersion: "1.0"
SageMaker:
  PythonSDK:
    Modules:
      Session:
        DefaultS3Bucket: of-the-session
"""
# Without this the SDK reports its use to a bucket of AWS.
_QUIET = """SchemaVersion: "1.0"
SageMaker: {PythonSDK: {Modules: {TelemetryOptOut: true}}}
"""


def test_version_2_trains_deploys_and_predicts(target: TestCloud, tmp_path: Path) -> None:
    push_container(target, "sdk")
    target.client("s3").create_bucket(Bucket="of-the-sdk")
    sdk = client_of("sagemaker-2", target, tmp_path)
    (tmp_path / "config.yaml").write_text(_QUIET)
    text = sdk.run(
        "python",
        str(HERE / "programs" / "sagemaker_2.py"),
        IMAGE=f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/sdk:latest",
        ROLE=SAGEMAKER_ROLE,
        BUCKET="of-the-sdk",
        SAGEMAKER_USER_CONFIG_OVERRIDE=str(tmp_path / "config.yaml"),
    )
    assert [] == sdk.refused
    result = json.loads(text.splitlines()[-1])
    assert result.pop("model_data").startswith("s3://of-the-sdk/sdk-")
    assert result == {
        "status": "Completed",
        "metrics": {"accuracy": 0.75},
        "answer": "by the SDK:5.1,3.5",
        "updated": "by the SDK:1,2",
    }


@pytest.mark.skipif(not is_available(), reason="this machine gives no process a mount namespace")
@pytest.mark.parametrize("version", [2, 3])
def test_a_script_processor_runs_its_own_script(
    target: TestCloud, tmp_path: Path, version: int
) -> None:
    name = f"processing-{version}"
    push_container(target, name)
    target.client("s3").create_bucket(Bucket=name)
    sdk = client_of(f"sagemaker-{version}", target, tmp_path)
    (tmp_path / "config.yaml").write_text(_QUIET)
    text = sdk.run(
        "python",
        str(HERE / "programs" / f"sagemaker_{version}_processing.py"),
        IMAGE=f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/{name}:latest",
        ROLE=SAGEMAKER_ROLE,
        BUCKET=name,
        SCRIPT=str(HERE / "programs" / "processing_script.py"),
        SAGEMAKER_USER_CONFIG_OVERRIDE=str(tmp_path / "config.yaml"),
    )
    assert [] == sdk.refused
    assert "counted 2 rows" in text  # the SDK follows the log
    assert json.loads(text.splitlines()[-1]) == {
        "status": "Completed",
        "found": {"rows": 2, "arguments": ["--by", str(version)]},
        "failed": True,
    }


def _session(sdk: Client, *arguments: str, **variables: str) -> dict[str, str]:
    program = str(HERE / "programs" / "sagemaker_2_session.py")
    text = sdk.run("python", program, *arguments, **variables)
    found: dict[str, str] = json.loads(text.splitlines()[-1])
    return found


def test_version_2_asks_aws_itself_for_the_account(target: TestCloud, tmp_path: Path) -> None:
    """The SDK gives its client of STS an address, which wins over AWS_ENDPOINT_URL_STS too."""
    sdk = client_of("sagemaker-2", target, tmp_path)
    found = _session(sdk, AWS_ENDPOINT_URL_STS=target.url)
    assert {"bucket": "EndpointConnectionError", "role": "EndpointConnectionError"} == found
    assert {_STS} == set(sdk.refused)


def test_version_2_takes_the_default_bucket_from_its_file(
    target: TestCloud, tmp_path: Path
) -> None:
    sdk = client_of("sagemaker-2", target, tmp_path)
    (tmp_path / "config.yaml").write_text(_BUCKET)
    config = str(tmp_path / "config.yaml")
    found = _session(sdk, SAGEMAKER_USER_CONFIG_OVERRIDE=config)
    assert {"bucket": "of-the-session", "role": "EndpointConnectionError"} == found
    assert {_STS} == set(sdk.refused)  # for the role
    target.client("s3").head_bucket(Bucket="of-the-session")  # the SDK has made it


def test_version_2_follows_an_event_handler_of_its_session(
    target: TestCloud, tmp_path: Path
) -> None:
    """The caller is a role here, as it is where a notebook runs on SageMaker."""
    role = have_role(target, f"arn:aws:iam::{ACCOUNT}:role/notebooks/of-the-session", "sagemaker")
    sdk = client_of("sagemaker-2", target, tmp_path)
    keys = _assumed(target, role)
    found = _session(sdk, "by-event", **keys)
    assert {"bucket": f"sagemaker-us-east-1-{ACCOUNT}", "role": role} == found
    assert [] == sdk.refused


def test_version_2_reads_the_role_from_the_metadata_of_a_notebook(
    target: TestCloud, tmp_path: Path
) -> None:
    """The file is /opt/ml/metadata/resource-metadata.json, here in a mount of the child's own."""
    sdk = client_of("sagemaker-2", target, tmp_path)
    if sdk.attempt("unshare", "--mount", "true").returncode != 0:
        pytest.skip("a mount of its own needs root on Linux")
    (tmp_path / "role.json").write_text(json.dumps({"ExecutionRoleArn": SAGEMAKER_ROLE}))
    program = HERE / "programs" / "sagemaker_2_session.py"
    script = (
        "mount -t tmpfs none /opt && mkdir -p /opt/ml/metadata"
        f" && cp role.json /opt/ml/metadata/resource-metadata.json && exec python {program}"
    )
    text = sdk.run("unshare", "--mount", "sh", "-c", script)
    assert SAGEMAKER_ROLE == json.loads(text.splitlines()[-1])["role"]


def _assumed(cloud: TestCloud, role: str) -> dict[str, str]:
    """Let the account assume a role; return the variables that hold its keys."""
    iam, name = cloud.client("iam"), role.rpartition("/")[2]
    trust = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    account = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    trust["Statement"].append({"Effect": "Allow", "Principal": account, "Action": "sts:AssumeRole"})
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(trust))
    answer = cloud.client("sts").assume_role(RoleArn=role, RoleSessionName="notebook")
    keys = answer["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
        "AWS_SESSION_TOKEN": keys["SessionToken"],
    }


def test_version_3_trains_deploys_and_invokes(target: TestCloud, tmp_path: Path) -> None:
    """The trainer asks the policy simulator first whether the role may do what a job needs."""
    push_container(target, "sdk-3")
    target.client("s3").create_bucket(Bucket="of-sdk-3")
    sdk = client_of("sagemaker-3", target, tmp_path)
    (tmp_path / "config.yaml").write_text(_QUIET)
    text = sdk.run(
        "python",
        str(HERE / "programs" / "sagemaker_3.py"),
        IMAGE=f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/sdk-3:latest",
        ROLE=SAGEMAKER_ROLE,
        BUCKET="of-sdk-3",
        SAGEMAKER_USER_CONFIG_OVERRIDE=str(tmp_path / "config.yaml"),
    )
    assert [] == sdk.refused
    result = json.loads(text.splitlines()[-1])
    assert "Missing permissions: cloudwatch:PutMetricData" in result.pop("refused")
    assert result.pop("model_data").startswith("s3://of-sdk-3/out/by-sdk-3-")
    assert result == {
        "status": "Completed",
        "metrics": {"accuracy": 0.75},
        "roles": {
            "training": f"arn:aws:iam::{ACCOUNT}:role/SageMaker-AutoRole-Training",
            "serving": f"arn:aws:iam::{ACCOUNT}:role/SageMaker-AutoRole-Serving",
        },
        "answer": "by SDK 3:5.1,3.5",
        "endpoint": ["InService", "ml.m5.large"],
        "listed": ["by-sdk-3"],
        "left": [],
    }


_TRAIN = """
import os
from pathlib import Path
rows = Path(os.environ["SM_CHANNEL_TRAIN"], "train.csv").read_text().split()
answer = Path(os.environ["SM_MODEL_DIR"], "answer.txt")
answer.write_text(f"{len(rows)} {os.environ['SM_HP_DEPTH']}")
"""


@pytest.mark.skipif(not is_available(), reason="this machine gives no process a mount namespace")
def test_version_3_trains_by_a_script_of_its_own(target: TestCloud, tmp_path: Path) -> None:
    """The SDK wraps the script into one of its own, which has /opt/ml written in it."""
    push_container(target, "source-code")
    s3 = target.client("s3")
    s3.create_bucket(Bucket="of-source-code")
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "train.py").write_text(_TRAIN)
    sdk = client_of("sagemaker-3", target, tmp_path)
    (tmp_path / "config.yaml").write_text(_QUIET)
    text = sdk.run(
        "python",
        str(HERE / "programs" / "sagemaker_3_source_code.py"),
        IMAGE=f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/source-code:latest",
        ROLE=SAGEMAKER_ROLE,
        BUCKET="of-source-code",
        SOURCE=str(tmp_path / "source"),
        SAGEMAKER_USER_CONFIG_OVERRIDE=str(tmp_path / "config.yaml"),
    )
    assert [] == sdk.refused
    result = json.loads(text.splitlines()[-1])
    assert result["status"] == "Completed"
    bucket, _, key = result["model"].removeprefix("s3://").partition("/")
    body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        answer = archive.extractfile("answer.txt")
        assert answer is not None
        assert answer.read() == b"2 3"
