"""The recorder's pure parts: what may be called, the normal form, differences, and the page."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError

from components.prices import INSTANCE_HOUR
from tests.cloud import ACCOUNT, REGION
from tests.recorder import operations
from tests.recorder.cleaning import UNDO, Journal
from tests.recorder.cloud import Connection, RecordedCloud, Recorder, prefix_of
from tests.recorder.normal import Caller, Normaliser, leaks
from tests.recorder.operations import OPERATIONS, Kind, Refused, check, price_of
from tests.recorder.page import PAGE, page, seen
from tests.recorder.replay import Answer, Report, Values, differences
from tests.recorder.storage import (
    Deliberate,
    Origin,
    Unsafe,
    deliberate,
    fingerprint,
    read,
    recordable,
    write,
)

OTHER = "111122223333"
PREFIX = prefix_of("abc123")
CALLER = Caller(
    OTHER, REGION, PREFIX, f"arn:aws:sts::{OTHER}:assumed-role/Admin/jane", "AROAX:jane"
)
TEST = "tests/api/test_event_rules.py::test_a_rule_has_at_most_five_targets"
_SESSION = botocore.session.get_session()


def model(service: str, operation: str) -> Any:
    return _SESSION.get_service_model(service).operation_model(operation)


EACH = [(s, name, o) for s, found in OPERATIONS.items() for name, o in found.items()]


@pytest.mark.parametrize(("service", "name", "operation"), EACH)
def test_each_operation_is_botocores_with_a_member_that_names_its_resource(
    service: str, name: str, operation: operations.Operation
) -> None:
    shape = model(service, name).input_shape
    if operation.kind is Kind.PURE:
        assert operation.resource is None
        return
    for part in str(operation.resource).split("."):
        shape = shape.members[part.removesuffix("[]")]
        shape = shape.member if part.endswith("[]") else shape
    assert shape.type_name == "string"


def test_what_is_created_can_be_deleted_and_nothing_else_is() -> None:
    creates = {(s, name) for s, name, o in EACH if o.kind is Kind.CREATE}
    assert creates == set(UNDO)
    named_so = {(s, name) for s, name, _ in EACH if name.startswith("Create")}
    assert named_so <= creates


@pytest.mark.parametrize(
    ("service", "operation", "request_"),
    [
        ("sqs", "DeleteQueue", {"QueueUrl": "https://sqs/1/production"}),
        ("cloudwatch", "DeleteAlarms", {"AlarmNames": [f"{PREFIX}a", "production"]}),
        ("cloudformation", "DescribeStacks", {}),
        ("cloudwatch", "DescribeAlarms", {"AlarmNames": []}),
        ("codepipeline", "CreatePipeline", {"pipeline": {"name": "production"}}),
        ("events", "PutEvents", {"Entries": [{"Source": "production"}]}),
        ("iam", "CreateUser", {"UserName": f"{PREFIX}u"}),
        ("ec2", "RunInstances", {}),
        (
            "cloudformation",
            "CreateStack",
            {
                "StackName": f"{PREFIX}s",
                "TemplateBody": '{"Properties": {"LogGroupName": "production"}}',
            },
        ),
        (
            "cloudformation",
            "CreateStack",
            {"StackName": f"{PREFIX}s", "TemplateBody": "Properties:\n  QueueName: production\n"},
        ),
        (
            "cloudformation",
            "UpdateStack",
            {"StackName": f"{PREFIX}s", "TemplateBody": "Type: AWS::EC2::Instance"},
        ),
        (
            "cloudformation",
            "CreateChangeSet",
            {"StackName": f"{PREFIX}s", "TemplateURL": "https://s3/template"},
        ),
    ],
)
def test_a_call_that_reaches_others_is_refused(
    service: str, operation: str, request_: dict[str, Any]
) -> None:
    with pytest.raises(Refused):
        check(service, operation, request_, PREFIX, model(service, operation))


@pytest.mark.parametrize(
    ("service", "operation", "request_"),
    [
        ("sqs", "DeleteQueue", {"QueueUrl": f"https://sqs/1/{PREFIX}q"}),
        ("events", "TestEventPattern", {"Event": "{}", "EventPattern": "{}"}),
        ("events", "PutRule", {"Name": ""}),
        ("events", "PutRule", {"Name": "a" * 65}),
        ("events", "PutRule", {}),
        (
            "cloudformation",
            "CreateStack",
            {
                "StackName": f"{PREFIX}s",
                "TemplateBody": "{Type: AWS::SNS::Topic, TopicName: !Sub x, "
                f"QueueName: {{Ref: Q}}, LogGroupName: '{PREFIX}g'}}",
            },
        ),
    ],
)
def test_a_call_about_its_own_or_about_what_cannot_be_is_made(
    service: str, operation: str, request_: dict[str, Any]
) -> None:
    check(service, operation, request_, PREFIX, model(service, operation))


def test_instances_are_priced_by_their_hours() -> None:
    hour = INSTANCE_HOUR["ml.m5.large"]
    job = {
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 2},
        "StoppingCondition": {"MaxRuntimeInSeconds": 1800},
    }
    assert price_of("sagemaker", "CreateTrainingJob", job, {}) == pytest.approx(hour)
    configs: dict[str, float] = {}
    variants = [{"InstanceType": "ml.m5.large", "InitialInstanceCount": 3}]
    config = {"EndpointConfigName": "c", "ProductionVariants": variants}
    assert price_of("sagemaker", "CreateEndpointConfig", config, configs) == 0
    endpoint = {"EndpointName": "e", "EndpointConfigName": "c"}
    price = price_of("sagemaker", "CreateEndpoint", endpoint, configs)
    assert price == pytest.approx(3 * hour)


def test_an_instance_without_a_price_is_refused() -> None:
    job = {"ResourceConfig": {"InstanceType": "ml.p5.48xlarge", "InstanceCount": 1}}
    with pytest.raises(Refused, match=r"no price of 'ml\.p5\.48xlarge'"):
        price_of("sagemaker", "CreateTrainingJob", job, {})
    configs: dict[str, float] = {}
    config = {"EndpointConfigName": "c", "ProductionVariants": [{"InstanceType": "ml.p5.48xlarge"}]}
    price_of("sagemaker", "CreateEndpointConfig", config, configs)
    with pytest.raises(Refused, match="no price"):
        price_of("sagemaker", "CreateEndpoint", {"EndpointConfigName": "c"}, configs)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"arn:aws:sqs:{REGION}:{OTHER}:{PREFIX}q", "arn:aws:sqs:<region>:<account>:<prefix>q"),
        (f"User: {CALLER.arn} is not authorized", "User: <caller> is not authorized"),
        ("Request id: 0a1b2c3d-0000-4000-8000-00000000000f", "Request id: <id:1>"),
        ("at 2026-11-30T12:00:00.123Z.", "at <time:0000-00-00T00:00:00.0Z>."),
        (f"{PREFIX}stack-Topic-ABCDEFGHIJ12", "<prefix>stack-Topic-<id:1>"),
        ("The value 1234 is wrong", "The value 1234 is wrong"),
    ],
)
def test_a_text_has_a_normal_form(text: str, expected: str) -> None:
    assert Normaliser(CALLER).text(text) == expected


def test_a_generated_id_has_one_token_and_what_the_test_gave_keeps_its_value() -> None:
    normal, shape = Normaliser(CALLER), model("events", "PutTargets")
    request = {"Rule": "r", "Targets": [{"Id": "mine", "Arn": "a"}]}
    assert normal.request(request, shape.input_shape) == request
    answer = {"Id": "mine", "EventId": "e-1", "MessageId": "m-2", "Other": "e-1"}
    assert normal.answer(answer, None) == {
        "Id": "mine",
        "EventId": "<id:1>",
        "MessageId": "<id:2>",
        "Other": "<id:1>",
    }


@pytest.mark.parametrize(
    ("service", "operation", "answer"),
    [
        ("sts", "AssumeRole", {"Credentials": {"SecretAccessKey": "hush", "SessionToken": "hush"}}),
        ("ssm", "GetParameter", {"Parameter": {"Value": "hush"}}),
        ("secretsmanager", "GetSecretValue", {"SecretString": "hush", "SecretBinary": b"hush"}),
        ("ecr", "GetAuthorizationToken", {"authorizationData": [{"authorizationToken": "hush"}]}),
        (
            "lambda",
            "GetFunctionConfiguration",
            {"Environment": {"Variables": {"hush_name": "hush"}}},
        ),
        ("kms", "Decrypt", {"Plaintext": b"hush"}),
    ],
)
def test_a_secret_is_a_token(service: str, operation: str, answer: dict[str, Any]) -> None:
    shape = model(service, operation).output_shape
    found = json.dumps(Normaliser(CALLER).answer(answer, shape))
    assert "hush" not in found
    assert b"hush".hex() not in found
    assert "<secret:1>" in found


def test_a_time_in_a_text_keeps_its_format() -> None:
    answer = {"CreatedTimestamp": "1796050045", "SentTimestamp": "1796050045.413526"}
    assert Normaliser(CALLER).answer(answer, None) == {
        "CreatedTimestamp": "<time:0000000000>",
        "SentTimestamp": "<time:0000000000.0>",
    }


def test_a_long_text_of_a_request_is_sent_again_whole_and_that_of_an_answer_is_cut() -> None:
    normal, body = Normaliser(CALLER), f"{PREFIX} " + "x" * 3_000_000
    packed = normal.request({"TemplateBody": body}, None)
    assert len(json.dumps(packed)) < 10_000
    again = Values(Normaliser(replace(CALLER, prefix="other-"))).restored(packed)
    assert again == {"TemplateBody": "other- " + "x" * 3_000_000}
    cut = normal.answer({"TemplateBody": body}, None)["TemplateBody"]
    assert (len(cut), cut[-5:]) == (10_005, "<cut>")


@pytest.mark.parametrize(
    ("secret", "message", "expected"),
    [
        ("v", "Value 'v' is invalid", "Value '<secret>' is invalid"),
        ("hush-hush", "the hush-hush is", "the <secret> is"),
        ("0123456789" * 9000, f"Value '{'0123456789' * 25}012' at", "Value '<secret>' at"),
        ("0123456789" * 4, f"Value '{'0123456789' * 4}'", "Value '<secret>'"),
        ("", "Value '' is", "Value '' is"),
    ],
)
def test_a_message_does_not_repeat_a_secret(secret: str, message: str, expected: str) -> None:
    normal = Normaliser(CALLER)
    normal.request({"SecretString": secret}, model("secretsmanager", "CreateSecret").input_shape)
    assert normal.text(message) == expected


@pytest.mark.parametrize("length", [0, 65_537])
def test_the_length_of_a_secret_that_is_forbidden_is_kept(length: int) -> None:
    shape = model("secretsmanager", "CreateSecret").input_shape
    kept = Normaliser(CALLER).request({"SecretString": "h" * length}, shape)
    assert kept == {"SecretString": {"$secret": length}}
    assert Values(Normaliser(CALLER)).restored(kept) == {"SecretString": "s" * length}


def test_a_text_that_unpacks_to_too_much_is_refused() -> None:
    bomb = base64.b64encode(zlib.compress(b"x" * 20_000_000)).decode()
    with pytest.raises(ValueError, match="more than"):
        Values(Normaliser(CALLER)).restored({"$packed": bomb})


def test_times_and_bytes_have_a_form_that_can_be_sent_again() -> None:
    normal, time = Normaliser(CALLER), datetime(2026, 11, 30, tzinfo=UTC)
    assert normal.request({"StartTime": time}, None) == {"StartTime": {"$time": time.isoformat()}}
    assert normal.answer({"StartTime": time}, None) == {"StartTime": "<time>"}
    assert normal.request({"Body": b"text"}, None) == {"Body": {"$text": "text"}}
    assert normal.request({"Body": b"\xff"}, None) == {"Body": {"$bytes": "/w=="}}


@pytest.mark.parametrize(
    "private",
    [
        OTHER,
        CALLER.arn,
        CALLER.user_id,
        PREFIX,
        "a-secret-access-key",
        "AKIAIOSFODNN7EXAMPLE",
    ],
)
def test_a_recording_with_something_private_is_not_written(tmp_path: Path, private: str) -> None:
    caller = Caller(OTHER, REGION, PREFIX, CALLER.arn, CALLER.user_id, ("a-secret-access-key",))
    assert leaks("nothing", caller) == []
    cases = [{"case": "", "passed": True, "calls": [{"answer": f"x {private} x"}]}]
    with pytest.raises(Unsafe, match="it is not written"):
        write(tmp_path, TEST, Origin("aws", "2026-11-30", "Jane", "1"), cases, caller)
    assert list(tmp_path.iterdir()) == []


class Stand(Connection):
    """A connection whose cloud answers every request with one body, and keeps what was sent."""

    status: int = 200

    sent: list[str] = []  # noqa: RUF012 - one test uses it
    body: bytes = b"{}"

    def client(self, service: str, *, checked: bool = True) -> Any:
        client = boto3.client(
            service,
            region_name=REGION,
            aws_access_key_id="x",
            aws_secret_access_key="x",
        )

        def answer(request: Any, **_: Any) -> AWSResponse:
            self.sent.append(str(request.body))
            response = AWSResponse(request.url, self.status, {}, None)
            response._content = self.body
            return response

        client.meta.events.register("before-send", answer)
        return client


class Refusing(Stand):
    """A connection whose cloud refuses every request."""

    status = 403
    body = b'{"__type": "AccessDenied", "message": "no"}'


def test_the_account_of_the_tests_stands_for_the_one_that_is_recorded(tmp_path: Path) -> None:
    arn = f"arn:aws:sns:{REGION}:%s:{PREFIX}t"
    Stand.body = (
        "<GetTopicAttributesResponse><GetTopicAttributesResult><Attributes><entry>"
        f"<key>TopicArn</key><value>{arn % OTHER}</value></entry></Attributes>"
        "</GetTopicAttributesResult></GetTopicAttributesResponse>"
    ).encode()
    recorder = Recorder(Stand(CALLER), Journal(tmp_path / "journal"))
    cloud = RecordedCloud("", False, recorder=recorder)
    assert cloud.name("t") == f"{PREFIX}t"
    answer = cloud.client("sns").get_topic_attributes(TopicArn=arn % ACCOUNT)
    assert answer["Attributes"] == {"TopicArn": arn % ACCOUNT}
    assert OTHER in Stand.sent[-1]
    assert ACCOUNT not in Stand.sent[-1]
    (call,) = recorder.case().calls
    assert call["request"] == {"TopicArn": "arn:aws:sns:<region>:<account>:<prefix>t"}
    assert call["answer"]["Attributes"] == call["request"]


def test_a_resource_is_in_the_journal_before_it_is_created(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    recorder = Recorder(Stand(CALLER), journal)
    with pytest.raises(Refused):
        recorder.client("sqs").create_queue(QueueName="production")
    assert journal.entries == []
    with pytest.raises(Exception, match="Attributes"):
        recorder.client("sqs").create_queue(QueueName=f"{PREFIX}q", Attributes=5)
    assert Journal(tmp_path / "journal").entries == [("sqs", "CreateQueue", f"{PREFIX}q", OTHER)]


def test_what_aws_refuses_to_create_is_struck_out_of_the_journal(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    sqs = Recorder(Refusing(CALLER), journal).client("sqs")
    with pytest.raises(ClientError, match="AccessDenied"):
        sqs.create_queue(QueueName=f"{PREFIX}q")
    assert journal.entries == []
    # What an earlier call may have created stays.
    journal.add("sqs", "CreateQueue", f"{PREFIX}q", OTHER)
    with pytest.raises(ClientError, match="AccessDenied"):
        sqs.create_queue(QueueName=f"{PREFIX}q")
    assert Journal(tmp_path / "journal").entries == [("sqs", "CreateQueue", f"{PREFIX}q", OTHER)]


def refusal(code: str, message: str) -> dict[str, Any]:
    return {"status": 400, "error": {"code": code, "message": message}}


@pytest.mark.parametrize(
    ("recorded", "local", "expected"),
    [
        (refusal("A", "m <id:1>"), refusal("A", "m <id:7>"), []),
        (refusal("A", "m"), refusal("B", "m"), ["error code"]),
        (refusal("A", "m"), refusal("A", "n"), ["error text"]),
        (refusal("A", "m"), {"status": 200, "answer": {}}, ["status", "error"]),
        ({"status": 200, "answer": {"a": 1}}, {"status": 200, "answer": {"a": 1.0}}, []),
        ({"status": 200, "answer": {"a": 1}}, {"status": 200, "answer": {"a": True}}, ["type"]),
        ({"status": 200, "answer": {"a": None}}, {"status": 200, "answer": {}}, ["member missing"]),
        ({"status": 200, "answer": {"a": [1, 2]}}, {"status": 200, "answer": {"a": [2]}}, [
            "length", "value",
        ]),
        ({"status": 200, "answer": {"a": "<time>"}}, {"status": 200, "answer": {"a": "now"}}, [
            "value",
        ]),
    ],
)  # fmt: skip
def test_two_answers_differ_by_kind(
    recorded: dict[str, Any], local: dict[str, Any], expected: list[str]
) -> None:
    assert [d.kind for d in differences(recorded, local)] == expected


def test_a_difference_that_is_meant_is_taken_out_of_its_answer() -> None:
    found = tuple(differences(refusal("A", "m"), refusal("B", "n")))
    report = Report([Answer(TEST, "", "events", "PutTargets", 1, found)])
    report.allow([Deliberate(TEST, "PutTargets", "error text", "", "our words")])
    assert [d.kind for d in report.answers[0].differences] == ["error code"]
    assert report.meant[0].endswith(": our words")
    report.allow([Deliberate(TEST, "PutRule", "error text", "", "our words")])
    assert report.problems[0].endswith("no such difference any more")


def recording(cloud: str = "aws", passed: bool = True, source: str | None = None) -> dict[str, Any]:
    return {
        "test": TEST,
        "source": fingerprint(TEST) if source is None else source,
        "recorded": {"cloud": cloud, "on": "2026-11-30", "by": "Jane Doe", "botocore": "1"},
        "cases": [{"case": "", "passed": True, "calls": []}, {"case": "b", "passed": passed}],
    }


@pytest.mark.parametrize(
    ("recordings", "expected"),
    [
        ([], "not yet"),
        ([recording("http://127.0.0.1:4566")], "not yet"),
        ([recording()], "2026-11-30, Jane Doe"),
        ([recording(passed=False)], "differs: 2026-11-30, Jane Doe"),
        ([recording(source="older")], "outdated: 2026-11-30, Jane Doe"),
    ],
)
def test_a_rule_is_seen_only_by_a_recording_of_aws(
    recordings: list[dict[str, Any]], expected: str
) -> None:
    assert seen(TEST, recordings) == expected
    row = next(
        line for line in page(PAGE.read_text(), recordings).splitlines() if "most_five" in line
    )
    assert row.endswith(f"| documented | {expected} |")


def test_the_page_says_what_the_recordings_say() -> None:
    assert page(PAGE.read_text(), read()[0]) == PAGE.read_text(), "run: make recordings"


def test_a_recording_in_the_repository_is_of_aws_and_of_a_test_that_is_there() -> None:
    tests = set(recordable())
    assert TEST in tests
    recordings, problems = read()
    assert problems == []
    deliberate()
    for found in recordings:
        assert found["recorded"]["cloud"] == "aws"
        assert found["test"] in tests
