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
from model.batches import numbers_of
from model.errors import DatasetError
from model.plain_blocks import parse_block, read_blocks
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
OTHERS = st.sampled_from(["red", "", " größe ", "1", '"a"', "2024-01-02"])
LINES = st.lists(
    st.tuples(
        st.sampled_from(["a", "b c", "ü", "", " a", '"q"', "\udc80"]),
        st.tuples(CELLS | st.just("1"), OTHERS, CELLS | st.just("2")),
        st.sampled_from(["\n", "\n", "\n", "\r\n", "\r"]),
        st.sampled_from([0, 0, 0, 1]),
    ),
    min_size=1,
    max_size=6,
)


@given(LINES, st.booleans(), st.booleans())
@example([("a", ("1", "red", "2"), "\n", 0)], True, True)
@example([("a", ("1", "", "2"), "\n", 0), ("b", ("3", "ü", "4"), "\r\n", 0)], True, False)
@example([("a", ("1", "x", "2"), "\n", 0), ("b", ("3", "x", "4"), "\n", 1)], False, False)
def test_a_block_has_the_labels_numbers_and_cells_of_its_lines(
    rows: list[tuple[str, tuple[str, str, str], str, int]], label_last: bool, ends: bool
) -> None:
    if not ends:
        rows = [*rows[:-1], (*rows[-1][:2], "", rows[-1][3])]
    lines = [
        ",".join([*cells, *"x" * more, label] if label_last else [label, *cells, *"x" * more]) + end
        for label, cells, end, more in rows
    ]
    data = "".join(lines).encode("utf-8", "surrogateescape")
    found = list(read_blocks(io.BytesIO(data), 3, [1], label_last=label_last))
    numbers = [numbers_of([cells[at] for _, cells, _, _ in rows]) for at in (0, 2)]
    # JSON knows fewer forms of numbers.
    unusual = {"", "+1", ".5", " 1"} & {cells[at] for _, cells, _, _ in rows for at in (0, 2)}
    odd = '"' in "".join(lines) or any(end == "\r" for _, _, end, _ in rows)
    blank = not all(label.strip() for label, *_ in rows)
    wide = any(more for *_, more in rows)
    strange = "\udc80" in "".join(lines)
    if unusual or odd or blank or wide or strange or any(column is None for column in numbers):
        assert found == []
        return
    (block,) = found
    assert block.last
    assert block.labels == [label for label, *_ in rows]
    assert block.others == [[cells[1] for _, cells, *_ in rows]]
    assert np.array_equal(block.numbers.T, numbers)  # type: ignore[arg-type]  # none is None
    right = [",".join([label, *cells]) + "\n" for label, cells, *_ in rows]
    assert block.data.decode() == "".join(right)
    assert block.sizes.tolist() == [len(line.encode()) for line in right]


def test_blocks_end_at_lines_and_before_what_they_cannot_hold() -> None:
    lines = b"a,1.5,2\n" * 300_000
    blocks = list(read_blocks(io.BytesIO(lines), 2, label_last=False))
    assert len(blocks) == 3
    assert b"".join(block.data for block in blocks) == lines
    assert [block.last for block in blocks] == [False, False, True]
    some = list(read_blocks(io.BytesIO(lines + b'"b",1,2\n'), 2, label_last=False))
    assert [block.last for block in some] == [False, False]
    assert list(read_blocks(io.BytesIO(b"1" * 5_000_000), 2, label_last=False)) == []
    assert list(read_blocks(io.BytesIO(b""), 2, label_last=False)) == []
    only = parse_block(b"a,x,y\nb,z,\n", 2, [0, 1])
    assert only is not None
    assert only.others == [["x", "z"], ["y", ""]]
    assert only.numbers.shape == (2, 0)


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
