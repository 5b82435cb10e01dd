"""The dates and times that a cron expression of AWS names. Pure.

    minute hour day-of-month month day-of-week year

A field is a list of values, ranges (`MON-FRI`, and `FRI-MON` over the end of the week) and steps
(`0/15`, `2-10/2`, `*/3`). A step counts from its first value and ends with the field, so that `2/2`
as the day of the week is Monday, Wednesday and Friday. A day of the month may be `L` (the last),
`L-3`, `LW` or `15W` (the weekday nearest to it); a day of the week `6L` (the last Friday) or `6#2`
(the second). Sunday is 1.

Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-cron-expressions.html
Differs: AWS does not say what becomes of a day that no month of the expression has, such as 31
April. It is taken here, and is never due.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

_YEARS = range(1970, 2200)
_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_WEEKDAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
_STEP = re.compile(r"[1-9]\d{0,3}", re.ASCII)
_NUMBER = re.compile(r"\d{1,4}", re.ASCII)
_LAST_DAY = re.compile(r"L(?:-(\d{1,2}))?(W)?", re.ASCII)
_NEAREST_WEEKDAY = re.compile(r"(\d{1,2})W", re.ASCII)
_NTH_WEEKDAY = re.compile(r"(\w+)#([1-5])", re.ASCII)
_LAST_WEEKDAY = re.compile(r"(\w+)L", re.ASCII)
_FARTHEST_FROM_END = 30
# How much of a field an error shows, in characters.
_SHOWN = 50

# year, month → the days of the month.
_Days = Callable[[int, int], set[int]]


class CronError(ValueError):
    """A cron expression that is not valid; the message names the field."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """A field: its name, its values, and the names of the first of them."""

    name: str
    values: range
    names: tuple[str, ...] = ()

    def value(self, text: str) -> int:
        if text in self.names:
            return self.values.start + self.names.index(text)
        if _NUMBER.fullmatch(text) is None or int(text) not in self.values:
            raise CronError(f"'{text[:_SHOWN]}' is not a {self.name}")
        return int(text)


_MINUTE = _Kind("minute", range(60))
_HOUR = _Kind("hour", range(24))
_DAY = _Kind("day of the month", range(1, 32))
_MONTH = _Kind("month", range(1, 13), tuple(_MONTHS))
_WEEKDAY = _Kind("day of the week", range(1, 8), tuple(_WEEKDAYS))
_YEAR = _Kind("year", _YEARS)


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression.

    Attributes:
        minutes: 0 to 59.
        hours: 0 to 23.
        every_minute: whether the field begins with `*`.
        every_hour: the same of the hours.
    """

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    every_minute: bool
    every_hour: bool
    _days: _Days
    _months: tuple[int, ...]
    _years: tuple[int, ...]

    def dates(self, first: date) -> Iterator[date]:
        """Yield the dates from `first` on, until the year 2199."""
        for year in self._years:
            if year < first.year:
                continue
            for month in self._months:
                if (year, month) < (first.year, first.month):
                    continue
                for day in sorted(self._days(year, month)):
                    if (found := date(year, month, day)) >= first:
                        yield found


def parse(text: str) -> Cron:
    """Return the expression between the brackets of `cron(…)`.

    Raises:
        CronError: it is not valid.
    """
    fields = text.upper().split()
    if len(fields) != 6:
        raise CronError(f"it has {len(fields)} fields; it needs 6, the last a year")
    # AWS takes a comma that nothing follows (github.com/boto/boto3/issues/2876).
    minute, hour, day, month, weekday, year = (field.rstrip(",") or field for field in fields)
    if (day == "?") == (weekday == "?"):
        raise CronError("one of day-of-month and day-of-week must be ?")
    return Cron(
        minutes=_values(_MINUTE, minute),
        hours=_values(_HOUR, hour),
        every_minute=minute.startswith("*"),
        every_hour=hour.startswith("*"),
        _days=_days_of_month(day) if weekday == "?" else _days_of_week(weekday),
        _months=_values(_MONTH, month),
        _years=_values(_YEAR, year),
    )


def _values(kind: _Kind, field: str) -> tuple[int, ...]:
    parts = dict.fromkeys(part for part in field.split(",") if part)
    if not parts:
        raise CronError(f"'{field[:_SHOWN]}' is not a {kind.name}")
    return tuple(sorted({value for part in parts for value in _part(kind, part)}))


def _part(kind: _Kind, part: str) -> Iterator[int]:
    """Yield the values of one entry of a list: a value, a range or a step."""
    span, slash, step = part.partition("/")
    if slash and (_STEP.fullmatch(step) is None or int(step) not in range(kind.values.stop)):
        raise CronError(f"'{part[:_SHOWN]}' has a step that is not one of a {kind.name}")
    first, dash, last = span.partition("-")
    if span == "*":
        low, high = kind.values.start, kind.values.stop - 1
    else:
        low = kind.value(first)
        high = kind.value(last) if dash else (kind.values.stop - 1 if slash else low)
    if high < low and kind is _YEAR:
        raise CronError(f"'{part}' is a range that ends before it begins")
    # Friday to Monday passes the end of the week.
    width = len(kind.values)
    count = (high - low) % width if high < low else high - low
    for offset in range(0, count + 1, int(step) if slash else 1):
        yield kind.values.start + (low - kind.values.start + offset) % width


def _days_of_month(field: str) -> _Days:
    if (last := _LAST_DAY.fullmatch(field)) is not None:
        back = int(last[1] or 0)
        if back > _FARTHEST_FROM_END:
            raise CronError(f"'{field}' is not a {_DAY.name}")
        weekday_only = bool(last[2])

        def of_the_end(year: int, month: int) -> set[int]:
            day = calendar.monthrange(year, month)[1] - back
            if day < 1:
                return set()
            return {_nearest_weekday(year, month, day) if weekday_only else day}

        return of_the_end
    if (nearest := _NEAREST_WEEKDAY.fullmatch(field)) is not None:
        wanted = _DAY.value(nearest[1])

        def nearest_to(year: int, month: int) -> set[int]:
            if wanted > calendar.monthrange(year, month)[1]:
                return set()
            return {_nearest_weekday(year, month, wanted)}

        return nearest_to
    days = _values(_DAY, field)
    return lambda year, month: {d for d in days if d <= calendar.monthrange(year, month)[1]}


def _nearest_weekday(year: int, month: int, day: int) -> int:
    """Return the day from Monday to Friday that is nearest, in the same month."""
    length = calendar.monthrange(year, month)[1]
    match calendar.weekday(year, month, day):
        case calendar.SATURDAY:
            return day - 1 if day > 1 else day + 2
        case calendar.SUNDAY:
            return day + 1 if day < length else day - 2
        case _:
            return day


def _days_of_week(field: str) -> _Days:
    if (nth := _NTH_WEEKDAY.fullmatch(field)) is not None:
        weekday, number = _WEEKDAY.value(nth[1]), int(nth[2])
        return lambda year, month: set(_on(year, month, weekday)[number - 1 : number])
    if field != "L" and (last := _LAST_WEEKDAY.fullmatch(field)) is not None:
        final = _WEEKDAY.value(last[1])
        return lambda year, month: set(_on(year, month, final)[-1:])
    # L alone is the last day of the week.
    weekdays = (7,) if field == "L" else _values(_WEEKDAY, field)
    return lambda year, month: {day for each in weekdays for day in _on(year, month, each)}


def _on(year: int, month: int, weekday: int) -> list[int]:
    """Return the days of a month that are a day of the week, with Sunday as 1."""
    first, length = calendar.monthrange(year, month)
    # calendar counts Monday as 0.
    return list(range(1 + (weekday - 2 - first) % 7, length + 1, 7))
