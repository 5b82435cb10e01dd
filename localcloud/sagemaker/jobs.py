"""Records of transform, processing and tuning jobs, and their legal transitions.

    InProgress ──► Completed | Failed
        └────────► Stopping ──► Stopped | Failed

Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeTransformJob.html
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from localcloud.aws.errors import IllegalTransition


class JobStatus(StrEnum):
    """Status of a transform, a processing or a tuning job."""

    IN_PROGRESS = "InProgress"
    STOPPING = "Stopping"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPED = "Stopped"


JOB_TRANSITIONS: dict[JobStatus, frozenset[JobStatus]] = {
    JobStatus.IN_PROGRESS: frozenset({JobStatus.STOPPING, JobStatus.COMPLETED, JobStatus.FAILED}),
    JobStatus.STOPPING: frozenset({JobStatus.STOPPED, JobStatus.FAILED}),
    JobStatus.COMPLETED: frozenset(),
    JobStatus.FAILED: frozenset(),
    JobStatus.STOPPED: frozenset(),
}


@dataclass(slots=True)
class Job:
    """The common part of these jobs."""

    arn: str
    name: str
    request: dict[str, Any]
    created: datetime
    modified: datetime
    status: JobStatus = JobStatus.IN_PROGRESS
    failure_reason: str | None = None
    started: datetime | None = None
    ended: datetime | None = None

    @property
    def stopping(self) -> bool:
        """Return whether the job is stopping."""
        return self.status is JobStatus.STOPPING

    def move(self, status: JobStatus, now: datetime) -> None:
        """Change the status.

        Raises:
            IllegalTransition: the table does not have this transition.
        """
        if status not in JOB_TRANSITIONS[self.status]:
            raise IllegalTransition(f"job {self.name}: {self.status} to {status}")
        self.status = status
        self.modified = now
        if not JOB_TRANSITIONS[status]:
            self.ended = now


@dataclass(slots=True)
class TransformJob(Job):
    """One batch transform job."""


@dataclass(slots=True)
class ProcessingJob(Job):
    """One processing job.

    Attributes:
        exit_message: what the container wrote to /opt/ml/output/message.
    """

    exit_message: str | None = None


@dataclass(slots=True)
class TuningJob(Job):
    """One hyperparameter tuning job.

    Attributes:
        children: the names of its training jobs, in order.
        candidates: the tuned hyperparameters of each of them.
        not_improving: number of training jobs after the best one, when the job ended.
    """

    children: list[str] = field(default_factory=list)
    candidates: dict[str, dict[str, str]] = field(default_factory=dict)
    not_improving: int = 0
