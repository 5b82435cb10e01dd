"""Values that a template takes from Parameter Store and Secrets Manager."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud import TestCloud
from tests.stacks import Stacks

GUIDE = "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references.html"
pytestmark = pytest.mark.aws_documented(GUIDE)


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
        ("{{resolve:secretsmanager:no-such-secret}}", "ResourceNotFoundException"),
        ("{{resolve:secretsmanager:dynamic:SecretString:no-key}}", "JSONKey in SecretString"),
    ],
)
def test_a_dynamic_reference_to_no_secret_fails_the_resource(
    stacks: Stacks, reference: str, reason: str
) -> None:
    name = stacks.create(topic(reference))
    assert stacks.settled(name)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert reason in stacks.reasons(name)


@pytest.mark.usefixtures("values")
@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        (
            "{{resolve:ssm:/no-such-parameter}}",
            "Unable to fetch parameters [/no-such-parameter] from parameter store for this "
            "account.",
        ),
        (
            "{{resolve:ssm:/dynamic:9}}",
            "Unable to fetch parameters [/dynamic:9] from parameter store for this account.",
        ),
        (
            "{{resolve:ssm:/dynamic:label}}",
            "Incorrect format is used in the following SSM reference: "
            "[{{resolve:ssm:/dynamic:label}}]",
        ),
        (
            "{{resolve:ssm:/secure}}",
            "Non-secure ssm prefix was used for secure parameter /secure",
        ),
        (
            "{{resolve:ssm-secure:/secure:1}}",
            "SSM Secure reference is not supported in: [AWS::SNS::Topic/Properties/DisplayName]",
        ),
        (
            "{{resolve:vault:/secret}}",
            "The local cloud does not resolve {{resolve:vault:/secret}}",
        ),
    ],
)
def test_a_dynamic_reference_that_cannot_be_read_is_refused(
    cloud: TestCloud, stacks: Stacks, reference: str, reason: str
) -> None:
    cloud.client("ssm").put_parameter(
        Name="/secure", Value="hush", Type="SecureString", Overwrite=True
    )
    for request in (
        stacks.client.create_stack,
        partial(stacks.client.create_change_set, ChangeSetName="c", ChangeSetType="CREATE"),
    ):
        with pytest.raises(ClientError) as caught:
            request(StackName="unread", TemplateBody=topic(reference))
        assert caught.value.response["Error"]["Code"] == "ValidationError"
        assert caught.value.response["Error"]["Message"] == reason
    with pytest.raises(ClientError, match="unread does not exist"):
        stacks.client.describe_stacks(StackName="unread")


@pytest.mark.usefixtures("values")
def test_a_value_that_changed_in_parameter_store_changes_the_resource(
    cloud: TestCloud, stacks: Stacks
) -> None:
    body = topic("{{resolve:ssm:/dynamic}}")
    name = stacks.create(body)
    assert stacks.settled(name)["StackStatus"] == "CREATE_COMPLETE", stacks.reasons(name)
    with pytest.raises(ClientError, match="No updates are to be performed"):
        stacks.client.update_stack(StackName=name, TemplateBody=body)
    cloud.client("ssm").put_parameter(Name="/dynamic", Value="third", Overwrite=True)
    stacks.client.update_stack(StackName=name, TemplateBody=body)
    assert stacks.settled(name)["StackStatus"] == "UPDATE_COMPLETE", stacks.reasons(name)
    assert shown(cloud) == "third"
