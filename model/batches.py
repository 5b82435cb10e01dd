"""Pure: the columns of a batch of rows, many cells at a time.

Checking cell by cell takes a microsecond for each. Here a whole column becomes an array in one
step, and only a batch that holds something unusual is refused here: its reader then goes through
its rows one by one, and names the row, the column and the value that is wrong. So a batch that is
taken here must mean the same there; a property compares both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from simdjson import Parser

from model.cells import FLOAT32_LIMIT, is_missing

Numbers = NDArray[np.float64]
# The characters of numbers, and of the brackets between rows of them.
_NUMBERS, _ROWS = b"0123456789.,+-eE", b"0123456789.,+-eE[]"
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
    plain = _plain_numbers(cells)
    if plain is not None:
        return plain
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


def _plain_numbers(cells: Sequence[str]) -> Numbers | None:
    """Return the numbers of cells that are an array of JSON with commas between them, or None."""
    data = ",".join(cells).encode("utf-8", "replace")
    if data.translate(None, _NUMBERS):
        return None
    try:
        array: Any = Parser().parse(b"[" + data + b"]")
        numbers = np.frombuffer(array.as_buffer(of_type="d"), np.float64)
    except _NOT_PLAIN:
        return None
    if len(numbers) != len(cells) or not (np.abs(numbers) <= FLOAT32_LIMIT).all():
        return None
    return numbers.copy()


def number_rows(data: bytes, rows: int, width: int, *, counted: bool = False) -> Numbers | None:
    """Return rows of numbers, shape (rows, width), or None if they are not that simple.

    A row of numbers is a JSON array without its brackets, and simdjson reads a gigabyte of them in
    a second.

    Args:
        data: the rows, with `],[` between them.
        rows: number of rows.
        width: numbers in each row.
        counted: each row is known to have as many cells.
    """
    # The brackets between rows must be the only ones.
    if data.translate(None, _ROWS) or data.count(b"[") != rows - 1:
        return None
    try:
        lists: Any = Parser().parse(b"[[" + data + b"]]")
        if not counted and {*map(len, lists)} != {width}:
            return None
        numbers = np.frombuffer(lists.as_buffer(of_type="d"), np.float64)
    except _NOT_PLAIN:
        return None
    if len(numbers) != rows * width or not (np.abs(numbers) <= FLOAT32_LIMIT).all():
        return None
    return numbers.reshape(rows, width)


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
