"""CloudWatch alarms that evaluate: M of N, missing data, actions on a change of state.

moto keeps alarms and metrics; this module reads both every ten clock seconds, decides (pure), and
tells the actions: a scaling policy each minute that the alarm is in ALARM, a topic once a change.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html
Differs: composite alarms are kept but not evaluated; metric math knows arithmetic only.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from localcloud.cloud import Cloud
from localcloud.datapoints import ExpressionError, values
from localcloud.datapoints import evaluate as evaluate_math
from localcloud.passive import backend, backends
from localcloud.routing import Scope

log = logging.getLogger("localcloud.alarms")

_EVALUATE_CLOCK_SECONDS = 10.0
_SCALING_POLICY = ":scalingPolicy:"
# The page's examples read 5 datapoints for 3 evaluation periods.
_RANGE_BEYOND_PERIODS = 2

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
}

# (policy ARN, alarm name, latest value): a policy's alarm is in ALARM.
OnScalingAlarm = Callable[[str, str, float | None], None]


@dataclass(frozen=True, slots=True)
class AlarmRule:
    """What decides an alarm's state."""

    comparison: str
    threshold: float
    evaluation_periods: int
    datapoints_to_alarm: int
    treat_missing_data: str = "missing"


def evaluate(rule: AlarmRule, values: Sequence[float | None]) -> str | None:
    """Return the state that the evaluation range means; None leaves it as it is.

    Args:
        rule: the alarm.
        values: the evaluation range, one a period, oldest first; None where there is no data. It
            is longer than `evaluation_periods`: real datapoints go before filled ones.

    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html#alarms-and-missing-data
    """
    breaches = _COMPARE[rule.comparison]
    known = [breaches(value, rule.threshold) for value in values if value is not None]
    known = known[-rule.evaluation_periods :]
    breaching, missing = sum(known), rule.evaluation_periods - len(known)
    if missing and rule.treat_missing_data == "breaching":
        breaching += missing
    elif (
        missing
        and rule.treat_missing_data != "notBreaching"
        and all(known)
        and breaching < rule.datapoints_to_alarm
    ):
        if rule.treat_missing_data == "ignore":
            return None
        # One breach must not alarm too soon, nor be forgotten when no other point follows it.
        oldest = next((i for i, value in enumerate(values) if value is not None), len(values))
        premature = len(values) - oldest < rule.datapoints_to_alarm
        return "INSUFFICIENT_DATA" if premature else "ALARM"
    return "ALARM" if breaching >= rule.datapoints_to_alarm else "OK"


@dataclass(slots=True)
class _Reading:
    """An alarm with its datapoints, read in moto's thread."""

    scope: Scope
    name: str
    rule: AlarmRule
    state: str
    actions: dict[str, list[str]]
    actions_enabled: bool
    values: list[float | None]


class AlarmEvaluator:
    """Evaluates every metric alarm, for ever."""

    def __init__(self, cloud: Cloud, on_scaling_alarm: OnScalingAlarm) -> None:
        self._cloud = cloud
        self._on_scaling_alarm = on_scaling_alarm
        self._last_scaling: dict[tuple[Scope, str], datetime] = {}

    async def run(self) -> None:
        """Evaluate for ever."""
        clock = self._cloud.clock
        while True:
            await clock.pace(_EVALUATE_CLOCK_SECONDS)
            try:
                readings = await self._cloud.passive.call(_read_alarms, clock.now())
                for reading in readings:
                    await self._apply(reading)
            except Exception:
                log.exception("alarm evaluation failed")

    async def _apply(self, reading: _Reading) -> None:
        state = evaluate(reading.rule, reading.values) or reading.state
        changed = state != reading.state
        if changed:
            await self._cloud.passive.call(_set_state, reading, state)
        if not reading.actions_enabled:
            return
        now = self._cloud.clock.now()
        key = (reading.scope, reading.name)
        latest = next((v for v in reversed(reading.values) if v is not None), None)
        for action in reading.actions[state]:
            if _SCALING_POLICY in action:
                due = now - self._last_scaling.get(key, datetime.min.replace(tzinfo=UTC))
                if changed or due >= timedelta(seconds=60):
                    self._last_scaling[key] = now
                    self._on_scaling_alarm(action, reading.name, latest)
            elif changed and ":sns:" in action:
                await self._publish(reading, action, state)

    async def _publish(self, reading: _Reading, topic_arn: str, state: str) -> None:
        message = {
            "AlarmName": reading.name,
            "NewStateValue": state,
            "OldStateValue": reading.state,
            "StateChangeTime": self._cloud.clock.now().isoformat(),
            "Region": reading.scope.region,
            "AWSAccountId": reading.scope.account,
        }
        try:
            await self._cloud.api(
                reading.scope,
                "sns",
                "publish",
                TopicArn=topic_arn,
                Subject=f'{state}: "{reading.name}"'[:100],
                Message=json.dumps(message),
            )
        except Exception as error:
            log.warning("alarm %s could not reach %s: %s", reading.name, topic_arn, error)


def _read_alarms(now: datetime) -> list[_Reading]:
    readings = []
    for scope, cloudwatch in backends("cloudwatch"):
        for alarm in list(cloudwatch.alarms.values()):
            if alarm.rule:
                continue
            try:
                found = _values(cloudwatch, alarm, now)
            except ExpressionError:
                continue  # kept, and left in the state it has
            rule = AlarmRule(
                comparison=alarm.comparison_operator,
                threshold=float(alarm.threshold),
                evaluation_periods=int(alarm.evaluation_periods),
                datapoints_to_alarm=int(alarm.datapoints_to_alarm or alarm.evaluation_periods),
                treat_missing_data=alarm.treat_missing_data or "missing",
            )
            readings.append(
                _Reading(
                    scope,
                    alarm.name,
                    rule,
                    alarm.state_value,
                    {
                        "ALARM": list(alarm.alarm_actions or []),
                        "OK": list(alarm.ok_actions or []),
                        "INSUFFICIENT_DATA": list(alarm.insufficient_data_actions or []),
                    },
                    bool(alarm.actions_enabled),
                    found,
                )
            )
    return readings


def _values(cloudwatch: Any, alarm: Any, now: datetime) -> list[float | None]:
    """Return the evaluation range of an alarm's statistic or metric math, oldest first."""
    count = int(alarm.evaluation_periods) + _RANGE_BEYOND_PERIODS
    if alarm.metric_data_queries:
        return _math(cloudwatch, alarm.metric_data_queries, count, now)
    return values(
        cloudwatch,
        (alarm.namespace, alarm.metric_name),
        [(d.name, d.value) for d in alarm.dimensions],
        alarm.extended_statistic or alarm.statistic,
        period=int(alarm.period),
        count=count,
        now=now,
    )


def _math(cloudwatch: Any, queries: Sequence[Any], count: int, now: datetime) -> list[float | None]:
    series = {
        query.id: values(
            cloudwatch,
            (query.metric_stat.metric.namespace, query.metric_stat.metric.metric_name),
            [(d.name, d.value) for d in query.metric_stat.metric.dimensions or []],
            query.metric_stat.stat,
            period=int(query.metric_stat.period),
            count=count,
            now=now,
        )
        for query in queries
        if query.metric_stat is not None
    }
    returned = [q for q in queries if str(q.return_data).lower() != "false"]
    decisive = next((q for q in returned if q.expression), returned[0] if returned else None)
    if decisive is None or not decisive.expression:
        return series.get(decisive.id, []) if decisive is not None else []
    return [
        evaluate_math(decisive.expression, {id_: found[index] for id_, found in series.items()})
        for index in range(count)
    ]


def _set_state(reading: _Reading, state: str) -> None:
    alarm = backend("cloudwatch", reading.scope).alarms.get(reading.name)
    if alarm is not None:
        shown = ", ".join("none" if v is None else f"{v:g}" for v in reading.values)
        alarm.update_state(
            f"The last {len(reading.values)} datapoints were [{shown}] against the threshold "
            f"{reading.rule.threshold:g} ({reading.rule.comparison}).",
            json.dumps({"recentDatapoints": reading.values, "threshold": reading.rule.threshold}),
            state,
        )
