"""Patches of CloudWatch."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from localcloud.aws.errors import AwsError
from localcloud.aws.pagination import page
from localcloud.cloudwatch.alarm_history import (
    items_of,
    kind_of,
    note_configurations,
    note_last_changes,
)
from localcloud.cloudwatch.alarm_settings import problem_of
from localcloud.cloudwatch.composite_rule import AlarmRuleError, alarms_of, parse

# Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutDashboard.html
_DASHBOARD = re.compile(r"[0-9A-Za-z_-]{1,255}")


def patch(now: Callable[[], datetime]) -> None:
    """Apply the patches; `now` returns the AWS time."""
    _patch_alarms(now)
    _patch_composite_alarms()
    _patch_deletions(now)
    _patch_descriptions(now)
    _patch_dashboards()


def _patch_alarms(now: Callable[[], datetime]) -> None:
    """PutMetricAlarm: moto makes every alarm OK, and stores one that cannot be evaluated.

    On AWS a new alarm is INSUFFICIENT_DATA, and an updated one keeps its state. An alarm without a
    period, an evaluation range or a threshold is refused.
    """
    from moto.cloudwatch.exceptions import ValidationError
    from moto.cloudwatch.models import CloudWatchBackend

    original = CloudWatchBackend.put_metric_alarm

    def put_metric_alarm(self: Any, **settings: Any) -> Any:
        problem = None if settings.get("rule") else problem_of(settings)
        if problem is not None:
            raise ValidationError(problem)
        before = self.alarms.get(settings["name"])
        note_last_changes(self, [settings["name"]], now())
        alarm = original(self, **settings)
        alarm.state_value = before.state_value if before is not None else "INSUFFICIENT_DATA"
        note_configurations(self, now())
        return alarm

    CloudWatchBackend.put_metric_alarm = put_metric_alarm


def _patch_deletions(now: Callable[[], datetime]) -> None:
    """DeleteAlarms: AWS keeps the history of an alarm, with its deletion."""
    from moto.cloudwatch.models import CloudWatchBackend

    original = CloudWatchBackend.delete_alarms

    def delete_alarms(self: Any, alarm_names: list[str]) -> None:
        note_last_changes(self, alarm_names, now())
        original(self, alarm_names)
        note_configurations(self, now())

    CloudWatchBackend.delete_alarms = delete_alarms


def _patch_composite_alarms() -> None:
    """PutCompositeAlarm: moto lacks it, although its alarms may have a rule."""
    from moto.cloudwatch.exceptions import ValidationError
    from moto.cloudwatch.responses import CloudWatchResponse

    suppressors = (
        "ActionsSuppressor",
        "ActionsSuppressorWaitPeriod",
        "ActionsSuppressorExtensionPeriod",
    )

    def put_composite_alarm(self: Any) -> Any:
        name = self._get_param("AlarmName")
        try:
            children = alarms_of(parse(self._get_param("AlarmRule")))
        except AlarmRuleError as error:
            raise ValidationError(f"AlarmRule: {error}.") from None
        if name in children:
            raise ValidationError(f"AlarmRule: the alarm {name} cannot depend on itself.")
        given = [self._get_param(suppressor) is not None for suppressor in suppressors]
        if any(given) and not all(given):
            raise ValidationError(f"{', '.join(suppressors)} must be given together.")
        answer = self.put_metric_alarm()
        alarm = self.cloudwatch_backend.alarms[name]
        for name in suppressors:
            # moto's serialiser finds an attribute by its name in snake case.
            setattr(alarm, _snake(name), self._get_param(name))
        return answer

    CloudWatchResponse.put_composite_alarm = put_composite_alarm


def _patch_descriptions(now: Callable[[], datetime]) -> None:
    """DescribeAlarms: moto lacks most filters and pages. DescribeAlarmHistory: moto lacks it."""
    from moto.cloudwatch.responses import CloudWatchResponse
    from moto.core.responses import ActionResult

    def describe_alarms(self: Any) -> Any:
        alarms = self.cloudwatch_backend.alarms
        kinds = self._get_param("AlarmTypes") or ["MetricAlarm"]
        names, prefix = self._get_param("AlarmNames"), self._get_param("AlarmNamePrefix")
        action, state = self._get_param("ActionPrefix"), self._get_param("StateValue")
        children = self._get_param("ChildrenOfAlarmName")
        parents = self._get_param("ParentsOfAlarmName")
        found = [
            alarm
            for alarm in alarms.values()
            if kind_of(alarm) in kinds
            and (not names or alarm.name in names)
            and (not prefix or alarm.name.startswith(prefix))
            and (not action or any(a.startswith(action) for a in alarm.alarm_actions))
            and (not state or alarm.state_value == state)
        ]
        if children:
            wanted = _children(alarms.get(children))
            found = [alarm for alarm in alarms.values() if alarm.name in wanted]
        if parents:
            found = [alarm for alarm in alarms.values() if parents in _children(alarm)]
        shown, token = _paged(self, found, lambda alarm: alarm.name)
        answer = {
            "MetricAlarms": [_Shown(alarm) for alarm in shown if not alarm.rule],
            "CompositeAlarms": [_Shown(alarm) for alarm in shown if alarm.rule],
        }
        return ActionResult(answer | {"NextToken": token})

    def describe_alarm_history(self: Any) -> Any:
        items = items_of(self.cloudwatch_backend, now())
        kinds = self._get_param("AlarmTypes") or ["MetricAlarm"]
        name, item = self._get_param("AlarmName"), self._get_param("HistoryItemType")
        start, end = self._get_param("StartDate"), self._get_param("EndDate")
        numbered = [
            (number, entry)
            for number, entry in enumerate(items)
            if entry["AlarmType"] in kinds
            and name in (None, entry["AlarmName"])
            and item in (None, entry["HistoryItemType"])
            and (start is None or _utc(start) <= entry["Timestamp"])
            and (end is None or entry["Timestamp"] <= _utc(end))
        ]
        if self._get_param("ScanBy") != "TimestampAscending":
            numbered.reverse()
        shown, token = _paged(self, numbered, lambda pair: str(pair[0]))
        return ActionResult(
            {"AlarmHistoryItems": [entry for _, entry in shown], "NextToken": token}
        )

    CloudWatchResponse.describe_alarms = describe_alarms
    CloudWatchResponse.describe_alarm_history = describe_alarm_history


def _patch_dashboards() -> None:
    """PutDashboard: moto takes any name."""
    from moto.cloudwatch.exceptions import InvalidParameterValue
    from moto.cloudwatch.responses import CloudWatchResponse

    original = CloudWatchResponse.put_dashboard

    def put_dashboard(self: Any) -> Any:
        if not _DASHBOARD.fullmatch(self._get_param("DashboardName") or ""):
            raise InvalidParameterValue(
                "The value for field DashboardName contains invalid characters. It can only "
                "contain alphanumerics, dash (-) and underscore (_)."
            )
        return original(self)

    CloudWatchResponse.put_dashboard = put_dashboard


class _Shown:
    """An alarm as DescribeAlarms returns it: without what is empty, and with its last change."""

    def __init__(self, alarm: Any) -> None:
        self._alarm = alarm

    def __getattr__(self, name: str) -> Any:
        alarm = self._alarm
        if name == "metric_data_queries":
            return alarm.metric_data_queries or None
        if name == "state_reason_data":
            return None if alarm.state_reason_data in ("", "{}") else alarm.state_reason_data
        if name == "state_transitioned_timestamp":
            return _changed_at(alarm)
        if not hasattr(alarm, name):  # moto's serialiser knows the prefix by the class
            name = name.removeprefix("alarm_")
        return getattr(alarm, name)


def _changed_at(alarm: Any) -> datetime:
    """Return when the state got another value. The state is updated more often than that."""
    changed: datetime = alarm.state_updated_timestamp
    for _, _, _, value, at in reversed(alarm.history):
        if value != alarm.state_value:
            return changed
        changed = at
    return changed


def _children(alarm: Any) -> set[str]:
    return alarms_of(parse(alarm.rule)) if alarm is not None and alarm.rule else set()


def _paged(response: Any, entries: list[Any], key: Any) -> tuple[list[Any], str | None]:
    from moto.cloudwatch.exceptions import CloudWatchException

    limit = int(response._get_param("MaxRecords") or 100)
    try:
        return page(entries, key, response._get_param("NextToken"), limit, "InvalidNextToken")
    except AwsError as error:
        raise CloudWatchException(error.code, error.message) from None


def _utc(time: datetime) -> datetime:
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
