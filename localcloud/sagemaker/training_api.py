"""The operations on training jobs.

Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeTrainingJob.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from localcloud.aws.errors import ResourceInUse, ValidationError
from localcloud.aws.protocol import operation
from localcloud.aws.routing import Scope
from localcloud.core.store import Collection
from localcloud.core.user_pattern import PatternError, UserPattern
from localcloud.sagemaker.dependencies import check_input, check_role, check_vpc
from localcloud.sagemaker.listing import Order, page_of
from localcloud.sagemaker.model import TrainingJob, TrainingJobStatus
from localcloud.sagemaker.s3_source import SUPPORTED_TYPES
from localcloud.sagemaker.state_changes import StateChangePublisher
from localcloud.sagemaker.tags import Tags, without_tags
from localcloud.sagemaker.training import TrainingEngine
from localcloud.service_context import ServiceContext

# Members that are optional in the model, but required for the jobs that are supported here.
_REQUIRED = ("AlgorithmSpecification", "ResourceConfig", "StoppingCondition")


class TrainingApi:
    """The operations on training jobs."""

    def __init__(self, context: ServiceContext, tags: Tags) -> None:
        self._context = context
        self._tags = tags
        self.jobs = Collection(context.database, "sagemaker-training-job", TrainingJob)
        self._state_changes = StateChangePublisher(context, tags)
        self.listeners: list[Callable[[TrainingJob], None]] = []
        self.engine = TrainingEngine(context, self.jobs, self._changed)

    def _changed(self, job: TrainingJob) -> None:
        for listener in self.listeners:
            listener(job)
        self._state_changes.changed("Training Job", job.arn, describe(job))

    @operation("CreateTrainingJob")
    async def create_training_job(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        name = params["TrainingJobName"]
        arn = scope.arn("sagemaker", f"training-job/{name}".lower())
        self._require_new(arn, name)
        missing = [member for member in _REQUIRED if member not in params]
        if missing:
            raise ValidationError(f"{', '.join(missing)} must be given.")
        check_definition(params)
        self._tags.check(arn, params.get("Tags"))
        await check_dependencies(self._context, scope, params)
        self._require_new(arn, name)
        now = self._context.clock.now()
        job = TrainingJob(arn=arn, name=name, request=params, created=now, modified=now)
        self._tags.add(arn, params.get("Tags"))
        self.engine.start(job)
        return {"TrainingJobArn": arn}

    @operation("DescribeTrainingJob")
    def describe_training_job(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        return describe(self._job(scope, params["TrainingJobName"]))

    @operation("StopTrainingJob")
    def stop_training_job(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        job = self._job(scope, params["TrainingJobName"])
        if job.status is not TrainingJobStatus.IN_PROGRESS:
            raise ValidationError(
                f"The request was rejected because the training job is in status {job.status}."
            )
        self.engine.stop(job)
        return {}

    @operation("ListTrainingJobs")
    def list_training_jobs(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        # Warm pools and training plans are not supported.
        asked = [key for key in ("WarmPoolStatusEquals", "TrainingPlanArnEquals") if key in params]
        jobs, more = page_of(self.jobs, scope, params, Order(descending=False))
        if asked:
            jobs, more = [], {}
        return {
            "TrainingJobSummaries": [
                {
                    "TrainingJobName": job.name,
                    "TrainingJobArn": job.arn,
                    "CreationTime": job.created,
                    "TrainingEndTime": job.training_end,
                    "LastModifiedTime": job.modified,
                    "TrainingJobStatus": job.status,
                    "SecondaryStatus": job.transitions[-1].status,
                }
                for job in jobs
            ],
            **more,
        }

    def _require_new(self, arn: str, name: str) -> None:
        if arn in self.jobs:
            raise ResourceInUse(
                "Training job names must be unique within an AWS account and "
                f"region, and a job named {name} already exists."
            )

    def _job(self, scope: Scope, name: str) -> TrainingJob:
        job = self.jobs.get(scope.arn("sagemaker", f"training-job/{name}".lower()))
        if job is None:
            raise ValidationError("Requested resource not found.")
        return job


async def check_dependencies(
    context: ServiceContext, scope: Scope, definition: dict[str, Any]
) -> None:
    """Refuse a training job whose role cannot be assumed, or whose input is not there.

    Raises:
        ValidationError: names the role or the input.
    """
    role_arn = definition["RoleArn"]
    await check_role(context, role_arn)
    for channel in definition.get("InputDataConfig", []):
        await check_input(context, scope, role_arn, channel["DataSource"]["S3DataSource"])


def check_definition(params: dict[str, Any]) -> None:
    """Refuse the features that are not supported here.

    Raises:
        ValidationError: names the feature.
    """
    needed = ("AlgorithmSpecification", "ResourceConfig", "StoppingCondition")
    missing = [name for name in needed if not params.get(name)]
    if missing:
        raise ValidationError(
            f"{', '.join(missing)} must be given: "
            "localcloud runs a training job in a container of its own."
        )
    check_vpc(params)
    algorithm = params["AlgorithmSpecification"]
    if not algorithm.get("TrainingImage"):
        raise ValidationError(
            "AlgorithmSpecification.TrainingImage is required: the local cloud does not have "
            "AWS's built-in algorithms."
        )
    if params.get("OutputDataConfig", {}).get("CompressionType") == "NONE":
        raise ValidationError("OutputDataConfig.CompressionType NONE is not supported; use GZIP.")
    modes = [algorithm["TrainingInputMode"]]
    modes += [channel.get("InputMode") for channel in params.get("InputDataConfig", [])]
    if "Pipe" in modes:
        raise ValidationError("Input mode Pipe is not supported; use File or FastFile.")
    for definition in algorithm.get("MetricDefinitions", []):
        try:
            groups = UserPattern(definition["Regex"]).groups
        except PatternError as error:
            raise ValidationError(
                f"Metric {definition['Name']} has an invalid regex: {error}."
            ) from None
        if not groups:
            raise ValidationError(f"The regex of metric {definition['Name']} has no group.")
    for channel in params.get("InputDataConfig", []):
        name = channel["ChannelName"]
        source = channel["DataSource"].get("S3DataSource")
        if source is None:
            raise ValidationError(f"Channel {name}: only an S3DataSource is supported.")
        if source["S3DataType"] not in SUPPORTED_TYPES:
            raise ValidationError(
                f"Channel {name}: S3DataType {source['S3DataType']} is not supported; "
                f"use {' or '.join(SUPPORTED_TYPES)}."
            )


def describe(job: TrainingJob) -> dict[str, Any]:
    """Return a job in the shape of DescribeTrainingJob."""
    end = job.training_end
    result: dict[str, Any] = {
        **without_tags(job.request),
        "EnableNetworkIsolation": job.request.get("EnableNetworkIsolation", False),
        "TrainingJobArn": job.arn,
        "TuningJobArn": job.tuning_job_arn,
        "TrainingJobStatus": job.status,
        "SecondaryStatus": job.transitions[-1].status,
        "FailureReason": job.failure_reason,
        "CreationTime": job.created,
        "LastModifiedTime": job.modified,
        "TrainingStartTime": job.training_start,
        "TrainingEndTime": end,
        "SecondaryStatusTransitions": [
            {
                "Status": step.status,
                "StartTime": step.start,
                "EndTime": step.end,
                "StatusMessage": step.message,
            }
            for step in job.transitions
        ],
    }
    if job.model_artifacts:
        result["ModelArtifacts"] = {"S3ModelArtifacts": job.model_artifacts}
    if job.metrics:
        result["FinalMetricDataList"] = [
            {"MetricName": m.name, "Value": m.value, "Timestamp": m.timestamp}
            for m in job.metrics.values()
        ]
    if end is not None and job.training_start is not None:
        seconds = max(int((end - job.training_start).total_seconds()), 1)
        result |= {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds}
    return result
