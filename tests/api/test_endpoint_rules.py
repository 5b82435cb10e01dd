"""Endpoints: shares of the traffic, limits of requests, and what a variant that scales forbids."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud import SAGEMAKER_ROLE, TestCloud, make_config, push_container, wait_for
from tests.sagemaker import prepare

BUCKET = "endpoint-rules"
GUIDE = "https://docs.aws.amazon.com/sagemaker/latest/dg"
API = "https://docs.aws.amazon.com/sagemaker/latest/APIReference"
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def endpoint(cloud: TestCloud) -> Iterator[str]:
    """An endpoint of two variants, the weight of one of which was not given."""
    image = prepare(cloud, BUCKET)
    sagemaker = cloud.client("sagemaker")
    for answer in ("one", "two"):
        url = f"s3://{BUCKET}/{answer}/model.tar.gz"
        make_config(sagemaker, f"rules-{answer}", image, url)
    variants = [variant("one", InitialVariantWeight=3), variant("two")]
    sagemaker.create_endpoint_config(EndpointConfigName="rules", ProductionVariants=variants)
    sagemaker.create_endpoint(EndpointName="rules", EndpointConfigName="rules")
    wait_for("the endpoint", lambda: status(sagemaker) == "InService", 30)
    yield "rules"
    sagemaker.delete_endpoint(EndpointName="rules")


def variant(answer: str, **more: Any) -> dict[str, Any]:
    return {
        "VariantName": answer.capitalize(),
        "ModelName": f"rules-{answer}",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
        **more,
    }


def status(sagemaker: Any) -> str:
    return str(sagemaker.describe_endpoint(EndpointName="rules")["EndpointStatus"])


def ask(cloud: TestCloud, body: bytes = b"x", **options: str) -> dict[str, Any]:
    answer = cloud.client("sagemaker-runtime").invoke_endpoint(
        EndpointName="rules", Body=body, ContentType="text/csv", **options
    )
    return dict(answer)


@pytest.mark.aws_documented(f"{API}/API_ProductionVariant.html")
def test_a_variant_gets_the_share_that_its_weight_is_of_the_sum(
    cloud: TestCloud, endpoint: str
) -> None:
    described = cloud.client("sagemaker").describe_endpoint(EndpointName=endpoint)
    weights = {v["VariantName"]: v["CurrentWeight"] for v in described["ProductionVariants"]}
    assert weights == {"One": 3.0, "Two": 1.0}
    runtime = cloud.client("sagemaker-runtime")
    asked = [runtime.invoke_endpoint(EndpointName=endpoint, Body=b"x") for _ in range(200)]
    got = Counter(answer["InvokedProductionVariant"] for answer in asked)
    # 50 are expected; outside of 20 to 80 it is not a quarter.
    assert 20 < got["Two"] < 80, got
    assert set(got) == {"One", "Two"}


@pytest.mark.aws_documented(f"{API}/API_runtime_InvokeEndpoint.html")
def test_a_target_variant_overrides_the_weights_and_a_header_names_who_answered(
    cloud: TestCloud, endpoint: str
) -> None:
    answers = {ask(cloud, TargetVariant="Two")["Body"].read() for _ in range(20)}
    assert answers == {b"two:x"}
    request = urllib.request.Request(
        f"{cloud.url}/endpoints/{endpoint}/invocations",
        data=b"y",
        headers={"X-Amzn-SageMaker-Target-Variant": "Two"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.headers["x-Amzn-Invoked-Production-Variant"] == "Two"


@pytest.mark.aws_documented(f"{API}/API_runtime_InvokeEndpoint.html")
def test_an_error_of_the_model_says_where_its_log_is(cloud: TestCloud, endpoint: str) -> None:
    with pytest.raises(ClientError) as caught:
        ask(cloud, b"error")
    response = caught.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    group = "arn:aws:logs:us-east-1:000000000000:log-group:/aws/sagemaker/Endpoints/"
    assert response["LogStreamArn"] == group + endpoint


@pytest.mark.botocore_modelled
def test_a_request_has_at_most_six_mib(cloud: TestCloud, endpoint: str) -> None:
    del endpoint
    assert len(ask(cloud, b"x" * (6 * MIB))["Body"].read()) == 6 * MIB + len("one:")
    with pytest.raises(ClientError, match="less than or equal to 6291456") as caught:
        ask(cloud, b"x" * (6 * MIB + 1))
    assert caught.value.response["Error"]["Code"] == "ValidationError"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


@pytest.mark.aws_documented(f"{GUIDE}/endpoint-auto-scaling-update.html")
def test_a_variant_that_scales_stays_and_an_endpoint_that_is_updated_is_not_scaled(
    cloud: TestCloud, endpoint: str
) -> None:
    sagemaker, scaling = cloud.client("sagemaker"), cloud.client("application-autoscaling")
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{endpoint}/variant/Two",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    tags = {"team": "lab", "stage": "test"}
    arn = scaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=2, Tags=tags)[
        "ScalableTargetARN"
    ]
    scaling.tag_resource(ResourceARN=arn, Tags={"stage": "prd", "cost": "1"})
    scaling.untag_resource(ResourceARN=arn, TagKeys=["cost"])
    assert scaling.list_tags_for_resource(ResourceARN=arn)["Tags"] == tags | {"stage": "prd"}
    sagemaker.create_endpoint_config(
        EndpointConfigName="rules-without", ProductionVariants=[variant("one")]
    )
    with pytest.raises(ClientError, match="Deregister them"):
        sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName="rules-without")
    assert status(sagemaker) == "InService"
    scaling.deregister_scalable_target(**target)
    routing = {
        "Type": "CANARY",
        "WaitIntervalInSeconds": 3600,
        "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 50},
    }
    sagemaker.update_endpoint(
        EndpointName=endpoint,
        EndpointConfigName="rules-without",
        DeploymentConfig={"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing}},
    )
    with pytest.raises(ClientError, match="Updating"):
        sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=endpoint,
            DesiredWeightsAndCapacities=[{"VariantName": "One", "DesiredInstanceCount": 2}],
        )


@pytest.mark.botocore_modelled
@pytest.mark.parametrize("seconds", [59, 3601])
def test_a_container_may_be_given_a_minute_to_an_hour_to_start(
    cloud: TestCloud, endpoint: str, seconds: int
) -> None:
    del endpoint
    sagemaker = cloud.client("sagemaker")
    name, member = f"rules-{seconds}", "ContainerStartupHealthCheckTimeoutInSeconds"
    body = {
        "EndpointConfigName": name,
        "ProductionVariants": [{**variant("one"), member: seconds}],
    }
    request = urllib.request.Request(
        cloud.url,
        data=json.dumps(body).encode(),
        headers={
            "X-Amz-Target": "SageMaker.CreateEndpointConfig",
            "Content-Type": "application/x-amz-json-1.1",
        },
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)
    with caught.value as answer:
        assert answer.code == 400
        assert "containerStartupHealthCheckTimeoutInSeconds" in answer.read().decode()
    allowed = {**variant("one"), member: min(max(seconds, 60), 3600)}
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[allowed])
    (kept,) = sagemaker.describe_endpoint_config(EndpointConfigName=name)["ProductionVariants"]
    assert kept[member] == allowed[member]


@pytest.mark.botocore_modelled
def test_what_was_given_of_a_model_is_kept_and_what_was_not_is_absent(
    cloud: TestCloud, endpoint: str
) -> None:
    del endpoint
    sagemaker = cloud.client("sagemaker")
    made = sagemaker.describe_model(ModelName="rules-one")
    assert {"VpcConfig", "Containers", "InferenceExecutionConfig"} & set(made) == set()
    sagemaker.create_model(
        ModelName="rules-in-a-list",
        ExecutionRoleArn=made["ExecutionRoleArn"],
        Containers=[made["PrimaryContainer"]],
        InferenceExecutionConfig={"Mode": "Serial"},
    )
    listed = sagemaker.describe_model(ModelName="rules-in-a-list")
    assert listed["InferenceExecutionConfig"] == {"Mode": "Serial"}
    assert listed["Containers"] == [made["PrimaryContainer"]]
    assert "PrimaryContainer" not in listed
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 10,
        "DestinationS3Uri": f"s3://{BUCKET}/captured",
        "CaptureOptions": [{"CaptureMode": "Input"}],
        "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"]},
    }
    sagemaker.create_endpoint_config(
        EndpointConfigName="rules-captured",
        ProductionVariants=[variant("one")],
        DataCaptureConfig=capture,
    )
    kept = sagemaker.describe_endpoint_config(EndpointConfigName="rules-captured")
    assert kept["DataCaptureConfig"] == capture


@pytest.mark.aws_documented(f"{GUIDE}/realtime-endpoints-graviton.html")
@pytest.mark.parametrize(
    ("architecture", "instance_type", "expected"),
    [
        ("amd64", "ml.c8g.large", "Failed"),
        ("arm64", "ml.m5.large", "Failed"),
        ("arm64", "ml.c8g.large", "InService"),
    ],
)
def test_instances_execute_images_of_their_architecture(
    cloud: TestCloud, endpoint: str, architecture: str, instance_type: str, expected: str
) -> None:
    del endpoint  # which has the models' data made
    sagemaker = cloud.client("sagemaker")
    image = push_container(cloud, "architectures", architecture=architecture)
    name = f"of-{architecture}-{instance_type.replace('.', '-')}"
    sagemaker.create_model(
        ModelName=name,
        ExecutionRoleArn=SAGEMAKER_ROLE,
        PrimaryContainer={
            "Image": image,
            "ModelDataUrl": f"s3://{BUCKET}/one/model.tar.gz",
        },
    )
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": name,
        "InstanceType": instance_type,
        "InitialInstanceCount": 1,
    }
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)

    def ended() -> dict[str, Any] | None:
        found = dict(sagemaker.describe_endpoint(EndpointName=name))
        return None if found["EndpointStatus"] == "Creating" else found

    found = wait_for("the endpoint", ended)
    assert found["EndpointStatus"] == expected, found.get("FailureReason")
    if expected == "Failed":
        assert found["FailureReason"].endswith(": exec format error")
        assert f"is for {architecture}" in found["FailureReason"]
    sagemaker.delete_endpoint(EndpointName=name)
