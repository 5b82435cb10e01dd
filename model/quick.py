"""Pure: the common request bodies, read fast.

A CSV row is a JSON array without its brackets, and a JSON parser is thirty times faster than a CSV
reader and `float()` in Python. One row is read by orjson, whose list `struct` packs; many rows by
simdjson, which writes the numbers into one buffer and makes no Python object of each. Nothing here
says what is wrong: whatever is not plainly right is None, and `payload` reads the body again with
all care. So a body that is read here must mean the same there, which a property test holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import numpy as np
import orjson
from numpy.typing import NDArray
from simdjson import Array, Object, Parser

from model.cells import FLOAT32_MAX

# With nothing else in it, a body between brackets can only be an array of numbers or no JSON.
_NUMERIC = b"0123456789.,-+eE "
# simdjson raises each of them for one kind of what is not JSON, or not numbers.
_NOT_PLAIN = (ValueError, TypeError, RuntimeError, KeyError)
_loads = orjson.loads

Numbers = NDArray[np.float32]


def csv_row(body: bytes) -> list[float] | None:
    """Return the one row of numbers that a body holds, of any width, or None."""
    body = body.rstrip(b"\r\n")
    if body.translate(None, _NUMERIC):
        return None
    try:
        row: list[float] = _loads(b"[" + body + b"]")
    except ValueError:
        return None
    return row


def csv_rows(body: bytes, width: int) -> Numbers | None:
    """Return the rows of numbers, shape (rows, width), or None."""
    body = body.rstrip(b"\r\n")
    if b"\r" in body:
        body = body.replace(b"\r\n", b"\n")
    # Without a bracket in it, every line is one list; a line of another kind would be read over.
    if b"[" in body or b"\r" in body:
        return None
    try:
        lines = cast(Array, Parser().parse(b"[[" + body.replace(b"\n", b"],[") + b"]]"))
        if {*map(len, cast(Iterable[Array], lines))} != {width}:
            return None
        return _numbers(lines, len(lines), width)
    except _NOT_PLAIN:
        return None


def json_rows(body: bytes, width: int) -> Numbers | None:
    """Return the rows of numbers of an instances form, shape (rows, width), or None."""
    try:
        document = Parser().parse(body)
        if isinstance(document, Object):
            # Of two keys of one name, one parser takes the first and another the last.
            if len(document) != 1:
                return None
            document = document["instances"]
        if not isinstance(document, Array) or not len(document):
            return None
        rows, lists = 1, 1
        if isinstance(document[0], Array):
            rows, lists = len(document), len(document) + 1
            if any(not isinstance(row, Array) or len(row) != width for row in document):
                return None
        # The buffer of numbers would hold what is nested deeper, too.
        if body.count(b"[") != lists:
            return None
        return _numbers(document, rows, width)
    except _NOT_PLAIN:
        return None


def _numbers(document: Array, rows: int, width: int) -> Numbers | None:
    numbers = np.frombuffer(document.as_buffer(of_type="d"), np.float64)
    if len(numbers) != rows * width or not (np.abs(numbers) <= FLOAT32_MAX).all():
        return None
    return numbers.astype(np.float32).reshape(rows, width)
