"""The evaluation of CloudWatch alarms, and the actions of a change of state.

moto stores alarms and metrics. Every ten clock seconds this module reads both, evaluates each alarm
(`alarm_state.py`, `composite_rule.py`) and carries out the actions. A scaling policy is called each
minute that its alarm is in ALARM; a topic gets one message per change. SetAlarmState makes a change
like any other. Each change is also an event on EventBridge.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html
Differs: metric math is arithmetic only; actions are scaling policies and topics.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from localcloud.aws.routing import Scope
from localcloud.cloudwatch.alarm_history import (
    Change,
    changes,
    history_of,
    note_action,
    note_configurations,
)
from localcloud.cloudwatch.alarm_messages import event, message
from localcloud.cloudwatch.alarm_state import RANGE_BEYOND_PERIODS, MetricAlarm, evaluate
from localcloud.cloudwatch.composite_rule import alarms_of, holds, parse, suppressed_by
from localcloud.cloudwatch.metric_math import evaluate as evaluate_math
from localcloud.cloudwatch.metric_math import values
from localcloud.moto_backend.dispatcher import backend, backends
from localcloud.service_context import ServiceContext

log = logging.getLogger("localcloud.cloudwatch.alarm_evaluator")

_EVALUATE_CLOCK_SECONDS = 10.0
_SCALING_POLICY = ":scalingPolicy:"
_DEEPEST_COMPOSITE = 10

# Called with (policy ARN, alarm name, latest value, threshold) when a policy's alarm is in ALARM.
# Returns when the policy has decided.
OnScalingAlarm = Callable[[str, str, float | None, float], Awaitable[None]]


@dataclass(slots=True)
class _Scaling:
    """A metric alarm whose actions in its current state are scaling policies."""

    name: str
    policies: list[str]
    latest: float | None
    threshold: float


@dataclass(slots=True)
class _EvaluationResult:
    """The result of evaluating the alarms of one account and region."""

    scope: Scope
    changes: list[Change]
    scaling: list[_Scaling]
    states: dict[str, str]
    problems: dict[str, str]


class AlarmEvaluator:
    """Evaluates every alarm, periodically."""

    def __init__(self, context: ServiceContext, on_scaling_alarm: OnScalingAlarm) -> None:
        self._context = context
        self._on_scaling_alarm = on_scaling_alarm
        self._last_scaling: dict[tuple[Scope, str], datetime] = {}
        # Changes whose actions are suppressed, and the times at which alarms last left ALARM.
        self._held: dict[tuple[Scope, str], Change] = {}
        self._left: dict[tuple[Scope, str], datetime] = {}
        self._reported: dict[tuple[Scope, str], str] = {}

    async def run(self) -> None:
        """Run the evaluation loop until cancelled."""
        clock = self._context.clock
        while True:
            await clock.pace(_EVALUATE_CLOCK_SECONDS)
            try:
                results = await self._context.moto.call(_evaluate_all, clock.now())
            except Exception:
                log.exception("alarm evaluation failed")
                continue
            for result in results:
                self._report(result)
                try:
                    await self._apply(result)
                except Exception:
                    log.exception("the actions of alarms in %s failed", result.scope)

    def _report(self, result: _EvaluationResult) -> None:
        """Log each alarm that cannot be evaluated, once per reason."""
        for name, problem in result.problems.items():
            if self._reported.get((result.scope, name)) != problem:
                self._reported[result.scope, name] = problem
                log.warning("the alarm %s cannot be evaluated: %s", name, problem)

    async def _apply(self, result: _EvaluationResult) -> None:
        changed = {change.alarm.name for change in result.changes}
        for change in result.changes:
            try:
                await self._announce(result.scope, change)
            except Exception:  # an alarm must not keep the others from acting
                log.exception("the actions of the alarm %s failed", change.alarm.name)
        await self._release(result)
        await asyncio.gather(
            *(
                self._scale(result.scope, scaling, changed=scaling.name in changed)
                for scaling in result.scaling
            )
        )

    async def _announce(self, scope: Scope, change: Change) -> None:
        """Publish the event of a change, and carry out its actions unless they are suppressed."""
        alarm = change.alarm
        self._context.publish(
            scope,
            "aws.cloudwatch",
            "CloudWatch Alarm State Change",
            [alarm.alarm_arn],
            event(change),
        )
        if change.before == "ALARM":
            self._left[scope, alarm.name] = change.at
        if not alarm.actions_enabled:
            return
        if getattr(alarm, "actions_suppressor", None):
            self._held[scope, alarm.name] = change
        else:
            await self._act(scope, change)

    async def _release(self, result: _EvaluationResult) -> None:
        """Carry out the actions that are no longer suppressed."""
        now = self._context.clock.now()
        for (scope, name), change in list(self._held.items()):
            if scope != result.scope:
                continue
            try:
                await self._release_one(result, name, change, now)
            except Exception:
                self._held.pop((scope, name), None)
                log.exception("the suppressed actions of the alarm %s failed", name)

    async def _release_one(
        self, result: _EvaluationResult, name: str, change: Change, now: datetime
    ) -> None:
        scope, alarm = result.scope, change.alarm
        suppressor = alarm.actions_suppressor.rpartition(":alarm:")[2]
        cause = suppressed_by(
            now,
            change.at,
            result.states.get(suppressor),
            self._left.get((scope, suppressor)),
            wait_seconds=float(alarm.actions_suppressor_wait_period or 0),
            extension_seconds=float(alarm.actions_suppressor_extension_period or 0),
        )
        await self._context.moto.call(_show_suppression, scope, name, cause, suppressor)
        if name not in result.states:
            del self._held[scope, name]
        elif cause is None:
            del self._held[scope, name]
            await self._act(scope, change)

    async def _scale(self, scope: Scope, scaling: _Scaling, *, changed: bool) -> None:
        now, key = self._context.clock.now(), (scope, scaling.name)
        due = now - self._last_scaling.get(key, datetime.min.replace(tzinfo=UTC))
        if not changed and due < timedelta(seconds=60):
            return
        self._last_scaling[key] = now
        for policy in scaling.policies:
            await self._on_scaling_alarm(policy, scaling.name, scaling.latest, scaling.threshold)

    async def _act(self, scope: Scope, change: Change) -> None:
        """Carry out the actions of a change, except scaling, which `_scale` does each minute."""
        alarm = change.alarm
        for action in _actions(alarm, change.after):
            if _SCALING_POLICY in action:
                continue
            problem = ""
            if ":sns:" not in action:
                problem = "The local cloud supports scaling policies and SNS topics as actions."
            else:
                try:
                    await self._context.api(
                        scope,
                        "sns",
                        "publish",
                        TopicArn=action,
                        Subject=f'{change.after}: "{alarm.name}"'[:100],
                        Message=json.dumps(message(scope, change)),
                    )
                except Exception as error:
                    problem = str(error)
            if problem:
                log.warning("alarm %s could not reach %s: %s", alarm.name, action, problem)
            await self._context.moto.call(_note_action, scope, alarm, action, problem, change.at)


def _evaluate_all(now: datetime) -> list[_EvaluationResult]:
    """Evaluate the alarms of every account and region; call it in moto's thread."""
    found = []
    for scope, cloudwatch in backends("cloudwatch"):
        if not cloudwatch.alarms and not history_of(cloudwatch).seen:
            continue
        note_configurations(cloudwatch, now)
        scaling: list[_Scaling] = []
        problems: dict[str, str] = {}
        for alarm in list(cloudwatch.alarms.values()):
            if not alarm.rule:
                try:
                    scaling += _evaluate_metric_alarm(cloudwatch, alarm, now)
                except Exception as error:  # the alarm keeps its state
                    problems[alarm.name] = repr(error)
        # A composite alarm may depend on others, so repeat until nothing changes; the limit ends a
        # circle.
        for _ in range(_DEEPEST_COMPOSITE):
            changed = False
            for alarm in cloudwatch.alarms.values():
                try:
                    changed |= _evaluate_composite(cloudwatch, alarm, now)
                except Exception as error:
                    problems[alarm.name] = repr(error)
            if not changed:
                break
        states = {name: alarm.state_value for name, alarm in cloudwatch.alarms.items()}
        found.append(_EvaluationResult(scope, changes(cloudwatch, now), scaling, states, problems))
    return found


def _evaluate_metric_alarm(cloudwatch: Any, alarm: Any, now: datetime) -> list[_Scaling]:
    found = _values(cloudwatch, alarm, now)
    condition = MetricAlarm(
        comparison=alarm.comparison_operator,
        threshold=float(alarm.threshold),
        evaluation_periods=int(alarm.evaluation_periods),
        datapoints_to_alarm=int(alarm.datapoints_to_alarm or alarm.evaluation_periods),
        treat_missing_data=alarm.treat_missing_data or "missing",
    )
    state = evaluate(condition, found) or alarm.state_value
    if state != alarm.state_value:
        shown = ", ".join("none" if v is None else f"{v:g}" for v in found)
        reason = (
            f"The last {len(found)} datapoints were [{shown}] against the threshold "
            f"{condition.threshold:g} ({condition.comparison})."
        )
        data = {"version": "1.0", "recentDatapoints": found, "threshold": condition.threshold}
        _update(alarm, state, reason, json.dumps(data), now)
    policies = [action for action in _actions(alarm, state) if _SCALING_POLICY in action]
    if not policies or not alarm.actions_enabled:
        return []
    latest = next((v for v in reversed(found) if v is not None), None)
    return [_Scaling(alarm.name, policies, latest, condition.threshold)]


def _evaluate_composite(cloudwatch: Any, alarm: Any, now: datetime) -> bool:
    """Set a composite alarm to the state of its rule; return whether the state changed."""
    if not alarm.rule:
        return False

    def state_of(name: str) -> str | None:
        found = cloudwatch.alarms.get(name)
        return found.state_value if found is not None else None

    rule = parse(alarm.rule)
    state = "ALARM" if holds(rule, state_of) else "OK"
    if state == alarm.state_value:
        return False
    children = [(name, cloudwatch.alarms.get(name)) for name in sorted(alarms_of(rule))]
    known = [child for _, child in children if child is not None]
    shown = ", ".join(f"{child.alarm_arn} is {child.state_value}" for child in known)
    reason = f"The rule is {'true' if state == 'ALARM' else 'false'}: {shown or 'no alarm'}."
    triggering = [{"arn": c.alarm_arn, "state": {"value": c.state_value}} for c in known]
    _update(alarm, state, reason[:1023], json.dumps({"triggeringAlarms": triggering}), now)
    return True


def _update(alarm: Any, state: str, reason: str, data: str, now: datetime) -> None:
    alarm.update_state(reason, data, state)
    # moto sets this time by the machine's clock, without a time zone.
    alarm.state_updated_timestamp = now.replace(tzinfo=None)


def _actions(alarm: Any, state: str) -> list[str]:
    match state:
        case "ALARM":
            return list(alarm.alarm_actions or [])
        case "OK":
            return list(alarm.ok_actions or [])
        case _:
            return list(alarm.insufficient_data_actions or [])


def _note_action(scope: Scope, alarm: Any, action: str, problem: str, at: datetime) -> None:
    note_action(backend("cloudwatch", scope), alarm, action, problem, at)


def _show_suppression(scope: Scope, name: str, cause: str | None, suppressor: str) -> None:
    alarm = backend("cloudwatch", scope).alarms.get(name)
    if alarm is not None:
        alarm.actions_suppressed_by = cause
        alarm.actions_suppressed_reason = (
            f"Actions are suppressed by {cause} of {suppressor}." if cause else None
        )


def _values(cloudwatch: Any, alarm: Any, now: datetime) -> list[float | None]:
    """Return the evaluation range of an alarm's statistic or metric math, oldest first."""
    count = int(alarm.evaluation_periods) + RANGE_BEYOND_PERIODS
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
