"""CodePipeline: what a function is handed with its job, and what it may answer."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.archives import zip_of
from tests.cloud import TestCloud, wait_for
from tests.pipelines import BUCKET, ROLE, Pipelines, invoke_action, pipelines_of, prepare

GUIDE = "https://docs.aws.amazon.com/codepipeline/latest/userguide"
API = "https://docs.aws.amazon.com/codepipeline/latest/APIReference"
UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
TYPES = (
    "JobFailed",
    "ConfigurationError",
    "PermissionError",
    "RevisionOutOfSync",
    "RevisionUnavailable",
    "SystemUnavailable",
)

HANDLERS = """
import boto3, io, json, zipfile

def handler(event, context):
    job = event["CodePipeline.job"]
    data = job["data"]
    what = data["actionConfiguration"]["configuration"]["UserParameters"]
    pipeline = boto3.client("codepipeline")
    if what.startswith("fail "):
        failure = {"type": what.split()[1], "message": "as a " + what.split()[1]}
        pipeline.put_job_failure_result(jobId=job["id"], failureDetails=failure)
        return
    if what == "half":
        details = {"summary": "half of it", "externalExecutionId": "run-1", "percentComplete": 50}
        pipeline.put_job_success_result(
            jobId=job["id"], continuationToken="more", executionDetails=details)
        return
    keys = data["artifactCredentials"]
    s3 = boto3.client(
        "s3",
        aws_access_key_id=keys["accessKeyId"],
        aws_secret_access_key=keys["secretAccessKey"],
        aws_session_token=keys["sessionToken"],
    )
    told = pipeline.get_job_details(jobId=job["id"])["jobDetails"]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("event.json", json.dumps(event))
        archive.writestr("told.json", json.dumps([told["id"], told["accountId"]]))
    place = data["outputArtifacts"][0]["location"]["s3Location"]
    s3.put_object(Bucket=place["bucketName"], Key=place["objectKey"], Body=buffer.getvalue())
    pipeline.put_job_success_result(jobId=job["id"])
"""


@pytest.fixture(scope="module")
def function(cloud: TestCloud) -> str:
    prepare(cloud)
    name = "pipeline-witness"
    cloud.client("lambda").create_function(
        FunctionName=name,
        Role=ROLE,
        Runtime="python3.12",
        Handler="handlers.handler",
        Timeout=20,
        Code={"ZipFile": zip_of({"handlers.py": HANDLERS})},
    )
    return name


@pytest.fixture
def pipelines(cloud: TestCloud) -> Iterator[Pipelines]:
    with pipelines_of(cloud) as made:
        yield made


def invoke(function: str, parameters: str, name: str = "Invoke", **more: Any) -> dict[str, Any]:
    action = invoke_action(parameters, name, **more)
    return action | {"configuration": {"FunctionName": function, "UserParameters": parameters}}


@pytest.mark.aws_documented(f"{GUIDE}/action-reference-Lambda.html")
def test_a_function_is_handed_its_job_and_uploads_the_artifact(
    cloud: TestCloud, pipelines: Pipelines, function: str
) -> None:
    key = {"id": "arn:aws:kms:us-east-1:000000000000:key/1", "type": "KMS"}
    store = {"type": "S3", "location": BUCKET, "encryptionKey": key}
    name = pipelines.make(
        [invoke(function, "witness", outputArtifacts=[{"name": "Seen"}])], artifactStore=store
    )
    pipelines.until(name, "Succeeded")
    details = pipelines.client.list_action_executions(pipelineName=name)["actionExecutionDetails"]
    (run,) = [d for d in details if d["actionName"] == "Invoke"]
    place = run["output"]["outputArtifacts"][0]["s3location"]
    body = cloud.client("s3").get_object(Bucket=place["bucket"], Key=place["key"])["Body"].read()
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        job = json.loads(archive.read("event.json"))["CodePipeline.job"]
        told = json.loads(archive.read("told.json"))
    source = run["input"]["inputArtifacts"][0]["s3location"]
    data = job.pop("data")
    assert re.fullmatch(UUID, job["id"])
    assert job == {"id": job["id"], "accountId": "000000000000"}
    assert told == [job["id"], "000000000000"]
    revision = data["inputArtifacts"][0].pop("revision")
    credentials = data.pop("artifactCredentials")
    assert data == {
        "actionConfiguration": {
            "configuration": {"FunctionName": function, "UserParameters": "witness"}
        },
        "inputArtifacts": [
            {
                "name": "Source",
                "location": {
                    "type": "S3",
                    "s3Location": {"bucketName": BUCKET, "objectKey": source["key"]},
                },
            }
        ],
        "outputArtifacts": [
            {
                "name": "Seen",
                "revision": None,
                "location": {
                    "type": "S3",
                    "s3Location": {"bucketName": BUCKET, "objectKey": place["key"]},
                },
            }
        ],
        "encryptionKey": key,
    }
    versions = cloud.client("s3").list_object_versions(Bucket=BUCKET, Prefix="source.zip")
    assert revision in [v["VersionId"] for v in versions["Versions"]]
    assert set(credentials) == {"accessKeyId", "secretAccessKey", "sessionToken"}


@pytest.mark.aws_documented(f"{API}/API_ExecutionDetails.html")
def test_a_running_function_says_how_far_it_is(pipelines: Pipelines, function: str) -> None:
    name = pipelines.make([invoke(function, "half")])
    wait_for("the percentage", lambda: pipelines.action(name).get("percentComplete") == 50)
    latest = pipelines.action(name)
    assert latest == latest | {
        "status": "InProgress",
        "summary": "half of it",
        "externalExecutionId": "run-1",
    }
    (execution,) = pipelines.executions(name)
    pipelines.client.stop_pipeline_execution(
        pipelineName=name, pipelineExecutionId=execution["pipelineExecutionId"], abandon=True
    )
    pipelines.until(name, "Stopped")


@pytest.mark.aws_documented(f"{API}/API_FailureDetails.html")
def test_each_type_of_failure_is_reported_with_its_message(
    pipelines: Pipelines, function: str
) -> None:
    name = pipelines.make([invoke(function, f"fail {kind}", kind) for kind in TYPES])
    pipelines.until(name, "Failed")
    found = {kind: pipelines.action(name, action=kind)["errorDetails"] for kind in TYPES}
    assert found == {kind: {"code": kind, "message": f"as a {kind}"} for kind in TYPES}


@pytest.mark.botocore_modelled
def test_tokens_and_messages_of_jobs_have_their_limits(cloud: TestCloud) -> None:
    client = cloud.client("codepipeline")
    id_ = "11111111-2222-3333-4444-555555555555"
    for call, arguments, code in (
        ("put_job_success_result", {"continuationToken": "x" * 2049}, "ValidationException"),
        ("put_job_success_result", {"continuationToken": "x" * 2048}, "JobNotFoundException"),
        (
            "put_job_failure_result",
            {"failureDetails": {"type": "JobFailed", "message": "x" * 5001}},
            "ValidationException",
        ),
        (
            "put_job_failure_result",
            {"failureDetails": {"type": "JobFailed", "message": "x" * 5000}},
            "JobNotFoundException",
        ),
        ("get_job_details", {}, "JobNotFoundException"),
    ):
        with pytest.raises(ClientError) as caught:
            getattr(client, call)(jobId=id_, **arguments)
        assert caught.value.response["Error"]["Code"] == code
