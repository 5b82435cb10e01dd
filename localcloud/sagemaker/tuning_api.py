"""The operations on hyperparameter tuning jobs.

Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateHyperParameterTuningJob.html
Differs: supports the strategies Random, Grid and Bayesian, which draws at random. Hyperband, warm
starts, several definitions and Autotune are refused by name.
"""

from __future__ import annotations

from typing import Any

from localcloud.aws.errors import ResourceInUse, ResourceNotFound, ValidationError
from localcloud.aws.protocol import operation
from localcloud.aws.routing import Scope
from localcloud.core.store import Collection
from localcloud.sagemaker.jobs import JobStatus, TuningJob
from localcloud.sagemaker.listing import Order, page, page_of
from localcloud.sagemaker.model import TrainingJob, TrainingJobStatus
from localcloud.sagemaker.state_changes import StateChangePublisher
from localcloud.sagemaker.tags import Tags, without_tags
from localcloud.sagemaker.training_api import TrainingApi, check_definition, check_dependencies
from localcloud.sagemaker.tuning import (
    TuningEngine,
    objective_of,
    objective_value,
    parameter_ranges,
    resources_of,
)
from localcloud.sagemaker.tuning_plan import Choice, combinations, ranges_of
from localcloud.service_context import ServiceContext

_BY_NAME = Order("Name", descending=False)
_REFUSED = ("TrainingJobDefinitions", "WarmStartConfig", "Autotune")
_COUNTERS = {
    TrainingJobStatus.COMPLETED: "Completed",
    TrainingJobStatus.IN_PROGRESS: "InProgress",
    TrainingJobStatus.STOPPING: "InProgress",
    TrainingJobStatus.FAILED: "NonRetryableError",
    TrainingJobStatus.STOPPED: "Stopped",
}


class TuningApi:
    """The operations on hyperparameter tuning jobs."""

    def __init__(self, context: ServiceContext, tags: Tags, training: TrainingApi) -> None:
        self._context = context
        self._tags = tags
        self._state_changes = StateChangePublisher(context, tags)
        self.jobs = Collection(context.database, "sagemaker-tuning-job", TuningJob)
        self.engine = TuningEngine(context, tags, self.jobs, training, self._changed)

    def _changed(self, job: TuningJob) -> None:
        self._state_changes.changed("HyperParameter Tuning Job", job.arn, self.describe(job))

    @operation("CreateHyperParameterTuningJob")
    async def create_tuning_job(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        name = params["HyperParameterTuningJobName"]
        arn = scope.arn("sagemaker", f"hyper-parameter-tuning-job/{name}".lower())
        self._require_new(arn, name)
        problems = _problems(params)
        if problems:
            raise ValidationError(" ".join(problems))
        check_definition(params["TrainingJobDefinition"])
        self._tags.check(arn, params.get("Tags"))
        await check_dependencies(self._context, scope, params["TrainingJobDefinition"])
        self._require_new(arn, name)
        now = self._context.clock.now()
        job = TuningJob(arn, name, params, now, now)
        self._tags.add(arn, params.get("Tags"))
        self.engine.start(job)
        return {"HyperParameterTuningJobArn": arn}

    def _require_new(self, arn: str, name: str) -> None:
        if arn in self.jobs:
            raise ResourceInUse(
                "Hyperparameter tuning job names must be unique within an AWS account and region, "
                f"and a job named {name} already exists."
            )

    @operation("DescribeHyperParameterTuningJob")
    def describe_tuning_job(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        return self.describe(self._job(scope, params["HyperParameterTuningJobName"]))

    @operation("ListHyperParameterTuningJobs")
    def list_tuning_jobs(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        jobs, more = page_of(self.jobs, scope, params, _BY_NAME)
        summaries = []
        for job in jobs:
            described = self.describe(job)
            config = described["HyperParameterTuningJobConfig"]
            kept = {
                key: described.get(key)
                for key in (
                    *("HyperParameterTuningJobName", "HyperParameterTuningJobArn"),
                    *("HyperParameterTuningJobStatus", "CreationTime", "LastModifiedTime"),
                    *("HyperParameterTuningEndTime", "TrainingJobStatusCounters"),
                    "ObjectiveStatusCounters",
                )
            }
            limits = {"Strategy": config["Strategy"], "ResourceLimits": config["ResourceLimits"]}
            summaries.append(kept | limits)
        return {"HyperParameterTuningJobSummaries": summaries, **more}

    @operation("ListTrainingJobsForHyperParameterTuningJob")
    def list_training_jobs(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        job = self._job(scope, params["HyperParameterTuningJobName"])
        children = self.engine.children(job)
        values = {child.name: objective_value(job, child) for child in children}
        if params.get("SortBy") == "FinalObjectiveMetricValue":
            children = [child for child in children if values[child.name] is not None]
        keys = {"FinalObjectiveMetricValue": lambda child: values[child.name]}
        order = Order("Name", descending=False, keys=keys)
        shown, more = page(children, scope, params, order)
        return {"TrainingJobSummaries": [self._summary(job, child) for child in shown], **more}

    @operation("StopHyperParameterTuningJob")
    def stop_tuning_job(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        job = self._job(scope, params["HyperParameterTuningJobName"])
        if job.status is not JobStatus.IN_PROGRESS:
            raise ValidationError(
                f"The request was rejected because the tuning job is in status {job.status}."
            )
        self.engine.stop(job)
        return {}

    def describe(self, job: TuningJob) -> dict[str, Any]:
        """Return a job in the shape of DescribeHyperParameterTuningJob."""
        statuses = dict.fromkeys(
            ("Completed", "InProgress", "RetryableError", "NonRetryableError", "Stopped"), 0
        )
        objectives = {"Succeeded": 0, "Pending": 0, "Failed": 0}
        for child in self.engine.children(job):
            statuses[_COUNTERS[child.status]] += 1
            objectives[_objective_status(job, child)] += 1
        best = self.engine.best(job)
        result = {
            **without_tags(job.request),
            "HyperParameterTuningJobArn": job.arn,
            "HyperParameterTuningJobStatus": job.status,
            "FailureReason": job.failure_reason,
            "CreationTime": job.created,
            "LastModifiedTime": job.modified,
            "HyperParameterTuningEndTime": job.ended,
            "TrainingJobStatusCounters": statuses,
            "ObjectiveStatusCounters": objectives,
            "ConsumedResources": {
                "RuntimeInSeconds": round(
                    ((job.ended or self._context.clock.now()) - job.created).total_seconds()
                )
            },
        }
        if best is not None:
            result["BestTrainingJob"] = self._summary(job, best)
        if job.ended is not None:
            result["TuningJobCompletionDetails"] = {
                "NumberOfTrainingJobsObjectiveNotImproving": job.not_improving
            }
        return result

    def _summary(self, job: TuningJob, child: TrainingJob) -> dict[str, Any]:
        summary: dict[str, Any] = {
            "TrainingJobName": child.name,
            "TrainingJobArn": child.arn,
            "CreationTime": child.created,
            "TrainingStartTime": child.training_start,
            "TrainingEndTime": child.training_end,
            "TrainingJobStatus": child.status,
            "TunedHyperParameters": job.candidates[child.name],
            "FailureReason": child.failure_reason,
            "ObjectiveStatus": _objective_status(job, child),
        }
        name = job.request["TrainingJobDefinition"].get("DefinitionName")
        if name is not None:
            summary["TrainingJobDefinitionName"] = name
        value = objective_value(job, child)
        if value is not None:
            summary["FinalHyperParameterTuningJobObjectiveMetric"] = {
                **objective_of(job.request),
                "Value": value,
            }
        return summary

    def _job(self, scope: Scope, name: str) -> TuningJob:
        job = self.jobs.get(scope.arn("sagemaker", f"hyper-parameter-tuning-job/{name}".lower()))
        if job is None:
            raise ResourceNotFound(
                f"Amazon SageMaker can't find a tuning job with the name {name}.",
                "ResourceNotFound",
            )
        return job


def _objective_status(job: TuningJob, child: TrainingJob) -> str:
    if _COUNTERS[child.status] == "InProgress":
        return "Pending"
    return "Failed" if objective_value(job, child) is None else "Succeeded"


def _problems(params: dict[str, Any]) -> list[str]:
    """Return every problem of a request, including unsupported features."""
    refused = [name for name in _REFUSED if params.get(name)]
    if refused:
        return [f"The local cloud does not support {', '.join(refused)} of a tuning job."]
    definition = params.get("TrainingJobDefinition")
    if definition is None:
        return ["TrainingJobDefinition is required."]
    config, found = params["HyperParameterTuningJobConfig"], []
    strategy, limits = config["Strategy"], config["ResourceLimits"]
    if strategy == "Hyperband":
        found.append("Strategy Hyperband is not supported; use Random, Grid or Bayesian.")
    criteria = config.get("TuningJobCompletionCriteria", {})
    convergence = criteria.get("ConvergenceDetected", {})
    if convergence.get("CompleteOnConvergence") == "Enabled":
        found.append("ConvergenceDetected is not supported.")
    ranges, problems = ranges_of(parameter_ranges(params))
    found += problems
    if not ranges and not problems:
        found.append("ParameterRanges must have at least one range.")
    static = definition.get("StaticHyperParameters", {})
    found += [f"{r.name} is both tuned and static." for r in ranges if r.name in static]
    most = limits.get("MaxNumberOfTrainingJobs")
    if strategy == "Grid":
        if not all(isinstance(each, Choice) for each in ranges):
            found.append("Strategy Grid supports CategoricalParameterRanges only.")
        elif most not in (None, combinations(ranges)):
            found.append(
                f"MaxNumberOfTrainingJobs is {most}, but the grid has {combinations(ranges)} "
                "combinations; leave it out."
            )
    elif most is None:
        found.append(f"Strategy {strategy} requires MaxNumberOfTrainingJobs.")
    if not resources_of(definition):
        found.append("ResourceConfig or HyperParameterTuningResourceConfig must be given.")
    return found + _objective_problems(params, definition)


def _objective_problems(params: dict[str, Any], definition: dict[str, Any]) -> list[str]:
    objective = objective_of(params)
    if not objective:
        return ["HyperParameterTuningJobObjective must be given."]
    metrics = definition["AlgorithmSpecification"].get("MetricDefinitions", [])
    names = [metric["Name"] for metric in metrics]
    if objective["MetricName"] in names:
        return []
    return [
        f"The objective {objective['MetricName']} is not among the MetricDefinitions: "
        f"{', '.join(names) or 'there are no definitions'}."
    ]
