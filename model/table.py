"""Pure: reads CSV text as a table of labels and numbers, by SageMaker's convention.

By that convention the first column is the label, the others are numbers, and there is no header;
`ReadOptions` allows more. Labels are strings, stored verbatim.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/cdf-training.html
"""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from model.cells import NotANumberError, parse_number, quote
from model.errors import DatasetError

Cell = float | str
AUTO = "auto"
REFUSE, ACCEPT = "refuse", "accept"
_MISSING = ("", "nan")
# A label column with more distinct decimal numbers than this holds measurements, not classes.
_DECIMAL_CLASSES = 10


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """Options for reading a table.

    Attributes:
        header: the first line names the columns.
        categorical: names of the categorical columns; ("auto",) selects every column in which any
            cell is not a number.
        accept_missing: accept cells that are empty or `nan`.
        regression: the label is a number to predict.
    """

    header: bool = False
    categorical: tuple[str, ...] = ()
    accept_missing: bool = False
    regression: bool = False


_PLAIN = ReadOptions()


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


def decode_text(data: bytes, where: str) -> str:
    """Return the content of a UTF-8 file as a string, without a byte order mark.

    Args:
        data: the file's bytes.
        where: the file's name, for messages.

    Raises:
        DatasetError: the file is not UTF-8.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DatasetError(
            f"{where}: byte {error.start} is not UTF-8 text; save the file as CSV in UTF-8"
        ) from None


def read_records(text: str, where: str, delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """Yield (line number from 1, cells) for each line that is not blank.

    Raises:
        DatasetError: the text is not valid CSV.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            if cells and any(cell.strip() for cell in cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise DatasetError(f"{where}, row {reader.line_num}: not CSV text ({error})") from None


def parse_table(
    text: str,
    where: str,
    features: Sequence[str] | None = None,
    read_options: ReadOptions = _PLAIN,
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
    records = list(read_records(text, where))
    names: tuple[str, ...] = ()
    label = ""
    if read_options.header:
        label, *rest = _header(records, where)
        names = tuple(rest)
        for known in (features, like.names if like else None):
            if known and tuple(known) != names:
                raise DatasetError(
                    f"{where}: the header names {', '.join(names)}, but {', '.join(known)} "
                    "are expected"
                )
        features, records = names, records[1:]
    categorical_columns = (
        like.categorical_columns
        if like
        else _find_categorical_columns(records, features, read_options, where)
    )
    labels: list[str] = []
    rows: list[tuple[Cell, ...]] = []
    expected = None if features is None else len(features) + 1
    for line, cells in records:
        if len(cells) == 1:
            raise DatasetError(_one_column(where, line, cells[0]))
        if expected is None:
            expected = len(cells)
        if len(cells) != expected:
            raise DatasetError(
                f"{where}, row {line}: {len(cells)} columns, but {expected} are expected "
                f"(the label and {expected - 1} numbers); every row must have the same columns"
            )
        if not cells[0].strip():
            raise DatasetError(
                f"{where}, row {line}: the label (first column) is empty; "
                "every row needs its class there"
            )
        if read_options.regression:
            _check_measurement(cells[0], where, line)
        labels.append(cells[0])
        rows.append(
            _cells(cells, where, line, features, categorical_columns, read_options, first=not rows)
        )
    if not rows:
        raise DatasetError(
            f"{where} has 0 rows; it needs one line for each example: label, number, number, …"
        )
    table = Table(tuple(labels), tuple(rows), names, categorical_columns, label)
    if not read_options.regression:
        _refuse_measurements(table, where)
    return table


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
    train_file, other_file = files
    classes = train.counts()
    if len(classes) < 2 and regression:
        raise DatasetError(
            f"{train_file}: every row has the same value, so there is nothing to predict"
        )
    if len(classes) < 2:
        only = quote(next(iter(classes)))
        raise DatasetError(
            f"{train_file}: all {len(train.labels)} rows have the label {only}; "
            "a classifier needs rows of at least two classes"
        )
    if validation is None:
        return
    if validation.width != train.width:
        raise DatasetError(
            f"{other_file} has {validation.width} numbers per row, but {train_file} has "
            f"{train.width}; both must have the same columns"
        )
    if regression:
        return
    for number, label in enumerate(validation.labels, 1):
        if label not in classes:
            known = ", ".join(quote(name) for name in list(classes)[:10])
            raise DatasetError(
                f"{other_file}, example {number}: the class {quote(label)} is not in {train_file} "
                f"(it has {known}); add examples of it there or remove it here"
            )


def csv_line(cells: Sequence[str]) -> str:
    """Return one CSV line, with a newline at its end."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue()


def _header(records: Sequence[tuple[int, list[str]]], where: str) -> tuple[str, ...]:
    if not records:
        raise DatasetError(f"{where} is empty; it needs a header line and rows")
    names = tuple(cell.strip() for cell in records[0][1])
    for column, name in enumerate(names, 1):
        if not name:
            raise DatasetError(f"{where}: column {column} of the header has no name")
        if names.count(name) > 1:
            raise DatasetError(f"{where}: the header names the column {quote(name)} twice")
    return names


def _find_categorical_columns(
    records: Sequence[tuple[int, list[str]]],
    features: Sequence[str] | None,
    read_options: ReadOptions,
    where: str,
) -> frozenset[int]:
    if not read_options.categorical or not records:
        return frozenset()
    width = len(records[0][1]) - 1
    if read_options.categorical == (AUTO,):
        return frozenset(
            at
            for at in range(width)
            if any(len(cells) > at + 1 and is_non_numeric(cells[at + 1]) for _, cells in records)
        )
    names = list(features or (f"feature_{number}" for number in range(1, width + 1)))
    for name in read_options.categorical:
        if name not in names:
            raise DatasetError(
                f"{where} has no column {quote(name)}, which categorical_columns names; "
                f"its columns are {', '.join(names[:20])}"
            )
    return frozenset(names.index(name) for name in read_options.categorical)


def _cells(
    cells: list[str],
    where: str,
    line: int,
    features: Sequence[str] | None,
    categorical_columns: frozenset[int],
    read_options: ReadOptions,
    *,
    first: bool,
) -> tuple[Cell, ...]:
    found: list[Cell] = []
    for at, cell in enumerate(cells[1:]):
        missing = is_missing(cell)
        if missing and read_options.accept_missing:
            found.append("" if at in categorical_columns else math.nan)
            continue
        try:
            if at not in categorical_columns:
                found.append(parse_number(cell))
            elif missing:
                raise NotANumberError("is empty")
            else:
                found.append(cell.strip())
        except NotANumberError as reason:
            name = f" ({features[at]})" if features else ""
            message = f"{where}, row {line}, column {at + 2}{name} {reason}"
            if first and all(is_non_numeric(other) for other in cells[1:]):
                message += "; the row looks like a header: leave it out, or set header to yes"
            elif missing:
                message += "; fill the missing value, drop the row, or set missing_values to accept"
            else:
                message += (
                    "; every column after the label must hold numbers, except those that "
                    "categorical_columns names"
                )
            raise DatasetError(message) from None
    return tuple(found)


def _check_measurement(label: str, where: str, line: int) -> None:
    try:
        parse_number(label)
    except NotANumberError as reason:
        raise DatasetError(
            f"{where}, row {line}: the value to predict (first column) {reason}"
        ) from None


def column_names(text: str) -> tuple[str, ...]:
    """Return the names in a comma-separated string."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def is_missing(cell: str) -> bool:
    """Return True if a cell is empty or `nan`."""
    return cell.strip().lower() in _MISSING


def is_non_numeric(cell: str) -> bool:
    """Return True if a cell holds a value that is not a number."""
    if is_missing(cell):
        return False
    try:
        parse_number(cell)
    except NotANumberError:
        return True
    return False


def _one_column(where: str, line: int, cell: str) -> str:
    message = (
        f"{where}, row {line}: only one column, so there is no label besides the numbers; "
        "write the label first, then a comma, then the numbers"
    )
    for delimiter, name in ((";", "semicolons"), ("\t", "tabs")):
        if delimiter in cell:
            return f"{message} (the columns seem to be separated by {name})"
    return message


def _refuse_measurements(table: Table, where: str) -> None:
    distinct = set(table.labels)
    if len(distinct) <= _DECIMAL_CLASSES:
        return
    try:
        numbers = [parse_number(label) for label in table.labels]
    except NotANumberError:
        return
    if any(number != int(number) for number in numbers):
        raise DatasetError(
            f"{where} seems to have no label: its first column holds {len(distinct)} different "
            f"decimal numbers (such as {quote(table.labels[0])}), which are measurements and not "
            "classes; put the label in the first column"
        )
