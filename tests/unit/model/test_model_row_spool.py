"""Rows wait on disk for the split, and blocks of plain numbers are read as lines are."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from random import Random
from tempfile import gettempdir

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from model import dataset
from model.archive import write_lines, write_zip
from model.batches import plain_rows
from model.errors import DatasetError
from model.plain_blocks import Block, plain_blocks
from model.row_spool import RowSpool
from model.split import held_out_rows, stratified_split

ROWS = st.lists(st.tuples(st.sampled_from(["a", "ü", "1", "1.0", "x y"]), st.integers(0, 3)))


@given(st.lists(ROWS, max_size=4), st.randoms(use_true_random=False), st.booleans())
def test_the_chosen_rows_are_those_that_were_added(
    batches: list[list[tuple[str, int]]], random: Random, rewrites: bool
) -> None:
    rows = [row for batch in batches for row in batch]
    chosen = np.array([random.random() < 0.5 for _ in rows], np.bool_)
    with RowSpool(Path(gettempdir()), regression=False) as spool:
        for batch in batches:
            spool.add([label for label, _ in batch], [f"{label},{x}\n" for label, x in batch])
        rewrites = rewrites and {"1", "1.0"} <= set(spool.labels)
        if rewrites:
            spool.write_as({"1": "1", "1.0": "1"})
            rows = [("1" if label == "1.0" else label, x) for label, x in rows]
        expected = [f"{label},{x}\n".encode() for label, x in rows]
        found = b"".join(spool.read(chosen)), b"".join(spool.read(~chosen))
        for data, some in zip(found, (chosen, ~chosen), strict=True):
            right = b"".join(line for line, wanted in zip(expected, some, strict=True) if wanted)
            assert data == right
            assert spool.size_of(some) == len(right)
        assert spool.rows == len(rows)
        assert spool.repeated() == len(expected) - len(set(expected))
        assert spool.counts() == {one: [r[0] for r in rows].count(one) for one, _ in rows}
        assert [spool.labels[code] for code in spool.codes] == [label for label, _ in rows]


def test_the_labels_of_a_regression_are_not_kept(tmp_path: Path) -> None:
    with RowSpool(tmp_path, regression=True) as spool:
        spool.add(["1", "1"], ["1,0\n", "1,1\n"])
        assert list(spool.labels) == ["1"]
        spool.add(["2", "3"], ["2,0\n", "3,1\n"])
        assert list(spool.labels) == ["1", "2"]
        assert spool.codes.tolist() == [0, 0, 0, 0]
    assert list(tmp_path.iterdir()) == []


@given(st.lists(st.sampled_from("abc"), min_size=1), st.integers(0, 5), st.floats(0.05, 0.95))
def test_rows_are_held_out_by_codes_as_by_labels(
    labels: list[str], seed: int, fraction: float
) -> None:
    names = ["c", "a", "b"]
    codes = np.array([names.index(label) for label in labels], np.int32)
    if 1 in map(labels.count, labels):
        with pytest.raises(DatasetError, match="t has a single row of"):
            stratified_split(labels, fraction, seed, "t")
        with pytest.raises(DatasetError, match="t has a single row of"):
            held_out_rows(codes, names, fraction, seed, "t")
        return
    kept, held = stratified_split(labels, fraction, seed, "t")
    found = held_out_rows(codes, names, fraction, seed, "t")
    assert (np.flatnonzero(~found).tolist(), np.flatnonzero(found).tolist()) == (kept, held)


CELLS = st.sampled_from(["1", "2.5", "-3e4", "1e999", "", "x", '"1"', "1]", "[", " 1", ".5", "+1"])
LINES = st.lists(
    st.tuples(
        st.sampled_from(["a", "b c", "ü", "", " a", '"q"', "\udc80"]),
        st.lists(CELLS, min_size=1, max_size=3) | st.just(["1", "2"]),
        st.sampled_from(["\n", "\n", "\r\n", "\r"]),
    ),
    min_size=1,
    max_size=8,
)


@given(LINES, st.booleans(), st.booleans())
@example([("a", ["1", "2"], "\n")], True, True)
@example([("a", ["1", "2"], "\n"), ("b", ["3", "4"], "\r\n")], True, False)
@example([("a", ["1"], "\n"), ("b", ["3", "4", "5"], "\n")], False, False)
def test_a_block_of_plain_numbers_is_read_as_its_lines(
    rows: list[tuple[str, list[str], str]], label_last: bool, ends: bool
) -> None:
    if not ends:
        rows = [*rows[:-1], (*rows[-1][:2], "")]
    lines = [
        ",".join([*cells, label] if label_last else [label, *cells]) + end
        for label, cells, end in rows
    ]
    data = "".join(lines).encode("utf-8", "surrogateescape")
    found = list(plain_blocks(io.BytesIO(data), 2, label_last=label_last))
    first = [",".join([label, *cells]) + end for label, cells, end in rows]
    expected = None if any(end == "\r" for _, _, end in rows) else plain_rows(first, 2)
    if "\udc80" in "".join(first):
        expected = None
    if expected is None:
        assert found == []
        return
    (block,) = found
    assert block.labels == expected[0]
    assert block.last
    assert block.data.decode() == "".join(line.rstrip("\r\n") + "\n" for line in first)
    assert block.sizes.tolist() == [len(line) for line in block.data.splitlines(keepends=True)]


def test_blocks_end_at_lines_and_before_what_is_not_plain() -> None:
    lines = b"a,1.5,2\n" * 300_000
    blocks = list(plain_blocks(io.BytesIO(lines), 2, label_last=False))
    assert len(blocks) == 3
    assert b"".join(block.data for block in blocks) == lines
    assert [block.last for block in blocks] == [False, False, True]
    some: list[Block] = list(plain_blocks(io.BytesIO(lines + b'"b",1,2\n'), 2, label_last=False))
    assert [block.last for block in some] == [False, False]
    assert list(plain_blocks(io.BytesIO(b"1" * 5_000_000), 2, label_last=False)) == []
    assert list(plain_blocks(io.BytesIO(b""), 2, label_last=False)) == []


def test_a_zip_has_the_same_bytes_however_its_rows_are_divided() -> None:
    lines = [f"a,{number}\n" for number in range(2000)]
    whole = write_lines(lines, lines[:5], {"name": "t"})
    out, data = io.BytesIO(), "".join(lines).encode()
    parts = [data[at : at + 1000] for at in range(0, len(data), 1000)]
    first = "".join(lines[:5]).encode()
    write_zip(out, (len(data), parts), (len(first), [first]), {"name": "t"}, (2000, 5))
    assert out.getvalue() == whole
    with zipfile.ZipFile(out) as archive:
        for info in archive.infolist():
            assert (info.date_time, info.create_system) == ((1980, 1, 1, 0, 0, 0), 3)
            assert info.external_attr == 0o644 << 16


def test_nothing_is_left_after_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source, place = tmp_path / "t.csv", tmp_path / "out"
    place.mkdir()
    options = ["--csv", str(source), "--label", "y", "--out", str(place / "d.zip")]
    source.write_text("y,x\n" + "a,1\nb,2\n" * 5000 + "a,oops\n")
    assert dataset.main(options) == 1
    assert "row 10002, column 'x' holds 'oops'" in capsys.readouterr().err
    assert list(place.iterdir()) == []
    source.write_text("y,x\n" + "a,1\nb,2\n" * 5000)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(dataset, "write_zip", full)
    assert dataset.main(options) == 1
    assert (
        capsys.readouterr().err == f"error: cannot write {place}/d.zip: No space left on device\n"
    )
    assert list(place.iterdir()) == []
    monkeypatch.undo()
    (place / "d.zip").write_text("the one before")
    monkeypatch.setattr("os.replace", full)
    assert dataset.main(options) == 1
    assert [path.name for path in place.iterdir()] == ["d.zip"]
    assert (place / "d.zip").read_text() == "the one before"
