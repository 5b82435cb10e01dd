"""The simulator and the live local cloud, given the same traffic, scale alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from localcloud.autoscaling.decision import TargetTracking
from localcloud.autoscaling.simulator import World, simulate
from tests.archives import tar_of
from tests.cloud import (
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
# Requests of each minute: quiet, a rise, more, then none until all but one instance is gone.
TRAFFIC = [4] * 3 + [25] * 6 + [60] * 7 + [2] * 40


@pytest.fixture
def cloud() -> Iterator[TestCloud]:
    """A local cloud whose clock all but stands still, so that a busy machine costs no AWS time."""
    if configured_url() is not None:
        pytest.skip("another endpoint's clock is not ours")
    with local_cloud(speed=0.001) as started:
        yield started


def test_a_recorded_run_and_its_simulation_scale_alike(cloud: TestCloud) -> None:
    sagemaker, runtime = cloud.client("sagemaker"), cloud.client("sagemaker-runtime")
    scaling = cloud.client("application-autoscaling")
    image = push_container(cloud, "compared")
    cloud.client("s3").create_bucket(Bucket="compared")
    body = tar_of({"answer.txt": "x"}, mode="w:gz")
    cloud.client("s3").put_object(Bucket="compared", Key="model.tar.gz", Body=body)
    make_config(sagemaker, "compared", image, "s3://compared/model.tar.gz")
    sagemaker.create_endpoint(EndpointName="compared", EndpointConfigName="compared")

    def described() -> dict[str, Any] | None:
        found: dict[str, Any] = sagemaker.describe_endpoint(EndpointName="compared")
        return found if found["EndpointStatus"] == "InService" else None

    def finished() -> bool:
        found = scaling.describe_scaling_activities(ServiceNamespace="sagemaker")
        statuses = [activity["StatusCode"] for activity in found["ScalingActivities"]]
        return "InProgress" not in statuses

    wait_for("the endpoint", described)
    # Alarms are evaluated every ten seconds, from here on at 5, 15, … 55 seconds of each minute.
    cloud.advance(55 + 60 - cloud.now() % 60)
    scaling.register_scalable_target(
        **TARGET, ScalableDimension=DIMENSION, MinCapacity=1, MaxCapacity=6
    )
    scaling.put_scaling_policy(
        **TARGET,
        ScalableDimension=DIMENSION,
        PolicyName="compared",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 10.0,
            "ScaleInCooldown": 30,
            "ScaleOutCooldown": 30,
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
            },
        },
    )
    live = []
    for requests in TRAFFIC:
        # The first evaluation of a minute sees the one before as a whole, and decides.
        cloud.advance(10)
        variant = wait_for("the endpoint to rest", described)["ProductionVariants"][0]
        live.append(variant["CurrentInstanceCount"])
        for _ in range(requests):
            runtime.invoke_endpoint(EndpointName="compared", Body=b"1", ContentType="text/csv")
        cloud.advance(50)
        wait_for("the change to be fulfilled", finished)
    policy = TargetTracking(10.0, 1, 6, scale_out_cooldown_seconds=30, scale_in_cooldown_seconds=30)
    simulated = simulate(World([float(r) for r in TRAFFIC], 1.0, startup_minutes=0), policy)
    counts = [minute.instances for minute in simulated.minutes]
    assert counts == live
    assert max(counts) == 6
    assert counts[-1] == 1
