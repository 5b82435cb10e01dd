"""Endpoints: shadow variants, pending updates, retained properties, events and listings."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud import TestCloud, make_config, wait_for
from tests.sagemaker import heard, prepare, remove_endpoints

UPDATE = "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateEndpoint.html"
SHADOW = "https://docs.aws.amazon.com/sagemaker/latest/dg/shadow-tests.html"
EVENTS = (
    "https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html"
)
BUCKET = "endpoint-tests"

_numbers = count(1)


@pytest.fixture(scope="module")
def image(cloud: TestCloud) -> str:
    return prepare(cloud, BUCKET)


@pytest.fixture
def sagemaker(cloud: TestCloud, image: str) -> Iterator[Any]:
    """A client; the endpoints that a test leaves behind are deleted."""
    del image
    client = cloud.client("sagemaker")
    yield client
    remove_endpoints(client)


def model(sagemaker: Any, image: str, answer: str = "one") -> str:
    """Create a model, and a configuration of it, of one new name."""
    name = f"endpoint-model-{next(_numbers)}"
    make_config(sagemaker, name, image, f"s3://{BUCKET}/{answer}/model.tar.gz")
    return name


def config(sagemaker: Any, *variants: dict[str, Any], **options: Any) -> str:
    name = f"endpoint-config-{next(_numbers)}"
    sagemaker.create_endpoint_config(
        EndpointConfigName=name, ProductionVariants=list(variants), **options
    )
    return name


def variant(model_name: str, name: str = "AllTraffic", **options: Any) -> dict[str, Any]:
    base = {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    return {"VariantName": name, "ModelName": model_name, **base, **options}


def in_service(sagemaker: Any, name: str) -> Any:
    def probe() -> Any:
        endpoint = sagemaker.describe_endpoint(EndpointName=name)
        return endpoint if endpoint["EndpointStatus"] == "InService" else None

    return wait_for(f"{name} to be in service", probe)


def serving(sagemaker: Any, config_name: str) -> str:
    name = f"endpoint-{next(_numbers)}"
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config_name)
    in_service(sagemaker, name)
    return name


@pytest.fixture
def ask(cloud: TestCloud) -> Callable[..., str]:
    runtime = cloud.client("sagemaker-runtime")

    def send(name: str, body: str = "x") -> str:
        answer = runtime.invoke_endpoint(EndpointName=name, Body=body, ContentType="text/csv")
        return str(answer["Body"].read().decode())

    return send


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html"
)
def test_the_callers_inference_id_is_captured_and_has_64_characters_at_most(
    cloud: TestCloud, sagemaker: Any, image: str
) -> None:
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://{BUCKET}/named",
        "CaptureOptions": [{"CaptureMode": "Input"}],
    }
    served = config(sagemaker, variant(model(sagemaker, image, "one")), DataCaptureConfig=capture)
    name = serving(sagemaker, served)
    request = {"EndpointName": name, "Body": "1", "ContentType": "text/csv"}
    runtime, s3 = cloud.client("sagemaker-runtime"), cloud.client("s3")
    runtime.invoke_endpoint(**request, InferenceId="order-7")
    with pytest.raises(ClientError, match="length less than or equal to 64"):
        runtime.invoke_endpoint(**request, InferenceId="x" * 65)

    def captured() -> str | None:
        found = s3.list_objects_v2(Bucket=BUCKET, Prefix=f"named/{name}/").get("Contents", [])
        for entry in found:
            line = json.loads(s3.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read())
            return str(line["eventMetadata"]["inferenceId"])
        return None

    assert wait_for("the capture", captured, 30) == "order-7"


@pytest.mark.aws_documented(SHADOW)
def test_a_shadow_gets_copies_and_its_answers_go_nowhere_but_to_the_captured_data(
    cloud: TestCloud, sagemaker: Any, image: str, ask: Callable[..., str]
) -> None:
    first, second = model(sagemaker, image, "one"), model(sagemaker, image, "two")
    shadowed = config(
        sagemaker,
        variant(first),
        ShadowProductionVariants=[variant(second, "Shadow", InitialVariantWeight=1)],
        DataCaptureConfig={
            "EnableCapture": True,
            "InitialSamplingPercentage": 100,
            "DestinationS3Uri": f"s3://{BUCKET}/captured",
            "CaptureOptions": [{"CaptureMode": "InputAndOutput"}],
            "CaptureContentTypeHeader": {"CsvContentTypes": ["text/plain"]},
        },
    )
    name = serving(sagemaker, shadowed)
    assert {ask(name, str(n)) for n in range(10)} == {f"one:{n}" for n in range(10)}
    s3 = cloud.client("s3")

    def answered() -> set[str]:
        prefix = f"captured/{name}/Shadow/"
        found = s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
        lines = [
            json.loads(line)
            for entry in found
            for line in s3.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read().splitlines()
        ]
        return {line["captureData"]["endpointOutput"]["data"] for line in lines}

    expected = {f"two:{n}" for n in range(10)}
    wait_for("the shadow's answers", lambda: answered() == expected, 30)
    described = sagemaker.describe_endpoint(EndpointName=name)
    (shadow,) = described["ShadowProductionVariants"]
    assert (shadow["VariantName"], shadow["CurrentInstanceCount"]) == ("Shadow", 1)
    assert [v["VariantName"] for v in described["ProductionVariants"]] == ["AllTraffic"]
    assert described["DataCaptureConfig"]["CaptureStatus"] == "Started"
    kept = sagemaker.describe_endpoint_config(EndpointConfigName=shadowed)
    assert kept["ShadowProductionVariants"][0]["ModelName"] == second


@pytest.mark.emulator_only
def test_configurations_that_cannot_be_served_are_refused(sagemaker: Any, image: str) -> None:
    name = model(sagemaker, image)
    two = [variant(name, "A"), variant(name, "B")]
    for variants, options, message in (
        (two, {"ShadowProductionVariants": [variant(name, "C")]}, "exactly one production"),
        ([two[0], two[0]], {}, "not unique"),
        ([variant("none")], {}, "Could not find model"),
    ):
        with pytest.raises(ClientError, match=message) as caught:
            config(sagemaker, *variants, **options)
        assert caught.value.response["Error"]["Code"] == "ValidationException"
    with pytest.raises(ClientError, match="inference pipelines"):
        sagemaker.create_model(
            ModelName="chain",
            ExecutionRoleArn="arn:aws:iam::000000000000:role/r",
            Containers=[{"Image": image}, {"Image": image}],
        )


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_PendingDeploymentSummary.html"
)
def test_an_update_under_way_is_described_and_then_is_not(
    sagemaker: Any, image: str, ask: Callable[..., str]
) -> None:
    first, second = model(sagemaker, image, "one"), model(sagemaker, image, "two")
    name = serving(sagemaker, first)
    routing = {
        "Type": "CANARY",
        "WaitIntervalInSeconds": 120,
        "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 50},
    }
    sagemaker.update_endpoint(
        EndpointName=name,
        EndpointConfigName=second,
        DeploymentConfig={"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing}},
    )

    def baking() -> Any:
        summary = sagemaker.describe_endpoint(EndpointName=name).get("PendingDeploymentSummary", {})
        variants = summary.get("ProductionVariants", [{}])
        statuses = variants[0].get("VariantStatus", [{}])
        return summary if statuses[0].get("Status") == "Baking" else None

    pending = wait_for("the canary to bake", baking, 30)
    assert pending["EndpointConfigName"] == second
    assert pending["ProductionVariants"][0]["CurrentInstanceCount"] == 1
    after = in_service(sagemaker, name)
    assert "PendingDeploymentSummary" not in after
    (image_of,) = after["ProductionVariants"][0]["DeployedImages"]
    assert image_of["SpecifiedImage"] == image_of["ResolvedImage"] == image


@pytest.mark.aws_documented(UPDATE)
@pytest.mark.parametrize(
    ("options", "weight", "count_", "captured"),
    [
        ({}, 3.0, 1, 20),
        ({"RetainAllVariantProperties": True}, 5.0, 2, 10),
        (
            {
                "RetainAllVariantProperties": True,
                "ExcludeRetainedVariantProperties": [
                    {"VariantPropertyType": "DesiredWeight"},
                    {"VariantPropertyType": "DataCaptureConfig"},
                ],
            },
            *(3.0, 2, 20),
        ),
    ],
)
def test_an_update_retains_the_requested_properties(
    sagemaker: Any,
    image: str,
    options: dict[str, Any],
    weight: float,
    count_: int,
    captured: int,
) -> None:
    name_of_model = model(sagemaker, image)
    before, after = (
        config(
            sagemaker,
            variant(name_of_model, InitialVariantWeight=3),
            DataCaptureConfig={
                "EnableCapture": True,
                "InitialSamplingPercentage": percent,
                "DestinationS3Uri": f"s3://{BUCKET}/unused",
                "CaptureOptions": [{"CaptureMode": "Input"}],
            },
        )
        for percent in (10, 20)
    )
    name = serving(sagemaker, before)
    change = {"VariantName": "AllTraffic", "DesiredWeight": 5, "DesiredInstanceCount": 2}
    sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=name, DesiredWeightsAndCapacities=[change]
    )
    in_service(sagemaker, name)
    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=after, **options)
    described = in_service(sagemaker, name)
    (shown,) = described["ProductionVariants"]
    assert (shown["CurrentWeight"], shown["CurrentInstanceCount"]) == (weight, count_)
    assert described["DataCaptureConfig"]["CurrentSamplingPercentage"] == captured
    assert described["EndpointConfigName"] == after


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-update.html"
)
def test_a_variant_that_scales_keeps_its_instance_type(
    cloud: TestCloud, sagemaker: Any, image: str
) -> None:
    name_of_model = model(sagemaker, image)
    name = serving(sagemaker, name_of_model)
    scaling = cloud.client("application-autoscaling")
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{name}/variant/AllTraffic",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    scaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=2)
    other = config(sagemaker, variant(name_of_model, InstanceType="ml.m5.xlarge"))
    same = config(sagemaker, variant(name_of_model))
    with pytest.raises(ClientError, match="Deregister them"):
        sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=other)
    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=same)
    in_service(sagemaker, name)
    scaling.deregister_scalable_target(**target)
    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=other)
    assert in_service(sagemaker, name)["EndpointConfigName"] == other
    scaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=2)
    sagemaker.delete_endpoint(EndpointName=name)
    left = scaling.describe_scalable_targets(
        ServiceNamespace="sagemaker", ResourceIds=[target["ResourceId"]]
    )
    assert left["ScalableTargets"] == []


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-blue-green-canary.html"
)
def test_a_deployment_whose_steps_are_too_large_is_refused(sagemaker: Any, image: str) -> None:
    name = serving(sagemaker, model(sagemaker, image))
    size = {"Type": "CAPACITY_PERCENT", "Value": 60}
    routing = {"Type": "CANARY", "WaitIntervalInSeconds": 0, "CanarySize": size}
    with pytest.raises(ClientError, match="CanarySize is 60 %; it must be from 1 to 50 %"):
        sagemaker.update_endpoint(
            EndpointName=name,
            EndpointConfigName=model(sagemaker, image),
            DeploymentConfig={"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing}},
        )
    assert sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "InService"


@pytest.mark.aws_documented(EVENTS)
def test_an_endpoints_events_have_states_in_capitals(
    cloud: TestCloud, sagemaker: Any, image: str
) -> None:
    with heard(cloud, "endpoint-events", "SageMaker Endpoint State Change") as events:
        first = model(sagemaker, image)
        name = serving(sagemaker, first)
        sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=model(sagemaker, image))
        in_service(sagemaker, name)
        sagemaker.delete_endpoint(EndpointName=name)

        def told() -> list[str]:
            found = [e["EndpointStatus"] for e in events() if e["EndpointName"] == name]
            return found if "DELETING" in found and len(found) == 5 else []

        statuses = wait_for("the events", told)
    assert sorted(statuses) == sorted(
        ["CREATING", "IN_SERVICE", "UPDATING", "IN_SERVICE", "DELETING"]
    )


@pytest.mark.aws_documented(EVENTS)
def test_a_training_job_publishes_an_event_for_each_step(
    cloud: TestCloud, sagemaker: Any, image: str
) -> None:
    with heard(cloud, "training-events", "SageMaker Training Job State Change") as events:
        name = f"told-{next(_numbers)}"
        sagemaker.create_training_job(
            TrainingJobName=name,
            AlgorithmSpecification={"TrainingImage": image, "TrainingInputMode": "File"},
            RoleArn="arn:aws:iam::000000000000:role/service-role/sagemaker",
            OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/out"},
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            StoppingCondition={"MaxRuntimeInSeconds": 60},
        )

        def done() -> list[Any]:
            mine = [e for e in events() if e["TrainingJobName"] == name]
            return mine if "Completed" in [e["TrainingJobStatus"] for e in mine] else []

        told = wait_for("the events", done)
    steps = {e["SecondaryStatus"] for e in told}
    assert {"Starting", "Downloading", "Training", "Uploading", "Completed"} <= steps
    (last,) = [e for e in told if e["TrainingJobStatus"] == "Completed"]
    assert last["ModelArtifacts"]["S3ModelArtifacts"].endswith(f"/{name}/output/model.tar.gz")


@pytest.mark.botocore_modelled
def test_models_configurations_and_tags_are_paged(sagemaker: Any, image: str) -> None:
    names = [model(sagemaker, image) for _ in range(3)]
    newest = {
        "NameContains": "endpoint-model-",
        "SortBy": "CreationTime",
        "SortOrder": "Descending",
    }

    def paged(operation: str, member: str, name: str, **options: Any) -> list[str]:
        pages = sagemaker.get_paginator(operation).paginate(
            PaginationConfig={"PageSize": 2}, **options
        )
        return [entry[name] for page in pages for entry in page[member]]

    assert paged("list_models", "Models", "ModelName", **newest)[:3] == names[::-1]
    listed = paged("list_endpoint_configs", "EndpointConfigs", "EndpointConfigName", **newest)
    assert listed[:3] == names[::-1]
    arn = sagemaker.describe_model(ModelName=names[0])["ModelArn"]
    tags = [{"Key": f"k{n:02d}", "Value": "v"} for n in range(50)]
    sagemaker.add_tags(ResourceArn=arn, Tags=tags)
    listed_tags = sagemaker.get_paginator("list_tags").paginate(ResourceArn=arn)
    assert [tag for page in listed_tags for tag in page["Tags"]] == tags
    with pytest.raises(ClientError, match="NextToken") as caught:
        sagemaker.list_models(NextToken="never-given")
    assert caught.value.response["Error"]["Code"] == "ValidationException"


@pytest.mark.emulator_only
@pytest.mark.parametrize(
    ("algorithm", "message"),
    [
        ({"TrainingInputMode": "Pipe"}, "Pipe is not supported"),
        ({"MetricDefinitions": [{"Name": "a", "Regex": "("}]}, "Metric a has an invalid regex"),
        ({"MetricDefinitions": [{"Name": "a", "Regex": "a=.*"}]}, "has no group"),
    ],
)
def test_a_training_job_that_cannot_do_what_it_says_is_refused(
    sagemaker: Any, image: str, algorithm: dict[str, Any], message: str
) -> None:
    with pytest.raises(ClientError, match=message) as caught:
        sagemaker.create_training_job(
            TrainingJobName="refused",
            AlgorithmSpecification={
                "TrainingImage": image,
                "TrainingInputMode": "File",
                **algorithm,
            },
            RoleArn="arn:aws:iam::000000000000:role/service-role/sagemaker",
            OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/out"},
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            StoppingCondition={"MaxRuntimeInSeconds": 60},
        )
    assert caught.value.response["Error"]["Code"] == "ValidationException"
