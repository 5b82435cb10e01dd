"""The SageMaker Python SDK, unchanged: version 2, as the lab's course has it, and version 3."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

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
