"""CloudFormation: what goes with a stack beside its template: tags, notifications, policies."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud import TestCloud, wait_for
from tests.stacks import Stacks, broken, group, template

GUIDE = "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide"
API = "https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference"
FAST = {"Delay": 0.2, "MaxAttempts": 150}


def tags(**values: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in values.items()]


def of_group(cloud: TestCloud, name: str) -> dict[str, str]:
    arn = f"arn:aws:logs:us-east-1:000000000000:log-group:{name}"
    found: dict[str, str] = cloud.client("logs").list_tags_for_resource(resourceArn=arn)["tags"]
    return found


@pytest.mark.aws_documented(f"{API}/API_CreateStack.html")
def test_the_tags_of_a_stack_are_those_of_its_resources(cloud: TestCloud, stacks: Stacks) -> None:
    own = group("/stack/tags")
    own["Properties"]["Tags"] = tags(owner="resource")
    body = template(G=own, H=group("/stack/tags-too"))
    name = stacks.create(body, Tags=tags(owner="stack", team="a"))
    assert stacks.settled(name)["StackStatus"] == "CREATE_COMPLETE", stacks.reasons(name)
    assert of_group(cloud, "/stack/tags") == {"owner": "resource", "team": "a"}
    assert of_group(cloud, "/stack/tags-too") == {"owner": "stack", "team": "a"}
    client = stacks.client
    client.create_change_set(
        StackName=name, ChangeSetName="c", UsePreviousTemplate=True, Tags=tags(team="b")
    )
    client.get_waiter("change_set_create_complete").wait(
        StackName=name, ChangeSetName="c", WaiterConfig=FAST
    )
    changes = client.describe_change_set(StackName=name, ChangeSetName="c")["Changes"]
    assert [
        (c["ResourceChange"]["LogicalResourceId"], c["ResourceChange"]["Scope"]) for c in changes
    ] == [("G", ["Tags"]), ("H", ["Tags"])]
    failing = template(G=own, H=group("/stack/tags-too"), B=broken(DependsOn=["G", "H"]))
    client.update_stack(StackName=name, TemplateBody=failing, Tags=tags(team="c"))
    rolled_back = stacks.settled(name)
    assert rolled_back["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert rolled_back["Tags"] == tags(owner="stack", team="a")
    assert of_group(cloud, "/stack/tags-too") == {"owner": "stack", "team": "a"}
    client.update_stack(StackName=name, UsePreviousTemplate=True, Tags=tags(team="b"))
    assert stacks.settled(name)["StackStatus"] == "UPDATE_COMPLETE"
    assert of_group(cloud, "/stack/tags") == {"owner": "resource", "team": "b"}
    assert of_group(cloud, "/stack/tags-too") == {"team": "b"}


@pytest.mark.aws_documented(f"{API}/API_CreateStack.html")
def test_each_event_is_published_to_the_topics_of_a_stack(cloud: TestCloud, stacks: Stacks) -> None:
    sns, sqs = cloud.client("sns"), cloud.client("sqs")
    topic = sns.create_topic(Name="stack-events")["TopicArn"]
    queue = sqs.create_queue(QueueName="stack-events")["QueueUrl"]
    arn = "arn:aws:sqs:us-east-1:000000000000:stack-events"
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    missing = f"{topic}-none"
    name = stacks.create(template(G=group("/stack/events")), NotificationARNs=[missing, topic])
    assert stacks.settled(name)["NotificationARNs"] == [missing, topic]
    found: list[dict[str, str]] = []

    def received() -> bool:
        for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get(
            "Messages", []
        ):
            told = json.loads(message["Body"])
            assert told["Subject"] == "AWS CloudFormation Notification"
            lines = told["Message"].splitlines()
            found.append({k: v.strip("'") for k, _, v in (line.partition("=") for line in lines)})
        return len(found) == 5

    wait_for("the notifications", received)
    assert [(f["LogicalResourceId"], f["ResourceStatus"]) for f in found] == [
        (name, "CREATE_IN_PROGRESS"),
        ("G", "CREATE_IN_PROGRESS"),
        ("G", "CREATE_IN_PROGRESS"),
        ("G", "CREATE_COMPLETE"),
        (name, "CREATE_COMPLETE"),
    ]
    last = found[3]
    assert json.loads(last["ResourceProperties"])["LogGroupName"] == "/stack/events"
    assert (last["Namespace"], last["StackName"]) == ("000000000000", name)


def policy(effect: str, action: str, resource: str = "*") -> dict[str, str]:
    return {"Effect": effect, "Action": action, "Principal": "*", "Resource": resource}


ALL = policy("Allow", "Update:*")


@pytest.mark.aws_documented(f"{GUIDE}/protect-stack-resources.html")
@pytest.mark.parametrize(
    ("action", "changed"),
    [
        ("Update:Modify", {"G": group("/stack/policed", 14), "K": group("/stack/policed-too")}),
        ("Update:Replace", {"G": group("/stack/policed-new"), "K": group("/stack/policed-too")}),
        ("Update:Delete", {"K": group("/stack/policed-too", 14)}),
    ],
)
def test_a_stack_policy_denies_an_update(
    cloud: TestCloud, stacks: Stacks, action: str, changed: dict[str, Any]
) -> None:
    resource = "LogicalResourceId/G"
    text = json.dumps({"Statement": [ALL, policy("Deny", action, resource)]})
    before = template(G=group("/stack/policed"), K=group("/stack/policed-too"))
    name = stacks.create(before, StackPolicyBody=text)
    stacks.settled(name)
    client = stacks.client
    client.update_stack(StackName=name, TemplateBody=template(**changed))
    assert stacks.settled(name)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert (
        f"Action denied by stack policy: Statement [#2] does not allow [{action}] for resource "
        f"[{resource}]"
    ) in stacks.reasons(name)
    logs = cloud.client("logs")
    found = logs.describe_log_groups(logGroupNamePrefix="/stack/policed")["logGroups"]
    assert {(g["logGroupName"], g["retentionInDays"]) for g in found} == {
        ("/stack/policed", 7),
        ("/stack/policed-too", 7),
    }
    during = json.dumps({"Statement": [ALL]})
    client.update_stack(
        StackName=name, TemplateBody=template(**changed), StackPolicyDuringUpdateBody=during
    )
    assert stacks.settled(name)["StackStatus"] == "UPDATE_COMPLETE"
    assert json.loads(client.get_stack_policy(StackName=name)["StackPolicyBody"]) == json.loads(
        text
    )


@pytest.mark.aws_documented(f"{API}/API_SetStackPolicy.html")
def test_a_text_that_is_no_policy_is_refused(stacks: Stacks) -> None:
    body = template(G=group("/stack/unpoliced"))
    name = stacks.create(body)
    stacks.settled(name)
    wrong = json.dumps({"Statement": [policy("Allow", "Delete:*")]})
    for request in (
        lambda: stacks.client.set_stack_policy(StackName=name, StackPolicyBody=wrong),
        lambda: stacks.create(body, StackPolicyBody=wrong),
        lambda: stacks.client.update_stack(
            StackName=name, UsePreviousTemplate=True, StackPolicyDuringUpdateBody=wrong
        ),
    ):
        with pytest.raises(ClientError, match="validating stack policy: Invalid stack policy"):
            request()
