"""The fast parser agrees with the strict one or declines; arrays are fully validated."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from model.columns import Column, Columns
from model.errors import BadPayloadError
from model.fast_parser import csv_row, csv_rows, json_rows
from model.media import CSV, JSON, JSON_LINES, NPY
from model.payload import decode
from tests.examples import examples

COLUMNS = Columns.of_numbers(("a", "b", "c"))
FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)
TABLE = st.lists(st.lists(FINITE, min_size=3, max_size=3), min_size=1, max_size=4)
NUMERIC_TEXT = st.text("0123456789.,-+eE \n\r", max_size=40)
# Characters of JSON, including its white space.
JSON_TEXT = st.text('12,\n\r\t []{}":', max_size=20)
NEARLY = st.lists(
    st.sampled_from(
        [
            *("1,2,3", "1,2", "4,5,6,7", " 1, 2 ,3", "", "1,2,3,", "+1,.5,1.", "1,2,1e39"),
            *("1,2,[3]", "1,2],[3", "1,2,true", "1,null,3", '1,2,"3"', "1,2,{}"),
            *("1,\t2,3", "1,2\r,3"),
        ]
    ),
    max_size=3,
).map("\n".join)


def strict(body: bytes, media_type: str) -> list[list[float]] | None:
    try:
        rows: list[list[float]] = decode(body, media_type, COLUMNS).tolist()
    except BadPayloadError:
        return None
    return rows


@settings(max_examples=examples(200))
@given(NUMERIC_TEXT | JSON_TEXT | NEARLY)
@example("1,2,[3]")
@example("1,2,true")
@example("1,2,3\t")
@example("1,2\r,3")
@example("1,2,\n3")
@example("1,2,3\n")
@example(" ")
@example("\n\n1,2,3")
def test_the_fast_csv_parser_agrees_with_the_strict_one(text: str) -> None:
    body = text.encode()
    row, rows = csv_row(body), csv_rows(body, 3)
    if rows is not None:
        assert rows.tolist() == strict(body, CSV)
    if row is not None and len(row) == 3 and max(map(abs, row)) < 3e38:
        assert np.array([row], dtype=np.float32).tolist() == strict(body, CSV)


@given(TABLE)
def test_the_fast_parser_accepts_plain_csv_and_json(table: list[list[float]]) -> None:
    body = "\n".join(",".join(map(repr, row)) for row in table).encode()
    rows = csv_rows(body, 3)
    assert rows is not None
    assert rows.tolist() == table
    from_json = json_rows(json.dumps({"instances": table}).encode(), 3)
    assert from_json is not None
    assert from_json.tolist() == table


VALUES = FINITE | st.booleans() | st.none() | st.text("12a", max_size=2) | st.just([1.0, 2.0, 3.0])


@settings(max_examples=examples(200))
@given(st.lists(st.lists(VALUES, max_size=4) | VALUES, max_size=3))
@example([[1, 2, True]])
@example([[1, 2, 10**39]])
def test_the_fast_json_parser_agrees_with_the_strict_one(document: Any) -> None:
    body = json.dumps({"instances": document}).encode()
    rows = json_rows(body, 3)
    if rows is not None:
        assert rows.tolist() == strict(body, JSON)


def npy(array: NDArray[Any], *, pickled: bool = False) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array(out, array, allow_pickle=pickled)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["f4", "f8", "i4", "u1", ">f4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array_of_numbers_is_rows(kind: str, order: Any) -> None:
    array = np.asarray([[1, 2, 3], [4, 5, 6]], dtype=kind, order=order)
    assert decode(npy(array), NPY, COLUMNS).tolist() == [[1, 2, 3], [4, 5, 6]]
    assert decode(npy(array[0]), NPY, COLUMNS).tolist() == [[1, 2, 3]]


HUGE = npy(np.zeros((1, 3))).replace(b"(1, 3)", b"(9999999999, 3)").replace(b" " * 10, b"", 1)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not an npy array"),
        (npy(np.array([{}, 1, 2], dtype=object), pickled=True), "holds object; send numbers"),
        (npy(np.array([["a", "b", "c"]])), "holds <U1; send numbers"),
        (npy(np.zeros((2, 2))), "row 1 has 2 columns"),
        (npy(np.zeros((0, 3))), "no rows"),
        (npy(np.zeros((1, 1, 3))), "has 3 dimensions"),
        (npy(np.array(1.0)), "has 0 dimensions"),
        (npy(np.array([[1, 2, 3], [1, np.nan, 3]])), r"row 2, column 2 \(b\) holds nan"),
        (npy(np.array([[1, 2, 1e300]])), r"row 1, column 3 \(c\) holds 1e\+300"),
        (npy(np.zeros((2, 3)))[:-1], "claims shape"),
        (HUGE, "claims shape|not an npy array"),
        (b"PK\x03\x04", "not an npy array"),
    ],
)
def test_an_array_that_cannot_be_used_is_refused_with_the_reason(body: bytes, reason: str) -> None:
    with pytest.raises(BadPayloadError, match=reason):
        decode(body, NPY, COLUMNS)


@given(st.binary(max_size=60), st.integers(0, 127), st.integers(0, 255))
def test_a_damaged_array_is_refused_and_nothing_worse(tail: bytes, at: int, value: int) -> None:
    damaged = bytearray(npy(np.ones((1, 3), np.float32)))
    damaged[at] = value
    for body in (bytes(damaged), b"\x93NUMPY\x01\x00" + tail, tail):
        strict(body, NPY)


MIXED = Columns((Column("size", fill=2.0), Column("colour", ("blue", "red"))), accept_missing=True)


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        ("1,red\n,green\n", CSV),
        ('[[1, "red"], [null, "green"]]', JSON),
        ('{"columns": {"colour": ["red", null], "size": [1, null]}}', JSON),
        ('{"columns": ["colour", "size"], "data": [["red", 1], ["", NaN]]}', JSON),
        ('[1, "red"]\n{"features": [null, null]}\n', JSON_LINES),
    ],
)
def test_every_form_of_a_row_means_the_same(body: str, media_type: str) -> None:
    assert decode(body.encode(), media_type, MIXED).tolist() == [[1, 0, 1], [2, 0, 0]]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('{"columns": {"size": [1]}}', "column 'colour' is missing"),
        ('{"columns": ["size", "size", "colour"], "data": []}', "'size' is named twice"),
        ('{"columns": {"size": [1], "colour": []}}', "'colour' has 0 cells, but"),
        ('{"columns": {"size": 1}}', "'size' is not a list"),
        ('{"columns": {"size": [1], "colour": ["red"], "x": [1]}}', "'x' is not a column of"),
        ('{"columns": ["size", "colour"]}', "'data' must be a list of rows"),
        ('{"columns": ["size", "colour"], "data": [[1]]}', "row 1 is not a list of 2 cells"),
        ('{"columns": 7}', "must be an object of lists, or a list of names"),
        ('[["x", "red"]]', r'column 1 \(size\) holds "x", which is not a number'),
        ("[[1, 2.5]]", r"column 2 \(colour\) holds 2.5, which is not a string"),
        ('{"columns": {}}', "column 'size' is missing"),
    ],
)
def test_a_body_that_does_not_fit_is_refused_with_the_row_and_column(
    body: str, reason: str
) -> None:
    with pytest.raises(BadPayloadError, match=reason):
        decode(body.encode(), JSON, MIXED)
