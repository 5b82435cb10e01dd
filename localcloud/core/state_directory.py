"""The state directory of a local cloud; only one local cloud uses it at a time.

`state.sqlite` holds the records of our own services, the stacks and the clock; `moto.sqlite` holds
what moto keeps. Images, Git repositories and the working directories of child processes lie beside
them. `lock` is held while a local cloud runs.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import sqlite3
import stat
import tempfile
from pathlib import Path

DEFAULT = Path(".localcloud")
STATE_FILE = "state.sqlite"
MOTO_FILE = "moto.sqlite"
# The name of that file before 0.2.
_OLD_MOTO_FILE = "passive.sqlite"
_LOCK = "lock"
# The working directories of processes, which are made again after a restart.
WORKING = frozenset({"training", "processing", "builds", "lambda"})
# A state that is to replace the present one, and the present one before and after that moment.
_NEXT, _LEAVING, _LEFT = "next", "leaving", "left"
_SCRATCH = "saving-"


class StateDirectoryError(Exception):
    """The directory cannot be used; the message says why and what to do."""


def unreadable(path: Path | None, error: sqlite3.Error | OSError) -> StateDirectoryError:
    """Return the error of a state file that cannot be opened, read or written.

    Its advice never loses the state: room on the disk, permissions, or another directory.
    """
    text = str(error)
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENOSPC, errno.EDQUOT) or "full" in text:
        reason, advice = "the disk is full", "make room and start again; nothing was changed"
    elif number in (errno.EACCES, errno.EPERM, errno.EROFS) or "readonly" in text.replace("-", ""):
        reason, advice = "it cannot be written", "change its permissions, or choose another one"
    elif "not a database" in text or "malformed" in text:
        reason = f"it is damaged: {text}"
        advice = (
            "nothing was changed; restore the directory from a copy, or move the file elsewhere to "
            "start without what it holds (sqlite3's .recover command may save most of it)"
        )
    else:
        reason, advice = text, "nothing was changed; check the file and its disk"
    return StateDirectoryError(
        f"the state file {path} cannot be used ({reason}): {advice}. "
        "Another state directory is chosen by --state-dir, and --ephemeral keeps nothing"
    )


class StateDirectory:
    """A directory that belongs to one local cloud until it is closed.

    Args:
        path: the directory; None for a temporary one, which `close` deletes.

    Raises:
        StateDirectoryError: another local cloud has it, or it cannot be written.
    """

    def __init__(self, path: Path | None) -> None:
        self._temporary = None if path else tempfile.TemporaryDirectory(prefix="localcloud-")
        self.path = Path(self._temporary.name) if self._temporary else (path or DEFAULT).resolve()
        self.kept = path is not None
        try:
            # It holds the contents of buckets and secrets, so only the owner may read it.
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            advice = (
                "make room and start again; nothing was changed"
                if error.errno in (errno.ENOSPC, errno.EDQUOT)
                else "choose another with --state-dir, or keep nothing with --ephemeral"
            )
            raise StateDirectoryError(
                f"the state directory {self.path} cannot be used ({error.strerror}); {advice}"
            ) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise StateDirectoryError(
                f"another local cloud runs on the state directory {self.path}; stop it with "
                "'localcloud stop', choose another with --state-dir, or add --ephemeral"
            ) from None

        self._finish_replacing()
        self._rename_old_file()
        self._make_private()

    def _make_private(self) -> None:
        """Take the permissions of others from what an earlier version or a user left readable.

        The directory itself may be one that others use, too, so only what lies in it changes.
        """
        for entry in self.path.iterdir():
            mode = entry.lstat().st_mode
            if not stat.S_ISLNK(mode) and mode & 0o077:
                entry.chmod(stat.S_IMODE(mode) & ~0o077)

    def _rename_old_file(self) -> None:
        """Rename moto's file of an older version, with SQLite's companion files."""
        if (self.path / MOTO_FILE).exists():
            return
        # The file itself comes last: if this is interrupted, the next start continues.
        for suffix in ("-wal", "-shm", ""):
            old = self.path / f"{_OLD_MOTO_FILE}{suffix}"
            if old.exists():
                old.rename(self.path / f"{MOTO_FILE}{suffix}")

    @property
    def snapshots(self) -> Path:
        """Return the directory of its snapshots, which lies beside it, or here if nothing is kept.

        Neither a reset nor the end of a temporary directory deletes them.
        """
        path = self.path if self.kept else DEFAULT.absolute()
        return path.with_name(f"{path.name}-snapshots")

    def next_state(self) -> Path:
        """Return an empty directory for a state that `replace` is to put in place of this one."""
        return self._empty_directory(_NEXT)

    def scratch(self) -> Path:
        """Return an empty directory in this one for links to its files."""
        return Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=self.path))

    def replace(self) -> None:
        """Put what is in `next_state` in place of the state; `keep` or `undo` ends it.

        A kill in between leaves one of the two: the next start goes back, or finishes it.
        """
        leaving = self._empty_directory(_LEAVING)
        self._move(self.path, leaving)
        leaving.rename(self.path / _LEFT)
        self._move(self.path / _NEXT, self.path)

    def undo(self) -> None:
        """Put the state back that `replace` took away."""
        (self.path / _LEFT).rename(self.path / _LEAVING)
        for entry in self._state_in(self.path):
            _delete(entry)
        self._move(self.path / _LEAVING, self.path)
        self.keep()

    def keep(self) -> None:
        """Delete the state that `replace` took away."""
        for name in (_NEXT, _LEAVING, _LEFT):
            _delete(self.path / name)

    def _finish_replacing(self) -> None:
        """Finish or undo what a kill interrupted."""
        if (self.path / _LEFT).exists():
            if (self.path / _NEXT).exists():
                self._move(self.path / _NEXT, self.path)
        elif (self.path / _LEAVING).exists():
            self._move(self.path / _LEAVING, self.path)
        self.keep()
        for entry in self.path.glob(f"{_SCRATCH}*"):
            _delete(entry)

    def _state_in(self, directory: Path) -> list[Path]:
        others = {_LOCK, _NEXT, _LEAVING, _LEFT}
        return [
            entry
            for entry in directory.iterdir()
            if entry.name not in others and not entry.name.startswith(_SCRATCH)
        ]

    def _move(self, source: Path, target: Path) -> None:
        for entry in self._state_in(source):
            # A process that ends late may have made a working directory meanwhile.
            _delete(target / entry.name)
            entry.rename(target / entry.name)

    def _empty_directory(self, name: str) -> Path:
        path = self.path / name
        _delete(path)
        path.mkdir(mode=0o700)
        return path

    def empty(self) -> None:
        """Delete the state; the directory still belongs to this local cloud."""
        for entry in self.path.iterdir():
            if entry.name != _LOCK:
                _delete(entry)

    def close(self) -> None:
        """Release the directory."""
        os.close(self._lock)
        if self._temporary is not None:
            self._temporary.cleanup()


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
