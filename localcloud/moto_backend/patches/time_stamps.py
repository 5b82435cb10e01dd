"""The cloud's clock in what moto stamps. moto reads the machine's clock; AWS has one clock for all.

SQS's timeouts stay in wall-clock time, as other limits of code that really runs do: a consumer that
works on a message for a second must not find it visible again because the cloud's clock runs fast.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any


def patch(now: Callable[[], datetime]) -> None:
    """Apply the patches; `now` returns the AWS time. Call it before moto's services are loaded."""
    _patch_sqs(now)
    _patch_utilities(now)
    _patch_direct_reads(now)


def _patch_utilities(now: Callable[[], datetime]) -> None:
    """Every service: moto's `utcnow`, by which nearly all of its stamps are made."""
    from moto.core import utils

    original = utils.utcnow

    def utcnow() -> datetime:
        return now().astimezone(UTC).replace(tzinfo=None)

    utils.utcnow = utcnow
    for name, module in list(sys.modules.items()):
        if name.startswith("moto.") and getattr(module, "utcnow", None) is original:
            module.utcnow = utcnow  # type: ignore[attr-defined]


def _patch_direct_reads(now: Callable[[], datetime]) -> None:
    """Buckets, dashboards, images, budgets and secrets: moto reads the machine's clock itself."""
    from moto.budgets import models as budgets
    from moto.cloudwatch.models import Dashboard
    from moto.ecr.models import Image
    from moto.s3.models import FakeBucket
    from moto.secretsmanager import models as secrets

    def stamped(cls: Any, attribute: str, stamp: Callable[[], Any]) -> None:
        original = cls.__init__

        def init(self: Any, *arguments: Any, **named: Any) -> None:
            original(self, *arguments, **named)
            setattr(self, attribute, stamp())

        cls.__init__ = init

    stamped(FakeBucket, "creation_date", now)
    stamped(Dashboard, "last_modified", now)
    stamped(Image, "image_pushed_at", lambda: int(now().timestamp()))
    # Each of these modules uses this one function of the module or class.
    secrets.time = SimpleNamespace(time=lambda: now().timestamp())
    budgets.datetime = SimpleNamespace(now=lambda: now().replace(tzinfo=None))


def _patch_sqs(now: Callable[[], datetime]) -> None:
    """SendMessage and ReceiveMessage: stamps are the cloud's, timeouts the machine's."""
    from moto.core import utils
    from moto.sqs import models
    from moto.sqs.models import Message

    wall = utils.utcnow
    sent, received = Message.mark_sent, Message.mark_received

    def mark_sent(self: Any, *arguments: Any, **named: Any) -> None:
        sent(self, *arguments, **named)
        self.sent_timestamp = int(now().timestamp() * 1000)

    def mark_received(self: Any, *arguments: Any, **named: Any) -> None:
        first = self.approximate_first_receive_timestamp
        received(self, *arguments, **named)
        self.approximate_first_receive_timestamp = first or int(now().timestamp() * 1000)

    models.unix_time_millis = lambda: utils.unix_time_millis(wall())
    Message.mark_sent = mark_sent
    Message.mark_received = mark_received
