"""The simulator and the live local cloud, given the same short day, scale alike by every policy.

The live clock stands still between the steps, so that a busy machine costs no AWS time. Alarms are
evaluated at 5, 15, … 55 seconds of each minute.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from localcloud.autoscaling.decision import CONCURRENT_REQUESTS, INVOCATIONS, TargetTracking
from localcloud.autoscaling.simulator import (
    AlarmedSteps,
    ScheduledLimits,
    World,
    simulate,
    simulate_steps,
)
from localcloud.autoscaling.steps import Step, StepScaling
from localcloud.cloudwatch.alarm_state import MetricAlarm
from tests.archives import tar_of
from tests.cloud import (
    CONTAINER,
    TestCloud,
    configured_url,
    local_cloud,
    make_config,
    push_container,
    wait_for,
)

pytestmark = pytest.mark.emulator_only

TARGET = {"ResourceId": "endpoint/compared/variant/AllTraffic", "ServiceNamespace": "sagemaker"}
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
MOST = 5
# A request that waits until others of its moment are there.
HELD = b"held"


def _day(peak: int, minutes: int = 100) -> list[int]:
    """Return requests per minute: a wave, a spike on its way up, and a quiet end."""
    wave = [round(peak * (1 - math.cos(2 * math.pi * m / minutes)) / 2) for m in range(minutes)]
    return [*(3 * n if 25 <= m < 30 else n for m, n in enumerate(wave)), *[1] * 35]


@pytest.fixture
def cloud() -> Iterator[TestCloud]:
    """A local cloud whose clock all but stands still, with an endpoint in service."""
    if configured_url() is not None:
        pytest.skip("another endpoint's clock is not ours")
    with local_cloud(speed=0.001) as started:
        sagemaker = started.client("sagemaker")
        hold = f'if body == {HELD!r}:\n            time.sleep(0.3)\n        if b"slow" in body:'
        image = push_container(started, "compared", CONTAINER.replace('if b"slow" in body:', hold))
        started.client("s3").create_bucket(Bucket="compared")
        body = tar_of({"answer.txt": "x"}, mode="w:gz")
        started.client("s3").put_object(Bucket="compared", Key="model.tar.gz", Body=body)
        make_config(sagemaker, "compared", image, "s3://compared/model.tar.gz")
        sagemaker.create_endpoint(EndpointName="compared", EndpointConfigName="compared")
        wait_for("the endpoint", lambda: _variant(started))
        started.advance(55 + 60 - started.now() % 60)
        started.client("application-autoscaling").register_scalable_target(
            **TARGET, ScalableDimension=DIMENSION, MinCapacity=1, MaxCapacity=MOST
        )
        yield started


def _variant(cloud: TestCloud) -> dict[str, Any] | None:
    """Return the variant of the endpoint; None while it changes, or is about to."""
    found = cloud.client("sagemaker").describe_endpoint(EndpointName="compared")
    if found["EndpointStatus"] != "InService":
        return None
    variant: dict[str, Any] = found["ProductionVariants"][0]
    scaling = cloud.client("application-autoscaling")
    targets = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    count = variant["CurrentInstanceCount"]
    allowed = all(one["MinCapacity"] <= count <= one["MaxCapacity"] for one in targets)
    return variant if allowed else None


def _record(cloud: TestCloud, traffic: list[int], send_minute: Callable[[int], None]) -> list[int]:
    """Send a day's requests; return the instances that served each minute.

    Args:
        cloud: the local cloud, five seconds before a minute begins.
        traffic: requests of each minute.
        send_minute: sends those of a minute, and passes fifty seconds.
    """
    live = []
    for requests in traffic:
        # The first evaluation of a minute sees the one before as a whole, and decides.
        cloud.advance(10)
        variant = wait_for("the endpoint to rest", lambda: _variant(cloud))
        live.append(variant["CurrentInstanceCount"])
        send_minute(requests)
    return live


def _one_by_one(cloud: TestCloud) -> Callable[[int], None]:
    """Return what sends a minute's requests one after another."""
    runtime = cloud.client("sagemaker-runtime")

    def send(requests: int) -> None:
        for _ in range(requests):
            runtime.invoke_endpoint(EndpointName="compared", Body=b"1", ContentType="text/csv")
        cloud.advance(50)

    return send


def _track(cloud: TestCloud, metric: str, target: float) -> TargetTracking:
    cloud.client("application-autoscaling").put_scaling_policy(
        **TARGET,
        ScalableDimension=DIMENSION,
        PolicyName="compared",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": target,
            "ScaleInCooldown": 30,
            "ScaleOutCooldown": 30,
            "PredefinedMetricSpecification": {"PredefinedMetricType": metric},
        },
    )
    return TargetTracking(
        target,
        1,
        MOST,
        scale_out_cooldown_seconds=30,
        scale_in_cooldown_seconds=30,
        metric=metric,
    )


def _world(traffic: list[int], **given: float) -> World:
    return World([float(requests) for requests in traffic], 1.0, startup_minutes=0, **given)


def test_target_tracking_by_invocations(cloud: TestCloud) -> None:
    policy = _track(cloud, INVOCATIONS, 10.0)
    traffic = _day(40)
    live = _record(cloud, traffic, _one_by_one(cloud))
    simulated = [minute.instances for minute in simulate(_world(traffic), policy).minutes]
    assert simulated == live
    assert (max(live), live[-1]) == (MOST, 1)


def test_step_scaling(cloud: TestCloud) -> None:
    above = MetricAlarm("GreaterThanOrEqualToThreshold", 8.0, 2, 2)
    below = MetricAlarm("LessThanThreshold", 4.0, 3, 2)
    alarms = (
        ("more", above, (Step(0, 10, 1), Step(10, None, 2))),
        ("fewer", below, (Step(None, 0, -1),)),
    )
    policies = []
    for name, alarm, steps in alarms:
        policy = StepScaling("ChangeInCapacity", steps, 1, MOST, cooldown_seconds=90)
        policies.append(AlarmedSteps(alarm, policy))
        put = cloud.client("application-autoscaling").put_scaling_policy(
            **TARGET,
            ScalableDimension=DIMENSION,
            PolicyName=name,
            PolicyType="StepScaling",
            StepScalingPolicyConfiguration={
                "AdjustmentType": "ChangeInCapacity",
                "Cooldown": 90,
                "StepAdjustments": [_adjustment(step) for step in steps],
            },
        )
        cloud.client("cloudwatch").put_metric_alarm(
            AlarmName=name,
            Namespace="AWS/SageMaker",
            MetricName="InvocationsPerInstance",
            Dimensions=[
                {"Name": "EndpointName", "Value": "compared"},
                {"Name": "VariantName", "Value": "AllTraffic"},
            ],
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=alarm.evaluation_periods,
            DatapointsToAlarm=alarm.datapoints_to_alarm,
            Threshold=alarm.threshold,
            ComparisonOperator=alarm.comparison,
            AlarmActions=[put["PolicyARN"]],
        )
    traffic = _day(40)
    live = _record(cloud, traffic, _one_by_one(cloud))
    simulated = [minute.instances for minute in simulate_steps(_world(traffic), policies)]
    assert simulated == live
    assert (max(live), live[-1]) == (MOST, 1)


def _adjustment(step: Step) -> dict[str, Any]:
    bounds = {"MetricIntervalLowerBound": step.lower, "MetricIntervalUpperBound": step.upper}
    given = {name: bound for name, bound in bounds.items() if bound is not None}
    return {**given, "ScalingAdjustment": step.adjustment}


def test_scheduled_actions_beside_target_tracking(cloud: TestCloud) -> None:
    policy = _track(cloud, INVOCATIONS, 10.0)
    scheduled = [
        ScheduledLimits(12, 3),  # before the wave three at least
        ScheduledLimits(50, 2, 4),  # at its top four at most
        ScheduledLimits(85, 1, MOST),
    ]
    begins = cloud.now() + 5
    for action in scheduled:
        at = datetime.fromtimestamp(begins + 60 * action.minute, UTC)
        limits = {"MinCapacity": action.minimum, "MaxCapacity": action.maximum}
        cloud.client("application-autoscaling").put_scheduled_action(
            **TARGET,
            ScalableDimension=DIMENSION,
            ScheduledActionName=f"at-{action.minute}",
            Schedule=f"at({at:%Y-%m-%dT%H:%M:%S})",
            ScalableTargetAction={k: v for k, v in limits.items() if v is not None},
        )
    traffic = _day(40)
    live = _record(cloud, traffic, _one_by_one(cloud))
    outcome = simulate(_world(traffic), policy, scheduled)
    simulated = [minute.instances for minute in outcome.minutes]
    assert simulated == live
    assert live[11:13] == [1, 3]
    assert (max(live), live[-1]) == (MOST, 1)


@pytest.mark.slow
def test_target_tracking_by_concurrent_requests(cloud: TestCloud) -> None:
    policy = _track(cloud, CONCURRENT_REQUESTS, 2.0)
    # At once, in each ten seconds of a minute.
    traffic = [1] * 2 + [3] * 3 + [8] * 4 + [5] * 3 + [12] * 3 + [0] * 20 + [4] * 3 + [0] * 90

    def send_minute(at_once: int) -> None:
        for period in range(6):
            _send_at_once(cloud, at_once)
            if period < 5:
                cloud.advance(10)

    live = _record(cloud, traffic, send_minute)
    # A request of a second, and as many each second as are at once.
    world = World([60.0 * n for n in traffic], 100.0, startup_minutes=0, latency_seconds=1.0)
    simulated = [minute.instances for minute in simulate(world, policy).minutes]
    assert _changes(simulated) == _changes(live)
    # A metric of the last ten seconds may arrive after their alarm was evaluated.
    lagging = pairwise([1, *simulated])
    assert all(now in either for either, now in zip(lagging, live, strict=True))
    assert (max(live), live[-1]) == (MOST, 1)


def _changes(counts: list[int]) -> list[int]:
    return [here for before, here in pairwise([0, *counts]) if here != before]


def _send_at_once(cloud: TestCloud, number: int) -> None:
    """Send requests that are all in flight at one moment."""

    def send() -> None:
        client = clients.pop()
        client.invoke_endpoint(EndpointName="compared", Body=HELD, ContentType="text/csv")

    clients = [cloud.client("sagemaker-runtime") for _ in range(number)]
    threads = [threading.Thread(target=send) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
