"""The files of snapshots: written as a whole, and refused where they are not what was written."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import tarfile
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from localcloud.core import snapshot_files
from localcloud.core import snapshots as module
from localcloud.core.snapshot_files import (
    Moment,
    Part,
    ReadView,
    SnapshotError,
    link_files,
    part_of,
)
from localcloud.core.snapshots import About, Snapshots
from localcloud.core.store import Database

pytestmark = pytest.mark.emulator_only

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def saved(tmp_path: Path) -> Snapshots:
    """A directory with a snapshot `a` of a small state."""
    state = tmp_path / "state"
    (state / "images" / "x").mkdir(parents=True)
    (state / "images" / "x" / "file").write_text("an image")
    (state / "images" / "x" / "link").symlink_to("file")
    (state / "images" / "x" / "away").symlink_to("/etc/passwd")
    (state / "images" / "y.partial").mkdir()
    (state / "training" / "job").mkdir(parents=True)
    os.mkfifo(state / "images" / "x" / "pipe")
    found = Snapshots(tmp_path / "saved")
    _save(found, state, "a")
    return found


def _save(snapshots: Snapshots, state: Path, name: str) -> About:
    for file in ("state.sqlite", "moto.sqlite"):
        Database(state / file).close()
    scratch = state / "saving-x"
    links = scratch / "files"
    links.mkdir(parents=True)
    link_files(state, links)
    moment = Moment(NOW, ReadView(state / "state.sqlite"), ReadView(state / "moto.sqlite"))
    try:
        return snapshots.write(name, moment, links)
    finally:
        moment.close()


def _unpacked(snapshots: Snapshots, target: Path, name: str = "a") -> set[str]:
    target.mkdir()
    snapshots.unpack(name, target)
    return {str(p.relative_to(target)) for p in target.rglob("*") if not p.is_dir()}


def test_files_and_links_come_back_and_what_could_not_is_left_out(
    saved: Snapshots, tmp_path: Path
) -> None:
    names = _unpacked(saved, tmp_path / "next")
    assert {"state.sqlite", "moto.sqlite", "images/x/file", "images/x/link"} == names
    assert (tmp_path / "next" / "images" / "x" / "link").read_text() == "an image"


def test_a_snapshot_is_readable_by_its_owner_only_and_nothing_unfinished_is_left(
    saved: Snapshots,
) -> None:
    found = [saved.directory, *saved.directory.rglob("*")]
    assert {0o700, 0o600} == {path.stat().st_mode & 0o777 for path in found}
    assert {"key", "a"} == {path.name for path in saved.directory.iterdir()}


def test_a_view_does_not_see_what_is_written_later(tmp_path: Path) -> None:
    database = Database(tmp_path / "state.sqlite")
    database.write("c", "0", b"0")
    view = ReadView(tmp_path / "state.sqlite")
    stop = threading.Event()

    def write() -> None:
        number = 1
        while not stop.is_set():
            database.write("c", str(number), b"1" * 1000)
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        view.copy(tmp_path / "copy.sqlite")
    finally:
        stop.set()
        writer.join()
        view.close()
        database.close()
    copy = sqlite3.connect(tmp_path / "copy.sqlite")
    assert [("0",)] == copy.execute("SELECT key FROM record").fetchall()
    copy.close()


def _rewrite(saved: Snapshots, change: Callable[[dict[str, Any]], None], *, sign: bool) -> None:
    """Change the description of `a`; sign it as the directory's owner could."""
    file = saved.directory / "a" / "snapshot.json"
    document = json.loads(file.read_text())
    change(document)
    if sign:
        key = (saved.directory / "key").read_bytes()
        about = msgspec.json.decode(json.dumps(document).encode(), type=About)
        document["signature"] = module._signature(key, about)
    file.write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("change", "signed", "expected"),
    [
        ({"now": "2030-01-01T00:00:00Z"}, False, "it was changed, or it was not saved in this"),
        ({"format": 2}, True, "in format 2, and this is localcloud"),
        ({"moto": "1.0"}, True, "with moto 1.0 saved it"),
        ({"localcloud": "9.9"}, True, "localcloud 9.9 with moto"),
        ({"name": "b"}, True, "does not describe it"),
        ({"parts": {}}, True, "does not describe it"),
        ({"format": "x" * 70_000}, False, "has over 65536 bytes"),
        ({"format": "x"}, False, "snapshot.json cannot be read"),
    ],
)
def test_a_description_that_was_not_written_here_is_refused(
    saved: Snapshots, change: dict[str, Any], signed: bool, expected: str
) -> None:
    _rewrite(saved, lambda document: document.update(change), sign=signed)
    with pytest.raises(SnapshotError, match=expected):
        saved.about("a")
    assert [] == saved.all()


def _archive(saved: Snapshots, *members: tarfile.TarInfo) -> None:
    """Replace the files of `a` by an archive, signed as the directory's owner could."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(b"x" * member.size))
    file = saved.directory / "a" / "files.tar"
    file.write_bytes(content.getvalue())
    part = part_of(file)

    def describe(document: dict[str, Any]) -> None:
        document["parts"]["files.tar"] = {"bytes": part.bytes, "sha256": part.sha256}

    _rewrite(saved, describe, sign=True)


def _member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    member.size = 1 if kind == tarfile.REGTYPE else 0
    return member


@pytest.mark.parametrize(
    "members",
    [
        [_member("../outside")],
        [_member("images/../../outside")],
        [_member("images", tarfile.SYMTYPE, "/tmp")],  # noqa: S108 - nothing is written there
        [_member("images", tarfile.SYMTYPE, "../.."), _member("images/outside")],
        [_member("images", tarfile.LNKTYPE, "/etc/passwd")],
        [_member("device", tarfile.CHRTYPE)],
        [_member("state.sqlite")],
        [_member("./moto.sqlite")],
        [_member("lock")],
    ],
    ids=["parent", "detour", "link", "through a link", "hard link", "device", "a", "b", "c"],
)
def test_an_archive_that_leaves_its_directory_is_refused(
    saved: Snapshots, tmp_path: Path, members: list[tarfile.TarInfo]
) -> None:
    _archive(saved, *members)
    with pytest.raises(SnapshotError, match=r"cannot be used .*nothing was changed"):
        _unpacked(saved, tmp_path / "next")
    assert not (tmp_path / "outside").exists()


def test_too_many_or_too_large_files_are_refused(
    saved: Snapshots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot_files, "_MOST_FILES", 3)
    _archive(saved, *(_member(f"images/{number}") for number in range(4)))
    with pytest.raises(SnapshotError, match="more than 3 files"):
        _unpacked(saved, tmp_path / "next")
    monkeypatch.setattr(module, "MOST_BYTES", 100)
    with pytest.raises(SnapshotError, match="does not describe it"):
        saved.about("a")
    with pytest.raises(SnapshotError, match="at most 100"):
        _save(saved, tmp_path / "state2", "b")
    assert {"key", "a"} == {path.name for path in saved.directory.iterdir()}


def test_a_file_that_grew_or_changed_is_damaged(saved: Snapshots, tmp_path: Path) -> None:
    with (saved.directory / "a" / "moto.sqlite").open("ab") as file:
        file.write(b"x")
    with pytest.raises(SnapshotError, match=r"its moto\.sqlite is damaged"):
        _unpacked(saved, tmp_path / "next")


@pytest.mark.parametrize("name", ["a", "a/snapshot.json", "a/moto.sqlite", "key", "."])
def test_what_others_could_have_written_is_refused(
    saved: Snapshots, tmp_path: Path, name: str
) -> None:
    path = saved.directory / name
    path.chmod(path.stat().st_mode | 0o020)
    with pytest.raises(SnapshotError, match="others may read or write it"):
        _unpacked(saved, tmp_path / "next")


def test_a_link_is_no_snapshot_and_is_deleted_as_a_link(saved: Snapshots) -> None:
    (saved.directory / "b").symlink_to("a")
    with pytest.raises(SnapshotError, match="not of the right kind"):
        saved.about("b")
    saved.delete("b")
    assert saved.about("a").parts["moto.sqlite"] != Part(0, "")


@pytest.mark.parametrize("name", ["", "..", "key", "saving-1", ".a", "a/b", "a" * 65, "a\n"])
def test_a_bad_name_is_refused(saved: Snapshots, name: str) -> None:
    for act in (saved.check_name, saved.about, saved.delete):
        with pytest.raises(SnapshotError, match="cannot be the name of a snapshot"):
            act(name)


def test_what_a_kill_left_is_deleted_by_the_next_save(saved: Snapshots, tmp_path: Path) -> None:
    (saved.directory / "saving-left").mkdir()
    (tmp_path / "other").mkdir()
    _save(saved, tmp_path / "other", "b")
    assert {"key", "a", "b"} == {path.name for path in saved.directory.iterdir()}


def test_there_is_a_limit_of_snapshots(saved: Snapshots, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_SNAPSHOTS", 1)
    with pytest.raises(SnapshotError, match="1 is the limit"):
        saved.check_name("b")


def test_a_directory_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "state").mkdir()
    with pytest.raises(SnapshotError, match="file cannot be read: Not a directory"):
        _save(Snapshots(tmp_path / "file"), tmp_path / "state", "a")
