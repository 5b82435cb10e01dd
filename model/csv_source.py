"""Opens a CSV file as people have it: its encoding, its delimiter, and lines before the header.

What is recognised is noted in a sentence, so that nobody has to guess what was read.

    encoding    UTF-8, with or without a byte order mark; UTF-16 by its mark; others by name
    delimiter   the most frequent of comma, semicolon, tab and bar in the header, or given
    before      lines that begin with # and Excel's `sep=;`, which also gives the delimiter
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

from model.cells import quote
from model.errors import DatasetError
from model.plain_blocks import Block, read_blocks
from model.rows import not_utf8

DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}
_NAMES = {character: name for name, character in DELIMITERS.items()}
_UTF_8 = "utf-8-sig"
_MAX_BEFORE = 1000


class CsvSource:
    """The lines of a CSV file from its header on.

    Args:
        opened: returns the file's lines from the beginning.
        where: the file's name, for messages.
        delimiter: the character between two cells; None finds it.
        utf_8: the file, if it is one in UTF-8, which may then be read as bytes, too.

    Attributes:
        where: the file's name, for messages.
        delimiter: the character between two cells.
        before: number of lines before the header.
        notes: a sentence for each thing that was recognised.
    """

    def __init__(
        self,
        opened: Callable[[], Iterable[str]],
        where: str,
        delimiter: str | None,
        utf_8: Path | None = None,
    ) -> None:
        self._utf_8 = utf_8
        self.where = where
        self.notes: list[str] = []
        self._opened = opened
        lines = iter(opened())
        self.before, header, named = _header_of(lines, where)
        if self.before:
            self.notes.append(f"{self.before} lines before the header are left out")
        self.delimiter = delimiter or named or _delimiter_of(header)
        if delimiter is None and self.delimiter != ",":
            self.notes.append(f"the delimiter is {_NAMES.get(self.delimiter, 'another')}")

    def lines(self) -> Iterator[str]:
        """Return the lines from the header on."""
        return self.lines_after(self.before)

    def lines_after(self, number: int) -> Iterator[str]:
        """Return the lines after a number of lines of the file."""
        return islice(self._opened(), number, None)

    def blocks(
        self, after: int, width: int, others: Sequence[int] = (), *, label_last: bool
    ) -> Iterator[Block]:
        """Yield blocks of rows after a line, as of `read_blocks`, until something else comes.

        Args:
            after: number of lines of the file before them.
            width: cells of each row besides the label.
            others: indexes of the columns that hold other cells than numbers, from 0, rising.
            label_last: the label is the last cell, and not the first.

        Raises:
            DatasetError: the file cannot be read.
        """
        if self._utf_8 is None:
            return
        head = sum(len(line.encode()) for line in islice(self._opened(), after))
        try:
            with self._utf_8.open("rb") as file:
                mark = len(codecs.BOM_UTF8)
                file.seek(head + mark if file.read(mark) == codecs.BOM_UTF8 else head)
                yield from read_blocks(file, width, others, label_last=label_last)
        except OSError as error:
            raise DatasetError(f"cannot read {self.where}: {error.strerror}") from None


def open_file(path: Path, encoding: str | None, delimiter: str | None) -> CsvSource:
    """Return a source of a file, which is read line by line: it may be large.

    Args:
        path: the file.
        encoding: its encoding's name; None finds UTF-8 and UTF-16.
        delimiter: the character between two cells; None finds it.

    Raises:
        DatasetError: the file cannot be read, or Python has no such encoding.
    """
    found = encoding or _encoding_of(path)
    try:
        codecs.lookup(found)
    except LookupError:
        raise DatasetError(
            f"--encoding is {quote(found)}, which Python does not know; use utf-8, utf-16, "
            "latin-1 or cp1252"
        ) from None

    def lines() -> Iterator[str]:
        try:
            with path.open(encoding=found, newline="") as file:
                yield from file
        except OSError as error:
            raise DatasetError(f"cannot read {path}: {error.strerror}") from None
        except UnicodeError as error:
            raise _not_text(path, found, error) from None

    source = CsvSource(lines, str(path), delimiter, path if found == _UTF_8 else None)
    if found not in (_UTF_8, "utf-8"):
        source.notes.insert(0, f"the encoding is {found}")
    return source


def _encoding_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            mark = file.read(2)
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error.strerror}") from None
    return "utf-16" if mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else _UTF_8


def _not_text(path: Path, encoding: str, error: UnicodeError) -> DatasetError:
    if encoding != _UTF_8:
        return DatasetError(f"{path} is not {encoding} text ({error.args[-1]})")
    data = path.read_bytes()
    try:
        data.decode(_UTF_8)
    except UnicodeDecodeError as found:
        at = found.start + len(data) - len(found.object)
        advice = "; if a spreadsheet wrote it, try --encoding cp1252 (Windows) or latin-1"
        return DatasetError(f"{not_utf8(str(path), at)}{advice}")
    return DatasetError(f"{path} changed while it was read")


def _header_of(lines: Iterator[str], where: str) -> tuple[int, str, str | None]:
    """Return the number of lines before the header, the header, and the delimiter of `sep=`."""
    named = None
    for number, line in enumerate(lines):
        text = line.strip()
        if text.lower().startswith("sep=") and len(text) == 5 and not number:
            named = text[4]
        elif line.rstrip("\r\n").lower() == "sep=\t" and not number:
            named = "\t"
        elif not text.startswith("#"):
            return number, line, named
        if number >= _MAX_BEFORE:
            break
    return 0, "", named


def _delimiter_of(header: str) -> str:
    """Return the delimiter that a header has most of, outside quotes."""
    counts = {}
    for character in DELIMITERS.values():
        cells = next(csv.reader(chain([header]), delimiter=character), [])
        counts[character] = len(cells)
    best = max(counts.values(), default=0)
    return "," if counts[","] == best else next(c for c, n in counts.items() if n == best)
