"""The log names the operation of a request, its status and its time."""

from __future__ import annotations

import logging

import pytest

from localcloud.aws.routing import Request, route
from localcloud.edge.request_log import note

pytestmark = pytest.mark.emulator_only

SIGNED = "AWS4-HMAC-SHA256 Credential=0/20260101/us-east-1/{}/aws4_request"


def line(
    caplog: pytest.LogCaptureFixture,
    method: str,
    path: str,
    service: str = "",
    target: str = "",
    body: bytes = b"",
) -> tuple[str, int] | None:
    """Return the line of a request and its level; None if it has none."""
    headers = {"authorization": SIGNED.format(service)} if service else {}
    if target:
        headers["x-amz-target"] = target
    request = Request(method, path, path, "", headers, body)
    route(request)
    note(request, 200, 0.0034)
    records = [(record.getMessage(), record.levelno) for record in caplog.records]
    caplog.clear()
    return records[0] if records else None


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (("PUT", "/bucket/some/key", "s3"), "s3.PutObject 200 3 ms"),
        (("POST", "/", "sagemaker", "SageMaker.ListModels"), "sagemaker.ListModels 200 3 ms"),
        (("POST", "/", "sqs", "", b"Action=ListQueues&Version=1"), "sqs.ListQueues 200 3 ms"),
        (("GET", "/2015-03-31/functions/f", "lambda"), "lambda.GetFunction 200 3 ms"),
        (("POST", "/x\n[INFO] fake", "kms"), "POST /x\\n[INFO] fake 200 3 ms"),
    ],
)
def test_a_call_has_its_operation(
    caplog: pytest.LogCaptureFixture, request_: tuple[str, ...], expected: str
) -> None:
    caplog.set_level(logging.INFO, "localcloud.request")
    assert line(caplog, *request_) == (expected, logging.INFO)  # type: ignore[arg-type]


def test_own_routes_and_invocations_are_for_debugging(caplog: pytest.LogCaptureFixture) -> None:
    own = ("GET", "/_localstack/health")
    invocation = ("POST", "/endpoints/e/invocations", "sagemaker")
    caplog.set_level(logging.INFO, "localcloud.request")
    assert line(caplog, *own) is None
    assert line(caplog, *invocation) is None
    caplog.set_level(logging.DEBUG, "localcloud.request")
    assert line(caplog, *own) == ("GET /_localstack/health 200 3 ms", logging.DEBUG)
    expected = "sagemaker-runtime.InvokeEndpoint 200 3 ms"
    assert line(caplog, *invocation) == (expected, logging.DEBUG)
