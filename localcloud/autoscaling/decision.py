"""The decision of target tracking. Pure: the time and all other input are arguments.

Scaling out is proportional: ceil(capacity × metric / target). For example, 2 instances with 300
invocations per minute each and a target of 120 become ceil(2 × 300 / 120) = 5. Scaling in is
gradual: it removes at most a tenth of the capacity but at least one instance, and keeps as many
instances as the metric requires.

Source: https://docs.aws.amazon.com/autoscaling/application/userguide/target-tracking-scaling-policy-overview.html
Inferred: AWS publishes neither the formula of scale out nor the step of scale in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

LOW_FRACTION = 0.9
INVOCATIONS = "SageMakerVariantInvocationsPerInstance"
CONCURRENT_REQUESTS = "SageMakerVariantConcurrentRequestsPerModelHighResolution"


@dataclass(frozen=True, slots=True)
class AlarmPeriods:
    """The evaluation of a policy's two alarms.

    Attributes:
        seconds: the length of a period.
        high: periods above the target until the policy scales out.
        low: periods below nine tenths of the target until it scales in.
    """

    seconds: int
    high: int
    low: int


# Three minutes above, and fifteen below.
MINUTES = AlarmPeriods(60, 3, 15)
# Half a minute above, and fifteen minutes below: a metric of every ten seconds lets a policy scale
# out sooner, and scale in as before.
# Source: https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-add-code-define.html
# Inferred: the number of periods, which AWS does not publish.
TEN_SECONDS = AlarmPeriods(10, 3, 90)


def metric_of(configuration: Mapping[str, Any]) -> str | None:
    """Return the predefined metric of a policy's configuration; None for another metric."""
    predefined = configuration.get("PredefinedMetricSpecification") or {}
    kind: str | None = predefined.get("PredefinedMetricType")
    return kind


def alarm_periods(metric: str | None) -> AlarmPeriods:
    """Return how the alarms of a policy that tracks a metric are evaluated."""
    return TEN_SECONDS if metric == CONCURRENT_REQUESTS else MINUTES


class Direction(StrEnum):
    """The direction of a change: OUT for the high alarm, IN for the low alarm."""

    OUT = "AlarmHigh"
    IN = "AlarmLow"


class NotScaled(StrEnum):
    """The reason for not scaling, by AWS's code if it has one."""

    AT_MAXIMUM = "AlreadyAtMaxCapacity"
    AT_MINIMUM = "AlreadyAtMinCapacity"
    COOLING_DOWN = "CooldownInEffect"
    DISABLED = "ScaleInDisabled"
    NO_DATA = "NoData"
    NOT_NEEDED = "AlreadyAtDesiredCapacity"
    FLAPPING = "AutoScalingAnticipatedFlapping"


@dataclass(frozen=True, slots=True)
class TargetTracking:
    """A target tracking policy, with the limits of its scalable target.

    Attributes:
        metric: the predefined metric that it holds; the decision is the same for each.
    """

    target_value: float
    minimum: int
    maximum: int
    scale_out_cooldown_seconds: float = 300.0
    scale_in_cooldown_seconds: float = 300.0
    scale_in_disabled: bool = False
    metric: str = INVOCATIONS


@dataclass(frozen=True, slots=True)
class LastChange:
    """The time and direction of the policy's last change of capacity."""

    direction: Direction
    at: datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """The new capacity, or the reason for not scaling."""

    capacity: int
    not_scaled: NotScaled | None = None


def decide(
    policy: TargetTracking,
    direction: Direction,
    capacity: int,
    metric: float | None,
    last: LastChange | None,
    now: datetime,
) -> Decision:
    """Decide what an alarm in ALARM changes.

    Args:
        policy: target and limits.
        direction: OUT if the high alarm is in ALARM, IN if the low alarm is.
        capacity: the current number of instances, at least 1.
        metric: the latest value of the tracked metric; without data (None) nothing scales.
        last: the last change by this policy, if there was one.
        now: the current time.
    """
    if metric is None:
        return Decision(capacity, NotScaled.NO_DATA)
    # Round first: 3 × 1.1 / 1.1 is 3.0000000000000004, which must not add a fourth instance.
    needed = math.ceil(round(capacity * metric / policy.target_value, 9))
    if direction is Direction.OUT:
        return _out(policy, capacity, needed, last, now)
    return _in(policy, capacity, needed, last, now)


def _out(
    policy: TargetTracking, capacity: int, needed: int, last: LastChange | None, now: datetime
) -> Decision:
    if capacity >= policy.maximum:
        return Decision(capacity, NotScaled.AT_MAXIMUM)
    if _cooling(last, Direction.OUT, policy.scale_out_cooldown_seconds, now):
        return Decision(capacity, NotScaled.COOLING_DOWN)
    wanted = min(max(needed, policy.minimum), policy.maximum)
    return Decision(wanted) if wanted > capacity else Decision(capacity, NotScaled.NOT_NEEDED)


def _in(
    policy: TargetTracking, capacity: int, needed: int, last: LastChange | None, now: datetime
) -> Decision:
    if policy.scale_in_disabled:
        return Decision(capacity, NotScaled.DISABLED)
    if capacity <= policy.minimum:
        return Decision(capacity, NotScaled.AT_MINIMUM)
    # A scale-in waits for the cooldown of the last change, in either direction.
    if _cooling(last, Direction.IN, policy.scale_in_cooldown_seconds, now) or _cooling(
        last, Direction.OUT, policy.scale_out_cooldown_seconds, now
    ):
        return Decision(capacity, NotScaled.COOLING_DOWN)
    step = max(1, capacity // 10)
    wanted = max(capacity - step, needed, policy.minimum)
    if wanted < capacity:
        return Decision(wanted)
    # With one instance less the metric would exceed the target: 3 × 81 / 90 needs all three.
    return Decision(capacity, NotScaled.FLAPPING)


def _cooling(
    last: LastChange | None, direction: Direction, cooldown_seconds: float, now: datetime
) -> bool:
    return (
        last is not None
        and last.direction is direction
        and now - last.at < timedelta(seconds=cooldown_seconds)
    )
