"""Snapshots: the whole state of a local cloud at one moment, each in a directory of its own.

    .localcloud-snapshots/
      key                    signs what this directory holds; it never leaves the directory
      NAME/snapshot.json     versions, times, the size and digest of each file, and the signature
      NAME/state.sqlite      the records of our own services, the stacks and the clock
      NAME/moto.sqlite       what moto keeps
      NAME/files.tar         images, Git repositories, unpacked models

A snapshot is written beside its place and renamed, so that it is there as a whole or not at all.
Part of it is a pickle. Therefore only what this directory's key signed, and only its owner could
write, is read; a snapshot is not a file to exchange. Everything here blocks: call it in a thread.
Must not: know who uses the files.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import hmac
import logging
import re
import secrets
import shutil
import sqlite3
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec

from localcloud import __version__
from localcloud.core.clock import wall_time
from localcloud.core.snapshot_files import (
    Moment,
    Part,
    SnapshotError,
    check_database,
    check_private,
    copy_part,
    extract,
    new_file,
    own_file,
    pack,
    part_of,
    to_disk,
)
from localcloud.core.state_directory import MOTO_FILE, STATE_FILE

log = logging.getLogger("localcloud.core.snapshots")

MOST_SNAPSHOTS = 100
MOST_BYTES = 16 * 1024**3
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FORMAT = 1
_ABOUT, _FILES, _KEY = "snapshot.json", "files.tar", "key"
_PARTS = (STATE_FILE, MOTO_FILE, _FILES)
_TAKEN = frozenset({*_PARTS, "lock"})
_MOST_ABOUT_BYTES = 64 * 1024
_KEY_BYTES = 32
# The beginning of a name under which something is being written.
_UNFINISHED = "saving-"


@dataclass(frozen=True, slots=True)
class About:
    """The description of a snapshot.

    Attributes:
        format: the number of the layout.
        localcloud: the version of this package that saved it.
        moto: the version of moto whose state it holds.
        saved: the wall-clock time, in UTC.
        now: the local cloud's time, in UTC, which a load continues from.
        parts: the files by name.
        signature: HMAC-SHA256 of everything else here, in hexadecimal digits.
    """

    format: int
    name: str
    localcloud: str
    moto: str
    saved: datetime
    now: datetime
    parts: dict[str, Part]
    signature: str = ""

    @property
    def size_bytes(self) -> int:
        """Return the size of all files together."""
        return sum(part.bytes for part in self.parts.values())


class Snapshots:
    """The snapshots in a directory.

    Args:
        directory: the directory, which the first save makes.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory.absolute()

    def check_name(self, name: str) -> None:
        """Refuse a name that no snapshot may have, or that one has already.

        Raises:
            SnapshotError: such a name, or as many snapshots as there may be.
        """
        self._path(name)
        names = self._names()
        if name in names:
            raise SnapshotError(
                f"there is a snapshot '{name}' already; choose another name, or delete it with: "
                f"localcloud snapshot delete {name}"
            )
        if len(names) >= MOST_SNAPSHOTS:
            raise SnapshotError(
                f"there are {len(names)} snapshots in {self.directory}, and {MOST_SNAPSHOTS} is "
                "the limit; delete one first"
            )

    def write(self, name: str, moment: Moment, files: Path) -> About:
        """Write a snapshot.

        Args:
            name: up to 64 letters, digits, points, hyphens and underscores.
            moment: the databases.
            files: the directory that `link_files` filled.

        Raises:
            SnapshotError: the name is taken, the state is too large, or the disk refuses it.
        """
        self.check_name(name)
        try:
            key = self._key(make=True)
            with self._alone():
                return self._write(name, moment, files, key)
        except (OSError, sqlite3.Error) as error:
            raise self._refused(error) from None

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Let no other local cloud write here meanwhile, and delete what a killed one left."""
        with (self.directory / _KEY).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for left in self.directory.glob(f"{_UNFINISHED}*"):
                shutil.rmtree(left, ignore_errors=True)
            yield

    def _write(self, name: str, moment: Moment, files: Path, key: bytes) -> About:
        self.check_name(name)  # another local cloud may have been first
        staging = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self.directory))
        try:
            moment.records.copy(staging / STATE_FILE)
            moment.moto.copy(staging / MOTO_FILE)
            pack(files, staging / _FILES)
            about = About(
                format=_FORMAT,
                name=name,
                localcloud=__version__,
                moto=version("moto"),
                saved=datetime.fromtimestamp(wall_time(), UTC),
                now=moment.now,
                parts={part: part_of(staging / part) for part in _PARTS},
            )
            if about.size_bytes > MOST_BYTES:
                raise SnapshotError(
                    f"the state has {about.size_bytes} bytes; a snapshot has at most {MOST_BYTES}"
                )
            about = replace(about, signature=_signature(key, about))
            with new_file(staging / _ABOUT) as file:
                file.write(msgspec.json.format(msgspec.json.encode(about)))
                to_disk(file)
            staging.rename(self._path(name))
            return about
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _refused(self, error: Exception) -> SnapshotError:
        return SnapshotError(
            f"the snapshot cannot be written to {self.directory} ({error}); nothing is left of it. "
            "Make room, or choose another directory with: localcloud start --snapshot-dir DIR"
        )

    def all(self) -> list[About]:
        """Return the snapshots that can be loaded, the oldest first; the log names the others."""
        found = []
        for name in self._names():
            try:
                found.append(self.about(name))
            except SnapshotError as error:
                log.warning("%s", error)
        return sorted(found, key=lambda about: about.saved)

    def about(self, name: str) -> About:
        """Return the description of a snapshot.

        Raises:
            SnapshotError: there is none, it is of another version, it is damaged, or it was not
                saved here.
        """
        path = self._path(name)
        if name not in self._names():
            known = ", ".join(self._names()) or "none"
            raise SnapshotError(f"there is no snapshot '{name}'; the snapshots are: {known}")
        try:
            check_private(path, stat.S_ISDIR)
            with own_file(path / _ABOUT) as file:
                content = file.read(_MOST_ABOUT_BYTES + 1)
            key = self._key()
        except (OSError, SnapshotError) as error:
            raise self._unusable(name, _reason(error)) from None
        if len(content) > _MOST_ABOUT_BYTES:
            raise self._unusable(name, f"its {_ABOUT} has over {_MOST_ABOUT_BYTES} bytes")
        try:
            about = msgspec.json.decode(content, type=About)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise self._unusable(name, f"its {_ABOUT} cannot be read: {error}") from None
        ours = (_FORMAT, __version__, version("moto"))
        if (about.format, about.localcloud, about.moto) != ours:
            raise self._unusable(
                name,
                f"localcloud {about.localcloud} with moto {about.moto} saved it, in format "
                f"{about.format}, and this is localcloud {ours[1]} with moto {ours[2]}, format "
                f"{ours[0]}",
            )
        if not hmac.compare_digest(about.signature, _signature(key, about)):
            raise self._unusable(name, "it was changed, or it was not saved in this directory")
        if about.name != name or set(about.parts) != set(_PARTS) or about.size_bytes > MOST_BYTES:
            raise self._unusable(name, f"its {_ABOUT} does not describe it")
        return about

    def _unusable(self, name: str, reason: str) -> SnapshotError:
        return SnapshotError(
            f"the snapshot '{name}' cannot be used ({reason}); nothing was changed. Load another "
            f"one, or delete it with: localcloud snapshot delete {name}"
        )

    def unpack(self, name: str, target: Path) -> About:
        """Verify a snapshot and write its state into a directory.

        Args:
            name: the snapshot.
            target: an empty directory.

        Raises:
            SnapshotError: it cannot be used; what is in `target` is of no use then.
        """
        about = self.about(name)
        try:
            for part, described in about.parts.items():
                if copy_part(self._path(name) / part, target / part, described.bytes) != described:
                    raise self._unusable(name, f"its {part} is damaged")
            for database in (STATE_FILE, MOTO_FILE):
                check_database(target / database)
            extract(target / _FILES, target, _TAKEN)
            (target / _FILES).unlink()
        except (OSError, tarfile.TarError, sqlite3.Error, ValueError) as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise SnapshotError(
                    f"there is no room to load '{name}'; nothing was changed"
                ) from None
            raise self._unusable(name, _reason(error)) from None
        return about

    def delete(self, name: str) -> None:
        """Delete a snapshot, also one that cannot be loaded.

        Raises:
            SnapshotError: there is none, or it cannot be deleted.
        """
        path = self._path(name)
        if name not in self._names():
            known = ", ".join(self._names()) or "none"
            raise SnapshotError(f"there is no snapshot '{name}'; the snapshots are: {known}")
        try:
            if path.is_symlink():
                path.unlink()
                return
            self._key(make=True)
            with self._alone():
                # A reader sees it as a whole or not at all.
                gone = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self.directory))
                path.rename(gone / name)
                shutil.rmtree(gone)
        except OSError as error:
            raise SnapshotError(f"'{name}' cannot be deleted: {error}") from None

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name) or name == _KEY or name.startswith(_UNFINISHED):
            raise SnapshotError(
                f"'{name[:100]}' cannot be the name of a snapshot; it must have 1 to 64 letters, "
                "digits, points, hyphens and underscores, begin with a letter or a digit, and be "
                f"neither '{_KEY}' nor begin with '{_UNFINISHED}'"
            )
        return self.directory / name

    def _names(self) -> list[str]:
        try:
            names = sorted(entry.name for entry in self.directory.iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise SnapshotError(f"{self.directory} cannot be read: {error.strerror}") from None
        return [n for n in names if n != _KEY and _NAME.fullmatch(n) and _UNFINISHED not in n[:7]]

    def _key(self, *, make: bool = False) -> bytes:
        """Return the key that signs this directory's snapshots; make the first one.

        Raises:
            OSError: it cannot be read or made.
            SnapshotError: others could read or replace it.
        """
        path = self.directory / _KEY
        if make:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError), new_file(path) as file:
                file.write(secrets.token_bytes(_KEY_BYTES))
                to_disk(file)
        check_private(self.directory, stat.S_ISDIR)
        with own_file(path) as file:
            key = file.read(_KEY_BYTES + 1)
        if len(key) != _KEY_BYTES:
            raise SnapshotError(f"{path} is no key of {_KEY_BYTES} bytes")
        return key


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{Path(str(error.filename)).name}: {error.strerror}"
    return str(error)


def _signature(key: bytes, about: About) -> str:
    text = msgspec.json.encode(replace(about, signature=""), order="deterministic")
    return hmac.new(key, text, hashlib.sha256).hexdigest()
