"""Schedule expressions, and the time at which one is due next. Pure.

    at(2027-01-01T08:00:00)     once
    rate(5 minutes)             repeatedly, counted from its creation
    cron(0 7 ? * MON-FRI *)     minute hour day-of-month month day-of-week year

Source: https://docs.aws.amazon.com/autoscaling/application/userguide/scheduled-scaling-using-cron-expressions.html
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

from localcloud.core.cron import CronError, parse

_EXPRESSION = re.compile(r"(at|rate|cron)\((.+)\)")
_RATE = re.compile(r"([1-9]\d{0,9}) (minute|hour|day)s?", re.ASCII)
# The length that PutScheduledAction allows, in characters.
# Source: https://docs.aws.amazon.com/autoscaling/application/APIReference/API_PutScheduledAction.html
LONGEST_EXPRESSION = 1600
_LONGEST_ZONE_NAME = 100
# How much of an input an error shows, in characters.
_SHOWN = 200


class ScheduleError(ValueError):
    """A schedule expression that is not valid; the message says what is."""


def next_due(expression: str, timezone: str, created: datetime, after: datetime) -> datetime | None:
    """Return the first time after `after` at which a schedule is due, or None if it never is.

    Args:
        expression: `at(…)`, `rate(…)` or `cron(…)`.
        timezone: the time zone of `at` and `cron`, a name of the IANA database.
        created: the creation time of the schedule, which `rate` counts from; UTC.
        after: UTC.

    Raises:
        ScheduleError: the expression or the time zone is not valid, or it is due after year 9999.
    """
    if len(expression) > LONGEST_EXPRESSION:
        raise ScheduleError(
            f"'{expression[:_SHOWN]}…' has {len(expression)} characters; "
            f"at most {LONGEST_EXPRESSION}"
        )
    match = _EXPRESSION.fullmatch(expression)
    if match is None:
        raise ScheduleError(f"'{expression}' is not at(…), rate(…) or cron(…)")
    kind, inner = match.groups()
    zone = _zone(timezone)
    try:
        match kind:
            case "at":
                return _at(inner, zone, after)
            case "rate":
                return _rate(inner, created, after)
            case _:
                return _cron(inner, zone, after)
    except OverflowError:
        # Python's last year is 9999.
        raise ScheduleError(f"'{expression}' is due before year 1 or after 9999") from None


def _zone(name: str) -> ZoneInfo:
    try:
        if len(name) <= _LONGEST_ZONE_NAME:
            return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        # OSError: the name of a directory of the database, such as America.
        pass
    raise ScheduleError(f"'{name[:_SHOWN]}' is not a time zone of the IANA database")


def _at(text: str, zone: ZoneInfo, after: datetime) -> datetime | None:
    try:
        due = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=zone).astimezone(UTC)
    except ValueError:
        raise ScheduleError(f"'at({text})' is not at(yyyy-mm-ddThh:mm:ss)") from None
    return due if due > after else None


def _rate(text: str, created: datetime, after: datetime) -> datetime:
    match = _RATE.fullmatch(text)
    if match is None:
        raise ScheduleError(f"'rate({text})' is not rate(NUMBER minutes|hours|days)")
    step = timedelta(**{f"{match[2]}s": int(match[1])})
    passed = max((after - created) // step + 1, 1)
    return created + passed * step


def _cron(text: str, zone: ZoneInfo, after: datetime) -> datetime | None:
    try:
        cron = parse(text)
    except CronError as error:
        raise ScheduleError(f"'cron({text})': {error}") from None
    minute = "*" if cron.every_minute and len(cron.minutes) == 60 else _list(cron.minutes)
    hour = "*" if cron.every_hour and len(cron.hours) == 24 else _list(cron.hours)
    local = after.astimezone(zone)
    for found in cron.dates(local.date()):
        # cronsim knows what becomes of fixed times when the clocks change.
        eve = datetime(found.year, found.month, found.day, tzinfo=zone) - timedelta(seconds=1)
        start = max(local, eve)
        due = next(CronSim(f"{minute} {hour} {found.day} {found.month} *", start), None)
        if due is not None and due.date() == found:
            return due.astimezone(UTC)
    return None


def _list(values: tuple[int, ...]) -> str:
    return ",".join(map(str, values))
