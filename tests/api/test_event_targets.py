"""Events and alarms: each target is reached, whatever becomes of another."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.archives import zip_of
from tests.cloud import TestCloud, wait_for
from tests.pipelines import ROLE, Pipelines, approval_action, prepare

TARGETS = "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-targets.html"
SET_STATE = (
    "https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_SetAlarmState.html"
)
PREFIX = "arn:aws:{}:us-east-1:000000000000:"
HANDLER = "def handler(event, context):\n    print('heard', event['detail']['word'])\n"


def queue_behind(cloud: TestCloud, name: str) -> tuple[str, str]:
    """Subscribe a new queue to a new topic; return the topic's ARN and the queue's URL."""
    topic = cloud.client("sns").create_topic(Name=name)["TopicArn"]
    url = cloud.client("sqs").create_queue(QueueName=name)["QueueUrl"]
    arn = PREFIX.format("sqs") + name
    cloud.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return topic, url


def heard(cloud: TestCloud, url: str) -> list[dict[str, Any]]:
    found = cloud.client("sqs").receive_message(QueueUrl=url).get("Messages", [])
    return [json.loads(json.loads(message["Body"])["Message"]) for message in found]


@pytest.mark.aws_documented(TARGETS)
def test_an_event_reaches_a_function_a_pipeline_a_topic_and_a_build_behind_one_that_fails(
    cloud: TestCloud,
) -> None:
    prepare(cloud)
    events, codebuild = cloud.client("events"), cloud.client("codebuild")
    function = cloud.client("lambda").create_function(
        FunctionName="event-target",
        Role=ROLE,
        Runtime="python3.12",
        Handler="handlers.handler",
        Code={"ZipFile": zip_of({"handlers.py": HANDLER})},
    )["FunctionArn"]
    project = codebuild.create_project(
        name="event-target",
        source={
            "type": "NO_SOURCE",
            "buildspec": "version: 0.2\nphases: {build: {commands: ['x']}}",
        },
        artifacts={"type": "NO_ARTIFACTS"},
        environment={
            "type": "LINUX_CONTAINER",
            "image": "aws/codebuild/standard:7.0",
            "computeType": "BUILD_GENERAL1_SMALL",
        },
        serviceRole=ROLE,
    )["project"]["arn"]
    topic, queue = queue_behind(cloud, "event-target")
    pipelines = Pipelines(cloud.client("codepipeline"))
    name = pipelines.make([approval_action()], executionMode="PARALLEL")
    targets = [
        ("gone", PREFIX.format("lambda") + "function:no-such-function"),
        ("function", function),
        ("project", project),
        ("topic", topic),
        ("pipeline", PREFIX.format("codepipeline") + name),
    ]
    events.put_rule(Name="five", EventPattern=json.dumps({"source": ["tests.targets"]}))
    events.put_targets(
        Rule="five",
        Targets=[
            {"Id": id_, "Arn": arn, **({} if id_ in ("function", "topic") else {"RoleArn": ROLE})}
            for id_, arn in targets
        ],
    )
    entry = {"Source": "tests.targets", "DetailType": "Said", "Detail": '{"word": "hello"}'}
    answer = events.put_events(Entries=[entry])
    assert answer["FailedEntryCount"] == 0
    (event,) = wait_for("the topic", lambda: heard(cloud, queue), 20)
    assert (event["detail-type"], event["detail"]) == ("Said", {"word": "hello"})
    assert event["id"] == answer["Entries"][0]["EventId"]
    wait_for("the pipeline", lambda: len(pipelines.executions(name)) == 2, 20)
    assert pipelines.executions(name)[1]["trigger"]["triggerType"] == "CloudWatchEvent"
    wait_for(
        "the build",
        lambda: codebuild.list_builds_for_project(projectName="event-target")["ids"],
        20,
    )

    def printed() -> bool:
        logs = cloud.client("logs")
        try:
            found = logs.filter_log_events(logGroupName="/aws/lambda/event-target")["events"]
        except logs.exceptions.ResourceNotFoundException:
            return False
        return "heard hello" in [line["message"] for line in found]

    wait_for("the function", printed, 20)
    events.remove_targets(Rule="five", Ids=[id_ for id_, _ in targets])
    events.delete_rule(Name="five")
    pipelines.client.delete_pipeline(name=name)
    codebuild.delete_project(name="event-target")


@pytest.mark.aws_documented(SET_STATE)
def test_a_state_that_is_set_fires_the_actions_of_the_alarm(cloud: TestCloud) -> None:
    topic, queue = queue_behind(cloud, "set-state")
    cloudwatch = cloud.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="set-state",
        Namespace="Tests",
        MetricName="None",
        Statistic="Sum",
        Period=86400,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="ignore",
        AlarmActions=[topic],
    )
    cloudwatch.set_alarm_state(AlarmName="set-state", StateValue="ALARM", StateReason="a drill")
    (told,) = wait_for("the message", lambda: heard(cloud, queue), 20)
    assert told == told | {
        "AlarmName": "set-state",
        "OldStateValue": "INSUFFICIENT_DATA",
        "NewStateValue": "ALARM",
        "NewStateReason": "a drill",
    }
    cloudwatch.delete_alarms(AlarmNames=["set-state"])
