"""The autoscaling simulator: a day's traffic under scaling policies, minute by minute. Pure.

It uses the code that the running services use: `alarm_state.evaluate` for the alarms, and
`decision.decide` or `steps.decide_step` for the decision. Scheduled actions change the limits. The
model is simplified: traffic is even within a minute, capacity changes at the end of a period of the
alarms, and all instances are equally fast.

    requests per minute ÷ instances ─► metric ─► two alarms ─► decision ─► instances, minutes later

The metric of concurrent requests has a period of ten seconds. By Little's law an instance that
gets 20 requests/s and answers each in 0.1 s has 2 of them at once. Requests beyond its capacity
wait, and count as well. The metric is the most at once in ten seconds, so a whole number: 2.5 on
average are 3.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling.html
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from localcloud.autoscaling.decision import (
    CONCURRENT_REQUESTS,
    INVOCATIONS,
    LOW_FRACTION,
    Decision,
    Direction,
    LastChange,
    NotScaled,
    TargetTracking,
    alarm_periods,
    decide,
)
from localcloud.autoscaling.steps import StepScaling, decide_step
from localcloud.cloudwatch.alarm_state import RANGE_BEYOND_PERIODS, MetricAlarm, breaches, evaluate

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


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


@dataclass(frozen=True, slots=True)
class AlarmedSteps:
    """A step scaling policy, and the alarm that calls it.

    Attributes:
        alarm: an alarm of the metric of invocations per instance, its sum over a minute.
        policy: the steps, with the limits of the scalable target.
    """

    alarm: MetricAlarm
    policy: StepScaling


@dataclass(frozen=True, slots=True)
class ScheduledLimits:
    """A scheduled action: the limits of the scalable target from a minute on.

    Attributes:
        minute: number of the minute, from 0.
        minimum, maximum: the new limits; None leaves one as it is.
    """

    minute: int
    minimum: int | None = None
    maximum: int | None = None

    def __post_init__(self) -> None:
        low, high = self.minimum, self.maximum
        if self.minute < 0 or (low is not None and low < 1) or (high is not None and high < 1):
            raise ValueError(
                f"the scheduled action of minute {self.minute} has {low} to {high} instances; it "
                "must be of minute 0 or later, with limits of 1 or more"
            )
        if low is not None and high is not None and low > high:
            raise ValueError(
                f"the scheduled action of minute {self.minute} has {low} to {high} instances; the "
                "minimum must not be greater than the maximum"
            )


def simulate(
    world: World, settings: TargetTracking, scheduled: Sequence[ScheduledLimits] = ()
) -> Outcome:
    """Simulate a day under these settings, starting with the minimum number of instances.

    Args:
        world: the traffic and the instances.
        settings: the policy, with the limits of the scalable target.
        scheduled: scheduled actions.

    Raises:
        ValueError: the metric is that of concurrent requests, and there is no latency.
    """
    if settings.metric == CONCURRENT_REQUESTS and not world.latency_seconds:
        raise ValueError("the metric of concurrent requests needs the latency of an answer")
    return Outcome(settings, _Day(world, [_Tracking(settings)], settings.metric, scheduled).run())


def simulate_steps(
    world: World, policies: Sequence[AlarmedSteps], scheduled: Sequence[ScheduledLimits] = ()
) -> tuple[Minute, ...]:
    """Simulate a day under step scaling policies of one target, starting with its minimum.

    Args:
        world: the traffic and the instances.
        policies: at least one, all with the same limits.
        scheduled: scheduled actions.
    """
    return _Day(world, [_Stepping(one) for one in policies], INVOCATIONS, scheduled).run()


class _Tracking:
    """A target tracking policy, and its last change."""

    def __init__(self, settings: TargetTracking) -> None:
        self._settings = settings
        self._last: LastChange | None = None
        self.limits = (settings.minimum, settings.maximum)

    def alarms(self) -> list[MetricAlarm]:
        """Return the high alarm and the low one."""
        target, periods = self._settings.target_value, alarm_periods(self._settings.metric)
        low = target * LOW_FRACTION
        return [
            MetricAlarm("GreaterThanThreshold", target, periods.high, periods.high),
            MetricAlarm("LessThanThreshold", low, periods.low, periods.low),
        ]

    def decide(self, alarm: MetricAlarm, capacity: int, metric: float, now: datetime) -> Decision:
        """Decide what one of the alarms changes, and note the change."""
        high = alarm.comparison == "GreaterThanThreshold"
        direction = Direction.OUT if high else Direction.IN
        decision = decide(self._settings, direction, capacity, metric, self._last, now)
        if decision.not_scaled is None:
            self._last = LastChange(direction, now)
        return decision

    def limit(self, minimum: int, maximum: int) -> None:
        """Take new limits."""
        self._settings = replace(self._settings, minimum=minimum, maximum=maximum)


class _Stepping:
    """A step scaling policy, its last change, and the capacity before that."""

    def __init__(self, given: AlarmedSteps) -> None:
        self._alarm, self._policy = given.alarm, given.policy
        self._last: LastChange | None = None
        self._base: int | None = None
        self.limits = (given.policy.minimum, given.policy.maximum)

    def alarms(self) -> list[MetricAlarm]:
        """Return the alarm."""
        return [self._alarm]

    def decide(self, alarm: MetricAlarm, capacity: int, metric: float, now: datetime) -> Decision:
        """Decide what the alarm changes, and note the change."""
        distance = metric - alarm.threshold
        decision = decide_step(self._policy, capacity, distance, self._last, self._base, now)
        if decision.not_scaled is None:
            direction = Direction.OUT if decision.capacity > capacity else Direction.IN
            self._last, self._base = LastChange(direction, now), capacity
        return decision

    def limit(self, minimum: int, maximum: int) -> None:
        """Take new limits."""
        self._policy = replace(self._policy, minimum=minimum, maximum=maximum)


@dataclass(slots=True)
class _Rule:
    """An alarm and its policy.

    Attributes:
        row: breaching datapoints in a row, until now.
        acted: when it last called its policy, while it is in ALARM.
    """

    alarm: MetricAlarm
    policy: _Tracking | _Stepping
    row: int = 0
    acted: datetime | None = None


class _Day:
    """The state of a simulated endpoint."""

    def __init__(
        self,
        world: World,
        policies: Sequence[_Tracking | _Stepping],
        metric: str,
        scheduled: Sequence[ScheduledLimits],
    ) -> None:
        self._world, self._metric = world, metric
        self._seconds = alarm_periods(metric).seconds
        self._policies = policies
        self._rules = [_Rule(alarm, one) for one in policies for alarm in one.alarms()]
        longest = max(rule.alarm.evaluation_periods for rule in self._rules)
        self._kept = longest + RANGE_BEYOND_PERIODS
        self._minimum, self._maximum = policies[0].limits
        self._scheduled = {action.minute: action for action in scheduled}
        # A change of limits moves the capacity once the last change is complete.
        self._limited = False
        self._instances = self._minimum
        self._arrives: tuple[datetime, int] | None = None
        self._values: list[float | None] = []
        self._now = _EPOCH

    def run(self) -> tuple[Minute, ...]:
        """Return the minutes of the day."""
        traffic = enumerate(self._world.requests_per_minute)
        self._limit(0)
        return tuple(self._minute(number, requests) for number, requests in traffic)

    def _minute(self, number: int, requests: float) -> Minute:
        """Simulate a minute with this number of requests."""
        steps = 60 // self._seconds
        why = self._settle()
        at_first, over = self._instances, 0.0
        for step in range(1, steps + 1):
            # Alarms are evaluated after a minute's end, so with the limits of the next one.
            limits = number + 1 if step == steps else None
            beyond, reason = self._period(requests / steps, limits)
            over += beyond
            why = reason or why
        return Minute(requests, at_first, requests / at_first, over, why)

    def _limit(self, minute: int | None) -> None:
        action = self._scheduled.get(minute) if minute is not None else None
        if action is None:
            return
        self._minimum = self._minimum if action.minimum is None else action.minimum
        self._maximum = self._maximum if action.maximum is None else action.maximum
        self._limited = True
        for policy in self._policies:
            policy.limit(self._minimum, self._maximum)

    def _settle(self) -> str:
        """Complete what is due, and move the capacity into new limits; return why it changes."""
        self._complete()
        why = self._clamp()
        self._complete()
        return why

    def _clamp(self) -> str:
        """Move the capacity into new limits, unless a change is in progress; return why."""
        if not self._limited or self._arrives is not None:
            return ""
        self._limited = False
        wanted = min(max(self._instances, self._minimum), self._maximum)
        if wanted == self._instances:
            return ""
        self._change(wanted)
        return f"scheduled limits {self._minimum} to {self._maximum}: to {wanted}"

    def _complete(self) -> None:
        if self._arrives is not None and self._now >= self._arrives[0]:
            self._instances, self._arrives = self._arrives[1], None

    def _change(self, capacity: int) -> None:
        startup = timedelta(minutes=self._world.startup_minutes)
        self._arrives = (self._now + startup, capacity)

    def _period(self, requests: float, limits: int | None) -> tuple[float, str]:
        """Simulate a period of the alarms; return the requests beyond the capacity, and why.

        Args:
            requests: those of the period.
            limits: the number of the minute that begins at its end; None if none does.
        """
        why = self._settle()
        over = max(requests - self._instances * self._world.capacity_rps * self._seconds, 0.0)
        metric = requests / self._instances
        if self._metric == CONCURRENT_REQUESTS:
            metric = metric / self._seconds * self._world.latency_seconds + over / self._instances
            # The most that an instance has at once is a whole number.
            metric = float(math.ceil(round(metric, 9)))
        self._values.append(metric)
        del self._values[: -self._kept]
        self._now += timedelta(seconds=self._seconds)
        self._limit(limits)
        why = self._clamp() or why
        for rule in self._rules:
            why = self._alarm(rule, metric) or why
        return over, why

    def _alarm(self, rule: _Rule, metric: float) -> str:
        """Evaluate an alarm, and act on it as often as the live one does: once a minute."""
        alarm = rule.alarm
        rule.row = rule.row + 1 if breaches(alarm, metric) else 0
        # No datapoint is missing, so most alarms need so many in a row, and most periods end here.
        every = alarm.datapoints_to_alarm == alarm.evaluation_periods
        if len(self._values) < alarm.evaluation_periods or (
            every and rule.row < alarm.evaluation_periods
        ):
            rule.acted = None
            return ""
        if every and rule.acted is not None and self._now - rule.acted < timedelta(minutes=1):
            return ""
        if evaluate(alarm, self._values[-(alarm.evaluation_periods + RANGE_BEYOND_PERIODS) :]) != (
            "ALARM"
        ):
            rule.acted = None
            return ""
        rule.acted = self._now
        if self._arrives is not None:
            return "the last change is in progress"
        decision = rule.policy.decide(alarm, self._instances, metric, self._now)
        if decision.not_scaled is not None:
            return _why_not(decision.not_scaled)
        self._change(decision.capacity)
        sign = "above" if alarm.comparison.startswith("Greater") else "below"
        unit = "at once" if self._metric == CONCURRENT_REQUESTS else "per minute"
        return f"{metric:.0f} {unit} is {sign} {alarm.threshold:g}: to {decision.capacity}"


def _why_not(reason: NotScaled) -> str:
    return {
        NotScaled.AT_MAXIMUM: "at the maximum",
        NotScaled.AT_MINIMUM: "at the minimum",
        NotScaled.COOLING_DOWN: "a cooldown is in effect",
        NotScaled.FLAPPING: "one instance less would not be enough",
    }.get(reason, str(reason))
