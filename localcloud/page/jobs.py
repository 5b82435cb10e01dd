"""The section `jobs`: the newest training, tuning, processing and transform jobs."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

from localcloud.aws.routing import Scope
from localcloud.core.store import Collection
from localcloud.sagemaker.jobs import Job, TuningJob
from localcloud.sagemaker.model import TrainingJob
from localcloud.sagemaker.tuning import objective_of

if TYPE_CHECKING:
    from localcloud.sagemaker.service import SageMakerService

T = TypeVar("T", bound=TrainingJob | Job)
_MOST = 20
_MOST_CANDIDATES = 50


def jobs(service: SageMakerService, scope: Scope) -> dict[str, Any]:
    """Return the newest jobs of each kind, the newest first."""
    kinds = {
        "training": _newest(service.training.jobs, scope, "training-job/"),
        "processing": _newest(service.processing.jobs, scope, "processing-job/"),
        "tuning": _newest(service.tuning.jobs, scope, "hyper-parameter-tuning-job/"),
        "transform": _newest(service.transform.jobs, scope, "transform-job/"),
    }
    found: dict[str, Any] = {
        kind: {"count": count, "items": [_job(kind, job) for job in newest]}
        for kind, (count, newest) in kinds.items()
    }
    for shown, job in zip(found["tuning"]["items"], kinds["tuning"][1], strict=True):
        shown |= _tuning(job, service.training.jobs, scope)
    return found


def _newest(records: Collection[T], scope: Scope, kind: str) -> tuple[int, list[Any]]:
    prefix = scope.arn("sagemaker", kind)
    mine = [job for job in records.values() if job.arn.startswith(prefix)]
    return len(mine), heapq.nlargest(_MOST, mine, key=attrgetter("created"))


def _job(kind: str, job: TrainingJob | Job) -> dict[str, Any]:
    if isinstance(job, TrainingJob):
        times = {"started": job.training_start, "ended": job.training_end, **_training(job)}
    else:
        times = {"started": job.started, "ended": job.ended}
    return {
        "name": job.name,
        "arn": job.arn,
        "status": job.status,
        "created": job.created,
        "failure": job.failure_reason,
        "message": getattr(job, "exit_message", None),
        "logGroup": _GROUPS.get(kind),
        **times,
    }


_GROUPS = {
    "training": "/aws/sagemaker/TrainingJobs",
    "processing": "/aws/sagemaker/ProcessingJobs",
    "transform": "/aws/sagemaker/TransformJobs",
}


def _training(job: TrainingJob) -> dict[str, Any]:
    return {
        "secondary": [
            {"status": step.status, "start": step.start, "end": step.end}
            for step in job.transitions
        ],
        "metrics": {metric.name: metric.value for metric in job.metrics.values()},
        "hyperparameters": job.request.get("HyperParameters", {}),
        "artifacts": job.model_artifacts,
        "tuningJob": job.tuning_job_arn,
    }


def _tuning(job: TuningJob, training: Collection[TrainingJob], scope: Scope) -> dict[str, Any]:
    objective = objective_of(job.request).get("MetricName", "")
    children: Iterable[TrainingJob | None] = (
        training.get(scope.arn("sagemaker", f"training-job/{name}".lower()))
        for name in job.children[-_MOST_CANDIDATES:]
    )
    return {
        "objective": objective,
        "children": len(job.children),
        "candidates": [
            {
                "name": child.name,
                "status": child.status,
                "value": child.metrics[objective].value if objective in child.metrics else None,
                "hyperparameters": job.candidates.get(child.name, {}),
            }
            for child in children
            if child is not None
        ],
    }
