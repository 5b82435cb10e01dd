"""Pure: CSV text to a table of labels and numbers, by SageMaker's convention.

No header, the label in the first column, numbers in the others. Labels are kept verbatim as text.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/cdf-training.html
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from model.cells import NotANumberError, parse_number, quote
from model.errors import DatasetError

# More distinct decimal numbers than this in the label column are a measurement, not classes.
_DECIMAL_CLASSES = 10


@dataclass(frozen=True, slots=True)
class Table:
    """Labelled rows.

    Attributes:
        labels: one text a row.
        rows: one tuple of numbers a row, all of the same length.
    """

    labels: tuple[str, ...]
    rows: tuple[tuple[float, ...], ...]

    @property
    def width(self) -> int:
        """Return the number of feature columns."""
        return len(self.rows[0]) if self.rows else 0

    def counts(self) -> dict[str, int]:
        """Return the number of rows of each class, in order of appearance."""
        return dict(Counter(self.labels))

    def __add__(self, other: Table) -> Table:
        return Table(self.labels + other.labels, self.rows + other.rows)


def decode_text(data: bytes, where: str) -> str:
    """Return the text of a file.

    Raises:
        DatasetError: it is not UTF-8.
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
        DatasetError: the text is not CSV.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            if cells and any(cell.strip() for cell in cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise DatasetError(f"{where}, row {reader.line_num}: not CSV text ({error})") from None


def parse_table(text: str, where: str, features: Sequence[str] | None = None) -> Table:
    """Read a labelled table.

    Args:
        text: CSV without a header, the label first.
        where: the file's name, for messages.
        features: names of the feature columns, for messages; their number is then required.

    Raises:
        DatasetError: no rows, no label, rows of different lengths, or a cell that is not a number.
    """
    labels: list[str] = []
    rows: list[tuple[float, ...]] = []
    expected = None if features is None else len(features) + 1
    for line, cells in read_records(text, where):
        if len(cells) == 1:
            raise DatasetError(_one_column(where, line, cells[0]))
        if expected is None:
            expected = len(cells)
        if len(cells) != expected:
            raise DatasetError(
                f"{where}, row {line}: {len(cells)} columns where {expected} are expected "
                f"(the label and {expected - 1} numbers); every row must have the same columns"
            )
        if not cells[0].strip():
            raise DatasetError(
                f"{where}, row {line}: the label (first column) is empty; "
                "every row needs its class there"
            )
        labels.append(cells[0])
        rows.append(_numbers(cells, where, line, features, first=not rows))
    if not rows:
        raise DatasetError(
            f"{where} has 0 rows; it needs one line for each example: label, number, number, …"
        )
    table = Table(tuple(labels), tuple(rows))
    _refuse_measurements(table, where)
    return table


def check_classes(train: Table, validation: Table | None, train_file: str, other_file: str) -> None:
    """Check that there is something to tell apart, and nothing that was never seen.

    Raises:
        DatasetError: one class only, or a validation class (or width) that training has not.
    """
    classes = train.counts()
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
            f"{other_file} has {validation.width} numbers a row where {train_file} has "
            f"{train.width}; both must have the same columns"
        )
    for number, label in enumerate(validation.labels, 1):
        if label not in classes:
            known = ", ".join(quote(name) for name in list(classes)[:10])
            raise DatasetError(
                f"{other_file}, example {number}: the class {quote(label)} is not in {train_file} "
                f"(it has {known}); add examples of it there or remove it here"
            )


def csv_line(cells: Sequence[str]) -> str:
    """Return one CSV line, ended by a newline."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue()


def _numbers(
    cells: list[str], where: str, line: int, features: Sequence[str] | None, *, first: bool
) -> tuple[float, ...]:
    numbers = []
    for column, cell in enumerate(cells[1:], 2):
        try:
            numbers.append(parse_number(cell))
        except NotANumberError as reason:
            name = f" ({features[column - 2]})" if features else ""
            message = f"{where}, row {line}, column {column}{name} {reason}"
            if first and all(_is_text(other) for other in cells[1:]):
                message += "; the row looks like a header: leave it out"
            elif not cell.strip():
                message += "; fill the missing value or drop the row"
            else:
                message += "; every column after the label must hold numbers"
            raise DatasetError(message) from None
    return tuple(numbers)


def _is_text(cell: str) -> bool:
    try:
        parse_number(cell)
    except NotANumberError:
        return bool(cell.strip())
    return False


def _one_column(where: str, line: int, cell: str) -> str:
    message = (
        f"{where}, row {line}: only one column, so there is no label beside the numbers; "
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
            f"decimal numbers (as {quote(table.labels[0])}), which is a measurement and not a "
            "class; put the label in the first column"
        )
