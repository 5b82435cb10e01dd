"""CodeCommit and CodeBuild: a push over HTTP becomes an event, a build and an artifact."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.archives import zip_of
from tests.cloud import TRUST, TestCloud, wait_for

BUCKET = "code-tests"
ROLE = "arn:aws:iam::000000000000:role/code"
SPEC = "https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html"
EVENTS = "https://docs.aws.amazon.com/codecommit/latest/userguide/monitoring-events.html"
PHASES = "https://docs.aws.amazon.com/codebuild/latest/userguide/view-build-details.html"

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not on this machine")
_numbers = count(1)


@pytest.fixture(scope="module")
def prepared(cloud: TestCloud) -> Iterator[TestCloud]:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    cloud.client("iam").create_role(RoleName="code", AssumeRolePolicyDocument=TRUST)
    yield cloud
    codebuild, codecommit = cloud.client("codebuild"), cloud.client("codecommit")
    for name in codebuild.list_projects()["projects"]:
        codebuild.delete_project(name=name)
    for repository in codecommit.list_repositories()["repositories"]:
        codecommit.delete_repository(repositoryName=repository["repositoryName"])


def git(directory: Path, *arguments: str) -> str:
    environment = {
        **os.environ,
        **{
            f"GIT_{who}_{what}": f"{who.lower()}@example.com"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        },
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
    }
    done = subprocess.run(
        ["git", *arguments],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class Source:
    """A repository of CodeCommit and a clone of it."""

    def __init__(self, cloud: TestCloud, directory: Path) -> None:
        self.name = f"source-{next(_numbers)}"
        made = cloud.client("codecommit").create_repository(repositoryName=self.name)
        self.url = made["repositoryMetadata"]["cloneUrlHttp"]
        self.directory = directory / self.name
        self.directory.mkdir()
        git(self.directory, "init", "--quiet", "--initial-branch=main")

    def push(self, message: str, **files: str) -> str:
        """Commit files and push them; return the commit."""
        for name, content in files.items():
            (self.directory / name.replace("__", ".")).write_text(content)
        git(self.directory, "add", "--all")
        git(self.directory, "commit", "--quiet", "--message", message)
        git(self.directory, "push", "--quiet", self.url, "main")
        return git(self.directory, "rev-parse", "HEAD")


@pytest.fixture
def source(prepared: TestCloud, tmp_path: Path) -> Source:
    return Source(prepared, tmp_path)


@pytest.mark.emulator_only
def test_what_is_pushed_can_be_cloned_and_described(
    prepared: TestCloud, source: Source, tmp_path: Path
) -> None:
    commit = source.push("The first", file="hello")
    git(tmp_path, "clone", "--quiet", source.url, "copy")
    assert (tmp_path / "copy" / "file").read_text() == "hello"
    codecommit = prepared.client("codecommit")
    branch = codecommit.get_branch(repositoryName=source.name, branchName="main")["branch"]
    assert branch == {"branchName": "main", "commitId": commit}
    assert codecommit.list_branches(repositoryName=source.name)["branches"] == ["main"]
    found = codecommit.get_commit(repositoryName=source.name, commitId=commit)["commit"]
    assert (found["commitId"], found["message"], found["parents"]) == (commit, "The first", [])
    assert found["author"]["email"] == "author@example.com"


@pytest.mark.botocore_modelled
def test_what_is_not_there_has_its_own_error(prepared: TestCloud, source: Source) -> None:
    codecommit = prepared.client("codecommit")
    with pytest.raises(codecommit.exceptions.BranchDoesNotExistException):
        codecommit.get_branch(repositoryName=source.name, branchName="main")
    with pytest.raises(codecommit.exceptions.RepositoryDoesNotExistException):
        codecommit.get_branch(repositoryName="nothing", branchName="main")
    with pytest.raises(codecommit.exceptions.CommitIdDoesNotExistException):
        codecommit.get_commit(repositoryName=source.name, commitId="0" * 40)
    # An option of Git's in place of a commit is not one.
    with pytest.raises(codecommit.exceptions.CommitIdDoesNotExistException):
        codecommit.get_commit(repositoryName=source.name, commitId="--all")


@pytest.mark.emulator_only
def test_a_deleted_repository_takes_what_was_pushed_with_it(
    prepared: TestCloud, source: Source
) -> None:
    source.push("x", file="x")
    codecommit = prepared.client("codecommit")
    assert codecommit.delete_repository(repositoryName=source.name)["repositoryId"]
    assert codecommit.delete_repository(repositoryName=source.name).get("repositoryId") is None
    with pytest.raises(AssertionError, match=r"not found|404"):
        git(source.directory, "push", source.url, "main")
    codecommit.create_repository(repositoryName=source.name)
    assert codecommit.list_branches(repositoryName=source.name)["branches"] == []


@pytest.mark.aws_documented(EVENTS)
def test_each_push_is_an_event(prepared: TestCloud, source: Source) -> None:
    events, sqs = prepared.client("events"), prepared.client("sqs")
    queue = sqs.create_queue(QueueName=source.name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    pattern = {
        "source": ["aws.codecommit"],
        "detail-type": ["CodeCommit Repository State Change"],
        "resources": [f"arn:aws:codecommit:us-east-1:000000000000:{source.name}"],
    }
    events.put_rule(Name=source.name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=source.name, Targets=[{"Id": "q", "Arn": arn["QueueArn"]}])
    first = source.push("one", file="1")
    second = source.push("two", file="2")
    told: list[dict[str, Any]] = []

    def both() -> bool:
        for message in sqs.receive_message(QueueUrl=queue).get("Messages", []):
            told.append(json.loads(message["Body"])["detail"])
        return len(told) == 2

    wait_for("two events", both, 20)
    made = sorted(told, key=lambda detail: str(detail["event"]))
    assert [(d["event"], d["commitId"], d.get("oldCommitId")) for d in made] == [
        ("referenceCreated", first, None),
        ("referenceUpdated", second, first),
    ]
    assert made[0]["referenceName"] == "main"
    assert made[0]["referenceType"] == "branch"
    events.remove_targets(Rule=source.name, Ids=["q"])
    events.delete_rule(Name=source.name)


class Builds:
    """Makes projects and builds them."""

    def __init__(self, cloud: TestCloud) -> None:
        self.cloud = cloud
        self.client = cloud.client("codebuild")

    def project(self, buildspec: str, source: dict[str, str] | None = None, **more: Any) -> str:
        name = f"build-{next(_numbers)}"
        self.client.create_project(
            name=name,
            source={**(source or {"type": "NO_SOURCE"}), "buildspec": buildspec},
            artifacts={"type": "CODEPIPELINE" if source else "NO_ARTIFACTS"},
            environment={
                "type": "LINUX_CONTAINER",
                "image": "aws/codebuild/standard:7.0",
                "computeType": "BUILD_GENERAL1_SMALL",
                "environmentVariables": [{"name": "COLOUR", "value": "blue"}],
            },
            serviceRole=ROLE,
            **more,
        )
        return name

    def build(self, name: str, **more: Any) -> dict[str, Any]:
        """Build a project to its end."""
        id_ = self.client.start_build(projectName=name, **more)["build"]["id"]
        return self.ended(id_)

    def ended(self, id_: str) -> dict[str, Any]:
        def probe() -> dict[str, Any] | None:
            (build,) = self.client.batch_get_builds(ids=[id_])["builds"]
            return dict(build) if build["buildComplete"] else None

        return wait_for("the build's end", probe, 60)

    def log(self, build: dict[str, Any]) -> str:
        logs = build["logs"]
        answer = self.cloud.client("logs").get_log_events(
            logGroupName=logs["groupName"], logStreamName=logs["streamName"]
        )
        return "\n".join(event["message"] for event in answer["events"])


@pytest.fixture
def builds(prepared: TestCloud) -> Builds:
    return Builds(prepared)


def phases(build: dict[str, Any]) -> dict[str, str]:
    return {phase["phaseType"]: phase["phaseStatus"] for phase in build["phases"]}


@pytest.mark.aws_documented(SPEC)
def test_a_build_runs_its_phases_in_one_environment_and_logs_them(builds: Builds) -> None:
    name = builds.project(
        "version: 0.2\nphases:\n"
        "  install: {commands: ['SAID=\"$COLOUR $EXTRA\"']}\n"
        "  build: {commands: ['echo \"<$SAID>\"', 'test -z \"${AWS_PROFILE-}\"']}\n"
    )
    build = builds.build(name, environmentVariablesOverride=[{"name": "EXTRA", "value": "and red"}])
    assert build["buildStatus"] == "SUCCEEDED"
    assert build["buildNumber"] == 1
    assert "<blue and red>" in builds.log(build)
    assert list(phases(build)) == [
        "DOWNLOAD_SOURCE",
        "INSTALL",
        "BUILD",
        "UPLOAD_ARTIFACTS",
        "COMPLETED",
    ]
    assert set(phases(build).values()) == {"SUCCEEDED"}
    assert builds.client.list_builds_for_project(projectName=name)["ids"] == [build["id"]]


@pytest.mark.aws_documented(PHASES)
def test_a_failing_command_fails_its_phase_and_post_build_sees_it(builds: Builds) -> None:
    name = builds.project(
        "version: 0.2\nphases:\n"
        "  pre_build: {commands: ['exit 3', 'echo never']}\n"
        "  build: {commands: ['echo never']}\n"
        "  post_build: {commands: ['echo \"succeeding: $CODEBUILD_BUILD_SUCCEEDING\"']}\n"
    )
    build = builds.build(name)
    assert build["buildStatus"] == "FAILED"
    assert phases(build) == {
        "DOWNLOAD_SOURCE": "SUCCEEDED",
        "PRE_BUILD": "FAILED",
        "POST_BUILD": "SUCCEEDED",
        "COMPLETED": "SUCCEEDED",
    }
    (context,) = next(p for p in build["phases"] if p["phaseType"] == "PRE_BUILD")["contexts"]
    assert context == {
        "statusCode": "COMMAND_EXECUTION_ERROR",
        "message": "Error while executing command: exit 3. Reason: exit status 3",
    }
    assert "succeeding: 0" in builds.log(build)
    assert "never" not in builds.log(build)


@pytest.mark.emulator_only
def test_a_build_can_be_stopped(builds: Builds) -> None:
    name = builds.project("version: 0.2\nphases: {build: {commands: [sleep 60]}}")
    id_ = builds.client.start_build(projectName=name)["build"]["id"]
    wait_for(
        "the build phase",
        lambda: builds.client.batch_get_builds(ids=[id_])["builds"][0]["currentPhase"] == "BUILD",
        20,
    )
    assert builds.client.stop_build(id=id_)["build"]["buildStatus"] == "STOPPED"


@pytest.mark.emulator_only
def test_what_cannot_be_built_fails_by_name(builds: Builds) -> None:
    build = builds.build(
        builds.project("version: 0.2\nphases: {build: {commands: ['docker run x']}}")
    )
    assert build["buildStatus"] == "FAILED"
    assert "docker run is not supported here" in builds.log(build)
    build = builds.build(builds.project("version: 0.2\nbatch: {}\nphases: {build: {commands: a}}"))
    assert phases(build)["DOWNLOAD_SOURCE"] == "FAILED"
    with pytest.raises(ClientError) as caught:
        builds.client.start_build(projectName="nothing")
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"


def pipeline_of(prepared: TestCloud, source: Source, project: str) -> str:
    """Make a pipeline that a push to the source starts; return its name."""

    def kind(category: str, provider: str) -> dict[str, str]:
        return {"category": category, "owner": "AWS", "provider": provider, "version": "1"}

    name = f"pipeline-of-{source.name}"
    codepipeline, events = prepared.client("codepipeline"), prepared.client("events")
    codepipeline.create_pipeline(
        pipeline={
            "name": name,
            "roleArn": ROLE,
            "artifactStore": {"type": "S3", "location": BUCKET},
            "pipelineType": "V2",
            "stages": [
                {
                    "name": "Source",
                    "actions": [
                        {
                            "name": "Source",
                            "actionTypeId": kind("Source", "CodeCommit"),
                            "configuration": {
                                "RepositoryName": source.name,
                                "BranchName": "main",
                                "PollForSourceChanges": "false",
                            },
                            "outputArtifacts": [{"name": "Pushed"}],
                            "namespace": "Source",
                        }
                    ],
                },
                {
                    "name": "Build",
                    "actions": [
                        {
                            "name": "Build",
                            "actionTypeId": kind("Build", "CodeBuild"),
                            "configuration": {
                                "ProjectName": project,
                                "EnvironmentVariables": json.dumps(
                                    [{"name": "SAID", "value": "#{Source.CommitMessage}"}]
                                ),
                            },
                            "inputArtifacts": [{"name": "Pushed"}],
                            "outputArtifacts": [{"name": "Built"}],
                            "namespace": "Build",
                        }
                    ],
                },
            ],
        }
    )
    pattern = {"source": ["aws.codecommit"], "detail": {"repositoryName": [source.name]}}
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    arn = f"arn:aws:codepipeline:us-east-1:000000000000:{name}"
    events.put_targets(Rule=name, Targets=[{"Id": "p", "Arn": arn, "RoleArn": ROLE}])
    return name


def executions(prepared: TestCloud, name: str) -> list[str]:
    answer = prepared.client("codepipeline").list_pipeline_executions(pipelineName=name)
    return [e["status"] for e in reversed(answer["pipelineExecutionSummaries"])]


def until(prepared: TestCloud, name: str, *wanted: str) -> None:
    def probe() -> bool:
        return executions(prepared, name) == list(wanted)

    wait_for(f"{name} {wanted}", probe, 60)


BUILDSPEC = """
version: 0.2
env:
  exported-variables: [WORDS]
phases:
  build:
    commands:
      - WORDS="$(cat file) $SAID $CODEBUILD_RESOLVED_SOURCE_VERSION"
      - mkdir out && echo "$WORDS" > out/result.txt
artifacts:
  base-directory: out
  files: ['**/*']
"""


@pytest.fixture
def built(prepared: TestCloud, source: Source, builds: Builds) -> Callable[[str], str]:
    def make(buildspec: str) -> str:
        return pipeline_of(prepared, source, builds.project(buildspec, {"type": "CODEPIPELINE"}))

    return make


@pytest.mark.emulator_only
def test_a_push_starts_the_pipeline_and_its_build_makes_the_artifact(
    prepared: TestCloud, source: Source, built: Callable[[str], str]
) -> None:
    name = built("buildspec.yml")
    # Made before anything was pushed: its first execution finds no branch.
    until(prepared, name, "Failed")
    commit = source.push("well done", file="hello", buildspec__yml=BUILDSPEC)
    until(prepared, name, "Failed", "Succeeded")
    actions = prepared.client("codepipeline").list_action_executions(pipelineName=name)
    build = next(a for a in actions["actionExecutionDetails"] if a["actionName"] == "Build")
    newest = prepared.client("codepipeline").list_pipeline_executions(pipelineName=name)
    summary = newest["pipelineExecutionSummaries"][0]
    assert summary["trigger"]["triggerType"] == "CloudWatchEvent"
    assert summary["sourceRevisions"] == [
        {"actionName": "Source", "revisionId": commit, "revisionSummary": "well done"}
    ]
    words = f"hello well done {commit}"
    assert build["output"]["outputVariables"] == {"WORDS": words}
    (artifact,) = build["output"]["outputArtifacts"]
    location = artifact["s3location"]
    body = prepared.client("s3").get_object(Bucket=location["bucket"], Key=location["key"])["Body"]
    with zipfile.ZipFile(io.BytesIO(body.read())) as archive:
        assert archive.namelist() == ["result.txt"]
        assert archive.read("result.txt").decode().strip() == words


@pytest.mark.emulator_only
def test_a_build_that_fails_stops_the_pipeline_with_its_reason(
    prepared: TestCloud, source: Source, built: Callable[[str], str]
) -> None:
    name = built("buildspec.yml")
    until(prepared, name, "Failed")
    source.push("no buildspec", file="hello")
    until(prepared, name, "Failed", "Failed")
    state = prepared.client("codepipeline").get_pipeline_state(name=name)
    (action,) = state["stageStates"][1]["actionStates"]
    assert action["latestExecution"]["errorDetails"]["message"] == (
        "Build terminated with state: FAILED. YAML_FILE_ERROR: buildspec.yml: no such file in the "
        "source"
    )


@pytest.mark.emulator_only
def test_a_source_from_s3_is_built_too(prepared: TestCloud, builds: Builds) -> None:
    body = zip_of({"buildspec.yml": BUILDSPEC, "file": "from s3"})
    prepared.client("s3").put_object(Bucket=BUCKET, Key="source.zip", Body=body)
    name = builds.project("", {"type": "S3", "location": f"{BUCKET}/source.zip"})
    build = builds.build(name, environmentVariablesOverride=[{"name": "SAID", "value": "x"}])
    assert build["buildStatus"] == "SUCCEEDED", builds.log(build)
