"""Pure: the common request bodies, read fast.

A CSV row is a JSON array without its brackets, and a JSON parser is thirty times faster than a CSV
reader and `float()` in Python. One row is read by orjson, whose list `struct` packs; many rows by
simdjson, which writes the numbers into one buffer and makes no Python object of each. Nothing here
says what is wrong: whatever is not plainly right is None, and `payload` reads the body again with
all care. So a body that is read here must mean the same there, which a property test holds.
"""

from __future__ import annotations

import numpy as np
import orjson
from numpy.typing import NDArray
from simdjson import Array, Object, Parser

from model.cells import FLOAT32_MAX

# With nothing else in it, a body between brackets can only be an array of numbers or no JSON.
_NUMERIC = b"0123456789.,-+eE "
_NUMERIC_LINES = _NUMERIC + b"\n"
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
    body = body.rstrip(b"\r\n").replace(b"\r\n", b"\n")
    if body.translate(None, _NUMERIC_LINES):
        return None
    return _parse(b"[[" + body.replace(b"\n", b"],[") + b"]]", width)


def json_rows(body: bytes, width: int) -> Numbers | None:
    """Return the rows of numbers of an instances form, shape (rows, width), or None."""
    return _parse(body, width)


def _parse(text: bytes, width: int) -> Numbers | None:
    try:
        document = Parser().parse(text)
        if isinstance(document, Object):
            # Of two keys of one name, one parser takes the first and another the last.
            if len(document) != 1:
                return None
            document = document["instances"]
        if not isinstance(document, Array) or not len(document):
            return None
        # The buffer below would hold what is nested deeper, too.
        rows, lists = 1, 1
        if isinstance(document[0], Array):
            rows, lists = len(document), len(document) + 1
            if any(not isinstance(row, Array) or len(row) != width for row in document):
                return None
        if text.count(b"[") != lists:
            return None
        numbers = np.frombuffer(document.as_buffer(of_type="d"), np.float64)
    except _NOT_PLAIN:
        return None
    if len(numbers) != rows * width or not (np.abs(numbers) <= FLOAT32_MAX).all():
        return None
    return numbers.astype(np.float32).reshape(rows, width)
