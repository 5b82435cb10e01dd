"""The section `alarms`, which moto's CloudWatch has. Call it in moto's thread."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from localcloud.aws.routing import Scope
from localcloud.cloudwatch.alarm_history import history_of
from localcloud.moto_backend.dispatcher import known_backend

_MOST_ALARMS = 100
_MOST_CHANGES = 300
_SCALING = ":scalingPolicy:"


def alarms(scope: Scope) -> dict[str, Any]:
    """Return the alarms of a scope: those in ALARM first, each with its newest changes."""
    cloudwatch = known_backend("cloudwatch", scope)
    if cloudwatch is None:
        return {"count": 0, "inAlarm": 0, "items": []}
    changes: dict[str, list[dict[str, Any]]] = {}
    for item in history_of(cloudwatch).items[-_MOST_CHANGES:]:
        if item["HistoryItemType"] == "StateUpdate":
            state = json.loads(item["HistoryData"]).get("newState", {}).get("stateValue")
            found = changes.setdefault(item["AlarmName"], [])
            found.append({"at": item["Timestamp"], "state": state})
    found = [_alarm(alarm, changes.get(alarm.name, [])) for alarm in cloudwatch.alarms.values()]
    found.sort(key=lambda alarm: (alarm["state"] != "ALARM" or alarm["neutral"], alarm["name"]))
    return {
        "count": len(found),
        "inAlarm": sum(a["state"] == "ALARM" and not a["neutral"] for a in found),
        "items": found[:_MOST_ALARMS],
    }


def _alarm(alarm: Any, changes: list[dict[str, Any]]) -> dict[str, Any]:
    actions = list(alarm.alarm_actions or [])
    low = (alarm.comparison_operator or "").startswith("LessThan")
    return {
        "name": alarm.name,
        "state": alarm.state_value,
        "reason": alarm.state_reason,
        "since": aware(alarm.state_updated_timestamp),
        "metric": alarm.metric_name,
        "namespace": alarm.namespace,
        "dimensions": {d.name: d.value for d in alarm.dimensions or []},
        "comparison": alarm.comparison_operator,
        "threshold": _number(alarm.threshold),
        "period": alarm.period,
        "rule": alarm.rule or None,
        "description": alarm.description,
        "actions": actions,
        # An alarm that lets an endpoint scale in is in ALARM whenever there is little traffic.
        "neutral": low and bool(actions) and all(_SCALING in action for action in actions),
        "datapoints": _datapoints(alarm.state_reason_data),
        "changes": changes[-10:],
    }


def _datapoints(text: str | None) -> list[float | None]:
    try:
        found = json.loads(text or "{}").get("recentDatapoints", [])
    except (ValueError, AttributeError):
        return []
    return found if isinstance(found, list) else []


def aware(stamp: datetime | None) -> datetime | None:
    """Return a time of moto, which has no zone and means UTC, with its zone."""
    return stamp.replace(tzinfo=UTC) if stamp is not None and stamp.tzinfo is None else stamp


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
