"""CloudFormation's change sets: made, read, executed, deleted, refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from tests.cloud import TestCloud, wait_for

CHANGE_SETS = (
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/"
    "using-cfn-updating-stacks-changesets.html"
)
API = "https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/"
NO_CHANGES = (
    "The submitted information didn't contain changes. "
    "Submit different information to create a change set."
)
FAST = {"Delay": 0.2, "MaxAttempts": 150}

_numbers = count(1)


def template(**resources: Any) -> str:
    return json.dumps({"Resources": resources})


def group(name: str, days: Any = 7, **more: Any) -> dict[str, Any]:
    properties = {"LogGroupName": name, "RetentionInDays": days}
    return {"Type": "AWS::Logs::LogGroup", "Properties": properties, **more}


class ChangeSets:
    """Makes change sets of new stacks and deletes the stacks afterwards."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.names: list[str] = []

    def new_name(self) -> str:
        name = f"change-set-stack-{next(_numbers)}"
        self.names.append(name)
        return name

    def stack(self, body: str, **more: Any) -> str:
        name = self.new_name()
        self.client.create_stack(StackName=name, TemplateBody=body, **more)
        self.wait("stack_create_complete", name)
        return name

    def wait(self, what: str, stack: str, **more: Any) -> None:
        waiter = self.client.get_waiter(what)
        waiter.wait(StackName=stack, WaiterConfig=FAST, **more)

    def make(self, stack: str, name: str = "first", **request: Any) -> dict[str, Any]:
        self.client.create_change_set(StackName=stack, ChangeSetName=name, **request)
        self.wait("change_set_create_complete", stack, ChangeSetName=name)
        return self.describe(stack, name)

    def failed(self, stack: str, name: str = "first", **request: Any) -> dict[str, Any]:
        with pytest.raises(WaiterError):
            self.make(stack, name, **request)
        return self.describe(stack, name)

    def describe(self, stack: str, name: str = "first") -> dict[str, Any]:
        answer = self.client.describe_change_set(StackName=stack, ChangeSetName=name)
        return dict(answer)

    def execute(self, stack: str, done: str, name: str = "first", **more: Any) -> None:
        self.client.execute_change_set(StackName=stack, ChangeSetName=name, **more)
        self.wait(done, stack)

    def status(self, stack: str) -> str:
        return str(self.client.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"])


def changed(description: dict[str, Any]) -> list[tuple[str, ...]]:
    changes = [change["ResourceChange"] for change in description["Changes"]]
    return [(c["Action"], c["LogicalResourceId"], c.get("Replacement", "")) for c in changes]


def refusal(caught: pytest.ExceptionInfo[ClientError]) -> tuple[str, str]:
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.fixture
def change_sets(cloud: TestCloud) -> Iterator[ChangeSets]:
    made = ChangeSets(cloud.client("cloudformation"))
    yield made
    for name in made.names:
        made.client.delete_stack(StackName=name)


@pytest.mark.aws_documented(CHANGE_SETS)
def test_a_new_stack_is_in_review_until_its_change_set_is_executed(
    cloud: TestCloud, change_sets: ChangeSets
) -> None:
    stack, client = change_sets.new_name(), change_sets.client
    made = change_sets.make(
        stack, ChangeSetType="CREATE", TemplateBody=template(A=group("/change-set/new"))
    )
    assert change_sets.status(stack) == "REVIEW_IN_PROGRESS"
    assert (made["Status"], made["ExecutionStatus"]) == ("CREATE_COMPLETE", "AVAILABLE")
    assert [change["ResourceChange"] for change in made["Changes"]] == [
        {
            "Action": "Add",
            "LogicalResourceId": "A",
            "ResourceType": "AWS::Logs::LogGroup",
            "Scope": [],
            "Details": [],
        }
    ]
    logs = cloud.client("logs")
    assert logs.describe_log_groups(logGroupNamePrefix="/change-set/new")["logGroups"] == []
    change_sets.execute(stack, "stack_create_complete")
    assert len(logs.describe_log_groups(logGroupNamePrefix="/change-set/new")["logGroups"]) == 1
    described = client.describe_stacks(StackName=stack)["Stacks"][0]
    assert described["ChangeSetId"] == made["ChangeSetId"]
    events = client.describe_stack_events(StackName=stack)["StackEvents"]
    assert [e["ResourceStatus"] for e in events if e["LogicalResourceId"] == stack] == [
        "CREATE_COMPLETE",
        "CREATE_IN_PROGRESS",
        "REVIEW_IN_PROGRESS",
    ]


@pytest.mark.aws_documented(API + "API_ResourceChange.html")
def test_a_change_set_shows_an_update_before_it_is_executed(change_sets: ChangeSets) -> None:
    alarm = {
        "MetricName": "m",
        "Namespace": "n",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanThreshold",
    }
    quiet = {"Type": "AWS::CloudWatch::Alarm", "Properties": alarm}
    stack = change_sets.stack(
        template(A=group("/change-set/a"), B=group("/change-set/b"), Alarm=quiet)
    )
    louder = {**quiet, "Properties": {**alarm, "Threshold": 2}}
    body = template(A=group("/change-set/a2"), C=group("/change-set/c"), Alarm=louder)
    made = change_sets.make(stack, TemplateBody=body)
    assert changed(made) == [
        ("Modify", "A", "True"),
        ("Add", "C", ""),
        ("Modify", "Alarm", "False"),
        ("Remove", "B", ""),
    ]
    replaced, _, modified, removed = (change["ResourceChange"] for change in made["Changes"])
    assert replaced["PhysicalResourceId"] == "/change-set/a"
    assert removed["PhysicalResourceId"] == "/change-set/b"
    assert modified["Scope"] == ["Properties"]
    assert modified["Details"] == [
        {
            "Target": {
                "Attribute": "Properties",
                "Name": "Threshold",
                "RequiresRecreation": "Never",
            },
            "Evaluation": "Static",
            "ChangeSource": "DirectModification",
        }
    ]
    assert change_sets.status(stack) == "CREATE_COMPLETE"
    change_sets.execute(stack, "stack_update_complete")
    listed = change_sets.client.list_stack_resources(StackName=stack)["StackResourceSummaries"]
    assert {r["LogicalResourceId"] for r in listed} == {"A", "C", "Alarm"}
    assert change_sets.describe(stack)["ExecutionStatus"] == "EXECUTE_COMPLETE"


@pytest.mark.aws_documented(API + "API_DescribeChangeSet.html")
def test_values_are_included_only_on_request(change_sets: ChangeSets) -> None:
    stack = change_sets.stack(template(A=group("/change-set/values")))
    change_sets.make(stack, TemplateBody=template(A=group("/change-set/values2")))
    answer = change_sets.client.describe_change_set(
        StackName=stack, ChangeSetName="first", IncludePropertyValues=True
    )
    (detail,) = answer["Changes"][0]["ResourceChange"]["Details"]
    assert detail["Target"] == {
        "Attribute": "Properties",
        "Name": "LogGroupName",
        "RequiresRecreation": "Always",
        "Path": "/Properties/LogGroupName",
        "BeforeValue": "/change-set/values",
        "AfterValue": "/change-set/values2",
        "AttributeChangeType": "Modify",
    }


@pytest.mark.aws_documented(API + "API_DescribeChangeSet.html")
def test_a_change_set_without_changes_fails_and_cannot_be_executed(
    change_sets: ChangeSets,
) -> None:
    body = template(A=group("/change-set/same"))
    stack = change_sets.stack(body)
    failed = change_sets.failed(stack, TemplateBody=body)
    assert (failed["Status"], failed["StatusReason"]) == ("FAILED", NO_CHANGES)
    assert (failed["ExecutionStatus"], failed["Changes"]) == ("UNAVAILABLE", [])
    with pytest.raises(ClientError) as caught:
        change_sets.client.execute_change_set(StackName=stack, ChangeSetName="first")
    assert refusal(caught) == (
        "InvalidChangeSetStatus",
        f"ChangeSet [{failed['ChangeSetId']}] cannot be executed in its current status of [FAILED]",
    )
    with pytest.raises(ClientError, match="No updates are to be performed"):
        change_sets.client.update_stack(StackName=stack, TemplateBody=body)


@pytest.mark.aws_documented(CHANGE_SETS)
def test_a_stack_stays_in_review_when_its_change_set_fails_or_is_deleted(
    change_sets: ChangeSets,
) -> None:
    stack, client = change_sets.new_name(), change_sets.client
    wrong = group({"Fn::ImportValue": "no-such-export"})  # type: ignore[arg-type]
    body = template(A=wrong)
    failed = change_sets.failed(stack, ChangeSetType="CREATE", TemplateBody=body)
    assert failed["StatusReason"] == "No export named no-such-export found."
    assert change_sets.status(stack) == "REVIEW_IN_PROGRESS"
    client.delete_change_set(StackName=stack, ChangeSetName="first")
    client.delete_change_set(StackName=stack, ChangeSetName="first")  # it need not be there
    assert change_sets.status(stack) == "REVIEW_IN_PROGRESS"
    assert client.list_change_sets(StackName=stack)["Summaries"] == []
    change_sets.make(
        stack, ChangeSetType="CREATE", TemplateBody=template(A=group("/change-set/again"))
    )
    client.delete_stack(StackName=stack)
    change_sets.wait("stack_delete_complete", failed["StackId"])
    with pytest.raises(ClientError, match=rf"Stack \[{stack}\] does not exist"):
        change_sets.describe(stack)


@pytest.mark.aws_documented(CHANGE_SETS)
def test_executing_a_change_set_deletes_the_others_and_an_update_makes_them_obsolete(
    change_sets: ChangeSets,
) -> None:
    stack, client = change_sets.stack(template(A=group("/change-set/one"))), change_sets.client
    change_sets.make(stack, "first", TemplateBody=template(A=group("/change-set/two")))
    change_sets.make(stack, "second", TemplateBody=template(A=group("/change-set/three")))
    listed = client.list_change_sets(StackName=stack)["Summaries"]
    assert [summary["ChangeSetName"] for summary in listed] == ["first", "second"]
    change_sets.execute(stack, "stack_update_complete", "first")
    with pytest.raises(ClientError) as caught:
        change_sets.describe(stack, "second")
    assert refusal(caught) == ("ChangeSetNotFound", "ChangeSet [second] does not exist")
    executed = change_sets.describe(stack, "first")["ChangeSetId"]
    with pytest.raises(ClientError) as caught:
        client.execute_change_set(ChangeSetName=executed)
    assert refusal(caught) == (
        "InvalidChangeSetStatus",
        f"ChangeSet [{executed}] cannot be executed in its current execution status of "
        "[EXECUTE_COMPLETE]",
    )
    change_sets.make(stack, "third", TemplateBody=template(A=group("/change-set/four")))
    client.update_stack(StackName=stack, TemplateBody=template(A=group("/change-set/five")))
    change_sets.wait("stack_update_complete", stack)
    assert change_sets.describe(stack, "third")["ExecutionStatus"] == "OBSOLETE"


@pytest.mark.aws_documented(API + "API_CreateChangeSet.html")
def test_a_name_is_taken_but_the_same_request_may_be_sent_again(change_sets: ChangeSets) -> None:
    stack, client = change_sets.stack(template(A=group("/change-set/taken"))), change_sets.client
    wanted = {"StackName": stack, "ChangeSetName": "first", "ClientToken": "a-token"}
    body = template(A=group("/change-set/taken2"))
    first = client.create_change_set(TemplateBody=body, **wanted)
    again = client.create_change_set(TemplateBody=body, **wanted)
    assert again["Id"] == first["Id"]
    with pytest.raises(ClientError) as caught:
        client.create_change_set(TemplateBody=template(A=group("/change-set/taken3")), **wanted)
    assert refusal(caught) == (
        "AlreadyExistsException",
        "ChangeSet first cannot be created due to a mismatch with existing attribute Template",
    )


@pytest.mark.aws_documented(API + "API_CreateChangeSet.html")
@pytest.mark.parametrize(
    ("request_of", "message"),
    [
        ({}, r"Stack \[no-such-stack\] does not exist"),
        ({"ChangeSetType": "CREATE", "TemplateBody": "{}"}, "At least one Resources member"),
        ({"ChangeSetType": "CREATE"}, "Either Template URL or Template Body"),
        ({"ChangeSetType": "IMPORT"}, "does not import resources"),
        (
            {
                "ChangeSetType": "CREATE",
                "TemplateBody": template(A=group("/x")),
                "Parameters": [{"ParameterKey": "No", "ParameterValue": "1"}],
            },
            r"Parameters: \[No\] do not exist",
        ),
    ],
)
def test_a_wrong_request_leaves_no_stack_in_review(
    change_sets: ChangeSets, request_of: dict[str, Any], message: str
) -> None:
    with pytest.raises(ClientError, match=message):
        change_sets.client.create_change_set(
            StackName="no-such-stack", ChangeSetName="first", **request_of
        )
    with pytest.raises(ClientError, match="does not exist"):
        change_sets.status("no-such-stack")


@pytest.mark.aws_documented(API + "API_CreateChangeSet.html")
def test_the_type_must_fit_the_stack(change_sets: ChangeSets) -> None:
    client, body = change_sets.client, template(A=group("/change-set/type"))
    stack = change_sets.stack(body)
    with pytest.raises(ClientError, match="cannot be created again with the changeSet"):
        change_sets.make(stack, ChangeSetType="CREATE", TemplateBody=body)
    new = change_sets.new_name()
    change_sets.make(new, ChangeSetType="CREATE", TemplateBody=template(A=group("/change-set/t")))
    with pytest.raises(ClientError, match="REVIEW_IN_PROGRESS state and can not be updated"):
        change_sets.make(new, "second", TemplateBody=body)
    with pytest.raises(ClientError, match="StackName must be specified"):
        client.describe_change_set(ChangeSetName="first")
    missing = "arn:aws:cloudformation:us-east-1:000000000000:changeSet/first/none"
    with pytest.raises(ClientError) as caught:
        client.describe_change_set(ChangeSetName=missing)
    assert refusal(caught) == ("ChangeSetNotFound", f"ChangeSet [{missing}] does not exist")


def parameterised(default: str | None = None) -> str:
    names = {"Name": {"Type": "String"}, "Other": {"Type": "String", "Default": "d"}}
    if default is not None:
        names["New"] = {"Type": "String", "Default": default}
    return json.dumps({"Parameters": names, "Resources": {"A": group({"Ref": "Name"})}})  # type: ignore[arg-type]  # a reference in place of the name


@pytest.mark.aws_documented(API + "API_Parameter.html")
def test_a_parameter_keeps_its_previous_value_or_says_that_it_changes(
    change_sets: ChangeSets,
) -> None:
    given = [{"ParameterKey": "Name", "ParameterValue": "/change-set/parameter"}]
    stack, client = change_sets.stack(parameterised(), Parameters=given), change_sets.client
    # As `aws cloudformation deploy` asks which parameters have a previous value.
    summary = client.get_template_summary(StackName=stack)
    assert [p["ParameterKey"] for p in summary["Parameters"]] == ["Name", "Other"]
    previous = [{"ParameterKey": "Name", "UsePreviousValue": True}]
    failed = change_sets.failed(stack, UsePreviousTemplate=True, Parameters=previous)
    assert failed["StatusReason"] == NO_CHANGES
    assert {"ParameterKey": "Name", "ParameterValue": "/change-set/parameter"} in failed[
        "Parameters"
    ]
    other = [{"ParameterKey": "Name", "ParameterValue": "/change-set/parameter2"}]
    made = change_sets.make(stack, "second", UsePreviousTemplate=True, Parameters=other)
    (detail,) = made["Changes"][0]["ResourceChange"]["Details"]
    assert (detail["ChangeSource"], detail["CausingEntity"]) == ("ParameterReference", "Name")
    new = [*previous, {"ParameterKey": "New", "UsePreviousValue": True}]
    with pytest.raises(ClientError, match=r"key New\. Cannot specify usePreviousValue as true for"):
        change_sets.make(stack, "third", TemplateBody=parameterised("n"), Parameters=new)


@pytest.mark.aws_documented(API + "API_CreateChangeSet.html")
def test_a_new_stack_that_fails_does_as_its_change_set_says(change_sets: ChangeSets) -> None:
    client = change_sets.client
    endpoint = {
        "Type": "AWS::SageMaker::Endpoint",
        "Properties": {"EndpointConfigName": "no-such-config"},
    }
    request = {"ChangeSetType": "CREATE", "TemplateBody": template(Endpoint=endpoint)}
    rolled_back, deleted = change_sets.new_name(), change_sets.new_name()
    change_sets.make(rolled_back, **request)
    stack_id = change_sets.make(deleted, OnStackFailure="DELETE", **request)["StackId"]
    with pytest.raises(ClientError, match="DisableRollback must not be specified"):
        client.execute_change_set(StackName=deleted, ChangeSetName="first", DisableRollback=True)
    change_sets.execute(deleted, "stack_delete_complete")
    assert change_sets.status(stack_id) == "DELETE_COMPLETE"
    client.execute_change_set(StackName=rolled_back, ChangeSetName="first")
    wait_for("the rollback", lambda: change_sets.status(rolled_back) == "ROLLBACK_COMPLETE", 30)
    assert change_sets.describe(rolled_back)["ExecutionStatus"] == "EXECUTE_FAILED"


@pytest.mark.aws_documented(API + "API_GetTemplate.html")
def test_the_template_of_a_change_set_can_be_read_before_it_is_the_stacks(
    change_sets: ChangeSets,
) -> None:
    stack, client = change_sets.new_name(), change_sets.client
    body = template(A=group("/change-set/read"))
    made = change_sets.make(stack, ChangeSetType="CREATE", TemplateBody=body)
    read = client.get_template(ChangeSetName=made["ChangeSetId"])["TemplateBody"]
    assert json.dumps(read) == body
    assert client.get_template(StackName=stack)["TemplateBody"] == ""
