"""Patches of SQS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class NoMessageYet(Exception):
    """A long poll found no message.

    Attributes:
        seconds: how long the request waits for one, in wall-clock seconds.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no message yet; {seconds:g} s to wait")
        self.seconds = seconds


# The host that the request in moto's thread was sent to.
_host = [""]


def asked_at(host: str) -> None:
    """Note the host of the request that moto answers next; use it in moto's thread."""
    _host[0] = host


# Whether a poll may still wait; moto's thread alone reads and writes it.
_may_wait = [True]


@contextmanager
def last_look() -> Iterator[None]:
    """Let a long poll return without a message; use it in moto's thread."""
    _may_wait[0] = False
    try:
        yield
    finally:
        _may_wait[0] = True


def patch() -> None:
    """Apply the patches."""
    _patch_long_polls()
    _patch_stamps()
    _patch_urls()


def _patch_stamps() -> None:
    """GetQueueAttributes: moto gives stamps with fractions; AWS gives whole seconds.

    Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html
    """
    from moto.sqs.models import Queue

    original = Queue.attributes

    def attributes(self: Any) -> dict[str, Any]:
        found: dict[str, Any] = original.fget(self)
        for name in ("CreatedTimestamp", "LastModifiedTimestamp"):
            if name in found:
                found[name] = str(int(float(found[name])))
        return found

    Queue.attributes = property(attributes)


def _patch_urls() -> None:
    """QueueUrl: moto builds it from the address that it is asked at, which is AWS's here.

    A client such as the SDK for JavaScript sends its messages to the host of this URL.

    Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueUrl.html
    Differs: the host is the local cloud's, as the client wrote it.
    """
    from moto.sqs.models import Queue

    original = Queue.url

    def url(self: Any, request_url: Any) -> str:
        host = _host[0]
        if not host or host.endswith(".amazonaws.com"):
            return str(original(self, request_url))
        return f"http://{host}/{self.account_id}/{self.name}"

    Queue.url = url


def _patch_long_polls() -> None:
    """ReceiveMessage: moto waits for a message in its thread, where nobody can send one meanwhile.

    The dispatcher waits instead, outside of the thread.

    Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html
    """
    from moto.sqs.models import SQSBackend

    original = SQSBackend.receive_message

    def receive_message(
        self: Any, queue_name: str, count: int, wait_seconds_timeout: int, *rest: Any, **named: Any
    ) -> Any:
        found = original(self, queue_name, count, 0, *rest, **named)
        if not found and wait_seconds_timeout and _may_wait[0]:
            raise NoMessageYet(wait_seconds_timeout)
        return found

    SQSBackend.receive_message = receive_message
