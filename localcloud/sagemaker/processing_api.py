"""The operations on processing jobs.

Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateProcessingJob.html
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from localcloud.aws.errors import ResourceInUse, ValidationError
from localcloud.aws.protocol import operation
from localcloud.aws.routing import Scope
from localcloud.core.store import Collection
from localcloud.sagemaker.dependencies import check_input, check_role
from localcloud.sagemaker.jobs import JobStatus, ProcessingJob
from localcloud.sagemaker.listing import page_of
from localcloud.sagemaker.processing import DEFAULT_SECONDS, ProcessingEngine
from localcloud.sagemaker.s3_source import SUPPORTED_TYPES
from localcloud.sagemaker.state_changes import StateChangePublisher
from localcloud.sagemaker.tags import Tags, without_tags
from localcloud.service_context import ServiceContext

_LOCAL = "/opt/ml/processing"
# More processes than that are not started on this machine for one job.
_MOST_INSTANCES = 20


class ProcessingApi:
    """The operations on processing jobs."""

    def __init__(self, context: ServiceContext, tags: Tags) -> None:
        self._context = context
        self._tags = tags
        self._state_changes = StateChangePublisher(context, tags)
        self.jobs = Collection(context.database, "sagemaker-processing-job", ProcessingJob)
        self.engine = ProcessingEngine(context, self.jobs, self._changed)

    def _changed(self, job: ProcessingJob) -> None:
        self._state_changes.changed("Processing Job", job.arn, describe(job))

    @operation("CreateProcessingJob")
    async def create_processing_job(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        name = params["ProcessingJobName"]
        arn = scope.arn("sagemaker", f"processing-job/{name}".lower())
        self._require_new(arn, name)
        problems = _problems(params)
        if problems:
            raise ValidationError(" ".join(problems))
        self._tags.check(arn, params.get("Tags"))
        await check_role(self._context, params["RoleArn"])
        for given in params.get("ProcessingInputs", []):
            await check_input(self._context, scope, params["RoleArn"], given["S3Input"])
        self._require_new(arn, name)
        now = self._context.clock.now()
        condition = {"StoppingCondition": {"MaxRuntimeInSeconds": DEFAULT_SECONDS}}
        job = ProcessingJob(arn, name, condition | params, now, now)
        self._tags.add(arn, params.get("Tags"))
        self.engine.start(job)
        return {"ProcessingJobArn": arn}

    @operation("DescribeProcessingJob")
    def describe_processing_job(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        return describe(self._job(scope, params["ProcessingJobName"]))

    @operation("ListProcessingJobs")
    def list_processing_jobs(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        jobs, more = page_of(self.jobs, scope, params)
        return {
            "ProcessingJobSummaries": [
                {
                    "ProcessingJobName": job.name,
                    "ProcessingJobArn": job.arn,
                    "CreationTime": job.created,
                    "ProcessingEndTime": job.ended,
                    "LastModifiedTime": job.modified,
                    "ProcessingJobStatus": job.status,
                    "FailureReason": job.failure_reason,
                    "ExitMessage": job.exit_message,
                }
                for job in jobs
            ],
            **more,
        }

    @operation("StopProcessingJob")
    def stop_processing_job(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        job = self._job(scope, params["ProcessingJobName"])
        if job.status is not JobStatus.IN_PROGRESS:
            raise ValidationError(
                f"The request was rejected because the processing job is in status {job.status}."
            )
        self.engine.stop(job)
        return {}

    def _require_new(self, arn: str, name: str) -> None:
        if arn in self.jobs:
            raise ResourceInUse(
                "Processing job names must be unique within an AWS account and region, and a job "
                f"named {name} already exists."
            )

    def _job(self, scope: Scope, name: str) -> ProcessingJob:
        job = self.jobs.get(scope.arn("sagemaker", f"processing-job/{name}".lower()))
        if job is None:
            raise ValidationError(f"Could not find requested job with name: {name}.")
        return job


def describe(job: ProcessingJob) -> dict[str, Any]:
    """Return a job in the shape of DescribeProcessingJob."""
    return {
        **without_tags(job.request),
        "ProcessingJobArn": job.arn,
        "ProcessingJobStatus": job.status,
        "ExitMessage": job.exit_message,
        "FailureReason": job.failure_reason,
        "CreationTime": job.created,
        "LastModifiedTime": job.modified,
        "ProcessingStartTime": job.started,
        "ProcessingEndTime": job.ended,
    }


def _problems(params: dict[str, Any]) -> list[str]:
    """Return every problem of a request, including unsupported features."""
    found: list[str] = []
    cluster = params["ProcessingResources"]["ClusterConfig"]
    count = cluster.get("InstanceCount")
    if "InstancePreferences" in cluster:
        found.append("InstancePreferences of a processing job are not supported.")
    elif count is None or "InstanceType" not in cluster:
        found.append("ClusterConfig must have InstanceCount and InstanceType.")
    elif count > _MOST_INSTANCES:
        found.append(
            f"InstanceCount {count}: the local cloud starts at most {_MOST_INSTANCES} instances."
        )
    inputs = params.get("ProcessingInputs", [])
    outputs = params.get("ProcessingOutputConfig", {}).get("Outputs", [])
    found += _duplicates("ProcessingInputs", [given["InputName"] for given in inputs])
    found += _duplicates("Outputs", [output["OutputName"] for output in outputs])
    for given in inputs:
        found += _problems_of_input(given)
    for output in outputs:
        found += _problems_of_output(output)
    if params.get("ExperimentConfig"):
        found.append("ExperimentConfig of a processing job is not supported.")
    return found


def _duplicates(what: str, names: list[str]) -> list[str]:
    return [
        f"{what} has {name} more than once." for name in sorted(set(names)) if names.count(name) > 1
    ]


def _problems_of_input(given: dict[str, Any]) -> list[str]:
    name, source = given["InputName"], given.get("S3Input")
    if given.get("AppManaged"):
        return [f"Input {name}: AppManaged is not supported."]
    if source is None:
        return [f"Input {name}: only an S3Input is supported."]
    found = _problems_of_path(f"Input {name}", source.get("LocalPath"))
    kind = source["S3DataType"]
    if kind not in SUPPORTED_TYPES:
        found.append(
            f"Input {name}: S3DataType {kind} is not supported; use {' or '.join(SUPPORTED_TYPES)}."
        )
    if source.get("S3InputMode", "File") != "File":
        found.append(f"Input {name}: S3InputMode Pipe is not supported; use File.")
    return [*found, *_problems_of_uri(f"Input {name}", source["S3Uri"])]


def _problems_of_output(output: dict[str, Any]) -> list[str]:
    name, target = output["OutputName"], output.get("S3Output")
    if output.get("AppManaged"):
        return [f"Output {name}: AppManaged is not supported."]
    if target is None:
        return [f"Output {name}: only an S3Output is supported."]
    return [
        *_problems_of_path(f"Output {name}", target.get("LocalPath")),
        *_problems_of_uri(f"Output {name}", target["S3Uri"]),
    ]


def _problems_of_path(where: str, path: str | None) -> list[str]:
    if path is None:
        return [f"{where}: LocalPath must be given."]
    parts = PurePosixPath(path).parts
    if ".." in parts or not PurePosixPath(path).is_relative_to(_LOCAL):
        return [f"{where}: LocalPath '{path}' must be in {_LOCAL}."]
    return []


def _problems_of_uri(where: str, uri: str) -> list[str]:
    return [] if uri.startswith("s3://") else [f"{where}: '{uri}' must begin with s3://."]
