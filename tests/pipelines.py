"""Pipelines for the tests of CodePipeline: what they are made of, and questions about them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.archives import zip_of
from tests.cloud import TestCloud, have_role, wait_for

BUCKET = "pipeline-tests"
ROLE = "arn:aws:iam::000000000000:role/pipeline"

HANDLERS = """
import boto3, json

def handler(event, context):
    job = event["CodePipeline.job"]
    data = job["data"]
    what = data["actionConfiguration"]["configuration"]["UserParameters"]
    pipeline = boto3.client("codepipeline")
    if what == "silent":
        return
    if what == "raise":
        raise RuntimeError("the function broke")
    if what == "fail":
        pipeline.put_job_failure_result(
            jobId=job["id"], failureDetails={"type": "JobFailed", "message": "no good"})
        return
    if what == "continue" and "continuationToken" not in data:
        pipeline.put_job_success_result(jobId=job["id"], continuationToken="1")
        return
    location = data["inputArtifacts"][0]["location"]["s3Location"]
    boto3.client("s3").head_object(Bucket=location["bucketName"], Key=location["objectKey"])
    pipeline.put_job_success_result(
        jobId=job["id"],
        outputVariables={"Said": what, "Token": data.get("continuationToken", "-")})
"""

_numbers = count(1)


def prepare(cloud: TestCloud) -> None:
    """Make the bucket, the role and the function of these tests, once a cloud."""
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    if s3.list_objects_v2(Bucket=BUCKET)["KeyCount"]:
        return
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=BUCKET, Key="source.zip", Body=zip_of({"file.txt": "x"}))
    have_role(cloud, ROLE, "lambda", "sagemaker", "codepipeline", "codebuild", "cloudformation")
    cloud.client("lambda").create_function(
        FunctionName="pipeline-job",
        Role=ROLE,
        Runtime="python3.12",
        Handler="handlers.handler",
        Timeout=20,
        Code={"ZipFile": zip_of({"handlers.py": HANDLERS})},
    )


def kind(category: str, provider: str) -> dict[str, str]:
    return {"category": category, "owner": "AWS", "provider": provider, "version": "1"}


def source_action(key: str = "source.zip") -> dict[str, Any]:
    return {
        "name": "Object",
        "actionTypeId": kind("Source", "S3"),
        "configuration": {
            "S3Bucket": BUCKET,
            "S3ObjectKey": key,
            "PollForSourceChanges": "false",
        },
        "outputArtifacts": [{"name": "Source"}],
        "namespace": "Source",
    }


def approval_action(**more: Any) -> dict[str, Any]:
    return {"name": "Approve", "actionTypeId": kind("Approval", "Manual"), **more}


def invoke_action(parameters: str, name: str = "Invoke", **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "actionTypeId": kind("Invoke", "Lambda"),
        "configuration": {"FunctionName": "pipeline-job", "UserParameters": parameters},
        "inputArtifacts": [{"name": "Source"}],
        **more,
    }


class Pipelines:
    """Makes pipelines and asks about them."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.names: list[str] = []

    def make(
        self,
        *stages: list[dict[str, Any]],
        stage_more: dict[str, Any] | None = None,
        source: dict[str, Any] | None = None,
        **more: Any,
    ) -> str:
        """Create a pipeline; `stage_more` is what Stage1 has besides its actions."""
        name = f"pipeline-{next(_numbers)}"
        declared: list[dict[str, Any]] = [
            {"name": f"Stage{i}", "actions": actions}
            for i, actions in enumerate([[source or source_action()], *stages])
        ]
        declared[1] |= stage_more or {}
        self.client.create_pipeline(
            pipeline={
                "name": name,
                "roleArn": ROLE,
                "artifactStore": {"type": "S3", "location": BUCKET},
                "stages": declared,
                "pipelineType": "V2",
                **more,
            }
        )
        self.names.append(name)
        return name

    def executions(self, name: str) -> list[dict[str, Any]]:
        found = self.client.list_pipeline_executions(pipelineName=name)
        return list(reversed(found["pipelineExecutionSummaries"]))

    def statuses(self, name: str) -> list[str]:
        return [execution["status"] for execution in self.executions(name)]

    def until(self, name: str, *wanted: str) -> None:
        wait_for(f"{name} {wanted}", lambda: self.statuses(name) == list(wanted), 60)

    def action(self, name: str, stage: str = "Stage1", action: str | None = None) -> dict[str, Any]:
        for state in self.client.get_pipeline_state(name=name)["stageStates"]:
            if state["stageName"] == stage:
                for entry in state["actionStates"]:
                    if action in (None, entry["actionName"]):
                        return dict(entry.get("latestExecution", {}))
        return {}

    def token(self, name: str, stage: str = "Stage1") -> str:
        return str(
            wait_for("the approval's token", lambda: self.action(name, stage).get("token"), 30)
        )

    def next_token(self, name: str, before: str) -> str:
        """Return the token of the approval that asks after another."""

        def asked() -> str | None:
            token = self.action(name).get("token")
            return str(token) if token and token != before else None

        return wait_for("another token", asked, 30)

    def answer(self, name: str, token: str, verdict: str, stage: str = "Stage1") -> Any:
        return self.client.put_approval_result(
            pipelineName=name,
            stageName=stage,
            actionName="Approve",
            token=token,
            result={"status": verdict, "summary": f"{verdict} by a test"},
        )


def error_code(caught: pytest.ExceptionInfo[ClientError]) -> str:
    """Return the code of an error that AWS answered."""
    return str(caught.value.response["Error"]["Code"])


@contextmanager
def pipelines_of(cloud: TestCloud) -> Iterator[Pipelines]:
    """Yield a maker of pipelines, which are deleted afterwards."""
    made = Pipelines(cloud.client("codepipeline"))
    yield made
    for name in made.names:
        made.client.delete_pipeline(name=name)


def approval_pipeline(cloud: TestCloud, name: str, bucket: str) -> None:
    """Create a pipeline of `source.zip` in a bucket and a person's approval."""
    kind = {"owner": "AWS", "version": "1"}
    source = {
        "name": "Object",
        "actionTypeId": {**kind, "category": "Source", "provider": "S3"},
        "configuration": {"S3Bucket": bucket, "S3ObjectKey": "source.zip"},
        "outputArtifacts": [{"name": "Source"}],
    }
    approval = {
        "name": "Approve",
        "actionTypeId": {**kind, "category": "Approval", "provider": "Manual"},
    }
    have_role(cloud, ROLE, "codepipeline")
    cloud.client("codepipeline").create_pipeline(
        pipeline={
            "name": name,
            "roleArn": ROLE,
            "artifactStore": {"type": "S3", "location": bucket},
            "stages": [
                {"name": "Source", "actions": [source]},
                {"name": "Approve", "actions": [approval]},
            ],
        }
    )


def approval_token(cloud: TestCloud, name: str) -> str | None:
    """Return the token of the approval of such a pipeline, or None before it waits."""
    state = cloud.client("codepipeline").get_pipeline_state(name=name)
    latest = state["stageStates"][1]["actionStates"][0].get("latestExecution", {})
    token: str | None = latest.get("token")
    return token
