"""EventBridge over HTTP: schedules, patterns, targets and entries that AWS refuses; pages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud import ACCOUNT, REGION, TestCloud, wait_for

API = "https://docs.aws.amazon.com/eventbridge/latest/APIReference"
TRANSFORM = (
    "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html"
)
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:event-rules"
EVENT = {
    "id": "1",
    "account": ACCOUNT,
    "source": "mine",
    "time": "2026-11-30T12:00:00Z",
    "region": REGION,
    "resources": [],
    "detail-type": "Said",
    "detail": {"n": 1},
}


@pytest.fixture
def events(cloud: TestCloud) -> Any:
    return cloud.client("events")


@pytest.fixture
def rule(cloud: TestCloud, events: Any) -> Iterator[str]:
    name = cloud.name("event-rules")
    events.put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))
    yield name
    found = events.list_targets_by_rule(Rule=name)["Targets"]
    if found:
        events.remove_targets(Rule=name, Ids=[target["Id"] for target in found])
    events.delete_rule(Name=name)


def error_of(call: Any, **parameters: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.mark.recordable
@pytest.mark.aws_documented(f"{API}/API_PutRule.html")
@pytest.mark.parametrize(
    "expression",
    [
        "cron(INVALID)",
        "cron(71 8 1 * ? *)",
        "cron(0 8 1 * MON *)",
        "cron(* * * * *)",
        "cron(15 12 ? * 0 *)",
        "rate(5 minute)",
        "rate(1 minutes)",
        "rate(0 minutes)",
        "rate(5 seconds)",
        "at(2030-01-01T00:00:00)",
        "every day",
    ],
)
def test_a_schedule_that_is_not_valid_is_refused(
    cloud: TestCloud, events: Any, expression: str
) -> None:
    name = cloud.name("bad")
    assert error_of(events.put_rule, Name=name, ScheduleExpression=expression) == (
        "ValidationException",
        "Parameter ScheduleExpression is not valid.",
    )
    assert error_of(events.describe_rule, Name=name)[0] == "ResourceNotFoundException"


@pytest.mark.recordable
@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html"
)
def test_a_pattern_of_over_2048_characters_is_refused(cloud: TestCloud, events: Any) -> None:
    name, pattern = cloud.name("long"), json.dumps({"source": ["x" * 2100]})
    assert error_of(events.put_rule, Name=name, EventPattern=pattern) == (
        "ValidationException",
        f"Parameter EventPattern for rule {name} exceeds limit of 2048.",
    )


@pytest.mark.recordable
@pytest.mark.aws_documented(f"{API}/API_PutTargets.html")
@pytest.mark.parametrize(
    ("target", "message"),
    [
        (
            {"Input": "{}", "InputPath": "$.detail"},
            "Only one of Input, InputPath, or InputTransformer must be provided for target t.",
        ),
        (
            {"InputPath": "$", "InputTransformer": {"InputTemplate": '"x"'}},
            "Only one of Input, InputPath, or InputTransformer must be provided for target t.",
        ),
        ({"Input": "hello"}, "JSON syntax error in input for target t."),
        ({"InputPath": "detail"}, "InputPath for target t is invalid."),
        ({"InputPath": "$.detail['a']"}, "InputPath for target t is invalid."),
        (
            {"InputTransformer": {"InputPathsMap": {"a": "b"}, "InputTemplate": '"<a>"'}},
            "InputPath for target t is invalid.",
        ),
        (
            {"InputTransformer": {"InputPathsMap": {"a": "$.b"}, "InputTemplate": '"<b>"'}},
            "InputTemplate for target t contains invalid placeholder b.",
        ),
        (
            {"InputTransformer": {"InputTemplate": '"<aws.events.event.json>"'}},
            "InputTemplate for target t contains placeholder aws.events.event.json valid only for "
            "JSON template.",
        ),
        (
            {"InputTransformer": {"InputTemplate": '{"a": }'}},
            "Invalid InputTemplate for target t: it is not JSON.",
        ),
        (
            {"EcsParameters": {"TaskDefinitionArn": "arn:aws:ecs:us-east-1:1:task-definition/t"}},
            "Parameter(s) EcsParameters not supported for target: t.",
        ),
        (
            {"DeadLetterConfig": {"Arn": f"arn:aws:sns:{REGION}:{ACCOUNT}:t"}},
            "sns is not supported as a dead letter resource.",
        ),
        (
            {"DeadLetterConfig": {"Arn": f"{QUEUE}.fifo"}},
            "SQS FIFO is not supported by Dead Letter Queues.",
        ),
    ],
)
def test_a_target_whose_input_cannot_be_made_is_refused(
    events: Any, rule: str, target: dict[str, Any], message: str
) -> None:
    refused = error_of(
        events.put_targets,
        Rule=rule,
        Targets=[{"Id": "good", "Arn": QUEUE}, {"Id": "t", "Arn": QUEUE, **target}],
    )
    assert refused == ("ValidationException", message)
    assert events.list_targets_by_rule(Rule=rule)["Targets"] == []


@pytest.mark.recordable
@pytest.mark.aws_documented(f"{API}/API_PutTargets.html")
def test_a_rule_has_at_most_five_targets(events: Any, rule: str) -> None:
    targets = [{"Id": str(n), "Arn": QUEUE} for n in range(6)]
    code, _ = error_of(events.put_targets, Rule=rule, Targets=targets)
    assert code == "LimitExceededException"
    events.put_targets(Rule=rule, Targets=targets[:5])
    # The ids that it has already may be put again.
    events.put_targets(Rule=rule, Targets=targets[2:5])
    code, _ = error_of(events.put_targets, Rule=rule, Targets=targets[5:])
    assert code == "LimitExceededException"
    assert len(events.list_targets_by_rule(Rule=rule)["Targets"]) == 5


@pytest.mark.recordable
@pytest.mark.botocore_modelled
@pytest.mark.parametrize("name", ["a b", "a/b", "x" * 65])
def test_the_id_of_a_target_has_a_pattern(events: Any, rule: str, name: str) -> None:
    code, message = error_of(events.put_targets, Rule=rule, Targets=[{"Id": name, "Arn": QUEUE}])
    assert code == "ValidationException"
    assert "targets.1.member.id" in message


@pytest.mark.recordable
@pytest.mark.aws_documented(f"{API}/API_PutEvents.html")
@pytest.mark.parametrize("detail", ["[1]", '"text"', "5", "null", "{", "[" * 5000])
def test_a_detail_that_is_no_object_is_malformed(
    cloud: TestCloud, events: Any, detail: str
) -> None:
    good = {"Source": cloud.name("s"), "DetailType": "d", "Detail": "{}"}
    answer = events.put_events(Entries=[good | {"Detail": detail}, good])
    assert answer["FailedEntryCount"] == 1
    assert answer["Entries"][0] == {
        "ErrorCode": "MalformedDetail",
        "ErrorMessage": "Detail is malformed.",
    }
    assert answer["Entries"][1]["EventId"]


@pytest.mark.aws_documented(f"{API}/API_PutEvents.html")
def test_entries_of_over_a_megabyte_are_refused(events: Any) -> None:
    def entry(size: int) -> dict[str, str]:
        return {"Source": "s", "DetailType": "d", "Detail": json.dumps({"a": "x" * (size - 11)})}

    half = 512 * 1024
    assert events.put_events(Entries=[entry(half), entry(half)])["FailedEntryCount"] == 0
    assert error_of(events.put_events, Entries=[entry(half), entry(half + 1)]) == (
        "ValidationException",
        "Total size of the entries in the request is over the limit.",
    )


@pytest.mark.aws_documented(f"{API}/API_PutEventsResultEntry.html")
def test_an_event_in_the_name_of_a_service_of_aws_is_refused(events: Any) -> None:
    entry = {"Source": "aws.s3", "DetailType": "Object Created", "Detail": "{}"}
    answer = events.put_events(Entries=[entry])
    assert answer["Entries"][0]["ErrorCode"] == "NotAuthorizedForSourceException"


@pytest.mark.recordable
@pytest.mark.aws_documented(f"{API}/API_TestEventPattern.html")
@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ({"source": ["mine"]}, True),
        ({"source": ["yours"]}, False),
        ({"detail": {"n": [{"numeric": [">", 0]}]}}, True),
        ({"detail": {"n": [True]}}, False),
        ({"resources": [{"exists": True}]}, False),
        ({"source": ["mine"], "$or": [{"detail": {"n": [2]}}, {"account": [ACCOUNT]}]}, True),
    ],
)
def test_a_pattern_can_be_tried(events: Any, pattern: dict[str, Any], expected: bool) -> None:
    answer = events.test_event_pattern(EventPattern=json.dumps(pattern), Event=json.dumps(EVENT))
    assert answer["Result"] is expected


@pytest.mark.recordable
@pytest.mark.aws_documented(f"{API}/API_TestEventPattern.html")
def test_a_pattern_or_an_event_that_is_none_is_refused(events: Any) -> None:
    event = json.dumps(EVENT)
    assert error_of(events.test_event_pattern, EventPattern='{"source": "x"}', Event=event) == (
        "InvalidEventPatternException",
        "Event pattern is not valid. Reason: 'source' must be an object or an array",
    )
    for bad in ("{", "[]", json.dumps({"source": "x"})):
        code, message = error_of(
            events.test_event_pattern, EventPattern='{"source": ["x"]}', Event=bad
        )
        assert code == "ValidationException"
        assert message.startswith("Parameter Event is not valid.")


@pytest.mark.botocore_modelled
def test_lists_come_in_pages(events: Any, rule: str) -> None:
    names = [f"pages-{n}" for n in range(5)]
    for name in names:
        events.put_rule(Name=name, EventPattern='{"source": ["pages"]}')
        events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": QUEUE}])
    events.put_targets(Rule=rule, Targets=[{"Id": n, "Arn": QUEUE} for n in "abcde"])
    try:
        for operation, member, parameters in (
            ("list_rules", "Rules", {"NamePrefix": "pages-"}),
            ("list_targets_by_rule", "Targets", {"Rule": rule}),
            ("list_rule_names_by_target", "RuleNames", {"TargetArn": QUEUE}),
        ):
            call = getattr(events, operation)
            whole = call(**parameters)[member]
            assert len(whole) >= 5
            pages = [call(Limit=2, **parameters)]
            while "NextToken" in pages[-1]:
                pages.append(call(Limit=2, NextToken=pages[-1]["NextToken"], **parameters))
            assert {len(page[member]) for page in pages[:-1]} == {2}
            assert [each for page in pages for each in page[member]] == whole
            code, _ = error_of(call, NextToken="made-up", **parameters)
            assert code == "InvalidToken"
    finally:
        for name in names:
            events.remove_targets(Rule=name, Ids=["1"])
            events.delete_rule(Name=name)


@pytest.mark.botocore_modelled
def test_archives_connections_and_destinations_come_in_pages(events: Any) -> None:
    bus = events.describe_event_bus()["Arn"]
    credentials = {"ApiKeyAuthParameters": {"ApiKeyName": "k", "ApiKeyValue": "v"}}
    for n in range(3):
        events.create_archive(ArchiveName=f"page-{n}", EventSourceArn=bus)
        connection = events.create_connection(
            Name=f"page-{n}", AuthorizationType="API_KEY", AuthParameters=credentials
        )
        events.create_api_destination(
            Name=f"page-{n}",
            ConnectionArn=connection["ConnectionArn"],
            InvocationEndpoint="https://example.com/",
            HttpMethod="POST",
        )
    for operation, member in (
        ("list_archives", "Archives"),
        ("list_connections", "Connections"),
        ("list_api_destinations", "ApiDestinations"),
    ):
        call = getattr(events, operation)
        first = call(NamePrefix="page-", Limit=2)
        second = call(NamePrefix="page-", Limit=2, NextToken=first["NextToken"])
        assert first[member] + second[member] == call(NamePrefix="page-")[member]
        assert len(second[member]) == 1
        assert error_of(call, NextToken="made-up")[0] == "InvalidToken"
    assert events.list_replays()["Replays"] == []
    for n in range(3):
        events.delete_archive(ArchiveName=f"page-{n}")
        events.delete_api_destination(Name=f"page-{n}")
        events.delete_connection(Name=f"page-{n}")


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-archive.html"
)
def test_an_archive_keeps_the_events_that_it_matches(events: Any) -> None:
    events.create_archive(
        ArchiveName="kept",
        EventSourceArn=events.describe_event_bus()["Arn"],
        EventPattern='{"source": ["archived"]}',
    )
    for source in ("archived", "other", "archived"):
        events.put_events(Entries=[{"Source": source, "DetailType": "d", "Detail": "{}"}])
    assert events.describe_archive(ArchiveName="kept")["EventCount"] == 2
    events.delete_archive(ArchiveName="kept")


@pytest.mark.botocore_modelled
def test_a_list_of_what_is_not_there_is_an_error(events: Any) -> None:
    assert error_of(events.list_targets_by_rule, Rule="none") == (
        "ResourceNotFoundException",
        "Rule none does not exist on EventBus default.",
    )
    assert error_of(events.list_rules, EventBusName="none") == (
        "ResourceNotFoundException",
        "Event bus none does not exist.",
    )
    (bus,) = events.list_event_buses(NamePrefix="default")["EventBuses"]
    assert bus["Arn"].endswith(":event-bus/default")


@pytest.mark.aws_documented(TRANSFORM)
def test_each_kind_of_input_reaches_a_queue_as_it_is(
    cloud: TestCloud, events: Any, rule: str
) -> None:
    sqs = cloud.client("sqs")
    url = sqs.create_queue(QueueName="event-rules")["QueueUrl"]
    transformer = {
        "InputPathsMap": {"who": "$.detail.who", "all": "$.detail.list[1]", "no": "$.detail.no"},
        "InputTemplate": '{"who": <who>, "said": "<who> <all>", "no": <no>, "rule": '
        '"<aws.events.rule-name>"}',
    }
    text = {"InputPathsMap": {"who": "$.detail.who"}, "InputTemplate": '"<who> was here"'}
    events.put_targets(
        Rule=rule,
        Targets=[
            {"Id": "constant", "Arn": QUEUE, "Input": '"a constant"'},
            {"Id": "path", "Arn": QUEUE, "InputPath": "$.detail.list"},
            {"Id": "template", "Arn": QUEUE, "InputTransformer": transformer},
            {"Id": "text", "Arn": QUEUE, "InputTransformer": text},
        ],
    )
    detail = {"who": 'Ada "A."', "list": [1, {"b": 2}]}
    events.put_events(
        Entries=[{"Source": rule, "DetailType": "Said", "Detail": json.dumps(detail)}]
    )
    seen: set[str] = set()

    def all_of_them() -> bool:
        found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        seen.update(message["Body"] for message in found)
        return len(seen) == 4

    wait_for("four messages", all_of_them, 20)
    assert '"a constant"' in seen
    assert '[1, {"b": 2}]' in seen
    assert '"Ada "A." was here"' in seen
    (made,) = [json.loads(body) for body in seen if body.startswith("{")]
    assert made == {
        "who": 'Ada "A."',
        "said": 'Ada "A." {"b": 2}',
        "no": "",
        "rule": rule,
    }
    sqs.delete_queue(QueueUrl=url)


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rules.html"
)
def test_a_rule_with_a_schedule_alone_gets_no_events(
    cloud: TestCloud, events: Any, rule: str
) -> None:
    sqs = cloud.client("sqs")
    url = sqs.create_queue(QueueName="event-rules-schedule")["QueueUrl"]
    queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:event-rules-schedule"
    events.put_rule(Name="yearly", ScheduleExpression="rate(365 days)")
    events.put_targets(Rule="yearly", Targets=[{"Id": "q", "Arn": queue, "Input": '"yearly"'}])
    events.put_targets(Rule=rule, Targets=[{"Id": "q", "Arn": queue, "Input": '"event"'}])
    events.put_events(Entries=[{"Source": rule, "DetailType": "d", "Detail": "{}"}])
    # Rules are matched in the order of their creation, and the schedule's was first.
    (found,) = wait_for("the event", lambda: sqs.receive_message(QueueUrl=url).get("Messages"), 20)
    assert found["Body"] == '"event"'
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    events.remove_targets(Rule="yearly", Ids=["q"])
    events.delete_rule(Name="yearly")
    sqs.delete_queue(QueueUrl=url)


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-bus-to-bus.html"
)
def test_an_event_goes_from_one_bus_to_another(cloud: TestCloud, events: Any, rule: str) -> None:
    sqs = cloud.client("sqs")
    url = sqs.create_queue(QueueName="event-rules-bus")["QueueUrl"]
    queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:event-rules-bus"
    bus = events.create_event_bus(Name="other")["EventBusArn"]
    default = events.describe_event_bus()["Arn"]
    pattern = json.dumps({"source": [rule]})
    events.put_rule(Name="there", EventBusName="other", EventPattern=pattern)
    # The second target sends it back, which ends at the limit.
    there = [{"Id": "queue", "Arn": queue}, {"Id": "back", "Arn": default}]
    events.put_targets(Rule="there", EventBusName="other", Targets=there)
    events.put_targets(Rule=rule, Targets=[{"Id": "bus", "Arn": bus}])
    detail = json.dumps({"n": 1})
    answer = events.put_events(Entries=[{"Source": rule, "DetailType": "d", "Detail": detail}])
    (found,) = wait_for("the event", lambda: sqs.receive_message(QueueUrl=url).get("Messages"), 20)
    event = json.loads(found["Body"])
    assert event["id"] == answer["Entries"][0]["EventId"]
    assert (event["source"], event["detail"]) == (rule, {"n": 1})
    events.remove_targets(Rule="there", EventBusName="other", Ids=["queue", "back"])
    events.delete_rule(Name="there", EventBusName="other")
    events.delete_event_bus(Name="other")
    sqs.delete_queue(QueueUrl=url)


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html"
)
def test_an_event_that_cannot_be_delivered_goes_to_the_dead_letter_queue(
    cloud: TestCloud, events: Any, rule: str
) -> None:
    sqs = cloud.client("sqs")
    url = sqs.create_queue(QueueName="event-rules-dead")["QueueUrl"]
    dead = f"arn:aws:sqs:{REGION}:{ACCOUNT}:event-rules-dead"
    nowhere = f"arn:aws:sqs:{REGION}:{ACCOUNT}:no-such-queue"
    events.put_targets(
        Rule=rule, Targets=[{"Id": "1", "Arn": nowhere, "DeadLetterConfig": {"Arn": dead}}]
    )
    events.put_events(Entries=[{"Source": rule, "DetailType": "Lost", "Detail": "{}"}])
    found = wait_for(
        "the dead letter",
        lambda: sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"]).get("Messages"),
        20,
    )
    assert json.loads(found[0]["Body"])["detail-type"] == "Lost"
    told = {k: v["StringValue"] for k, v in found[0]["MessageAttributes"].items()}
    assert told["TARGET_ARN"] == nowhere
    assert told["RULE_ARN"].endswith(f"rule/{rule}")
    assert {"ERROR_CODE", "ERROR_MESSAGE"} <= set(told)
    sqs.delete_queue(QueueUrl=url)
