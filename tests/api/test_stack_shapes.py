"""CloudFormation: the members of its answers, and what a request says beside its template."""

from __future__ import annotations

import json
import re
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud import TestCloud
from tests.stacks import Stacks, broken, group, template

API = "https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference"
UNCHECKED = {"StackResourceDriftStatus": "NOT_CHECKED"}
FAST = {"Delay": 0.2, "MaxAttempts": 150}


def events(stacks: Stacks, name: str, logical_id: str) -> list[dict[str, Any]]:
    found = stacks.client.describe_stack_events(StackName=name)["StackEvents"]
    return [event for event in reversed(found) if event["LogicalResourceId"] == logical_id]


@pytest.mark.aws_documented(f"{API}/API_Stack.html")
def test_a_stack_has_the_members_of_awss(stacks: Stacks) -> None:
    name = stacks.create(template(G=group("/stack/shape")))
    made = stacks.settled(name)
    assert made["DriftInformation"] == {"StackDriftStatus": "NOT_CHECKED"}
    assert made["RollbackConfiguration"] == {}
    assert (made["NotificationARNs"], made["Tags"]) == ([], [])
    assert made["EnableTerminationProtection"] is False
    absent = {"Parameters", "Capabilities", "Outputs", "LastUpdatedTime", "ChangeSetId"}
    assert made.keys() & absent == set()
    stacks.client.delete_stack(StackName=name)
    assert "EnableTerminationProtection" not in stacks.settled(made["StackId"])


@pytest.mark.aws_documented(f"{API}/API_StackSummary.html")
def test_a_list_of_stacks_has_their_descriptions(stacks: Stacks) -> None:
    document = {"Description": "One group.", **json.loads(template(G=group("/stack/listed")))}
    id_ = stacks.settled(stacks.create(json.dumps(document)))["StackId"]
    (found,) = [s for s in stacks.client.list_stacks()["StackSummaries"] if s["StackId"] == id_]
    assert found["TemplateDescription"] == "One group."
    assert found["DriftInformation"] == {"StackDriftStatus": "NOT_CHECKED"}


@pytest.mark.aws_documented(f"{API}/API_StackResourceDetail.html")
def test_a_resource_has_its_metadata_and_its_drift(stacks: Stacks) -> None:
    metadata = {"Name": {"Ref": "AWS::StackName"}}
    name = stacks.create(
        template(G=group("/stack/detail", Metadata=metadata), H=group("/stack/other"))
    )
    stacks.settled(name)
    client = stacks.client

    def detail(logical_id: str) -> Any:
        request = {"StackName": name, "LogicalResourceId": logical_id}
        return client.describe_stack_resource(**request)["StackResourceDetail"]

    assert json.loads(detail("G")["Metadata"]) == {"Name": name}
    assert (detail("H")["Metadata"], detail("H")["DriftInformation"]) == ("{}", UNCHECKED)
    listed = client.list_stack_resources(StackName=name)["StackResourceSummaries"]
    described = client.describe_stack_resources(StackName=name)["StackResources"]
    assert [r["DriftInformation"] for r in [*listed, *described]] == [UNCHECKED] * 4


@pytest.mark.aws_documented(f"{API}/API_StackEvent.html")
def test_a_resource_is_begun_initiated_and_complete(stacks: Stacks) -> None:
    name = stacks.create(template(G=group("/stack/begun")), ClientRequestToken="a-token")
    stacks.settled(name)
    begun, initiated, complete = events(stacks, name, "G")
    assert [e["ResourceStatus"] for e in (begun, initiated, complete)] == [
        "CREATE_IN_PROGRESS",
        "CREATE_IN_PROGRESS",
        "CREATE_COMPLETE",
    ]
    assert (begun["PhysicalResourceId"], initiated["PhysicalResourceId"]) == ("", "/stack/begun")
    assert "ResourceStatusReason" not in begun
    assert initiated["ResourceStatusReason"] == "Resource creation Initiated"
    properties = {"LogGroupName": "/stack/begun", "RetentionInDays": 7}
    for event in (begun, initiated, complete):
        assert json.loads(event["ResourceProperties"]) == properties
        assert event["ClientRequestToken"] == "a-token"
        date = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
        assert re.fullmatch(f"G-{event['ResourceStatus']}-{date}", event["EventId"])
    assert len({e["EventId"] for e in (begun, initiated, complete)}) == 3
    of_stack = events(stacks, name, name)
    assert all("ResourceProperties" not in event for event in of_stack)


@pytest.mark.aws_documented(f"{API}/API_StackEvent.html")
def test_a_replacement_is_initiated_and_the_old_one_goes_without_properties(
    stacks: Stacks,
) -> None:
    name = stacks.create(template(G=group("/stack/old")))
    stacks.settled(name)
    stacks.client.update_stack(StackName=name, TemplateBody=template(G=group("/stack/new")))
    stacks.settled(name)
    found = [
        (e["ResourceStatus"], e["PhysicalResourceId"], e.get("ResourceStatusReason"))
        for e in events(stacks, name, "G")[3:]
    ]
    assert found == [
        (
            "UPDATE_IN_PROGRESS",
            "/stack/old",
            "Requested update requires the creation of a new physical resource; hence creating "
            "one.",
        ),
        ("UPDATE_IN_PROGRESS", "/stack/new", "Resource creation Initiated"),
        ("UPDATE_COMPLETE", "/stack/new", None),
        ("DELETE_IN_PROGRESS", "/stack/old", None),
        ("DELETE_COMPLETE", "/stack/old", None),
    ]
    *_, updated, going, gone = events(stacks, name, "G")
    assert json.loads(updated["ResourceProperties"])["LogGroupName"] == "/stack/new"
    assert "ResourceProperties" not in going
    assert re.fullmatch(r"G-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", gone["EventId"])


@pytest.mark.aws_documented(f"{API}/API_StackEvent.html")
def test_an_event_never_has_the_value_of_a_noecho_parameter(stacks: Stacks) -> None:
    topic = {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Fn::Sub": "a ${Secret}"}}}
    declared = {"Secret": {"Type": "String", "NoEcho": True}}
    body = json.dumps({"Parameters": declared, "Resources": {"T": topic}})

    def secret(text: str) -> list[dict[str, str]]:
        return [{"ParameterKey": "Secret", "ParameterValue": text}]

    name = stacks.create(body, Parameters=secret("hushhush"))
    stacks.settled(name)
    stacks.client.update_stack(
        StackName=name, UsePreviousTemplate=True, Parameters=secret("quietquiet")
    )
    stacks.settled(name)
    told = json.dumps(events(stacks, name, "T"), default=str)
    assert "hushhush" not in told
    assert "quietquiet" not in told
    assert "a ****" in told


@pytest.mark.aws_documented(f"{API}/API_GetTemplateSummary.html")
def test_a_summary_of_a_template_has_its_resources_by_type(stacks: Stacks) -> None:
    document = {
        "Metadata": {"Author": "someone"},
        "Resources": {
            "A": group("/stack/s"),
            "B": group("/stack/t"),
            "T": {"Type": "AWS::SNS::Topic"},
        },
    }
    found = stacks.client.get_template_summary(TemplateBody=json.dumps(document))
    assert found["ResourceIdentifierSummaries"] == [
        {
            "ResourceType": "AWS::Logs::LogGroup",
            "LogicalResourceIds": ["A", "B"],
            "ResourceIdentifiers": ["LogGroupName"],
        },
        {"ResourceType": "AWS::SNS::Topic", "LogicalResourceIds": ["T"]},
    ]
    assert json.loads(found["Metadata"]) == {"Author": "someone"}


@pytest.mark.aws_documented(f"{API}/API_ExecuteChangeSet.html")
def test_a_stack_of_a_change_set_says_when_it_was_executed(stacks: Stacks) -> None:
    client = stacks.client
    stacks.names.append("executed")
    client.create_change_set(
        StackName="executed",
        ChangeSetName="c",
        ChangeSetType="CREATE",
        TemplateBody=template(G=group("/stack/executed")),
    )
    client.get_waiter("change_set_create_complete").wait(
        StackName="executed", ChangeSetName="c", WaiterConfig=FAST
    )
    with pytest.raises(ClientError, match="cannot be called on REVIEW_IN_PROGRESS stacks"):
        client.get_template_summary(StackName="executed")
    client.execute_change_set(StackName="executed", ChangeSetName="c")
    client.get_waiter("stack_create_complete").wait(StackName="executed", WaiterConfig=FAST)
    assert "LastUpdatedTime" in stacks.settled("executed")


@pytest.mark.aws_documented(f"{API}/API_CreateStack.html")
def test_a_type_that_the_request_does_not_allow_is_refused(stacks: Stacks) -> None:
    body = template(G=group("/stack/allowed"))
    with pytest.raises(ClientError, match=r"AWS::Logs::LogGroup are not allowed"):
        stacks.client.create_stack(
            StackName="unallowed", TemplateBody=body, ResourceTypes=["AWS::SNS::*"]
        )
    name = stacks.create(body, ResourceTypes=["AWS::Logs::*"])
    assert stacks.settled(name)["StackStatus"] == "CREATE_COMPLETE"


@pytest.mark.emulator_only
@pytest.mark.parametrize(
    ("operation", "more"),
    [
        ("update_stack", {"RetainExceptOnCreate": True}),
        ("delete_stack", {"DeletionMode": "FORCE_DELETE_STACK"}),
        ("delete_stack", {"RetainResources": ["G"]}),
        ("create_change_set", {"ChangeSetName": "c", "IncludeNestedStacks": True}),
        ("create_change_set", {"ChangeSetName": "c", "ImportExistingResources": True}),
    ],
)
def test_a_member_that_nothing_is_made_of_is_refused_by_name(
    stacks: Stacks, operation: str, more: dict[str, Any]
) -> None:
    name = stacks.create(template(G=group("/stack/members")))
    stacks.settled(name)
    if operation != "delete_stack":
        more = {**more, "TemplateBody": template(G=group("/stack/members", 14))}
    with pytest.raises(ClientError, match=next(reversed([*more][: 1 + ("ChangeSetName" in more)]))):
        getattr(stacks.client, operation)(StackName=name, **more)
    assert stacks.settled(name)["StackStatus"] == "CREATE_COMPLETE"


TRIGGERS = "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-rollback-triggers.html"


class Trigger:
    """An alarm that a test sets, and the rollback configuration that watches it."""

    def __init__(self, cloud: TestCloud, name: str) -> None:
        self._cloudwatch = cloud.client("cloudwatch")
        self._name = name
        self._cloudwatch.put_metric_alarm(
            AlarmName=name,
            MetricName="m",
            Namespace="stack-triggers",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="ignore",  # a state that is set stays
        )
        found = self._cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
        self.arn = found[0]["AlarmArn"]

    def set(self, state: str) -> None:
        self._cloudwatch.set_alarm_state(
            AlarmName=self._name, StateValue=state, StateReason="a test"
        )

    def configuration(self, minutes: int = 0) -> dict[str, Any]:
        trigger = {"Arn": self.arn, "Type": "AWS::CloudWatch::Alarm"}
        return {"RollbackTriggers": [trigger], "MonitoringTimeInMinutes": minutes}


@pytest.mark.aws_documented(TRIGGERS)
def test_an_alarm_rolls_a_new_stack_back_and_a_missing_one_does_too(
    cloud: TestCloud, stacks: Stacks
) -> None:
    trigger = Trigger(cloud, "stack-trigger-new")
    body = template(G=group("/stack/triggered"))
    name = stacks.create(body, RollbackConfiguration=trigger.configuration())
    made = stacks.settled(name)
    assert (made["StackStatus"], made["RollbackConfiguration"]) == (
        "CREATE_COMPLETE",
        trigger.configuration(),
    )
    trigger.set("ALARM")
    other = template(G=group("/stack/triggered-too"))
    failed = stacks.create(other, RollbackConfiguration=trigger.configuration())
    assert stacks.settled(failed)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert f"{trigger.arn} is in ALARM" in stacks.reasons(failed)
    gone = trigger.configuration()
    gone["RollbackTriggers"][0]["Arn"] += "-none"
    missing = stacks.create(other, RollbackConfiguration=gone)
    assert stacks.settled(missing)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "does not exist" in stacks.reasons(missing)


@pytest.mark.aws_documented(TRIGGERS)
def test_an_alarm_in_the_monitoring_time_rolls_an_update_back(
    cloud: TestCloud, stacks: Stacks
) -> None:
    trigger = Trigger(cloud, "stack-trigger-update")
    name = stacks.create(template(G=group("/stack/monitored")))
    stacks.settled(name)
    client = stacks.client
    client.update_stack(
        StackName=name,
        TemplateBody=template(G=group("/stack/monitored", 14)),
        RollbackConfiguration=trigger.configuration(180),
    )

    def status() -> str:
        return str(client.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])

    while not any(e["ResourceStatus"] == "UPDATE_COMPLETE" for e in events(stacks, name, "G")):
        assert status() == "UPDATE_IN_PROGRESS"
    assert status() == "UPDATE_IN_PROGRESS"
    trigger.set("ALARM")
    assert stacks.settled(name)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    logs = cloud.client("logs")
    (found,) = logs.describe_log_groups(logGroupNamePrefix="/stack/monitored")["logGroups"]
    assert found["retentionInDays"] == 7


@pytest.mark.aws_documented(TRIGGERS)
def test_the_monitoring_time_passes_and_the_next_update_is_watched_too(
    cloud: TestCloud, stacks: Stacks
) -> None:
    trigger = Trigger(cloud, "stack-trigger-passes")
    name = stacks.create(
        template(G=group("/stack/passing")), RollbackConfiguration=trigger.configuration(1)
    )
    made = stacks.settled(name)
    assert made["StackStatus"] == "CREATE_COMPLETE"
    first, *_, last = events(stacks, name, name)
    assert (last["Timestamp"] - first["Timestamp"]).total_seconds() >= 60
    trigger.set("ALARM")
    body = template(G=group("/stack/passing", 14))
    stacks.client.update_stack(StackName=name, TemplateBody=body)
    assert stacks.settled(name)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    nothing: dict[str, Any] = {"RollbackTriggers": []}
    stacks.client.update_stack(StackName=name, TemplateBody=body, RollbackConfiguration=nothing)
    assert stacks.settled(name)["StackStatus"] == "UPDATE_COMPLETE"


@pytest.mark.aws_documented(TRIGGERS)
def test_a_trigger_that_is_no_alarm_is_refused(cloud: TestCloud, stacks: Stacks) -> None:
    trigger = Trigger(cloud, "stack-trigger-type")
    wrong = trigger.configuration()
    wrong["RollbackTriggers"][0]["Arn"] = "x:alarm:y"
    with pytest.raises(ClientError, match="is not the ARN of an alarm"):
        stacks.create(template(G=group("/stack/untriggered")), RollbackConfiguration=wrong)
    wrong = trigger.configuration()
    wrong["RollbackTriggers"][0]["Type"] = "AWS::SNS::Topic"
    body = template(G=group("/stack/untriggered"))
    client = stacks.client
    for request in (
        {"ChangeSetName": "c", "ChangeSetType": "CREATE"},
        {},
    ):
        create = client.create_change_set if request else client.create_stack
        with pytest.raises(ClientError, match="type AWS::SNS::Topic are not supported"):
            create(
                StackName="untriggered",
                TemplateBody=body,
                RollbackConfiguration=wrong,
                **request,
            )


@pytest.mark.aws_documented(f"{API}/API_StackEvent.html")
def test_a_failure_names_the_resources(stacks: Stacks) -> None:
    name = stacks.create(template(G=group("/stack/told"), B=broken(DependsOn="G")))
    assert stacks.settled(name)["StackStatus"] == "ROLLBACK_COMPLETE"
    (rolling,) = [
        e for e in events(stacks, name, name) if e["ResourceStatus"] == "ROLLBACK_IN_PROGRESS"
    ]
    assert rolling["ResourceStatusReason"] == (
        "The following resource(s) failed to create: [B]. Rollback requested by user."
    )
    *_, failed = [e for e in events(stacks, name, "B") if e["ResourceStatus"] == "CREATE_FAILED"]
    assert failed["ResourceStatusReason"] == (
        "Properties validation failed for resource B with message:\n"
        "#/RetentionInDays: failed validation constraint for keyword [enum]"
    )


@pytest.mark.aws_documented(f"{API}/API_CreateStack.html")
def test_a_request_may_be_sent_again_with_its_token(stacks: Stacks) -> None:
    client, body = stacks.client, template(G=group("/stack/again"))
    stacks.names.append("again")
    create = partial(client.create_stack, StackName="again", ClientRequestToken="one")
    first = create(TemplateBody=body)
    assert create(TemplateBody=body)["StackId"] == first["StackId"]
    stacks.settled("again")
    changed = template(G=group("/stack/again", 14))
    update = partial(client.update_stack, StackName="again", TemplateBody=changed)
    assert [update(ClientRequestToken="two")["StackId"] for _ in range(2)] == [
        first["StackId"],
        first["StackId"],
    ]
    stacks.settled("again")
    other = template(G=group("/stack/again", 30))
    with pytest.raises(ClientError) as caught:
        client.update_stack(StackName="again", TemplateBody=other, ClientRequestToken="two")
    assert caught.value.response["Error"]["Code"] == "TokenAlreadyExistsException"
    with pytest.raises(ClientError, match="already exists"):
        client.create_stack(StackName="again", TemplateBody=body)


@pytest.mark.aws_documented(f"{API}/API_DescribeChangeSet.html")
def test_the_change_set_of_a_deleted_stack_is_found_by_its_id(stacks: Stacks) -> None:
    client = stacks.client
    for name in ("executed", "left"):
        request = {"StackName": "of-a-change-set", "ChangeSetName": name}
        body = template(G=group(f"/stack/{name}"))
        kind = "CREATE" if name == "executed" else "UPDATE"
        made = client.create_change_set(**request, TemplateBody=body, ChangeSetType=kind)
        client.get_waiter("change_set_create_complete").wait(**request, WaiterConfig=FAST)
        if name == "executed":
            executed = made["Id"]
            client.execute_change_set(ChangeSetName=executed)
            waiter = client.get_waiter("stack_create_complete")
            waiter.wait(StackName="of-a-change-set", WaiterConfig=FAST)
    client.delete_stack(StackName="of-a-change-set")
    assert stacks.settled(made["StackId"])["StackStatus"] == "DELETE_COMPLETE"
    found = client.describe_change_set(ChangeSetName=executed)
    assert (found["ExecutionStatus"], found["StackId"]) == ("EXECUTE_COMPLETE", made["StackId"])
    with pytest.raises(ClientError) as caught:
        client.describe_change_set(ChangeSetName=made["Id"])
    assert caught.value.response["Error"]["Code"] == "ChangeSetNotFound"


@pytest.mark.botocore_modelled
def test_what_can_be_no_name_of_a_stack_is_refused_with_the_pattern(stacks: Stacks) -> None:
    for request in (
        stacks.client.describe_stacks,
        stacks.client.delete_stack,
        stacks.client.list_change_sets,
        stacks.client.get_template,
    ):
        with pytest.raises(ClientError, match=r"regular expression pattern: \(?\[a-zA-Z\]"):
            request(StackName="a_b")
