"""Pure: the columns of a batch of rows, many cells at a time.

Checking cell by cell takes a microsecond for each. Here a whole column becomes an array in one
step, and only a batch that holds something unusual is refused here: its reader then goes through
its rows one by one, and names the row, the column and the value that is wrong. So a batch that is
taken here must mean the same there; a property compares both.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from simdjson import Parser

from model.cells import FLOAT32_LIMIT, is_missing

Numbers = NDArray[np.float64]
# Rows of numbers with brackets between them.
_ROWS = re.compile(r"[0-9.,+eE\-\[\]]+")
# simdjson raises these for text that is no JSON, or whose values are not numbers.
_NOT_PLAIN = (ValueError, TypeError, RuntimeError)


def numbers_of(
    cells: Sequence[str],
    *,
    accept_missing: bool = False,
    spellings: frozenset[str] = frozenset(),
) -> Numbers | None:
    """Return the numbers of a column's cells, shape (rows,), or None if a cell may be wrong.

    Args:
        cells: the cells as they were read.
        accept_missing: a missing cell becomes NaN.
        spellings: other missing cells than empty ones and `nan`, in small letters.
    """
    try:
        numbers = _floats(cells)
    except ValueError:
        if not accept_missing:
            return None
        try:
            cells = ["nan" if is_missing(cell, spellings) else cell for cell in cells]
            numbers = _floats(cells)
        except ValueError:
            return None
    if not plain_text("".join(cells)):
        return None
    refused = np.flatnonzero(~(np.abs(numbers) <= FLOAT32_LIMIT))
    if len(refused) and not (
        accept_missing and all(is_missing(cells[at]) for at in refused.tolist())
    ):
        return None
    return numbers


def plain_rows(
    lines: Sequence[str], width: int, *, label_last: bool = False
) -> tuple[list[str], Numbers] | None:
    """Return the labels and the numbers of CSV lines, or None if they are not that simple.

    A row of numbers is a JSON array without its brackets, and simdjson reads a gigabyte of them in
    a second. Quotes, blank lines, blanks, missing cells and numbers that JSON does not know, such
    as `.5`, are left to others.

    Args:
        lines: whole lines, each with its end.
        width: numbers in each row.
        label_last: the label is the last cell, and not the first.

    Returns:
        One label per row, and the numbers, shape (rows, width).
    """
    if label_last:
        parts = [line.rstrip("\r\n").rpartition(",") for line in lines]
        labels, rests = [part[2] for part in parts], [part[0] for part in parts]
    else:
        parts = [line.rstrip("\r\n").partition(",") for line in lines]
        labels, rests = [part[0] for part in parts], [part[2] for part in parts]
    text = "],[".join(rests)
    # The brackets between rows must be the only ones.
    odd = '"' in "".join(labels) or not all(map(str.strip, labels))
    if odd or not _ROWS.fullmatch(text) or text.count("[") != len(lines) - 1:
        return None
    try:
        rows: Any = Parser().parse(b"[[" + text.encode() + b"]]")
        if {*map(len, rows)} != {width}:
            return None
        numbers = np.frombuffer(rows.as_buffer(of_type="d"), np.float64)
    except _NOT_PLAIN:
        return None
    if len(numbers) != len(lines) * width or not (np.abs(numbers) <= FLOAT32_LIMIT).all():
        return None
    return labels, numbers.reshape(len(lines), width).copy()


def categories_of(
    cells: Sequence[str],
    *,
    accept_missing: bool = False,
    spellings: frozenset[str] = frozenset(),
) -> list[str] | None:
    """Return the categories of a column's cells, or None if a cell may be wrong.

    Args:
        cells: the cells as they were read.
        accept_missing: a missing cell becomes an empty string.
        spellings: other missing cells than empty ones and `nan`, in small letters.
    """
    known = {cell: "" if is_missing(cell, spellings) else cell.strip() for cell in set(cells)}
    if not accept_missing and not all(known.values()):
        return None
    return [known[cell] for cell in cells]


def plain_text(text: str) -> bool:
    """Return False if `float()` may read more in a text than a dataset should hold."""
    return text.isascii() and "_" not in text


def _floats(cells: Sequence[str]) -> Numbers:
    return np.fromiter(map(float, cells), np.float64, len(cells))
