"""Pure: the instances that target tracking gives an endpoint, minute by minute.

The image holds no local cloud, so this is a second, smaller statement of the rules by which
`localcloud simulate` works; a property test gives both the same traffic and compares them.

    requests per minute ÷ instances ─► 3 minutes above the target, or 15 below nine tenths of it
                                        ─► more or fewer instances, `STARTUP_MINUTES` later

Traffic is even within a minute, and capacity changes at the end of a minute.

Source: https://docs.aws.amazon.com/autoscaling/application/userguide/target-tracking-scaling-policy-overview.html
Inferred: AWS publishes neither the formula of scale out nor the step of scale in.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

STARTUP_MINUTES = 4
_HIGH_MINUTES, _LOW_MINUTES, _LOW_FRACTION = 3, 15, 0.9


@dataclass(frozen=True, slots=True)
class Tracking:
    """A target tracking policy with its limits.

    Attributes:
        target: invocations per instance and minute, above 0.
        minimum, maximum: instances, at least 1.
        out_seconds, in_seconds: the cooldowns, 0 or more.
    """

    target: float
    minimum: int
    maximum: int
    out_seconds: float
    in_seconds: float


def instances_by_minute(requests: Sequence[float], tracking: Tracking) -> list[int]:
    """Return the instances that serve each minute, beginning with the minimum.

    Args:
        requests: requests of each minute, 0 or more.
        tracking: the policy.
    """
    instances, arriving, arrives_at = tracking.minimum, 0, -1
    changed_at, was_out = -math.inf, False
    metric: list[float] = []
    served = []
    for minute, count in enumerate(requests):
        if arriving and minute >= arrives_at:
            instances, arriving = arriving, 0
        metric.append(count / instances)
        served.append(instances)
        if arriving:
            continue
        # Seconds since the last change, at the end of this minute.
        waited = (minute + 1 - changed_at) * 60
        wanted = _wanted(tracking, instances, metric, waited, was_out=was_out)
        if wanted != instances:
            arriving, arrives_at = wanted, minute + 1 + STARTUP_MINUTES
            changed_at, was_out = minute + 1, wanted > instances
    return served


def _wanted(
    tracking: Tracking, instances: int, metric: Sequence[float], waited: float, *, was_out: bool
) -> int:
    needed = math.ceil(round(instances * metric[-1] / tracking.target, 9))
    if _all_above(metric, tracking.target):
        if was_out and waited < tracking.out_seconds:
            return instances
        return max(instances, min(max(needed, tracking.minimum), tracking.maximum))
    # A scale-in waits for the cooldown of the last change, in either direction.
    cooled = waited >= (tracking.out_seconds if was_out else tracking.in_seconds)
    if cooled and _all_below(metric, tracking.target * _LOW_FRACTION):
        return min(instances, max(instances - max(1, instances // 10), needed, tracking.minimum))
    return instances


def _all_above(metric: Sequence[float], threshold: float) -> bool:
    last = metric[-_HIGH_MINUTES:]
    return len(last) == _HIGH_MINUTES and min(last) > threshold


def _all_below(metric: Sequence[float], threshold: float) -> bool:
    last = metric[-_LOW_MINUTES:]
    return len(last) == _LOW_MINUTES and max(last) < threshold
