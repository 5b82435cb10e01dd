"""CloudWatch: alarms and dashboards."""

from __future__ import annotations

from typing import Any

from localcloud.deploy.types.base import (
    NAME,
    Aws,
    Inputs,
    Outputs,
    ResourceType,
    delete_by_id,
    fields,
    tag_list,
    update_tags,
)

# Inputs whose Pulumi name differs from the API's.
_RENAMED = {
    "name": "alarmName",
    "metricQueries": "metrics",
    "evaluateLowSampleCountPercentiles": "evaluateLowSampleCountPercentile",
}


def _dimensions(values: Inputs) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items()]


def _query(query: dict[str, Any]) -> dict[str, Any]:
    """Return one metric query; Pulumi puts the metric and its statistic into one object."""
    rest = {key: value for key, value in query.items() if key != "metric"}
    metric = query.get("metric")
    if metric:
        what = {key: metric[key] for key in ("metricName", "namespace") if key in metric}
        rest["metricStat"] = {
            "metric": {**what, "dimensions": _dimensions(metric.get("dimensions") or {})},
            **{key: metric[key] for key in ("period", "stat", "unit") if key in metric},
        }
    return rest


def _alarm(inputs: Inputs) -> dict[str, Any]:
    wanted = {_RENAMED.get(key, key): value for key, value in inputs.items() if key != "tags"}
    if "dimensions" in wanted:
        wanted["dimensions"] = _dimensions(wanted["dimensions"])
    if "metrics" in wanted:
        wanted["metrics"] = [_query(query) for query in wanted["metrics"]]
    return wanted


def _arn(aws: Aws, name: str) -> str:
    return f"arn:aws:cloudwatch:{aws.region}:{aws.account}:alarm:{name}"


def _create_alarm(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
    aws.call("cloudwatch", "put_metric_alarm", Tags=tag_list(inputs), **_alarm(inputs))
    return inputs["name"], {**inputs, "arn": _arn(aws, inputs["name"])}


def _update_alarm(aws: Aws, id_: str, inputs: Inputs, outputs: Outputs) -> Outputs:
    # AWS ignores tags here if the alarm already exists.
    aws.call("cloudwatch", "put_metric_alarm", **_alarm(inputs))
    arn = _arn(aws, id_)
    update_tags(aws, "cloudwatch", outputs, inputs, of={"ResourceARN": arn})
    return {**inputs, "arn": arn}


def _composite(inputs: Inputs) -> dict[str, Any]:
    wanted = {k: v for k, v in inputs.items() if k not in ("tags", "actionsSuppressor")}
    suppressor = inputs.get("actionsSuppressor")
    if suppressor:
        wanted["actionsSuppressor"] = suppressor["alarm"]
        wanted["actionsSuppressorWaitPeriod"] = suppressor["waitPeriod"]
        wanted["actionsSuppressorExtensionPeriod"] = suppressor["extensionPeriod"]
    return wanted


def _create_composite(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
    aws.call("cloudwatch", "put_composite_alarm", Tags=tag_list(inputs), **_composite(inputs))
    return inputs["alarmName"], {**inputs, "arn": _arn(aws, inputs["alarmName"])}


def _update_composite(aws: Aws, id_: str, inputs: Inputs, outputs: Outputs) -> Outputs:
    aws.call("cloudwatch", "put_composite_alarm", **_composite(inputs))
    arn = _arn(aws, id_)
    update_tags(aws, "cloudwatch", outputs, inputs, of={"ResourceARN": arn})
    return {**inputs, "arn": arn}


def _put_dashboard(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
    name = inputs["dashboardName"]
    aws.call(
        "cloudwatch", "put_dashboard", DashboardName=name, DashboardBody=inputs["dashboardBody"]
    )
    return name, {**inputs, "dashboardArn": f"arn:aws:cloudwatch::{aws.account}:dashboard/{name}"}


def _update_dashboard(aws: Aws, id_: str, inputs: Inputs, outputs: Outputs) -> Outputs:
    del id_, outputs
    return _put_dashboard(aws, inputs)[1]


_delete_alarm = delete_by_id("cloudwatch", "delete_alarms", "AlarmNames", several=True)

TYPES: dict[str, ResourceType] = {
    "aws:cloudwatch/metricAlarm:MetricAlarm": ResourceType(
        _create_alarm, _delete_alarm, _update_alarm, NAME
    ),
    "aws:cloudwatch/compositeAlarm:CompositeAlarm": ResourceType(
        _create_composite, _delete_alarm, _update_composite, frozenset({"alarmName"})
    ),
    "aws:cloudwatch/dashboard:Dashboard": ResourceType(
        _put_dashboard,
        delete_by_id("cloudwatch", "delete_dashboards", "DashboardNames", several=True),
        _update_dashboard,
        frozenset({"dashboardName"}),
        fields("dashboardName dashboardBody"),
    ),
}
