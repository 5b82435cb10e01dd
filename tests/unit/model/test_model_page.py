"""The frame that every report's page has, and a model's archive."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import ArtifactError
from model.model_archive import extract_members
from model.page import GOOD, draw, number, table


@given(st.text(), st.text())
def test_a_text_is_never_a_tag(heading: str, verdict: str) -> None:
    page = draw(heading, verdict, [table(heading, [verdict, f"{verdict}#"], [])], kind=GOOD)
    empty = draw("", "", [table("", ["", "#"], [])], kind=GOOD)
    assert page.count("<") == empty.count("<")


def test_a_page_loads_nothing() -> None:
    page = draw("Heading", "all is well", ["<p>one</p>", "", "<p>two</p>"], kind=GOOD, title="Tab")
    assert "default-src 'none'; style-src 'unsafe-inline'" in page
    assert "http" not in page.replace("http-equiv", "")
    assert "<title>Tab</title>" in page
    assert '<p class="verdict good">all is well</p>\n<p>one</p>\n<p>two</p>\n</body>' in page


def test_a_number_may_be_missing() -> None:
    assert number(0.25, ".1%") == '<td class="number">25.0%</td>'
    assert number(None) == '<td class="number">–</td>'


def archive(path: Path, **files: bytes) -> Path:
    with tarfile.open(path, "w:gz") as out:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            out.addfile(member, io.BytesIO(content))
    return path


def test_only_the_wanted_files_at_the_top_are_extracted(tmp_path: Path) -> None:
    files = {"./wanted": b"1", "other": b"2", "deeper/wanted": b"3", "../escaped": b"4"}
    made, place = archive(tmp_path / "model.tar.gz", **files), tmp_path / "place"
    extract_members(made, {"wanted"}, place)
    assert {p.name: p.read_bytes() for p in place.rglob("*")} == {"wanted": b"1"}


def test_a_file_that_is_too_large_is_named(tmp_path: Path) -> None:
    made = archive(tmp_path / "model.tar.gz", wanted=b"123")
    with pytest.raises(ArtifactError, match=r"wanted has over 2 bytes"):
        extract_members(made, {"wanted"}, tmp_path, 2)


@pytest.mark.parametrize("content", [b"", b"no archive"])
def test_what_is_no_archive_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.tar.gz").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"model\.tar\.gz is not a model\.tar\.gz: "):
        extract_members(tmp_path / "model.tar.gz", {"wanted"}, tmp_path)
