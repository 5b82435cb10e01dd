"""The history of alarms: the items of DescribeAlarmHistory, stored beside moto's alarms.

Use it in moto's thread only. A moto alarm records each state that it leaves. From these records
`changes` finds every change since its last call, including those made by SetAlarmState.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_AlarmHistoryItem.html
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

_KEPT_ITEMS = 2000


@dataclass(frozen=True, slots=True)
class Change:
    """One change of an alarm's state."""

    alarm: Any
    before: str
    after: str
    reason: str
    reason_data: str
    before_reason: str
    before_reason_data: str
    before_at: datetime
    at: datetime


@dataclass(slots=True)
class History:
    """The items of one account and region, oldest first.

    Attributes:
        seen: alarm name → time of its configuration, and how many of its changes were reported.
    """

    items: list[dict[str, Any]] = field(default_factory=list)
    seen: dict[str, tuple[datetime, int]] = field(default_factory=dict)

    def add(
        self, name: str, kind: str, item: str, summary: str, data: dict[str, Any], at: datetime
    ) -> None:
        """Add an item; only the latest 2,000 are kept."""
        self.items.append(_described(name, kind, item, summary, data, at))
        del self.items[:-_KEPT_ITEMS]


def _described(
    name: str, kind: str, item: str, summary: str, data: dict[str, Any], at: datetime
) -> dict[str, Any]:
    return {
        "AlarmName": name,
        "AlarmType": kind,
        "Timestamp": at,
        "HistoryItemType": item,
        "HistorySummary": summary[:255],
        "HistoryData": json.dumps(data, default=str)[:4095],
    }


def history_of(cloudwatch: Any) -> History:
    """Return the history of a backend."""
    found = getattr(cloudwatch, "localcloud_history", None)
    if not isinstance(found, History):
        found = cloudwatch.localcloud_history = History()
    return found


def kind_of(alarm: Any) -> str:
    """Return CompositeAlarm or MetricAlarm."""
    return "CompositeAlarm" if alarm.rule else "MetricAlarm"


def note_configurations(cloudwatch: Any, now: datetime) -> None:
    """Add an item for each alarm that was created, updated or deleted since the last call."""
    history = history_of(cloudwatch)
    for name in history.seen.keys() - cloudwatch.alarms.keys():
        del history.seen[name]
        kinds = [item["AlarmType"] for item in history.items if item["AlarmName"] == name]
        kind = kinds[-1] if kinds else "MetricAlarm"
        summary = f'Alarm "{name}" deleted'
        history.add(name, kind, "ConfigurationUpdate", summary, {"type": "Delete"}, now)
    for name, alarm in cloudwatch.alarms.items():
        configured = alarm.configuration_updated_timestamp
        known = history.seen.get(name)
        if known is not None and known[0] == configured:
            continue
        history.seen[name] = (configured, 0)
        what = "Create" if known is None else "Update"
        summary = f'Alarm "{name}" {what.lower()}d'
        history.add(
            name,
            kind_of(alarm),
            "ConfigurationUpdate",
            summary,
            {"type": what, "version": "1.0"},
            now,
        )


def changes(cloudwatch: Any, now: datetime) -> list[Change]:
    """Return the changes of state since the last call, and add an item for each."""
    history = history_of(cloudwatch)
    found = list(_unreported(cloudwatch, now))
    for change in found:
        history.items.append(_item(change))
    del history.items[:-_KEPT_ITEMS]
    for name, alarm in cloudwatch.alarms.items():
        configured, _ = history.seen.get(name, (alarm.configuration_updated_timestamp, 0))
        history.seen[name] = (configured, len(alarm.history))
    return found


def items_of(cloudwatch: Any, now: datetime) -> list[dict[str, Any]]:
    """Return all items, with those of changes that `changes` has not yet returned."""
    return [*history_of(cloudwatch).items, *map(_item, _unreported(cloudwatch, now))]


def note_last_changes(cloudwatch: Any, names: Collection[str], now: datetime) -> None:
    """Add items for the unreported changes of alarms that are about to be deleted."""
    last = [change for change in _unreported(cloudwatch, now) if change.alarm.name in names]
    history_of(cloudwatch).items += map(_item, last)


def _unreported(cloudwatch: Any, now: datetime) -> Iterator[Change]:
    seen = history_of(cloudwatch).seen
    for name, alarm in cloudwatch.alarms.items():
        _, told = seen.get(name, (None, 0))
        latest = ("", alarm.state_reason, alarm.state_reason_data, alarm.state_value, now)
        states = [*alarm.history, latest]
        for before, after in zip(states[told:], states[told + 1 :], strict=False):
            if before[3] != after[3]:
                at = before[4].replace(tzinfo=UTC) if before[4].tzinfo is None else before[4]
                yield Change(
                    alarm, before[3], after[3], after[1], after[2], before[1], before[2], at, now
                )


def _item(change: Change) -> dict[str, Any]:
    data = {
        "version": "1.0",
        "oldState": {"stateValue": change.before, "stateReason": change.before_reason},
        "newState": {
            "stateValue": change.after,
            "stateReason": change.reason,
            "stateReasonData": _json(change.reason_data),
        },
    }
    summary = f"Alarm updated from {change.before} to {change.after}"
    alarm = change.alarm
    return _described(alarm.name, kind_of(alarm), "StateUpdate", summary, data, change.at)


def note_action(cloudwatch: Any, alarm: Any, action: str, problem: str, now: datetime) -> None:
    """Add an item for an action that was carried out, or that failed with `problem`."""
    summary = (
        f"Failed to execute action {action}"
        if problem
        else (f"Successfully executed action {action}")
    )
    data = {"actionState": "Failed" if problem else "Succeeded", "notificationResource": action}
    if problem:
        data["error"] = problem
    history_of(cloudwatch).add(alarm.name, kind_of(alarm), "Action", summary, data, now)


def _json(text: str) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text
