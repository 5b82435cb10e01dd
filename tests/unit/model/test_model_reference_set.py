"""The frozen reference set: rows that are written and read back."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model import reference_set
from model.errors import ReferenceSetError
from model.reference_set import read_reference, reference_bytes
from model.table import Table

numbers = st.one_of(st.floats(allow_infinity=False, width=32), st.just(math.nan))
rows = st.lists(st.tuples(st.text(max_size=5), numbers, st.text(max_size=5)), min_size=1)


@given(rows)
def test_rows_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, found: list[tuple[str, float, str]]
) -> None:
    table = Table.of_rows(
        tuple(r[0] for r in found),
        tuple(r[1:] for r in found),
        categorical_columns=frozenset({1}),
    )
    path = tmp_path_factory.mktemp("set") / "reference.json"
    path.write_bytes(reference_bytes(table, ("size", "site"), 0))
    read = read_reference(path).table
    assert (read.labels, read.names) == (table.labels, ("size", "site"))
    # NaN is equal to nothing, so that the texts are compared.
    assert list(map(repr, read.rows)) == list(map(repr, table.rows))


def test_a_part_of_many_rows_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference_set, "MOST_ROWS", 5)
    table = Table.of_rows(tuple(str(n) for n in range(20)), tuple((float(n),) for n in range(20)))
    (tmp_path / "a.json").write_bytes(body := reference_bytes(table, ("x",), 1))
    read = read_reference(tmp_path / "a.json").table
    assert len(read.rows) == 5
    assert [row[0] for row in read.rows] == [float(label) for label in read.labels]
    assert body == reference_bytes(table, ("x",), 1)
    assert body != reference_bytes(table, ("x",), 2)


VALID: dict[str, Any] = {"version": 1, "features": ["x"], "labels": ["a"], "rows": [[1.0]]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is cut off, or is no reference set"),
        (b"[]", "is cut off, or is no reference set"),
        (json.dumps({**VALID, "version": 2}).encode(), "has version 2; this image reads 1"),
        (json.dumps({**VALID, "rows": []}).encode(), "do not fit together"),
        (json.dumps({**VALID, "labels": []}).encode(), "do not fit together"),
        (json.dumps({**VALID, "features": ["x", "y"]}).encode(), "do not fit together"),
        (json.dumps({**VALID, "rows": [[True]]}).encode(), "True is no cell"),
    ],
)
def test_what_is_no_reference_set_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "reference.json"
    path.write_bytes(content)
    with pytest.raises(ReferenceSetError, match=r"reference\.json") as caught:
        read_reference(path)
    assert said in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReferenceSetError, match=r"cannot read reference\.json"):
        read_reference(tmp_path / "reference.json")
