"""Application Auto Scaling: invocations breach an alarm, a policy changes the endpoint."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.archives import tar_of
from tests.cloud import TestCloud, make_config, push_container, wait_for

TRACKING = (
    "https://docs.aws.amazon.com/autoscaling/application/userguide/"
    "target-tracking-scaling-policy-overview.html"
)
STEPS = (
    "https://docs.aws.amazon.com/autoscaling/application/userguide/"
    "step-scaling-policy-overview.html"
)
SCHEDULED = (
    "https://docs.aws.amazon.com/autoscaling/application/userguide/"
    "application-auto-scaling-scheduled-scaling.html"
)
HIGH_RESOLUTION = (
    "https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-add-code-define.html"
)
METRICS = "https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html"
BUCKET = "scaling-tests"
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
TARGET = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/scaled/variant/AllTraffic",
    "ScalableDimension": DIMENSION,
}


@pytest.fixture(scope="module")
def endpoint(fast_cloud: TestCloud) -> Iterator[TestCloud]:
    """A cloud with an endpoint of one instance."""
    image = push_container(fast_cloud, "scaling-tests")
    s3, sagemaker = fast_cloud.client("s3"), fast_cloud.client("sagemaker")
    s3.create_bucket(Bucket=BUCKET)
    body = tar_of({"answer.txt": "x"}, mode="w:gz")
    s3.put_object(Bucket=BUCKET, Key="model.tar.gz", Body=body)
    make_config(sagemaker, "scaled", image, f"s3://{BUCKET}/model.tar.gz")
    sagemaker.create_endpoint(EndpointName="scaled", EndpointConfigName="scaled")
    wait_for("the endpoint", lambda: status(fast_cloud) == "InService", 30)
    yield fast_cloud
    sagemaker.delete_endpoint(EndpointName="scaled")


def status(cloud: TestCloud) -> str:
    described = cloud.client("sagemaker").describe_endpoint(EndpointName="scaled")
    return str(described["EndpointStatus"])


def count_of(cloud: TestCloud) -> int:
    described = cloud.client("sagemaker").describe_endpoint(EndpointName="scaled")
    return int(described["ProductionVariants"][0]["CurrentInstanceCount"])


def desired_of(cloud: TestCloud) -> int:
    described = cloud.client("sagemaker").describe_endpoint(EndpointName="scaled")
    return int(described["ProductionVariants"][0]["DesiredInstanceCount"])


@pytest.mark.aws_documented(TRACKING)
def test_traffic_scales_out_and_silence_scales_in(endpoint: TestCloud) -> None:
    kind = "SageMakerVariantInvocationsPerInstance"
    check_tracking(endpoint, kind, 5.0, ("InvocationsPerInstance", "Sum", 60), (3, 15))


@pytest.mark.aws_documented(HIGH_RESOLUTION)
def test_requests_at_once_scale_out_within_a_minute(endpoint: TestCloud) -> None:
    kind = "SageMakerVariantConcurrentRequestsPerModelHighResolution"
    metric = ("ConcurrentRequestsPerModel", "Maximum", 10)
    started = check_tracking(endpoint, kind, 0.5, metric, (3, 90))
    # Three periods of ten seconds, and what the metrics need to arrive.
    assert started < 120


def check_tracking(
    endpoint: TestCloud,
    kind: str,
    target: float,
    metric: tuple[str, str, int],
    periods: tuple[int, int],
) -> float:
    """Scale out and in by a metric; return the AWS seconds from the load to the first decision."""
    scaling, cloudwatch = endpoint.client("application-autoscaling"), endpoint.client("cloudwatch")
    known = len(
        scaling.describe_scaling_activities(ServiceNamespace="sagemaker")["ScalingActivities"]
    )
    scaling.register_scalable_target(**TARGET, MinCapacity=1, MaxCapacity=2)
    policy = scaling.put_scaling_policy(
        **TARGET,
        PolicyName="tracking",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": target,
            "PredefinedMetricSpecification": {"PredefinedMetricType": kind},
            "ScaleOutCooldown": 60,
            "ScaleInCooldown": 60,
        },
    )
    names = [alarm["AlarmName"] for alarm in policy["Alarms"]]
    high, low = cloudwatch.describe_alarms(AlarmNames=sorted(names))["MetricAlarms"]
    stem = "TargetTracking-endpoint/scaled/variant/AllTraffic-Alarm"
    assert high["AlarmName"].startswith(f"{stem}High-")
    assert low["AlarmName"].startswith(f"{stem}Low-")
    assert (high["Threshold"], low["Threshold"]) == (target, target * 0.9)
    assert (high["EvaluationPeriods"], low["EvaluationPeriods"]) == periods
    for alarm in (high, low):
        assert (alarm["MetricName"], alarm["Statistic"], alarm["Period"]) == metric
        # As many datapoints as periods: 3 of 3, 15 of 15.
        assert (
            alarm.get("DatapointsToAlarm", alarm["EvaluationPeriods"])
            == (alarm["EvaluationPeriods"])
        )

    done = threading.Event()

    def load() -> None:
        runtime = endpoint.client("sagemaker-runtime")
        while not done.is_set():
            runtime.invoke_endpoint(EndpointName="scaled", Body=b"x", ContentType="text/csv")

    thread = threading.Thread(target=load)
    began = endpoint.now()
    thread.start()
    try:
        wait_for("a second instance", lambda: count_of(endpoint) == 2, 30)
    finally:
        done.set()
        thread.join()
    wait_for("one instance again", lambda: count_of(endpoint) == 1, 60)

    def activities() -> list[dict[str, Any]]:
        found = scaling.describe_scaling_activities(ServiceNamespace="sagemaker")
        return list(reversed(found["ScalingActivities"]))[known:]

    wait_for("the last activity's end", lambda: activities()[-1]["StatusCode"] == "Successful")
    assert [activity["Description"] for activity in activities()] == [
        "Setting desired instance count to 2.",
        "Setting desired instance count to 1.",
    ]
    assert f"monitor alarm {names[0]} in state ALARM" in activities()[0]["Cause"]
    scaling.delete_scaling_policy(**TARGET, PolicyName="tracking")
    return float(activities()[0]["StartTime"].timestamp() - began)


@pytest.mark.aws_documented(METRICS)
def test_each_request_counts_one_divided_by_the_instances(endpoint: TestCloud) -> None:
    cloudwatch, runtime = endpoint.client("cloudwatch"), endpoint.client("sagemaker-runtime")

    def total(metric: str) -> float:
        answer = cloudwatch.get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName=metric,
            Dimensions=[
                {"Name": "EndpointName", "Value": "scaled"},
                {"Name": "VariantName", "Value": "AllTraffic"},
            ],
            StartTime=endpoint.now() - 86_400 * 30,
            EndTime=endpoint.now() + 3_600,
            Period=3_600,
            Statistics=["Sum"],
        )
        return float(sum(point["Sum"] for point in answer["Datapoints"]))

    before = total("Invocations"), total("InvocationsPerInstance")
    instances = count_of(endpoint)
    for _ in range(6):
        runtime.invoke_endpoint(EndpointName="scaled", Body=b"x", ContentType="text/csv")
    wait_for("six more invocations", lambda: total("Invocations") == before[0] + 6, 10)
    assert total("InvocationsPerInstance") == pytest.approx(before[1] + 6 / instances)


@pytest.mark.aws_documented(TRACKING)
def test_a_minimum_above_the_capacity_is_enforced_and_deregistering_removes_the_policies(
    endpoint: TestCloud,
) -> None:
    scaling, cloudwatch = endpoint.client("application-autoscaling"), endpoint.client("cloudwatch")
    scaling.register_scalable_target(**TARGET, MinCapacity=2, MaxCapacity=3)
    wait_for("the minimum", lambda: count_of(endpoint) == 2, 30)
    wait_for("the endpoint", lambda: status(endpoint) == "InService", 30)
    scaling.deregister_scalable_target(**TARGET)
    assert scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"] == []
    assert cloudwatch.describe_alarms(AlarmNamePrefix="TargetTracking-")["MetricAlarms"] == []


@pytest.mark.emulator_only
def test_limits_that_change_during_an_update_hold_after_it(endpoint: TestCloud) -> None:
    scaling, sagemaker = endpoint.client("application-autoscaling"), endpoint.client("sagemaker")
    # Instances that start take longer than the next call.
    wanted = {"VariantName": "AllTraffic", "DesiredInstanceCount": count_of(endpoint) + 2}
    sagemaker.update_endpoint_weights_and_capacities(
        EndpointName="scaled", DesiredWeightsAndCapacities=[wanted]
    )
    scaling.register_scalable_target(**TARGET, MinCapacity=3, MaxCapacity=3)
    wait_for("three instances", lambda: count_of(endpoint) == 3, 30)
    # The scheduled action of the next test begins with fewer.
    scaling.register_scalable_target(**TARGET, MinCapacity=1, MaxCapacity=1)
    wait_for("one instance", lambda: count_of(endpoint) == 1, 30)
    scaling.deregister_scalable_target(**TARGET)


@pytest.mark.aws_documented(SCHEDULED)
def test_a_scheduled_action_changes_the_limits_and_the_capacity_follows(
    endpoint: TestCloud,
) -> None:
    scaling = endpoint.client("application-autoscaling")
    scaling.register_scalable_target(**TARGET, MinCapacity=1, MaxCapacity=3)
    scaling.put_scheduled_action(
        **TARGET,
        ScheduledActionName="soon",
        Schedule="rate(1 minute)",
        ScalableTargetAction={"MinCapacity": 3, "MaxCapacity": 3},
    )
    (kept,) = scaling.describe_scheduled_actions(ServiceNamespace="sagemaker")["ScheduledActions"]
    assert kept["Schedule"] == "rate(1 minute)"
    assert kept["Timezone"] == "UTC"
    assert kept["ScalableTargetAction"] == {"MinCapacity": 3, "MaxCapacity": 3}
    assert "StartTime" not in kept

    def has_new_limits() -> bool:
        found = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")
        (target,) = found["ScalableTargets"]
        return (target["MinCapacity"], target["MaxCapacity"]) == (3, 3)

    wait_for("the new limits", has_new_limits, 30)
    wait_for("three instances", lambda: count_of(endpoint) == 3, 30)
    activities = scaling.describe_scaling_activities(ServiceNamespace="sagemaker")
    assert activities["ScalingActivities"][0]["Cause"] == "scheduled action name soon"
    scaling.delete_scheduled_action(**TARGET, ScheduledActionName="soon")
    with pytest.raises(ClientError) as caught:
        scaling.delete_scheduled_action(**TARGET, ScheduledActionName="soon")
    assert caught.value.response["Error"]["Code"] == "ObjectNotFoundException"
    scaling.deregister_scalable_target(**TARGET)


@pytest.mark.aws_documented(SCHEDULED)
def test_a_schedule_that_cannot_be_read_leaves_what_there_was(endpoint: TestCloud) -> None:
    scaling = endpoint.client("application-autoscaling")
    scaling.register_scalable_target(**TARGET, MinCapacity=1, MaxCapacity=3)
    action = {**TARGET, "ScheduledActionName": "nightly"}
    limits = {"MinCapacity": 1, "MaxCapacity": 2}
    scaling.put_scheduled_action(
        **action, Schedule="cron(0 22 * * ? *)", ScalableTargetAction=limits
    )
    for wrong in (
        {"Schedule": "nightly"},
        {"Schedule": "cron(0 22 * * ? *)", "Timezone": "Mars/Olympus"},
        {"ScalableTargetAction": {"MinCapacity": 3}},
    ):
        with pytest.raises(ClientError) as caught:
            scaling.put_scheduled_action(**action, **wrong)
        assert caught.value.response["Error"]["Code"] == "ValidationException"
    (kept,) = scaling.describe_scheduled_actions(ServiceNamespace="sagemaker")["ScheduledActions"]
    assert (kept["Schedule"], kept["ScalableTargetAction"]) == ("cron(0 22 * * ? *)", limits)
    # A target that goes takes its scheduled actions with it.
    scaling.deregister_scalable_target(**TARGET)
    left = scaling.describe_scheduled_actions(ServiceNamespace="sagemaker")["ScheduledActions"]
    assert left == []


@pytest.mark.botocore_modelled
def test_what_cannot_be_scaled_is_refused(endpoint: TestCloud) -> None:
    scaling = endpoint.client("application-autoscaling")
    gone = {**TARGET, "ResourceId": "endpoint/gone/variant/AllTraffic"}
    with pytest.raises(ClientError, match="does not exist"):
        scaling.register_scalable_target(**gone, MinCapacity=1, MaxCapacity=2)
    with pytest.raises(ClientError, match="must not be greater than"):
        scaling.register_scalable_target(**TARGET, MinCapacity=3, MaxCapacity=2)
    with pytest.raises(ClientError) as caught:
        scaling.deregister_scalable_target(**gone)
    assert caught.value.response["Error"]["Code"] == "ObjectNotFoundException"


def idle_alarm(cloud: TestCloud, name: str, **more: Any) -> None:
    """Make an alarm at a threshold of 10 on a metric of its own, a minute of which suffices."""
    cloud.client("cloudwatch").put_metric_alarm(
        AlarmName=name,
        Namespace="Scaling",
        MetricName=name,
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=10,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        **more,
    )


def feed(cloud: TestCloud, metric: str, value: float) -> None:
    """Put a value for each of the minutes around now."""
    now = cloud.now()
    data = [
        {"MetricName": metric, "Value": value, "Timestamp": now + 30 * offset}
        for offset in range(-4, 60)
    ]
    cloud.client("cloudwatch").put_metric_data(Namespace="Scaling", MetricData=data)


def reasons(cloud: TestCloud) -> list[str]:
    found = cloud.client("application-autoscaling").describe_scaling_activities(
        ServiceNamespace="sagemaker", IncludeNotScaledActivities=True
    )["ScalingActivities"]
    return [reason["Code"] for a in found for reason in a.get("NotScaledReasons", [])]


@pytest.mark.aws_documented(STEPS)
def test_a_step_scaling_policy_follows_the_alarm_that_names_it(endpoint: TestCloud) -> None:
    scaling, cloudwatch = endpoint.client("application-autoscaling"), endpoint.client("cloudwatch")
    scaling.register_scalable_target(**TARGET, MinCapacity=1, MaxCapacity=1)
    wait_for("one instance", lambda: count_of(endpoint) == 1, 30)
    suspended = {"DynamicScalingOutSuspended": True}
    scaling.register_scalable_target(**TARGET, MaxCapacity=3, SuspendedState=suspended)
    exact = scaling.put_scaling_policy(
        **TARGET,
        PolicyName="steps",
        PolicyType="StepScaling",
        StepScalingPolicyConfiguration={
            "AdjustmentType": "ExactCapacity",
            "Cooldown": 0,
            "StepAdjustments": [
                {
                    "MetricIntervalLowerBound": 0,
                    "MetricIntervalUpperBound": 5,
                    "ScalingAdjustment": 2,
                },
                {"MetricIntervalLowerBound": 5, "ScalingAdjustment": 3},
            ],
        },
    )
    assert exact["Alarms"] == []
    (kept,) = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    assert kept["PolicyType"] == "StepScaling"
    assert kept["StepScalingPolicyConfiguration"]["AdjustmentType"] == "ExactCapacity"
    idle_alarm(endpoint, "steps", AlarmActions=[exact["PolicyARN"]])
    feed(endpoint, "steps", 16)

    def state() -> str:
        return str(
            cloudwatch.describe_alarms(AlarmNames=["steps"])["MetricAlarms"][0]["StateValue"]
        )

    wait_for("ALARM", lambda: state() == "ALARM", 15)
    # Suspended, it stays as it is, however often the alarm asks.
    endpoint.advance(180)
    assert desired_of(endpoint) == 1
    scaling.register_scalable_target(**TARGET, SuspendedState={"DynamicScalingOutSuspended": False})
    wait_for("three instances", lambda: count_of(endpoint) == 3, 30)
    wait_for("the reason", lambda: "AlreadyAtMaxCapacity" in reasons(endpoint), 20)
    shown = scaling.describe_scaling_activities(ServiceNamespace="sagemaker", MaxResults=1)
    assert "NotScaledReasons" not in shown["ScalingActivities"][0]
    rest = scaling.describe_scaling_activities(
        ServiceNamespace="sagemaker", MaxResults=1, NextToken=shown["NextToken"]
    )
    ids = [page["ScalingActivities"][0]["ActivityId"] for page in (shown, rest)]
    assert ids[0] != ids[1]
    with pytest.raises(ClientError) as caught:
        scaling.describe_scaling_activities(ServiceNamespace="sagemaker", NextToken="no")
    assert caught.value.response["Error"]["Code"] == "InvalidNextTokenException"
    cloudwatch.delete_alarms(AlarmNames=["steps"])
    scaling.deregister_scalable_target(**TARGET)


@pytest.mark.aws_documented(TRACKING)
def test_target_tracking_by_metric_math_scales_in_but_not_where_that_is_disabled(
    endpoint: TestCloud,
) -> None:
    scaling, cloudwatch = endpoint.client("application-autoscaling"), endpoint.client("cloudwatch")
    scaling.register_scalable_target(**TARGET, MinCapacity=3, MaxCapacity=3)
    wait_for("three instances", lambda: count_of(endpoint) == 3, 30)
    scaling.register_scalable_target(**TARGET, MinCapacity=1)
    stat = {"Metric": {"Namespace": "Scaling", "MetricName": "load"}, "Stat": "Maximum"}
    configuration = {
        "TargetValue": 10.0,
        "CustomizedMetricSpecification": {
            "Metrics": [
                {
                    "Id": "load",
                    "MetricStat": stat,
                    "ReturnData": False,
                },
                {"Id": "half", "Expression": "load / 2", "ReturnData": True},
            ]
        },
        "ScaleInCooldown": 0,
        "DisableScaleIn": True,
    }
    put = {**TARGET, "PolicyName": "math", "PolicyType": "TargetTrackingScaling"}
    policy = scaling.put_scaling_policy(
        **put, TargetTrackingScalingPolicyConfiguration=configuration
    )
    feed(endpoint, "load", 2)

    def low() -> dict[str, Any]:
        names = [alarm["AlarmName"] for alarm in policy["Alarms"]]
        found = cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]
        return next(dict(a) for a in found if "AlarmLow" in a["AlarmName"])

    assert {q["Id"] for q in low()["Metrics"]} == {"load", "half"}
    wait_for("ALARM", lambda: low()["StateValue"] == "ALARM", 20)
    endpoint.advance(180)
    assert desired_of(endpoint) == 3
    configuration["DisableScaleIn"] = False
    policy = scaling.put_scaling_policy(
        **put, TargetTrackingScalingPolicyConfiguration=configuration
    )
    feed(endpoint, "load", 2)
    wait_for("one instance", lambda: count_of(endpoint) == 1, 30)
    wait_for("the reason", lambda: "AlreadyAtMinCapacity" in reasons(endpoint), 20)
    scaling.deregister_scalable_target(**TARGET)


@pytest.mark.botocore_modelled
def test_a_policy_that_cannot_scale_is_refused(endpoint: TestCloud) -> None:
    scaling = endpoint.client("application-autoscaling")
    scaling.register_scalable_target(**TARGET, MinCapacity=1, MaxCapacity=3)
    tracking = "TargetTrackingScalingPolicyConfiguration"
    predefined = {"PredefinedMetricType": "ALBRequestCountPerTarget"}
    function = {"Id": "m", "Expression": "FILL(x, 0)"}
    for wrong, reason in (
        ({"PolicyType": "PredictiveScaling"}, "PredictiveScaling is not supported"),
        ({"PolicyType": "StepScaling"}, "StepScalingPolicyConfiguration"),
        (
            {
                "PolicyType": "StepScaling",
                "StepScalingPolicyConfiguration": {
                    "AdjustmentType": "ChangeInCapacity",
                    "StepAdjustments": [
                        {
                            "MetricIntervalLowerBound": 0,
                            "MetricIntervalUpperBound": 5,
                            "ScalingAdjustment": 1,
                        }
                    ],
                },
            },
            "no upper bound",
        ),
        (
            {
                "PolicyType": "TargetTrackingScaling",
                tracking: {"TargetValue": 1, "PredefinedMetricSpecification": predefined},
            },
            "is not supported for SageMaker variants",
        ),
        (
            {
                "PolicyType": "TargetTrackingScaling",
                tracking: {
                    "TargetValue": 1,
                    "CustomizedMetricSpecification": {"Metrics": [function]},
                },
            },
            "not supported in metric math",
        ),
    ):
        with pytest.raises(ClientError, match=reason) as caught:
            scaling.put_scaling_policy(**TARGET, PolicyName="wrong", **wrong)
        assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"] == []
    scaling.deregister_scalable_target(**TARGET)


@pytest.mark.aws_documented
def test_a_second_policy_on_the_same_metric_is_refused(endpoint: TestCloud) -> None:
    scaling = endpoint.client("application-autoscaling")
    scaling.register_scalable_target(**TARGET, MinCapacity=1, MaxCapacity=3)

    def put(name: str, value: float, metric: dict[str, Any]) -> None:
        scaling.put_scaling_policy(
            **TARGET,
            PolicyName=name,
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={"TargetValue": value, **metric},
        )

    predefined = "SageMakerVariantInvocationsPerInstance"
    invocations = {"PredefinedMetricSpecification": {"PredefinedMetricType": predefined}}
    own = {
        "CustomizedMetricSpecification": {
            "Namespace": "lab",
            "MetricName": "depth",
            "Statistic": "Average",
        }
    }
    put("one", 10, invocations)
    put("one", 20, invocations)  # the same policy, changed
    put("other", 5, own)
    with pytest.raises(ClientError, match="Only one TargetTrackingScaling policy for a given"):
        put("two", 30, invocations)
    found = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    assert sorted(policy["PolicyName"] for policy in found) == ["one", "other"]
    scaling.deregister_scalable_target(**TARGET)
