"""Runs a command of the model's container as a processing job and polls it, once per invocation.

    first invocation   CreateProcessingJob ─► "still running", with the job's name
    later invocations  InProgress | Stopping ─► "still running"
                       Completed ─► success with what the container says, and where its report is
                       Failed | Stopped ─► failure with the container's reason

The command gets the dataset at ``/opt/ml/processing/dataset``, the objects that the parameter
``inputs`` names and, if the group of the model has an approved version, that version's baseline or
model at ``/opt/ml/processing/champion``. It writes its report to ``/opt/ml/processing/report``, and
one line about it to ``/opt/ml/output/message``.

With the parameter ``captures`` the command gets what production was asked instead of a dataset, and
a description of its endpoint from the template that is the action's artifact. Without captures or
without a champion there is nothing to rehearse: no job is started, and the action succeeds and says
so, as it does with the parameter ``without``, which is the reason.
"""

import os
from collections.abc import Mapping
from itertools import islice
from typing import Any

import boto3

from lambda_src.model_versions import baseline_of, container_of, versions
from lambda_src.pipeline_job import (
    ConfigurationError,
    Job,
    JobError,
    StillRunning,
    Succeeded,
    parameter,
    run,
)
from lambda_src.recorded_traffic import MANIFEST_FILE, manifest, newest_captures, serving
from lambda_src.sagemaker_job import (
    cluster,
    created,
    name_of,
    network,
    output_key,
    processing_input,
    processing_output,
    released_image,
    tags,
)

# The URL of the report that an action has not made.
NO_REPORT = "none"
# The newest approved versions among which the frozen reference set is looked for.
MOST_VERSIONS = 20
_NAME_KEY = "processingJobName"


def handler(event: Mapping[str, Any], _context: object) -> None:
    """Handle one invocation by CodePipeline."""
    run(event, process)


def process(job: Job) -> Succeeded | StillRunning:
    """Start the processing job, or poll the one that an earlier invocation started."""
    return _start(job) if job.continuation is None else _poll(job, job.continuation)


def _start(job: Job) -> Succeeded | StillRunning:
    sagemaker = boto3.client("sagemaker")
    if "without" in job.parameters:
        return _nothing(parameter(job, "without", str))
    name, champion = name_of(job), _champion(job, sagemaker)
    hyperparameters = parameter(job, "hyperparameters", dict)
    inputs = {
        **(parameter(job, "inputs", dict) if "inputs" in job.parameters else {}),
        **champion,
        **(_reference(job, sagemaker) if "reference" in job.parameters else {}),
    }
    sources = [processing_input(key, uri) for key, uri in inputs.items()]
    if "captures" in job.parameters:
        if not champion:
            return _nothing("there is no approved model yet")
        recorded = _captures(job, name)
        if recorded is None:
            return _nothing(f"nothing is captured in {parameter(job, 'captures', str)}")
        sources.append(recorded)
        hyperparameters = {**hyperparameters, "serving": serving(job)}
    else:
        dataset = job.input()
        sources.insert(0, processing_input("dataset", f"s3://{dataset.bucket}/{dataset.key}"))
    request = {
        "ProcessingJobName": name,
        "RoleArn": parameter(job, "roleArn", str),
        "AppSpecification": {
            "ImageUri": released_image(job),
            "ContainerArguments": [parameter(job, "command", str)],
        },
        "ProcessingInputs": sources,
        "ProcessingOutputConfig": {
            "Outputs": [processing_output("report", _report_url(name))],
            **output_key(job),
        },
        "ProcessingResources": {"ClusterConfig": cluster(job)},
        "NetworkConfig": network(job),
        # A variable has at most 256 characters, so each hyperparameter has one of its own.
        "Environment": {
            f"SM_HP_{key.upper()}": str(value) for key, value in hyperparameters.items()
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": parameter(job, "maxRuntimeSeconds", int)},
        "Tags": tags(job),
    }
    created(sagemaker.create_processing_job, request)
    return _still_running(name, "started")


def _nothing(why: str) -> Succeeded:
    said = f"not rehearsed: {why}"
    return Succeeded(
        summary=said,
        external_id="none",
        # A variable has a value.
        variables={"ReportUrl": NO_REPORT, "Verdict": said},
    )


def _captures(job: Job, name: str) -> dict[str, Any] | None:
    """Return the input of the newest captures, whose manifest is written; None without any."""
    uri, s3 = parameter(job, "captures", str), boto3.client("s3")
    keys = newest_captures(s3, uri)
    if not keys:
        return None
    place = f"{_report_url(name)}/{MANIFEST_FILE}"
    bucket, _, key = place.removeprefix("s3://").partition("/")
    s3.put_object(Bucket=bucket, Key=key, Body=manifest(uri, keys).encode())
    return processing_input("captures", place, "ManifestFile")


def _champion(job: Job, sagemaker: Any) -> dict[str, str]:
    """Return what the command needs of the newest approved version of the model, if there is one.

    The parameter ``champion`` says what that is: its ``baseline`` or its ``model``.
    """
    wanted = parameter(job, "champion", str)
    if wanted not in ("baseline", "model"):
        raise ConfigurationError(f"champion is {wanted!r}; it must be baseline or model")
    newest = next(versions(sagemaker, parameter(job, "modelName", str), "Approved"), None)
    if newest is None:
        return {}
    package = sagemaker.describe_model_package(ModelPackageName=newest["ModelPackageArn"])
    uri = container_of(package).get("ModelDataUrl") if wanted == "model" else baseline_of(package)
    return {"champion": uri} if uri else {}


def _reference(job: Job, sagemaker: Any) -> dict[str, str]:
    """Return the frozen reference set that the newest approved version which names one names."""
    approved = versions(sagemaker, parameter(job, "modelName", str), "Approved")
    for summary in islice(approved, MOST_VERSIONS):
        package = sagemaker.describe_model_package(ModelPackageName=summary["ModelPackageArn"])
        url = package.get("CustomerMetadataProperties", {}).get("ReferenceUrl")
        if url:
            return {"reference": url}
    return {}


def _report_url(name: str) -> str:
    return f"{os.environ['REPORT_OUTPUT']}/{name}"


def _poll(job: Job, continuation: Mapping[str, Any]) -> Succeeded | StillRunning:
    name = continuation.get(_NAME_KEY)
    if not name:
        raise ConfigurationError(f"continuationToken must hold {_NAME_KEY}")
    description = boto3.client("sagemaker").describe_processing_job(ProcessingJobName=name)
    status = description["ProcessingJobStatus"]
    if status in ("InProgress", "Stopping"):
        return _still_running(name, status)
    if status != "Completed":
        reason = description.get("FailureReason", "no reason")
        raise JobError(f"processing job {name} ended as {status}: {reason}")
    said = description.get("ExitMessage", "")
    return Succeeded(
        summary=f"processing job {name} completed: {said}",
        external_id=name,
        variables={
            "ReportUrl": _report_url(name),
            "Verdict": said,
            **_reference_of(description),
        },
    )


def _reference_of(description: Mapping[str, Any]) -> dict[str, str]:
    """Return the variable with the reference set that a job got, if it got one."""
    inputs = description.get("ProcessingInputs", ())
    urls = {one["InputName"]: one["S3Input"]["S3Uri"] for one in inputs}
    return {"ReferenceUrl": urls["reference"]} if "reference" in urls else {}


def _still_running(name: str, progress: str) -> StillRunning:
    return StillRunning(
        summary=f"processing job {name}: {progress}",
        external_id=name,
        continuation={_NAME_KEY: name},
    )
