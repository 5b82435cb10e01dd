"""Pure: reads dates and times of day, and makes the numbers of them that a model takes.

    2024-03-04, 2024/3/4, 2024.03.04, 20240304     the year first: read in every column of dates
    04/03/2024, 4.3.2024, 04-03-2024               the day first, or the month first, as the column
                                                   says: `Order`
    … 10:15, T10:15:00, 10:15:00.5, 10:15:00 PM    a time may follow, after a blank or a T
    … Z, UTC, GMT, +01:00, +0100, +01              and the distance from UTC

The calendar is the proleptic Gregorian one, of the years 1 to 9999. A time with an offset becomes
UTC; one without is taken as UTC. 24:00 and a leap second are refused, and parts of a second are cut
off, so a date is a whole number of seconds since 1970-01-01 in UTC, as a 64-bit float; NaN is a
missing one. Everything that reads a date, in training and at the endpoint, calls this module.

Source: ISO 8601; https://www.rfc-editor.org/rfc/rfc3339
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from model.cells import NotANumberError, is_missing, quote

Seconds = NDArray[np.float64]

# The numbers that a date becomes, in order. `days` comes first: it stands for the date as a whole.
PARTS = ("days", "year", "month", "day", "weekday", "day_of_year")
HOUR = "hour"
_DAY = 86_400
# Whole days of the years 1 to 9999 are exact as 32-bit floats; seconds would not be.
_FIRST, _LAST = -62_135_596_800, 253_402_300_799
# A longer cell is no date.
_MAX_CHARACTERS = 64
_REMEMBERED = 16_384
_ZERO, _NINE = ord("0"), ord("9")
_TIME = (
    r"(?:(?:[Tt]|\ +)(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,]\d{1,9})?)?"
    r"(?:\ ?(?P<half>[AaPp])\.?[Mm]\.?)?"
    r"\ ?(?P<zone>[Zz]|UTC|GMT|(?P<sign>[+-])(?P<zone_hour>\d\d)(?::?(?P<zone_minute>\d\d))?)?)?"
)
_YEAR_FIRST = re.compile(
    r"(?P<year>\d{4})(?P<mark>[-/.])(?P<month>\d{1,2})(?P=mark)(?P<day>\d{1,2})" + _TIME, re.ASCII
)
_COMPACT = re.compile(
    r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)"
    r"(?:[Tt](?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)?(?P<half>)"
    r"(?P<zone>[Zz]|(?P<sign>[+-])(?P<zone_hour>\d\d)(?::?(?P<zone_minute>\d\d))?)?)?",
    re.ASCII,
)
_YEAR_LAST = re.compile(
    r"(?P<one>\d{1,2})(?P<mark>[-/.])(?P<two>\d{1,2})(?P=mark)(?P<year>\d{4})" + _TIME, re.ASCII
)
_SHORT_YEAR = re.compile(r"\d{1,2}([-/.])\d{1,2}\1\d{2}(?!\d)", re.ASCII)
# What a date that is no plain number begins with, for a quick look.
_BEGINS = re.compile(r"\s*(\d{1,4}([-/.])\d{1,2}\2\d|\d{8}[Tt])", re.ASCII)


class Order(StrEnum):
    """The place of the day in a date whose year comes last; no such date with YEAR_FIRST."""

    YEAR_FIRST = "year-first"
    DAY_FIRST = "day-first"
    MONTH_FIRST = "month-first"


_FORMS = {
    Order.YEAR_FIRST: "YYYY-MM-DD or YYYY/MM/DD",
    Order.DAY_FIRST: "YYYY-MM-DD or DD/MM/YYYY",
    Order.MONTH_FIRST: "YYYY-MM-DD or MM/DD/YYYY",
}
# The groups of the day and of the month in a date whose year comes last.
_PLACES = {Order.DAY_FIRST: ("one", "two"), Order.MONTH_FIRST: ("two", "one")}


class NotADateError(NotANumberError):
    """The value of a cell is no date; the message continues a sentence about the cell."""


def forms(order: Order) -> str:
    """Return the forms of a date that are read, for messages."""
    return f"{_FORMS[order]}, with a time or without: 2024-03-04T10:15:00+01:00"


def parse_date(text: str, order: Order) -> float:
    """Return the seconds since 1970-01-01 in UTC that a string stands for.

    Args:
        text: the string; blanks around it are ignored.
        order: how the column writes a date whose year comes last.

    Raises:
        NotADateError: the string is empty, no date of these forms, or no day or time that exists.
    """
    return _parse(text.strip()[: _MAX_CHARACTERS + 1], order)


@lru_cache(_REMEMBERED)
def _parse(text: str, order: Order) -> float:
    found, day, month = _match(text, order)
    if found is None:
        raise NotADateError(_no_form(text, order))
    try:
        day_number = date(int(found["year"]), int(found[month]), int(found[day])).toordinal()
        seconds = (day_number - date(1970, 1, 1).toordinal()) * _DAY + _time_of(found)
        if not _FIRST <= seconds <= _LAST:
            raise ValueError("it is outside of the years 1 to 9999 in UTC")
    except ValueError as error:
        reason = f"holds {quote(text)}, which is not a date: {error}; write {forms(order)}"
        raise NotADateError(reason) from None
    return float(seconds)


def _match(text: str, order: Order) -> tuple[re.Match[str] | None, str, str]:
    """Return the match of a string, and the names of the groups of its day and month."""
    if len(text) > _MAX_CHARACTERS:
        return None, "", ""
    found = _YEAR_FIRST.fullmatch(text) or _COMPACT.fullmatch(text)
    if found is not None or order is Order.YEAR_FIRST:
        return found, "day", "month"
    return _YEAR_LAST.fullmatch(text), *_PLACES[order]


def _no_form(text: str, order: Order) -> str:
    if not text:
        return "is empty"
    known = f"holds {quote(text)}, which is not a date: write {forms(order)}"
    if _SHORT_YEAR.match(text):
        return f"{known}; a year has four digits"
    if order is Order.YEAR_FIRST and _YEAR_LAST.fullmatch(text):
        return f"{known}; the training data have the year first"
    return known


def _time_of(found: re.Match[str]) -> int:
    """Return the seconds since midnight in UTC; below 0 or over a day with an offset.

    Raises:
        ValueError: there is no such time; the message says why.
    """
    if found["hour"] is None:
        return 0
    hour, minute, second = (int(found[name] or 0) for name in ("hour", "minute", "second"))
    if hour == 24 and not minute and not second:
        raise ValueError("24:00 is 00:00 of the next day, so write that")
    if second == 60:
        raise ValueError("the second 60, a leap second, has no number, so write 59")
    if found["half"]:
        if not 1 <= hour <= 12:
            raise ValueError("an hour with AM or PM must be in 1..12")
        hour = hour % 12 + (12 if found["half"] in "Pp" else 0)
    for name, value, most in (("hour", hour, 23), ("minute", minute, 59), ("second", second, 59)):
        if value > most:
            raise ValueError(f"{name} must be in 0..{most}")
    offset = 0
    if found["sign"]:
        hours, minutes = int(found["zone_hour"]), int(found["zone_minute"] or 0)
        if hours > 23 or minutes > 59:
            raise ValueError("the offset from UTC must be below 24:00")
        offset = (hours * 3600 + minutes * 60) * (-1 if found["sign"] == "-" else 1)
    return hour * 3600 + minute * 60 + second - offset


def dates_of(
    cells: Sequence[str],
    order: Order,
    *,
    accept_missing: bool = False,
    spellings: frozenset[str] = frozenset(),
) -> Seconds | None:
    """Return the dates of a column's cells, shape (rows,), or None if a cell may be wrong.

    Cells that are written alike are read many at a time; a property compares them with
    `parse_date`.

    Args:
        cells: the cells as they were read.
        order: how the column writes a date whose year comes last.
        accept_missing: a missing cell becomes NaN.
        spellings: other missing cells than empty ones and `nan`, in small letters.
    """
    whole = _alike(cells, order)
    if whole is not None:
        return whole
    known: dict[str, float] = {}
    for cell in set(cells):
        if accept_missing and is_missing(cell, spellings):
            known[cell] = np.nan
    present = [cell.strip() for cell in cells if cell not in known]
    found = _alike(present, order) if known else None
    if found is None:
        try:
            found = np.fromiter((parse_date(cell, order) for cell in present), float, len(present))
        except NotADateError:
            return None
    if not known:
        return found
    values = np.full(len(cells), np.nan)
    values[[at for at, cell in enumerate(cells) if cell not in known]] = found
    return values


def _alike(cells: Sequence[str], order: Order) -> Seconds | None:
    """Return the dates of cells whose parts are at the same places, or None."""
    if not cells or {*map(len, cells)} != {len(cells[0])}:
        return None
    first, day, month = _match(cells[0], order)
    if first is None:
        return None
    codes = np.array(cells).view(np.uint32).reshape(len(cells), -1)
    digits = (codes >= _ZERO) & (codes <= _NINE)
    if codes.shape[1] != len(first[0]) or not (digits == digits[0]).all():
        return None
    # Of the other characters, only the sign of the offset and AM or PM may differ.
    free = [first.start(name) for name in ("sign", "half") if first[name]]
    fixed = ~digits[0]
    fixed[free] = False
    if not (codes[:, fixed] == codes[0, fixed]).all():
        return None

    def number(name: str) -> NDArray[np.int64]:
        total = np.zeros(len(cells), np.int64)
        for at in range(*first.span(name)):
            total = total * 10 + codes[:, at] - _ZERO
        return total

    def letters(name: str, allowed: str) -> NDArray[np.bool_]:
        return np.isin(codes[:, first.start(name)], [ord(letter) for letter in allowed])

    years, months, days = number("year"), number(month), number(day)
    right = (years >= 1) & (months >= 1) & (months <= 12) & (days >= 1)
    if not right.all():
        return None
    begin = ((years - 1970) * 12 + months - 1).astype("datetime64[M]")
    length = ((begin + 1).astype("datetime64[D]") - begin.astype("datetime64[D]")).astype(np.int64)
    seconds = (begin.astype("datetime64[D]").astype(np.int64) + days - 1) * _DAY
    right &= days <= length
    if first["hour"]:
        hours, minutes = number("hour"), number("minute")
        if first["half"]:
            right &= letters("half", "AaPp") & (hours >= 1) & (hours <= 12)
            hours = hours % 12 + np.where(letters("half", "Pp"), 12, 0)
        last = number("second") if first["second"] else np.zeros_like(hours)
        right &= (hours <= 23) & (minutes <= 59) & (last <= 59)
        seconds += hours * 3600 + minutes * 60 + last
    if first["sign"]:
        ahead, rest = number("zone_hour"), np.zeros_like(seconds)
        if first["zone_minute"]:
            rest = number("zone_minute")
        right &= letters("sign", "+-") & (ahead <= 23) & (rest <= 59)
        seconds += np.where(letters("sign", "-"), 1, -1) * (ahead * 3600 + rest * 60)
    right &= (seconds >= _FIRST) & (seconds <= _LAST)
    return seconds.astype(np.float64) if right.all() else None


def readable(cells: Iterable[str], order: Order) -> Iterator[float]:
    """Yield the dates of those cells that can be read, in seconds."""
    for cell in cells:
        try:
            yield parse_date(cell, order)
        except NotADateError:
            continue


def part_names(*, hour: bool) -> tuple[str, ...]:
    """Return the names of the numbers that a date becomes."""
    return (*PARTS, HOUR) if hour else PARTS


def parts_of(seconds: Seconds, *, hour: bool) -> NDArray[np.float32]:
    """Return the numbers that dates become, shape (rows, 6), or (rows, 7) with the hour.

    They are the days since 1970-01-01 (whole), the year, the month (1 to 12), the day (1 to 31),
    the weekday (0, Monday, to 6), the day of the year (1 to 366), and the hours since midnight
    (0 to 24, exclusive) with their minutes as a fraction. All are NaN of a missing date.

    Args:
        seconds: the dates, shape (rows,).
        hour: return the hours, too.
    """
    missing = np.isnan(seconds)
    whole = np.where(missing, 0, seconds)
    days = np.floor(whole / _DAY)
    of_day = days.astype(np.int64).astype("datetime64[D]")
    of_month, of_year = of_day.astype("datetime64[M]"), of_day.astype("datetime64[Y]")
    found = [
        days,
        of_year.astype(np.int64) + 1970,
        (of_month - of_year.astype("datetime64[M]")).astype(np.int64) + 1,
        (of_day - of_month.astype("datetime64[D]")).astype(np.int64) + 1,
        # The first of January 1970 was a Thursday.
        (days + 3) % 7,
        (of_day - of_year.astype("datetime64[D]")).astype(np.int64) + 1,
    ]
    if hour:
        found.append((whole - days * _DAY) / 3600)
    parts = np.column_stack(found).astype(np.float32)
    parts[missing] = np.nan
    return parts


def days_of(seconds: Seconds) -> Seconds:
    """Return the whole days since 1970-01-01 of dates, NaN of a missing one, shape (rows,)."""
    return np.asarray(np.floor(seconds / _DAY))


def clipped(seconds: Seconds) -> Seconds:
    """Return dates as whole seconds within the calendar, NaN of a missing one, shape (rows,)."""
    return np.asarray(np.clip(np.floor(seconds), _FIRST, _LAST))


def have_times(seconds: Seconds) -> bool:
    """Return True if any date is not at midnight in UTC."""
    return bool((seconds[~np.isnan(seconds)] % _DAY != 0).any())


def show_date(seconds: float) -> str:
    """Return a date as ISO 8601, in UTC; without the time if it is midnight, "" if missing."""
    if np.isnan(seconds):
        return ""
    days, rest = divmod(int(seconds), _DAY)
    shown = date.fromordinal(date(1970, 1, 1).toordinal() + days).isoformat()
    if not rest:
        return shown
    return f"{shown}T{(datetime.min + timedelta(seconds=rest)).time().isoformat()}"


def show_day(days: float) -> str:
    """Return a number of days since 1970-01-01 as ISO 8601; one beyond the calendar as its end."""
    return show_date(min(max(float(days) * _DAY, _FIRST), _LAST - _DAY + 1))


class DateSurvey:
    """The orders in which every cell of a column is a date.

    Attributes:
        orders: the orders that are left, at least one; the year first if it is.
        example: a cell; empty before the first.
        refused: for each other order, a cell that is no date in it.
    """

    def __init__(self) -> None:
        self.orders = list(Order)
        self.example = ""
        self.refused: dict[Order, str] = {}

    def add(self, cells: Collection[str]) -> bool:
        """Add cells, none of them missing; leave them out and return False if no order is left."""
        some = list(map(str.strip, cells))
        if not some:
            return True
        # With the year first, a date means the same in each order, and the others need no look.
        first = self.orders[0]
        whole = dates_of(some, first) is not None
        if whole and first is Order.YEAR_FIRST:
            kept = self.orders
        else:
            rest = [order for order in self.orders[1:] if dates_of(some, order) is not None]
            kept = [first, *rest] if whole else rest
        if not kept:
            return False
        for order in set(self.orders) - set(kept):
            self.refused[order] = next(cell for cell in some if not _is_date(cell, order))
        self.orders = kept
        self.example = self.example or some[0]
        return True

    @property
    def order(self) -> Order | None:
        """Return the only order, or that of dates with the year first; None if there is none."""
        if self.ambiguous or not self.example:
            return None
        return self.orders[0]

    @property
    def ambiguous(self) -> bool:
        """Return True if the day or the month may come first."""
        return self.orders == [Order.DAY_FIRST, Order.MONTH_FIRST]

    @property
    def note(self) -> str:
        """Return a sentence part about the order, and the cell that shows it."""
        if self.order is Order.YEAR_FIRST:
            return f"the year first, such as {quote(self.example)}"
        place = "day" if self.order is Order.DAY_FIRST else "month"
        return f"the {place} first, which {quote(self.decided_by)} shows"

    @property
    def decided_by(self) -> str:
        """Return the cell that tells the day from the month; empty if the year comes first."""
        last = {Order.DAY_FIRST: Order.MONTH_FIRST, Order.MONTH_FIRST: Order.DAY_FIRST}
        return "" if self.order not in last else self.refused[last[self.order]]

    def ambiguity(self, name: str, option: str) -> str:
        """Return a sentence about a column in which the day or the month may come first.

        Args:
            name: the column's name.
            option: what says which, such as `--dates`.
        """
        example = quote(self.refused[Order.YEAR_FIRST])
        return (
            f"the column {quote(name)} holds dates such as {example}, in which the day or the "
            f"month may come first, and no cell tells; set {option} to "
            f"{name}:{Order.DAY_FIRST} or {name}:{Order.MONTH_FIRST}"
        )


def _is_date(text: str, order: Order) -> bool:
    return any(True for _ in readable([text], order))


def is_date(text: str) -> bool:
    """Return True if a string is a date in any order, and no plain number."""
    return bool(_BEGINS.match(text)) and any(_is_date(text, order) for order in Order)


# A column's name and its order; None finds the order.
DateChoice = tuple[str, Order | None]


def parse_choices(names: Sequence[str], fail: Callable[[str], Exception]) -> tuple[DateChoice, ...]:
    """Return the columns of dates that an option names, such as `born:day-first`.

    Args:
        names: the names, each with an order after a colon or without.
        fail: returns the error of a message.
    """
    found: dict[str, Order | None] = {}
    for text in names:
        name, colon, order = text.rpartition(":")
        name, chosen = (name.strip(), Order(order)) if colon and order in [*Order] else (text, None)
        if name in found:
            raise fail(f"names the column {quote(name)} twice")
        found[name] = chosen
    return tuple(found.items())
