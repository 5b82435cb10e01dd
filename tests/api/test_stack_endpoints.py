"""CloudFormation: endpoints of stacks, by the names that the template gives them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud import TestCloud
from tests.sagemaker import ROLE, prepare
from tests.stacks import Stacks, group, template

GUIDE = "https://docs.aws.amazon.com/AWSCloudFormation/latest"
BUCKET = "stack-endpoints"


@pytest.fixture
def stacks(cloud: TestCloud) -> Iterator[Stacks]:
    made = Stacks(cloud)
    yield made
    for name in made.names:
        made.client.delete_stack(StackName=name)
        with pytest.raises(ClientError, match="does not exist"):
            made.settled(name)


def endpoint_template(image: str, answer: str) -> str:
    """Return a template whose configuration is named, so that it cannot be replaced."""
    resources: dict[str, Any] = {
        "Model": {
            "Type": "AWS::SageMaker::Model",
            "Properties": {
                "ModelName": f"stack-model-{answer}",
                "ExecutionRoleArn": ROLE,
                "PrimaryContainer": {
                    "Image": image,
                    "ModelDataUrl": f"s3://{BUCKET}/{answer}/model.tar.gz",
                },
            },
        },
        "Config": {
            "Type": "AWS::SageMaker::EndpointConfig",
            "Properties": {
                "EndpointConfigName": "stack-config",
                "ProductionVariants": [
                    {
                        "VariantName": "AllTraffic",
                        "ModelName": {"Fn::GetAtt": ["Model", "ModelName"]},
                        "InitialInstanceCount": 1,
                        "InstanceType": "ml.m5.large",
                        "InitialVariantWeight": 1,
                    }
                ],
            },
        },
        "Endpoint": {
            "Type": "AWS::SageMaker::Endpoint",
            "Properties": {
                "EndpointName": "stack-endpoint",
                "EndpointConfigName": {"Fn::GetAtt": ["Config", "EndpointConfigName"]},
            },
        },
    }
    return json.dumps({"Resources": resources})


@pytest.mark.aws_documented(f"{GUIDE}/UserGuide/using-cfn-updating-stacks-update-behaviors.html")
def test_a_stack_is_complete_when_its_endpoint_is_in_service_and_keeps_its_names(
    cloud: TestCloud, stacks: Stacks
) -> None:
    image, sagemaker = prepare(cloud, BUCKET), cloud.client("sagemaker")
    name = stacks.create(endpoint_template(image, "one"))
    assert stacks.settled(name)["StackStatus"] == "CREATE_COMPLETE", stacks.reasons(name)
    described = sagemaker.describe_endpoint(EndpointName="stack-endpoint")
    assert described["EndpointStatus"] == "InService"
    assert described["EndpointConfigName"] == "stack-config"
    assert sagemaker.describe_model(ModelName="stack-model-one")
    changed = endpoint_template(image, "two")
    stacks.client.update_stack(StackName=name, TemplateBody=changed)
    assert stacks.settled(name)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert "custom-named resource requires replacing" in stacks.reasons(name)
    after = sagemaker.describe_endpoint(EndpointName="stack-endpoint")
    assert (after["EndpointStatus"], after["CreationTime"]) == (
        "InService",
        described["CreationTime"],
    )
    with pytest.raises(ClientError):
        sagemaker.describe_model(ModelName="stack-model-two")


@pytest.mark.aws_documented(f"{GUIDE}/APIReference/API_DescribeStacks.html")
def test_a_deleted_stack_is_described_by_its_id_and_nothing_is_made_of_it(stacks: Stacks) -> None:
    name = stacks.create(template(G=group("/stack/deleted")))
    id_ = stacks.settled(name)["StackId"]
    stacks.client.delete_stack(StackName=name)
    assert stacks.settled(id_)["StackStatus"] == "DELETE_COMPLETE"

    def listed() -> list[str]:
        found = stacks.client.list_stacks()["StackSummaries"]
        return sorted(f"{s['StackId']} {s['StackStatus']}" for s in found)

    before = listed()
    for _ in range(2):
        (stack,) = stacks.client.describe_stacks(StackName=id_)["Stacks"]
        assert stack["StackStatus"] == "DELETE_COMPLETE"
        assert stacks.client.describe_stack_events(StackName=id_)["StackEvents"]
        with pytest.raises(ClientError, match="does not exist"):
            stacks.client.describe_stacks(StackName=name)
    assert listed() == before
