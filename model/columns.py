"""Pure: the columns of a row, and their encoding as the numbers that the model takes.

    number     the number itself; where missing values are accepted, a missing number becomes
               `fill` (or NaN, for an algorithm that learns from missing values)
    date       its parts, as of `dates.parts_of`; a missing date becomes those of `fill` (or NaN)
    category   one-hot: a 0/1 number for each category, in order; all 0 if the category is missing
               or unknown. For an algorithm that splits on sets of categories, the place of the
               category, from 1; NaN if it is missing or unknown

Training and serving use the same function with the same model metadata, so their encodings cannot
differ. For a model of plain numbers the encoding is a copy.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.cells import NotANumberError, check_number, is_missing, parse_number, quote
from model.dates import (
    HOUR,
    NotADateError,
    Order,
    forms,
    have_times,
    is_date,
    parse_date,
    part_names,
    parts_of,
    show_date,
)
from model.errors import DatasetError
from model.rows import Cell, ColumnCells
from model.table import Table

# Each category becomes one number. A column with more categories than this is an identifier.
MAX_CATEGORIES = 1000
# scikit-learn's histogram boosting puts each category into a bin, and has so many.
MAX_CODES = 255
# The name of the category that stands for all others.
OTHER = "(other)"
# A column whose categories have so many words on average, of those looked at, is free text.
_WORDS_OF_TEXT = 4
_LOOKED_AT = 1000
# How a category is encoded, in the metadata; without it, one-hot.
_ONE_HOT, _CODE = "one-hot", "code"
_NUMBER, _CATEGORY, _DATE = "number", "category", "date"


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a string")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is not a list of strings")
    return tuple(map(_text, value))


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is not a number")
    return value


@dataclass(frozen=True, slots=True)
class DateEncoding:
    """The reading and the parts of a column of dates.

    Attributes:
        order: the place of the day in a date whose year comes last.
        hour: the hour is one of the parts.
    """

    order: Order
    hour: bool = False

    @property
    def parts(self) -> tuple[str, ...]:
        """Return the names of the parts, in order."""
        return part_names(hour=self.hour)

    @classmethod
    def from_metadata(cls, item: Mapping[str, Any]) -> DateEncoding:
        """Return the encoding that the metadata of a column describes.

        Raises:
            KeyError, TypeError, ValueError: there is no such encoding.
        """
        parts = _texts(item["parts"])
        found = cls(Order(item["order"]), HOUR in parts)
        if found.parts != parts:
            raise ValueError(f"the parts of a date are {', '.join(parts)}")
        return found


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a row.

    Attributes:
        name: the column's name in the dataset.
        categories: the known categories, in order; None for a column of numbers or dates.
        fill: the value of a missing number, or the seconds of a missing date; None leaves it NaN.
        coded: a category becomes its place, from 1, and not a 0/1 number for each category.
        other: the last category stands for every one that is not known.
        date: the reading and the parts of dates; None for a column of numbers or categories.
    """

    name: str
    categories: tuple[str, ...] | None = None
    fill: float | None = None
    coded: bool = False
    other: bool = False
    date: DateEncoding | None = None

    @property
    def width(self) -> int:
        """Return the number of numbers that a cell of this column becomes."""
        if self.date is not None:
            return len(self.date.parts)
        return 1 if self.categories is None or self.coded else len(self.categories)

    def places_of(self, part: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the place of each row's category, from 0; -1 if it is missing or unknown.

        Args:
            part: this column's numbers of encoded rows, shape (rows, width).
        """
        if self.coded:
            return np.nan_to_num(part[:, 0], nan=0).astype(np.int64) - 1
        if not self.width:
            return np.full(len(part), -1)
        return np.where(part.any(axis=1), part.argmax(axis=1), -1).astype(np.int64)


@dataclass(frozen=True)
class Columns:
    """The columns of a model's rows.

    Attributes:
        columns: the columns, in order, without the label.
        accept_missing: a missing number or an unknown category is accepted.
        missing_spellings: cells that are missing besides empty ones and `nan`, in small letters.
    """

    columns: tuple[Column, ...]
    accept_missing: bool = False
    missing_spellings: frozenset[str] = frozenset()

    @classmethod
    def of_numbers(cls, names: Sequence[str]) -> Columns:
        """Return columns that all hold numbers, none of them missing."""
        return cls(tuple(map(Column, names)))

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> Columns:
        """Return the columns that model metadata describes; without `columns`, all are numbers.

        Raises:
            KeyError: a member is missing.
            TypeError, ValueError: a member has the wrong type or value.
        """
        described = metadata.get("columns")
        if described is None:
            return cls.of_numbers(_texts(metadata["features"]))
        columns = tuple(
            _date_column(item)
            if item.get("kind") == _DATE
            else Column(
                _text(item["name"]),
                None if item.get("categories") is None else _texts(item["categories"]),
                None if item.get("fill") is None else _number(item["fill"]),
                item.get("encoding") == _CODE,
                item.get("other") is True,
            )
            for item in described["columns"]
        )
        spellings = frozenset(_texts(described.get("missing_spellings", [])))
        return cls(columns, bool(described["accept_missing"]), spellings)

    def as_json(self) -> dict[str, Any]:
        """Return the JSON object that `from_metadata` reads under the key `columns`."""
        described: list[dict[str, Any]] = []
        for column in self.columns:
            if column.date is not None:
                described.append(
                    {
                        "name": column.name,
                        "kind": _DATE,
                        "order": str(column.date.order),
                        "parts": list(column.date.parts),
                        "fill": None if column.fill is None else show_date(column.fill),
                    }
                )
            elif column.categories is None:
                described.append({"name": column.name, "kind": _NUMBER, "fill": column.fill})
            else:
                described.append(
                    {
                        "name": column.name,
                        "kind": _CATEGORY,
                        "categories": list(column.categories),
                        "encoding": _CODE if column.coded else _ONE_HOT,
                        "other": column.other,
                    }
                )
        return {
            "accept_missing": self.accept_missing,
            "missing_spellings": sorted(self.missing_spellings),
            "columns": described,
        }

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Return the columns' names."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def width(self) -> int:
        """Return the number of numbers that a row becomes."""
        return sum(column.width for column in self.columns)

    @cached_property
    def coded_places(self) -> tuple[int, ...]:
        """Return the places, in an encoded row, of the numbers that are the place of a category."""
        starts = accumulate((column.width for column in self.columns), initial=0)
        return tuple(at for at, column in zip(starts, self.columns, strict=False) if column.coded)

    @cached_property
    def plain(self) -> bool:
        """Return True if a row is its own encoding: numbers only, and none of them missing."""
        return not self.accept_missing and all(
            c.categories is None and c.date is None for c in self.columns
        )

    @cached_property
    def dates(self) -> frozenset[int]:
        """Return the indexes of the columns of dates, from 0."""
        return frozenset(at for at, column in enumerate(self.columns) if column.date is not None)

    @cached_property
    def _indexes(self) -> tuple[dict[str, int] | None, ...]:
        return tuple(
            None if c.categories is None else {name: i for i, name in enumerate(c.categories)}
            for c in self.columns
        )

    def parse_cell(self, text: str, at: int) -> Cell:
        """Return the value of a CSV cell.

        Args:
            text: the cell.
            at: index of its column, from 0.

        Raises:
            NotANumberError: the cell cannot be used; the message says why.
        """
        index = self._indexes[at]
        missing = self.accept_missing and is_missing(text, self.missing_spellings)
        if index is not None:
            return "" if missing else self._category(text.strip(), index, self.columns[at].other)
        if missing:
            return math.nan
        date = self.columns[at].date
        return parse_number(text) if date is None else parse_date(text, date.order)

    def parse_json_value(self, value: object, at: int, shown: str) -> Cell:
        """Return the value of a cell of a JSON body.

        Args:
            value: the decoded JSON value.
            at: index of its column, from 0.
            shown: the value as the client wrote it, for the message.

        Raises:
            NotANumberError: the value cannot be used; the message says why.
        """
        index = self._indexes[at]
        missing = value is None or (isinstance(value, float) and math.isnan(value))
        if missing and self.accept_missing:
            return math.nan if index is None else ""
        if index is not None:
            if isinstance(value, bool):
                # As the training data spell it: true, True or TRUE.
                word = str(value).lower()
                value = next((known for known in index if known.lower() == word), word)
            elif isinstance(value, int):
                value = str(value)
            if not isinstance(value, str):
                raise NotANumberError(f"holds {shown}, which is not a string")
        if isinstance(value, str):
            try:
                return self.parse_cell(value, at)
            except NotANumberError as reason:
                if index is not None:
                    raise
                raise NotANumberError(str(reason).replace(quote(value), shown)) from None
        if (date := self.columns[at].date) is not None:
            raise NotADateError(
                f"holds {shown}, which is not a date: write a string, {forms(date.order)}"
            )
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise NotANumberError(f"holds {shown}, which is not a number")
        try:
            return check_number(float(value), shown)
        except OverflowError:
            raise NotANumberError("is too large for a 32-bit float") from None

    def encode(self, rows: Sequence[Sequence[Cell]]) -> NDArray[np.float32]:
        """Return the model's input, shape (rows, width).

        Args:
            rows: cells; each row has one cell per column.
        """
        if self.plain:
            return np.array(rows, dtype=np.float32).reshape(len(rows), self.width)
        if not len(rows):
            return np.zeros((0, self.width), dtype=np.float32)
        return self.encode_columns(list(zip(*rows, strict=True)))

    def encode_columns(self, cells: Sequence[ColumnCells | Sequence[Cell]]) -> NDArray[np.float32]:
        """Return the model's input, shape (rows, width), of rows that are stored by columns.

        Args:
            cells: for each column, numbers or seconds of shape (rows,), or a list of categories.
        """
        out = np.zeros((len(cells[0]), self.width), dtype=np.float32)
        start = 0
        for column, index, of in zip(self.columns, self._indexes, cells, strict=True):
            if column.date is not None:
                seconds = np.asarray(of, dtype=np.float64)
                if column.fill is not None:
                    seconds = np.where(np.isnan(seconds), column.fill, seconds)
                end = start + column.width
                out[:, start:end] = parts_of(seconds, hour=column.date.hour)
            elif index is None:
                values = np.asarray(of, dtype=np.float32)
                if column.fill is not None:
                    values = np.where(np.isnan(values), np.float32(column.fill), values)
                out[:, start] = values
            else:
                other = len(index) - 1 if column.other else -1
                found = (index.get(str(cell), other if cell else -1) for cell in of)
                places = np.fromiter(found, np.int64, len(of))
                if column.coded:
                    out[:, start] = np.where(places >= 0, places + 1, np.nan)
                else:
                    known = np.flatnonzero(places >= 0)
                    out[known, start + places[known]] = 1
            start += column.width
        return out

    def _category(self, text: str, index: Mapping[str, int], other: bool) -> str:
        if text in index or self.accept_missing or (other and text):
            return text
        if not text:
            raise NotANumberError("is empty")
        known = ", ".join(map(quote, list(index)[:8])) + (", …" if len(index) > 8 else "")
        raise NotANumberError(f"holds {quote(text)}, which is not one of {known}")


def learn_columns(
    table: Table,
    names: Sequence[str],
    *,
    accept_missing: bool,
    fill: bool,
    coded: bool = False,
    missing_spellings: frozenset[str] = frozenset(),
    max_categories: int | None = None,
) -> Columns:
    """Return the columns of a training table: its categories, its dates' parts, and medians.

    Args:
        table: the rows to train on.
        names: the feature columns' names, in order.
        accept_missing: accept a missing number or an unknown category.
        fill: replace a missing number or date by the column's median; otherwise it stays NaN.
        coded: a category becomes its place, and not a 0/1 number for each category.
        missing_spellings: cells that are missing besides empty ones and `nan`, in small letters.
        max_categories: categories that a column keeps, (other) included, which the rarest become;
            None refuses a column with more than the limit.

    Raises:
        DatasetError: a column has no value at all, or too many categories.
    """
    columns = []
    for at, name in enumerate(names):
        cells = table.columns[at]
        if isinstance(cells, list):
            counts = Counter(cells)
            del counts[""]
            if not counts:
                raise no_value(name)
            categories, other = sorted(counts), False
            if max_categories is not None and len(counts) > max_categories:
                categories, other = [*_most_frequent(counts, max_categories - 1), OTHER], True
            elif len(counts) > (MAX_CODES if coded else MAX_CATEGORIES):
                raise too_many_categories(name, counts, coded=coded)
            columns.append(Column(name, tuple(categories), coded=coded, other=other))
        else:
            present = cells[~np.isnan(cells)]
            if not len(present):
                raise no_value(name)
            replaced = accept_missing and fill
            order = table.date_columns.get(at)
            if order is None:
                median = float(np.float32(np.median(present))) if replaced else None
                columns.append(Column(name, fill=median))
            else:
                # One of the dates: halfway between two, there may be none like it.
                middle = (len(present) - 1) // 2
                median = float(np.partition(present, middle)[middle]) if replaced else None
                encoding = DateEncoding(order, have_times(cells))
                columns.append(Column(name, fill=median, date=encoding))
    return Columns(tuple(columns), accept_missing, missing_spellings)


def no_value(name: str) -> DatasetError:
    """Return the error of a column in which each training row misses its value."""
    return DatasetError(f"column {quote(name)} has no value in the training rows; drop it")


def _date_column(item: Mapping[str, Any]) -> Column:
    """Return the column of dates that the metadata describes."""
    encoding, fill = DateEncoding.from_metadata(item), item.get("fill")
    seconds = None if fill is None else parse_date(_text(fill), Order.YEAR_FIRST)
    return Column(_text(item["name"]), fill=seconds, date=encoding)


def _most_frequent(counts: Counter[str], number: int) -> list[str]:
    """Return the most frequent categories but OTHER, in order."""
    by_frequency = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return sorted([name for name, _ in by_frequency if name != OTHER][:number])


def too_many_categories(
    name: str, categories: Iterable[str] = (), *, coded: bool = False
) -> DatasetError:
    """Return the error of a column with more categories than a model takes.

    Args:
        name: the column.
        categories: its categories, or some of them.
        coded: its categories are splits of histogram boosting.
    """
    limit = MAX_CODES if coded else MAX_CATEGORIES
    found = f"column {quote(name)} has more than {limit} categories, which is the limit. "
    some = list(islice(categories, _LOOKED_AT))
    words = sum(len(category.split()) for category in some)
    if some and words >= _WORDS_OF_TEXT * len(some):
        return DatasetError(
            f"{found}It holds free text, such as {quote(some[0])}, from which these algorithms "
            "learn nothing: drop it, or write what matters in it into columns of their own"
        )
    if some and all(map(is_date, some)):
        return DatasetError(
            f"{found}It holds dates, such as {quote(some[0])}: name it in date_columns, so that "
            "their year, month, day and weekday become numbers, or drop it"
        )
    wider = f"set categorical_encoding to one-hot (at most {MAX_CATEGORIES}), " if coded else ""
    return DatasetError(
        f"{found}Drop it if it is an identifier; otherwise {wider}set max_categories to make one "
        "of the rarest"
    )


def check_known(
    columns: Columns,
    rows: Iterable[Sequence[Cell]],
    categorical_columns: Iterable[int],
    where: str,
    first: int = 1,
) -> None:
    """Check that every category of some rows is known.

    Args:
        columns: the columns learnt from the training rows.
        rows: the rows to check, each with a cell per column.
        categorical_columns: indexes of the categorical columns, from 0.
        where: the rows' name, for messages.
        first: the number of the first row, from 1.

    Raises:
        DatasetError: a category is unknown, and unknown categories are not accepted.
    """
    for number, row in enumerate(rows, first):
        for at in categorical_columns:
            try:
                columns.parse_cell(str(row[at]), at)
            except NotANumberError as reason:
                raise DatasetError(
                    f"{where}, example {number}, column {quote(columns.names[at])} {reason}; set "
                    "missing_values to accept to read unknown categories as missing"
                ) from None
