"""A training job and an endpoint that can be recorded on AWS, each in a tier with its price."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.archives import tar_of
from tests.cloud import REGION, TestCloud, wait_for

_numbers = count(1)


@pytest.fixture
def bucket(cloud: TestCloud) -> Iterator[str]:
    """A bucket with a model. AmazonSageMakerFullAccess lets roles read it by its name."""
    # AWS takes a while before the name of a deleted bucket can be used again.
    s3, name = cloud.client("s3"), cloud.name(f"sagemaker-{next(_numbers)}")
    s3.create_bucket(Bucket=name)
    model = tar_of({"answer.txt": "one"}, mode="w:gz")
    s3.put_object(Bucket=name, Key="model.tar.gz", Body=model)
    yield name
    for entry in s3.list_objects_v2(Bucket=name)["Contents"]:
        s3.delete_object(Bucket=name, Key=entry["Key"])
    s3.delete_bucket(Bucket=name)


@pytest.mark.recordable("training")
@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeTrainingJob.html"
)
def test_a_training_job_is_completed_with_its_artifacts(cloud: TestCloud, bucket: str) -> None:
    sagemaker, name = cloud.client("sagemaker"), cloud.name("job")
    image, role = cloud.container()
    request = {
        "TrainingJobName": name,
        "AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File"},
        "RoleArn": role,
        "HyperParameters": {"answer": "two"},
        "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }
    sagemaker.create_training_job(**request)
    with pytest.raises(ClientError) as caught:
        sagemaker.create_training_job(**request)
    assert caught.value.response["Error"]["Code"] == "ResourceInUse"

    def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = sagemaker.describe_training_job(TrainingJobName=name)
        return found if found["TrainingJobStatus"] != "InProgress" else None

    job = wait_for("the job", ended)
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Completed"
    artifact = f"s3://{bucket}/out/{name}/output/model.tar.gz"
    assert job["ModelArtifacts"] == {"S3ModelArtifacts": artifact}
    steps = [each["Status"] for each in job["SecondaryStatusTransitions"]]
    assert (steps[0], steps[-1]) == ("Starting", "Completed")
    assert steps.index("Training") < steps.index("Uploading")
    assert "FailureReason" not in job


@pytest.mark.recordable("endpoints")
@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html"
)
def test_an_endpoint_in_service_answers_and_names_its_variant(
    cloud: TestCloud, bucket: str
) -> None:
    sagemaker, name = cloud.client("sagemaker"), cloud.name("endpoint")
    image, role = cloud.container()
    container = {"Image": image, "ModelDataUrl": f"s3://{bucket}/model.tar.gz"}
    sagemaker.create_model(ModelName=name, ExecutionRoleArn=role, PrimaryContainer=container)
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": name,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)

    def ready() -> dict[str, Any] | None:
        found: dict[str, Any] = sagemaker.describe_endpoint(EndpointName=name)
        return found if found["EndpointStatus"] != "Creating" else None

    endpoint = wait_for("the endpoint", ready)
    assert endpoint["EndpointStatus"] == "InService"
    assert endpoint["EndpointArn"].startswith(f"arn:aws:sagemaker:{REGION}:")
    runtime = cloud.client("sagemaker-runtime")
    answer = runtime.invoke_endpoint(EndpointName=name, ContentType="text/csv", Body=b"1")
    assert answer["Body"].read() == b"one:1"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    sagemaker.delete_endpoint(EndpointName=name)
    sagemaker.delete_endpoint_config(EndpointConfigName=name)
    sagemaker.delete_model(ModelName=name)
