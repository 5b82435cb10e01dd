"""CloudFormation: stacks that share outputs, hold others, are protected and are cut short."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud import TestCloud, wait_for
from tests.stacks import Stacks, broken, group, template

GUIDE = "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide"
API = "https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference"
BUCKET = "stack-templates"


@pytest.fixture
def stacks(cloud: TestCloud) -> Iterator[Stacks]:
    cloud.client("s3").create_bucket(Bucket=BUCKET)
    made = Stacks(cloud)
    yield made
    # The last made may import from those before it.
    for name in reversed(made.names):
        if exists(made, name):
            made.client.update_termination_protection(
                StackName=name, EnableTerminationProtection=False
            )
            made.client.delete_stack(StackName=name)
            gone(made, name)


def gone(stacks: Stacks, name: str) -> None:
    wait_for(f"{name} to go", lambda: not exists(stacks, name), 20)


def exists(stacks: Stacks, name: str) -> bool:
    try:
        stacks.client.describe_stacks(StackName=name)
    except ClientError:
        return False
    return True


def code(caught: pytest.ExceptionInfo[ClientError]) -> str:
    return str(caught.value.response["Error"]["Code"])


def put(cloud: TestCloud, key: str, body: str) -> str:
    """Put a template into S3; return its URL as AWS writes it."""
    cloud.client("s3").put_object(Bucket=BUCKET, Key=key, Body=body)
    return f"https://{BUCKET}.s3.us-east-1.amazonaws.com/{key}"


def exporting(name: str, value: str, **resources: Any) -> str:
    output = {"Value": value, "Export": {"Name": name}}
    return json.dumps(
        {"Resources": resources or {"G": group(f"/stack/{name}")}, "Outputs": {"O": output}}
    )


def importing(name: str, *, log_group: str) -> str:
    days = {"Fn::ImportValue": name}
    properties = {"LogGroupName": log_group, "RetentionInDays": days}
    return template(G={"Type": "AWS::Logs::LogGroup", "Properties": properties})


@pytest.mark.aws_documented(f"{GUIDE}/using-cfn-stack-exports.html")
def test_an_export_is_imported_listed_and_held_while_it_is_in_use(
    cloud: TestCloud, stacks: Stacks
) -> None:
    client = stacks.client
    owner = stacks.create(exporting("days", "7"))
    assert stacks.settled(owner)["Outputs"][0]["ExportName"] == "days"
    user = stacks.create(importing("days", log_group="/stack/imported"))
    assert stacks.settled(user)["StackStatus"] == "CREATE_COMPLETE"
    found = cloud.client("logs").describe_log_groups(logGroupNamePrefix="/stack/imported")
    assert found["logGroups"][0]["retentionInDays"] == 7
    (export,) = [e for e in client.list_exports()["Exports"] if e["Name"] == "days"]
    assert export["Value"] == "7"
    assert client.list_imports(ExportName="days")["Imports"] == [user]
    with pytest.raises(ClientError, match="cannot be deleted as it is in use by") as caught:
        client.delete_stack(StackName=owner)
    assert code(caught) == "ValidationError"
    client.update_stack(StackName=owner, TemplateBody=exporting("days", "14"))
    assert stacks.settled(owner)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert f"cannot be updated as it is in use by {user}" in stacks.reasons(owner)
    second = stacks.create(exporting("days", "3", G=group("/stack/second-days")))
    assert stacks.settled(second)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "already exported by stack" in stacks.reasons(second)
    client.delete_stack(StackName=user)
    gone(stacks, user)
    with pytest.raises(ClientError, match="is not imported by any stack"):
        client.list_imports(ExportName="days")
    client.update_stack(StackName=owner, TemplateBody=exporting("days", "14"))
    assert stacks.settled(owner)["StackStatus"] == "UPDATE_COMPLETE"


@pytest.mark.aws_documented(f"{GUIDE}/using-cfn-stack-exports.html")
def test_an_import_of_nothing_fails_its_stack(stacks: Stacks) -> None:
    name = stacks.create(importing("no-such-export", log_group="/stack/none"))
    assert stacks.settled(name)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "No export named no-such-export found." in stacks.reasons(name)


@pytest.mark.aws_documented(f"{GUIDE}/using-cfn-nested-stacks.html")
def test_a_nested_stack_is_made_from_s3_updated_and_deleted_with_its_stack(
    cloud: TestCloud, stacks: Stacks
) -> None:
    inner = {
        "Parameters": {"Days": {"Type": "Number"}},
        "Resources": {
            "G": {"Type": "AWS::Logs::LogGroup", "Properties": {"RetentionInDays": {"Ref": "Days"}}}
        },
        "Outputs": {"Days": {"Value": {"Ref": "Days"}}},
    }
    url = put(cloud, "inner.json", json.dumps(inner))

    def outer(days: int) -> str:
        nested = {
            "Type": "AWS::CloudFormation::Stack",
            "Properties": {"TemplateURL": url, "Parameters": {"Days": days}},
        }
        output = {"Value": {"Fn::GetAtt": ["Nested", "Outputs.Days"]}}
        return json.dumps({"Resources": {"Nested": nested}, "Outputs": {"Days": output}})

    name = stacks.create(outer(7))
    assert stacks.settled(name)["Outputs"] == [{"OutputKey": "Days", "OutputValue": "7"}]
    (resource,) = stacks.client.list_stack_resources(StackName=name)["StackResourceSummaries"]
    inside = resource["PhysicalResourceId"]
    assert stacks.settled(inside)["StackName"].startswith(f"{name}-Nested-")
    stacks.client.update_stack(StackName=name, TemplateBody=outer(14))
    assert stacks.settled(name)["Outputs"] == [{"OutputKey": "Days", "OutputValue": "14"}]
    stacks.client.delete_stack(StackName=name)
    gone(stacks, name)
    assert stacks.settled(inside)["StackStatus"] == "DELETE_COMPLETE"


@pytest.mark.aws_documented(f"{GUIDE}/using-cfn-nested-stacks.html")
def test_a_nested_stack_that_fails_takes_its_stack_down(cloud: TestCloud, stacks: Stacks) -> None:
    url = put(cloud, "broken.json", template(B=broken()))
    nested = {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": url}}
    name = stacks.create(template(Nested=nested))
    assert stacks.settled(name)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "is ROLLBACK_COMPLETE" in stacks.reasons(name)
    left = stacks.client.list_stacks(StackStatusFilter=["ROLLBACK_COMPLETE"])["StackSummaries"]
    assert [s["StackName"] for s in left if s["StackName"].startswith(f"{name}-")] == []


@pytest.mark.aws_documented(f"{GUIDE}/using-cfn-nested-stacks.html")
def test_an_update_finds_a_template_that_changed_at_its_url_and_a_rollback_restores_it(
    cloud: TestCloud, stacks: Stacks
) -> None:
    def put_days(days: int) -> str:
        return put(cloud, "at-one-url.json", template(G=group("/stack/at-one-url", days)))

    def kept_days() -> int:
        logs = cloud.client("logs")
        (found,) = logs.describe_log_groups(logGroupNamePrefix="/stack/at-one-url")["logGroups"]
        return int(found["retentionInDays"])

    nested = {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": put_days(7)}}
    body = template(Nested=nested)
    name = stacks.create(body)
    assert stacks.settled(name)["StackStatus"] == "CREATE_COMPLETE", stacks.reasons(name)
    put_days(14)
    stacks.client.create_change_set(StackName=name, ChangeSetName="c", TemplateBody=body)
    stacks.client.get_waiter("change_set_create_complete").wait(
        StackName=name, ChangeSetName="c", WaiterConfig={"Delay": 0.2, "MaxAttempts": 100}
    )
    found = stacks.client.describe_change_set(StackName=name, ChangeSetName="c")
    ((detail,),) = [change["ResourceChange"]["Details"] for change in found["Changes"]]
    assert (detail["ChangeSource"], detail["Evaluation"]) == ("Automatic", "Dynamic")
    stacks.client.update_stack(StackName=name, TemplateBody=body)
    assert stacks.settled(name)["StackStatus"] == "UPDATE_COMPLETE", stacks.reasons(name)
    assert kept_days() == 14
    for days in (30, 8):  # the second fails in the nested stack itself
        put_days(days)
        failing = template(Nested=nested, B=broken(DependsOn="Nested"))
        stacks.client.update_stack(StackName=name, TemplateBody=failing)
        assert stacks.settled(name)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
        assert kept_days() == 14


@pytest.mark.aws_documented(f"{GUIDE}/using-cfn-updating-stacks-continueupdaterollback.html")
def test_a_rollback_that_failed_can_be_continued(cloud: TestCloud, stacks: Stacks) -> None:
    def body(days: str, broken: bool) -> str:
        owner = put(cloud, f"owner-{days}.json", exporting("held", days, G=group("/stack/held")))
        user = put(cloud, "user.json", importing("held", log_group="/stack/holding"))

        def nested(url: str, *needs: str) -> dict[str, Any]:
            properties = {"TemplateURL": url}
            return {
                "Type": "AWS::CloudFormation::Stack",
                "Properties": properties,
                "DependsOn": list(needs),
            }

        resources = {"Owner": nested(owner)}
        if broken:
            resources["User"] = nested(user, "Owner")
            resources["Broken"] = group("/stack/broken", 8, DependsOn=["User"])
        return template(**resources)

    name = stacks.create(body("7", False))
    assert stacks.settled(name)["StackStatus"] == "CREATE_COMPLETE"
    client = stacks.client
    with pytest.raises(ClientError, match="its rollback cannot be continued"):
        client.continue_update_rollback(StackName=name)
    client.update_stack(StackName=name, TemplateBody=body("14", True))
    # The owner cannot go back while the user, which is deleted after it, holds its export.
    assert stacks.settled(name)["StackStatus"] == "UPDATE_ROLLBACK_FAILED"
    with pytest.raises(ClientError, match=r"\[Nothing\] did not fail"):
        client.continue_update_rollback(StackName=name, ResourcesToSkip=["Nothing"])
    client.continue_update_rollback(StackName=name)
    assert stacks.settled(name)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    (export,) = [e for e in client.list_exports()["Exports"] if e["Name"] == "held"]
    assert export["Value"] == "7"


@pytest.mark.aws_documented(f"{GUIDE}/using-cfn-stack-update-cancel.html")
def test_an_update_that_is_cancelled_rolls_back(cloud: TestCloud, stacks: Stacks) -> None:
    def body(count: int) -> str:
        resources = {f"G{i}": group(f"/stack/many/{i}") for i in range(count)}
        for i in range(1, count):
            resources[f"G{i}"]["DependsOn"] = f"G{i - 1}"
        return template(**resources)

    name = stacks.create(body(1))
    stacks.settled(name)
    with pytest.raises(ClientError, match="current stack status CREATE_COMPLETE") as caught:
        stacks.client.cancel_update_stack(StackName=name)
    assert code(caught) == "ValidationError"
    stacks.client.update_stack(StackName=name, TemplateBody=body(60))
    stacks.client.cancel_update_stack(StackName=name)
    assert stacks.settled(name)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    found = cloud.client("logs").describe_log_groups(logGroupNamePrefix="/stack/many/")
    assert [g["logGroupName"] for g in found["logGroups"]] == ["/stack/many/0"]


@pytest.mark.aws_documented(f"{GUIDE}/using-cfn-protect-stacks.html")
def test_a_protected_stack_is_not_deleted(stacks: Stacks) -> None:
    name = stacks.create(template(G=group("/stack/safe")), EnableTerminationProtection=True)
    assert stacks.settled(name)["EnableTerminationProtection"] is True
    with pytest.raises(ClientError, match="TerminationProtection is enabled") as caught:
        stacks.client.delete_stack(StackName=name)
    assert code(caught) == "ValidationError"
    answer = stacks.client.update_termination_protection(
        StackName=name, EnableTerminationProtection=False
    )
    assert answer["StackId"] == stacks.settled(name)["StackId"]
    stacks.client.delete_stack(StackName=name)
    gone(stacks, name)


@pytest.mark.aws_documented(f"{API}/API_SetStackPolicy.html")
def test_a_stack_policy_is_kept(cloud: TestCloud, stacks: Stacks) -> None:
    policy = json.dumps(
        {
            "Statement": [
                {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"}
            ]
        }
    )
    name = stacks.create(template(G=group("/stack/policy")), StackPolicyBody=policy)
    assert stacks.client.get_stack_policy(StackName=name)["StackPolicyBody"] == policy
    stacks.client.set_stack_policy(StackName=name, StackPolicyURL=put(cloud, "policy.json", "{}"))
    assert stacks.client.get_stack_policy(StackName=name)["StackPolicyBody"] == "{}"


@pytest.mark.aws_documented(f"{API}/API_CreateStack.html")
def test_a_creation_that_fails_ends_as_the_request_says(stacks: Stacks) -> None:
    failing = template(A=group("/stack/ends"), B=broken(DependsOn="A"))
    client = stacks.client
    stacks.client.create_stack(StackName="ends-gone", TemplateBody=failing, OnFailure="DELETE")
    gone(stacks, "ends-gone")
    kept = stacks.create(failing, OnFailure="DO_NOTHING")
    assert stacks.settled(kept)["StackStatus"] == "CREATE_FAILED"
    found = client.describe_stack_resources(StackName=kept)["StackResources"]
    statuses = {r["LogicalResourceId"]: r["ResourceStatus"] for r in found}
    assert statuses == {"A": "CREATE_COMPLETE", "B": "CREATE_FAILED"}
    with pytest.raises(ClientError, match="either DisableRollback or OnFailure"):
        client.create_stack(
            StackName="ends-both", TemplateBody=failing, OnFailure="ROLLBACK", DisableRollback=True
        )
