"""Where a local cloud keeps its state: one directory, one cloud.

`state.sqlite` holds the live services, the stacks and the clock, `passive.sqlite` what moto keeps;
beside them lie images, Git repositories and what children work in. `lock` is held while a cloud
runs.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

DEFAULT = Path(".localcloud")
STATE_FILE = "state.sqlite"
_LOCK = "lock"


class StateDirectoryError(Exception):
    """The directory cannot be used; the message says why and what to do."""


class StateDirectory:
    """A directory of one's own, until it is closed.

    Args:
        path: of the directory; None for a temporary one, which is deleted in the end.

    Raises:
        StateDirectoryError: another local cloud has it, or it cannot be written.
    """

    def __init__(self, path: Path | None) -> None:
        self._temporary = None if path else tempfile.TemporaryDirectory(prefix="localcloud-")
        self.path = Path(self._temporary.name) if self._temporary else (path or DEFAULT).resolve()
        self.kept = path is not None
        try:
            # What buckets and secrets hold is for the owner's eyes.
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateDirectoryError(
                f"the state directory {self.path} cannot be used ({error.strerror}); "
                "choose another with --state-dir, or keep nothing with --ephemeral"
            ) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise StateDirectoryError(
                f"another local cloud runs on the state directory {self.path}; stop it with "
                "'localcloud stop', choose another with --state-dir, or add --ephemeral"
            ) from None

    def empty(self) -> None:
        """Delete what is kept; the directory stays this cloud's."""
        for entry in self.path.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            elif entry.name != _LOCK:
                entry.unlink(missing_ok=True)

    def close(self) -> None:
        """Give the directory back."""
        os.close(self._lock)
        if self._temporary is not None:
            self._temporary.cleanup()
