"""The overview's endpoints, their live metrics, and jobs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cloud import TestCloud, make_config, wait_for
from tests.sagemaker import ended, prepare, remove_endpoints, training
from tests.sse import listening

pytestmark = pytest.mark.emulator_only

NAME = "overview-hosting"


@pytest.fixture(scope="module")
def image(cloud: TestCloud) -> str:
    """The container's image, and a bucket with models."""
    return prepare(cloud, NAME)


@pytest.fixture
def endpoint(cloud: TestCloud, image: str) -> Iterator[str]:
    """An endpoint of two instances in service."""
    sagemaker = cloud.client("sagemaker")
    make_config(sagemaker, NAME, image, f"s3://{NAME}/one/model.tar.gz", instances=2)
    sagemaker.create_endpoint(EndpointName=NAME, EndpointConfigName=NAME)
    wait_for("the endpoint", lambda: shown(cloud)["status"] == "InService")
    yield NAME
    remove_endpoints(sagemaker)
    sagemaker.delete_endpoint_config(EndpointConfigName=NAME)
    sagemaker.delete_model(ModelName=NAME)


def section(cloud: TestCloud, name: str) -> Any:
    return json.loads(cloud.get("/_localcloud/overview")[1])[name]


def shown(cloud: TestCloud) -> dict[str, Any]:
    found: list[dict[str, Any]] = section(cloud, "endpoints")["items"]
    return next(one for one in found if one["name"] == NAME)


def test_an_endpoint_shows_its_instances_and_its_model(cloud: TestCloud, endpoint: str) -> None:
    found = shown(cloud)
    (variant,) = found["variants"]
    assert (variant["desired"], variant["running"]) == (2, 2)
    assert [instance["state"] for instance in variant["instances"]] == ["serving", "serving"]
    assert len({instance["pid"] for instance in variant["instances"]}) == 2
    assert [model["name"] for model in found["models"]] == [endpoint]
    assert found["models"][0]["data"] == f"s3://{NAME}/one/model.tar.gz"
    assert found["deployment"] is None


def test_invocations_are_live_metrics_and_reach_a_listener(cloud: TestCloud, endpoint: str) -> None:
    runtime = cloud.client("sagemaker-runtime")
    with listening(cloud.url) as stream:
        stream.block()
        for _ in range(20):
            runtime.invoke_endpoint(EndpointName=endpoint, Body=b"1,2")

        def counted(now: dict[str, Any]) -> bool:
            return any(live["endpoint"] == endpoint for live in now["metrics"])

        stream.until("the metrics", counted)
    (live,) = [one for one in section(cloud, "metrics") if one["endpoint"] == endpoint]
    assert live["variant"] == "AllTraffic"
    _, requests, per_instance, errors, p50, p99 = live["points"][-1]
    assert requests > 0
    assert per_instance == pytest.approx(requests * 60 / 2, rel=0.05)
    assert errors == 0
    assert 0 < p50 <= p99


def test_a_scaled_variant_shows_its_limits_target_and_activities(
    cloud: TestCloud, endpoint: str
) -> None:
    scaling = cloud.client("application-autoscaling")
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{endpoint}/variant/AllTraffic",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    scaling.register_scalable_target(**target, MinCapacity=3, MaxCapacity=4)
    metric = "SageMakerVariantInvocationsPerInstance"
    scaling.put_scaling_policy(
        PolicyName="calls",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 50.0,
            "PredefinedMetricSpecification": {"PredefinedMetricType": metric},
        },
        **target,
    )

    def scaled() -> bool:
        return bool(shown(cloud)["variants"][0]["running"] == 3)

    wait_for("the third instance", scaled)
    found = shown(cloud)["variants"][0]["scaling"]
    assert (found["minimum"], found["maximum"]) == (3, 4)
    assert [policy["target"] for policy in found["policies"]] == [50.0]
    assert "desired instance count to 3" in found["activities"][0]["description"]
    alarms = section(cloud, "alarms")["items"]
    low = next(alarm for alarm in alarms if "AlarmLow" in alarm["name"])
    assert low["neutral"] is (low["comparison"] == "LessThanThreshold")
    scaling.deregister_scalable_target(**target)


def test_an_endpoint_that_failed_is_unhealthy(cloud: TestCloud, image: str) -> None:
    sagemaker = cloud.client("sagemaker")
    name = f"{NAME}-broken"
    make_config(sagemaker, name, image, f"s3://{NAME}/one/model.tar.gz", BROKEN="1")
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)

    def problem() -> str | None:
        items = section(cloud, "cloud")["unhealthy"]["items"]
        return next((text for text in items if f"Endpoint {name} is Failed" in text), None)

    assert "did not pass the ping health check" in wait_for("the problem", problem)
    sagemaker.delete_endpoint(EndpointName=name)
    wait_for("its end", lambda: not problem())


def test_a_job_shows_its_metrics_steps_and_reason(cloud: TestCloud, image: str) -> None:
    sagemaker = cloud.client("sagemaker")
    definitions = [{"Name": "accuracy", "Regex": "accuracy=([0-9.]+)"}]
    for name, hyperparameters in (("overview-good", {}), ("overview-bad", {"fail": "no luck"})):
        request = training(image, NAME, name, HyperParameters=hyperparameters)
        request["AlgorithmSpecification"]["MetricDefinitions"] = definitions
        sagemaker.create_training_job(**request)

        def described(name: str = name) -> Any:
            return sagemaker.describe_training_job(TrainingJobName=name)

        ended(described, "TrainingJobStatus")
    found = section(cloud, "jobs")["training"]
    by_name = {job["name"]: job for job in found["items"]}
    assert [job["name"] for job in found["items"]][:2] == ["overview-bad", "overview-good"]
    assert by_name["overview-good"]["metrics"] == {"accuracy": 0.75}
    assert by_name["overview-good"]["artifacts"].endswith("/model.tar.gz")
    assert by_name["overview-bad"]["failure"] == "AlgorithmError: no luck, exit code: 3"
    steps = [step["status"] for step in by_name["overview-good"]["secondary"]]
    assert steps[0] == "Starting"
    assert steps[-1] == "Completed"
    assert found["count"] >= 2
