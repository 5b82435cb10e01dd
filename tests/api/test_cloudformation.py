"""CloudFormation: a stack is complete when its resources are really there."""

from __future__ import annotations

import json
import re

import pytest
from botocore.exceptions import ClientError

from tests.cloud import SAGEMAKER_ROLE, TestCloud, have_role, push_container
from tests.stacks import Stacks, group, template

EVENTS = "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html"
UPDATES = (
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/"
    "using-cfn-updating-stacks-update-behaviors.html"
)


def groups(cloud: TestCloud) -> set[str]:
    found = cloud.client("logs").describe_log_groups(logGroupNamePrefix="/stack/")
    return {entry["logGroupName"] for entry in found["logGroups"]}


@pytest.mark.aws_documented(EVENTS)
def test_a_stack_makes_its_resources_in_order_and_deletes_them_in_reverse(
    cloud: TestCloud, stacks: Stacks
) -> None:
    body = template(Second=group("/stack/second", DependsOn="First"), First=group("/stack/first"))
    name = stacks.create(body)
    stack = stacks.settled(name)
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert {"/stack/first", "/stack/second"} <= groups(cloud)
    stacks.client.delete_stack(StackName=name)
    gone = stacks.settled(stack["StackId"])
    assert gone["StackStatus"] == "DELETE_COMPLETE"
    assert groups(cloud) & {"/stack/first", "/stack/second"} == set()
    events = stacks.client.describe_stack_events(StackName=stack["StackId"])["StackEvents"]
    steps = [
        (event["LogicalResourceId"], event["ResourceStatus"])
        for event in reversed(events)
        if event["ResourceType"] == "AWS::Logs::LogGroup"
        and event["ResourceStatus"].endswith("COMPLETE")
    ]
    assert steps == [
        ("First", "CREATE_COMPLETE"),
        ("Second", "CREATE_COMPLETE"),
        ("Second", "DELETE_COMPLETE"),
        ("First", "DELETE_COMPLETE"),
    ]


@pytest.mark.aws_documented(EVENTS)
def test_a_resource_that_fails_rolls_the_stack_back_with_the_reason(
    cloud: TestCloud, stacks: Stacks
) -> None:
    endpoint = {
        "Type": "AWS::SageMaker::Endpoint",
        "DependsOn": "Group",
        "Properties": {"EndpointConfigName": "no-such-config"},
    }
    name = stacks.create(template(Group=group("/stack/rolled-back"), Endpoint=endpoint))
    assert stacks.settled(name)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "no-such-config" in stacks.reasons(name)
    assert "/stack/rolled-back" not in groups(cloud)
    with pytest.raises(ClientError, match="ROLLBACK_COMPLETE state and can not be updated"):
        stacks.client.update_stack(StackName=name, TemplateBody=template(G=group("/stack/x")))


@pytest.mark.emulator_only
def test_a_type_that_is_not_supported_is_refused_by_name(stacks: Stacks) -> None:
    body = template(G=group("/stack/beside"), Table={"Type": "AWS::DynamoDB::Table"})
    with pytest.raises(ClientError, match=r"Unrecognized resource types: \[AWS::DynamoDB::Table\]"):
        stacks.client.create_stack(StackName="no-table", TemplateBody=body)
    with pytest.raises(ClientError, match="no-table does not exist"):
        stacks.client.describe_stacks(StackName="no-table")


@pytest.mark.aws_documented(UPDATES)
def test_an_update_adds_replaces_and_removes(cloud: TestCloud, stacks: Stacks) -> None:
    name = stacks.create(template(A=group("/stack/a"), B=group("/stack/b")))
    stacks.settled(name)
    changed = template(A=group("/stack/a2"), C=group("/stack/c"))
    stacks.client.update_stack(StackName=name, TemplateBody=changed)
    assert stacks.settled(name)["StackStatus"] == "UPDATE_COMPLETE"
    left = groups(cloud) & {"/stack/a", "/stack/a2", "/stack/b", "/stack/c"}
    assert left == {"/stack/a2", "/stack/c"}


@pytest.mark.aws_documented(UPDATES)
def test_an_update_that_fails_leaves_the_stack_as_it_was(cloud: TestCloud, stacks: Stacks) -> None:
    name = stacks.create(template(A=group("/stack/kept")))
    stacks.settled(name)
    endpoint = {
        "Type": "AWS::SageMaker::Endpoint",
        "DependsOn": "New",
        "Properties": {"EndpointConfigName": "no-such-config"},
    }
    body = template(A=group("/stack/kept"), New=group("/stack/new"), Endpoint=endpoint)
    stacks.client.update_stack(StackName=name, TemplateBody=body)
    assert stacks.settled(name)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert groups(cloud) & {"/stack/kept", "/stack/new"} == {"/stack/kept"}


@pytest.mark.aws_documented(UPDATES)
def test_nothing_to_update_is_refused(stacks: Stacks) -> None:
    body = template(A=group("/stack/named"))
    name = stacks.create(body)
    stacks.settled(name)
    with pytest.raises(ClientError, match="No updates are to be performed"):
        stacks.client.update_stack(StackName=name, TemplateBody=body)


@pytest.mark.aws_documented(UPDATES)
def test_a_named_resource_that_needs_replacing_is_refused(cloud: TestCloud, stacks: Stacks) -> None:
    image = push_container(cloud, "stack")

    def body(role: str) -> str:
        arn = have_role(cloud, f"arn:aws:iam::000000000000:role/{role}", "sagemaker")
        properties = {
            "ModelName": "stack-named",
            "ExecutionRoleArn": arn,
            "PrimaryContainer": {"Image": image},
        }
        return template(M={"Type": "AWS::SageMaker::Model", "Properties": properties})

    name = stacks.create(body("first"))
    assert stacks.settled(name)["StackStatus"] == "CREATE_COMPLETE"
    stacks.client.update_stack(StackName=name, TemplateBody=body("second"))
    assert stacks.settled(name)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert "custom-named resource requires replacing" in stacks.reasons(name)


def _update(stacks: Stacks, name: str, body: str) -> None:
    stacks.client.update_stack(StackName=name, TemplateBody=body)
    assert stacks.settled(name)["StackStatus"] == "UPDATE_COMPLETE", stacks.reasons(name)


def _tags(**tags: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-sns-topic.html"
)
def test_a_topic_is_made_as_declared_and_changed_in_place(cloud: TestCloud, stacks: Stacks) -> None:
    sns, sqs = cloud.client("sns"), cloud.client("sqs")
    for queue in ("stack-topic-1", "stack-topic-2"):
        sqs.create_queue(QueueName=queue)

    def topic(queue: str, **properties: object) -> str:
        endpoint = f"arn:aws:sqs:us-east-1:000000000000:{queue}"
        properties |= {"Subscription": [{"Protocol": "sqs", "Endpoint": endpoint}]}
        return template(T={"Type": "AWS::SNS::Topic", "Properties": properties})

    name = stacks.create(topic("stack-topic-1", DisplayName="First", Tags=_tags(a="1", b="2")))
    assert stacks.settled(name)["StackStatus"] == "CREATE_COMPLETE", stacks.reasons(name)
    resources = stacks.client.describe_stack_resources(StackName=name)["StackResources"]
    arn = resources[0]["PhysicalResourceId"]

    def state() -> tuple[str, list[str], dict[str, str]]:
        attributes = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
        subscriptions = sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"]
        tags = sns.list_tags_for_resource(ResourceArn=arn)["Tags"]
        return (
            attributes["DisplayName"],
            [subscription["Endpoint"].rpartition(":")[2] for subscription in subscriptions],
            {tag["Key"]: tag["Value"] for tag in tags},
        )

    assert state() == ("First", ["stack-topic-1"], {"a": "1", "b": "2"})
    _update(stacks, name, topic("stack-topic-2", DisplayName="Second", Tags=_tags(b="3")))
    assert state() == ("Second", ["stack-topic-2"], {"b": "3"})


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-logs-loggroup.html"
)
def test_a_named_log_group_is_changed_in_place_and_keeps_its_lines(
    cloud: TestCloud, stacks: Stacks
) -> None:
    logs = cloud.client("logs")

    def body(**properties: object) -> str:
        properties["LogGroupName"] = "/stack/in-place"
        return template(G={"Type": "AWS::Logs::LogGroup", "Properties": properties})

    name = stacks.create(body(RetentionInDays=7, Tags=_tags(a="1", b="2")))
    assert stacks.settled(name)["StackStatus"] == "CREATE_COMPLETE", stacks.reasons(name)
    logs.create_log_stream(logGroupName="/stack/in-place", logStreamName="kept")

    def state() -> tuple[int | None, dict[str, str], int]:
        (found,) = logs.describe_log_groups(logGroupNamePrefix="/stack/in-place")["logGroups"]
        tags = logs.list_tags_for_resource(resourceArn=found["arn"].removesuffix(":*"))["tags"]
        streams = logs.describe_log_streams(logGroupName="/stack/in-place")["logStreams"]
        return found.get("retentionInDays"), tags, len(streams)

    assert state() == (7, {"a": "1", "b": "2"}, 1)
    _update(stacks, name, body(RetentionInDays=14, Tags=_tags(b="3")))
    assert state() == (14, {"b": "3"}, 1)
    _update(stacks, name, body())
    assert state() == (None, {}, 1)


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-sagemaker-model.html"
)
def test_a_model_with_other_tags_is_the_same_model(cloud: TestCloud, stacks: Stacks) -> None:
    sagemaker = cloud.client("sagemaker")
    image = push_container(cloud, "stack")

    def body(**tags: str) -> str:
        properties = {
            "ExecutionRoleArn": SAGEMAKER_ROLE,
            "PrimaryContainer": {"Image": image},
            "Tags": _tags(**tags),
        }
        return template(M={"Type": "AWS::SageMaker::Model", "Properties": properties})

    def arn() -> str:
        found = stacks.client.describe_stack_resources(StackName=name)["StackResources"]
        return str(found[0]["PhysicalResourceId"])

    name = stacks.create(body(a="1", b="2"))
    assert stacks.settled(name)["StackStatus"] == "CREATE_COMPLETE", stacks.reasons(name)
    before = arn()
    _update(stacks, name, body(b="3", c="4"))
    assert arn() == before
    tags = sagemaker.list_tags(ResourceArn=before)["Tags"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"b": "3", "c": "4"}


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/troubleshooting.html"
)
@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"RetentionInDay": 7}, "extraneous key [RetentionInDay] is not permitted"),
        ({"Arn": "arn"}, "read-only key [Arn] is not permitted"),
        (
            {"FieldIndexPolicies": []},
            "does not carry out FieldIndexPolicies of AWS::Logs::LogGroup",
        ),
    ],
)
def test_a_property_that_would_do_nothing_fails_the_stack_by_name(
    stacks: Stacks, properties: dict[str, object], expected: str
) -> None:
    name = stacks.create(template(G={"Type": "AWS::Logs::LogGroup", "Properties": properties}))
    assert stacks.settled(name)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert expected in stacks.reasons(name)


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/"
    "parameters-section-structure.html"
)
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, r"Parameters: \[Size\] must have values"),
        ({"Size": "huge"}, "must be one of AllowedValues"),
        ({"Size": "small", "Other": "1"}, r"Parameters: \[Other\] do not exist"),
    ],
)
def test_wrong_parameters_are_refused(
    stacks: Stacks, parameters: dict[str, str], message: str
) -> None:
    body = json.dumps(
        {
            "Parameters": {"Size": {"Type": "String", "AllowedValues": ["small", "large"]}},
            "Resources": {"A": group("/stack/parameters")},
        }
    )
    given = [{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()]
    with pytest.raises(ClientError, match=message):
        stacks.create(body, Parameters=given)


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/outputs-section-structure.html"
)
def test_an_output_is_text_and_a_boolean_is_in_lower_case(stacks: Stacks) -> None:
    outputs = {"Flag": {"Value": True}, "Name": {"Value": {"Ref": "A"}}}
    body = {"Resources": {"A": group("/stack/outputs")}, "Outputs": outputs}
    stack = stacks.settled(stacks.create(json.dumps(body)))
    found = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    assert found == {"Flag": "true", "Name": "/stack/outputs"}


@pytest.mark.recordable
@pytest.mark.botocore_modelled
def test_a_missing_stack_is_a_validation_error(cloud: TestCloud) -> None:
    name = cloud.name("no-such-stack")
    with pytest.raises(ClientError) as caught:
        cloud.client("cloudformation").describe_stacks(StackName=name)
    assert caught.value.response["Error"] == {
        "Type": "Sender",
        "Code": "ValidationError",
        "Message": f"Stack with id {name} does not exist",
    }


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/"
    "API_DescribeStackResources.html"
)
def test_the_resources_of_a_stack_are_found_by_one_of_them(stacks: Stacks) -> None:
    name = stacks.create(template(A=group("/stack/found"), B=group("/stack/beside")))
    stacks.settled(name)
    describe = stacks.client.describe_stack_resources
    found = describe(PhysicalResourceId="/stack/found")["StackResources"]
    assert {r["StackName"] for r in found} == {name}
    assert sorted(r["LogicalResourceId"] for r in found) == ["A", "B"]
    with pytest.raises(ClientError, match="does not exist"):
        describe(PhysicalResourceId="/stack/nowhere")
    for request in ({}, {"StackName": name, "PhysicalResourceId": "/stack/found"}):
        with pytest.raises(ClientError, match="either StackName or PhysicalResourceId"):
            describe(**request)


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/"
    "aws-resource-sagemaker-modelpackagegroup.html"
)
def test_a_model_package_group_is_made_and_its_tags_change_in_place(
    cloud: TestCloud, stacks: Stacks
) -> None:
    sagemaker = cloud.client("sagemaker")

    def body(**tags: str) -> str:
        properties = {
            "ModelPackageGroupName": "stack-group",
            "ModelPackageGroupDescription": "Models of a stack.",
            "Tags": _tags(**tags),
        }
        resource = {"Type": "AWS::SageMaker::ModelPackageGroup", "Properties": properties}
        outputs = {
            "Arn": {"Value": {"Ref": "G"}},
            "Status": {"Value": {"Fn::GetAtt": ["G", "ModelPackageGroupStatus"]}},
        }
        return json.dumps({"Resources": {"G": resource}, "Outputs": outputs})

    name = stacks.create(body(a="1"))
    made = stacks.settled(name)
    assert made["StackStatus"] == "CREATE_COMPLETE", stacks.reasons(name)
    found = sagemaker.describe_model_package_group(ModelPackageGroupName="stack-group")
    assert found["ModelPackageGroupDescription"] == "Models of a stack."
    outputs = {output["OutputKey"]: output["OutputValue"] for output in made["Outputs"]}
    assert outputs == {"Arn": found["ModelPackageGroupArn"], "Status": "Completed"}
    _update(stacks, name, body(b="2"))
    tags = sagemaker.list_tags(ResourceArn=outputs["Arn"])["Tags"]
    assert tags == _tags(b="2")


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/"
    "resource-type-test-contract-errors.html"
)
def test_what_a_service_refuses_is_the_reason_in_cloudformations_form(stacks: Stacks) -> None:
    endpoint = {
        "Type": "AWS::SageMaker::Endpoint",
        "Properties": {"EndpointConfigName": "no-such-config"},
    }
    name = stacks.create(template(E=endpoint))
    assert stacks.settled(name)["StackStatus"] == "ROLLBACK_COMPLETE"
    events = stacks.client.describe_stack_events(StackName=name)["StackEvents"]
    (failed,) = [e for e in events if e["ResourceStatus"] == "CREATE_FAILED"]
    assert re.fullmatch(
        r'Resource handler returned message: ".*no-such-config.* \(Service: SageMaker, Status '
        r'Code: 400, Request ID: .+\)" \(RequestToken: [-0-9a-f]{36}, HandlerErrorCode: '
        r"InvalidRequest\)",
        failed["ResourceStatusReason"],
    ), failed["ResourceStatusReason"]


@pytest.mark.aws_documented(UPDATES)
def test_an_update_that_fails_half_way_is_undone(cloud: TestCloud, stacks: Stacks) -> None:
    sns = cloud.client("sns")

    def topic(**properties: object) -> str:
        named = {"TopicName": "stack-half-way", **properties}
        return template(T={"Type": "AWS::SNS::Topic", "Properties": named})

    name = stacks.create(topic(DisplayName="First"))
    assert stacks.settled(name)["StackStatus"] == "CREATE_COMPLETE", stacks.reasons(name)
    # The display name is set before the subscription is refused.
    wrong = [{"Protocol": "sqs", "Endpoint": "no-arn"}]
    body = topic(DisplayName="Second", Subscription=wrong)
    stacks.client.update_stack(StackName=name, TemplateBody=body)
    assert stacks.settled(name)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE", stacks.reasons(name)
    arn = "arn:aws:sns:us-east-1:000000000000:stack-half-way"
    attributes = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    assert attributes["DisplayName"] == "First"


@pytest.mark.aws_documented(UPDATES)
def test_a_key_of_a_group_and_of_a_topic_is_set_changed_and_removed(
    cloud: TestCloud, stacks: Stacks
) -> None:
    kms, logs, sns = cloud.client("kms"), cloud.client("logs"), cloud.client("sns")
    first, second = (kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2))

    def body(key: str | None) -> str:
        of_group = {"LogGroupName": "/stack/key"} | ({"KmsKeyId": key} if key else {})
        of_topic = {"TopicName": "stack-key"} | ({"KmsMasterKeyId": key} if key else {})
        return template(
            G={"Type": "AWS::Logs::LogGroup", "Properties": of_group},
            T={"Type": "AWS::SNS::Topic", "Properties": of_topic},
        )

    def keys() -> set[str | None]:
        (found,) = logs.describe_log_groups(logGroupNamePrefix="/stack/key")["logGroups"]
        arn = "arn:aws:sns:us-east-1:000000000000:stack-key"
        attributes = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
        return {found.get("kmsKeyId"), attributes.get("KmsMasterKeyId")}

    name = stacks.create(body(first))
    assert stacks.settled(name)["StackStatus"] == "CREATE_COMPLETE", stacks.reasons(name)
    assert keys() == {first}
    for key in (second, None):
        _update(stacks, name, body(key))
        assert keys() == {key}


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModel.html"
)
def test_a_model_needs_no_role(cloud: TestCloud, stacks: Stacks) -> None:
    properties = {"PrimaryContainer": {"Image": push_container(cloud, "stack")}}
    name = stacks.create(template(M={"Type": "AWS::SageMaker::Model", "Properties": properties}))
    assert stacks.settled(name)["StackStatus"] == "CREATE_COMPLETE", stacks.reasons(name)
