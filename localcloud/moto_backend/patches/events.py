"""Patches of EventBridge."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from localcloud.core.schedule_expression import ScheduleError, next_due
from localcloud.eventbridge.event_pattern import (
    EventPatternError,
    parse,
    wildcard_matches,
)
from localcloud.moto_backend.patches import EventListener

log = logging.getLogger("localcloud.moto_backend")

_MOST_ENTRIES = 10
# A time at which an expression is tried, so that the result depends on nothing else.
_ANY_TIME = datetime(2026, 1, 1, tzinfo=UTC)


def patch(emit: EventListener, now: Callable[[], datetime]) -> None:
    """Apply the patches.

    Args:
        emit: called for every rule that matches.
        now: returns the AWS time.
    """
    _patch_event_delivery(emit)
    _patch_patterns()
    _patch_schedules()
    _patch_details()
    _patch_envelopes(now)


def _patch_event_delivery(emit: EventListener) -> None:
    """Delivery: moto delivers to four kinds of target, and skips those after an unknown one.

    AWS delivers to every target. moto still matches the patterns; `eventbridge/delivery.py`
    delivers. A rule that cannot be matched, such as one stored by an earlier version, does not keep
    the event from the other rules.
    """
    from moto.events.models import Rule

    named: set[str] = set()

    def send_to_targets(
        self: Any, original_event: dict[str, Any], transform_input: bool = True
    ) -> None:
        del transform_input
        if self.state != "ENABLED":
            return
        try:
            matches = self.event_pattern.matches_event(original_event)
        except Exception as error:
            if self.arn not in named:
                named.add(self.arn)
                log.warning("the pattern of %s cannot be matched: %r", self.arn, error)
            return
        if matches:
            emit(self.arn, list(self.targets), original_event, 0)

    Rule.send_to_targets = send_to_targets


def _patch_patterns() -> None:
    """PutRule: moto takes a pattern that it cannot match, and matches a wildcard by backtracking.

    AWS refuses an invalid pattern by its reason. A regular expression with many stars takes a time
    that grows with their power.
    """
    from moto.events.exceptions import InvalidEventPatternException
    from moto.events.models import EventPattern, EventPatternParser

    def parsed(self: Any) -> dict[str, Any]:
        try:
            return parse(self.pattern) if self.pattern else {}
        except EventPatternError as error:
            raise InvalidEventPatternException(reason=str(error)) from None

    def wildcard_match(item: Any, pattern: str) -> bool:
        return isinstance(item, str) and wildcard_matches(pattern, item)

    EventPatternParser.parse = parsed
    EventPattern._wildcard_match = staticmethod(wildcard_match)


def _patch_schedules() -> None:
    """PutRule: moto takes any `cron(…)`, and a rate that is never due.

    Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html
    """
    from moto.events.exceptions import ValidationException
    from moto.events.models import EventsBackend

    original = EventsBackend.put_rule

    def put_rule(self: Any, *arguments: Any, **settings: Any) -> Any:
        expression = settings.get("scheduled_expression")
        if expression:
            try:
                next_due(expression, "UTC", _ANY_TIME, _ANY_TIME)
            except ScheduleError as error:
                raise ValidationException(
                    f"Parameter ScheduleExpression is not valid: {error}."
                ) from None
        return original(self, *arguments, **settings)

    EventsBackend.put_rule = put_rule


def _patch_details() -> None:
    """PutEvents: moto fails on a Detail that is nested too deeply; AWS reports MalformedDetail.

    Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html
    """
    from moto.events.models import EventsBackend

    original = EventsBackend.put_events

    def put_events(self: Any, events: list[dict[str, Any]]) -> Any:
        return original(self, [_without_deep_detail(event) for event in events])

    EventsBackend.put_events = put_events


def _patch_envelopes(now: Callable[[], datetime]) -> None:
    """PutEvents: moto gives events a time as a number, and a member `ingestion-time`.

    AWS's events have a time as text, in whole seconds, and no such member. An entry for an event
    bus that does not exist gets an EventId on AWS, and nothing is delivered.

    Source: https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html
    """
    from moto.events.exceptions import ResourceNotFoundException
    from moto.events.models import EventsBackend, Rule

    put, send = EventsBackend.put_events, Rule.send_to_targets

    def put_events(self: Any, events: list[dict[str, Any]]) -> Any:
        stamped = [event | {"Time": text_of(event.get("Time") or now())} for event in events]
        if len(stamped) > _MOST_ENTRIES:
            return put(self, stamped)  # it is refused
        found: list[dict[str, Any]] = []
        for event in stamped:
            try:
                found += put(self, [event])
            except ResourceNotFoundException:
                found.append({"EventId": str(uuid.uuid4())})
        return found

    def send_to_targets(
        self: Any, original_event: dict[str, Any], transform_input: bool = True
    ) -> None:
        event = {k: v for k, v in original_event.items() if k != "ingestion-time"}
        send(self, event, transform_input)

    EventsBackend.put_events = put_events
    Rule.send_to_targets = send_to_targets


def text_of(time: Any) -> str:
    """Return a time as EventBridge writes it: 2026-11-29T19:00:14Z."""
    if isinstance(time, str):
        try:
            time = float(time)
        except ValueError:
            return str(time)
    when: datetime = datetime.fromtimestamp(time, UTC) if isinstance(time, (int, float)) else time
    if when.tzinfo is not None:
        when = when.astimezone(UTC)
    return f"{when:%Y-%m-%dT%H:%M:%SZ}"


def _without_deep_detail(event: dict[str, Any]) -> dict[str, Any]:
    try:
        json.loads(event.get("Detail") or "{}")
    except RecursionError:
        return event | {"Detail": "is nested too deeply"}
    except (TypeError, ValueError):
        pass
    return event
