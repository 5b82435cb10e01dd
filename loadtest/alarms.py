"""Pure: turns CloudWatch's descriptions of the scaling alarms into their states over time.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_AlarmHistoryItem.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from loadtest.cloud_clock import CloudClock
from loadtest.samples import AlarmState, ScalingAlarm

OK, ALARM, INSUFFICIENT_DATA = "OK", "ALARM", "INSUFFICIENT_DATA"
HIGH, LOW = "high alarm", "low alarm"
_OPERATORS = {
    "GreaterThanThreshold": ">",
    "GreaterThanOrEqualToThreshold": "≥",
    "LessThanThreshold": "<",
    "LessThanOrEqualToThreshold": "≤",
}
_SUMMARY = re.compile(r"from (\w+) to (\w+)")
_TITLE_CHARACTERS = 24


class Span(NamedTuple):
    """A period in which an alarm had one state; start and end in seconds since the load began."""

    start: float
    end: float
    state: str


def states(
    now: str | None, changes: Iterable[dict[str, Any]], clock: CloudClock
) -> list[AlarmState]:
    """Return the states of an alarm since the load began, the first one at 0.

    Args:
        now: the alarm's present state; None if the alarm no longer exists.
        changes: the StateUpdate items of DescribeAlarmHistory since the load began.
        clock: the cloud's clock, set at the start of the load.
    """
    found: list[AlarmState] = []
    for item in sorted(changes, key=lambda item: item["Timestamp"]):
        before, after, reason = _change(item)
        if not found:
            found.append(AlarmState(0.0, before, ""))
        start = max(0.0, round(clock.offset(item["Timestamp"]), 2))
        found.append(AlarmState(start, after, reason))
    if not found and now is not None:
        found.append(AlarmState(0.0, now, ""))
    return found


def _change(item: dict[str, Any]) -> tuple[str, str, str]:
    """Return the state before, the state after and the reason of a StateUpdate item."""
    try:
        data = json.loads(item["HistoryData"])
        before, after = data["oldState"], data["newState"]
        return before["stateValue"], after["stateValue"], after.get("stateReason") or ""
    except (ValueError, KeyError):
        # CloudWatch truncates the data to 4,095 characters; the summary is complete.
        summary = _SUMMARY.search(item.get("HistorySummary", ""))
        before_state, after_state = summary.groups() if summary else (INSUFFICIENT_DATA,) * 2
        return before_state, after_state, ""


def condition(alarm: dict[str, Any]) -> str:
    """Return the condition of an alarm of DescribeAlarms, such as `> 500 for 3 min`."""
    operator = _OPERATORS.get(alarm.get("ComparisonOperator", ""))
    if operator is None or "Threshold" not in alarm:
        return ""
    periods = alarm.get("EvaluationPeriods", 1)
    minutes = alarm.get("Period", 60) / 60
    datapoints = alarm.get("DatapointsToAlarm") or periods
    duration = f"for {periods * minutes:g} min"
    if datapoints != periods:
        duration = f"in {datapoints} of {periods} × {minutes:g} min"
    return f"{operator} {alarm['Threshold']:,g} {duration}"


def title(name: str) -> str:
    """Return a short title for an alarm, from the fixed name parts of target tracking's alarms."""
    if "-AlarmHigh-" in name:
        return HIGH
    if "-AlarmLow-" in name:
        return LOW
    return name if len(name) <= _TITLE_CHARACTERS else f"{name[: _TITLE_CHARACTERS - 1]}…"


def spans(alarm: ScalingAlarm, end: float) -> list[Span]:
    """Return the periods of an alarm's states up to the end of a run, without empty ones."""
    bounds = [*((state.start, state.state) for state in alarm.states), (end, "")]
    return [
        Span(start, min(following, end), state)
        for (start, state), (following, _) in pairwise(bounds)
        if min(following, end) > start
    ]


def state_at(alarms: Sequence[ScalingAlarm], alarm_title: str, moment: float) -> AlarmState | None:
    """Return the state of the alarm with a title at a moment; None if it is unknown."""
    for alarm in alarms:
        if title(alarm.name) == alarm_title:
            known = [state for state in alarm.states if state.start <= moment]
            return known[-1] if known else None
    return None
