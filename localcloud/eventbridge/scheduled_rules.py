"""The scheduled rules of EventBridge, which fire by AWS time.

Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html
Differs: a rate counts from the time when the rule was first seen, and a rule may fire ten clock
seconds late.
"""

from __future__ import annotations

import logging
import uuid
from datetime import datetime
from typing import Any

from localcloud.aws.routing import scope_of_arn
from localcloud.core.schedule_expression import ScheduleError, next_due
from localcloud.moto_backend.dispatcher import backends
from localcloud.moto_backend.patches import EventListener
from localcloud.service_context import ServiceContext

log = logging.getLogger("localcloud.eventbridge.delivery")

_LOOK_CLOCK_SECONDS = 10.0


class ScheduledRules:
    """Fires rules that are due.

    Args:
        deliver: called in the event loop with rule ARN, targets and event.
    """

    def __init__(self, context: ServiceContext, deliver: EventListener) -> None:
        self._context = context
        self._deliver = deliver
        # (rule ARN, expression) → the next time at which it is due, or None if there is none.
        self._due: dict[tuple[str, str], datetime | None] = {}

    async def run(self) -> None:
        """Fire the rules that are due, until cancelled."""
        clock = self._context.clock
        while True:
            await clock.pace(_LOOK_CLOCK_SECONDS)
            try:
                self._look(await self._context.moto.call(_read_rules), clock.now())
            except Exception:
                log.exception("could not read the scheduled rules")

    def _look(self, rules: dict[tuple[str, str], list[dict[str, Any]]], now: datetime) -> None:
        due: dict[tuple[str, str], datetime | None] = {}
        for key, targets in rules.items():
            # A rule that fails is not tried again, and does not keep the others from firing.
            due[key] = None
            try:
                due[key] = self._fire(key, targets, now)
            except ScheduleError as error:
                log.warning("%s: %s", key[0], error)
            except Exception:
                log.exception("could not evaluate the scheduled rule %s", key[0])
        self._due = due  # without the rules that were deleted or changed

    def _fire(
        self, key: tuple[str, str], targets: list[dict[str, Any]], now: datetime
    ) -> datetime | None:
        """Fire a rule if it is due; return the next time at which it is."""
        rule, expression = key
        when = self._due[key] if key in self._due else next_due(expression, "UTC", now, now)
        if when is None or when > now:
            return when
        self._deliver(rule, targets, _event(rule, when), 0)
        return next_due(expression, "UTC", now, now)


def _event(rule_arn: str, when: datetime) -> dict[str, Any]:
    scope = scope_of_arn(rule_arn)
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": scope.account,
        "time": when.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": scope.region,
        "resources": [rule_arn],
        "detail": {},
    }


def _read_rules() -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Return the targets of every enabled rule with a schedule; call it in moto's thread."""
    return {
        (rule.arn, rule.scheduled_expression): list(rule.targets)
        for _, events in backends("events")
        for bus in list(events.event_buses.values())
        for rule in list(bus.rules.values())
        if rule.scheduled_expression and rule.state == "ENABLED"
    }
