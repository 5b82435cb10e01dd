"""Patches of EventBridge."""

from __future__ import annotations

from typing import Any

from localcloud.moto_backend.patches import EventListener


def patch(emit: EventListener) -> None:
    """Apply the patches; `emit` is called for every rule that matches."""
    _patch_event_delivery(emit)


def _patch_event_delivery(emit: EventListener) -> None:
    """Delivery: moto delivers to four kinds of target, and skips those after an unknown one.

    AWS delivers to every target. moto still matches the patterns; `eventbridge/delivery.py`
    delivers.
    """
    from moto.events.models import Rule

    def send_to_targets(
        self: Any, original_event: dict[str, Any], transform_input: bool = True
    ) -> None:
        del transform_input
        if self.state == "ENABLED" and self.event_pattern.matches_event(original_event):
            emit(self.arn, list(self.targets), original_event)

    Rule.send_to_targets = send_to_targets
