"""Reads the endpoint's state from AWS: instances, scaling activities, alarms, policy and metric.

An error of a service does not stop a load test; it becomes a note in the report.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from loadtest.alarms import condition, states, title
from loadtest.cloud_clock import CloudClock
from loadtest.errors import UsageError
from loadtest.samples import MetricPoint, ScalingActivity, ScalingAlarm

VARIANT = "AllTraffic"
_PERIOD_SECONDS = 60
# GetMetricStatistics returns at most 1440 data points.
_MAX_PERIODS = 1440

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class EndpointState:
    """The variant's state in DescribeEndpoint; None for values that it does not report."""

    status: str | None = None
    current_instances: int | None = None
    desired_instances: int | None = None


@dataclass(frozen=True, slots=True)
class ScalingFacts:
    """The scalable target, its target-tracking policy, and the alarms of all its policies.

    Attributes:
        target_value: invocations per instance and minute; None without target tracking of them.
        min_instances: minimum capacity; None without a scalable target.
        max_instances: maximum capacity; None without a scalable target.
        alarm_names: alarms of all scaling policies.
    """

    target_value: float | None = None
    min_instances: int | None = None
    max_instances: int | None = None
    alarm_names: tuple[str, ...] = ()


class Observer:
    """Reads the state of one endpoint; errors become notes."""

    def __init__(self, endpoint: str, region: str) -> None:
        config = Config(
            connect_timeout=5,
            read_timeout=10,
            retries={"total_max_attempts": 2},
            max_pool_connections=2,
        )
        session = boto3.Session(region_name=region)
        self._endpoint = endpoint
        self._resource_id = f"endpoint/{endpoint}/variant/{VARIANT}"
        self._sagemaker: Any = session.client("sagemaker", config=config)
        self._scaling: Any = session.client("application-autoscaling", config=config)
        self._cloudwatch: Any = session.client("cloudwatch", config=config)
        self._notes: dict[str, str] = {}

    @property
    def notes(self) -> list[str]:
        """Return a note for each operation that failed, with its first error."""
        return [f"{operation}: {error}" for operation, error in self._notes.items()]

    def check(self) -> None:
        """Check that the endpoint exists, as far as the service answers.

        Raises:
            UsageError: the endpoint does not exist.
        """
        try:
            self._sagemaker.describe_endpoint(EndpointName=self._endpoint)
        except ClientError as error:
            message = error.response.get("Error", {}).get("Message", "")
            if "could not find" in message.lower():
                found = self._read("ListEndpoints", self._list_endpoints, list[str]())
                names = ", ".join(found) or "none"
                raise UsageError(
                    f"there is no endpoint '{self._endpoint}'; the endpoints are: {names}"
                ) from None
        except BotoCoreError:
            return  # the run's first read adds a note

    def state(self) -> EndpointState:
        """Return the endpoint's state now."""
        return self._read("DescribeEndpoint", self._state, EndpointState())

    def instance_type(self) -> str | None:
        """Return the variant's instance type; None if it cannot be read."""
        return self._read("DescribeEndpointConfig", self._instance_type, None)

    def scaling(self) -> ScalingFacts:
        """Return the scalable target, its policy and its alarms."""
        return self._read("DescribeScalingPolicies", self._facts, ScalingFacts())

    def activities(self, clock: CloudClock) -> list[ScalingActivity]:
        """Return the scaling activities since the load began, oldest first."""
        return self._read(
            "DescribeScalingActivities", lambda: self._activities(clock), list[ScalingActivity]()
        )

    def invocations_per_instance(self, clock: CloudClock, seconds: float) -> list[MetricPoint]:
        """Return the whole minutes of InvocationsPerInstance in the run.

        Args:
            clock: the cloud's clock, set at the start of the load.
            seconds: end of the run, in seconds after the start.
        """
        return self._read(
            "GetMetricStatistics", lambda: self._metric(clock, seconds), list[MetricPoint]()
        )

    def alarms(
        self, names: tuple[str, ...], clock: CloudClock, seconds: float
    ) -> list[ScalingAlarm]:
        """Return alarms and their states in the run, the high alarms first.

        Args:
            names: the alarms' names.
            clock: the cloud's clock, set at the start of the load.
            seconds: end of the run, in seconds after the start.
        """
        if not names:
            return []
        return self._read(
            "DescribeAlarmHistory",
            lambda: self._alarms(names, clock, seconds),
            list[ScalingAlarm](),
        )

    def _read(self, operation: str, read: Callable[[], T], default: T) -> T:
        try:
            return read()
        except (ClientError, BotoCoreError) as error:
            self._notes.setdefault(operation, str(error))
            return default

    def _list_endpoints(self) -> list[str]:
        return [item["EndpointName"] for item in self._sagemaker.list_endpoints()["Endpoints"]]

    def _state(self) -> EndpointState:
        answer = self._sagemaker.describe_endpoint(EndpointName=self._endpoint)
        for variant in answer.get("ProductionVariants", []):
            if variant.get("VariantName") == VARIANT:
                return EndpointState(
                    answer.get("EndpointStatus"),
                    variant.get("CurrentInstanceCount"),
                    variant.get("DesiredInstanceCount"),
                )
        return EndpointState(answer.get("EndpointStatus"))

    def _instance_type(self) -> str | None:
        endpoint = self._sagemaker.describe_endpoint(EndpointName=self._endpoint)
        config = self._sagemaker.describe_endpoint_config(
            EndpointConfigName=endpoint["EndpointConfigName"]
        )
        types = {v["VariantName"]: v.get("InstanceType") for v in config["ProductionVariants"]}
        found: str | None = types.get(VARIANT)
        return found

    def _facts(self) -> ScalingFacts:
        where = {"ServiceNamespace": "sagemaker"}
        targets = self._scaling.describe_scalable_targets(
            **where, ResourceIds=[self._resource_id]
        ).get("ScalableTargets", [])
        policies = self._scaling.describe_scaling_policies(
            **where, ResourceId=self._resource_id
        ).get("ScalingPolicies", [])
        if not targets:
            self._notes.setdefault("Scaling", f"no scalable target for {self._resource_id}")
        tracking = [
            p["TargetTrackingScalingPolicyConfiguration"]
            for p in policies
            if "TargetTrackingScalingPolicyConfiguration" in p
        ]
        # The target of another metric is no line among invocations; the alarms say what it is.
        tracking = [one for one in tracking if _tracks_invocations(one)]
        return ScalingFacts(
            float(tracking[0]["TargetValue"]) if tracking else None,
            targets[0].get("MinCapacity") if targets else None,
            targets[0].get("MaxCapacity") if targets else None,
            tuple(alarm["AlarmName"] for policy in policies for alarm in policy.get("Alarms", [])),
        )

    def _alarms(
        self, names: tuple[str, ...], clock: CloudClock, seconds: float
    ) -> list[ScalingAlarm]:
        answer = self._cloudwatch.describe_alarms(AlarmNames=list(names))
        present = {alarm["AlarmName"]: alarm for alarm in answer.get("MetricAlarms", [])}
        history = self._cloudwatch.get_paginator("describe_alarm_history")
        found = []
        for name in names:
            pages = history.paginate(
                AlarmName=name,
                HistoryItemType="StateUpdate",
                StartDate=clock.at(0),
                EndDate=clock.at(seconds),
            )
            changes = [item for page in pages for item in page.get("AlarmHistoryItems", [])]
            alarm = present.get(name, {})
            over_time = states(alarm.get("StateValue"), changes, clock)
            found.append(ScalingAlarm(name, condition(alarm), over_time))
        return sorted(found, key=lambda alarm: title(alarm.name))

    def _activities(self, clock: CloudClock) -> list[ScalingActivity]:
        pages = self._scaling.get_paginator("describe_scaling_activities").paginate(
            ServiceNamespace="sagemaker", ResourceId=self._resource_id
        )
        found = []
        for item in (item for page in pages for item in page.get("ScalingActivities", [])):
            start = clock.offset(item["StartTime"])
            if start < 0:
                break  # they are listed newest first, so the rest is older than the load
            end = clock.offset(item["EndTime"]) if "EndTime" in item else None
            found.append(
                ScalingActivity(
                    round(start, 2),
                    None if end is None else round(end, 2),
                    item.get("StatusCode", ""),
                    item.get("Description", ""),
                    item.get("Cause", ""),
                )
            )
        return sorted(found, key=lambda activity: activity.start)

    def _metric(self, clock: CloudClock, seconds: float) -> list[MetricPoint]:
        end = clock.at(seconds)
        start = max(
            clock.at(0) - timedelta(seconds=_PERIOD_SECONDS),
            end - timedelta(seconds=_MAX_PERIODS * _PERIOD_SECONDS),
        )
        answer = self._cloudwatch.get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName="InvocationsPerInstance",
            Dimensions=[
                {"Name": "EndpointName", "Value": self._endpoint},
                {"Name": "VariantName", "Value": VARIANT},
            ],
            StartTime=start,
            EndTime=end,
            Period=_PERIOD_SECONDS,
            Statistics=["Sum"],
        )
        length = _PERIOD_SECONDS / clock.speed
        points = [
            MetricPoint(round(clock.offset(p["Timestamp"]), 3), length, float(p["Sum"]))
            for p in answer.get("Datapoints", [])
        ]
        # The last minute is incomplete and would look like a drop.
        whole = [point for point in points if point.start + length <= seconds]
        return sorted(whole, key=lambda point: point.start)


class StateWatcher:
    """Reads the endpoint's state in a thread, about twice per second.

    Attributes:
        latest: the last state that was read.
    """

    def __init__(self, observer: Observer, interval_seconds: float = 0.5) -> None:
        self._observer = observer
        self._interval_seconds = interval_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="endpoint-watcher", daemon=True)
        self.latest = EndpointState()

    def __enter__(self) -> StateWatcher:
        self.latest = self._observer.state()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=30)

    def _watch(self) -> None:
        while not self._stop.wait(self._interval_seconds):
            self.latest = self._observer.state()


def _tracks_invocations(configuration: dict[str, Any]) -> bool:
    predefined = configuration.get("PredefinedMetricSpecification", {})
    return bool(predefined.get("PredefinedMetricType") == "SageMakerVariantInvocationsPerInstance")
