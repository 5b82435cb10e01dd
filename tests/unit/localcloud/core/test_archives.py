"""Archives and compressed bodies: unpacked within bounds, and refused when damaged."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.core.archives import (
    ArchiveError,
    Bounds,
    check_zip,
    file_in_zip,
    gunzip,
    tar_members,
    untar,
    unzip,
)

BOUNDS = Bounds(most_bytes=32 * 1024 * 1024, most_entries=100)


def zip_of(files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tar_of(files: dict[str, bytes], mode: str = "w:gz") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def test_a_gzip_file_is_unpacked_with_all_its_members() -> None:
    assert gunzip(gzip.compress(b"one ") + gzip.compress(b"two"), BOUNDS) == b"one two"


@given(st.binary(max_size=200), st.integers(0, 220))
def test_cut_gzip_is_refused(content: bytes, cut: int) -> None:
    whole = gzip.compress(content)
    if cut >= len(whole):
        assert gunzip(whole, BOUNDS) == content
    elif cut:
        with pytest.raises(ArchiveError, match="it is not valid gzip"):
            gunzip(whole[:cut], BOUNDS)


@given(st.binary(min_size=1, max_size=200), st.data())
def test_changed_bytes_are_refused_or_harmless(content: bytes, data: st.DataObject) -> None:
    for make, read in (
        (gzip.compress(content), lambda b: gunzip(b, BOUNDS)),
        (zip_of({"a": content}), lambda b: check_zip(b, BOUNDS)),
        (zip_of({"a": content}), lambda b: file_in_zip(b, "a", BOUNDS)),
        (tar_of({"a": content}), lambda b: tar_members(b, BOUNDS)),
    ):
        place = data.draw(st.integers(0, len(make) - 1))
        changed = bytearray(make)
        changed[place] ^= data.draw(st.integers(1, 255))
        try:
            read(bytes(changed))
        except (ArchiveError, KeyError):
            continue


@pytest.mark.parametrize("size", [40 * 1024 * 1024, 20 * 1024 * 1024])
def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, size: int) -> None:
    zeros = bytes(size)
    with pytest.raises(ArchiveError, match="it unpacks to more than"):
        gunzip(gzip.compress(zeros), BOUNDS)
    with pytest.raises(ArchiveError, match="it unpacks to more than"):
        unzip(zip_of({"a": zeros}), tmp_path / "zip", BOUNDS)
    with pytest.raises(ArchiveError, match="it unpacks to more than"):
        untar(tar_of({"a": zeros}), tmp_path / "tar", BOUNDS)


def test_a_long_name_counts_as_well() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("n" * (40 * 1024 * 1024)))
    with pytest.raises(ArchiveError, match="it unpacks to more than"):
        tar_members(buffer.getvalue(), BOUNDS)


def test_many_entries_are_refused(tmp_path: Path) -> None:
    files = {f"f{number}": b"" for number in range(101)}
    with pytest.raises(ArchiveError, match="more than 100 entries"):
        unzip(zip_of(files), tmp_path, BOUNDS)
    with pytest.raises(ArchiveError, match="more than 100 entries"):
        untar(tar_of(files), tmp_path, BOUNDS)


def test_what_does_not_compress_may_be_large(tmp_path: Path) -> None:
    content = os.urandom(20 * 1024 * 1024)
    unzip(zip_of({"a/b": content}), tmp_path, BOUNDS)
    untar(tar_of({"c/d": content}), tmp_path, BOUNDS)
    assert (tmp_path / "a/b").read_bytes() == (tmp_path / "c/d").read_bytes() == content


def test_a_program_stays_executable(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("run")
        info.external_attr = 0o100755 << 16
        archive.writestr(info, "#!/bin/sh")
        archive.writestr("data", "x")
    unzip(buffer.getvalue(), tmp_path, BOUNDS)
    assert os.access(tmp_path / "run", os.X_OK)
    assert not os.access(tmp_path / "data", os.X_OK)


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil"])
def test_nothing_is_written_outside(tmp_path: Path, name: str) -> None:
    target = tmp_path / "in/side"
    target.mkdir(parents=True)
    # A leading slash is dropped by both.
    with contextlib.suppress(ArchiveError):
        untar(tar_of({name: b"x"}, "w"), target, BOUNDS)
    unzip(zip_of({name: b"x"}), target, BOUNDS)
    outside = [p for p in tmp_path.rglob("*") if p.is_file() and target not in p.parents]
    assert outside == []


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    whole = bytearray(zip_of({"a": b"secret"}))
    for head in (b"PK\x03\x04", b"PK\x01\x02"):
        place = whole.index(head) + (6 if head[2] == 3 else 8)
        whole[place] |= 1
    with pytest.raises(ArchiveError, match="is encrypted"):
        unzip(bytes(whole), tmp_path, BOUNDS)
