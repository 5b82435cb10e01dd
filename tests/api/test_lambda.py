"""Lambda: a function's own zip under AWS's own runtime client."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.archives import zip_of
from tests.cloud import TRUST, TestCloud, wait_for

INVOKE = "https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html"
HANDLERS = """
import os, time

def echo(event, context):
    print("hello from", context.function_name)
    return {"event": event, "id": context.aws_request_id, "pid": os.getpid()}

def fail(event, context):
    raise ValueError("the event was wrong")

def hang(event, context):
    time.sleep(60)

def environment(event, context):
    return dict(os.environ)
"""

Make = Callable[..., str]


@pytest.fixture
def make(cloud: TestCloud) -> Iterator[Make]:
    functions = cloud.client("lambda")
    names: list[str] = []
    role = "arn:aws:iam::000000000000:role/function"
    iam = cloud.client("iam")
    iam.create_role(RoleName="function", AssumeRolePolicyDocument=TRUST)

    def create(handler: str, code: str = HANDLERS, **settings: Any) -> str:
        name = f"function-{handler}-{len(names)}"
        functions.create_function(
            FunctionName=name,
            Role=role,
            Runtime="python3.12",
            Handler=f"handlers.{handler}",
            Code={"ZipFile": zip_of({"handlers.py": code})},
            **settings,
        )
        names.append(name)
        return name

    yield create
    for name in names:
        functions.delete_function(FunctionName=name)
    iam.delete_role(RoleName="function")


@pytest.mark.aws_documented(INVOKE)
def test_a_function_answers_and_its_next_event_finds_it_warm(cloud: TestCloud, make: Make) -> None:
    functions, name = cloud.client("lambda"), make("echo")
    first = functions.invoke(FunctionName=name, Payload=b'{"a": 1}', LogType="Tail")
    document = json.loads(first["Payload"].read())
    second = json.loads(functions.invoke(FunctionName=name)["Payload"].read())
    assert document["event"] == {"a": 1}
    assert "FunctionError" not in first
    assert document["pid"] == second["pid"]
    assert document["id"] != second["id"]
    assert "REPORT RequestId" in base64.b64decode(first["LogResult"]).decode()


@pytest.mark.aws_documented(INVOKE)
def test_what_a_function_prints_is_in_its_log_group(cloud: TestCloud, make: Make) -> None:
    name = make("echo")
    cloud.client("lambda").invoke(FunctionName=name)
    logs = cloud.client("logs")

    def lines() -> list[str]:
        try:
            found = logs.filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
        except logs.exceptions.ResourceNotFoundException:
            return []
        return [event["message"] for event in found]

    wait_for("the printed line", lambda: f"hello from {name}" in lines(), 5)
    wait_for("the report", lambda: any(line.startswith("REPORT") for line in lines()), 5)


@pytest.mark.aws_documented("https://docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html")
def test_an_exception_has_awss_function_error_shape(cloud: TestCloud, make: Make) -> None:
    answer = cloud.client("lambda").invoke(FunctionName=make("fail"))
    document = json.loads(answer["Payload"].read())
    assert answer["StatusCode"] == 200
    assert answer["FunctionError"] == "Unhandled"
    assert document["errorType"] == "ValueError"
    assert document["errorMessage"] == "the event was wrong"
    assert document["stackTrace"]


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/lambda/latest/dg/troubleshooting-invocation.html"
)
def test_a_handler_past_its_timeout_is_killed(cloud: TestCloud, make: Make) -> None:
    answer = cloud.client("lambda").invoke(FunctionName=make("hang", Timeout=1))
    document = json.loads(answer["Payload"].read())
    assert answer["FunctionError"] == "Unhandled"
    assert "Task timed out after 1." in document["errorMessage"]


@pytest.mark.aws_documented(INVOKE)
def test_code_that_cannot_be_imported_says_so(cloud: TestCloud, make: Make) -> None:
    name = make("echo", code="import no_such_module")
    answer = cloud.client("lambda").invoke(FunctionName=name)
    assert "no_such_module" in json.loads(answer["Payload"].read())["errorMessage"]


@pytest.mark.emulator_only
def test_a_function_gets_its_own_environment_and_no_other(
    cloud: TestCloud, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = make("environment", Environment={"Variables": {"MINE": "1"}})
    seen = json.loads(cloud.client("lambda").invoke(FunctionName=name)["Payload"].read())
    assert seen["MINE"] == "1"
    assert seen["AWS_ENDPOINT_URL"] == cloud.url
    assert "PYTEST_CURRENT_TEST" not in seen


@pytest.mark.aws_documented(INVOKE)
def test_a_missing_function_is_a_404_and_a_bad_event_a_400(cloud: TestCloud, make: Make) -> None:
    functions = cloud.client("lambda")
    with pytest.raises(ClientError) as missing:
        functions.invoke(FunctionName="no-such-function")
    with pytest.raises(ClientError) as bad:
        functions.invoke(FunctionName=make("echo"), Payload=b"not json")
    assert missing.value.response["Error"]["Code"] == "ResourceNotFoundException"
    assert missing.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    assert bad.value.response["Error"]["Code"] == "InvalidRequestContentException"
