"""The alarms of an endpoint.

Pure: settings in, alarms out. Owns the thresholds and the treatment of missing data. Must not:
register resources.

    server-errors     too many 5xx                          ┐ these also roll a deployment back
    latency-p99       the model is slow                     ┘
    no-invocations    the endpoint receives no requests     if noInvocationsMinutes is set; belongs
                                                            to the endpoint's own stack
    at-max-capacity   scaling cannot add more instances     if the endpoint scales
    drift             captures drifted from the training    ┐
    live-accuracy     later labels contradict the model     │ if the monitor runs
    monitor-failed    a run of the monitor failed           ┘

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
"""

from dataclasses import dataclass, field
from typing import Any

from components.naming import VARIANT_NAME
from components.settings import EndpointSettings

NAMESPACE = "AWS/SageMaker"
NAMESPACE_OF_MONITOR = "MlopsLab/Monitor"
DRIFT = "drift"
ROLLBACK = ("server-errors", "latency-p99")


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm.

    Attributes:
        purpose: what the alarm detects; part of its logical and physical names.
        name: the physical name.
        description: shown in CloudWatch and in its notifications.
        arguments: further arguments of ``aws.cloudwatch.MetricAlarm``.
        with_endpoint: the alarm is created with the endpoint. Before the first deployment it would
            report the silence of an endpoint that does not exist.
    """

    purpose: str
    name: str
    description: str
    arguments: dict[str, Any] = field(default_factory=dict)
    with_endpoint: bool = False


def rollback_alarm_names(endpoint_name: str) -> list[str]:
    """Return the names of the alarms that roll a deployment of this endpoint back."""
    return [f"{endpoint_name}-{purpose}" for purpose in ROLLBACK]


def dimensions(endpoint_name: str) -> dict[str, str]:
    """Return the dimensions of the endpoint's metrics."""
    return {"EndpointName": endpoint_name, "VariantName": VARIANT_NAME}


def render(endpoint_name: str, settings: EndpointSettings) -> list[Alarm]:
    """Return the alarms of an endpoint.

    Args:
        endpoint_name: the endpoint's name.
        settings: thresholds and scaling limits.
    """
    watched: dict[str, Any] = {"namespace": NAMESPACE, "dimensions": dimensions(endpoint_name)}

    def alarm(
        purpose: str, description: str, *, with_endpoint: bool = False, **arguments: Any
    ) -> Alarm:
        name = f"{endpoint_name}-{purpose}"
        return Alarm(purpose, name, description, arguments, with_endpoint)

    latency, rate = settings.alarms.latency_p99_milliseconds, settings.alarms.error_rate_percent
    alarms = [
        alarm(
            "server-errors",
            f"More than {rate:g} % of the responses of {endpoint_name} are 5xx errors",
            **watched,
            metric_name="Invocation5XXErrors",
            # Each request counts as 1 or 0, so the average is the share of errors. With a sum, one
            # error in a minute of thousands of requests would roll a deployment back.
            statistic="Average",
            period=60,
            evaluation_periods=3,
            datapoints_to_alarm=2,
            comparison_operator="GreaterThanThreshold",
            threshold=rate / 100,
            # A minute without traffic has no errors.
            treat_missing_data="notBreaching",
        ),
        alarm(
            "latency-p99",
            f"The p99 model latency of {endpoint_name} is over {latency} ms",
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
                f"{endpoint_name} has received no invocations for {minutes} minutes",
                with_endpoint=True,
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
        maximum = settings.scaling.max_instance_count
        alarms.append(
            alarm(
                "at-max-capacity",
                f"{endpoint_name} has been at its maximum of {maximum} instances for 15 minutes",
                metric_queries=instance_count(endpoint_name),
                evaluation_periods=15,
                comparison_operator="GreaterThanThreshold",
                # A sum of binary fractions such as 1/10 is not exact, so half an instance less.
                threshold=maximum - 0.5,
                treat_missing_data="notBreaching",
            )
        )
    return [*alarms, *_of_monitor(endpoint_name, settings)]


def _of_monitor(endpoint_name: str, settings: EndpointSettings) -> list[Alarm]:
    """Return the alarms on the metrics of the monitor's runs.

    Between two runs there is no data, and an alarm keeps its state.
    """
    if not settings.monitored:
        return []
    monitor = settings.monitor
    runs, accuracy = monitor.alarm_runs, monitor.minimum_live_accuracy

    def alarm(
        purpose: str, description: str, metric: str, operator: str, threshold: float
    ) -> Alarm:
        arguments = {
            "namespace": NAMESPACE_OF_MONITOR,
            "dimensions": {"Endpoint": endpoint_name, "Variant": VARIANT_NAME},
            "metric_name": metric,
            "statistic": "Maximum",
            "period": 60,
            "evaluation_periods": 1,
            "comparison_operator": operator,
            "threshold": threshold,
            "treat_missing_data": "ignore",
        }
        return Alarm(purpose, f"{endpoint_name}-{purpose}", description, arguments)

    found = []
    if runs:
        what = "The last run" if runs == 1 else f"Each of the last {runs} runs"
        found.append(
            alarm(
                DRIFT,
                f"{what} of the monitor found that what {endpoint_name} is asked or answers has "
                "drifted from the training data",
                "ConsecutiveDrifts",
                "GreaterThanOrEqualToThreshold",
                runs,
            )
        )
    if accuracy:
        found.append(
            alarm(
                "live-accuracy",
                f"The accuracy of {endpoint_name} on labels that came later is below {accuracy:g}",
                "LiveAccuracy",
                "LessThanThreshold",
                accuracy,
            )
        )
    return [
        *found,
        alarm(
            "monitor-failed",
            f"The last run of the monitor of {endpoint_name} failed",
            "Failed",
            "GreaterThanOrEqualToThreshold",
            1,
        ),
    ]


def instance_count(endpoint_name: str) -> list[dict[str, Any]]:
    """Return the metric math expression for an endpoint's number of instances.

    SageMaker has no such metric. But each request adds 1 to Invocations and 1/instances to
    InvocationsPerInstance, so 600 requests with a sum of 150 per instance were served by 4
    instances.
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


def in_template(alarm: Alarm, topic_arn: str, tags: list[dict[str, str]]) -> dict[str, Any]:
    """Return an alarm on one metric as a resource of CloudFormation, which waits for `Endpoint`.

    Args:
        alarm: the alarm.
        topic_arn: topic that receives it.
        tags: the alarm's tags.
    """
    arguments = {
        "".join(part.title() for part in name.split("_")): value
        for name, value in alarm.arguments.items()
        if name != "dimensions"
    }
    dimensions = alarm.arguments.get("dimensions", {})
    return {
        "Type": "AWS::CloudWatch::Alarm",
        "DependsOn": "Endpoint",
        "Properties": {
            "AlarmName": alarm.name,
            "AlarmDescription": alarm.description,
            "AlarmActions": [topic_arn],
            "OKActions": [topic_arn],
            "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
            **arguments,
            "Tags": tags,
        },
    }
