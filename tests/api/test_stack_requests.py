"""CloudFormation: what a request may say, and what an answer hides or gives in pages."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud import (
    ACCOUNT,
    TRUST,
    TestCloud,
    make_config,
    push_container,
    trust_of,
    wait_for,
)
from tests.stacks import Stacks, broken, group, template

GUIDE = "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide"
API = "https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference"
BUCKET = "stack-requests"


@pytest.fixture
def stacks(cloud: TestCloud, stacks: Stacks) -> Stacks:
    cloud.client("s3").create_bucket(Bucket=BUCKET)
    return stacks


@pytest.mark.aws_documented(f"{API}/API_CreateStack.html")
def test_a_template_may_be_an_object_of_s3(cloud: TestCloud, stacks: Stacks) -> None:
    body = template(G=group("/stack/from-s3"))
    cloud.client("s3").put_object(Bucket=BUCKET, Key="t/template.json", Body=body)
    url = f"https://s3.amazonaws.com/{BUCKET}/t/template.json"
    client = stacks.client
    client.create_stack(StackName="from-s3", TemplateURL=url)
    stacks.names.append("from-s3")
    assert stacks.settled("from-s3")["StackStatus"] == "CREATE_COMPLETE"
    assert client.get_template(StackName="from-s3")["TemplateBody"] == json.loads(body)
    other = template(G=group("/stack/from-s3", 14))
    cloud.client("s3").put_object(Bucket=BUCKET, Key="other.json", Body=other)
    here = f"{cloud.url}/{BUCKET}/other.json"
    assert client.validate_template(TemplateURL=here)["Parameters"] == []
    assert client.get_template_summary(TemplateURL=here)["ResourceTypes"] == ["AWS::Logs::LogGroup"]
    client.create_change_set(StackName="from-s3", ChangeSetName="change", TemplateURL=here)
    wait_for(
        "the change set",
        lambda: (
            client.describe_change_set(StackName="from-s3", ChangeSetName="change")["Status"]
            == "CREATE_COMPLETE"
        ),
    )
    for wrong, reason in (
        ({"TemplateURL": f"https://s3.amazonaws.com/{BUCKET}/none.json"}, "S3 error"),
        ({"TemplateURL": "https://example.com"}, "must reference a valid S3 object"),
        ({"TemplateURL": url, "TemplateBody": body}, "Only one of"),
        ({"TemplateBody": json.dumps({"a": "x" * 51_200})}, "less than or equal to 51200"),
        ({}, "must be specified"),
    ):
        with pytest.raises(ClientError, match=reason) as caught:
            client.create_stack(StackName="wrong", **wrong)
        assert caught.value.response["Error"]["Code"] == "ValidationError"


@pytest.mark.aws_documented(f"{GUIDE}/parameters-section-structure.html")
def test_a_noecho_parameter_is_masked_wherever_it_is_described(stacks: Stacks) -> None:
    body = json.dumps(
        {
            "Parameters": {
                "Secret": {"Type": "String", "NoEcho": True},
                "Plain": {"Type": "String", "Default": "seen"},
            },
            "Resources": {"G": group({"Fn::Sub": "/stack/${Secret}"})},  # type: ignore[arg-type]
        }
    )
    secret = [{"ParameterKey": "Secret", "ParameterValue": "hushhush"}]
    name = stacks.create(body, Parameters=secret)
    shown = {p["ParameterKey"]: p["ParameterValue"] for p in stacks.settled(name)["Parameters"]}
    assert shown == {"Secret": "****", "Plain": "seen"}
    client = stacks.client
    assert client.get_template(StackName=name)["TemplateBody"] == json.loads(body)
    summary = client.get_template_summary(StackName=name)["Parameters"]
    assert {p["ParameterKey"]: p["NoEcho"] for p in summary} == {"Secret": True, "Plain": False}
    client.create_change_set(
        StackName=name,
        ChangeSetName="louder",
        UsePreviousTemplate=True,
        Parameters=[{"ParameterKey": "Secret", "ParameterValue": "changedword"}],
    )

    def made() -> dict[str, Any] | None:
        found = client.describe_change_set(
            StackName=name, ChangeSetName="louder", IncludePropertyValues=True
        )
        return dict(found) if found["Status"] == "CREATE_COMPLETE" else None

    described = wait_for("the change set", made)
    told = json.dumps({**described, "ResponseMetadata": None}, default=str)
    assert "changedword" not in told
    assert "/stack/****" in told


@pytest.mark.aws_documented(f"{API}/API_CreateStack.html")
def test_resources_of_iam_need_to_be_acknowledged(stacks: Stacks) -> None:
    role = {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "named"}}
    client = stacks.client
    for given in ([], ["CAPABILITY_IAM"]):
        with pytest.raises(ClientError, match="CAPABILITY_NAMED_IAM") as caught:
            client.create_stack(
                StackName="iam", TemplateBody=template(Role=role), Capabilities=given
            )
        assert caught.value.response["Error"]["Code"] == "InsufficientCapabilitiesException"
    validated = client.validate_template(TemplateBody=template(Role=role))
    assert validated["Capabilities"] == ["CAPABILITY_NAMED_IAM"]
    assert "AWS::IAM::Role" in validated["CapabilitiesReason"]
    # Acknowledged, it is a type that is not there, and says so.
    with pytest.raises(ClientError, match=r"Unrecognized resource types: \[AWS::IAM::Role\]"):
        stacks.create(template(Role=role), Capabilities=["CAPABILITY_NAMED_IAM"])


@pytest.mark.aws_documented(f"{GUIDE}/rules-section-structure.html")
def test_a_rule_that_does_not_hold_refuses_the_stack(stacks: Stacks) -> None:
    rule = {
        "Assertions": [
            {
                "Assert": {"Fn::Contains": [["7", "14"], {"Ref": "Days"}]},
                "AssertDescription": "Days must be 7 or 14.",
            }
        ]
    }
    body = json.dumps(
        {
            "Parameters": {"Days": {"Type": "String"}},
            "Rules": {"Days": rule},
            "Resources": {"G": group("/stack/ruled")},
        }
    )
    with pytest.raises(ClientError, match=r"Days must be 7 or 14\.") as caught:
        stacks.create(body, Parameters=[{"ParameterKey": "Days", "ParameterValue": "8"}])
    assert caught.value.response["Error"]["Code"] == "ValidationError"
    name = stacks.create(body, Parameters=[{"ParameterKey": "Days", "ParameterValue": "7"}])
    assert stacks.settled(name)["StackStatus"] == "CREATE_COMPLETE"


@pytest.mark.aws_documented(f"{GUIDE}/aws-attribute-dependson.html")
def test_resources_that_wait_for_one_another_are_refused(stacks: Stacks) -> None:
    body = template(
        A=group("/stack/a", DependsOn="B"), B=group("/stack/b", DependsOn="A"), C=group("/stack/c")
    )
    with pytest.raises(
        ClientError, match=r"Circular dependency between resources: \[A, B\]"
    ) as caught:
        stacks.create(body)
    assert caught.value.response["Error"]["Code"] == "ValidationError"


@pytest.mark.botocore_modelled
def test_events_resources_and_exports_come_in_pages(stacks: Stacks) -> None:
    outputs = {f"O{i}": {"Value": str(i), "Export": {"Name": f"page-{i:03}"}} for i in range(101)}
    resources = {f"G{i}": group(f"/stack/page/{i}") for i in range(101)}
    name = stacks.create(json.dumps({"Resources": resources, "Outputs": outputs}))
    assert stacks.settled(name)["StackStatus"] == "CREATE_COMPLETE"
    client = stacks.client
    for operation, key, wanted, counts in (
        ("list_stack_resources", "StackResourceSummaries", {"StackName": name}, [100, 1]),
        ("describe_stack_events", "StackEvents", {"StackName": name}, [100, 100, 100, 5]),
        ("list_exports", "Exports", {}, [100, 1]),
    ):
        pages = [page[key] for page in client.get_paginator(operation).paginate(**wanted)]
        assert [len(page) for page in pages] == counts, operation
        with pytest.raises(ClientError, match="not valid") as caught:
            getattr(client, operation)(**wanted, NextToken="nonsense")
        assert caught.value.response["Error"]["Code"] == "ValidationError"


@pytest.mark.aws_documented(f"{API}/API_CreateStack.html")
def test_a_creation_that_takes_too_long_is_rolled_back_with_what_it_made(
    cloud: TestCloud, stacks: Stacks
) -> None:
    sagemaker = cloud.client("sagemaker")
    image = push_container(cloud, "slow-stack")
    # The container does not start, so the endpoint never comes into service.
    cloud.client("s3").create_bucket(Bucket=BUCKET)
    cloud.client("s3").put_object(Bucket=BUCKET, Key="slow.tar.gz", Body=b"")
    make_config(sagemaker, "slow-stack", image, f"s3://{BUCKET}/slow.tar.gz", BROKEN="yes")
    endpoint = {
        "Type": "AWS::SageMaker::Endpoint",
        "Properties": {"EndpointName": "slow-stack", "EndpointConfigName": "slow-stack"},
    }
    name = stacks.create(template(E=endpoint), TimeoutInMinutes=1)
    assert stacks.settled(name)["StackStatus"] == "ROLLBACK_COMPLETE"
    with pytest.raises(ClientError, match="Could not find endpoint"):
        sagemaker.describe_endpoint(EndpointName="slow-stack")


@pytest.mark.emulator_only
def test_what_would_be_ignored_is_refused(stacks: Stacks) -> None:
    name = stacks.create(template(G=group("/stack/refusals")))
    stacks.settled(name)
    body = template(G=group("/stack/refusals", 14))
    with pytest.raises(ClientError, match="supports no DisableRollback in UpdateStack"):
        stacks.client.update_stack(StackName=name, TemplateBody=body, DisableRollback=True)
    with pytest.raises(ClientError) as caught:
        stacks.client.detect_stack_drift(StackName=name)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


@pytest.mark.aws_documented(f"{GUIDE}/aws-attribute-deletionpolicy.html")
def test_a_resource_that_is_to_be_retained_outlives_its_stack_its_removal_and_its_replacement(
    cloud: TestCloud, stacks: Stacks
) -> None:
    logs = cloud.client("logs")

    def found() -> list[str]:
        groups = logs.describe_log_groups(logGroupNamePrefix="/stack/kept/")["logGroups"]
        return [g["logGroupName"].rpartition("/")[2] for g in groups]

    def kept(name: str, policy: str = "Retain") -> dict[str, Any]:
        return group(f"/stack/kept/{name}", DeletionPolicy=policy, UpdateReplacePolicy="Retain")

    name = stacks.create(
        template(
            Whole=kept("whole"),
            Part=kept("part", "RetainExceptOnCreate"),
            Old=kept("old"),
            Gone=group("/stack/kept/gone"),
        )
    )
    assert stacks.settled(name)["StackStatus"] == "CREATE_COMPLETE"
    body = template(Whole=kept("whole"), Old=kept("new"))
    client = stacks.client
    client.create_change_set(StackName=name, ChangeSetName="less", TemplateBody=body)

    def actions() -> dict[str, str] | None:
        made = client.describe_change_set(StackName=name, ChangeSetName="less")
        changes = [change["ResourceChange"] for change in made["Changes"]]
        done = made["Status"] == "CREATE_COMPLETE"
        return {c["LogicalResourceId"]: c["PolicyAction"] for c in changes} if done else None

    assert wait_for("the change set", actions) == {
        "Old": "ReplaceAndRetain",
        "Part": "Retain",
        "Gone": "Delete",
    }
    client.execute_change_set(StackName=name, ChangeSetName="less")
    wait_for("the update", lambda: stacks.settled(name)["StackStatus"] == "UPDATE_COMPLETE" or None)
    assert found() == ["new", "old", "part", "whole"]
    stack_id = stacks.settled(name)["StackId"]
    client.delete_stack(StackName=name)
    assert stacks.settled(stack_id)["StackStatus"] == "DELETE_COMPLETE"
    shown = client.describe_stack_events(StackName=stack_id)["StackEvents"]
    skipped = [e for e in shown if e["ResourceStatus"] == "DELETE_SKIPPED"]
    assert len(skipped) == 4
    assert found() == ["new", "old", "part", "whole"]
    failed = stacks.create(
        template(
            Fresh=kept("fresh", "RetainExceptOnCreate"),
            Firm=kept("firm"),
            Broken=broken(DependsOn=["Fresh", "Firm"]),
        )
    )
    assert stacks.settled(failed)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "firm" in found()
    assert "fresh" not in found()
    with pytest.raises(ClientError, match="does not support deletion policy Snapshot"):
        stacks.create(template(G=group("/stack/kept/x", DeletionPolicy="Snapshot")))
    for left in found():
        logs.delete_log_group(logGroupName=f"/stack/kept/{left}")


@pytest.mark.aws_documented(f"{GUIDE}/using-iam-servicerole.html")
def test_a_role_that_cannot_be_assumed_starts_nothing(cloud: TestCloud, stacks: Stacks) -> None:
    client, iam = stacks.client, cloud.client("iam")
    others = trust_of("ec2")
    stack = {"StackName": "with-role", "TemplateBody": template(G=group("/stack/with-role"))}
    new = {"ChangeSetName": "c", "ChangeSetType": "CREATE"}
    for arn in (
        f"arn:aws:iam::{ACCOUNT}:role/of-no-stack",
        "of-no-stack-at-all-of-them",
        f"arn:aws:iam::{ACCOUNT}:user/of-no-stack",
        "arn:aws:iam::anybody:role/of-no-stack",
        ":::::::::::::::::::::::",
        iam.create_role(RoleName="of-ec2", AssumeRolePolicyDocument=others)["Role"]["Arn"],
    ):
        for call, request in ((client.create_stack, {}), (client.create_change_set, new)):
            with pytest.raises(ClientError, match="is invalid or cannot be assumed") as caught:
                call(RoleARN=arn, **stack, **request)
            assert caught.value.response["Error"]["Code"] == "ValidationError"
    with pytest.raises(ClientError, match="with-role does not exist"):
        client.describe_stacks(StackName="with-role")
    # A stack keeps the role that made it, so nothing goes on once that role is gone.
    kept = iam.create_role(RoleName="of-stack", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    client.create_stack(RoleARN=kept, **stack)
    stacks.names.append("with-role")
    assert stacks.settled("with-role")["StackStatus"] == "CREATE_COMPLETE"
    iam.delete_role(RoleName="of-stack")
    changed = {"TemplateBody": template(G=group("/stack/with-role", 14))}
    for call, request in (
        (client.update_stack, changed),
        (client.create_change_set, {"ChangeSetName": "c", **changed}),
        (client.delete_stack, {}),
    ):
        with pytest.raises(ClientError, match="role/of-stack is invalid or cannot be assumed"):
            call(StackName="with-role", **request)
    assert stacks.settled("with-role")["StackStatus"] == "CREATE_COMPLETE"
    iam.create_role(RoleName="of-stack", AssumeRolePolicyDocument=TRUST)
