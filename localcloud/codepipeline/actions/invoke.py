"""The Lambda invoke action: gives a job to a function, which reports the result.

A success with a continuation token means that the job is still running. The function is then
invoked again later.

Source: https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-Lambda.html
Differs: a function that fails before it reports a result fails the action at once, with its error;
AWS waits for twenty minutes. A continuation is invoked after 15 clock seconds.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from datetime import timedelta
from typing import Any

from localcloud.aws.errors import AccessDenied, AwsError
from localcloud.codepipeline.actions.base import (
    ActionContext,
    ActionFailed,
    ActionOutcome,
    JobResult,
)
from localcloud.codepipeline.model import Artifact

_CONTINUATION_CLOCK_SECONDS = 15.0
_ANSWER_CLOCK_SECONDS = 20 * 60.0
_TOTAL = timedelta(hours=24)


async def invoke_function(context: ActionContext) -> ActionOutcome:
    """Invoke the function until it reports the result of its job.

    Raises:
        ActionFailed: the function reported a failure or nothing, or it does not exist.
    """
    name = context.require("FunctionName")
    outputs = {
        output["name"]: context.output_location(output["name"])
        for output in context.declaration.get("outputArtifacts", [])
    }
    while True:
        result = await _one_job(context, name, outputs)
        if not result.succeeded:
            raise ActionFailed(result.failure_code, result.failure_message)
        context.run.external_id = result.external_id or context.run.external_id
        context.run.summary = result.summary or context.run.summary
        if result.percent_complete is not None:
            context.run.percent_complete = result.percent_complete
        if result.continuation is None:
            return ActionOutcome(result.summary, dict(result.variables), outputs)
        context.run.continuation = result.continuation
        context.save()
        if context.services.clock.now() - context.run.started > _TOTAL:
            raise ActionFailed("JobFailed", "The function was still running after 24 hours.")
        await context.services.clock.sleep(_CONTINUATION_CLOCK_SECONDS)


async def _one_job(context: ActionContext, name: str, outputs: dict[str, Artifact]) -> JobResult:
    job_id = str(uuid.uuid4())
    context.run.job_id = job_id
    context.save()
    answer: asyncio.Future[JobResult] = asyncio.get_running_loop().create_future()
    context.pending_results.jobs[job_id] = answer
    job = _job(context, job_id, name, outputs)
    context.pending_results.job_details[job_id] = job
    try:
        try:
            outcome = await context.functions.invoke(
                context.scope,
                name.split(":function:")[-1],
                {"CodePipeline.job": job},
                context.role_arn,
            )
        except AwsError as error:
            denied = isinstance(error, AccessDenied)
            code = "PermissionError" if denied else "ConfigurationError"
            raise ActionFailed(code, error.message) from None
        if not answer.done() and outcome.function_error is not None:
            reason = outcome.payload.decode("utf-8", "replace")[:2000]
            raise ActionFailed(
                "JobFailed",
                f"The AWS Lambda function {name} failed before it reported a result: {reason}",
            )
        try:
            return await context.services.clock.wait_for(answer, _ANSWER_CLOCK_SECONDS)
        except TimeoutError:
            raise ActionFailed(
                "JobFailed",
                f"The AWS Lambda function {name} failed to return a result. Check the function to "
                "verify that it has permission to call the PutJobSuccessResult action and that it "
                "made a call to PutJobSuccessResult.",
            ) from None
    finally:
        del context.pending_results.jobs[job_id]
        del context.pending_results.job_details[job_id]


def _job(
    context: ActionContext, job_id: str, name: str, outputs: dict[str, Artifact]
) -> dict[str, Any]:
    configuration = {"FunctionName": name}
    if "UserParameters" in context.configuration:
        configuration["UserParameters"] = context.configuration["UserParameters"]
    inputs = {
        entry["name"]: context.execution.artifacts[entry["name"]]
        for entry in context.declaration.get("inputArtifacts", [])
        if entry["name"] in context.execution.artifacts
    }
    data: dict[str, Any] = {
        "actionConfiguration": {"configuration": configuration},
        "inputArtifacts": [_artifact(key, value) for key, value in inputs.items()],
        "outputArtifacts": [_artifact(key, value) for key, value in outputs.items()],
        "artifactCredentials": {
            "accessKeyId": context.services.iam.keys.issue(context.role_arn),
            "secretAccessKey": "localcloud",
            "sessionToken": "localcloud",
        },
    }
    key = context.artifact_store.get("encryptionKey")
    if key is not None:
        data["encryptionKey"] = key
    if context.run.continuation is not None:
        data["continuationToken"] = context.run.continuation
    return json.loads(  # type: ignore[no-any-return]
        json.dumps({"id": job_id, "accountId": context.scope.account, "data": data})
    )


def _artifact(name: str, artifact: Artifact) -> dict[str, Any]:
    return {
        "name": name,
        "revision": artifact.revision,
        "location": {
            "type": "S3",
            "s3Location": {"bucketName": artifact.bucket, "objectKey": artifact.key},
        },
    }
