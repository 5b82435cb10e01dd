"""Archives and compressed bodies of requests, unpacked within bounds.

A megabyte of gzip can stand for a gigabyte, and a small zip archive for thousands of files. A
function here stops as soon as a bound is passed, whatever sizes the archive itself claims. All of
them block, so call them in a thread. Must not: know what an archive is for.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_CHUNK_BYTES = 1024 * 1024
# An archive up to this size may have any ratio.
_FREE_BYTES = 16 * 1024 * 1024

# What the standard library raises for damaged bytes and for features that it lacks.
_UNREADABLE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    ValueError,
    OverflowError,
    RuntimeError,
    NotImplementedError,
    OSError,
)


class ArchiveError(ValueError):
    """An archive that is damaged or passes a bound; the message says which."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The largest content that is unpacked.

    Attributes:
        most_bytes: the size of all files together, in bytes.
        most_entries: files, directories and links.
        most_ratio: unpacked bytes per packed byte, checked from 16 MiB on.
    """

    most_bytes: int
    most_entries: int = 50_000
    most_ratio: int = 200

    def check(self, packed: int, unpacked: int, entries: int = 1) -> None:
        """Refuse a content.

        Raises:
            ArchiveError: it passes a bound.
        """
        if unpacked > self.most_bytes:
            raise ArchiveError(f"it unpacks to more than {self.most_bytes} bytes, the limit")
        if entries > self.most_entries:
            raise ArchiveError(f"it has more than {self.most_entries} entries, the limit")
        if unpacked > max(_FREE_BYTES, packed * self.most_ratio):
            raise ArchiveError(
                f"it unpacks to more than {self.most_ratio} times its {packed} bytes, the limit"
            )


def gunzip(content: bytes, bounds: Bounds) -> bytes:
    """Return the content of a gzip file of one or several members.

    Raises:
        ArchiveError: it is damaged, incomplete or passes a bound.
    """
    found = io.BytesIO()
    with _readable("it is not valid gzip"), gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
        while chunk := file.read(_CHUNK_BYTES):
            found.write(chunk)
            bounds.check(len(content), found.tell())
    return found.getvalue()


def unzip(content: bytes, target: Path, bounds: Bounds) -> None:
    """Extract a zip archive into a directory, with the executable bits of its files.

    Raises:
        ArchiveError: it is damaged or passes a bound.
    """
    with _readable("it is not a zip archive"):
        target.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _check_zip(archive, len(content), bounds)
            for member in archive.infolist():
                path = Path(archive.extract(member, target))  # keeps it inside the directory
                if (member.external_attr >> 16) & 0o111 and path.is_file():
                    path.chmod(0o755)


def file_in_zip(content: bytes, name: str, bounds: Bounds) -> bytes:
    """Return a file of a zip archive.

    Raises:
        ArchiveError: the archive is damaged, or the file passes a bound.
        KeyError: there is no such file.
    """
    with (
        _readable("it is not a zip archive"),
        zipfile.ZipFile(io.BytesIO(content)) as archive,
    ):
        bounds.check(len(content), archive.getinfo(name).file_size, len(archive.infolist()))
        return archive.read(name)


def check_zip(content: bytes, bounds: Bounds) -> None:
    """Refuse a zip archive by its directory, without unpacking it.

    Raises:
        ArchiveError: it is damaged or passes a bound.
    """
    with (
        _readable("it is not a zip archive"),
        zipfile.ZipFile(io.BytesIO(content)) as archive,
    ):
        _check_zip(archive, len(content), bounds)


def _check_zip(archive: zipfile.ZipFile, packed: int, bounds: Bounds) -> None:
    # zipfile reads no more of a member than the size that the directory claims.
    members = archive.infolist()
    bounds.check(packed, sum(member.file_size for member in members), len(members))


def untar(content: bytes, target: Path, bounds: Bounds) -> None:
    """Extract a tar archive, plain or compressed, into a directory.

    A member that would leave the directory, and a device, are refused.

    Raises:
        ArchiveError: it is damaged or passes a bound.
    """
    with _readable("it is not a tar archive"):
        for archive, member in _members(content, bounds):
            archive.extract(member, target, filter="data")


@dataclass(frozen=True, slots=True)
class TarMember:
    """One member of a tar archive.

    Attributes:
        name: as in the archive.
        content: the bytes of a file; None for any other member.
        link: the target of a symbolic or hard link; None for any other member.
        symbolic: the link is a symbolic one.
        executable: the owner may execute the file.
    """

    name: str
    content: bytes | None = None
    link: str | None = None
    symbolic: bool = False
    executable: bool = False


def tar_members(content: bytes, bounds: Bounds) -> list[TarMember]:
    """Return the files and links of a tar archive, plain or compressed, in order.

    Raises:
        ArchiveError: it is damaged or passes a bound.
    """
    found: list[TarMember] = []
    with _readable("it is not a tar archive"):
        for archive, member in _members(content, bounds):
            if member.isfile():
                file = archive.extractfile(member)
                data = b"" if file is None else file.read()
                found.append(TarMember(member.name, data, executable=bool(member.mode & 0o100)))
            elif member.issym() or member.islnk():
                link = TarMember(member.name, link=member.linkname, symbolic=member.issym())
                found.append(link)
    return found


def _members(content: bytes, bounds: Bounds) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    stream = _Bounded(_decompressed(content), len(content), bounds)
    entries = 0
    # As a stream, because a search in compressed bytes would unpack them again.
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            entries += 1
            bounds.check(len(content), 0, entries)
            yield archive, member


def _decompressed(content: bytes) -> io.BufferedIOBase:
    file = io.BytesIO(content)
    if content.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file)
    if content.startswith(b"BZh"):
        return bz2.BZ2File(file)
    if content.startswith((b"\xfd7zXZ\x00", b"]\x00\x00")):
        return lzma.LZMAFile(file)
    return file


class _Bounded(io.RawIOBase):
    """A stream that ends with an error once more was read than the bounds allow."""

    def __init__(self, inner: io.BufferedIOBase, packed: int, bounds: Bounds) -> None:
        self._inner = inner
        self._packed = packed
        self._bounds = bounds
        self._taken = 0

    def read(self, size: int | None = -1) -> bytes:
        given = self._inner.read(_CHUNK_BYTES if size is None or size < 0 else size)
        self._taken += len(given)
        # The heads and the padding of a tar archive count, too.
        self._bounds.check(self._packed, self._taken)
        return given


class _readable:  # noqa: N801 - a context manager, named like contextlib's
    """Turns the errors of the standard library into an ArchiveError."""

    def __init__(self, problem: str) -> None:
        self._problem = problem

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: Any, trace: Any) -> None:
        del kind, trace
        if isinstance(error, _UNREADABLE) and not isinstance(error, ArchiveError):
            reason = str(error) or type(error).__name__
            raise ArchiveError(f"{self._problem}: {reason}") from None
