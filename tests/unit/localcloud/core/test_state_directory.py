"""The directory of a local cloud: one cloud at a time, and the file names of older versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from localcloud.core.state_directory import StateDirectory, StateDirectoryError

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
