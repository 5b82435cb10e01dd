"""The decision of step scaling. Pure: the time and all other input are arguments.

For example, take steps of +1 from 0 to 50 and +2 from 50 up, and an alarm with a threshold of 100.
A metric of 130 adds one instance, and a metric of 150 adds two. The lower bound belongs to a step
and the upper bound does not; below the threshold it is the other way round.

Source: https://docs.aws.amazon.com/autoscaling/application/userguide/step-scaling-policy-overview.html
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from localcloud.autoscaling.decision import Decision, Direction, LastChange, NotScaled


@dataclass(frozen=True, slots=True)
class Step:
    """One step; its bounds are relative to the alarm's threshold, and None is unbounded."""

    lower: float | None
    upper: float | None
    adjustment: int

    def holds(self, distance: float) -> bool:
        """Return whether the metric's distance from the threshold is in this step."""
        low = -math.inf if self.lower is None else self.lower
        high = math.inf if self.upper is None else self.upper
        return low <= distance < high if distance >= 0 else low < distance <= high


@dataclass(frozen=True, slots=True)
class StepScaling:
    """A step scaling policy, with the limits of its scalable target.

    Attributes:
        adjustment_type: ChangeInCapacity, PercentChangeInCapacity or ExactCapacity.
        least_change: MinAdjustmentMagnitude, in instances.
    """

    adjustment_type: str
    steps: tuple[Step, ...]
    minimum: int
    maximum: int
    least_change: int = 1
    cooldown_seconds: float = 300.0

    def adjusted(self, capacity: int, adjustment: int) -> int:
        """Return a capacity after an adjustment, within the limits."""
        match self.adjustment_type:
            case "ExactCapacity":
                wanted = adjustment
            case "PercentChangeInCapacity":
                change = capacity * adjustment / 100
                # A change of less than one instance becomes one; a larger one loses its fraction.
                whole = math.trunc(change) if abs(change) >= 1 else math.copysign(1, change)
                least = max(abs(whole), self.least_change)
                wanted = capacity + int(math.copysign(least, change)) if change else capacity
            case _:
                wanted = capacity + adjustment
        return min(max(wanted, self.minimum), self.maximum)


def check_steps(steps: Sequence[Step]) -> str | None:
    """Return the problem of a list of steps, or None."""
    ordered = sorted(steps, key=lambda step: -math.inf if step.lower is None else step.lower)
    if not ordered:
        return "StepAdjustments must be given"
    for step in ordered:
        if step.lower is None and step.upper is None and len(ordered) > 1:
            return "a step without bounds must be the only one"
        if step.lower is not None and step.upper is not None and step.lower >= step.upper:
            return f"the lower bound {step.lower:g} must be less than the upper {step.upper:g}"
    for below, above in pairwise(ordered):
        if below.upper is None or above.lower is None or below.upper != above.lower:
            return "the intervals of the steps must neither overlap nor leave a gap"
    lowest, highest = ordered[0].lower, ordered[-1].upper
    if lowest is not None and lowest < 0:
        return "if a lower bound is negative, one step must have no lower bound"
    if highest is not None and highest > 0:
        return "if an upper bound is positive, one step must have no upper bound"
    return None


def decide_step(
    policy: StepScaling,
    capacity: int,
    distance: float | None,
    last: LastChange | None,
    base: int | None,
    now: datetime,
) -> Decision:
    """Decide what an alarm in ALARM changes.

    Within the cooldown of a scale-out, a larger step adds only the difference to that change.

    Args:
        policy: steps and limits.
        capacity: the current number of instances, at least 1.
        distance: the metric's latest value minus the alarm's threshold; None without data.
        last: the last change by this policy, if there was one.
        base: the capacity before that change.
        now: the current time.
    """
    if distance is None:
        return Decision(capacity, NotScaled.NO_DATA)
    step = next((step for step in policy.steps if step.holds(distance)), None)
    if step is None:
        return Decision(capacity, NotScaled.NOT_NEEDED)
    wanted = policy.adjusted(capacity, step.adjustment)
    cooling = last is not None and now - last.at < timedelta(seconds=policy.cooldown_seconds)
    if cooling and last is not None:
        if last.direction is Direction.OUT and base is not None and wanted >= capacity:
            wanted = max(policy.adjusted(base, step.adjustment), capacity)
        if wanted <= capacity:
            return Decision(capacity, NotScaled.COOLING_DOWN)
    if wanted != capacity:
        return Decision(wanted)
    if capacity >= policy.maximum:
        return Decision(capacity, NotScaled.AT_MAXIMUM)
    if capacity <= policy.minimum:
        return Decision(capacity, NotScaled.AT_MINIMUM)
    return Decision(capacity, NotScaled.NOT_NEEDED)
