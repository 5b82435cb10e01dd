"""Schedule expressions, and the time at which one is due next. Pure.

    at(2027-01-01T08:00:00)     once
    rate(5 minutes)             repeatedly, counted from its creation
    cron(0 7 ? * MON-FRI *)     minute hour day-of-month month day-of-week year

Source: https://docs.aws.amazon.com/autoscaling/application/userguide/scheduled-scaling-using-cron-expressions.html
Differs: W (nearest weekday) in a cron expression is refused.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

_EXPRESSION = re.compile(r"(at|rate|cron)\((.+)\)")
_RATE = re.compile(r"([1-9]\d{0,9}) (minute|hour|day)s?", re.ASCII)
_YEARS = range(1970, 2200)
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
    fields = text.split()
    if len(fields) != 6:
        raise ScheduleError(f"'cron({text})' has {len(fields)} fields; it needs 6, the last a year")
    minute, hour, day, month, weekday, year = fields
    if (day == "?") == (weekday == "?"):
        raise ScheduleError(f"'cron({text})': one of day-of-month and day-of-week must be ?")
    years = sorted(_years(year, text))
    expression = " ".join((minute, hour, _any(day), month, _from_sunday(_any(weekday))))
    local = after.astimezone(zone)
    try:
        # Checked even if no year is left.
        due = next(CronSim(expression, local), None)
        while due is not None and due.year not in years:
            # The next allowed year, without the times of the years before it.
            later = next((y for y in years if y > due.year), None)
            if later is None:
                return None
            eve = datetime(later - 1, 12, 31, 23, 59, 59, tzinfo=zone)
            due = next(CronSim(expression, eve), None)
    except (CronSimError, ValueError) as error:
        raise ScheduleError(f"'cron({text})': {error}") from None
    return None if due is None else due.astimezone(UTC)


def _any(field: str) -> str:
    return "*" if field == "?" else field


def _from_sunday(field: str) -> str:
    """Return a day-of-week with Sunday as 0, where AWS has 1. The number after # is a week."""
    return re.sub(r"(?<![#\w])[1-7]", lambda found: str(int(found[0]) - 1), field)


def _years(field: str, text: str) -> frozenset[int]:
    if field == "*":
        return frozenset(_YEARS)
    found: set[int] = set()
    for part in field.split(","):
        match = re.fullmatch(r"(\d{4})(?:-(\d{4}))?", part, re.ASCII)
        if match is None:
            raise ScheduleError(f"'cron({text})': '{field}' is not a year, a list or a range")
        first, last = int(match[1]), int(match[2] or match[1])
        found.update(range(max(first, _YEARS.start), min(last, _YEARS.stop - 1) + 1))
    return frozenset(found)
