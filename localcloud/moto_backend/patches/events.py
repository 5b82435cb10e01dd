"""Mends to EventBridge."""

from __future__ import annotations

from typing import Any

from localcloud.moto_backend.patches import EventListener


def patch(emit: EventListener) -> None:
    """Apply them; `emit` is called for every rule that matches."""
    _patch_event_delivery(emit)


def _patch_event_delivery(emit: EventListener) -> None:
    """EventBridge: delivery is ours (events.py), only the matching stays moto's.

    moto delivers to four kinds of target, and one that it does not know hides the ones after it.
    """
    from moto.events.models import Rule

    def send_to_targets(
        self: Any, original_event: dict[str, Any], transform_input: bool = True
    ) -> None:
        del transform_input
        if self.state == "ENABLED" and self.event_pattern.matches_event(original_event):
            emit(self.arn, list(self.targets), original_event)

    Rule.send_to_targets = send_to_targets
