"""CloudWatch: alarms that hang on alarms, what they tell, and what is kept of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud import TestCloud, wait_for

MONITORING = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring"
COMPOSITE = f"{MONITORING}/Create_Composite_Alarm.html"
SUPPRESSION = f"{MONITORING}/Create_Composite_Alarm_Suppression.html"
API = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference"


class Alarms:
    """Alarms without data, set by hand, and a queue that receives their messages."""

    def __init__(self, cloud: TestCloud) -> None:
        self.client = cloud.client("cloudwatch")
        self.sqs = cloud.client("sqs")
        sns = cloud.client("sns")
        self.topic = sns.create_topic(Name="live-alarms")["TopicArn"]
        self.queue = self.sqs.create_queue(QueueName="live-alarms")["QueueUrl"]
        sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=self.arn_of(self.queue))
        self.told: list[dict[str, Any]] = []

    def arn_of(self, queue: str) -> str:
        found = self.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
        return str(found["Attributes"]["QueueArn"])

    def make(self, *names: str, **more: Any) -> None:
        for name in names:
            self.client.put_metric_alarm(
                AlarmName=name,
                Namespace="Live",
                MetricName=name,
                Statistic="Sum",
                Period=86400,
                EvaluationPeriods=1,
                Threshold=1,
                ComparisonOperator="GreaterThanThreshold",
                TreatMissingData="ignore",
                **more,
            )

    def set(self, name: str, state: str) -> None:
        self.client.set_alarm_state(AlarmName=name, StateValue=state, StateReason="by a test")

    def state(self, name: str) -> str:
        return str(self.shown(name)["StateValue"])

    def shown(self, name: str) -> dict[str, Any]:
        kinds = ["MetricAlarm", "CompositeAlarm"]
        answer = self.client.describe_alarms(AlarmNames=[name], AlarmTypes=kinds)
        return dict([*answer["MetricAlarms"], *answer["CompositeAlarms"]][0])

    def until(self, name: str, state: str) -> None:
        wait_for(f"{name} to be {state}", lambda: self.state(name) == state, 15)

    def receive(self) -> list[dict[str, Any]]:
        for found in self.sqs.receive_message(QueueUrl=self.queue).get("Messages", []):
            self.told.append(json.loads(json.loads(found["Body"])["Message"]))
            self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=found["ReceiptHandle"])
        return self.told

    def history(self, **more: Any) -> list[dict[str, Any]]:
        kinds = ["MetricAlarm", "CompositeAlarm"]
        found = self.client.describe_alarm_history(AlarmTypes=kinds, **more)
        return list(found["AlarmHistoryItems"])


@pytest.fixture
def alarms(cloud: TestCloud) -> Iterator[Alarms]:
    made = Alarms(cloud)
    yield made
    kinds = ["MetricAlarm", "CompositeAlarm"]
    found = made.client.describe_alarms(AlarmTypes=kinds, AlarmNamePrefix="live-")
    names = [a["AlarmName"] for a in [*found["MetricAlarms"], *found["CompositeAlarms"]]]
    made.client.delete_alarms(AlarmNames=names)
    made.sqs.delete_queue(QueueUrl=made.queue)


@pytest.mark.aws_documented(COMPOSITE)
def test_a_composite_alarm_follows_its_rule_through_another_and_tells_its_topic(
    alarms: Alarms,
) -> None:
    alarms.make("live-hot", "live-full")
    put = alarms.client.put_composite_alarm
    put(AlarmName="live-either", AlarmRule="ALARM(live-hot) OR ALARM(live-full)")
    put(
        AlarmName="live-outer",
        AlarmRule='ALARM("live-either") AND NOT ALARM(live-full)',
        AlarmActions=[alarms.topic],
        OKActions=[alarms.topic],
        AlarmDescription="Hot, but not full.",
    )
    assert alarms.state("live-outer") in ("INSUFFICIENT_DATA", "OK")  # evaluated, or not yet
    alarms.until("live-outer", "OK")
    alarms.set("live-hot", "ALARM")
    alarms.until("live-outer", "ALARM")
    assert alarms.state("live-either") == "ALARM"
    alarms.set("live-full", "ALARM")
    alarms.until("live-outer", "OK")
    wait_for("three messages", lambda: len(alarms.receive()) == 3, 15)
    assert [told["NewStateValue"] for told in alarms.told] == ["OK", "ALARM", "OK"]
    assert alarms.told[1] == alarms.told[1] | {
        "AlarmName": "live-outer",
        "AlarmDescription": "Hot, but not full.",
        "OldStateValue": "OK",
        "AlarmRule": 'ALARM("live-either") AND NOT ALARM(live-full)',
    }
    assert "alarm:live-either is ALARM" in alarms.told[1]["NewStateReason"]


@pytest.mark.aws_documented(SUPPRESSION)
def test_a_suppressor_holds_the_actions_of_a_composite_alarm_back(alarms: Alarms) -> None:
    alarms.make("live-cause", "live-maintenance")
    alarms.set("live-maintenance", "ALARM")
    alarms.client.put_composite_alarm(
        AlarmName="live-held",
        AlarmRule="ALARM(live-cause)",
        AlarmActions=[alarms.topic],
        ActionsSuppressor="live-maintenance",
        ActionsSuppressorWaitPeriod=20,
        ActionsSuppressorExtensionPeriod=20,
    )
    alarms.set("live-cause", "ALARM")
    wait_for(
        "the suppression",
        lambda: alarms.shown("live-held").get("ActionsSuppressedBy") == "Alarm",
        15,
    )
    assert alarms.state("live-held") == "ALARM"
    assert alarms.receive() == []
    alarms.set("live-maintenance", "OK")
    wait_for("the message", lambda: len(alarms.receive()) == 1, 15)
    assert "ActionsSuppressedBy" not in alarms.shown("live-held")


@pytest.mark.aws_documented(f"{MONITORING}/cloudwatch-and-eventbridge.html")
def test_a_change_of_state_is_an_event(cloud: TestCloud, alarms: Alarms) -> None:
    events = cloud.client("events")
    queue = alarms.sqs.create_queue(QueueName="live-events")["QueueUrl"]
    pattern = {
        "source": ["aws.cloudwatch"],
        "detail-type": ["CloudWatch Alarm State Change"],
        "detail": {"alarmName": ["live-heard"]},
    }
    events.put_rule(Name="live-alarms", EventPattern=json.dumps(pattern))
    target = {"Id": "q", "Arn": alarms.arn_of(queue)}
    events.put_targets(Rule="live-alarms", Targets=[target])
    alarms.make("live-heard", AlarmDescription="Heard of.")
    alarms.set("live-heard", "ALARM")
    found = wait_for(
        "the event", lambda: alarms.sqs.receive_message(QueueUrl=queue).get("Messages"), 20
    )
    event = json.loads(found[0]["Body"])
    assert event["resources"] == [alarms.shown("live-heard")["AlarmArn"]]
    detail = event["detail"]
    assert (detail["previousState"]["value"], detail["state"]["value"]) == (
        "INSUFFICIENT_DATA",
        "ALARM",
    )
    assert detail["state"]["reason"] == "by a test"
    assert detail["configuration"]["description"] == "Heard of."
    stat = detail["configuration"]["metrics"][0]["metricStat"]
    assert (stat["metric"]["name"], stat["stat"]) == ("live-heard", "Sum")
    events.remove_targets(Rule="live-alarms", Ids=["q"])
    events.delete_rule(Name="live-alarms")
    alarms.sqs.delete_queue(QueueUrl=queue)


@pytest.mark.aws_documented(f"{API}/API_DescribeAlarmHistory.html")
def test_the_history_has_what_was_configured_changed_and_done(alarms: Alarms) -> None:
    alarms.make("live-past", AlarmActions=[alarms.topic])
    alarms.set("live-past", "ALARM")

    def kinds(**more: Any) -> list[str]:
        found = alarms.history(AlarmName="live-past", ScanBy="TimestampAscending", **more)
        return [item["HistoryItemType"] for item in found]

    wait_for("the action", lambda: kinds() == ["ConfigurationUpdate", "StateUpdate", "Action"], 15)
    assert kinds(HistoryItemType="StateUpdate") == ["StateUpdate"]
    (update,) = alarms.history(AlarmName="live-past", HistoryItemType="StateUpdate")
    assert update["HistorySummary"] == "Alarm updated from INSUFFICIENT_DATA to ALARM"
    assert json.loads(update["HistoryData"])["newState"]["stateValue"] == "ALARM"
    first = alarms.client.describe_alarm_history(AlarmName="live-past", MaxRecords=2)
    rest = alarms.client.describe_alarm_history(
        AlarmName="live-past", MaxRecords=2, NextToken=first["NextToken"]
    )
    assert (len(first["AlarmHistoryItems"]), len(rest["AlarmHistoryItems"])) == (2, 1)
    alarms.client.delete_alarms(AlarmNames=["live-past"])
    # It outlives the alarm.
    wait_for("the deletion", lambda: kinds()[-1] == "ConfigurationUpdate" and len(kinds()) == 4, 15)
    with pytest.raises(ClientError) as caught:
        alarms.client.describe_alarm_history(NextToken="nonsense")
    assert caught.value.response["Error"]["Code"] == "InvalidNextToken"


@pytest.mark.aws_documented(f"{API}/API_DescribeAlarms.html")
def test_alarms_are_described_by_type_and_in_pages(alarms: Alarms) -> None:
    alarms.make("live-a", "live-b", "live-c")
    alarms.client.put_composite_alarm(
        AlarmName="live-d", AlarmRule="ALARM(live-a) OR ALARM(live-b)"
    )
    describe = alarms.client.describe_alarms

    def names(**more: Any) -> list[str]:
        found = describe(**more)
        return [a["AlarmName"] for a in [*found["MetricAlarms"], *found["CompositeAlarms"]]]

    prefix = {"AlarmNamePrefix": "live-"}
    assert names(**prefix) == ["live-a", "live-b", "live-c"]
    assert names(**prefix, AlarmTypes=["CompositeAlarm"]) == ["live-d"]
    assert names(ChildrenOfAlarmName="live-d") == ["live-a", "live-b"]
    assert names(ParentsOfAlarmName="live-a") == ["live-d"]
    pages = [
        [a["AlarmName"] for a in page["MetricAlarms"]]
        for page in alarms.client.get_paginator("describe_alarms").paginate(
            **prefix, PaginationConfig={"PageSize": 2}
        )
    ]
    assert pages == [["live-a", "live-b"], ["live-c"]]


@pytest.mark.aws_documented(f"{API}/API_PutCompositeAlarm.html")
@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"AlarmRule": "ALARM(one) ALARM(two)"}, "after the rule's end"),
        ({"AlarmRule": "ALARM(live-wrong)"}, "cannot depend on itself"),
        ({"AlarmRule": "TRUE", "ActionsSuppressor": "one"}, "given together"),
    ],
)
def test_a_composite_alarm_that_makes_no_sense_is_refused(
    alarms: Alarms, more: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ClientError, match=reason) as caught:
        alarms.client.put_composite_alarm(AlarmName="live-wrong", **more)
    assert caught.value.response["Error"]["Code"] == "ValidationError"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarmHistory.html"
)
def test_the_history_of_an_alarm_is_there_at_once_and_outlives_it(cloud: TestCloud) -> None:
    cloudwatch = cloud.client("cloudwatch")

    def history() -> list[tuple[str, str]]:
        found = cloudwatch.describe_alarm_history(
            AlarmName="live-history", ScanBy="TimestampAscending"
        )["AlarmHistoryItems"]
        return [(item["HistoryItemType"], item["HistorySummary"]) for item in found]

    alarm = {
        "AlarmName": "live-history",
        "Namespace": "live",
        "MetricName": "history",
        "Period": 3600,
        "Statistic": "Sum",
        "Threshold": 1.0,
        "EvaluationPeriods": 1,
        "ComparisonOperator": "GreaterThanThreshold",
    }
    expected = [("ConfigurationUpdate", 'Alarm "live-history" created')]
    cloudwatch.put_metric_alarm(**alarm)
    assert expected == history()
    cloudwatch.set_alarm_state(AlarmName="live-history", StateValue="ALARM", StateReason="r")
    expected.append(("StateUpdate", "Alarm updated from INSUFFICIENT_DATA to ALARM"))
    assert expected == history()
    cloudwatch.put_metric_alarm(**{**alarm, "Threshold": 2.0})
    expected.append(("ConfigurationUpdate", 'Alarm "live-history" updated'))
    assert expected == history()
    cloudwatch.delete_alarms(AlarmNames=["live-history"])
    assert [*expected, ("ConfigurationUpdate", 'Alarm "live-history" deleted')] == history()
