"""The AWS CLI, awslocal and the SageMaker Python SDK, unchanged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.archives import tar_of, zip_of
from tests.clients.conftest import run
from tests.cloud import (
    ACCOUNT,
    SAGEMAKER_ROLE,
    TestCloud,
    have_role,
    make_config,
    push_container,
)

pytestmark = [pytest.mark.emulator_only, pytest.mark.clients]

_TEMPLATE = {
    "Parameters": {"Name": {"Type": "String"}},
    "Resources": {
        "Group": {
            "Type": "AWS::Logs::LogGroup",
            "Properties": {"LogGroupName": {"Ref": "Name"}},
        }
    },
    "Outputs": {"Group": {"Value": {"Ref": "Group"}}},
}


def _aws(cloud: TestCloud, *arguments: str) -> str:
    return run(cloud, "aws", *arguments, AWS_ENDPOINT_URL=cloud.url)


def test_the_aws_cli_keeps_files_in_s3(target: TestCloud, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "a.csv").write_text("1,2\n")
    (tmp_path / "there" / "large").write_bytes(b"x" * 20_000_000)  # goes up in parts
    _aws(target, "s3", "mb", "s3://by-the-cli")
    _aws(target, "s3", "sync", str(tmp_path / "there"), "s3://by-the-cli/data/")
    listed = _aws(target, "s3", "ls", "--recursive", "s3://by-the-cli")
    assert [line.split()[-2:] for line in listed.splitlines()] == [
        ["4", "data/a.csv"],
        ["20000000", "data/large"],
    ]
    _aws(target, "s3", "cp", "s3://by-the-cli/data/large", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == b"x" * 20_000_000
    _aws(target, "s3", "rb", "--force", "s3://by-the-cli")


def test_the_aws_cli_deploys_a_stack(target: TestCloud, tmp_path: Path) -> None:
    template = tmp_path / "template.json"
    template.write_text(json.dumps(_TEMPLATE))
    deploy = ("cloudformation", "deploy", "--stack-name", "by-the-cli")
    _aws(
        target,
        *deploy,
        *("--template-file", str(template)),
        *("--parameter-overrides", "Name=/by/the/cli"),
    )
    stacks = json.loads(_aws(target, "cloudformation", "describe-stacks"))["Stacks"]
    (stack,) = [s for s in stacks if s["StackName"] == "by-the-cli"]
    assert (stack["StackStatus"], stack["Outputs"][0]["OutputValue"]) == (
        "CREATE_COMPLETE",
        "/by/the/cli",
    )
    again = _aws(
        target,
        *deploy,
        *("--template-file", str(template), "--no-fail-on-empty-changeset"),
    )
    assert "No changes to deploy" in again
    _aws(target, "cloudformation", "delete-stack", "--stack-name", "by-the-cli")
    _aws(target, "cloudformation", "wait", "stack-delete-complete", "--stack-name", "by-the-cli")


def test_the_aws_cli_serves_and_asks_a_model(target: TestCloud, tmp_path: Path) -> None:
    image = push_container(target, "by-the-cli")
    s3 = target.client("s3")
    s3.create_bucket(Bucket="models-of-the-cli")
    body = tar_of({"answer.txt": "cli"}, mode="w:gz")
    s3.put_object(Bucket="models-of-the-cli", Key="model.tar.gz", Body=body)
    make_config(
        target.client("sagemaker"), "by-the-cli", image, "s3://models-of-the-cli/model.tar.gz"
    )
    named = ("--endpoint-name", "by-the-cli")
    config = ("--endpoint-config-name", "by-the-cli")
    _aws(target, "sagemaker", "create-endpoint", *named, *config)
    _aws(target, "sagemaker", "wait", "endpoint-in-service", *named)
    answer = tmp_path / "answer"
    _aws(
        target,
        *("sagemaker-runtime", "invoke-endpoint", *named, "--content-type", "text/csv"),
        *("--body", "5.1,3.5", str(answer)),
    )
    assert answer.read_text() == "cli:5.1,3.5"
    group = ("--log-group-name", "/aws/sagemaker/Endpoints/by-the-cli")
    assert "serving" in _aws(target, "logs", "filter-log-events", *group)
    _aws(target, "sagemaker", "delete-endpoint", *named)


def test_awslocal_finds_the_local_cloud_by_its_environment(target: TestCloud) -> None:
    host = target.url.partition("://")[2]
    text = run(target, "awslocal", "sts", "get-caller-identity", LOCALSTACK_HOST=host)
    assert json.loads(text)["Account"] == ACCOUNT
    run(target, "awslocal", "s3", "mb", "s3://by-awslocal", AWS_ENDPOINT_URL=target.url)
    text = run(target, "awslocal", "s3", "ls", AWS_ENDPOINT_URL=target.url)
    assert "by-awslocal" in text
    for arguments in (("codepipeline", "list-pipelines"), ("sagemaker", "list-endpoints")):
        json.loads(run(target, "awslocal", *arguments, AWS_ENDPOINT_URL=target.url))


def test_awslocal_watches_and_approves_a_pipeline(target: TestCloud, tmp_path: Path) -> None:
    """The lab's own way of watching: the stage's token, the result, the end."""
    s3 = target.client("s3")
    s3.create_bucket(Bucket="pipeline-of-awslocal")
    s3.put_bucket_versioning(
        Bucket="pipeline-of-awslocal", VersioningConfiguration={"Status": "Enabled"}
    )
    s3.put_object(Bucket="pipeline-of-awslocal", Key="source.zip", Body=zip_of({"a": "b"}))
    kind = {"owner": "AWS", "version": "1"}
    pipeline = {
        "name": "by-awslocal",
        "roleArn": have_role(target, f"arn:aws:iam::{ACCOUNT}:role/pipeline", "codepipeline"),
        "artifactStore": {"type": "S3", "location": "pipeline-of-awslocal"},
        "stages": [
            {
                "name": "Source",
                "actions": [
                    {
                        "name": "Object",
                        "actionTypeId": {**kind, "category": "Source", "provider": "S3"},
                        "configuration": {
                            "S3Bucket": "pipeline-of-awslocal",
                            "S3ObjectKey": "source.zip",
                            "PollForSourceChanges": "false",
                        },
                        "outputArtifacts": [{"name": "Source"}],
                    }
                ],
            },
            {
                "name": "DeployApproval",
                "actions": [
                    {
                        "name": "ApproveDeploy",
                        "actionTypeId": {**kind, "category": "Approval", "provider": "Manual"},
                    }
                ],
            },
        ],
    }
    path = tmp_path / "pipeline.json"
    path.write_text(json.dumps({"pipeline": pipeline}))

    def awslocal(*arguments: str) -> str:
        return run(target, "awslocal", "codepipeline", *arguments, AWS_ENDPOINT_URL=target.url)

    awslocal("create-pipeline", "--cli-input-json", f"file://{path}")
    query = (
        "stageStates[?stageName=='DeployApproval'].actionStates[] | "
        "[?actionName=='ApproveDeploy'].latestExecution.token | [0]"
    )
    state = ("get-pipeline-state", "--name", "by-awslocal", "--output", "text", "--query")
    token = "None"
    while token == "None":
        token = awslocal(*state, query).strip()
    awslocal(
        *("put-approval-result", "--pipeline-name", "by-awslocal"),
        *("--stage-name", "DeployApproval", "--action-name", "ApproveDeploy"),
        *("--token", token, "--result", "summary=ok,status=Approved"),
    )
    status = "InProgress"
    while status == "InProgress":
        status = awslocal(*state, "stageStates[-1].latestExecution.status").strip()
    assert status == "Succeeded"


def test_the_sagemaker_sdk_trains_deploys_and_predicts(target: TestCloud) -> None:
    push_container(target, "sdk")
    target.client("s3").create_bucket(Bucket="of-the-sdk")
    text = run(
        target,
        "python",
        str(Path(__file__).parent / "sdk_lab.py"),
        AWS_ENDPOINT_URL=target.url,
        IMAGE=f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/sdk:latest",
        ROLE=SAGEMAKER_ROLE,
        BUCKET="of-the-sdk",
    )
    result = json.loads(text.splitlines()[-1])
    assert result.pop("model_data").startswith("s3://of-the-sdk/sdk-")
    assert result == {
        "status": "Completed",
        "metrics": {"accuracy": 0.75},
        "answer": "by the SDK:5.1,3.5",
        "updated": "by the SDK:1,2",
    }
