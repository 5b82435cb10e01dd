"""Pure: reads CSV text as a table of labels and cells, whole, for training."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Self

import numpy as np

from model.cells import quote
from model.dates import Order
from model.errors import DatasetError
from model.rows import PLAIN, Cell, ColumnCells, LabelCounts, ReadOptions, RowReader, no_rows

# A cell takes 8 bytes, twice that while the batches are joined, and 4 as the input of a model.
MAX_CELLS = 100_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Labelled rows, stored by columns.

    Attributes:
        labels: one string per row.
        columns: the cells of each column: numbers or seconds (NaN if missing), shape (rows,), or a
            list of categories ("" if missing) for a categorical column.
        names: the feature columns' names from the header; empty without a header.
        categorical_columns: indexes of the categorical columns, from 0, without the label.
        label: the label column's name from the header; empty without a header.
        date_columns: the order of each column of dates, by its index from 0. Its cells are
            seconds, as of `dates.parse_date`.
    """

    labels: tuple[str, ...]
    columns: tuple[ColumnCells, ...]
    names: tuple[str, ...] = ()
    categorical_columns: frozenset[int] = frozenset()
    label: str = ""
    date_columns: Mapping[int, Order] = field(default_factory=dict)

    @classmethod
    def of_rows(
        cls,
        labels: tuple[str, ...],
        rows: Iterable[Sequence[Cell]],
        names: tuple[str, ...] = (),
        categorical_columns: frozenset[int] = frozenset(),
        label: str = "",
    ) -> Self:
        """Return the table of rows of cells, all of the same length."""
        columns = (
            list(map(str, cells))
            if at in categorical_columns
            else np.array(cells, dtype=np.float64)
            for at, cells in enumerate(zip(*rows, strict=True))
        )
        return cls(labels, tuple(columns), names, categorical_columns, label)

    @property
    def rows(self) -> tuple[tuple[Cell, ...], ...]:
        """Return one tuple of cells per row; made at each call, at a microsecond per row."""
        return tuple(zip(*map(self.cells, range(self.width)), strict=True))

    def cells(self, at: int) -> list[Any]:
        """Return the cells of the column with this index, as Python's floats or strings."""
        column = self.columns[at]
        return column if isinstance(column, list) else column.tolist()

    @property
    def width(self) -> int:
        """Return the number of feature columns."""
        return len(self.columns)

    def counts(self) -> dict[str, int]:
        """Return the number of rows of each class, in order of appearance."""
        return dict(Counter(self.labels))

    def __add__(self, other: Table) -> Table:
        pairs = zip(self.columns, other.columns, strict=True)
        columns = tuple(_joined([one, two]) for one, two in pairs)
        return replace(self, labels=self.labels + other.labels, columns=columns)

    def select(self, numbers: Sequence[int]) -> Table:
        """Return a table of the rows with these numbers, from 0."""
        at = np.asarray(numbers, dtype=np.int64)
        return replace(
            self,
            labels=tuple(self.labels[number] for number in numbers),
            columns=tuple(
                [cells[number] for number in numbers] if isinstance(cells, list) else cells[at]
                for cells in self.columns
            ),
        )


def _joined(parts: Sequence[ColumnCells]) -> ColumnCells:
    lists = [part for part in parts if isinstance(part, list)]
    if lists:
        return list(chain.from_iterable(lists))
    return np.concatenate([part for part in parts if not isinstance(part, list)])


def parse_table(
    text: str | bytes | Callable[[], Iterable[str]],
    where: str,
    features: Sequence[str] | None = None,
    read_options: ReadOptions = PLAIN,
    like: Table | None = None,
) -> Table:
    """Read a labelled table.

    Args:
        text: CSV text with the label in the first column, its UTF-8 bytes, or what returns its
            lines from the beginning.
        where: the file's name, for messages.
        features: the feature columns' names, for messages; every row must then have as many cells.
        read_options: options for reading the cells.
        like: a table that was read before this one, whose names and kinds of columns apply.

    Raises:
        DatasetError: there are no rows or no labels, rows differ in length, a cell is not allowed,
            or there are more than MAX_CELLS cells.
    """
    lines = text if callable(text) else lambda: lines_of(text)
    reader = RowReader(lines, where, features, read_options, like)
    labels: list[str] = []
    batches: list[list[ColumnCells]] = []
    # Equal labels are one string.
    known: dict[str, str] = {}
    for more, columns in reader.batches():
        labels += more if read_options.regression else (known.setdefault(one, one) for one in more)
        check_size(len(labels), len(columns), where)
        batches.append(columns)
    if not labels:
        raise no_rows(where)
    if not read_options.regression:
        counts = LabelCounts()
        counts.add(labels)
        counts.refuse_measurements(where)
    joined = tuple(_joined(parts) for parts in zip(*batches, strict=True))
    return Table(
        tuple(labels),
        joined,
        reader.names,
        reader.categorical_columns,
        reader.label,
        reader.date_columns,
    )


def check_size(rows: int, width: int, where: str) -> None:
    """Check that a table fits into memory.

    Args:
        rows: number of rows, or of those that were read so far.
        width: number of feature columns.
        where: the table's name, for messages.

    Raises:
        DatasetError: it has more than MAX_CELLS cells.
    """
    if rows * width > MAX_CELLS:
        raise DatasetError(
            f"{where} has more than {MAX_CELLS:,} cells (rows times feature columns), which is the "
            f"limit: at most {MAX_CELLS // width:,} rows of {width} columns; use fewer rows, such "
            "as a sample of them, or fewer columns"
        )


def lines_of(text: str | bytes) -> Iterable[str]:
    """Return the lines of a text, or of its UTF-8 bytes, with their ends as they are."""
    # A StringIO would hold four bytes for each character.
    data = text.encode() if isinstance(text, str) else text
    return io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", newline="")


def check_tables(
    train: Table, validation: Table | None, files: tuple[str, str], *, regression: bool = False
) -> None:
    """Check that the train rows can be learnt from and that the validation rows fit them.

    Args:
        train: the rows to learn from.
        validation: the rows to compute the metrics on, or None.
        files: the two tables' names, for messages.
        regression: the labels are numbers to predict.

    Raises:
        DatasetError: the train rows have a single class or value, or the validation rows have
            another width or a class that the train rows do not have.
    """
    classes = train.counts()
    check_several_labels(classes, files[0], regression=regression)
    if validation is None:
        return
    check_width(train.width, validation.width, files)
    if not regression:
        check_known_classes(validation.labels, classes, files)


def check_several_labels(classes: Mapping[str, int], where: str, *, regression: bool) -> None:
    """Check that there is something to predict.

    Args:
        classes: train rows by label.
        where: the table's name, for messages.
        regression: the labels are numbers to predict.

    Raises:
        DatasetError: the train rows have a single class or value.
    """
    if len(classes) >= 2:
        return
    if regression:
        raise DatasetError(f"{where}: every row has the same value, so there is nothing to predict")
    only, rows = next(iter(classes.items()))
    raise DatasetError(
        f"{where}: all {rows} rows have the label {quote(only)}; "
        "a classifier needs rows of at least two classes"
    )


def check_width(train: int, validation: int, files: tuple[str, str]) -> None:
    """Check that train and validation rows have the same number of feature columns.

    Raises:
        DatasetError: they differ.
    """
    if validation != train:
        raise DatasetError(
            f"{files[1]} has {validation} numbers per row, but {files[0]} has "
            f"{train}; both must have the same columns"
        )


def check_known_classes(
    labels: Iterable[str], classes: Mapping[str, int], files: tuple[str, str], first: int = 1
) -> None:
    """Check that the train rows have each class of the validation rows.

    Args:
        labels: labels of validation rows.
        classes: train rows by label.
        files: the two tables' names, for messages.
        first: the number of the first of these validation rows, from 1.

    Raises:
        DatasetError: a class is unknown.
    """
    for number, label in enumerate(labels, first):
        if label not in classes:
            known = ", ".join(quote(name) for name in list(classes)[:10])
            raise DatasetError(
                f"{files[1]}, example {number}: the class {quote(label)} is not in {files[0]} "
                f"(it has {known}); add examples of it there or remove it here"
            )


def csv_line(cells: Sequence[str]) -> str:
    """Return one CSV line, with a newline at its end."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue()
