"""Transform and tuning jobs, and the transitions that are legal.

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
    """Status of a transform or a tuning job."""

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
    """What a transform job and a tuning job have in common."""

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
        """Return whether it was asked to end and has not yet."""
        return self.status is JobStatus.STOPPING

    def move(self, status: JobStatus, now: datetime) -> None:
        """Change the status.

        Raises:
            IllegalTransition: the table has no such step.
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
class TuningJob(Job):
    """One hyperparameter tuning job.

    Attributes:
        children: names of its training jobs, in their order.
        candidates: what each of them was given of what is tuned.
        not_improving: training jobs since the best one, when the job ended.
    """

    children: list[str] = field(default_factory=list)
    candidates: dict[str, dict[str, str]] = field(default_factory=dict)
    not_improving: int = 0
