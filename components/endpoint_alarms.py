"""What an endpoint is watched for.

Pure: settings in, alarms out. Owns thresholds and what missing data means. Must not: register
resources.

    server-errors     answers of 5xx                   ┐ these also bring a deployment back
    latency-p99       the model is slow                ┘
    no-invocations    nobody asks any more             if noInvocationsMinutes is set
    at-max-capacity   scaling has nothing left to add  if the endpoint scales

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
"""

from dataclasses import dataclass, field
from typing import Any

from components.naming import VARIANT_NAME
from components.settings import EndpointSettings

NAMESPACE = "AWS/SageMaker"
ROLLBACK = ("server-errors", "latency-p99")


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm: ``arguments`` are those of ``aws.cloudwatch.MetricAlarm``."""

    purpose: str
    name: str
    description: str
    arguments: dict[str, Any] = field(default_factory=dict)


def rollback_alarm_names(endpoint_name: str) -> list[str]:
    """Return the alarms that bring a deployment of this endpoint back."""
    return [f"{endpoint_name}-{purpose}" for purpose in ROLLBACK]


def dimensions(endpoint_name: str) -> dict[str, str]:
    """Return the dimensions of the endpoint's metrics."""
    return {"EndpointName": endpoint_name, "VariantName": VARIANT_NAME}


def render(endpoint_name: str, settings: EndpointSettings) -> list[Alarm]:
    """Return the alarms of an endpoint."""
    watched = {"namespace": NAMESPACE, "dimensions": dimensions(endpoint_name)}

    def alarm(purpose: str, description: str, **arguments: Any) -> Alarm:
        return Alarm(purpose, f"{endpoint_name}-{purpose}", description, arguments)

    latency = settings.alarms.latency_p99_milliseconds
    alarms = [
        alarm(
            "server-errors",
            f"{endpoint_name} answers 5xx",
            **watched,
            metric_name="Invocation5XXErrors",
            statistic="Sum",
            period=60,
            evaluation_periods=3,
            datapoints_to_alarm=2,
            comparison_operator="GreaterThanThreshold",
            threshold=0,
            # Without traffic there is nothing wrong.
            treat_missing_data="notBreaching",
        ),
        alarm(
            "latency-p99",
            f"the model of {endpoint_name} needs more than {latency} ms for 1 request in 100",
            **watched,
            metric_name="ModelLatency",
            extended_statistic="p99",
            period=60,
            evaluation_periods=3,
            datapoints_to_alarm=2,
            comparison_operator="GreaterThanThreshold",
            # ModelLatency is in microseconds.
            threshold=latency * 1000,
            treat_missing_data="notBreaching",
        ),
    ]
    minutes = settings.alarms.no_invocations_minutes
    if minutes:
        alarms.append(
            alarm(
                "no-invocations",
                f"nobody has asked {endpoint_name} for {minutes} minutes",
                **watched,
                metric_name="Invocations",
                statistic="Sum",
                period=60,
                evaluation_periods=minutes,
                comparison_operator="LessThanThreshold",
                threshold=1,
                treat_missing_data="breaching",
            )
        )
    if settings.scaling is not None:
        most = settings.scaling.max_instance_count
        alarms.append(
            alarm(
                "at-max-capacity",
                f"{endpoint_name} has run {most} instances, its most, for 15 minutes",
                metric_queries=instance_count(endpoint_name),
                evaluation_periods=15,
                comparison_operator="GreaterThanOrEqualToThreshold",
                threshold=most,
                treat_missing_data="notBreaching",
            )
        )
    return alarms


def instance_count(endpoint_name: str) -> list[dict[str, Any]]:
    """Return the metric math of an endpoint's instances.

    SageMaker has no metric of them, but each request counts 1 in Invocations and 1/instances
    in InvocationsPerInstance: 600 requests that sum to 150 per instance were served by 4.
    """

    def total(id_: str, metric: str) -> dict[str, Any]:
        return {
            "id": id_,
            "metric": {
                "namespace": NAMESPACE,
                "metric_name": metric,
                "dimensions": dimensions(endpoint_name),
                "period": 60,
                "stat": "Sum",
            },
        }

    return [
        {
            "id": "instances",
            "expression": "requests / per_instance",
            "label": "Instances",
            "return_data": True,
        },
        total("requests", "Invocations"),
        total("per_instance", "InvocationsPerInstance"),
    ]
