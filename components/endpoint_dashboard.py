"""The CloudWatch dashboard of an endpoint, in CloudWatch's JSON format.

Pure: settings in, dashboard body out. Must not: register resources.
Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
"""

import json
from collections.abc import Sequence
from typing import Any

from components.endpoint_alarms import NAMESPACE, NAMESPACE_OF_MONITOR, dimensions
from components.naming import VARIANT_NAME
from components.settings import EndpointSettings, ScalingMetric

_WIDTH, _HEIGHT = 12, 6
_INSTANCE_NAMESPACE = "/aws/sagemaker/Endpoints"


def render(
    endpoint_name: str, region: str, settings: EndpointSettings, alarm_arns: Sequence[str]
) -> str:
    """Return the dashboard's body.

    Args:
        endpoint_name: the endpoint's name.
        region: region of its metrics.
        settings: its thresholds become horizontal lines in the plots.
        alarm_arns: alarms whose states are shown at the top.
    """
    pairs = [part for pair in dimensions(endpoint_name).items() for part in pair]

    def metric(name: str, namespace: str = NAMESPACE, **options: Any) -> list[Any]:
        return [namespace, name, *pairs, options]

    latency = settings.alarms.latency_p99_milliseconds
    per_instance, at_once = _lines(), _lines()
    instances = [
        [{"expression": "requests / per_instance", "label": "Instances", "id": "instances"}],
        metric("Invocations", id="requests", stat="Sum", visible=False),
        metric("InvocationsPerInstance", id="per_instance", stat="Sum", visible=False),
    ]
    limits = _lines()
    if settings.scaling is not None:
        target = _lines((f"target {settings.scaling.target:g}", settings.scaling.target))
        if settings.scaling.metric is ScalingMetric.INVOCATIONS:
            per_instance = target
        else:
            at_once = target
        limits = _lines(
            (f"maximum {settings.scaling.max_instance_count}", settings.scaling.max_instance_count),
            (f"minimum {settings.scaling.min_instance_count}", settings.scaling.min_instance_count),
        )
    plots = [
        (
            "Requests and errors per minute",
            [
                metric("Invocations", stat="Sum"),
                metric("Invocation4XXErrors", stat="Sum"),
                metric("Invocation5XXErrors", stat="Sum"),
            ],
            _lines(),
        ),
        (
            "Model latency (µs)",
            [metric("ModelLatency", stat=stat) for stat in ("p50", "p95", "p99")],
            _lines((f"alarm at {latency} ms", latency * 1000)),
        ),
        (
            "Requests per instance and minute",
            [metric("InvocationsPerInstance", stat="Sum")],
            per_instance,
        ),
        (
            "Requests at once",
            [metric("ConcurrentRequestsPerModel", stat="Maximum")],
            at_once,
        ),
        ("Instances", instances, limits),
        (
            "CPU and memory (%)",
            [
                metric("CPUUtilization", _INSTANCE_NAMESPACE, stat="Average"),
                metric("MemoryUtilization", _INSTANCE_NAMESPACE, stat="Average"),
            ],
            _lines(),
        ),
        (
            "SageMaker overhead latency (µs)",
            [metric("OverheadLatency", stat=stat) for stat in ("p50", "p99")],
            _lines(),
        ),
    ]
    if settings.monitored:
        plots += _of_monitor(endpoint_name, settings)
    widgets: list[dict[str, Any]] = [
        {
            "type": "alarm",
            "x": 0,
            "y": 0,
            "width": 2 * _WIDTH,
            "height": 2,
            "properties": {"title": f"Alarms of {endpoint_name}", "alarms": list(alarm_arns)},
        }
    ]
    for index, (title, metrics, lines) in enumerate(plots):
        widgets.append(
            {
                "type": "metric",
                "x": index % 2 * _WIDTH,
                "y": 2 + index // 2 * _HEIGHT,
                "width": _WIDTH,
                "height": _HEIGHT,
                "properties": {
                    "title": title,
                    "region": region,
                    "view": "timeSeries",
                    "period": 60,
                    "metrics": metrics,
                    **lines,
                },
            }
        )
    return json.dumps({"widgets": widgets}, separators=(",", ":"))


def _of_monitor(
    endpoint_name: str, settings: EndpointSettings
) -> list[tuple[str, list[list[Any]], dict[str, Any]]]:
    """Return the plots of the monitor's metrics, a point for each of its runs."""

    def metric(name: str) -> list[Any]:
        named = ["Endpoint", endpoint_name, "Variant", VARIANT_NAME]
        # A run publishes once, so every statistic of a minute is its value.
        return [NAMESPACE_OF_MONITOR, name, *named, {"stat": "Maximum"}]

    drift, accuracy = settings.monitor.psi_drift, settings.monitor.minimum_live_accuracy
    return [
        (
            "Drift: population stability index",
            [metric("MaximumPsi"), metric("PredictionPsi"), metric("ConfidencePsi")],
            _lines((f"drift from {drift:g}", drift)),
        ),
        (
            "Drift: columns, and runs in a row",
            [metric("DriftedColumns"), metric("ConsecutiveDrifts"), metric("Failed")],
            _lines(),
        ),
        (
            "Accuracy on labels that came later",
            [metric("LiveAccuracy")],
            _lines((f"minimum {accuracy:g}", accuracy)) if accuracy else _lines(),
        ),
        ("Rows of a run, labelled rows", [metric("Rows"), metric("LabelledRows")], _lines()),
    ]


def _lines(*lines: tuple[str, float]) -> dict[str, Any]:
    if not lines:
        return {}
    horizontal = [{"label": label, "value": value} for label, value in lines]
    return {"annotations": {"horizontal": horizontal}}
