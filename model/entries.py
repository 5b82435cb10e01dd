"""Reads the entries of a dataset zip, whole or line by line.

Nothing is extracted to disk, and at most a fixed number of bytes is read, whatever sizes the zip's
own headers claim.
"""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import IO

from model.cells import quote
from model.errors import DatasetError
from model.rows import not_utf8

MAX_UNPACKED_BYTES = 8 * 1024**3
# A dataset that unpacks to more than this must not unpack to so many times its zip: tables of text
# become a tenth, and a zip that becomes much larger is made to fill the machine.
_UNSUSPICIOUS_BYTES = 256 * 1024**2
_MAX_RATIO = 100
# An entry that is read at once describes the dataset.
_MAX_WHOLE_BYTES = 16 * 1024**2
MAX_ENTRIES = 1000
# The longest line that is read; a longer one would take its length in memory.
MAX_LINE_CHARACTERS = 16 * 1024 * 1024
TRAIN, VALIDATION, DESCRIPTION = "train.csv", "validation.csv", "dataset.json"
# Besides BadZipFile, zipfile raises these for damaged bytes and for features that it lacks.
_UNREADABLE = (
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    OverflowError,
    RuntimeError,
    NotImplementedError,
    OSError,
)
_SHOWN_BYTES = 12


class ZipEntries:
    """The entries of an open dataset zip: `with ZipEntries(file, "x.zip") as entries: …`.

    Args:
        file: the zip, open for reading; it stays open.
        where: the file's name, for messages.
        max_bytes: limit for the unpacked size of all entries that are read together.

    Attributes:
        names: the entries' names.

    Raises:
        DatasetError: the file is not a zip, or the zip is unsafe or has no train.csv.
    """

    def __init__(self, file: IO[bytes], where: str, max_bytes: int = MAX_UNPACKED_BYTES) -> None:
        self._file, self._where = file, where
        self._packed = file.seek(0, io.SEEK_END)
        file.seek(0)
        self._limit = max_bytes
        self._max_bytes = min(max_bytes, max(_UNSUSPICIOUS_BYTES, _MAX_RATIO * self._packed))
        self._read: dict[str, int] = {}
        with self._readable():
            self._archive = zipfile.ZipFile(file)
        self.names = _check_entries(self._archive.infolist(), where)

    def __enter__(self) -> ZipEntries:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._archive.close()

    def read(self, name: str) -> bytes:
        """Return the content of an entry that is small.

        Raises:
            DatasetError: the entry is damaged or too large, or the entries together are over the
                limit.
        """
        with self._opened(name) as entry:
            data = entry.read(_MAX_WHOLE_BYTES + 1)
        if len(data) > _MAX_WHOLE_BYTES:
            raise DatasetError(
                f"{self._where}/{name} unpacks to more than {_MAX_WHOLE_BYTES} bytes, the most "
                "for a file that describes the dataset; make it shorter"
            )
        return data

    def lines(self, name: str) -> Iterator[str]:
        """Yield the lines of an entry of UTF-8 text, with their ends, without a byte order mark.

        Raises:
            DatasetError: the entry is damaged or not UTF-8, a line is too long, or the entries
                together are over the limit.
        """
        where = f"{self._where}/{name}"
        with self._opened(name) as entry:
            # newline="" as the csv module wants it: line ends inside quotes stay as they are.
            text = io.TextIOWrapper(entry, "utf-8-sig", newline="")
            try:
                for line in iter(lambda: text.readline(MAX_LINE_CHARACTERS), ""):
                    if len(line) == MAX_LINE_CHARACTERS:
                        raise DatasetError(
                            f"{where} has a line of more than {MAX_LINE_CHARACTERS} characters; "
                            "write one line for each example"
                        )
                    yield line
            except UnicodeDecodeError as error:
                at = entry.done - len(error.object) + error.start
                raise not_utf8(where, at) from None

    @contextmanager
    def _opened(self, name: str) -> Iterator[_Entry]:
        # An entry that is read again counts once.
        self._read[name] = 0
        with self._readable():
            opened = self._archive.open(name)
        with opened, _Entry(self, name, opened) as entry:
            yield entry

    def _pull(self, name: str, opened: IO[bytes], size: int) -> bytes:
        with self._readable():
            # One byte more than there is room for shows that there is too much.
            room = self._max_bytes - sum(self._read.values()) + 1
            data = opened.read(min(size, room) if size >= 0 else room)
        self._read[name] += len(data)
        if sum(self._read.values()) > self._max_bytes:
            bound = "which is the limit"
            if self._max_bytes < self._limit:
                bound = (
                    f"which is too much for a zip of {self._packed} bytes: of more than "
                    f"{_UNSUSPICIOUS_BYTES}, it may be {_MAX_RATIO} times the zip's size"
                )
            raise DatasetError(
                f"{self._where} unpacks to more than {self._max_bytes} bytes, {bound}; "
                "use fewer rows, or the train and validation channels"
            )
        return data

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except zipfile.BadZipFile as error:
            raise DatasetError(
                f"{self._where} is not a zip file ({self._summary()}; {error}); "
                "make one with: python -m model.dataset"
            ) from None
        except _UNREADABLE as error:
            raise DatasetError(
                f"{self._where} cannot be unpacked ({error}); "
                "use a plain zip, neither encrypted nor damaged, with store or deflate compression"
            ) from None

    def _summary(self) -> str:
        size = self._file.seek(0, io.SEEK_END)
        if not size:
            return "it has 0 bytes"
        self._file.seek(0)
        begins = self._file.read(_SHOWN_BYTES).decode("latin-1")
        return f"{size} bytes, beginning with {quote(begins)}"


class _Entry(io.BufferedIOBase):
    """An entry's bytes, of which `done` were read."""

    def __init__(self, entries: ZipEntries, name: str, opened: IO[bytes]) -> None:
        self.name = name
        self._entries, self._opened = entries, opened
        self.done = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        data = self._entries._pull(self.name, self._opened, -1 if size is None else size)
        self.done += len(data)
        return data

    def read1(self, size: int = -1) -> bytes:
        return self.read(size)


def _check_entries(entries: list[zipfile.ZipInfo], where: str) -> set[str]:
    if not entries:
        raise DatasetError(f"{where} is an empty zip; it must hold {TRAIN}")
    if len(entries) > MAX_ENTRIES:
        raise DatasetError(f"{where} holds {len(entries)} entries; at most {MAX_ENTRIES} are read")
    names: set[str] = set()
    for entry in entries:
        name = entry.filename
        if (
            name.startswith("/")
            or "\\" in entry.orig_filename
            or ":" in name
            or ".." in name.split("/")
            or stat.S_ISLNK(entry.external_attr >> 16)
        ):
            raise DatasetError(
                f"{where} holds the unsafe entry {quote(entry.orig_filename)}; entries must be "
                "plain files inside the zip"
            )
        if name in names:
            raise DatasetError(f"{where} holds {quote(name)} twice; keep one")
        names.add(name)
    if TRAIN not in names:
        nested = sorted(name for name in names if name.endswith("/" + TRAIN))
        hint = (
            f"found {quote(nested[0])}: zip the files themselves, not their folder"
            if nested
            else "found " + ", ".join(quote(name) for name in sorted(names)[:5])
        )
        raise DatasetError(f"{where} has no {TRAIN} at its top level; {hint}")
    return names
