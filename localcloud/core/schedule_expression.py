"""Schedule expressions, and the time at which one is due next. Pure.

    at(2027-01-01T08:00:00)     once
    rate(5 minutes)             repeatedly, counted from its creation
    cron(0 7 ? * MON-FRI *)     minute hour day-of-month month day-of-week year

Source: https://docs.aws.amazon.com/autoscaling/application/userguide/scheduled-scaling-using-cron-expressions.html
Differs: W (nearest weekday) in a cron expression is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

_EXPRESSION = re.compile(r"(at|rate|cron)\((.+)\)")
_RATE = re.compile(r"([1-9]\d*) (minute|hour|day)s?")
_YEARS = range(1970, 2200)


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
        ScheduleError: the expression or the time zone is not valid.
    """
    match = _EXPRESSION.fullmatch(expression)
    if match is None:
        raise ScheduleError(f"'{expression}' is not at(…), rate(…) or cron(…)")
    kind, inner = match.groups()
    zone = _zone(timezone)
    match kind:
        case "at":
            return _at(inner, zone, after)
        case "rate":
            return _rate(inner, created, after)
        case _:
            return _cron(inner, zone, after)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError):
        raise ScheduleError(f"'{name}' is not a time zone of the IANA database") from None


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
    years = _years(year, text)
    expression = " ".join((minute, hour, _any(day), month, _from_sunday(_any(weekday))))
    try:
        for due in _dues(expression, after.astimezone(zone)):
            if due.year > max(years):
                return None
            if due.year in years:
                return due.astimezone(UTC)
    except CronSimError as error:
        raise ScheduleError(f"'cron({text})': {error}") from None
    return None


def _dues(expression: str, after: datetime) -> Iterator[datetime]:
    yield from CronSim(expression, after)


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
        match = re.fullmatch(r"(\d{4})(?:-(\d{4}))?", part)
        if match is None:
            raise ScheduleError(f"'cron({text})': '{field}' is not a year, a list or a range")
        found |= set(range(int(match[1]), int(match[2] or match[1]) + 1))
    return frozenset(found & set(_YEARS)) or frozenset({_YEARS.start})
