"""The autoscaling simulator: a day's traffic under target tracking, minute by minute. Pure.

It uses the code that the running services use: `alarm_state.evaluate` for the alarms and
`decision.decide` for the decision. The model is simplified: traffic is even within a minute,
capacity changes at the end of a minute, and all instances are equally fast.

    requests per minute ÷ instances ─► metric ─► two alarms ─► decision ─► instances, minutes later

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling.html
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import product

from localcloud.autoscaling.decision import (
    HIGH_PERIODS,
    LOW_FRACTION,
    LOW_PERIODS,
    Direction,
    LastChange,
    NotScaled,
    TargetTracking,
    decide,
)
from localcloud.cloudwatch.alarm_state import RANGE_BEYOND_PERIODS, MetricAlarm, evaluate

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
# The settings that a search tries. AWS suggests a safety factor of 0.5 as a starting point.
_SAFETY_FACTORS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_OUT_COOLDOWNS = (60, 300)
_IN_COOLDOWNS = (60, 300, 900)
_MOST_MINIMA = 12


@dataclass(frozen=True, slots=True)
class World:
    """The input that does not depend on the settings.

    Attributes:
        requests_per_minute: the traffic, one number per minute, 0 or more.
        capacity_rps: requests/s that one instance serves within the latency objective, above 0.
        startup_minutes: time from a decision until the new instances serve, 0 to 60.
    """

    requests_per_minute: Sequence[float]
    capacity_rps: float
    startup_minutes: int = 4

    def __post_init__(self) -> None:
        problems = []
        if not self.requests_per_minute or min(self.requests_per_minute, default=0) < 0:
            problems.append("the traffic must have at least one minute, and no minute below zero")
        if not self.capacity_rps > 0:
            problems.append(f"the capacity is {self.capacity_rps:g} requests/s; it must be above 0")
        if not 0 <= self.startup_minutes <= 60:
            problems.append(f"an instance takes {self.startup_minutes} minutes; it must be 0 to 60")
        if problems:
            raise ValueError("; ".join(problems))


@dataclass(frozen=True, slots=True)
class Minute:
    """One simulated minute.

    Attributes:
        requests: the traffic of the minute.
        instances: the number of instances that served it.
        per_instance: the metric, in requests per instance.
        over: requests beyond the capacity of the instances.
        why: the change of capacity at its end, or the reason for none; empty without an alarm.
    """

    requests: float
    instances: int
    per_instance: float
    over: float
    why: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The simulated day under certain settings."""

    settings: TargetTracking
    minutes: tuple[Minute, ...]

    @property
    def instance_hours(self) -> float:
        """Return the billed instance hours."""
        return sum(minute.instances for minute in self.minutes) / 60

    @property
    def over_share(self) -> float:
        """Return the share of requests beyond the capacity, 0 to 1."""
        requests = sum(minute.requests for minute in self.minutes)
        return sum(minute.over for minute in self.minutes) / requests if requests else 0.0


def simulate(world: World, settings: TargetTracking) -> Outcome:
    """Simulate a day under these settings, starting with the minimum number of instances."""
    high = MetricAlarm("GreaterThanThreshold", settings.target_value, HIGH_PERIODS, HIGH_PERIODS)
    low_threshold = settings.target_value * LOW_FRACTION
    low = MetricAlarm("LessThanThreshold", low_threshold, LOW_PERIODS, LOW_PERIODS)
    instances = settings.minimum
    arrives: tuple[int, int] | None = None  # (minute, instances)
    last: LastChange | None = None
    values: list[float | None] = []
    minutes = []
    for number, requests in enumerate(world.requests_per_minute):
        if arrives is not None and number >= arrives[0]:
            instances, arrives = arrives[1], None
        metric = requests / instances
        values.append(metric)
        over = max(requests - instances * world.capacity_rps * 60, 0.0)
        why = ""
        now = _EPOCH + timedelta(minutes=number + 1)
        for direction, rule in ((Direction.OUT, high), (Direction.IN, low)):
            seen = values[-(rule.evaluation_periods + RANGE_BEYOND_PERIODS) :]
            if len(values) < rule.evaluation_periods or evaluate(rule, seen) != "ALARM":
                continue
            if arrives is not None:
                why = "the last change is in progress"
                continue
            decision = decide(settings, direction, instances, metric, last, now)
            if decision.not_scaled is not None:
                why = _why_not(decision.not_scaled)
                continue
            last = LastChange(direction, now)
            arrives = (number + 1 + world.startup_minutes, decision.capacity)
            sign = "above" if direction is Direction.OUT else "below"
            threshold = rule.threshold
            why = f"{metric:.0f} per minute is {sign} {threshold:.0f}: to {decision.capacity}"
        minutes.append(Minute(requests, instances, metric, over, why))
    return Outcome(settings, tuple(minutes))


def _why_not(reason: NotScaled) -> str:
    return {
        NotScaled.AT_MAXIMUM: "at the maximum",
        NotScaled.AT_MINIMUM: "at the minimum",
        NotScaled.COOLING_DOWN: "a cooldown is in effect",
        NotScaled.FLAPPING: "one instance less would not be enough",
    }.get(reason, str(reason))


def candidates(world: World) -> Iterator[TargetTracking]:
    """Yield the settings for a search to try."""
    peak = max(world.requests_per_minute) / 60
    most = max(math.ceil(peak / world.capacity_rps), 1)
    minima = sorted({*range(1, min(most, _MOST_MINIMA) + 1), most})
    for minimum, factor, out, back in product(
        minima, _SAFETY_FACTORS, _OUT_COOLDOWNS, _IN_COOLDOWNS
    ):
        yield TargetTracking(
            target_value=world.capacity_rps * factor * 60,
            minimum=minimum,
            # Leave room for the instances that the safety factor requires at the peak.
            maximum=max(math.ceil(most / factor), minimum),
            scale_out_cooldown_seconds=out,
            scale_in_cooldown_seconds=back,
        )


def cheapest(outcomes: Iterable[Outcome], objective: float) -> Outcome | None:
    """Return the outcome with the fewest instance hours that meets the objective, or None.

    Args:
        outcomes: the candidates.
        objective: the largest allowed share of requests beyond the capacity, 0 to 1.
    """
    holding = [outcome for outcome in outcomes if outcome.over_share <= objective]
    # Of two with equal cost, prefer the one with more capacity in reserve.
    return min(
        holding, key=lambda o: (round(o.instance_hours, 6), o.settings.target_value), default=None
    )


def trimmed(world: World, outcome: Outcome) -> Outcome:
    """Return the outcome with its maximum lowered to the day's largest number plus one."""
    used = max(minute.instances for minute in outcome.minutes)
    settings = replace(outcome.settings, maximum=min(used + 1, outcome.settings.maximum))
    return simulate(world, settings)
