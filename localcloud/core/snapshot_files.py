"""The files of a state and of its snapshots: views, links, archives, and who may read them.

All of it blocks: call it in a thread. Must not: know where snapshots lie, or what they are called.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import re
import shutil
import sqlite3
import stat
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from localcloud.core.state_directory import WORKING

log = logging.getLogger("localcloud.core.snapshots")

_MOST_FILES = 500_000
_CHUNK_BYTES = 1024 * 1024
# The names of what is being written, in a state directory, in an image store and by a fleet.
_UNFINISHED = "saving-"
_PARTIAL = re.compile(r"partial-.*|.*\.partial")


class SnapshotError(Exception):
    """A snapshot cannot be saved, read or deleted; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Part:
    """A file of a snapshot: its size in bytes and its SHA-256 in hexadecimal digits."""

    bytes: int
    sha256: str


class ReadView:
    """A SQLite file as it is now, whatever is written to it later, until `close`.

    Source: https://www.sqlite.org/isolation.html, a read transaction in WAL mode.
    """

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.execute("BEGIN")
        # The transaction begins with the first read.
        self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()

    def copy(self, target: Path) -> None:
        """Write it as a file of its own."""
        new_file(target).close()
        written = sqlite3.connect(target, isolation_level=None)
        try:
            self._connection.backup(written)
            # One file without companions, which is moved as a whole.
            written.execute("PRAGMA journal_mode=DELETE")
        finally:
            written.close()

    def close(self) -> None:
        """End the view."""
        self._connection.close()


@dataclass(frozen=True, slots=True)
class Moment:
    """The state of one moment, to be copied while work goes on.

    Attributes:
        now: the local cloud's time, in UTC.
        records: the records of our own services.
        moto: what moto keeps.
    """

    now: datetime
    records: ReadView
    moto: ReadView

    def close(self) -> None:
        """Let go of it."""
        self.records.close()
        self.moto.close()


def link_files(state: Path, scratch: Path) -> None:
    """Keep the files of a state directory as they are now, by hard links where they can be made.

    Git, the image store and the fleets write a file once, under another name, and rename it; so a
    link keeps its content. Left out are databases, and the working directories of processes.

    Args:
        state: the state directory.
        scratch: an empty directory in it.
    """
    for directory, folders, files in os.walk(state):
        here = Path(directory)
        if here == state:
            folders[:] = [n for n in folders if n not in WORKING and not n.startswith(_UNFINISHED)]
            files = []  # the databases with their companions, and the lock
        folders[:] = [name for name in folders if not _PARTIAL.fullmatch(name)]
        target = scratch / here.relative_to(state)
        target.mkdir(exist_ok=True)
        for name in (*files, *(n for n in folders if (here / n).is_symlink())):
            # What is deleted meanwhile is not needed.
            with contextlib.suppress(FileNotFoundError):
                _link(here / name, target / name)


def _link(source: Path, target: Path) -> None:
    mode = source.lstat().st_mode
    if stat.S_ISLNK(mode):
        target.symlink_to(source.readlink())
    elif stat.S_ISREG(mode):
        try:
            os.link(source, target)
        except OSError as error:
            if error.errno == errno.ENOENT:
                raise
            shutil.copy2(source, target)


def new_file(path: Path) -> BinaryIO:
    """Open a new file that only its owner may read."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return open(os.open(path, flags, 0o600), "wb")


def own_file(path: Path) -> BinaryIO:
    """Open a file that only its owner, this user, could have written.

    Raises:
        OSError: it is missing, or a link.
        SnapshotError: it is no file, or others may write or read it.
    """
    # Without waiting for the writer of a pipe.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    file = open(os.open(path, flags), "rb")  # noqa: SIM115 - the caller closes it
    try:
        _check(os.fstat(file.fileno()), path, stat.S_ISREG)
    except SnapshotError:
        file.close()
        raise
    return file


def check_private(path: Path, kind: Callable[[int], bool]) -> None:
    """Refuse a path that is not of a kind, or that is not this user's alone.

    Raises:
        OSError: it is missing.
        SnapshotError: such a path.
    """
    _check(path.lstat(), path, kind)


def _check(found: os.stat_result, path: Path, kind: Callable[[int], bool]) -> None:
    if not kind(found.st_mode):
        raise SnapshotError(f"{path.name} is not of the right kind, such as a link")
    if found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise SnapshotError(
            f"{path.name} belongs to another user, or others may read or write it: "
            "chmod go= takes that from them"
        )


def part_of(path: Path) -> Part:
    """Return the size and the digest of a file, and write it through to the disk."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
        os.fsync(file.fileno())
        return Part(file.tell(), digest.hexdigest())


def copy_part(source: Path, target: Path, most_bytes: int) -> Part:
    """Copy a file; return what was copied, which stops after `most_bytes`."""
    digest, size = hashlib.sha256(), 0
    with own_file(source) as file, new_file(target) as written:
        while (chunk := file.read(_CHUNK_BYTES)) and size <= most_bytes:
            digest.update(chunk)
            written.write(chunk)
            size += len(chunk)
        to_disk(written)
    return Part(size, digest.hexdigest())


def to_disk(file: BinaryIO) -> None:
    """Write a file through to the disk."""
    file.flush()
    os.fsync(file.fileno())


def pack(root: Path, target: Path) -> None:
    """Write the files below a directory as a tar archive, without what could not be unpacked."""
    with (
        new_file(target) as file,
        tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path in _below(root):
            with tempfile.TemporaryFile(dir=root.parent) as content:
                info = archive.gettarinfo(path, str(path.relative_to(root)))
                try:
                    tarfile.data_filter(info, str(root))
                except tarfile.FilterError as error:
                    # A process made it, such as a link to a place of the machine.
                    log.warning("a snapshot leaves out %s: %s", path.relative_to(root), error)
                    continue
                if not info.isfile() and not info.islnk():
                    archive.addfile(info)
                    continue
                info.type, info.linkname = tarfile.REGTYPE, ""
                # A process may still write to it, so its size is that of what was read.
                with path.open("rb") as source:
                    shutil.copyfileobj(source, content, _CHUNK_BYTES)
                info.size = content.tell()
                content.seek(0)
                archive.addfile(info, content)


def _below(root: Path) -> Iterator[Path]:
    for directory, folders, files in os.walk(root):
        folders.sort()
        for name in (*folders, *sorted(files)):
            yield Path(directory) / name


def extract(archive: Path, target: Path, taken: frozenset[str]) -> None:
    """Unpack the files.

    Args:
        archive: the archive.
        target: the directory.
        taken: names that nothing in the directory may get.

    Raises:
        tarfile.TarError: a member would leave the directory, or replace what is there.
        ValueError: there are too many of them.
    """
    with tarfile.open(archive, "r:") as opened:
        for count, member in enumerate(opened):
            if count >= _MOST_FILES:
                raise ValueError(f"it has more than {_MOST_FILES} files")
            if os.path.normpath(member.name).split(os.sep)[0] in taken:
                raise ValueError(f"its {archive.name} holds a file of the name {member.name}")
            opened.extract(member, target, filter="data")


def check_database(path: Path) -> None:
    """Refuse a database that SQLite finds damaged."""
    connection = sqlite3.connect(path)
    try:
        (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    finally:
        connection.close()
    if answer != "ok":
        raise ValueError(f"{path.name} is damaged: {answer}")
