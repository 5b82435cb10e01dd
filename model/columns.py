"""Pure: a row's columns, and how they become the numbers that the model takes.

    number     itself; where missing values are accepted, a missing one is `fill` (or NaN, for an
               algorithm that learns from it)
    category   one 0/1 number for each category, in their order; all 0 when it is missing or unknown

Training and serving encode by this one function from the same card, so they cannot disagree. A
model of plain numbers is encoded by copying.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.cells import NotANumberError, check_number, parse_number, quote
from model.errors import DatasetError
from model.table import Cell, Table, is_missing

# One number each: more of them are an identifier.
_MAX_CATEGORIES = 1000


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a row.

    Attributes:
        name: as in the dataset.
        categories: of a category column; None for a number.
        fill: what a missing number is read as; None leaves it NaN.
    """

    name: str
    categories: tuple[str, ...] | None = None
    fill: float | None = None

    @property
    def width(self) -> int:
        """Return how many numbers it becomes."""
        return 1 if self.categories is None else len(self.categories)


@dataclass(frozen=True)
class Columns:
    """The columns of a model's rows.

    Attributes:
        columns: in order.
        accept_missing: a missing number or an unknown category is no error.
    """

    columns: tuple[Column, ...]
    accept_missing: bool = False

    @classmethod
    def of_numbers(cls, names: Sequence[str]) -> Columns:
        """Return columns that all hold numbers, none of them missing."""
        return cls(tuple(map(Column, names)))

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> Columns:
        """Return the columns that a card names; a card without `columns` has numbers alone."""
        described = card.get("columns")
        if described is None:
            return cls.of_numbers(card["features"])
        columns = tuple(
            Column(
                item["name"],
                None if item.get("categories") is None else tuple(item["categories"]),
                item.get("fill"),
            )
            for item in described["columns"]
        )
        return cls(columns, bool(described["accept_missing"]))

    def as_json(self) -> dict[str, Any]:
        """Return what `from_card` reads."""
        described: list[dict[str, Any]] = []
        for column in self.columns:
            if column.categories is None:
                described.append({"name": column.name, "kind": "number", "fill": column.fill})
            else:
                described.append(
                    {
                        "name": column.name,
                        "kind": "category",
                        "categories": list(column.categories),
                    }
                )
        return {"accept_missing": self.accept_missing, "columns": described}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Return the columns' names."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def width(self) -> int:
        """Return how many numbers a row becomes."""
        return sum(column.width for column in self.columns)

    @cached_property
    def plain(self) -> bool:
        """Return whether a row is its own encoding: numbers alone, none missing."""
        return not self.accept_missing and all(c.categories is None for c in self.columns)

    @cached_property
    def _indexes(self) -> tuple[dict[str, int] | None, ...]:
        return tuple(
            None if c.categories is None else {name: i for i, name in enumerate(c.categories)}
            for c in self.columns
        )

    def read_text(self, text: str, at: int) -> Cell:
        """Return the cell of column `at` (from 0) that a text holds.

        Raises:
            NotANumberError: it cannot be used; the message says why.
        """
        index = self._indexes[at]
        if index is not None:
            return self._category(text.strip(), index)
        if self.accept_missing and is_missing(text):
            return math.nan
        return parse_number(text)

    def read_json(self, value: object, at: int, shown: str) -> Cell:
        """Return the cell of column `at` (from 0) that a JSON value holds.

        Raises:
            NotANumberError: it cannot be used; the message says why.
        """
        index = self._indexes[at]
        missing = value is None or (isinstance(value, float) and math.isnan(value))
        if missing and self.accept_missing:
            return math.nan if index is None else ""
        if index is not None:
            if isinstance(value, int) and not isinstance(value, bool):
                value = str(value)
            if not isinstance(value, str):
                raise NotANumberError(f"holds {shown}, which is not a text")
            return self._category(value.strip(), index)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise NotANumberError(f"holds {shown}, which is not a number")
        try:
            return check_number(float(value), shown)
        except OverflowError:
            raise NotANumberError("is too large for a 32-bit float") from None

    def encode(self, rows: Sequence[Sequence[Cell]]) -> NDArray[np.float32]:
        """Return the model's input, shape (rows, width).

        Args:
            rows: cells, each row as long as `columns`.
        """
        if self.plain:
            return np.array(rows, dtype=np.float32).reshape(len(rows), self.width)
        out = np.zeros((len(rows), self.width), dtype=np.float32)
        start = 0
        for at, (column, index) in enumerate(zip(self.columns, self._indexes, strict=True)):
            if index is None:
                values = np.array([row[at] for row in rows], dtype=np.float32)
                if column.fill is not None:
                    values[np.isnan(values)] = column.fill
                out[:, start] = values
            else:
                for number, row in enumerate(rows):
                    place = index.get(str(row[at]))
                    if place is not None:
                        out[number, start + place] = 1
            start += column.width
        return out

    def _category(self, text: str, index: Mapping[str, int]) -> str:
        if text in index or self.accept_missing:
            return text
        if not text:
            raise NotANumberError("is empty")
        known = ", ".join(map(quote, list(index)[:8])) + (", …" if len(index) > 8 else "")
        raise NotANumberError(f"holds {quote(text)}, which is not one of {known}")


def learn_columns(
    table: Table, names: Sequence[str], *, accept_missing: bool, fill: bool
) -> Columns:
    """Return the columns of a training table: its categories, and the medians of its numbers.

    Args:
        table: the rows to train on.
        names: of its columns.
        accept_missing: a missing number or an unknown category is no error.
        fill: read a missing number as the column's median; else it stays NaN.

    Raises:
        DatasetError: a column without a value, or with too many categories.
    """
    columns = []
    for at, name in enumerate(names):
        values = [row[at] for row in table.rows]
        present = [value for value in values if not _is_missing(value)]
        if not present:
            raise DatasetError(f"column {quote(name)} has no value in the training rows; drop it")
        if at in table.text_columns:
            categories = tuple(sorted({str(value) for value in present}))
            if len(categories) > _MAX_CATEGORIES:
                raise DatasetError(
                    f"column {quote(name)} has {len(categories)} categories; at most "
                    f"{_MAX_CATEGORIES} are learnt: is it an identifier?"
                )
            columns.append(Column(name, categories))
        else:
            median = float(np.float32(np.median(np.array(present, dtype=np.float64))))
            columns.append(Column(name, fill=median if accept_missing and fill else None))
    return Columns(tuple(columns), accept_missing)


def check_known(columns: Columns, table: Table, where: str) -> None:
    """Check that every category of a table is known.

    Raises:
        DatasetError: one is not, and unknown ones are not accepted.
    """
    for number, row in enumerate(table.rows, 1):
        for at in table.text_columns:
            try:
                columns.read_text(str(row[at]), at)
            except NotANumberError as reason:
                raise DatasetError(
                    f"{where}, example {number}, column {quote(columns.names[at])} {reason}; set "
                    "missing_values to accept to read what is unknown as missing"
                ) from None


def _is_missing(value: Cell) -> bool:
    return not value if isinstance(value, str) else math.isnan(value)
