"""The directory of a local cloud: one cloud at a time, and the file names of older versions."""

from __future__ import annotations

import contextlib
import errno
import sqlite3
from pathlib import Path

import pytest

from localcloud.core.state_directory import StateDirectory, StateDirectoryError, unreadable

pytestmark = pytest.mark.emulator_only


def names(path: Path) -> dict[str, str]:
    return {p.name: p.read_text() for p in path.iterdir() if p.name != "lock"}


def test_the_files_of_an_older_version_get_todays_names(tmp_path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        (tmp_path / f"passive.sqlite{suffix}").write_text(f"old{suffix}")
    StateDirectory(tmp_path).close()
    expected = {
        "moto.sqlite": "old",
        "moto.sqlite-wal": "old-wal",
        "moto.sqlite-shm": "old-shm",
    }
    assert expected == names(tmp_path)


def test_a_file_of_this_version_is_not_replaced_by_an_older_one(tmp_path: Path) -> None:
    (tmp_path / "moto.sqlite").write_text("new")
    (tmp_path / "passive.sqlite").write_text("old")
    StateDirectory(tmp_path).close()
    assert {"moto.sqlite": "new", "passive.sqlite": "old"} == names(tmp_path)


def test_a_directory_belongs_to_one_local_cloud(tmp_path: Path) -> None:
    first = StateDirectory(tmp_path)
    try:
        with pytest.raises(StateDirectoryError, match="another local cloud runs on"):
            StateDirectory(tmp_path)
    finally:
        first.close()
    StateDirectory(tmp_path).close()


def test_what_others_could_read_becomes_private(tmp_path: Path) -> None:
    for name in ("state.sqlite", "moto.sqlite"):
        (tmp_path / name).touch(mode=0o644)
        (tmp_path / name).chmod(0o644)
    (tmp_path / "images").mkdir(mode=0o755)
    StateDirectory(tmp_path).close()
    modes = {p.name: oct(p.stat().st_mode & 0o777) for p in tmp_path.iterdir()}
    assert {
        "state.sqlite": "0o600",
        "moto.sqlite": "0o600",
        "images": "0o700",
        "lock": "0o600",
    } == modes


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
        (sqlite3.OperationalError("database or disk is full"), "the disk is full"),
        (OSError(errno.EROFS, "Read-only file system"), "it cannot be written"),
        (
            sqlite3.OperationalError("attempt to write a readonly database"),
            "it cannot be written",
        ),
        (sqlite3.DatabaseError("database disk image is malformed"), "it is damaged"),
        (sqlite3.OperationalError("unable to open database file"), "unable to open"),
    ],
)
def test_a_file_that_cannot_be_used_says_why_and_never_advises_to_delete_everything(
    error: sqlite3.Error | OSError, says: str
) -> None:
    message = str(unreadable(Path("state.sqlite"), error))
    assert says in message
    assert "--state-dir" in message
    assert "reset" not in message


@pytest.fixture
def replaced(tmp_path: Path) -> StateDirectory:
    """A directory in which an old state has a next one."""
    directory = StateDirectory(tmp_path)
    for name in ("state.sqlite", "old"):
        (tmp_path / name).write_text("old")
    next_state = directory.next_state()
    for name in ("state.sqlite", "new"):
        (next_state / name).write_text("new")
    return directory


OLD = {"state.sqlite": "old", "old": "old"}
NEW = {"state.sqlite": "new", "new": "new"}


def test_a_state_is_replaced_as_a_whole(replaced: StateDirectory, tmp_path: Path) -> None:
    replaced.replace()
    replaced.keep()
    assert NEW == names(tmp_path)
    replaced.close()


def test_a_state_that_was_replaced_can_be_put_back(
    replaced: StateDirectory, tmp_path: Path
) -> None:
    replaced.replace()
    replaced.undo()
    assert OLD == names(tmp_path)
    replaced.close()


@pytest.mark.parametrize("killed_at", range(8))
def test_a_kill_while_a_state_is_replaced_leaves_one_of_the_two(
    replaced: StateDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: int
) -> None:
    rename, left = Path.rename, [killed_at]

    def killed(self: Path, target: Path) -> Path:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return rename(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", killed)
        with contextlib.suppress(KeyboardInterrupt):
            replaced.replace()
    replaced.close()
    (tmp_path / "saving-x").mkdir()
    StateDirectory(tmp_path).close()
    # Two entries leave before the moment that decides, which is the third renaming.
    assert names(tmp_path) == (NEW if killed_at > 2 else OLD)
