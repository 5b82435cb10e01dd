"""The SNS message and the EventBridge event of a change of an alarm's state. Pure.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from localcloud.aws.routing import Scope
from localcloud.cloudwatch.alarm_history import Change


def message(scope: Scope, change: Change) -> dict[str, Any]:
    """Return the message that a topic gets."""
    alarm = change.alarm
    content: dict[str, Any] = {
        "AlarmName": alarm.name,
        "AlarmDescription": alarm.description,
        "AWSAccountId": scope.account,
        "NewStateValue": change.after,
        "NewStateReason": change.reason,
        "StateChangeTime": _time(change.at),
        "Region": scope.region,
        "AlarmArn": alarm.alarm_arn,
        "OldStateValue": change.before,
        "OKActions": list(alarm.ok_actions or []),
        "AlarmActions": list(alarm.alarm_actions or []),
        "InsufficientDataActions": list(alarm.insufficient_data_actions or []),
    }
    if alarm.rule:
        return content | {"AlarmRule": alarm.rule}
    trigger = {
        "MetricName": alarm.metric_name,
        "Namespace": alarm.namespace,
        "Statistic": (alarm.statistic or "").upper() or None,
        "ExtendedStatistic": alarm.extended_statistic,
        "Dimensions": [{"name": d.name, "value": d.value} for d in alarm.dimensions],
        "Period": alarm.period,
        "EvaluationPeriods": alarm.evaluation_periods,
        "DatapointsToAlarm": alarm.datapoints_to_alarm,
        "ComparisonOperator": alarm.comparison_operator,
        "Threshold": alarm.threshold,
        "TreatMissingData": alarm.treat_missing_data or "missing",
    }
    return content | {"Trigger": {k: v for k, v in trigger.items() if v is not None}}


def event(change: Change) -> dict[str, Any]:
    """Return the detail of a `CloudWatch Alarm State Change` event."""
    alarm = change.alarm
    configuration: dict[str, Any] = {"description": alarm.description or ""}
    if alarm.rule:
        configuration["alarmRule"] = alarm.rule
    elif alarm.metric_data_queries:
        configuration["metrics"] = [
            {"id": q.id, "expression": q.expression} if q.expression else _metric(q.id, q)
            for q in alarm.metric_data_queries
        ]
    else:
        metric = {
            "namespace": alarm.namespace,
            "name": alarm.metric_name,
            "dimensions": {d.name: d.value for d in alarm.dimensions},
        }
        stat = {
            "metric": metric,
            "period": alarm.period,
            "stat": alarm.extended_statistic or alarm.statistic,
        }
        configuration["metrics"] = [{"id": "m1", "metricStat": stat, "returnData": True}]
    return {
        "alarmName": alarm.name,
        "configuration": configuration,
        "previousState": _state(
            change.before, change.before_reason, change.before_reason_data, change.before_at
        ),
        "state": _state(change.after, change.reason, change.reason_data, change.at),
    }


def _metric(id_: str, query: Any) -> dict[str, Any]:
    found = query.metric_stat
    metric = {
        "namespace": found.metric.namespace,
        "name": found.metric.metric_name,
        "dimensions": {d.name: d.value for d in found.metric.dimensions or []},
    }
    stat = {"metric": metric, "period": found.period, "stat": found.stat}
    return {"id": id_, "metricStat": stat}


def _state(value: str, reason: str, data: str, at: datetime) -> dict[str, Any]:
    return {"value": value, "reason": reason, "reasonData": data or "{}", "timestamp": _time(at)}


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}+0000"
