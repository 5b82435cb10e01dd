"""The operations on batch transform jobs.

Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTransformJob.html
"""

from __future__ import annotations

from typing import Any

from localcloud.aws.errors import ResourceInUse, ResourceNotFound, ValidationError
from localcloud.aws.protocol import operation
from localcloud.aws.routing import Scope
from localcloud.core.store import Collection
from localcloud.sagemaker.batches import CSV, JSON, JSON_LINES, check_path
from localcloud.sagemaker.hosting import HostingEngine
from localcloud.sagemaker.jobs import JobStatus, TransformJob
from localcloud.sagemaker.listing import page_of
from localcloud.sagemaker.models_api import ModelsApi
from localcloud.sagemaker.s3_source import SUPPORTED_TYPES
from localcloud.sagemaker.state_changes import StateChangePublisher
from localcloud.sagemaker.tags import Tags, without_tags
from localcloud.sagemaker.transform import TransformEngine, processing_of
from localcloud.service_context import ServiceContext

_MOST_MB = 100


class TransformApi:
    """The operations on batch transform jobs."""

    def __init__(
        self, context: ServiceContext, tags: Tags, models: ModelsApi, hosting: HostingEngine
    ) -> None:
        self._context = context
        self._tags = tags
        self._models = models
        self._state_changes = StateChangePublisher(context, tags)
        self.jobs = Collection(context.database, "sagemaker-transform-job", TransformJob)
        self.engine = TransformEngine(context, self.jobs, hosting.builder, self._changed)

    def _changed(self, job: TransformJob) -> None:
        self._state_changes.changed("Transform Job", job.arn, describe(job))

    @operation("CreateTransformJob")
    def create_transform_job(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        name = params["TransformJobName"]
        arn = scope.arn("sagemaker", f"transform-job/{name}".lower())
        if arn in self.jobs:
            raise ResourceInUse(
                "Transform job names must be unique within an AWS account and region, and a job "
                f"named {name} already exists."
            )
        self._models.model(scope, params["ModelName"])
        problems = _problems(params)
        if problems:
            raise ValidationError(" ".join(problems))
        self._tags.check(arn, params.get("Tags"))
        now = self._context.clock.now()
        job = TransformJob(arn, name, params, now, now)
        self._tags.add(arn, params.get("Tags"))
        self.engine.start(job)
        return {"TransformJobArn": arn}

    @operation("DescribeTransformJob")
    def describe_transform_job(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        return describe(self._job(scope, params["TransformJobName"]))

    @operation("ListTransformJobs")
    def list_transform_jobs(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        jobs, more = page_of(self.jobs, scope, params)
        return {
            "TransformJobSummaries": [
                {
                    "TransformJobName": job.name,
                    "TransformJobArn": job.arn,
                    "CreationTime": job.created,
                    "TransformEndTime": job.ended,
                    "LastModifiedTime": job.modified,
                    "TransformJobStatus": job.status,
                    "FailureReason": job.failure_reason,
                }
                for job in jobs
            ],
            **more,
        }

    @operation("StopTransformJob")
    def stop_transform_job(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        job = self._job(scope, params["TransformJobName"])
        if job.status is not JobStatus.IN_PROGRESS:
            raise ValidationError(
                f"The request was rejected because the transform job is in status {job.status}."
            )
        self.engine.stop(job)
        return {}

    def _job(self, scope: Scope, name: str) -> TransformJob:
        job = self.jobs.get(scope.arn("sagemaker", f"transform-job/{name}".lower()))
        if job is None:
            raise ResourceNotFound(
                f"Could not find a transform job with the name {name}.", "ResourceNotFound"
            )
        return job


def describe(job: TransformJob) -> dict[str, Any]:
    """Return a job in the shape of DescribeTransformJob."""
    return {
        **without_tags(job.request),
        "TransformJobArn": job.arn,
        "TransformJobStatus": job.status,
        "FailureReason": job.failure_reason,
        "CreationTime": job.created,
        "TransformStartTime": job.started,
        "TransformEndTime": job.ended,
    }


def _problems(params: dict[str, Any]) -> list[str]:
    """Return every problem of a request, including unsupported features."""
    found: list[str] = []
    given, output = params["TransformInput"], params["TransformOutput"]
    kind = given["DataSource"]["S3DataSource"]["S3DataType"]
    if kind not in SUPPORTED_TYPES:
        found.append(f"S3DataType {kind} is not supported; use {' or '.join(SUPPORTED_TYPES)}.")
    if given.get("SplitType", "None") not in ("None", "Line"):
        found.append(f"SplitType {given['SplitType']} is not supported; use None or Line.")
    if params.get("DataCaptureConfig"):
        found.append("DataCaptureConfig of a transform job is not supported.")
    payload, parallel = params.get("MaxPayloadInMB", 6), params.get("MaxConcurrentTransforms", 0)
    if payload > _MOST_MB or payload * parallel > _MOST_MB:
        found.append(
            f"MaxPayloadInMB is {payload} and MaxConcurrentTransforms {parallel}: neither the "
            f"payload nor their product may be above {_MOST_MB}."
        )
    for uri in (given["DataSource"]["S3DataSource"]["S3Uri"], output["S3OutputPath"]):
        if not uri.startswith("s3://"):
            found.append(f"'{uri}' is not an S3 URI: it must begin with s3://.")
    filters = params.get("DataProcessing")
    if filters:
        found += [
            problem
            for path in (filters.get("InputFilter", "$"), filters.get("OutputFilter", "$"))
            if (problem := check_path(path)) is not None
        ]
        processing = processing_of(params, filters)
        if not processing.idle:
            kinds = {processing.kind, processing.accept}
            if not kinds <= {CSV, JSON, JSON_LINES}:
                found.append(
                    f"DataProcessing reads {CSV}, {JSON} and {JSON_LINES}; the content types are "
                    f"{', '.join(sorted(kinds))}."
                )
            if processing.kind != JSON and given.get("SplitType") != "Line":
                found.append(f"DataProcessing of {processing.kind} requires SplitType Line.")
    return found
