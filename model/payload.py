"""Pure: the strict parser of request bodies, whose errors name the row and the column.

    text/csv               rows without the label, one per line
    application/json       {"instances": [[…], …]}, [[…], …] or […]
                           {"columns": {"name": [cell, …], …}}
                           {"columns": ["name", …], "data": [[…], …]}
    application/jsonlines  […] or {"features": […]}, one per line
    application/x-npy      an array of numbers, (rows, columns) or (columns,)

`fast_parser` tries the most common bodies first; this module parses the others.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/cdf-inference.html
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.cells import FLOAT32_LIMIT, NotANumberError, quote
from model.columns import Columns
from model.errors import BadPayloadError
from model.media import CSV, JSON_LINES, NPY
from model.rows import Cell

Rows = list[list[Cell]]
# An npy header is a Python literal, so numpy passes on the exceptions of Python's parser.
_UNREADABLE = (
    ValueError,
    SyntaxError,
    TypeError,
    OverflowError,
    RecursionError,
    MemoryError,
    TokenError,
)


def decode(body: bytes, media_type: str, columns: Columns) -> NDArray[np.float32]:
    """Return the model's input, shape (rows, width), with at least one row.

    Args:
        body: the request body.
        media_type: one of MEDIA_TYPES.
        columns: the model's columns.

    Raises:
        BadPayloadError: the body is empty, is not of its media type, or has rows of another width
            or cells that the columns do not accept.
    """
    if media_type == NPY:
        return _decode_npy(body, columns)
    return columns.encode(decode_rows(body, media_type, columns))


def decode_rows(body: bytes, media_type: str, columns: Columns) -> Rows:
    """Return the cells of a CSV, JSON or JSON Lines body; each row has one cell per column.

    Raises:
        BadPayloadError: as for `decode`.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadPayloadError(f"the body is not UTF-8 text (byte {error.start})") from None
    if media_type == CSV:
        rows = _decode_csv(text, columns)
    elif media_type == JSON_LINES:
        rows = _decode_lines(text, columns)
    else:
        rows = _decode_json(text, columns)
    if not rows:
        raise _no_rows(columns)
    return rows


def _decode_csv(text: str, columns: Columns) -> Rows:
    rows: Rows = []
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for cells in reader:
            if not cells:
                continue
            number = len(rows) + 1
            if len(cells) != len(columns.columns):
                raise BadPayloadError(_width(number, len(cells), columns))
            row: list[Cell] = []
            for at, cell in enumerate(cells):
                try:
                    row.append(columns.parse_cell(cell, at))
                except NotANumberError as reason:
                    raise BadPayloadError(f"{_place(number, at, columns)} {reason}") from None
            rows.append(row)
    except csv.Error as error:
        raise BadPayloadError(f"row {len(rows) + 1}: not CSV text ({error})") from None
    return rows


def _decode_lines(text: str, columns: Columns) -> Rows:
    rows: Rows = []
    for line in text.split("\n"):
        if not line.strip():
            continue
        number = len(rows) + 1
        document = _parse(line, f"row {number}")
        if isinstance(document, dict):
            document = document.get("features", document)
        rows.append(_json_row(document, number, columns))
    return rows


def _decode_json(text: str, columns: Columns) -> Rows:
    document = _parse(text, "the body")
    shape = f'send {{"instances": [[{len(columns.columns)} numbers], …]}}'
    if isinstance(document, dict):
        if "columns" in document:
            document = _by_name(document, columns)
        elif "instances" in document:
            document = document["instances"]
        else:
            raise BadPayloadError(f"the JSON object has no 'instances' and no 'columns'; {shape}")
    if not isinstance(document, list):
        raise BadPayloadError(f"the instances are not a list; {shape}")
    if document and not any(isinstance(item, list) for item in document):
        document = [document]
    return [_json_row(cells, number, columns) for number, cells in enumerate(document, 1)]


def _by_name(document: dict[str, Any], columns: Columns) -> list[list[object]]:
    """Return the rows of a JSON object with `columns`, with the cells in the model's order.

    Raises:
        BadPayloadError: a column is missing, unknown or repeated, or the columns differ in length.
    """
    given, data = document["columns"], document.get("data")
    if isinstance(given, dict):
        names, values = list(given), list(given.values())
        for name, cells in given.items():
            if not isinstance(cells, list):
                raise BadPayloadError(f"column {quote(name)} is not a list of cells")
            if len(cells) != len(values[0]):
                raise BadPayloadError(
                    f"column {quote(name)} has {len(cells)} cells, but column {quote(names[0])} "
                    f"has {len(values[0])}"
                )
        rows = [list(row) for row in zip(*values, strict=True)]
    elif isinstance(given, list) and all(isinstance(name, str) for name in given):
        names = given
        if not isinstance(data, list):
            raise BadPayloadError("with a list of columns, 'data' must be a list of rows")
        for number, row in enumerate(data, 1):
            if not isinstance(row, list) or len(row) != len(names):
                raise BadPayloadError(f"row {number} is not a list of {len(names)} cells")
        rows = data
    else:
        raise BadPayloadError("'columns' must be an object of lists, or a list of names")
    for name in columns.names:
        if names.count(name) != 1:
            problem = "named twice" if name in names else "missing"
            raise BadPayloadError(f"column {quote(name)} is {problem}")
    for name in names:
        if name not in columns.names:
            raise BadPayloadError(f"column {quote(name)} is not a column of this model")
    order = [names.index(name) for name in columns.names]
    return [[row[at] for at in order] for row in rows]


def _json_row(cells: object, number: int, columns: Columns) -> list[Cell]:
    if not isinstance(cells, list):
        raise BadPayloadError(f"row {number} is not a list of {len(columns.columns)} cells")
    if len(cells) != len(columns.columns):
        raise BadPayloadError(_width(number, len(cells), columns))
    row: list[Cell] = []
    for at, cell in enumerate(cells):
        try:
            row.append(columns.parse_json_value(cell, at, _shown(cell)))
        except NotANumberError as reason:
            raise BadPayloadError(f"{_place(number, at, columns)} {reason}") from None
    return row


def _shown(cell: object) -> str:
    if isinstance(cell, float) and not math.isfinite(cell):
        return str(cell)
    if isinstance(cell, int) and not isinstance(cell, bool) and cell.bit_length() > 128:
        return "a number with many digits"
    text = json.dumps(cell, ensure_ascii=False)[:40]
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _parse(text: str, where: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadPayloadError(f"{where} is not JSON: {error}") from None


def _decode_npy(body: bytes, columns: Columns) -> NDArray[np.float32]:
    if not columns.plain and any(column.categories is not None for column in columns.columns):
        raise BadPayloadError("this model has categorical columns, which an array cannot hold")
    if columns.dates:
        name = quote(columns.names[min(columns.dates)])
        raise BadPayloadError(
            f"this model has columns of dates, such as {name}, which an array of numbers cannot "
            "hold; send CSV or JSON"
        )
    array = npy_array(body)
    if array.ndim == 1:
        array = array.reshape(1, -1)
    if array.ndim != 2:
        raise BadPayloadError(f"the array has {array.ndim} dimensions; send (rows, columns)")
    if not len(array):
        raise _no_rows(columns)
    if array.shape[1] != len(columns.columns):
        raise BadPayloadError(_width(1, array.shape[1], columns))
    usable = np.abs(array) <= FLOAT32_LIMIT
    if columns.accept_missing:
        usable |= np.isnan(array)
    if not usable.all():
        row, at = (int(index) for index in np.argwhere(~usable)[0])
        raise BadPayloadError(
            f"{_place(row + 1, at, columns)} holds {array[row, at]}, "
            "which is not a finite 32-bit number"
        )
    numbers = np.ascontiguousarray(array, dtype=np.float32)
    if columns.plain:
        return numbers
    return columns.encode(numbers.tolist())


def npy_array(body: bytes, kinds: str = "biuf") -> NDArray[Any]:
    """Return an array, without a copy; nothing is unpickled and the claimed shape is checked.

    Args:
        body: the content of an npy file.
        kinds: the accepted kinds of numpy's types; the others are refused.

    Raises:
        BadPayloadError: the body is not an npy array of these kinds.
    """
    stream = io.BytesIO(body)
    try:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
        elif version == (2, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_2_0(stream)
        else:
            raise BadPayloadError(f"npy format {version[0]}.{version[1]} is not supported")
        if dtype.kind not in kinds:
            raise BadPayloadError(f"the array holds {dtype}; send numbers")
        rest = memoryview(body)[stream.tell() :]
        if math.prod(shape) * dtype.itemsize != len(rest) or min(shape, default=0) < 0:
            raise BadPayloadError(f"the array claims shape {shape} but holds {len(rest)} bytes")
        array = np.frombuffer(rest, dtype=dtype)
        if dtype.kind in "biu" or (dtype.kind == "f" and dtype.itemsize not in (4, 8)):
            array = array.astype(np.float64)
        return array.reshape(shape, order="F" if fortran else "C")
    except BadPayloadError:
        raise
    except _UNREADABLE as error:
        raise BadPayloadError(f"the body is not an npy array: {str(error)[:100]}") from None


def _no_rows(columns: Columns) -> BadPayloadError:
    return BadPayloadError(
        f"the body has no rows; send at least one row of {len(columns.columns)} numbers"
    )


def _place(row: int, at: int, columns: Columns) -> str:
    return f"row {row}, column {at + 1} ({columns.names[at]})"


def _width(row: int, found: int, columns: Columns) -> str:
    features: Sequence[str] = columns.names
    names = ", ".join(features[:8]) + (", …" if len(features) > 8 else "")
    hint = "; leave the label out" if found == len(features) + 1 else ""
    return f"row {row} has {found} columns; this model takes {len(features)} ({names}){hint}"
