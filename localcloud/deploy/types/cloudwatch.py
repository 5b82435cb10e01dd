"""CloudWatch: alarms and dashboards."""

from __future__ import annotations

from typing import Any

from localcloud.deploy.reading import Terms
from localcloud.deploy.types.base import (
    NAME,
    Answer,
    Aws,
    Inputs,
    Outputs,
    Reader,
    ResourceType,
    delete_by_id,
    fields,
    only,
    renamed,
    tag_list,
    tags_of,
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


# Parts of an alarm that are its state, and not its settings.
_STATE = fields(
    "alarmArn alarmConfigurationUpdatedTimestamp stateValue stateReason stateReasonData "
    "stateUpdatedTimestamp stateTransitionedTimestamp evaluationState"
)
_SUPPRESSION = fields(
    "actionsSuppressor actionsSuppressorWaitPeriod actionsSuppressorExtensionPeriod "
    "actionsSuppressedBy actionsSuppressedReason"
)


def _described(aws: Aws, name: str, type_: str) -> dict[str, Any] | None:
    """Return an alarm's settings with its ARN and tags, or None if there is none."""
    answer = aws.ask("cloudwatch", "describe_alarms", AlarmNames=[name], AlarmTypes=[type_])
    found = answer.get(f"{type_[0].lower()}{type_[1:]}s")
    if not found:
        return None
    arn = found[0]["alarmArn"]
    tags = aws.ask("cloudwatch", "list_tags_for_resource", ResourceARN=arn).get("tags")
    settings = {key: value for key, value in found[0].items() if key not in _STATE}
    return {**settings, "arn": arn, "tags": tags_of(tags)}


def _dimension_map(dimensions: list[dict[str, str]]) -> dict[str, str]:
    return {dimension["name"]: dimension["value"] for dimension in dimensions}


def _query_inputs(query: dict[str, Any]) -> dict[str, Any]:
    """Return one metric query as Pulumi has it: the reverse of `_query`."""
    rest = {key: value for key, value in query.items() if key != "metricStat"}
    stat = query.get("metricStat")
    if stat:
        metric = stat["metric"]
        rest["metric"] = {
            **only(metric, ("metricName", "namespace")),
            "dimensions": _dimension_map(metric.get("dimensions") or []),
            **only(stat, ("period", "stat", "unit")),
        }
    return rest


def _find_alarm(aws: Aws, id_: str, known: Inputs) -> Answer | None:
    del known
    found = _described(aws, id_, "MetricAlarm")
    if found is None:
        return None
    arn = found.pop("arn")
    inputs = renamed(found, _RENAMED)
    inputs["dimensions"] = _dimension_map(inputs.get("dimensions") or [])
    inputs["metricQueries"] = [_query_inputs(q) for q in inputs.get("metricQueries") or []]
    return inputs, {"arn": arn}


def _find_composite(aws: Aws, id_: str, known: Inputs) -> Answer | None:
    del known
    found = _described(aws, id_, "CompositeAlarm")
    if found is None:
        return None
    arn = found.pop("arn")
    inputs = {key: value for key, value in found.items() if key not in _SUPPRESSION}
    if found.get("actionsSuppressor"):
        inputs["actionsSuppressor"] = {
            "alarm": found["actionsSuppressor"],
            "waitPeriod": found["actionsSuppressorWaitPeriod"],
            "extensionPeriod": found["actionsSuppressorExtensionPeriod"],
        }
    return inputs, {"arn": arn}


def _find_dashboard(aws: Aws, id_: str, known: Inputs) -> Answer:
    del known
    found = aws.ask("cloudwatch", "get_dashboard", DashboardName=id_)
    inputs = {"dashboardName": id_, "dashboardBody": found["dashboardBody"]}
    return inputs, {"dashboardArn": f"arn:aws:cloudwatch::{aws.account}:dashboard/{id_}"}


_delete_alarm = delete_by_id("cloudwatch", "delete_alarms", "AlarmNames", several=True)

TYPES: dict[str, ResourceType] = {
    "aws:cloudwatch/metricAlarm:MetricAlarm": ResourceType(
        _create_alarm,
        _delete_alarm,
        _update_alarm,
        NAME,
        reader=Reader(
            _find_alarm,
            Terms(
                {
                    "actionsEnabled": True,
                    "treatMissingData": "missing",
                    "metricQueries.returnData": True,
                }
            ),
        ),
    ),
    "aws:cloudwatch/compositeAlarm:CompositeAlarm": ResourceType(
        _create_composite,
        _delete_alarm,
        _update_composite,
        frozenset({"alarmName"}),
        reader=Reader(_find_composite, Terms({"actionsEnabled": True})),
    ),
    "aws:cloudwatch/dashboard:Dashboard": ResourceType(
        _put_dashboard,
        delete_by_id("cloudwatch", "delete_dashboards", "DashboardNames", several=True),
        _update_dashboard,
        frozenset({"dashboardName"}),
        fields("dashboardName dashboardBody"),
        reader=Reader(_find_dashboard),
    ),
}
