"""Asynchronous invocations: their retries, dead letters and destinations.

Source: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
Source: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
Differs: retries are a minute apart; AWS waits two minutes before the second one.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from localcloud.aws.routing import scope_of_arn
from localcloud.lambda_.found import Found
from localcloud.lambda_.runtime_api import Outcome
from localcloud.service_context import ServiceContext

log = logging.getLogger("localcloud.lambda")

_PAUSE_CLOCK_SECONDS = 60.0
_LONGEST_MESSAGE_BYTES = 1024

# Runs an event once.
Run = Callable[[], Awaitable[Outcome]]
# Invokes another function with an event: its ARN, the event, the calling role.
Invoke = Callable[[str, Any, str], Awaitable[Any]]


async def run(
    context: ServiceContext, found: Found, event: bytes, request_id: str, once: Run, invoke: Invoke
) -> None:
    """Run an event until it succeeds or its retries are over, and tell the destinations."""
    outcome = Outcome(b"null")
    attempts, expired = 0, False
    began = context.clock.now()
    for attempts in range(1, found.asynchronous.retries + 2):
        outcome = await once()
        if outcome.function_error is None or attempts > found.asynchronous.retries:
            break
        age = (context.clock.now() - began).total_seconds()
        expired = age + _PAUSE_CLOCK_SECONDS > found.asynchronous.oldest_seconds
        if expired:
            break
        await context.clock.sleep(_PAUSE_CLOCK_SECONDS)
    failed = outcome.function_error is not None
    settings = found.asynchronous
    condition = "EventAgeExceeded" if expired else "RetriesExhausted" if failed else "Success"
    record = _record(context, found, event, outcome, condition)
    record["requestContext"] |= {"requestId": request_id, "approximateInvokeCount": attempts}
    destination = settings.on_failure if failed else settings.on_success
    try:
        if failed and settings.dead_letters:
            await _bury(context, found, event, request_id, outcome)
        if destination:
            await _tell(context, found, destination, record, invoke)
    except Exception as error:
        log.warning("%s: the outcome of an event did not arrive: %s", found.function.name, error)


async def _bury(
    context: ServiceContext, found: Found, event: bytes, request_id: str, outcome: Outcome
) -> None:
    """Send a failed event to the dead-letter queue or topic, as the function's role."""
    message = outcome.payload.decode("utf-8", "replace")
    with contextlib.suppress(ValueError, AttributeError):
        message = str(json.loads(message).get("errorMessage") or message)
    attributes = {
        "RequestID": ("String", request_id),
        "ErrorCode": ("Number", "200"),
        "ErrorMessage": ("String", message[:_LONGEST_MESSAGE_BYTES] or "failed"),
    }
    await _send(
        context,
        found.asynchronous.dead_letters,
        event.decode("utf-8", "replace"),
        found.function.role_arn,
        {n: {"DataType": kind, "StringValue": text} for n, (kind, text) in attributes.items()},
    )


async def _tell(
    context: ServiceContext, found: Found, arn: str, record: dict[str, Any], invoke: Invoke
) -> None:
    """Send the record of an invocation to a destination, as the function's role."""
    role = found.function.role_arn
    match arn.split(":")[2]:
        case "lambda":
            await invoke(arn, record, role)
        case "events":
            entry = {
                "Source": "lambda",
                "DetailType": "Lambda Function Invocation Result - "
                + ("Failure" if "functionError" in record["responseContext"] else "Success"),
                "Resources": [arn, found.function.key],
                "Detail": json.dumps(record),
                "EventBusName": arn,
            }
            await context.api(
                scope_of_arn(arn), "events", "put_events", principal=role, Entries=[entry]
            )
        case _:
            await _send(context, arn, json.dumps(record), role, {})


async def _send(
    context: ServiceContext, arn: str, text: str, role: str, attributes: dict[str, Any]
) -> None:
    scope, service = scope_of_arn(arn), arn.split(":")[2]
    if service == "sns":
        await context.api(
            scope,
            "sns",
            "publish",
            principal=role,
            TopicArn=arn,
            Message=text,
            MessageAttributes=attributes,
        )
    elif service == "sqs":
        name = arn.rpartition(":")[2]
        await context.api(
            scope,
            "sqs",
            "send_message",
            principal=role,
            QueueUrl=f"https://sqs.{scope.region}.amazonaws.com/{scope.account}/{name}",
            MessageBody=text,
            MessageAttributes=attributes,
        )
    else:
        raise NotImplementedError(f"the local cloud does not send to {service}")


def _record(
    context: ServiceContext, found: Found, event: bytes, outcome: Outcome, condition: str
) -> dict[str, Any]:
    now = context.clock.now()
    failed = outcome.function_error is not None
    answer: dict[str, Any] = {"statusCode": 200, "executedVersion": found.function.version}
    if failed:
        answer["functionError"] = outcome.function_error
    return {
        "version": "1.0",
        "timestamp": f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03d}Z",
        "requestContext": {"functionArn": found.function.key, "condition": condition},
        "requestPayload": _json_of(event),
        "responseContext": answer,
        "responsePayload": _json_of(outcome.payload),
    }


def _json_of(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except ValueError:
        return payload.decode("utf-8", "replace")
