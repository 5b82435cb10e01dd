"""Pure: reads CSV text as a table of labels and cells, whole, for training."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from model.cells import quote
from model.errors import DatasetError
from model.rows import PLAIN, Cell, LabelCounts, ReadOptions, RowReader, no_rows


@dataclass(frozen=True, slots=True)
class Table:
    """Labelled rows.

    Attributes:
        labels: one string per row.
        rows: one tuple of cells per row, all of the same length. A cell is a number (NaN if it is
            missing), or a string in a categorical column ("" if it is missing).
        names: the feature columns' names from the header; empty without a header.
        categorical_columns: indexes of the categorical columns, from 0, without the label.
        label: the label column's name from the header; empty without a header.
    """

    labels: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    names: tuple[str, ...] = ()
    categorical_columns: frozenset[int] = frozenset()
    label: str = ""

    @property
    def width(self) -> int:
        """Return the number of feature columns."""
        return len(self.rows[0]) if self.rows else 0

    def counts(self) -> dict[str, int]:
        """Return the number of rows of each class, in order of appearance."""
        return dict(Counter(self.labels))

    def __add__(self, other: Table) -> Table:
        return replace(self, labels=self.labels + other.labels, rows=self.rows + other.rows)

    def select(self, numbers: Sequence[int]) -> Table:
        """Return a table of the rows with these numbers, from 0."""
        return replace(
            self,
            labels=tuple(self.labels[number] for number in numbers),
            rows=tuple(self.rows[number] for number in numbers),
        )


def parse_table(
    text: str,
    where: str,
    features: Sequence[str] | None = None,
    read_options: ReadOptions = PLAIN,
    like: Table | None = None,
) -> Table:
    """Read a labelled table.

    Args:
        text: CSV text, with the label in the first column.
        where: the file's name, for messages.
        features: the feature columns' names, for messages; every row must then have as many cells.
        read_options: options for reading the cells.
        like: a table that was read before this one, whose names and categorical columns apply.

    Raises:
        DatasetError: there are no rows or no labels, rows differ in length, or a cell is not
            allowed.
    """
    reader = RowReader(lambda: io.StringIO(text, newline=""), where, features, read_options, like)
    labels: list[str] = []
    rows: list[tuple[Cell, ...]] = []
    for label, cells in reader.rows():
        labels.append(label)
        rows.append(cells)
    if not rows:
        raise no_rows(where)
    if not read_options.regression:
        counts = LabelCounts()
        counts.add(labels)
        counts.refuse_measurements(where)
    return Table(tuple(labels), tuple(rows), reader.names, reader.categorical_columns, reader.label)


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
