"""Patches of SNS."""

from __future__ import annotations

import logging
from typing import Any

log = logging.getLogger("localcloud.moto_backend")

_NOT_DELIVERED = ("http", "https", "lambda")


def patch() -> None:
    """Apply the patches."""
    _patch_endpoints()


def _patch_endpoints() -> None:
    """Publish: moto posts to URLs from its thread, and runs functions by Docker.

    Nothing here may use the network or Docker, and an endpoint that does not answer would keep
    every other call waiting. Such a subscription gets nothing, and the log names it once.
    """
    from moto.sns.models import Subscription

    original = Subscription.publish
    named: set[str] = set()

    def publish(self: Any, *arguments: Any, **settings: Any) -> Any:
        if self.protocol not in _NOT_DELIVERED:
            return original(self, *arguments, **settings)
        if self.arn not in named:
            named.add(self.arn)
            log.warning(
                "the local cloud does not deliver to %s subscriptions, such as %s",
                self.protocol,
                self.endpoint,
            )
        return None

    Subscription.publish = publish
