from __future__ import annotations

import io
import json
import random
import stat
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model import entries, table
from model.archive import read_archive, write_archive
from model.errors import DatasetError
from tests.archives import zip_of

ROWS = "yes,1,2\nno,8,9\n"
NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="\r\0"), min_size=1, max_size=8
).filter(str.strip)
CELLS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@st.composite
def labelled_rows(draw: st.DrawFn) -> list[list[str]]:
    classes = draw(st.lists(NAMES, min_size=2, max_size=4, unique=True))
    width = draw(st.integers(1, 4))
    labels = [*classes, *draw(st.lists(st.sampled_from(classes), max_size=10))]
    return [[label, *(repr(draw(CELLS)) for _ in range(width))] for label in labels]


@given(labelled_rows())
def test_a_written_dataset_is_read_back_with_its_labels_verbatim(rows: list[list[str]]) -> None:
    content = write_archive(rows, rows, {"name": "t", "classes": sorted({r[0] for r in rows})})
    dataset = read_archive(content, "t.zip", sha256="abc")
    assert list(dataset.train.labels) == [row[0] for row in rows]
    assert dataset.train.rows == tuple(tuple(map(float, row[1:])) for row in rows)
    assert dataset.validation is not None
    assert dataset.validation.labels == dataset.train.labels
    assert dataset.validation.rows == dataset.train.rows
    assert (dataset.name, dataset.sha256) == ("t", "abc")


@given(labelled_rows())
def test_the_same_rows_make_the_same_bytes(rows: list[list[str]]) -> None:
    assert write_archive(rows, rows, {"name": "t"}) == write_archive(rows, rows, {"name": "t"})


@given(st.binary(max_size=300))
def test_the_reader_refuses_any_bytes_with_a_reason(data: bytes) -> None:
    with pytest.raises(DatasetError):
        read_archive(data, "x.zip")


@given(st.integers(0, 400), st.integers(0, 255))
def test_the_reader_refuses_any_damaged_zip_with_a_reason(at: int, value: int) -> None:
    good = bytearray(write_archive([["a", "1"], ["b", "2"]], [["a", "1"]], {"name": "t"}))
    good[at % len(good)] = value
    try:
        read_archive(bytes(good), "x.zip")
    except DatasetError:
        return


def test_a_zip_is_never_unpacked_beyond_the_limit() -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train.csv", b"\0" * 4_000_000)
    assert len(bomb.getvalue()) < 10_000
    with pytest.raises(DatasetError, match="unpacks to more than 1000000 bytes"):
        read_archive(bomb.getvalue(), "x.zip", max_bytes=1_000_000)


def test_a_large_dataset_is_read_unless_its_zip_is_suspiciously_small(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(entries, "_UNSUSPICIOUS_BYTES", 100_000)
    chance = random.Random(0)
    rows = "".join(f"{'ab'[at % 2]},{chance.random()}\n" for at in range(10_000))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train.csv", rows)
    assert len(read_archive(packed, "x.zip").train.labels) == 10_000
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train.csv", "a,1\n" * 1_000_000)
    with pytest.raises(
        DatasetError, match="of more than 100000, it may be 100 times the zip's size"
    ):
        read_archive(bomb, "x.zip")


def test_a_table_of_too_many_cells_is_refused_with_the_rows_that_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(table, "MAX_CELLS", 100)
    assert (
        len(read_archive(zip_of({"train.csv": "a,1,2\nb,1,2\n" * 25}), "x.zip").train.labels) == 50
    )
    with pytest.raises(DatasetError, match=r"more than 100 cells .* at most 50 rows of 2 columns"):
        read_archive(zip_of({"train.csv": "a,1,2\nb,1,2\n" * 26}), "x.zip")


def test_a_description_that_would_fill_the_memory_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(entries, "_MAX_WHOLE_BYTES", 100)
    content = zip_of({"train.csv": ROWS, "dataset.json": json.dumps({"source": "x" * 100})})
    with pytest.raises(DatasetError, match=r"dataset\.json unpacks to more than 100 bytes"):
        read_archive(content, "x.zip")


@pytest.mark.parametrize("name", ["/etc/passwd", "../train.csv", "a/../../b", "a\\b", "C:/x"])
def test_an_entry_that_leaves_the_zip_is_refused(name: str) -> None:
    with pytest.raises(DatasetError, match="unsafe entry"):
        read_archive(zip_of({"train.csv": ROWS, name: "x"}), "x.zip")


def test_a_symbolic_link_is_refused() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        entry = zipfile.ZipInfo("train.csv")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")
    with pytest.raises(DatasetError, match=r"unsafe entry 'train\.csv'"):
        read_archive(out.getvalue(), "x.zip")


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "must hold a JSON object"),
        ('{"features": "a"}', "features must be a list of strings"),
        ('{"features": ["a", "a"]}', "has a name twice"),
        ('{"name": 3}', "name must be a string"),
        ('{"features": ["a"]}', "3 columns, but 2 are expected"),
        ('{"classes": ["yes"]}', "has the class 'no', which dataset.json does not list"),
        ('{"classes": ["yes", "no", "so"]}', "has no row of the class 'so'"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(description: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        read_archive(zip_of({"train.csv": ROWS, "dataset.json": description}), "x.zip")


def test_classes_keep_the_order_of_the_description() -> None:
    content = zip_of({"train.csv": ROWS, "dataset.json": '{"classes": ["yes", "no"]}'})
    assert read_archive(content, "x.zip").classes == ("yes", "no")
    assert read_archive(zip_of({"train.csv": ROWS}), "x.zip").classes == ("no", "yes")


def test_text_in_another_encoding_is_refused_with_the_byte() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("train.csv", "é,1\nb,2\n".encode("latin-1"))
    with pytest.raises(DatasetError, match="byte 0 is not UTF-8"):
        read_archive(out.getvalue(), "x.zip")
