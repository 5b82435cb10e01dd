"""Reading by columns means the same as reading row by row, errors included."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.batches import numbers_of
from model.cells import NotANumberError, parse_number
from model.dates import Order
from model.errors import DatasetError
from model.rows import ReadOptions, RowReader
from model.table import parse_table
from tests.examples import examples

CELLS = st.one_of(
    st.floats().map(repr),
    st.integers(-(10**45), 10**45).map(str),
    st.sampled_from(["", " ", "nan", "NaN", "-nan", "inf", "1_000", "٣", " 1.5 ", "1e400", "x"]),
    st.sampled_from(["[1]", "1],[2", "1]", "-1", ".5", "1.", "+1", "01", "1e5", '"1"']),
    st.sampled_from(["2024-01-02", "2024-01-02T10:00Z", " 03/04/2024", "2023-02-29"]),
    st.sampled_from(["red", " red", "größe", 'a"b', "a,b", "3.4028235677973366e38", "-3.5e38"]),
)
MIXED_CELLS = st.sampled_from(["2024-01-02", "2024-01-03", "1.5", "2", "red", "", "nan", " x"])
PLAIN_CELLS = st.floats(-1e30, 1e30).map(repr) | st.sampled_from(["[1]", "1],[2", "2]", "7"])
LABELS = st.sampled_from(["yes", "no", " yes", "", "1", "2.5", "nan"])
OPTIONS = st.builds(
    ReadOptions,
    header=st.just(False),
    categorical=st.sampled_from([(), ("auto",), ("feature_1",)]),
    dates=st.sampled_from([(), (), (("feature_1", Order.DAY_FIRST),), (("feature_2", None),)]),
    accept_missing=st.booleans(),
    regression=st.booleans(),
)


@st.composite
def tables(draw: st.DrawFn) -> str:
    width = draw(st.integers(1, 3))
    cells = draw(st.sampled_from([PLAIN_CELLS, CELLS, MIXED_CELLS]))
    row = st.tuples(LABELS, *[cells] * width)
    rows: list[list[str]] = [list(found) for found in draw(st.lists(row, max_size=6))]
    if rows and draw(st.integers(0, 9)) == 0:
        rows[-1].append("7")
    out = io.StringIO()
    csv.writer(out, lineterminator=draw(st.sampled_from(["\n", "\r\n"]))).writerows(rows)
    return out.getvalue() + draw(st.sampled_from(["", "", 'a,"b']))


def one_by_one(text: str, options: ReadOptions) -> str:
    reader = RowReader(lambda: io.StringIO(text, newline=""), "t", None, options)
    return repr([(label, cells) for label, cells in reader.rows()])


def by_columns(text: str, options: ReadOptions) -> str:
    reader = RowReader(lambda: io.StringIO(text, newline=""), "t", None, options)
    found = []
    for labels, columns in reader.batches():
        cells = [column if isinstance(column, list) else column.tolist() for column in columns]
        found += list(zip(labels, zip(*cells, strict=True), strict=True))
    return repr(found)


@given(tables(), OPTIONS)
@settings(max_examples=examples(300))
def test_a_table_by_columns_is_the_table_row_by_row(text: str, options: ReadOptions) -> None:
    outcomes = []
    for read in (one_by_one, by_columns):
        try:
            outcomes.append(read(text, options))
        except DatasetError as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]


@given(CELLS)
def test_a_column_of_one_cell_is_parsed_as_the_cell(cell: str) -> None:
    found = numbers_of([cell])
    try:
        expected = parse_number(cell)
    except NotANumberError:
        assert found is None
    else:
        assert found is not None
        assert repr(found.tolist()) == repr([expected])


def test_the_first_wrong_row_of_a_later_batch_is_named() -> None:
    lines = [f"{'yes' if number % 2 else 'no'},{number},1\n" for number in range(10_000)]
    lines[9_000] = "yes,oops,1\n"
    lines[9_500] = "yes,1\n"
    with pytest.raises(DatasetError, match=r"row 9001, column 2 holds 'oops'"):
        parse_table("".join(lines), "t")


def test_large_tables_are_joined_from_batches() -> None:
    lines = [f"c{number % 3},{number},{number / 7!r}\n" for number in range(10_000)]
    table = parse_table("".join(lines), "t")
    first = table.columns[0]
    assert isinstance(first, np.ndarray)
    assert first.tolist() == list(range(10_000))
    assert table.rows[9_999] == (9_999.0, 9_999 / 7)
    assert table.select([1, 9_999]).rows == (table.rows[1], table.rows[9_999])
    assert (table + table).labels == table.labels * 2
