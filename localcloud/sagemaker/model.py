"""Records of SageMaker, and their legal transitions.

    TrainingJob   InProgress ──► Completed | Failed
                      └────────► Stopping ──► Stopped
    Endpoint      Creating ──► InService ◄──► Updating        any ──► Deleting
                      └──► Failed   ▲            │
                 (only Delete)      └─ RollingBack

Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeEndpoint.html
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from localcloud.aws.errors import IllegalTransition


class TrainingJobStatus(StrEnum):
    """Status of a training job."""

    IN_PROGRESS = "InProgress"
    STOPPING = "Stopping"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPED = "Stopped"


class EndpointStatus(StrEnum):
    """Status of an endpoint."""

    CREATING = "Creating"
    UPDATING = "Updating"
    ROLLING_BACK = "RollingBack"
    IN_SERVICE = "InService"
    DELETING = "Deleting"
    FAILED = "Failed"


TRAINING_TRANSITIONS: dict[TrainingJobStatus, frozenset[TrainingJobStatus]] = {
    TrainingJobStatus.IN_PROGRESS: frozenset(
        {TrainingJobStatus.STOPPING, TrainingJobStatus.COMPLETED, TrainingJobStatus.FAILED}
    ),
    TrainingJobStatus.STOPPING: frozenset({TrainingJobStatus.STOPPED, TrainingJobStatus.FAILED}),
    TrainingJobStatus.COMPLETED: frozenset(),
    TrainingJobStatus.FAILED: frozenset(),
    TrainingJobStatus.STOPPED: frozenset(),
}

ENDPOINT_TRANSITIONS: dict[EndpointStatus, frozenset[EndpointStatus]] = {
    EndpointStatus.CREATING: frozenset(
        {EndpointStatus.IN_SERVICE, EndpointStatus.FAILED, EndpointStatus.DELETING}
    ),
    EndpointStatus.IN_SERVICE: frozenset({EndpointStatus.UPDATING, EndpointStatus.DELETING}),
    EndpointStatus.UPDATING: frozenset(
        {EndpointStatus.IN_SERVICE, EndpointStatus.ROLLING_BACK, EndpointStatus.DELETING}
    ),
    EndpointStatus.ROLLING_BACK: frozenset({EndpointStatus.IN_SERVICE, EndpointStatus.DELETING}),
    EndpointStatus.FAILED: frozenset({EndpointStatus.DELETING}),
    EndpointStatus.DELETING: frozenset(),
}


@dataclass(slots=True)
class SimpleRecord:
    """A Model or an EndpointConfig: the request, with its ARN and time.

    Attributes:
        runs: for a model, the Image, ModelDataUrl and Environment that it runs.
    """

    arn: str
    name: str
    request: dict[str, Any]
    created: datetime
    runs: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class SecondaryTransition:
    """One secondary status of a training job."""

    status: str
    start: datetime
    message: str
    end: datetime | None = None


@dataclass(slots=True)
class Metric:
    """The last value of a metric, which a MetricDefinition found in the log."""

    name: str
    value: float
    timestamp: datetime


@dataclass(slots=True)
class TrainingJob:
    """One training job.

    Attributes:
        tuning_job_arn: the ARN of its tuning job, if it has one.
    """

    arn: str
    name: str
    request: dict[str, Any]
    created: datetime
    modified: datetime
    status: TrainingJobStatus = TrainingJobStatus.IN_PROGRESS
    transitions: list[SecondaryTransition] = field(default_factory=list)
    failure_reason: str | None = None
    training_start: datetime | None = None
    training_end: datetime | None = None
    model_artifacts: str | None = None
    metrics: dict[str, Metric] = field(default_factory=dict)
    tuning_job_arn: str | None = None

    def move(self, status: TrainingJobStatus, now: datetime) -> None:
        """Change the status.

        Raises:
            IllegalTransition: the table does not have this transition.
        """
        if status not in TRAINING_TRANSITIONS[self.status]:
            raise IllegalTransition(f"training job {self.name}: {self.status} to {status}")
        self.status = status
        self.modified = now

    def secondary(self, status: str, message: str, now: datetime) -> None:
        """Start a secondary status and end the one before."""
        if self.transitions:
            self.transitions[-1].end = now
        self.transitions.append(SecondaryTransition(status, now, message))
        self.modified = now


@dataclass(slots=True)
class Variant:
    """A production variant of a running endpoint."""

    name: str
    desired: int
    weight: float


@dataclass(slots=True)
class PendingUpdate:
    """An update of an endpoint that was accepted and is not finished.

    Attributes:
        config: the DeploymentConfig.
        capture: the DataCaptureConfig after the update.
    """

    config_name: str
    variants: list[Variant]
    shadows: list[Variant]
    config: dict[str, Any] | None
    capture: dict[str, Any] | None


@dataclass(slots=True)
class Endpoint:
    """One endpoint.

    Attributes:
        update: the update in progress, which a restart begins again.
        data_capture: the current DataCaptureConfig, which an update may keep.
        shadows: the shadow variants.
    """

    arn: str
    name: str
    config_name: str
    created: datetime
    modified: datetime
    status: EndpointStatus = EndpointStatus.CREATING
    variants: list[Variant] = field(default_factory=list)
    failure_reason: str | None = None
    last_deployment_config: dict[str, Any] | None = None
    data_capture: dict[str, Any] | None = None
    shadows: list[Variant] = field(default_factory=list)
    update: PendingUpdate | None = None

    @property
    def deleting(self) -> bool:
        """Return whether the endpoint is being deleted."""
        return self.status is EndpointStatus.DELETING

    def move(self, status: EndpointStatus, now: datetime) -> None:
        """Change the status.

        Raises:
            IllegalTransition: the table does not have this transition.
        """
        if status not in ENDPOINT_TRANSITIONS[self.status]:
            raise IllegalTransition(f"endpoint {self.name}: {self.status} to {status}")
        self.status = status
        self.modified = now
