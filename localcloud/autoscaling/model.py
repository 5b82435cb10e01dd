"""Records of Application Auto Scaling."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from localcloud.autoscaling.decision import Direction


@dataclass(slots=True)
class ScalableTarget:
    """A registered variant."""

    arn: str
    account: str
    region: str
    service_namespace: str
    resource_id: str
    scalable_dimension: str
    minimum: int
    maximum: int
    role_arn: str
    created: datetime
    suspended: dict[str, bool] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Return the key of the target: everything that identifies it."""
        return target_key(
            self.account,
            self.region,
            self.service_namespace,
            self.resource_id,
            self.scalable_dimension,
        )


def target_key(account: str, region: str, namespace: str, resource: str, dimension: str) -> str:
    """Return the key of a scalable target."""
    return "|".join((account, region, namespace, resource, dimension))


@dataclass(slots=True)
class ScalingPolicy:
    """A policy, with the two alarms of target tracking.

    Attributes:
        last_base: the capacity before the last change.
    """

    arn: str
    name: str
    target: str
    configuration: dict[str, Any]
    alarms: list[dict[str, str]]
    created: datetime
    last_direction: Direction | None = None
    last_change: datetime | None = None
    last_base: int | None = None
    type: str = "TargetTrackingScaling"


@dataclass(slots=True)
class ScheduledAction:
    """A scheduled change of a target's limits; `due` is None if it never occurs again."""

    arn: str
    name: str
    target: str
    schedule: str
    created: datetime
    timezone: str = "UTC"
    minimum: int | None = None
    maximum: int | None = None
    start: datetime | None = None
    end: datetime | None = None
    due: datetime | None = None


@dataclass(slots=True)
class Activity:
    """One change of capacity, or a decision not to change it."""

    id: str
    target: str
    description: str
    cause: str
    started: datetime
    status: str
    status_message: str | None = None
    ended: datetime | None = None
    not_scaled: list[dict[str, Any]] = field(default_factory=list)
