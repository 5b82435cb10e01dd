"""The autoscaling simulator: a day's traffic under target tracking, minute by minute. Pure.

It uses the code that the running services use: `alarm_state.evaluate` for the alarms and
`decision.decide` for the decision. The model is simplified: traffic is even within a minute,
capacity changes at the end of a period of the alarms, and all instances are equally fast.

    requests per minute ÷ instances ─► metric ─► two alarms ─► decision ─► instances, minutes later

The metric of concurrent requests has a period of ten seconds. By Little's law an instance that
gets 20 requests/s and answers each in 0.1 s has 2 of them at once. Requests beyond its capacity
wait, and count as well.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling.html
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import product

from localcloud.autoscaling.decision import (
    CONCURRENT_REQUESTS,
    INVOCATIONS,
    LOW_FRACTION,
    Direction,
    LastChange,
    NotScaled,
    TargetTracking,
    alarm_periods,
    decide,
)
from localcloud.cloudwatch.alarm_state import RANGE_BEYOND_PERIODS, MetricAlarm, breaches, evaluate

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
        latency_seconds: the time of an answer, 0 or more; the metric of concurrent requests needs
            it.
    """

    requests_per_minute: Sequence[float]
    capacity_rps: float
    startup_minutes: int = 4
    latency_seconds: float = 0.0

    def __post_init__(self) -> None:
        problems = []
        if not self.requests_per_minute or min(self.requests_per_minute, default=0) < 0:
            problems.append("the traffic must have at least one minute, and no minute below zero")
        if not self.capacity_rps > 0:
            problems.append(f"the capacity is {self.capacity_rps:g} requests/s; it must be above 0")
        if not 0 <= self.startup_minutes <= 60:
            problems.append(f"an instance takes {self.startup_minutes} minutes; it must be 0 to 60")
        if not self.latency_seconds >= 0:
            problems.append(f"the latency is {self.latency_seconds:g} s; it must not be below zero")
        if problems:
            raise ValueError("; ".join(problems))

    @property
    def at_once(self) -> float:
        """Return the requests that an instance has at once at its capacity, by Little's law."""
        return self.capacity_rps * self.latency_seconds


@dataclass(frozen=True, slots=True)
class Minute:
    """One simulated minute.

    Attributes:
        requests: the traffic of the minute.
        instances: the number of instances that served it.
        per_instance: requests per instance.
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
    """Simulate a day under these settings, starting with the minimum number of instances.

    Raises:
        ValueError: the metric is that of concurrent requests, and there is no latency.
    """
    if settings.metric == CONCURRENT_REQUESTS and not world.latency_seconds:
        raise ValueError("the metric of concurrent requests needs the latency of an answer")
    day = _Day(world, settings)
    return Outcome(settings, tuple(day.minute(r) for r in world.requests_per_minute))


class _Day:
    """The state of a simulated endpoint."""

    def __init__(self, world: World, settings: TargetTracking) -> None:
        self._world, self._settings = world, settings
        self._periods = periods = alarm_periods(settings.metric)
        low_threshold = settings.target_value * LOW_FRACTION
        self._rules = (
            (
                Direction.OUT,
                MetricAlarm(
                    "GreaterThanThreshold", settings.target_value, periods.high, periods.high
                ),
            ),
            (
                Direction.IN,
                MetricAlarm("LessThanThreshold", low_threshold, periods.low, periods.low),
            ),
        )
        self._kept = max(periods.high, periods.low) + RANGE_BEYOND_PERIODS
        self._instances = settings.minimum
        self._arrives: tuple[datetime, int] | None = None
        self._last: LastChange | None = None
        self._values: list[float | None] = []
        self._acted: dict[Direction, datetime] = {}
        self._rows = dict.fromkeys(Direction, 0)
        self._now = _EPOCH

    def minute(self, requests: float) -> Minute:
        """Simulate a minute with this number of requests."""
        steps = 60 // self._periods.seconds
        at_first, over, why = self._instances, 0.0, ""
        if self._arrives is not None and self._now >= self._arrives[0]:
            at_first = self._arrives[1]
        for _ in range(steps):
            beyond, reason = self._period(requests / steps)
            over += beyond
            why = reason or why
        return Minute(requests, at_first, requests / at_first, over, why)

    def _period(self, requests: float) -> tuple[float, str]:
        """Simulate a period of the alarms; return the requests beyond the capacity, and why."""
        seconds = self._periods.seconds
        if self._arrives is not None and self._now >= self._arrives[0]:
            self._instances, self._arrives = self._arrives[1], None
        over = max(requests - self._instances * self._world.capacity_rps * seconds, 0.0)
        metric = requests / self._instances
        if self._settings.metric == CONCURRENT_REQUESTS:
            metric = metric / seconds * self._world.latency_seconds + over / self._instances
        self._values.append(metric)
        del self._values[: -self._kept]
        self._now += timedelta(seconds=seconds)
        why = ""
        for direction, rule in self._rules:
            why = self._alarm(direction, rule, metric) or why
        return over, why

    def _alarm(self, direction: Direction, rule: MetricAlarm, metric: float) -> str:
        """Evaluate an alarm, and act on it as often as the live one does: once a minute."""
        # No datapoint is missing, so an alarm needs this many in a row; most periods end here.
        row = self._rows[direction] + 1 if breaches(rule, metric) else 0
        self._rows[direction] = row
        if row < rule.evaluation_periods:
            self._acted.pop(direction, None)
            return ""
        acted = self._acted.get(direction)
        if acted is not None and self._now - acted < timedelta(minutes=1):
            return ""
        seen = self._values[-(rule.evaluation_periods + RANGE_BEYOND_PERIODS) :]
        if evaluate(rule, seen) != "ALARM":
            raise AssertionError("a row of breaching datapoints is no alarm")
        self._acted[direction] = self._now
        if self._arrives is not None:
            return "the last change is in progress"
        decision = decide(self._settings, direction, self._instances, metric, self._last, self._now)
        if decision.not_scaled is not None:
            return _why_not(decision.not_scaled)
        self._last = LastChange(direction, self._now)
        startup = timedelta(minutes=self._world.startup_minutes)
        self._arrives = (self._now + startup, decision.capacity)
        sign = "above" if direction is Direction.OUT else "below"
        unit = "at once" if self._settings.metric == CONCURRENT_REQUESTS else "per minute"
        shown = f"{metric:.0f}" if unit == "per minute" else f"{metric:.1f}"
        return f"{shown} {unit} is {sign} {rule.threshold:g}: to {decision.capacity}"


def _why_not(reason: NotScaled) -> str:
    return {
        NotScaled.AT_MAXIMUM: "at the maximum",
        NotScaled.AT_MINIMUM: "at the minimum",
        NotScaled.COOLING_DOWN: "a cooldown is in effect",
        NotScaled.FLAPPING: "one instance less would not be enough",
    }.get(reason, str(reason))


def candidates(world: World, metric: str = INVOCATIONS) -> Iterator[TargetTracking]:
    """Yield the settings for a search to try.

    Args:
        world: the traffic and the instances.
        metric: the predefined metric that they hold.

    Raises:
        ValueError: the metric is that of concurrent requests, and an instance at its capacity has
            less than one at once, or an unknown number.
    """
    full = world.capacity_rps * 60
    if metric == CONCURRENT_REQUESTS:
        full = world.at_once
        if full < 1:
            raise ValueError(
                f"an instance at its capacity has {full:.2g} requests at once; the metric of "
                "concurrent requests counts whole ones, so it needs 1 or more"
            )
    peak = max(world.requests_per_minute) / 60
    most = max(math.ceil(peak / world.capacity_rps), 1)
    minima = sorted({*range(1, min(most, _MOST_MINIMA) + 1), most})
    for minimum, factor, out, back in product(
        minima, _SAFETY_FACTORS, _OUT_COOLDOWNS, _IN_COOLDOWNS
    ):
        yield TargetTracking(
            target_value=full * factor,
            minimum=minimum,
            # Leave room for the instances that the safety factor requires at the peak.
            maximum=max(math.ceil(most / factor), minimum),
            scale_out_cooldown_seconds=out,
            scale_in_cooldown_seconds=back,
            metric=metric,
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
