"""CodeConnections: a push behind an authorised connection starts a pipeline on its commit."""

from __future__ import annotations

import io
import json
import shutil
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.api.test_code import git
from tests.cloud import TRUST, TestCloud, wait_for

ACTION = (
    "https://docs.aws.amazon.com/codepipeline/latest/userguide/"
    "action-reference-CodestarConnectionSource.html"
)
PENDING = "https://docs.aws.amazon.com/codeconnections/latest/APIReference/API_Connection.html"
BUCKET = "connection-tests"
ROLE = "arn:aws:iam::000000000000:role/connected"
UNKNOWN = "arn:aws:codeconnections:us-east-1:000000000000:connection/0"
_numbers = count(1)

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not on this machine")


@pytest.fixture(scope="module")
def prepared(cloud: TestCloud) -> Iterator[TestCloud]:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    cloud.client("iam").create_role(RoleName="connected", AssumeRolePolicyDocument=TRUST)
    yield cloud
    connections = cloud.client("codeconnections")
    for connection in connections.list_connections()["Connections"]:
        connections.delete_connection(ConnectionArn=connection["ConnectionArn"])
    codepipeline = cloud.client("codepipeline")
    for pipeline in codepipeline.list_pipelines()["pipelines"]:
        codepipeline.delete_pipeline(name=pipeline["name"])


@pytest.fixture
def connection(prepared: TestCloud) -> str:
    """Return the ARN of a connection that nobody has authorised."""
    name = f"connection-{next(_numbers)}"
    made = prepared.client("codeconnections").create_connection(
        ProviderType="GitHub", ConnectionName=name
    )
    return str(made["ConnectionArn"])


def base_of(cloud: TestCloud, arn: str) -> str:
    return f"{cloud.url}/_localcloud/connections/{arn.rpartition('/')[2]}"


def authorise(cloud: TestCloud, arn: str) -> dict[str, Any]:
    request = urllib.request.Request(base_of(cloud, arn), method="POST")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return dict(json.loads(answer.read()))


def status_of(cloud: TestCloud, arn: str) -> str:
    found = cloud.client("codeconnections").get_connection(ConnectionArn=arn)["Connection"]
    return str(found["ConnectionStatus"])


Push = Callable[..., str]


@pytest.fixture
def push(prepared: TestCloud, connection: str, tmp_path: Path) -> Push:
    """Return a function that commits a file, pushes a branch and returns the commit."""
    directory = tmp_path / "clone"
    directory.mkdir()
    git(directory, "init", "--quiet", "--initial-branch=main")

    def to(message: str, branch: str = "main", repository: str = "org/repo") -> str:
        (directory / "file").write_text(message)
        git(directory, "add", "--all")
        git(directory, "commit", "--quiet", "--message", message)
        url = f"{base_of(prepared, connection)}/{repository}"
        git(directory, "push", "--quiet", url, f"HEAD:refs/heads/{branch}")
        return git(directory, "rev-parse", "HEAD")

    return to


def declaration(name: str, connection: str, **settings: str) -> dict[str, Any]:
    def kind(category: str, provider: str) -> dict[str, str]:
        return {"category": category, "owner": "AWS", "provider": provider, "version": "1"}

    source = {
        "name": "Source",
        "actionTypeId": kind("Source", "CodeStarSourceConnection"),
        "configuration": {
            "ConnectionArn": connection,
            "FullRepositoryId": "org/repo",
            "BranchName": "main",
            **settings,
        },
        "outputArtifacts": [{"name": "Pushed"}],
        "namespace": "Source",
    }
    approval = {"name": "Approve", "actionTypeId": kind("Approval", "Manual")}
    return {
        "name": name,
        "roleArn": ROLE,
        "artifactStore": {"type": "S3", "location": BUCKET},
        "pipelineType": "V2",
        "executionMode": "QUEUED",
        "stages": [
            {"name": "Source", "actions": [source]},
            {"name": "Approval", "actions": [approval]},
        ],
    }


def pipeline_of(cloud: TestCloud, connection: str, **settings: str) -> str:
    name = f"connected-{next(_numbers)}"
    cloud.client("codepipeline").create_pipeline(pipeline=declaration(name, connection, **settings))
    return name


def executions(cloud: TestCloud, name: str) -> list[dict[str, Any]]:
    answer = cloud.client("codepipeline").list_pipeline_executions(pipelineName=name)
    return list(reversed(answer["pipelineExecutionSummaries"]))


def source_action(cloud: TestCloud, name: str, number: int) -> dict[str, Any]:
    """Return the source action of the execution with this number, once it has ended."""

    def probe() -> dict[str, Any] | None:
        found = cloud.client("codepipeline").list_action_executions(pipelineName=name)
        sources = [a for a in found["actionExecutionDetails"] if a["actionName"] == "Source"]
        ended = [a for a in reversed(sources) if a["status"] != "InProgress"]
        return dict(ended[number]) if len(ended) > number else None

    return wait_for(f"source {number} of {name}", probe, 30)


def failure(action: dict[str, Any]) -> str:
    return str(action["output"]["executionResult"]["errorDetails"]["message"])


@pytest.mark.aws_documented(PENDING)
def test_a_connection_is_pending_until_a_person_authorises_it(
    prepared: TestCloud, connection: str
) -> None:
    assert status_of(prepared, connection) == "PENDING"
    assert authorise(prepared, connection) == {"arn": connection, "status": "AVAILABLE"}
    assert status_of(prepared, connection) == "AVAILABLE"
    # Once more changes nothing.
    assert authorise(prepared, connection)["status"] == "AVAILABLE"


@pytest.mark.botocore_modelled
def test_connections_are_listed_tagged_and_deleted(prepared: TestCloud) -> None:
    connections = prepared.client("codeconnections")
    made = {
        name: connections.create_connection(
            ProviderType=provider, ConnectionName=name, Tags=[{"Key": "team", "Value": "a"}]
        )
        for name, provider in (("listed-1", "GitHub"), ("listed-2", "GitLab"))
    }
    arn = made["listed-1"]["ConnectionArn"]
    assert made["listed-1"]["Tags"] == [{"Key": "team", "Value": "a"}]
    pages = [
        connections.list_connections(MaxResults=1, ProviderTypeFilter="GitHub"),
        connections.list_connections(ProviderTypeFilter="GitLab"),
    ]
    assert [c["ConnectionName"] for c in pages[1]["Connections"]] == ["listed-2"]
    assert len(pages[0]["Connections"]) == 1
    connections.tag_resource(ResourceArn=arn, Tags=[{"Key": "stage", "Value": "b"}])
    connections.untag_resource(ResourceArn=arn, TagKeys=["team"])
    tags = connections.list_tags_for_resource(ResourceArn=arn)["Tags"]
    assert tags == [{"Key": "stage", "Value": "b"}]
    for answer in made.values():
        connections.delete_connection(ConnectionArn=answer["ConnectionArn"])
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        connections.get_connection(ConnectionArn=arn)


@pytest.mark.emulator_only
@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"ProviderType": "GitHubEnterpriseServer"}, "no connections to GitHubEnterpriseServer"),
        ({}, "no connections to a host"),
        (
            {"HostArn": "arn:aws:codeconnections:us-east-1:000000000000:host/a/1"},
            "and no HostArn: AzureDevOps, Bitbucket, GitHub, GitLab",
        ),
    ],
)
def test_a_provider_with_a_host_is_refused_by_name(
    prepared: TestCloud, parameters: dict[str, str], said: str
) -> None:
    with pytest.raises(ClientError, match=said):
        prepared.client("codeconnections").create_connection(ConnectionName="hosted", **parameters)


@pytest.mark.aws_documented(PENDING)
def test_a_connections_name_is_taken_once(prepared: TestCloud, connection: str) -> None:
    connections = prepared.client("codeconnections")
    name = connections.get_connection(ConnectionArn=connection)["Connection"]["ConnectionName"]
    with pytest.raises(ClientError, match=f"name '{name}' already exists"):
        connections.create_connection(ProviderType="GitHub", ConnectionName=name)


@needs_git
@pytest.mark.aws_documented(ACTION)
def test_a_push_behind_a_connection_starts_the_pipeline_on_its_commit(
    prepared: TestCloud, connection: str, push: Push
) -> None:
    authorise(prepared, connection)
    name = pipeline_of(prepared, connection)
    assert failure(source_action(prepared, name, 0)) == (
        "[GitHub] No Branch [main] found for FullRepositoryName [org/repo]"
    )
    commit = push("well done")
    source = source_action(prepared, name, 1)
    assert (
        source["output"]["outputVariables"].items()
        >= {
            "BranchName": "main",
            "CommitId": commit,
            "CommitMessage": "well done",
            "ConnectionArn": connection,
            "FullRepositoryName": "org/repo",
        }.items()
    )
    summary = executions(prepared, name)[1]
    assert summary["trigger"] == {"triggerType": "WebhookV2", "triggerDetail": connection}
    assert summary["sourceRevisions"] == [
        {"actionName": "Source", "revisionId": commit, "revisionSummary": "well done"}
    ]
    location = source["output"]["outputArtifacts"][0]["s3location"]
    body = prepared.client("s3").get_object(Bucket=location["bucket"], Key=location["key"])["Body"]
    with zipfile.ZipFile(io.BytesIO(body.read())) as archive:
        assert archive.read("file") == b"well done"


@needs_git
@pytest.mark.aws_documented(ACTION)
def test_only_the_branch_and_the_repository_that_a_pipeline_follows_start_it(
    prepared: TestCloud, connection: str, push: Push
) -> None:
    authorise(prepared, connection)
    followed = pipeline_of(prepared, connection)
    undetected = pipeline_of(prepared, connection, DetectChanges="false")
    source_action(prepared, followed, 0)
    push("elsewhere", branch="other")
    push("another", repository="org/other")
    commit = push("here")
    assert source_action(prepared, followed, 1)["output"]["outputVariables"]["CommitId"] == commit
    # Nothing polls either of them.
    prepared.advance(300)
    assert [e["trigger"]["triggerType"] for e in executions(prepared, followed)] == [
        "CreatePipeline",
        "WebhookV2",
    ]
    assert len(executions(prepared, undetected)) == 1
    prepared.client("codepipeline").start_pipeline_execution(name=undetected)
    assert source_action(prepared, undetected, 1)["status"] == "Succeeded"


@needs_git
@pytest.mark.aws_documented(PENDING)
def test_a_pending_connection_starts_nothing_and_its_source_says_why(
    prepared: TestCloud, connection: str, push: Push
) -> None:
    push("too early")
    name = pipeline_of(prepared, connection)
    assert f"{connection} is PENDING" in failure(source_action(prepared, name, 0))
    push("still too early")
    assert len(executions(prepared, name)) == 1
    authorise(prepared, connection)
    prepared.client("codepipeline").start_pipeline_execution(name=name)
    assert source_action(prepared, name, 1)["status"] == "Succeeded"


@pytest.mark.emulator_only
def test_a_connection_that_is_gone_fails_the_source(prepared: TestCloud, connection: str) -> None:
    prepared.client("codeconnections").delete_connection(ConnectionArn=connection)
    name = pipeline_of(prepared, connection)
    assert failure(source_action(prepared, name, 0)) == f"Connection {connection} not found"


@pytest.mark.aws_documented(ACTION)
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"OutputArtifactFormat": "CODEBUILD_CLONE_REF"}, "does not support OutputArtifactFormat"),
        ({"PollForSourceChanges": "false"}, "unknown configuration 'PollForSourceChanges'"),
    ],
)
def test_a_source_that_cannot_be_carried_out_is_refused(
    prepared: TestCloud, settings: dict[str, str], said: str
) -> None:
    with pytest.raises(ClientError, match=said):
        pipeline_of(prepared, UNKNOWN, **settings)


@pytest.mark.emulator_only
@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("0/org/repo/info/refs?service=git-upload-pack", "GET", 404),
        ("{id}/repo/info/refs?service=git-upload-pack", "GET", 404),
        ("{id}/../../x/info/refs?service=git-upload-pack", "GET", 404),
        ("{id}/org/repo.git/deeper/info/refs?service=git-upload-pack", "GET", 404),
        ("{id}/org/repo/info/refs?service=other", "GET", 403),
        ("{id}", "GET", 405),
    ],
)
def test_what_is_no_repository_behind_a_connection_is_not_found(
    prepared: TestCloud, connection: str, path: str, method: str, status: int
) -> None:
    whole = f"{prepared.url}/_localcloud/connections/" + path.format(
        id=connection.rpartition("/")[2]
    )
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(urllib.request.Request(whole, method=method), timeout=10)
    assert error.value.code == status
    error.value.close()
