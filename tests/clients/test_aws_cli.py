"""The AWS CLI, versions 1 and 2, unchanged.

Version 1 is PyPI's and finds the cloud by AWS_ENDPOINT_URL. Version 2 is the one on PATH, such as
Debian's, and gets the address as an option, which every version reads.
"""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.archives import tar_of, zip_of
from tests.clients.conftest import Client
from tests.clients.pipelines import approved_pipeline
from tests.clients.versions import aws_cli_2
from tests.cloud import (
    ACCOUNT,
    SAGEMAKER_ROLE,
    have_role,
    make_config,
    push_container,
    trust_of,
)

pytestmark = [pytest.mark.emulator_only, pytest.mark.clients]

# The least version 2 that reads AWS_ENDPOINT_URL.
_READS_THE_VARIABLE = (2, 13)
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
_INNER = """Resources:
  Group: {Type: "AWS::Logs::LogGroup"}
Outputs:
  Name: {Value: !Ref Group}
"""
_OUTER = """Resources:
  Inner: {Type: "AWS::CloudFormation::Stack", Properties: {TemplateURL: inner.yaml}}
Outputs:
  Name: {Value: !GetAtt Inner.Outputs.Name}
"""


@dataclass(frozen=True, slots=True)
class Cli:
    """One AWS CLI; `name` tells its buckets and stacks from the other's."""

    client: Client
    name: str
    path: str
    options: tuple[str, ...] = ()

    def __call__(self, *arguments: str) -> str:
        """Run a command; return what it printed."""
        return self.client.run(self.path, *self.options, *arguments)

    def json(self, *arguments: str) -> dict[str, object]:
        """Run a command; return its JSON."""
        parsed: dict[str, object] = json.loads(self(*arguments, "--output", "json"))
        return parsed


def _version_2(client: Client) -> tuple[str, tuple[int, ...]]:
    found = aws_cli_2()
    if found is None:
        pytest.skip("no AWS CLI 2 is on PATH (Debian has one: apt-get install awscli)")
    path, version = found
    return path, tuple(int(n) for n in version.split(".")[:2])


@pytest.fixture(params=["v1", "v2"])
def aws(request: pytest.FixtureRequest, commands: Client) -> Cli:
    """Each AWS CLI as its users run it."""
    if request.param == "v1":
        return Cli(commands, "cli-v1", "aws")
    path, _ = _version_2(commands)
    url = commands.cloud.url
    without = {k: v for k, v in commands.variables.items() if k != "AWS_ENDPOINT_URL"}
    return Cli(replace(commands, variables=without), "cli-v2", path, ("--endpoint-url", url))


def test_s3_keeps_files(aws: Cli, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    (there / "a.csv").write_text("1,2\n")
    (there / "ü b+c.csv").write_text("3,4\n")
    (there / "large").write_bytes(b"x" * 20_000_000)  # goes up in parts
    bucket = f"s3://files-of-{aws.name}"
    aws("s3", "mb", bucket)
    aws("s3", "sync", str(there), f"{bucket}/data/")
    listed = aws("s3", "ls", "--recursive", bucket)
    assert [line.split(maxsplit=2)[-1] for line in listed.splitlines()] == [
        "4 data/a.csv",
        "20000000 data/large",
        "4 data/ü b+c.csv",
    ]
    aws("s3", "cp", f"{bucket}/data/large", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == b"x" * 20_000_000
    assert "" == aws("s3", "sync", str(there), f"{bucket}/data/")  # nothing is new
    (there / "a.csv").unlink()
    assert "delete:" in aws("s3", "sync", "--delete", str(there), f"{bucket}/data/")
    aws("s3", "cp", f"{bucket}/data/large", f"{bucket}/copies/large", "--metadata", "a=b")
    aws("s3", "mv", f"{bucket}/data/ü b+c.csv", f"{bucket}/moved/ü b+c.csv")
    aws("s3", "sync", bucket, str(tmp_path / "all"))
    found = sorted(p.relative_to(tmp_path / "all").as_posix() for p in tmp_path.glob("all/*/*"))
    assert ["copies/large", "data/large", "moved/ü b+c.csv"] == found
    assert "3,4\n" == aws("s3", "cp", f"{bucket}/moved/ü b+c.csv", "-")
    url = aws("s3", "presign", f"{bucket}/moved/ü b+c.csv").strip()
    with urllib.request.urlopen(url) as answer:
        assert b"3,4\n" == answer.read()
    assert "Total Objects: 3" in aws("s3", "ls", "--recursive", "--summarize", bucket)
    aws("s3", "rm", "--recursive", bucket)
    aws("s3", "rb", bucket)
    aws("s3api", "wait", "bucket-not-exists", "--bucket", bucket.removeprefix("s3://"))


def test_an_error_has_its_code_and_the_exit_status_of_the_command(aws: Cli) -> None:
    path = ("--bucket", f"nothing-of-{aws.name}", "--key", "k", "out")
    answer = aws.client.attempt(aws.path, *aws.options, "s3api", "get-object", *path)
    assert "An error occurred (NoSuchBucket) when calling the GetObject operation" in answer.stderr
    named = ("--endpoint-name", "nothing")
    answer = aws.client.attempt(aws.path, *aws.options, "sagemaker", "describe-endpoint", *named)
    assert "(ValidationException) when calling the DescribeEndpoint operation" in answer.stderr
    assert answer.returncode in (254, 255)  # 254 for an error of the service, since version 2


def test_cloudformation_deploys_a_template(aws: Cli, tmp_path: Path) -> None:
    template = tmp_path / "template.json"
    template.write_text(json.dumps(_TEMPLATE))
    named = ("--stack-name", aws.name)
    deploy = ("cloudformation", "deploy", *named, "--template-file", str(template))
    tagged = (*deploy, "--tags", "team=ml")
    aws(*tagged, "--parameter-overrides", f"Name=/by/{aws.name}")
    query = "Stacks[0].[StackStatus,Outputs[0].OutputValue,Tags[0].Value]"
    shown = aws("cloudformation", "describe-stacks", *named, "--query", query, "--output", "text")
    assert ["CREATE_COMPLETE", f"/by/{aws.name}", "ml"] == shown.split()
    again = aws(*tagged, "--no-fail-on-empty-changeset")
    assert "No changes to deploy" in again
    aws("cloudformation", "delete-stack", *named)
    aws("cloudformation", "wait", "stack-delete-complete", *named)


def test_cloudformation_packages_a_nested_stack(commands: Client, tmp_path: Path) -> None:
    """Only by AWS_ENDPOINT_URL: the command's own client of S3 does not read `--endpoint-url`."""
    (tmp_path / "inner.yaml").write_text(_INNER)
    template = tmp_path / "outer.yaml"
    template.write_text(_OUTER)
    aws = Cli(commands, "packaged", "aws")
    aws("s3", "mb", "s3://packages-of-cli")
    packaged = str(tmp_path / "packaged.yaml")
    files = ("--template-file", str(template), "--output-template-file", packaged)
    aws("cloudformation", "package", *files, "--s3-bucket", "packages-of-cli")
    named = ("--stack-name", aws.name)
    aws("cloudformation", "deploy", *named, "--template-file", packaged)
    query = ("--query", "Stacks[0].Outputs[0].OutputValue", "--output", "text")
    group = aws("cloudformation", "describe-stacks", *named, *query).strip()
    found = aws("logs", "describe-log-groups", "--log-group-name-prefix", group)
    assert len(json.loads(found)["logGroups"]) == 1
    aws("cloudformation", "delete-stack", *named)


def test_lambda_is_called_and_its_log_is_read(aws: Cli, tmp_path: Path) -> None:
    code = tmp_path / "code.zip"
    source = "def handler(event, context):\n    print('said', event['word'])\n    return event\n"
    code.write_bytes(zip_of({"main.py": source}))
    role = have_role(aws.client.cloud, f"arn:aws:iam::{ACCOUNT}:role/{aws.name}-fn", "lambda")
    named = ("--function-name", aws.name)
    aws(
        *("lambda", "create-function", *named, "--runtime", "python3.11", "--role", role),
        *("--handler", "main.handler", "--zip-file", f"fileb://{code}"),
    )
    aws("lambda", "wait", "function-active-v2", *named)
    payload = tmp_path / "payload"
    payload.write_text('{"word": "loudly"}')
    out = tmp_path / "out"
    aws("lambda", "invoke", *named, "--payload", f"fileb://{payload}", str(out))
    assert {"word": "loudly"} == json.loads(out.read_text())
    assert "said loudly" in _log_of(aws, f"/aws/lambda/{aws.name}", "said")
    report = _log_of(aws, f"/aws/lambda/{aws.name}", "REPORT")
    assert "REPORT RequestId:" in report
    assert "said" not in report
    aws("lambda", "delete-function", *named)


def test_sagemaker_trains_serves_and_answers(aws: Cli, tmp_path: Path) -> None:
    cloud, bucket = aws.client.cloud, f"models-of-{aws.name}"
    image = push_container(cloud, aws.name)
    aws("s3", "mb", f"s3://{bucket}")
    body = tmp_path / "model.tar.gz"
    body.write_bytes(tar_of({"answer.txt": "cli"}, mode="w:gz"))
    aws("s3", "cp", str(body), f"s3://{bucket}/model.tar.gz")
    job = ("--training-job-name", aws.name)
    aws(
        *("sagemaker", "create-training-job", *job, "--role-arn", SAGEMAKER_ROLE),
        *("--algorithm-specification", f"TrainingImage={image},TrainingInputMode=File"),
        *("--output-data-config", f"S3OutputPath=s3://{bucket}/out"),
        *("--resource-config", "InstanceType=ml.m5.large,InstanceCount=1,VolumeSizeInGB=1"),
        *("--stopping-condition", "MaxRuntimeInSeconds=600"),
    )
    aws("sagemaker", "wait", "training-job-completed-or-stopped", *job)
    query = ("--query", "TrainingJobStatus", "--output", "text")
    assert "Completed\n" == aws("sagemaker", "describe-training-job", *job, *query)
    make_config(cloud.client("sagemaker"), aws.name, image, f"s3://{bucket}/model.tar.gz")
    named = ("--endpoint-name", aws.name)
    config = ("--endpoint-config-name", aws.name)
    aws("sagemaker", "create-endpoint", *named, *config)
    aws("sagemaker", "wait", "endpoint-in-service", *named)
    request = tmp_path / "request"
    request.write_text("5.1,3.5")
    answer = tmp_path / "answer"
    aws(
        *("sagemaker-runtime", "invoke-endpoint", *named, "--content-type", "text/csv"),
        *("--body", f"fileb://{request}", str(answer)),
    )
    assert answer.read_text() == "cli:5.1,3.5"
    assert "serving" in _log_of(aws, f"/aws/sagemaker/Endpoints/{aws.name}", "serving")
    aws("sagemaker", "delete-endpoint", *named)
    aws("sagemaker", "wait", "endpoint-deleted", *named)


def test_codepipeline_runs_and_is_approved(aws: Cli, tmp_path: Path) -> None:
    bucket = f"pipeline-of-{aws.name}"
    aws("s3", "mb", f"s3://{bucket}")
    status = ("--versioning-configuration", "Status=Enabled")
    aws("s3api", "put-bucket-versioning", "--bucket", bucket, *status)
    source = tmp_path / "source.zip"
    source.write_bytes(zip_of({"a": "b"}))
    aws("s3", "cp", str(source), f"s3://{bucket}/source.zip")
    path = tmp_path / "pipeline.json"
    path.write_text(json.dumps({"pipeline": approved_pipeline(aws.client.cloud, aws.name, bucket)}))
    aws("codepipeline", "create-pipeline", "--cli-input-json", f"file://{path}")
    query = (
        "stageStates[?stageName=='DeployApproval'].actionStates[] | "
        "[?actionName=='ApproveDeploy'].latestExecution.token | [0]"
    )
    state = ("codepipeline", "get-pipeline-state", "--name", aws.name, "--output", "text")
    token = "None"
    while token == "None":
        token = aws(*state, "--query", query).strip()
    aws(
        *("codepipeline", "put-approval-result", "--pipeline-name", aws.name),
        *("--stage-name", "DeployApproval", "--action-name", "ApproveDeploy"),
        *("--token", token, "--result", "summary=ok,status=Approved"),
    )
    latest = ("--query", "stageStates[-1].latestExecution.status")
    reached = "InProgress"
    while reached == "InProgress":
        reached = aws(*state, *latest).strip()
    assert reached == "Succeeded"
    again = ("codepipeline", "start-pipeline-execution", "--name", aws.name)
    assert len(str(aws.json(*again)["pipelineExecutionId"])) == 36
    found = aws.json("codepipeline", "list-pipeline-executions", "--pipeline-name", aws.name)
    assert len(found["pipelineExecutionSummaries"]) == 2  # type: ignore[arg-type]
    aws("codepipeline", "delete-pipeline", "--name", aws.name)


def test_a_list_comes_in_the_pages_that_are_asked_for(aws: Cli) -> None:
    for number in range(5):
        name = ("--log-group-name", f"/pages/of/{aws.name}/{number}")
        aws("logs", "create-log-group", *name)
    prefix = ("--log-group-name-prefix", f"/pages/of/{aws.name}/")
    describe = ("logs", "describe-log-groups", *prefix)
    assert len(aws.json(*describe, "--page-size", "2")["logGroups"]) == 5  # type: ignore[arg-type]
    first = aws.json(*describe, "--max-items", "3")
    assert len(first["logGroups"]) == 3  # type: ignore[arg-type]
    rest = aws.json(*describe, "--starting-token", str(first["NextToken"]))
    assert len(rest["logGroups"]) == 2  # type: ignore[arg-type]


def test_roles_and_their_waiters(aws: Cli) -> None:
    named = ("--role-name", aws.name)
    trust = ("--assume-role-policy-document", trust_of("lambda"))
    aws("iam", "create-role", *named, *trust)
    aws("iam", "wait", "role-exists", *named)
    arn = aws("iam", "get-role", *named, "--query", "Role.Arn", "--output", "text").strip()
    assumed = aws.json("sts", "get-caller-identity")
    assert (ACCOUNT, f"arn:aws:iam::{ACCOUNT}:role/{aws.name}") == (assumed["Account"], arn)


def test_version_2_reads_the_variable_from_2_13_on(commands: Client) -> None:
    """Before, only the option counts, and without it the command asks AWS."""
    path, version = _version_2(commands)
    answer = commands.attempt(path, "sts", "get-caller-identity")
    assert (answer.returncode == 0) == (version >= _READS_THE_VARIABLE)
    asked = [] if version >= _READS_THE_VARIABLE else ["sts.us-east-1.amazonaws.com"]
    assert asked == sorted(set(commands.refused))


def test_version_1_needs_the_option_for_sqs(commands: Client) -> None:
    """The command gives its client of SQS an address, which wins over AWS_ENDPOINT_URL."""
    assert commands.attempt("aws", "sqs", "list-queues").returncode != 0
    assert {"queue.amazonaws.com"} == set(commands.refused)
    url = ("--endpoint-url", commands.cloud.url)
    made = json.loads(commands.run("aws", *url, "sqs", "create-queue", "--queue-name", "by-cli"))
    assert made["QueueUrl"] == f"{commands.cloud.url}/{ACCOUNT}/by-cli"
    sent = ("--queue-url", made["QueueUrl"], "--message-body", "hello")
    commands.run("aws", *url, "sqs", "send-message", *sent)
    found = commands.run("aws", *url, "sqs", "receive-message", "--queue-url", made["QueueUrl"])
    assert json.loads(found)["Messages"][0]["Body"] == "hello"


def test_awslocal_finds_the_local_cloud_by_its_environment(commands: Client) -> None:
    host = commands.cloud.url.partition("://")[2]
    by_host = {"AWS_ENDPOINT_URL": "", "LOCALSTACK_HOST": host}
    text = commands.run("awslocal", "sts", "get-caller-identity", **by_host)
    assert json.loads(text)["Account"] == ACCOUNT
    commands.run("awslocal", "s3", "mb", "s3://by-awslocal")
    assert "by-awslocal" in commands.run("awslocal", "s3", "ls")
    for arguments in (("codepipeline", "list-pipelines"), ("sagemaker", "list-endpoints")):
        json.loads(commands.run("awslocal", *arguments))


def _log_of(aws: Cli, group: str, pattern: str) -> str:
    """Return the lines of a group that match; only version 2 has `logs tail`."""
    if aws.name == "cli-v1":
        named = ("--log-group-name", group, "--filter-pattern", pattern)
        return aws("logs", "filter-log-events", *named, "--query", "events[].message")
    return aws("logs", "tail", group, "--filter-pattern", pattern, "--since", "1d")
