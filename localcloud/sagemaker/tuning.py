"""The engine of tuning jobs: starts training jobs, as many at once as the job allows.

    decide ─► start training jobs ─► wait until one changes ─► decide …

Its training jobs are ordinary ones. After a restart the job continues; the training engine has
failed the training jobs that were running.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning.html
Differs: MaxRuntimeInSeconds is in wall-clock seconds, because the processes really compute.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable
from typing import Any

from localcloud.aws.routing import scope_of_arn
from localcloud.core.clock import monotonic
from localcloud.core.store import Collection
from localcloud.sagemaker.jobs import JobStatus, TuningJob
from localcloud.sagemaker.model import TrainingJob, TrainingJobStatus
from localcloud.sagemaker.tags import Tags
from localcloud.sagemaker.training_api import TrainingApi
from localcloud.sagemaker.tuning_plan import (
    Goal,
    Outcome,
    best_of,
    candidate,
    combinations,
    decide,
    not_improving,
    ranges_of,
)
from localcloud.service_context import ServiceContext

log = logging.getLogger("localcloud.sagemaker")

# The members of the definition that are passed on to the training jobs unchanged.
_TAKEN = (
    *("RoleArn", "InputDataConfig", "VpcConfig", "OutputDataConfig", "StoppingCondition"),
    *("EnableNetworkIsolation", "EnableInterContainerTrafficEncryption", "CheckpointConfig"),
    *("EnableManagedSpotTraining", "RetryStrategy", "Environment"),
)
_RUNNING = (TrainingJobStatus.IN_PROGRESS, TrainingJobStatus.STOPPING)
# The interval after which a change without a notification is noticed.
_LOOK_SECONDS = 5.0


class TuningEngine:
    """Runs each job as a task.

    Args:
        changed: called with a job after each change.
    """

    def __init__(
        self,
        context: ServiceContext,
        tags: Tags,
        jobs: Collection[TuningJob],
        training: TrainingApi,
        changed: Callable[[TuningJob], None],
    ) -> None:
        self._context = context
        self._tags = tags
        self._jobs = jobs
        self._training = training
        self._changed = changed
        self._wakes: dict[str, asyncio.Event] = {}
        training.listeners.append(self._on_training)

    def resume(self) -> None:
        """Continue the running jobs, and end the stopping ones, after a restart."""
        for job in self._jobs.values():
            if job.status in (JobStatus.IN_PROGRESS, JobStatus.STOPPING):
                self._context.spawn(f"tuning {job.name}", self._run(job))

    def start(self, job: TuningJob) -> None:
        """Start a job."""
        self._put(job)
        self._context.spawn(f"tuning {job.name}", self._run(job))

    def stop(self, job: TuningJob) -> None:
        """Stop a running job and its training jobs."""
        self._move(job, JobStatus.STOPPING)
        wake = self._wakes.get(job.arn)
        if wake is not None:
            wake.set()

    def children(self, job: TuningJob) -> list[TrainingJob]:
        """Return the training jobs of a tuning job, in order."""
        scope = scope_of_arn(job.arn)
        arns = [scope.arn("sagemaker", f"training-job/{name}".lower()) for name in job.children]
        return [child for arn in arns if (child := self._training.jobs.get(arn)) is not None]

    def best(self, job: TuningJob) -> TrainingJob | None:
        """Return the best training job so far."""
        found = best_of(goal_of(job), self.outcomes(job))
        return next((c for c in self.children(job) if found and c.name == found.name), None)

    def outcomes(self, job: TuningJob) -> list[Outcome]:
        """Return the outcomes of a job's training jobs."""
        return [
            Outcome(child.name, child.status in _RUNNING, objective_value(job, child))
            for child in self.children(job)
        ]

    def _on_training(self, child: TrainingJob) -> None:
        wake = self._wakes.get(child.tuning_job_arn or "")
        if wake is not None:
            wake.set()

    async def _run(self, job: TuningJob) -> None:
        wake = self._wakes[job.arn] = asyncio.Event()
        try:
            failure = await self._steps(job, wake)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("tuning job %s", job.name)
            failure = f"InternalServerError: {error}"
        finally:
            self._wakes.pop(job.arn, None)
        job.not_improving = not_improving(goal_of(job), self.outcomes(job))
        if job.stopping:
            self._move(job, JobStatus.STOPPED)
            return
        job.failure_reason = failure[:1024] or None
        self._move(job, JobStatus.FAILED if failure else JobStatus.COMPLETED)

    async def _steps(self, job: TuningJob, wake: asyncio.Event) -> str:
        """Start training jobs until the job is finished; return its FailureReason or ''."""
        goal = goal_of(job)
        limits = job.request["HyperParameterTuningJobConfig"]["ResourceLimits"]
        seconds = limits.get("MaxRuntimeInSeconds")
        deadline = None if seconds is None else monotonic() + seconds
        failure = ""
        while not job.stopping and (deadline is None or monotonic() < deadline):
            wake.clear()
            decision = decide(goal, self.outcomes(job))
            if decision.finished:
                failure = decision.failure
                break
            for _ in range(decision.start):
                self._begin(job)
            await _woken(wake)
        for child in self.children(job):
            if child.status is TrainingJobStatus.IN_PROGRESS:
                self._training.engine.stop(child)
        while any(child.status in _RUNNING for child in self.children(job)):
            wake.clear()
            await _woken(wake)
        return failure

    def _begin(self, job: TuningJob) -> None:
        """Start the next training job."""
        config, definition = (
            job.request["HyperParameterTuningJobConfig"],
            job.request["TrainingJobDefinition"],
        )
        index = len(job.children)
        ranges, _ = ranges_of(parameter_ranges(job.request))
        seed = config.get("RandomSeed", round(job.created.timestamp()))
        tried = list(job.candidates.values())
        tuned = candidate(config["Strategy"], ranges, seed, index, tried)
        digest = hashlib.sha256(f"{job.arn}/{job.created}/{index}".encode()).hexdigest()[:8]
        name = f"{job.name}-{index + 1:03d}-{digest}"
        now = self._context.clock.now()
        arn = scope_of_arn(job.arn).arn("sagemaker", f"training-job/{name}".lower())
        request = {
            **{key: definition[key] for key in _TAKEN if key in definition},
            "TrainingJobName": name,
            "AlgorithmSpecification": definition["AlgorithmSpecification"],
            "ResourceConfig": resources_of(definition),
            "HyperParameters": {
                **definition.get("StaticHyperParameters", {}),
                **tuned,
                "_tuning_objective_metric": objective_of(job.request)["MetricName"],
            },
        }
        job.children.append(name)
        job.candidates[name] = tuned
        child = TrainingJob(
            arn=arn,
            name=name,
            request=request,
            created=now,
            modified=now,
            tuning_job_arn=job.arn,
        )
        self._tags.add(arn, self._tags.of(job.arn))
        self._training.engine.start(child)
        self._put(job)

    def _move(self, job: TuningJob, status: JobStatus) -> None:
        job.move(status, self._context.clock.now())
        self._put(job)

    def _put(self, job: TuningJob) -> None:
        self._jobs.put(job.arn, job)
        self._changed(job)


async def _woken(wake: asyncio.Event) -> None:
    try:
        await asyncio.wait_for(wake.wait(), _LOOK_SECONDS)
    except TimeoutError:
        return


def objective_of(request: dict[str, Any]) -> dict[str, str]:
    """Return the objective of a tuning job, with Type and MetricName."""
    config = request["HyperParameterTuningJobConfig"]
    found: dict[str, str] = (
        config.get("HyperParameterTuningJobObjective")
        or request["TrainingJobDefinition"].get("TuningObjective")
        or {}
    )
    return found


def parameter_ranges(request: dict[str, Any]) -> dict[str, Any]:
    """Return the ParameterRanges of a tuning job."""
    found: dict[str, Any] = (
        request["HyperParameterTuningJobConfig"].get("ParameterRanges")
        or request["TrainingJobDefinition"].get("HyperParameterRanges")
        or {}
    )
    return found


def resources_of(definition: dict[str, Any]) -> dict[str, Any]:
    """Return the ResourceConfig of a definition's training jobs."""
    if "ResourceConfig" in definition:
        given: dict[str, Any] = definition["ResourceConfig"]
        return given
    tuning = definition.get("HyperParameterTuningResourceConfig", {})
    first = (tuning.get("InstanceConfigs") or [{}])[0]
    members = ("InstanceType", "InstanceCount", "VolumeSizeInGB", "VolumeKmsKeyId")
    return {key: {**tuning, **first}[key] for key in members if key in {**tuning, **first}}


def goal_of(job: TuningJob) -> Goal:
    """Return the goal of a job."""
    config = job.request["HyperParameterTuningJobConfig"]
    limits, criteria = config["ResourceLimits"], config.get("TuningJobCompletionCriteria", {})
    patience = criteria.get("BestObjectiveNotImproving", {})
    most = limits.get("MaxNumberOfTrainingJobs")
    if config["Strategy"] == "Grid":
        most = combinations(ranges_of(parameter_ranges(job.request))[0])
    return Goal(
        maximize=objective_of(job.request)["Type"] == "Maximize",
        most=most,
        parallel=limits["MaxParallelTrainingJobs"],
        target=criteria.get("TargetObjectiveMetricValue"),
        patience=patience.get("MaxNumberOfTrainingJobsNotImproving"),
    )


def objective_value(job: TuningJob, child: TrainingJob) -> float | None:
    """Return the objective's value of a completed training job, or None."""
    metric = child.metrics.get(objective_of(job.request)["MetricName"])
    if metric is None or child.status is not TrainingJobStatus.COMPLETED:
        return None
    return metric.value
