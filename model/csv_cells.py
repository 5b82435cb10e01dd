"""Pure: what the cells of a CSV file's columns are: numbers of other notations, or categories.

A number may be written as 1.234,5 or 1,234.5. A column is read so only if every cell of it can be,
and one cell cannot be read otherwise. A column is of dates if every cell is one. A cell that is
none of this decides that a column holds categories, unless nearly all others are numbers, or dates:
then it is a column of these with cells that are wrong, and guessing would turn it into hundreds of
categories.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from model.batches import numbers_of
from model.cells import is_missing, quote
from model.dates import DateSurvey, is_date
from model.errors import DatasetError
from model.rows import is_non_numeric

# Of a column with so large a share of numbers, the other cells are wrong.
_MOSTLY = 0.9
_COMMA = re.compile(r"[-+]?(\d+|\d{1,3}(\.\d{3})+)(,\d+)?")
_THOUSANDS = re.compile(r"[-+]?(\d+|\d{1,3}(,\d{3})+)(\.\d+)?")
# Cells that often stand for a missing value.
_LIKELY_MISSING = {"na", "n/a", "null", "none", "?", "-", "--", "#n/a", "missing", "."}
_SHOWN = 3


@dataclass(slots=True)
class ColumnSurvey:
    """Counts of the cells of one column by what they are.

    Attributes:
        numbers: cells that are numbers.
        others: cells that are not, with how often each occurs; some of very many.
        first: the row of the first such cell.
        comma: every cell may be a number with a decimal comma.
        thousands: every cell may be a number with commas between thousands.
        dated: cells that are dates.
        dates: the orders of these.
    """

    numbers: int = 0
    others: Counter[str] = field(default_factory=Counter)
    first: int = 0
    comma: bool = True
    thousands: bool = True
    dated: int = 0
    dates: DateSurvey = field(default_factory=DateSurvey)

    def add_column(
        self, cells: Sequence[str], rows: Sequence[int], missing: frozenset[str]
    ) -> None:
        """Add cells, of which some may be missing, and the rows that they are in."""
        # Most columns are of numbers, or of dates, without a missing cell.
        if self.add_numbers(cells) or self.add_dates(cells, rows):
            return
        pairs = [
            (cell, row)
            for cell, row in zip(cells, rows, strict=True)
            if not is_missing(cell, missing)
        ]
        if pairs:
            present, of_present = zip(*pairs, strict=True)
            self.add(present, of_present)

    def add(self, cells: Sequence[str], rows: Sequence[int]) -> None:
        """Add cells, which are not missing, and the rows that they are in."""
        if self.add_numbers(cells):
            return
        if self.add_dates(cells, rows):
            return
        dates = {cell for cell in set(cells) if is_date(cell)}
        if dates and self.dates.add(dates):
            at = [cell in dates for cell in cells]
            self._count_dates(sum(at), rows[at.index(True)])
            pairs = [
                (cell, row) for cell, row in zip(cells, rows, strict=True) if cell not in dates
            ]
            cells, rows = [cell for cell, _ in pairs], [row for _, row in pairs]
        for cell, row in zip(cells, rows, strict=True):
            text = cell.strip()
            self.comma = self.comma and bool(_COMMA.fullmatch(text))
            self.thousands = self.thousands and bool(_THOUSANDS.fullmatch(text))
            if is_non_numeric(cell):
                self.first = self.first or row
                self.others[text] += 1
            else:
                self.numbers += 1

    def add_numbers(self, cells: Sequence[str]) -> bool:
        """Add cells that are all numbers; return False if one is none, or is missing."""
        if numbers_of(cells) is None:
            return False
        self.numbers += len(cells)
        if self.comma:
            # A point has another meaning in the other notation.
            text = "".join(cells)
            self.comma = "." not in text and "e" not in text
        return True

    def add_dates(self, cells: Sequence[str], rows: Sequence[int]) -> bool:
        """Add cells that are all dates; return False if one is none, or is missing."""
        if not is_date(cells[0]) or not self.dates.add(cells):
            return False
        self._count_dates(len(cells), rows[0])
        return True

    def _count_dates(self, cells: int, row: int) -> None:
        self.dated += cells
        self.first = self.first or row
        self.comma = self.thousands = False

    @property
    def non_numeric(self) -> bool:
        """Return True if a cell is no number, in the usual notation."""
        return bool(self.others or self.dated)

    @property
    def of_dates(self) -> bool:
        """Return True if every cell is a date, and there is one."""
        return bool(self.dated) and not self.numbers and not self.others

    @property
    def example(self) -> str:
        """Return a cell that is no number; there must be one."""
        return next(iter(self.others)) if self.others else self.dates.example

    def share(self, cells: int) -> float:
        """Return the share of the cells that a number of them is, 0 to 1."""
        return cells / max(1, self.numbers + self.dated + self.others.total())


def survey(
    batches: Iterable[list[tuple[int, list[str]]]],
    found: Mapping[int, ColumnSurvey],
    missing: frozenset[str],
) -> None:
    """Add cells to the surveys of columns.

    Args:
        batches: (row, cells) of some rows at a time.
        found: the surveys by the column's place, from 0.
        missing: spellings of missing cells, in small letters.
    """
    for batch in batches:
        rows = [row for row, _ in batch]
        widths = {len(cells) for _, cells in batch}
        whole = list(zip(*(cells for _, cells in batch), strict=True)) if len(widths) == 1 else []
        for at, column in found.items():
            if at < len(whole):
                column.add_column(whole[at], rows, missing)
                continue
            pairs = [(cells[at], row) for row, cells in batch if len(cells) > at]
            if pairs:
                cells, of_cells = zip(*pairs, strict=True)
                column.add_column(cells, of_cells, missing)


def notation_of(column: ColumnSurvey, delimiter: str) -> str | None:
    """Return "comma" or "thousands" if a column is of numbers written so; None otherwise.

    Args:
        column: its cells.
        delimiter: the character between cells; if it is a comma, one in a cell separates thousands.
    """
    if not column.non_numeric:
        return None
    if delimiter != "," and column.comma:
        return "comma"
    return "thousands" if column.thousands else None


def translated(cell: str, notation: str) -> str:
    """Return a cell of another notation as a number with a decimal point."""
    if notation == "comma":
        return cell.replace(".", "").replace(",", ".")
    return cell.replace(",", "")


def refuse_mixed(column: ColumnSurvey, name: str, where: str) -> None:
    """Check that a column with cells that are no numbers is meant to hold categories.

    Raises:
        DatasetError: nearly all of its cells are numbers, or nearly all are dates.
    """
    few = Counter(column.others)
    most, what = column.numbers, "numbers"
    if column.dated > most:
        most, what = column.dated, "dates"
    elif column.dated:
        few[column.dates.example] = column.dated
    if (not few and not column.numbers) or column.share(most) < _MOSTLY:
        return
    wrong = [cell for cell, _ in few.most_common(_SHOWN)]
    likely = {cell.lower() for cell in wrong} & _LIKELY_MISSING
    advice = f"if they are missing values, use --na {quote(','.join(wrong))}" if likely else ""
    advice = advice or "fix the cells"
    raise DatasetError(
        f"{where}, row {column.first}: the column {quote(name)} holds {what} in "
        f"{100 * column.share(most):.0f} % of its rows, but also "
        f"{', '.join(map(quote, wrong)) or 'numbers'}{' and others' if len(few) > _SHOWN else ''}; "
        f"{advice}, --drop the column, or name it in --categorical"
    )


def one_spelling(labels: Sequence[str]) -> dict[str, str]:
    """Return another spelling for labels that are the same number as one that is shorter.

    Example: 1 and 1.0 are one class, 1.
    """
    by_value: dict[float, list[str]] = {}
    for label in set(labels):
        numbers = numbers_of([label])
        if numbers is not None:
            by_value.setdefault(float(numbers[0]), []).append(label)
    return {
        label: min(same, key=lambda text: (len(text), text))
        for same in by_value.values()
        if len(same) > 1
        for label in same
    }
