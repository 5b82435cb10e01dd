"""Pure: reads CSV text as checked rows, one at a time, by SageMaker's convention.

By that convention the first column is the label, the others are numbers, and there is no header;
`ReadOptions` allows more. Labels are strings, stored verbatim. No row is kept here: a table is read
whole by `model.table`, for training, and row by row by the data check.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/cdf-training.html
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Protocol

import numpy as np

from model.batches import Numbers, categories_of, numbers_of
from model.cells import FLOAT32_LIMIT, NotANumberError, is_missing, parse_number, quote
from model.dates import (
    DateChoice,
    DateSurvey,
    NotADateError,
    Order,
    dates_of,
    parse_choices,
    parse_date,
)
from model.errors import DatasetError
from model.plain_blocks import parse_block

# A number, the seconds of a date (NaN if missing), or a category ("" if missing).
Cell = float | str
# The cells of one column: numbers or seconds, or categories.
ColumnCells = Numbers | list[str]
AUTO = "auto"
# No column holds dates, also with `auto`.
OFF = "off"
REFUSE, ACCEPT = "refuse", "accept"
# Rows that are read together.
BATCH = 4096
# A label column with more distinct decimal numbers than this holds measurements, not classes.
_DECIMAL_CLASSES = 10


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """Options for reading a table.

    Attributes:
        header: the first line names the columns.
        categorical: names of the categorical columns; ("auto",) selects every column in which any
            cell is not a number.
        dates: the columns of dates, with the order of their day and month; None finds the order.
        find_dates: a column in which each cell is a date is one, too; None: if `categorical` is
            ("auto",).
        accept_missing: accept cells that are empty or `nan`.
        regression: the label is a number to predict.
        may_regress: it may be one, if the dataset says so.
        missing_spellings: cells that are missing besides empty ones and `nan`, in small letters.
    """

    header: bool = False
    categorical: tuple[str, ...] = ()
    dates: tuple[DateChoice, ...] = ()
    find_dates: bool | None = None
    accept_missing: bool = False
    regression: bool = False
    may_regress: bool = False
    missing_spellings: frozenset[str] = frozenset()

    @property
    def finds_dates(self) -> bool:
        """Return True if columns of dates are to be found by their cells."""
        return self.categorical == (AUTO,) if self.find_dates is None else self.find_dates

    def with_dates(self, text: str, fail: Callable[[str], Exception]) -> ReadOptions:
        """Return the options with columns of dates as an option or a hyperparameter names them.

        Args:
            text: names, separated by commas, each with `:day-first` and the like or without;
                `auto` finds them; `off` finds none; an empty one changes nothing.
            fail: returns the error of a message that begins with a verb.
        """
        chosen = column_names(text)
        if chosen in ((AUTO,), (OFF,)):
            return replace(self, find_dates=chosen == (AUTO,))
        return replace(self, dates=parse_choices(chosen, fail))


PLAIN = ReadOptions()


class Layout(Protocol):
    """The columns of a table that was read before."""

    @property
    def names(self) -> tuple[str, ...]:
        """Return the feature columns' names from the header; empty without a header."""

    @property
    def categorical_columns(self) -> frozenset[int]:
        """Return the indexes of the categorical columns, from 0, without the label."""

    @property
    def date_columns(self) -> Mapping[int, Order]:
        """Return the order of each column of dates, by its index from 0, without the label."""


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
        # The codec counts from the end of the byte order mark.
        raise not_utf8(where, error.start + len(data) - len(error.object)) from None


def not_utf8(where: str, at: int) -> DatasetError:
    """Return the error of a file that is not UTF-8.

    Args:
        where: the file's name.
        at: the offset of the first byte that is not UTF-8, from 0.
    """
    return DatasetError(f"{where}: byte {at} is not UTF-8 text; save the file as CSV in UTF-8")


def read_records(
    lines: Iterable[str], where: str, delimiter: str = ",", before: int = 0
) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number from 1, cells) for each line that is not blank.

    Args:
        lines: the lines, each with its line end.
        where: the file's name, for messages.
        delimiter: the character between two cells.
        before: number of lines of the file before these.

    Raises:
        DatasetError: the text is not valid CSV.
    """
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            # The first cell mostly decides, at a tenth of the cost.
            if cells and (cells[0].strip() or any(map(str.strip, cells))):
                yield before + reader.line_num, cells
    except csv.Error as error:
        row = before + reader.line_num
        raise DatasetError(f"{where}, row {row}: not CSV text ({error})") from None


def record_batches(
    lines: Iterable[str], where: str, delimiter: str = ",", before: int = 0
) -> Iterator[list[tuple[int, list[str]]]]:
    """Yield the records of `read_records` in batches of up to 4,096, none of them empty.

    Lines without quotes are split at the delimiter, which is three times as fast as csv.

    Args:
        lines: the lines, each with its line end.
        where: the file's name, for messages.
        delimiter: the character between two cells.
        before: number of lines of the file before these.

    Raises:
        DatasetError: the text is not valid CSV; the records before that place come first, so that
            the first error of a file is the one that is reported.
    """
    rest = iter(lines)
    while chunk := list(islice(rest, BATCH)):
        if not _is_simple(chunk):
            yield from _in_batches(read_records(chain(chunk, rest), where, delimiter, before))
            return
        rows = (line.rstrip("\r\n").split(delimiter) for line in chunk)
        batch = [
            (row, cells)
            for row, cells in enumerate(rows, before + 1)
            if cells[0].strip() or any(map(str.strip, cells))
        ]
        before += len(chunk)
        if batch:
            yield batch


def _is_simple(lines: Sequence[str]) -> bool:
    """Return True if each line is a record whose cells stand between delimiters as they are."""
    text = "".join(lines)
    ends = text.count("\r\n") if "\r" in text else 0
    return (
        '"' not in text
        and "\0" not in text
        and text.count("\r") == ends
        and max(map(len, lines)) <= csv.field_size_limit()
    )


def _in_batches(
    records: Iterator[tuple[int, list[str]]],
) -> Iterator[list[tuple[int, list[str]]]]:
    while True:
        batch: list[tuple[int, list[str]]] = []
        not_csv: DatasetError | None = None
        try:
            batch.extend(islice(records, BATCH))
        except DatasetError as error:
            not_csv = error
        if batch:
            yield batch
        if not_csv is not None:
            raise not_csv
        if len(batch) < BATCH:
            return


class RowReader:
    """The rows of a labelled table, read and checked one at a time.

    Args:
        lines: returns the table's lines from the beginning; called twice if the kinds of columns
            are to be found (`auto`).
        where: the file's name, for messages.
        features: the feature columns' names, for messages; every row must then have as many cells.
        read_options: options for reading the cells.
        like: a table that was read before this one, whose names and kinds of columns apply.

    Attributes:
        where: the file's name.
        names: the feature columns' names from the header; empty without a header.
        label: the label column's name from the header; empty without a header.
        categorical_columns: indexes of the categorical columns, from 0, without the label.
        date_columns: the order of each column of dates, by its index from 0, without the label.
        width: number of feature columns, of the names or of the first row that has any; None
            without either.

    Raises:
        DatasetError: the header is not allowed, categorical_columns or date_columns names no
            column, or a column holds dates of which the day or the month may come first.
    """

    def __init__(
        self,
        lines: Callable[[], Iterable[str]],
        where: str,
        features: Sequence[str] | None = None,
        read_options: ReadOptions = PLAIN,
        like: Layout | None = None,
    ) -> None:
        self.where = where
        self.names: tuple[str, ...] = ()
        self.label = ""
        self._read_options = read_options
        self._lines = lines
        if read_options.header:
            self.label, *rest = _header(next(read_records(lines(), where), None), where)
            self.names = tuple(rest)
            for known in (features, like.names if like else None):
                if known and tuple(known) != self.names:
                    raise DatasetError(
                        f"{where}: the header names {', '.join(self.names)}, but "
                        f"{', '.join(known)} are expected"
                    )
            features = self.names
        self._features = features
        self.categorical_columns: frozenset[int] = frozenset()
        self.date_columns: Mapping[int, Order] = {}
        if like:
            self.categorical_columns = like.categorical_columns
            self.date_columns = like.date_columns
        else:
            self._find_kinds()
        self.width = self._count_columns() if features is None else len(features)
        self._first = True

    def rows(
        self, refused: Callable[[DatasetError], None] | None = None
    ) -> Iterator[tuple[str, tuple[Cell, ...]]]:
        """Yield (label, cells) for each row.

        A cell is a number or the seconds of a date (NaN if it is missing), or a string in a
        categorical column ("" if it is missing).

        Args:
            refused: gets the error of each row that is not allowed, which is then left out;
                without it, the first such row raises.

        Raises:
            DatasetError: the text is not CSV, or a row is not allowed.
        """
        self._first = True
        for line, cells in self._records():
            try:
                label, values = self._row(line, cells)
            except DatasetError as error:
                if refused is None:
                    raise
                refused(error)
            else:
                yield label, values
            self._first = False

    def batches(self) -> Iterator[tuple[list[str], list[ColumnCells]]]:
        """Yield (labels, columns) of up to 4,096 rows each; much faster than row by row.

        Raises:
            DatasetError: the text is not CSV, or a row is not allowed; the same as of `rows`.
        """
        self._first = True
        lines = iter(self._lines())
        before = 0
        if self._read_options.header:
            before, _ = next(read_records(lines, self.where), (0, []))
        while self.width and (chunk := list(islice(lines, BATCH))):
            found = self._columns_of_lines(chunk)
            if found is None:
                # The rest is read with more care, and half as fast.
                lines = chain(chunk, lines)
                break
            yield found
            self._first = False
            before += len(chunk)
        for batch in record_batches(lines, self.where, before=before):
            yield self._batch(batch)
            self._first = False

    def _columns_of_lines(self, lines: list[str]) -> tuple[list[str], list[ColumnCells]] | None:
        """Return the labels and columns of lines, or None if they are not that simple."""
        assert self.width is not None  # noqa: S101 - the caller looked
        others = sorted({*self.categorical_columns, *self.date_columns})
        try:
            found = parse_block("".join(lines).encode(), self.width, others)
        except UnicodeEncodeError:
            return None
        if found is None or not self._measured(found.labels):
            return None
        columns: list[ColumnCells] = []
        numbers, cells_of = iter(found.numbers.T), iter(found.others)
        for at in range(self.width):
            column = self._other_column(at, next(cells_of)) if at in others else next(numbers)
            if column is None:
                return None
            columns.append(column)
        return found.labels, columns

    def _other_column(self, at: int, cells: Sequence[str]) -> ColumnCells | None:
        """Return the categories or dates of a column's cells, or None if a cell may be wrong."""
        accept = self._read_options.accept_missing
        spellings = self._read_options.missing_spellings
        order = self.date_columns.get(at)
        if order is None:
            return categories_of(cells, accept_missing=accept, spellings=spellings)
        return dates_of(cells, order, accept_missing=accept, spellings=spellings)

    def _measured(self, labels: list[str]) -> bool:
        """Return False if a label may not be the number that a regression needs."""
        return not self._read_options.regression or numbers_of(labels) is not None

    def _batch(self, batch: list[tuple[int, list[str]]]) -> tuple[list[str], list[ColumnCells]]:
        found = self._columns_of([cells for _, cells in batch])
        if found is not None:
            return found
        labels, rows = [], []
        for line, cells in batch:
            label, row = self._row(line, cells)
            labels.append(label)
            rows.append(row)
            self._first = False
        columns: list[ColumnCells] = [
            list(map(str, cells))
            if at in self.categorical_columns
            else np.array(cells, dtype=np.float64)
            for at, cells in enumerate(zip(*rows, strict=True))
        ]
        return labels, columns

    def _columns_of(self, records: list[list[str]]) -> tuple[list[str], list[ColumnCells]] | None:
        """Return the labels and columns of records, or None if one of them may be wrong."""
        width = self.width
        if not width or {*map(len, records)} != {width + 1}:
            return None
        first, *others = zip(*records, strict=True)
        labels = list(first)
        if not all(map(str.strip, labels)):
            return None
        if not self._measured(labels):
            return None
        accept = self._read_options.accept_missing
        spellings = self._read_options.missing_spellings
        columns: list[ColumnCells] = []
        for at, cells in enumerate(others):
            column: ColumnCells | None
            if at in self.categorical_columns or at in self.date_columns:
                column = self._other_column(at, cells)
            else:
                column = numbers_of(cells, accept_missing=accept, spellings=spellings)
            if column is None:
                return None
            columns.append(column)
        return labels, columns

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        records = read_records(self._lines(), self.where)
        if self._read_options.header:
            next(records, None)
        return records

    def _row(self, line: int, cells: list[str]) -> tuple[str, tuple[Cell, ...]]:
        if len(cells) == 1:
            raise DatasetError(_one_column(self.where, line, cells[0]))
        if self.width is not None and len(cells) != self.width + 1:
            raise DatasetError(
                f"{self.where}, row {line}: {len(cells)} columns, but {self.width + 1} are "
                f"expected (the label and {self.width} numbers); every row must have the same "
                "columns"
            )
        if not cells[0].strip():
            raise DatasetError(
                f"{self.where}, row {line}: the label (first column) is empty; "
                "every row needs its class there"
            )
        if self._read_options.regression:
            _check_measurement(cells[0], self.where, line)
        if not self.categorical_columns and not self.date_columns:
            plain = _plain_numbers(cells[1:])
            if plain is not None:
                return cells[0], plain
        return cells[0], self._cells(line, cells)

    def _cells(self, line: int, cells: list[str]) -> tuple[Cell, ...]:
        found: list[Cell] = []
        for at, cell in enumerate(cells[1:]):
            missing = is_missing(cell, self._read_options.missing_spellings)
            categorical = at in self.categorical_columns
            if missing and self._read_options.accept_missing:
                found.append("" if categorical else math.nan)
                continue
            try:
                if missing and not is_missing(cell):
                    raise NotANumberError(f"holds {quote(cell.strip())}, a missing value")
                if missing and (categorical or at in self.date_columns):
                    raise NotANumberError("is empty")
                if at in self.date_columns:
                    found.append(parse_date(cell, self.date_columns[at]))
                elif not categorical:
                    found.append(parse_number(cell))
                else:
                    found.append(cell.strip())
            except NotANumberError as reason:
                name = f" ({self._features[at]})" if self._features else ""
                message = f"{self.where}, row {line}, column {at + 2}{name} {reason}"
                if self._first and all(is_non_numeric(other) for other in cells[1:]):
                    message += "; the row looks like a header: leave it out, or set header to yes"
                elif isinstance(reason, NotADateError):
                    pass
                elif missing:
                    message += (
                        "; fill the missing value, drop the row, or set missing_values to accept"
                    )
                else:
                    message += (
                        "; every column after the label must hold numbers, except those that "
                        "categorical_columns and date_columns name"
                    )
                raise DatasetError(message) from None
        return tuple(found)

    def _count_columns(self) -> int | None:
        # A row of one column is refused, and says nothing about the others.
        widths = (len(cells) - 1 for _, cells in self._records())
        return next((width for width in widths if width), None)

    def _find_kinds(self) -> None:
        """Set the categorical columns and those of dates, by the options and the cells."""
        options = self._read_options
        auto = options.categorical == (AUTO,)
        wanted = options.categorical or options.dates or options.finds_dates
        first = next(self._records(), None) if wanted else None
        if first is None:
            return
        width = len(first[1]) - 1
        names = list(self._features or (f"feature_{number}" for number in range(1, width + 1)))
        self._check_named(names)
        named = set() if auto else {names.index(name) for name in options.categorical}
        orders = {names.index(name): order for name, order in options.dates}
        # The order of some has to be found.
        asked: set[int] = {at for at, order in orders.items() if order is None}
        if auto or options.finds_dates:
            asked |= set(range(width)) - {*named, *orders}
        lines = iter(self._lines())
        before = 0
        if options.header:
            before, _ = next(read_records(lines, self.where), (0, []))
        found = kinds_of_columns(
            record_batches(lines, self.where, before=before),
            [at + 1 for at in asked],
            options.missing_spellings,
            [at + 1 for at in orders],
        )
        dates = {at: order for at, order in orders.items() if order is not None}
        for place, survey in found.items():
            at = place - 1
            if survey is None or at in dates or not (at in orders or options.finds_dates):
                continue
            if survey.ambiguous:
                raise DatasetError(f"{self.where}: {survey.ambiguity(names[at], 'date_columns')}")
            dates[at] = survey.orders[0]
        others = {place - 1 for place in found} - dates.keys() if auto else set()
        self.categorical_columns = frozenset(named | others)
        self.date_columns = dict(sorted(dates.items()))

    def _check_named(self, names: Sequence[str]) -> None:
        given: dict[str, Sequence[str]] = {
            "categorical_columns": self._read_options.categorical,
            "date_columns": [name for name, _ in self._read_options.dates],
        }
        for option, chosen in given.items():
            for name in chosen:
                if name not in names and chosen != (AUTO,):
                    raise DatasetError(
                        f"{self.where} has no column {quote(name)}, which {option} names; "
                        f"its columns are {', '.join(names[:20])}"
                    )
        for name in given["date_columns"]:
            if name in given["categorical_columns"]:
                raise DatasetError(
                    f"categorical_columns and date_columns name the column {quote(name)}; a column "
                    "is one or the other"
                )


class LabelCounts:
    """The number of rows of each class, and whether the labels are measurements.

    Args:
        bound: number of distinct labels to count at most, or None; labels beyond it are counted
            in `other`.

    Attributes:
        counts: rows by label, in order of appearance.
        other: rows whose label is not in `counts`.
    """

    def __init__(self, bound: int | None = None) -> None:
        self.counts: Counter[str] = Counter()
        self.other = 0
        self._bound = bound

    def add(self, labels: Iterable[str]) -> None:
        """Count labels."""
        for label, rows in Counter(labels).items():
            if label in self.counts or self._bound is None or len(self.counts) < self._bound:
                self.counts[label] += rows
            else:
                self.other += rows

    @property
    def rows(self) -> int:
        """Return the number of rows."""
        return self.counts.total() + self.other

    def refuse_measurements(self, where: str) -> None:
        """Check that the labels are classes.

        Args:
            where: the file's name, for messages.

        Raises:
            DatasetError: they are more than ten decimal numbers.
        """
        if len(self.counts) <= _DECIMAL_CLASSES:
            return
        try:
            numbers = [parse_number(label) for label in self.counts]
        except NotANumberError:
            return
        if any(number != int(number) for number in numbers):
            raise DatasetError(
                f"{where} seems to have no label: its first column holds {len(numbers)} different "
                f"decimal numbers (such as {quote(next(iter(self.counts)))}), which are "
                "measurements and not classes; put the label in the first column"
            )


def no_rows(where: str) -> DatasetError:
    """Return the error of a table without rows."""
    return DatasetError(
        f"{where} has 0 rows; it needs one line for each example: label, number, number, …"
    )


def column_names(text: str) -> tuple[str, ...]:
    """Return the names in a comma-separated string."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def kinds_of_columns(
    batches: Iterable[list[tuple[int, list[str]]]],
    places: Iterable[int],
    spellings: frozenset[str] = frozenset(),
    dates: Iterable[int] = (),
) -> dict[int, DateSurvey | None]:
    """Return the columns in which any cell holds a value that is not a number, by their places.

    Args:
        batches: (line, cells) of some rows at a time; shorter ones have no cell at later places.
        places: the indexes of the columns to look at, from 0.
        spellings: other missing cells than empty ones and `nan`, in small letters.
        dates: those of the columns that hold dates, which may look like numbers: 20240304.

    Returns:
        For each such column a survey of its dates; None if a cell is no date and the column is not
        one of `dates`.
    """
    named = set(dates)
    numeric = set(places) - named
    found: dict[int, DateSurvey | None] = {at: DateSurvey() for at in places if at in named}
    # Columns in which a cell is a number.
    with_numbers: set[int] = set()
    for records in batches:
        batch = [cells for _, cells in records]
        for at in sorted(numeric):
            cells = [record[at] for record in batch if len(record) > at]
            numbers = numbers_of(cells, accept_missing=True, spellings=spellings)
            if numbers is None and any(is_non_numeric(cell, spellings) for cell in cells):
                numeric.remove(at)
                found[at] = None if at in with_numbers else DateSurvey()
            elif numbers is None or not np.isnan(numbers).all():
                with_numbers.add(at)
        for at, survey in found.items():
            if survey is None:
                continue
            cells = [record[at] for record in batch if len(record) > at]
            present = [c for c in dict.fromkeys(cells) if not is_missing(c, spellings)]
            if at not in named and any(cell.strip().isdecimal() for cell in present):
                found[at] = None
                continue
            if not survey.add(present) and at not in named:
                found[at] = None
        if not numeric and not any(found.values()):
            break
    return found


def is_non_numeric(cell: str, spellings: frozenset[str] = frozenset()) -> bool:
    """Return True if a cell holds a value that is not a number, and is not missing."""
    if is_missing(cell, spellings):
        return False
    try:
        parse_number(cell)
    except NotANumberError:
        return True
    return False


def _plain_numbers(cells: list[str]) -> tuple[float, ...] | None:
    """Return what `parse_number` returns for each cell, or None if it would refuse one."""
    try:
        numbers = tuple(map(float, cells))
    except ValueError:
        return None
    text = "".join(cells)
    # The sum is finite only if there is no NaN, with which min and max would be wrong.
    within = (
        math.isfinite(sum(numbers))
        and min(numbers) >= -FLOAT32_LIMIT
        and max(numbers) <= FLOAT32_LIMIT
    )
    return numbers if within and text.isascii() and "_" not in text else None


def _header(record: tuple[int, list[str]] | None, where: str) -> tuple[str, ...]:
    if record is None:
        raise DatasetError(f"{where} is empty; it needs a header line and rows")
    names = tuple(cell.strip() for cell in record[1])
    for column, name in enumerate(names, 1):
        if not name:
            raise DatasetError(f"{where}: column {column} of the header has no name")
    for name, count in Counter(names).items():
        if count > 1:
            raise DatasetError(f"{where}: the header names the column {quote(name)} twice")
    return names


def _check_measurement(label: str, where: str, line: int) -> None:
    try:
        parse_number(label)
    except NotANumberError as reason:
        raise DatasetError(
            f"{where}, row {line}: the value to predict (first column) {reason}"
        ) from None


def _one_column(where: str, line: int, cell: str) -> str:
    message = (
        f"{where}, row {line}: only one column, so there is no label besides the numbers; "
        "write the label first, then a comma, then the numbers"
    )
    for delimiter, name in ((";", "semicolons"), ("\t", "tabs")):
        if delimiter in cell:
            return f"{message} (the columns seem to be separated by {name})"
    return message
