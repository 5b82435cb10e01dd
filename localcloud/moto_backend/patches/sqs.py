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
