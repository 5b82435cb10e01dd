"""Pure: what the cells of a CSV file's columns are: numbers of other notations, or categories.

A number may be written as 1.234,5 or 1,234.5. A column is read so only if every cell of it can be,
and one cell cannot be read otherwise. A cell that is none of this decides that a column holds
categories, unless nearly all others are numbers: then it is a column of numbers with cells that
are wrong, and guessing would turn it into hundreds of categories.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from model.batches import numbers_of
from model.cells import is_missing, quote
from model.errors import DatasetError
from model.rows import in_batches, is_non_numeric

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
    """

    numbers: int = 0
    others: Counter[str] = field(default_factory=Counter)
    first: int = 0
    comma: bool = True
    thousands: bool = True

    def add(self, cells: Sequence[str], rows: Sequence[int]) -> None:
        """Add cells, which are not missing, and the rows that they are in."""
        if numbers_of(cells) is not None:
            self.numbers += len(cells)
            # A point has another meaning in the other notation.
            self.comma = self.comma and not any("." in cell or "e" in cell for cell in cells)
            return
        for cell, row in zip(cells, rows, strict=True):
            text = cell.strip()
            self.comma = self.comma and bool(_COMMA.fullmatch(text))
            self.thousands = self.thousands and bool(_THOUSANDS.fullmatch(text))
            if is_non_numeric(cell):
                self.first = self.first or row
                self.others[text] += 1
            else:
                self.numbers += 1

    @property
    def share(self) -> float:
        """Return the share of cells that are numbers, 0 to 1."""
        return self.numbers / max(1, self.numbers + self.others.total())


def survey(
    records: Iterable[tuple[int, list[str]]], places: Sequence[int], missing: frozenset[str]
) -> dict[int, ColumnSurvey]:
    """Return what the cells of columns are, by the column's place.

    Args:
        records: (row, cells).
        places: the indexes of the columns, from 0.
        missing: spellings of missing cells, in small letters.
    """
    found = {at: ColumnSurvey() for at in places}
    for batch in in_batches(iter(records)):
        for at in places:
            pairs = [
                (cells[at], row)
                for row, cells in batch
                if len(cells) > at and not is_missing(cells[at], missing)
            ]
            if pairs:
                cells, rows = zip(*pairs, strict=True)
                found[at].add(cells, rows)
    return found


def notation_of(column: ColumnSurvey, delimiter: str) -> str | None:
    """Return "comma" or "thousands" if a column is of numbers written so; None otherwise.

    Args:
        column: its cells.
        delimiter: the character between cells; if it is a comma, one in a cell separates thousands.
    """
    if not column.others:
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
        DatasetError: nearly all of its cells are numbers.
    """
    if not column.others or column.share < _MOSTLY:
        return
    wrong = [cell for cell, _ in column.others.most_common(_SHOWN)]
    likely = {cell.lower() for cell in wrong} & _LIKELY_MISSING
    advice = f"if they are missing values, use --na {quote(','.join(wrong))}" if likely else ""
    advice = advice or "fix the cells"
    raise DatasetError(
        f"{where}, row {column.first}: the column {quote(name)} holds numbers in "
        f"{100 * column.share:.0f} % of its rows, but also "
        f"{', '.join(map(quote, wrong))}{' and others' if len(column.others) > _SHOWN else ''}; "
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
