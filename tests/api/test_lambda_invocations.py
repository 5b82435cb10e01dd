"""Lambda: what an invocation gives the handler, and what becomes of it."""

from __future__ import annotations

import base64
import json
import re
import threading
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud import ACCOUNT, REGION, TestCloud, have_role, wait_for
from tests.functions import ROLE, Functions, saying

INVOKE = "https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html"
VARIABLES = "https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html"
TROUBLE = "https://docs.aws.amazon.com/lambda/latest/dg/troubleshooting-invocation.html"
ASYNC = "https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html"


@pytest.mark.aws_documented(INVOKE)
def test_the_answer_has_the_request_id_of_the_function(functions: Functions) -> None:
    code = "def handler(event, context):\n    return context.aws_request_id\n"
    functions.make("ids", code)
    answer, request_id = functions.invoke("ids")
    assert answer["ResponseMetadata"]["RequestId"] == request_id
    assert answer["ExecutedVersion"] == "$LATEST"


@pytest.mark.aws_documented(INVOKE)
def test_a_client_context_reaches_the_handler(functions: Functions) -> None:
    code = (
        "def handler(event, context):\n"
        "    c = context.client_context\n"
        "    return c and [c.custom, c.env, c.client.app_title]\n"
    )
    functions.make("contexts", code)
    document = {"custom": {"k": "ü"}, "env": {"e": "1"}, "client": {"app_title": "app"}}
    text = base64.b64encode(json.dumps(document).encode()).decode()
    _, seen = functions.invoke("contexts", ClientContext=text)
    assert seen == [{"k": "ü"}, {"e": "1"}, "app"]
    assert functions.invoke("contexts")[1] is None
    for bad in ("{}", base64.b64encode(b"[1]").decode(), base64.b64encode(b"x" * 2700).decode()):
        code_, _ = functions.refused("invoke", FunctionName="contexts", ClientContext=bad)
        assert code_ == "InvalidRequestContentException"


@pytest.mark.aws_documented(VARIABLES)
def test_the_handler_has_the_variables_of_the_runtime(functions: Functions) -> None:
    code = "import os\ndef handler(event, context):\n    return dict(os.environ)\n"
    functions.make("variables", code, MemorySize=256, Publish=True)
    _, seen = functions.invoke("variables", Qualifier="1")
    assert seen == seen | {
        "TZ": ":UTC",
        "LANG": "en_US.UTF-8",
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_FUNCTION_VERSION": "1",
        "AWS_LAMBDA_FUNCTION_NAME": "variables",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/variables",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.12",
        "AWS_REGION": REGION,
        "_HANDLER": "main.handler",
    }
    assert "/[1]" in seen["AWS_LAMBDA_LOG_STREAM_NAME"]
    assert {"AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "LAMBDA_TASK_ROOT"} <= set(seen)


@pytest.mark.aws_documented(VARIABLES)
def test_a_function_may_set_its_time_zone(functions: Functions) -> None:
    code = "import time\ndef handler(event, context):\n    return time.tzname[0]\n"
    functions.make("zones", code, Environment={"Variables": {"TZ": "Asia/Tokyo"}})
    assert functions.invoke("zones")[1] == "JST"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html"
)
def test_a_handler_has_the_memory_of_its_function_and_no_more(functions: Functions) -> None:
    code = (
        "def handler(event, context):\n"
        "    kept = bytearray(event['mib'] << 20)\n"
        "    kept[::4096] = bytes(len(kept[::4096]))\n"
        "    return len(kept) >> 20\n"
    )
    functions.make("memory", code, MemorySize=192, Timeout=20)
    for mib in (8, 400, 8):
        payload = json.dumps({"mib": mib}).encode()
        answer, seen = functions.invoke("memory", payload, LogType="Tail")
        report = base64.b64decode(answer["LogResult"]).decode().rpartition("REPORT")[2]
        used = re.search(r"Memory Size: 192 MB\tMax Memory Used: (\d+) MB", report)
        assert used is not None
        if mib == 8:
            assert seen == mib
            assert 8 < int(used[1]) < 192
            continue
        # What it held between two looks counts, too: the handler returns before the second one.
        assert seen["errorType"] == "Runtime.OutOfMemory"
        assert "Runtime exited with error: signal: killed" in seen["errorMessage"]
        assert answer["FunctionError"] == "Unhandled"
        assert int(used[1]) == 192
        assert "Error Type: Runtime.OutOfMemory" in report


@pytest.mark.aws_documented(TROUBLE)
@pytest.mark.parametrize(
    ("body", "error_type", "message"),
    [
        ("import time; time.sleep(60)", "Sandbox.Timedout", "Task timed out after 1.00 seconds"),
        (
            "import os; os._exit(1)",
            "Runtime.ExitError",
            "Runtime exited with error: exit status 1",
        ),
        (
            "import os; os._exit(0)",
            "Runtime.ExitError",
            "Runtime exited without providing a reason",
        ),
        (
            "import os; os.kill(os.getpid(), 9)",
            "Runtime.ExitError",
            "Runtime exited with error: signal: killed",
        ),
    ],
)
def test_the_error_says_how_a_handler_ended(
    functions: Functions, body: str, error_type: str, message: str
) -> None:
    functions.make("ends", f"def handler(event, context):\n    {body}\n", Timeout=1)
    answer, payload = functions.invoke("ends")
    request_id = answer["ResponseMetadata"]["RequestId"]
    assert answer["FunctionError"] == "Unhandled"
    assert payload == {
        "errorType": error_type,
        "errorMessage": f"RequestId: {request_id} Error: {message}",
    }
    # The next event has an environment of its own.
    functions.change("ends", saying("well"))
    assert functions.invoke("ends")[1] == "well"


@pytest.mark.aws_documented(INVOKE)
def test_a_response_of_over_six_megabytes_is_an_error(functions: Functions) -> None:
    functions.make("large", "def handler(event, context):\n    return 'x' * event['size']\n")
    _, payload = functions.invoke("large", b'{"size": 6291554}')
    assert len(payload) == 6291554
    for size in (6291555, 20_000_000):
        answer, payload = functions.invoke("large", json.dumps({"size": size}).encode())
        assert answer["FunctionError"] == "Unhandled"
        assert payload == {
            "errorType": "Function.ResponseSizeTooLarge",
            "errorMessage": "Response payload size exceeded maximum allowed payload size "
            "(6291556 bytes).",
        }


@pytest.mark.aws_documented(INVOKE)
@pytest.mark.parametrize(
    ("kind", "limit"), [("RequestResponse", 6_291_456), ("Event", 1024 * 1024)]
)
def test_an_event_that_is_too_large_is_refused(functions: Functions, kind: str, limit: int) -> None:
    functions.make("small", saying("one"))
    payload = json.dumps("x" * (limit - 1)).encode()
    with pytest.raises(ClientError) as caught:
        functions.client.invoke(FunctionName="small", InvocationType=kind, Payload=payload)
    error, about = caught.value.response["Error"], caught.value.response["ResponseMetadata"]
    assert (error["Code"], about["HTTPStatusCode"]) == ("RequestTooLargeException", 413)
    assert error["Message"] == (
        f"{limit + 1} byte payload is too large for the {kind} invocation type "
        f"(limit {limit} bytes)"
    )
    functions.client.invoke(FunctionName="small", InvocationType=kind, Payload=payload[:-2] + b'"')


@pytest.mark.botocore_modelled
@pytest.mark.parametrize(
    "headers", [{"InvocationType": "Later"}, {"LogType": "Head"}, {"Qualifier": "a b"}]
)
def test_an_invocation_that_the_model_forbids_is_refused(
    functions: Functions, headers: dict[str, str]
) -> None:
    functions.make("modelled", saying("one"))
    code, _ = functions.refused("invoke", FunctionName="modelled", **headers)
    assert code in ("ValidationException", "InvalidParameterValueException")


@pytest.mark.aws_documented(INVOKE)
def test_a_dry_run_runs_nothing(functions: Functions) -> None:
    functions.make("dry", "def handler(event, context):\n    raise SystemExit(1)\n")
    answer = functions.client.invoke(FunctionName="dry", InvocationType="DryRun")
    assert answer["StatusCode"] == 204
    code, _ = functions.refused("invoke", FunctionName="none", InvocationType="DryRun")
    assert code == "ResourceNotFoundException"


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html"
)
def test_a_function_runs_at_most_its_reserved_number_at_once(functions: Functions) -> None:
    functions.make("one-at-once", "import time\ndef handler(e, c):\n    time.sleep(e['s'])\n")
    functions.client.put_function_concurrency(
        FunctionName="one-at-once", ReservedConcurrentExecutions=1
    )
    functions.invoke("one-at-once", b'{"s": 0}')

    def throttled(payload: bytes = b'{"s": 0}') -> bool:
        try:
            functions.invoke("one-at-once", payload)
        except functions.client.exceptions.TooManyRequestsException:
            return True
        return False

    def run_long() -> None:
        while throttled(b'{"s": 2}'):
            pass

    thread = threading.Thread(target=run_long)
    thread.start()
    wait_for("a refusal", throttled, 10)
    thread.join()
    functions.client.put_function_concurrency(
        FunctionName="one-at-once", ReservedConcurrentExecutions=0
    )
    assert functions.refused("invoke", FunctionName="one-at-once")[0] == "TooManyRequestsException"


@pytest.mark.aws_documented(ASYNC)
def test_an_event_that_fails_goes_to_the_dead_letters_and_the_destination(
    cloud: TestCloud, functions: Functions
) -> None:
    have_role(cloud, ROLE, "lambda")
    sqs = cloud.client("sqs")
    urls = {n: sqs.create_queue(QueueName=f"lambda-{n}")["QueueUrl"] for n in ("dead", "told")}
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:lambda-"
    code = "def handler(event, context):\n    raise ValueError('no luck')\n"
    functions.make("unlucky", code, DeadLetterConfig={"TargetArn": f"{arn}dead"})
    functions.client.put_function_event_invoke_config(
        FunctionName="unlucky",
        MaximumRetryAttempts=1,
        DestinationConfig={"OnFailure": {"Destination": f"{arn}told"}},
    )
    answer = functions.client.invoke(
        FunctionName="unlucky", InvocationType="Event", Payload=b'{"n": 1}'
    )
    assert answer["StatusCode"] == 202
    request_id = answer["ResponseMetadata"]["RequestId"]

    def received(name: str) -> list[Any]:
        found = sqs.receive_message(QueueUrl=urls[name], MessageAttributeNames=["All"])
        return list(found.get("Messages", []))

    (dead,) = wait_for("the dead letter", lambda: received("dead"), 30)
    assert json.loads(dead["Body"]) == {"n": 1}
    attributes = {k: v["StringValue"] for k, v in dead["MessageAttributes"].items()}
    assert attributes == {
        "RequestID": request_id,
        "ErrorCode": "200",
        "ErrorMessage": "no luck",
    }
    (told,) = wait_for("the record", lambda: received("told"), 30)
    record = json.loads(told["Body"])
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestContext"]["approximateInvokeCount"] == 2
    assert record["requestPayload"] == {"n": 1}
    assert record["responsePayload"]["errorMessage"] == "no luck"
    for url in urls.values():
        sqs.delete_queue(QueueUrl=url)


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/lambda/latest/api/API_PutFunctionEventInvokeConfig.html"
)
def test_a_version_and_an_alias_have_settings_of_their_own(functions: Functions) -> None:
    client = functions.client
    functions.make("settings", saying("one"), Publish=True)
    client.create_alias(FunctionName="settings", Name="A", FunctionVersion="1")
    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:settings"
    queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"
    for qualifier, retries in (("$LATEST", 0), ("A", 1), ("1", 2)):
        put = client.put_function_event_invoke_config(
            FunctionName="settings", Qualifier=qualifier, MaximumRetryAttempts=retries
        )
        assert (put["FunctionArn"], put["MaximumRetryAttempts"]) == (f"{arn}:{qualifier}", retries)
    changed = client.update_function_event_invoke_config(
        FunctionName="settings:A", DestinationConfig={"OnSuccess": {"Destination": queue}}
    )
    shown = client.get_function_event_invoke_config(FunctionName="settings", Qualifier="A")
    assert shown["MaximumRetryAttempts"] == changed["MaximumRetryAttempts"] == 1
    assert shown["DestinationConfig"] == {"OnSuccess": {"Destination": queue}, "OnFailure": {}}
    whole = client.list_function_event_invoke_configs(FunctionName="settings")
    assert len(whole["FunctionEventInvokeConfigs"]) == 3
    client.delete_function_event_invoke_config(FunctionName="settings")
    assert functions.refused("get_function_event_invoke_config", FunctionName="settings") == (
        "ResourceNotFoundException",
        f"The function {arn}:$LATEST doesn't have an EventInvokeConfig",
    )
    for operation, parameters in (
        ("put_function_event_invoke_config", {}),
        (
            "put_function_event_invoke_config",
            {"DestinationConfig": {"OnFailure": {"Destination": "arn:aws:s3:::bucket"}}},
        ),
    ):
        code, _ = functions.refused(operation, FunctionName="settings", **parameters)
        assert code == "InvalidParameterValueException"


@pytest.mark.aws_documented(INVOKE)
def test_the_tail_of_the_log_has_what_the_handler_printed(functions: Functions) -> None:
    code = (
        "def handler(event, context):\n    for n in range(event['n']):\n        print('line', n)\n"
    )
    functions.make("printing", code)
    for n in (3, 1000, 1):
        answer, _ = functions.invoke("printing", b'{"n": %d}' % n, LogType="Tail")
        text = base64.b64decode(answer["LogResult"]).decode()
        assert len(text) <= 4096
        assert f"line {n - 1}\n" in text
        assert "REPORT RequestId" in text
    assert text.startswith("START RequestId")
    assert "LogResult" not in functions.invoke("printing", b'{"n": 1}')[0]


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-logformat.html"
)
def test_a_function_may_log_json(functions: Functions) -> None:
    code = (
        "import logging\n"
        "def handler(event, context):\n"
        "    logging.getLogger().warning('said')\n"
        "    logging.getLogger().info('not said')\n"
    )
    functions.make("json", code, LoggingConfig={"LogFormat": "JSON", "ApplicationLogLevel": "WARN"})
    answer, _ = functions.invoke("json", LogType="Tail")
    lines = base64.b64decode(answer["LogResult"]).decode().splitlines()
    (said,) = [json.loads(line) for line in lines if line.startswith("{")]
    assert (said["message"], said["level"]) == ("said", "WARNING")
    assert said["requestId"] == answer["ResponseMetadata"]["RequestId"]
