"""Rows that are read one at a time, from text and from a zip."""

from __future__ import annotations

import io
import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model import entries as entries_module
from model.cells import NotANumberError, parse_number
from model.entries import ZipEntries
from model.errors import DatasetError
from model.rows import LabelCounts, ReadOptions, RowReader, decode_text
from tests.archives import zip_of

CELLS = st.one_of(
    st.sampled_from(["1_0", "٣", "nan", "inf", "-inf", "1e39", "", " ", " 1 ", "a", "-0"]),
    st.floats(allow_nan=False).map(repr),
)


def reader(text: str, **options: object) -> RowReader:
    return RowReader(
        lambda: io.StringIO(text, newline=""),
        "t.csv",
        None,
        ReadOptions(**options),  # type: ignore[arg-type]
    )


@given(st.lists(CELLS, min_size=1, max_size=4))
def test_a_row_of_numbers_is_what_each_cell_is_parsed_as(cells: list[str]) -> None:
    text = "label," + ",".join(f'"{cell}"' for cell in cells) + "\n"
    try:
        expected = tuple(map(parse_number, cells))
    except NotANumberError:
        with pytest.raises(DatasetError):
            list(reader(text).rows())
    else:
        assert list(reader(text).rows()) == [("label", expected)]


def test_rows_that_are_refused_are_left_out_and_the_others_read() -> None:
    refused: list[DatasetError] = []
    found = list(reader("a,1,2\nb,x,3\n,1,1\nc,1\nd,5,6\n").rows(refused.append))
    assert found == [("a", (1.0, 2.0)), ("d", (5.0, 6.0))]
    assert [str(error).split(":")[0].split(" (")[0] for error in refused] == [
        "t.csv, row 2, column 2 holds 'x', which is not a number; every column after the label "
        "must hold numbers, except those that categorical_columns and date_columns name",
        "t.csv, row 3",
        "t.csv, row 4",
    ]


def test_the_categorical_columns_are_found_before_the_rows_are_read() -> None:
    found = reader("h,a,b,c\nx,1,2,\ny,red,4,\n", header=True, categorical=("auto",))
    assert found.categorical_columns == {0}
    assert (found.label, found.names) == ("h", ("a", "b", "c"))
    accepting = reader("x,1,\ny,red,4\n", categorical=("auto",), accept_missing=True)
    (first, second) = (cells for _, cells in accepting.rows())
    assert first[0] == "1"
    assert math.isnan(float(first[1]))
    assert second == ("red", 4.0)


@given(st.text(st.characters(codec="utf-8")), st.booleans())
def test_the_lines_of_an_entry_are_those_of_its_whole_text(text: str, mark: bool) -> None:
    content = ("\ufeff" if mark else "") + text
    with ZipEntries(io.BytesIO(zip_of({"train.csv": content.encode()})), "x.zip") as entries:
        lines = list(entries.lines("train.csv"))
        whole = decode_text(entries.read("train.csv"), "x.zip/train.csv")
    assert lines == list(io.StringIO(whole, newline=""))


@given(st.binary(max_size=40), st.booleans(), st.sampled_from([0, 8000, 20_000]))
def test_bytes_that_are_not_utf_8_are_named_alike_by_both_readers(
    data: bytes, mark: bool, before: int
) -> None:
    data = (b"\xef\xbb\xbf" if mark else b"") + b"x" * before + data
    outcomes = []
    read: Callable[[], str]
    with ZipEntries(io.BytesIO(zip_of({"train.csv": data})), "x.zip") as entries:
        for read in (
            lambda: "".join(entries.lines("train.csv")),
            lambda: decode_text(entries.read("train.csv"), "x.zip/train.csv"),
        ):
            try:
                outcomes.append(read())
            except DatasetError as error:
                outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]


def test_entries_together_are_read_up_to_the_limit() -> None:
    content = zip_of({"train.csv": "a,1\n" * 10, "validation.csv": "a,1\n"})
    with ZipEntries(io.BytesIO(content), "x.zip", 44) as entries:
        # An entry that is read twice counts once.
        assert len(list(entries.lines("train.csv"))) == 10
        assert len(list(entries.lines("train.csv"))) == 10
        assert entries.read("validation.csv") == b"a,1\n"
    with ZipEntries(io.BytesIO(content), "x.zip", 43) as entries:
        entries.read("train.csv")
        with pytest.raises(DatasetError, match="unpacks to more than 43 bytes"):
            list(entries.lines("validation.csv"))


def test_a_line_that_would_fill_the_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries_module, "MAX_LINE_CHARACTERS", 100)
    content = zip_of({"train.csv": "a,1\n" + "b," * 100})
    with (
        ZipEntries(io.BytesIO(content), "x.zip") as entries,
        pytest.raises(DatasetError, match="a line of more than 100 characters"),
    ):
        list(entries.lines("train.csv"))


def test_labels_beyond_the_bound_are_counted_together() -> None:
    counts = LabelCounts(2)
    counts.add(["a", "b", "c", "a", "d"])
    assert (dict(counts.counts), counts.other, counts.rows) == ({"a": 2, "b": 1}, 2, 5)
