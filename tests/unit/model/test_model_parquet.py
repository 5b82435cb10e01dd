"""Parquet files as the source of a dataset: the same rows and rules as a CSV file."""

from __future__ import annotations

import csv
import io
import sys
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model import parquet_source
from model.archive import read_archive
from model.dataset import main
from model.dates import Order
from tests.examples import TWO_DATASETS, examples

ROWS = 40


def table(**columns: Any) -> Any:
    """Return a table with a label and a number, and more columns."""
    start = {"outcome": ["a", "b"] * (ROWS // 2), "x": [n / 4 for n in range(ROWS)]}
    return arrow.table(start | columns)


def made(source: Path, *options: str) -> dict[str, list[list[str]]]:
    """Make a dataset; return the rows of its files."""
    out = source.with_suffix(".zip")
    assert main(["--csv", str(source), "--label", "outcome", "--out", str(out), *options]) == 0
    with zipfile.ZipFile(out) as archive:
        names = ("train.csv", "validation.csv")
        texts = {name: archive.read(name).decode() for name in names}
    return {name: list(csv.reader(io.StringIO(text, newline=""))) for name, text in texts.items()}


def refused(capsys: pytest.CaptureFixture[str], source: Path, *options: str) -> str:
    arguments = ["--csv", str(source), "--label", "outcome", "--out", str(source.parent / "z.zip")]
    assert main([*arguments, *options]) == 1
    return capsys.readouterr().err


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=6)


@settings(max_examples=examples(TWO_DATASETS))
@given(
    st.lists(st.floats(-1e6, 1e6), min_size=ROWS, max_size=ROWS),
    st.lists(TEXT.filter(lambda text: text == text.strip()), min_size=ROWS, max_size=ROWS),
    st.integers(1, ROWS),
)
def test_the_rows_are_those_of_the_csv_file(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[float], texts: list[str], group: int
) -> None:
    place = tmp_path_factory.mktemp("parquet")
    found = table(y=numbers, word=[f"w{text}" for text in texts])
    parquet.write_table(found, place / "a.parquet", row_group_size=group)
    with (place / "b.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(found.column_names)
        writer.writerows(zip(*found.to_pydict().values(), strict=True))
    options = ("--categorical", "word")
    one, other = made(place / "a.parquet", *options), made(place / "b.csv", *options)
    numeric = [[[*row[:1], *map(float, row[1:3]), row[3]] for row in rows] for rows in one.values()]
    expected = [
        [[*row[:1], *map(float, row[1:3]), row[3]] for row in rows] for rows in other.values()
    ]
    assert numeric == expected


def test_missing_values_booleans_and_categories_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    city = arrow.array(["Köln", "a,b", 'q"x', None] * (ROWS // 4)).dictionary_encode()
    source = tmp_path / "a.parquet"
    found = table(city=city, ok=[True, False] * (ROWS // 2), __index_level_0__=list(range(ROWS)))
    parquet.write_table(found, source)
    files = made(source, "--categorical", "auto", "--missing-values", "accept")
    rows = [row for rows in files.values() for row in rows]
    assert {row[2] for row in rows} == {"Köln", "a,b", 'q"x', ""}
    assert {(row[0], row[3]) for row in rows} == {("a", "true"), ("b", "false")}
    assert {len(row) for row in rows} == {4}
    said = capsys.readouterr().out
    assert "a Parquet file of 40 rows" in said
    assert "the index that pandas has stored is left out" in said


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
def test_dates_and_timestamps_are_read_as_the_moments_that_they_are(
    tmp_path: Path, unit: str, zone: str | None
) -> None:
    begin = 1_704_067_200
    moments = arrow.array([begin + 3607 * n for n in range(ROWS)], arrow.timestamp("s"))
    days = arrow.array([19_723 + n for n in range(ROWS)], arrow.date32())
    found = table(seen=moments.cast(arrow.timestamp(unit, zone)), day=days)
    source = tmp_path / "a.parquet"
    parquet.write_table(found, source)
    made(source, "--categorical", "auto")
    dataset = read_archive(source.with_suffix(".zip").read_bytes(), "a.zip")
    assert dataset.validation is not None
    assert dataset.train.date_columns == {1: Order.YEAR_FIRST, 2: Order.YEAR_FIRST}
    rows = sorted((dataset.train + dataset.validation).rows)
    assert [(row[1], row[2]) for row in rows] == [
        (begin + 3607 * n, 86_400 * (19_723 + n)) for n in range(ROWS)
    ]


def test_a_column_of_lists_is_refused_unless_it_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "a.parquet"
    parquet.write_table(table(tags=[[1, 2]] * ROWS, raw=[b"x"] * ROWS), source)
    assert "column 'tags' holds values of the type list" in refused(capsys, source)
    said = refused(capsys, source, "--drop", "tags")
    assert "column 'raw' holds values of the type binary" in said
    files = made(source, "--drop", "tags", "--drop", "raw")
    assert {len(row) for rows in files.values() for row in rows} == {2}


@pytest.mark.parametrize("cut", [4, 100, -1])
def test_a_damaged_file_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], cut: int
) -> None:
    source = tmp_path / "a.parquet"
    parquet.write_table(table(), source)
    source.write_bytes(source.read_bytes()[:cut])
    said = refused(capsys, source)
    assert said.startswith(f"error: cannot read {source} as Parquet: ")
    assert said.count("\n") == 1


def test_damaged_pages_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "a.parquet"
    parquet.write_table(table(), source)
    content = bytearray(source.read_bytes())
    content[4:200] = bytes(196)
    source.write_bytes(content)
    assert "as Parquet: " in refused(capsys, source)


@pytest.mark.parametrize(
    ("bound", "value", "said"),
    [
        ("MAX_CELLS", 79, "has 80 cells (rows times columns); at most 79 are allowed"),
        ("MAX_GROUP_BYTES", 100, "in one row group"),
        ("MAX_BYTES", 100, "unpacks to"),
    ],
)
def test_a_file_that_is_too_large_is_refused_before_it_is_unpacked(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    bound: str,
    value: int,
    said: str,
) -> None:
    source = tmp_path / "a.parquet"
    parquet.write_table(table(), source)
    monkeypatch.setattr(parquet_source, bound, value)
    assert said in refused(capsys, source)


def test_without_rows_and_without_pyarrow_one_sentence_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "a.parquet"
    parquet.write_table(table().slice(0, 0), source)
    assert "has a header and 0 rows" in refused(capsys, source)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "reading one needs pyarrow: pip install pyarrow" in refused(capsys, source)
