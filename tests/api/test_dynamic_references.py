"""Values that a template takes from Parameter Store and Secrets Manager."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cloud import TestCloud
from tests.stacks import Stacks

GUIDE = "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references.html"
pytestmark = pytest.mark.aws_documented(GUIDE)


@pytest.fixture
def stacks(cloud: TestCloud) -> Iterator[Stacks]:
    made = Stacks(cloud.client("cloudformation"))
    yield made
    for name in made.names:
        made.client.delete_stack(StackName=name)


def topic(display_name: str) -> str:
    properties = {"TopicName": "dynamic", "DisplayName": display_name}
    return json.dumps({"Resources": {"T": {"Type": "AWS::SNS::Topic", "Properties": properties}}})


def shown(cloud: TestCloud) -> str:
    arn = "arn:aws:sns:us-east-1:000000000000:dynamic"
    found: dict[str, Any] = cloud.client("sns").get_topic_attributes(TopicArn=arn)["Attributes"]
    return str(found["DisplayName"])


@pytest.fixture
def values(cloud: TestCloud) -> Iterator[None]:
    ssm, secrets = cloud.client("ssm"), cloud.client("secretsmanager")
    for value in ("first", "second"):
        ssm.put_parameter(Name="/dynamic", Value=value, Type="String", Overwrite=True)
    secret = json.dumps({"user": "admin", "password": "hush"})
    secrets.create_secret(Name="dynamic", SecretString=secret)
    yield
    ssm.delete_parameter(Name="/dynamic")
    secrets.delete_secret(SecretId="dynamic", ForceDeleteWithoutRecovery=True)


@pytest.mark.usefixtures("values")
@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("{{resolve:ssm:/dynamic}}", "second"),
        ("{{resolve:ssm:/dynamic:1}}", "first"),
        ("a {{resolve:ssm:/dynamic:1}} and {{resolve:ssm:/dynamic}}", "a first and second"),
        ("{{resolve:secretsmanager:dynamic:SecretString:user}}", "admin"),
        ("{{resolve:secretsmanager:dynamic:SecretString:password:AWSCURRENT}}", "hush"),
    ],
)
def test_a_dynamic_reference_is_the_value_of_its_parameter_or_secret(
    cloud: TestCloud, stacks: Stacks, reference: str, expected: str
) -> None:
    name = stacks.create(topic(reference))
    assert stacks.settled(name)["StackStatus"] == "CREATE_COMPLETE", stacks.reasons(name)
    assert shown(cloud) == expected
    stacks.client.delete_stack(StackName=name)
    stacks.client.get_waiter("stack_delete_complete").wait(
        StackName=name, WaiterConfig={"Delay": 0.2, "MaxAttempts": 100}
    )


@pytest.mark.usefixtures("values")
@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("{{resolve:ssm:/no-such-parameter}}", "ParameterNotFound"),
        ("{{resolve:secretsmanager:no-such-secret}}", "ResourceNotFoundException"),
        ("{{resolve:secretsmanager:dynamic:SecretString:no-key}}", "JSONKey in SecretString"),
        ("{{resolve:ssm-secure:/dynamic}}", "does not resolve {{resolve:ssm-secure"),
    ],
)
def test_a_dynamic_reference_to_nothing_fails_the_resource(
    stacks: Stacks, reference: str, reason: str
) -> None:
    name = stacks.create(topic(reference))
    assert stacks.settled(name)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert reason in stacks.reasons(name)
