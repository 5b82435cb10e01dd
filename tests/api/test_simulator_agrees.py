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

TARGET = {"ResourceId": "endpoint/tunnel/variant/AllTraffic", "ServiceNamespace": "sagemaker"}
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
# Requests of each minute: quiet, a rise, more, then none until all but one instance is gone.
TRAFFIC = [4] * 3 + [25] * 6 + [60] * 7 + [2] * 40


@pytest.fixture
def cloud() -> Iterator[TestCloud]:
    """A local cloud whose clock shows wall-clock time until a test advances it."""
    if configured_url() is not None:
        pytest.skip("another endpoint's clock is not ours")
    with local_cloud(speed=1.0) as started:
        yield started


def test_a_recorded_run_and_its_simulation_scale_alike(cloud: TestCloud) -> None:
    sagemaker, runtime = cloud.client("sagemaker"), cloud.client("sagemaker-runtime")
    scaling = cloud.client("application-autoscaling")
    image = push_container(cloud, "tunnel")
    cloud.client("s3").create_bucket(Bucket="tunnel")
    body = tar_of({"answer.txt": "x"}, mode="w:gz")
    cloud.client("s3").put_object(Bucket="tunnel", Key="model.tar.gz", Body=body)
    make_config(sagemaker, "tunnel", image, "s3://tunnel/model.tar.gz")
    sagemaker.create_endpoint(EndpointName="tunnel", EndpointConfigName="tunnel")

    def described() -> dict[str, Any] | None:
        found: dict[str, Any] = sagemaker.describe_endpoint(EndpointName="tunnel")
        return found if found["EndpointStatus"] == "InService" else None

    wait_for("the endpoint", described)
    _to_a_minutes_beginning(cloud)
    scaling.register_scalable_target(
        **TARGET, ScalableDimension=DIMENSION, MinCapacity=1, MaxCapacity=6
    )
    scaling.put_scaling_policy(
        **TARGET,
        ScalableDimension=DIMENSION,
        PolicyName="tunnel",
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
        instances = wait_for("the endpoint to rest", described)["ProductionVariants"][0]
        live.append(instances["CurrentInstanceCount"])
        for _ in range(requests):
            runtime.invoke_endpoint(EndpointName="tunnel", Body=b"1", ContentType="text/csv")
        _to_a_minutes_beginning(cloud)
    policy = TargetTracking(10.0, 1, 6, scale_out_cooldown_seconds=30, scale_in_cooldown_seconds=30)
    simulated = simulate(World([float(r) for r in TRAFFIC], 1.0, startup_minutes=0), policy)
    counts = [minute.instances for minute in simulated.minutes]
    assert _changes(live) == _changes(counts)
    # The live alarms look every ten seconds and ask once a minute, so that a look that comes a
    # moment early costs ten more: over a run of changes the live cloud may fall behind a little.
    late = [a - b for a, b in zip(_moments(live), _moments(counts), strict=True)]
    assert -1 <= min(late) <= max(late) <= 2, (live, counts)


def _to_a_minutes_beginning(cloud: TestCloud) -> None:
    """Advance the clock to just after the next full minute."""
    cloud.advance(60.5 - cloud.now() % 60)


def _changes(counts: list[int]) -> list[int]:
    """Return the counts, each once a run of equal ones."""
    return [count for i, count in enumerate(counts) if i == 0 or counts[i - 1] != count]


def _moments(counts: list[int]) -> list[int]:
    return [i for i in range(1, len(counts)) if counts[i - 1] != counts[i]]
