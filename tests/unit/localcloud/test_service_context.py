"""Calls of the local cloud to itself: those that are safe to repeat survive a lost connection."""

from __future__ import annotations

import asyncio
import socket
import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from localcloud.aws.routing import Scope
from localcloud.service_context import ServiceContext

pytestmark = pytest.mark.emulator_only


class Hasty:
    """A server that closes the first connection without an answer, as one that was idle."""

    def __init__(self) -> None:
        self.requests = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection:
                request = connection.recv(65_536)
                self.requests += 1
                if self.requests > 1:
                    body = b"{}" if request.startswith(b"POST") else b""
                    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
                    connection.sendall(head % len(body) + body)


def context(url: str) -> ServiceContext:
    nothing = cast(Any, SimpleNamespace())
    return ServiceContext(
        *(nothing, nothing, nothing, url, nothing, nothing, nothing, nothing, nothing)
    )


def call(server: Hasty, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
    made = context(server.url)
    return asyncio.run(made.api(Scope(), service, operation, **parameters))


@pytest.mark.parametrize(
    ("service", "operation", "parameters"),
    [
        ("sagemaker", "list_models", {}),
        ("sagemaker", "describe_model", {"ModelName": "m"}),
        ("s3", "head_object", {"Bucket": "bucket", "Key": "k"}),
        ("s3", "put_object", {"Bucket": "bucket", "Key": "k", "Body": b"x"}),
    ],
)
def test_a_call_that_is_safe_to_repeat_survives_a_lost_connection(
    service: str, operation: str, parameters: dict[str, Any]
) -> None:
    server = Hasty()
    call(server, service, operation, **parameters)
    assert server.requests == 2


@pytest.mark.parametrize(
    ("service", "operation", "parameters"),
    [
        ("codepipeline", "start_pipeline_execution", {"name": "p"}),
        ("sns", "publish", {"TopicArn": "arn:aws:sns:us-east-1:000000000000:t", "Message": "m"}),
    ],
)
def test_a_call_that_would_count_twice_is_made_once(
    service: str, operation: str, parameters: dict[str, Any]
) -> None:
    server = Hasty()
    with pytest.raises(ConnectionClosedError):
        call(server, service, operation, **parameters)
    assert server.requests == 1


def test_an_error_says_what_aws_says_and_nothing_of_botocore() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                body = b'{"__type": "ValidationException", "message": "Could not find it."}'
                head = b"HTTP/1.1 400 Bad\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
                connection.sendall(head % len(body) + body)

        threading.Thread(target=serve, daemon=True).start()
        made = context(f"http://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(ClientError) as refused:
            asyncio.run(made.api(Scope(), "sagemaker", "describe_model", ModelName="m"))
    assert str(refused.value) == "ValidationException: Could not find it."
    assert refused.value.response["Error"]["Code"] == "ValidationException"
