"""Patches of EventBridge."""

from __future__ import annotations

import json
import logging
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from localcloud.aws.errors import ValidationError
from localcloud.core.schedule_expression import ScheduleError, next_due
from localcloud.eventbridge.event_matching import matches
from localcloud.eventbridge.event_pattern import EventPatternError, parse
from localcloud.eventbridge.target_input import check as check_targets
from localcloud.moto_backend.patches import EventListener

log = logging.getLogger("localcloud.moto_backend")

# A rule takes 1 minute and 5 minutes, but no 1 minutes and no 5 minute.
# Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rate-expressions.html
_RATE = re.compile(r"rate\((?:1 (?:minute|hour|day)|(?!1 )\d+ (?:minutes|hours|days))\)")
_MOST_ENTRIES = 10
# Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
_MOST_ENTRY_BYTES = 1024 * 1024
# Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html
_LONGEST_PATTERN = 2048
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
    _patch_rules()
    _patch_targets()
    _patch_entries()
    _patch_details()
    _patch_envelopes(now)


def _patch_event_delivery(emit: EventListener) -> None:
    """Delivery: moto delivers to four kinds of target, and skips those after an unknown one.

    AWS delivers to every target; `eventbridge/delivery.py` does. A rule with a schedule and no
    pattern, which gets every event in moto, matches none. A rule that cannot be matched, such as
    one stored by an earlier version, does not keep the event from the other rules.
    """
    from moto.events.models import Rule

    named: set[str] = set()

    def send_to_targets(
        self: Any, original_event: dict[str, Any], transform_input: bool = True
    ) -> None:
        del transform_input
        if self.state != "ENABLED" or not self.event_pattern.get_pattern():
            return
        try:
            matches = self.event_pattern.matches_event(original_event)
        except Exception as error:
            if self.arn not in named:
                named.add(self.arn)
                log.warning("the pattern of %s cannot be matched: %r", self.arn, error)
            return
        if matches:
            targets = [target for target in self.targets if not _is_archive(target)]
            if len(targets) < len(self.targets):
                _store(self, original_event)
            if targets:
                emit(self.arn, targets, original_event, 0)

    Rule.send_to_targets = send_to_targets


def _is_archive(target: dict[str, Any]) -> bool:
    """Return whether a target is the one by which moto fills an archive."""
    return str(target.get("Arn", "")).endswith(":::")


def _store(rule: Any, event: dict[str, Any]) -> None:
    """Add an event to the archive of a rule."""
    from moto.events.models import events_backends

    archives = events_backends[rule.account_id][rule.region_name].archives
    archive = archives.get(rule.name.removeprefix("Events-Archive-"))
    if archive is not None:
        archive.events.append(dict(event))


def _patch_patterns() -> None:
    """PutRule: moto takes a pattern that it cannot match, and matches by rules of its own.

    AWS refuses an invalid pattern by its reason. moto takes true for 1, an empty list for something
    that exists, and the fields of several entries of an array for those of one.
    """
    from moto.events.exceptions import InvalidEventPatternException
    from moto.events.models import EventPattern, EventPatternParser

    def parsed(self: Any) -> dict[str, Any]:
        try:
            return parse(self.pattern) if self.pattern else {}
        except EventPatternError as error:
            raise InvalidEventPatternException(reason=str(error)) from None

    def matches_event(self: Any, event: Any) -> bool:
        return not self._pattern or matches(self._pattern, event)

    EventPatternParser.parse = parsed
    EventPattern.matches_event = matches_event


def _patch_rules() -> None:
    """PutRule: moto takes any `cron(…)`, a rate that is never due, and a pattern of any length.

    Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html
    Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html
    """
    from moto.events.models import EventPattern, EventsBackend

    original = EventsBackend.put_rule

    def put_rule(self: Any, name: str, *arguments: Any, **settings: Any) -> Any:
        expression = settings.get("scheduled_expression")
        if expression:
            if expression.startswith("rate(") and _RATE.fullmatch(expression) is None:
                raise ValidationError("Parameter ScheduleExpression is not valid.")
            try:
                next_due(expression, "UTC", _ANY_TIME, _ANY_TIME)
            except ScheduleError:
                raise ValidationError("Parameter ScheduleExpression is not valid.") from None
        pattern = settings.get("event_pattern") or ""
        if len(pattern) > _LONGEST_PATTERN:
            EventPattern.load(pattern)  # what is no pattern is refused for that
            raise ValidationError(
                f"Parameter EventPattern for rule {name} exceeds limit of {_LONGEST_PATTERN}."
            )
        return original(self, name, *arguments, **settings)

    EventsBackend.put_rule = put_rule


def _patch_targets() -> None:
    """PutTargets: moto takes any number of targets, and inputs that cannot be made.

    Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutTargets.html
    """
    from moto.events.models import EventsBackend

    original = EventsBackend.put_targets

    def put_targets(
        self: Any, name: str, event_bus_arn: str | None, targets: list[dict[str, Any]]
    ) -> None:
        bus = self.event_buses.get(self._normalize_event_bus_arn(event_bus_arn))
        rule = bus.rules.get(name) if bus is not None else None
        if rule is not None:
            check_targets(targets, [target["Id"] for target in rule.targets])
        original(self, name, event_bus_arn, targets)

    EventsBackend.put_targets = put_targets


def _patch_entries() -> None:
    """PutEvents: moto takes entries of any size, and events in the name of AWS's services.

    The events of our own services do not come by this way.

    Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html
    """
    from moto.events.responses import EventsHandler

    def put_events(self: Any) -> str:
        entries = self._get_param("Entries")
        if sum(map(_size_of, entries)) > _MOST_ENTRY_BYTES:
            raise ValidationError("Total size of the entries in the request is over the limit.")
        refused = {
            "ErrorCode": "NotAuthorizedForSourceException",
            "ErrorMessage": "Not authorized for the source.",
        }
        results: list[dict[str, Any]] = []
        for entry in entries:
            ours = str(entry.get("Source") or "").startswith("aws.")
            results += [refused] if ours else self.events_backend.put_events([entry])
        failed = sum("ErrorCode" in result for result in results)
        return json.dumps({"FailedEntryCount": failed, "Entries": results})

    EventsHandler.put_events = put_events


def _size_of(entry: dict[str, Any]) -> int:
    """Return the size of an entry in bytes, as EventBridge counts it."""
    texts = [entry.get(name) or "" for name in ("Source", "DetailType", "Detail")]
    size = sum(len(text.encode()) for text in [*texts, *(entry.get("Resources") or [])])
    return size + (14 if entry.get("Time") else 0)


def _patch_details() -> None:
    """PutEvents: moto takes a Detail that is no object, and fails on one that is nested too deeply.

    AWS reports MalformedDetail.

    Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html
    """
    from moto.events.models import EventsBackend

    original = EventsBackend.put_events

    def put_events(self: Any, events: list[dict[str, Any]]) -> Any:
        return original(self, [_with_wrong_detail_named(event) for event in events])

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


def _with_wrong_detail_named(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event whose Detail is no JSON at all if it is no object that can be read."""
    try:
        detail = json.loads(event.get("Detail") or "{}")
    except RecursionError:
        detail = None
    except (TypeError, ValueError):
        return event
    return event if isinstance(detail, dict) else event | {"Detail": "is no object"}
