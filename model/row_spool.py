"""CSV rows on disk, with their labels in memory, until it is known which of them are held out.

The split needs the label of every row before the first one is written. So the rows go to a
temporary file without a name, which no failure leaves behind, and memory holds some 20 bytes a row.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

# Rows that are read together.
_BATCH = 4096


class _Codes(dict[str, int]):
    """Numbers of texts, from 0 in order of appearance."""

    def __missing__(self, text: str) -> int:
        self[text] = code = len(self)
        return code


class RowSpool:
    """The rows of a table as CSV, the label first, each with a newline at its end.

    Args:
        directory: where the rows are kept until the spool is closed; it needs space for all.
        regression: the labels are numbers, and are not counted by value.

    Attributes:
        rows: number of rows.

    Raises:
        OSError: the directory cannot be written to.
    """

    def __init__(self, directory: Path, *, regression: bool) -> None:
        self.rows = 0
        self._regression = regression
        self._file = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115 - closed with the spool
        self._known = _Codes()
        self._codes: list[NDArray[np.int32]] = []
        self._sizes: list[NDArray[np.int64]] = []
        self._hashes: list[NDArray[np.int64]] = []
        # Labels that are written differently, by the code of the one that is replaced.
        self._written_as: dict[int, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, labels: Sequence[str], lines: Sequence[str]) -> None:
        """Add rows.

        Args:
            labels: one per row.
            lines: the rows.

        Raises:
            OSError: there is no space left.
        """
        text = "".join(lines)
        sizes = map(len, lines) if text.isascii() else (len(line.encode()) for line in lines)
        self.add_bytes(labels, text.encode(), np.fromiter(sizes, np.int64, len(lines)))

    def add_bytes(self, labels: Sequence[str], data: bytes, sizes: NDArray[np.int64]) -> None:
        """Add rows in UTF-8.

        Args:
            labels: one per row.
            data: the rows.
            sizes: the bytes of each row, shape (rows,).

        Raises:
            OSError: there is no space left.
        """
        if self._regression:
            # Two are enough to know that they differ; the split treats them as one class.
            for label in labels if len(self._known) < 2 else ():
                if len(self._known) < 2:
                    _ = self._known[label]
            codes = np.zeros(len(labels), np.int32)
        else:
            codes = np.fromiter(map(self._known.__getitem__, labels), np.int32, len(labels))
        self._codes.append(codes)
        self._sizes.append(sizes)
        self._file.write(data)
        self.rows += len(labels)

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the distinct labels in order of appearance; of a regression, two at most."""
        return tuple(self._known)

    def write_as(self, others: Mapping[str, str]) -> None:
        """Write labels as others, which are labels as well and need no quotes, from now on."""
        self._written_as = {self._known[old]: new for old, new in others.items() if old != new}

    @property
    def codes(self) -> NDArray[np.int32]:
        """Return each row's place in `labels`, of the label that is written, shape (rows,)."""
        found = np.concatenate([np.zeros(0, np.int32), *self._codes])
        for code, new in self._written_as.items():
            found[found == code] = self._known[new]
        return found

    def counts(self) -> dict[str, int]:
        """Return the number of rows of each label that is written; not for a regression."""
        numbers = np.bincount(self.codes, minlength=len(self._known)).tolist()
        pairs = zip(self._known, numbers, strict=True)
        return {label: rows for label, rows in pairs if rows}

    def size_of(self, chosen: NDArray[np.bool_]) -> int:
        """Return the bytes of the chosen rows, shape (rows,)."""
        sizes = np.concatenate([np.zeros(0, np.int64), *self._sizes])
        codes = np.concatenate([np.zeros(0, np.int32), *self._codes])
        for code, new in self._written_as.items():
            sizes[codes == code] += len(new) - len(self.labels[code])
        return int(sizes[chosen].sum())

    def read(self, chosen: NDArray[np.bool_]) -> Iterator[bytes]:
        """Yield the chosen rows, shape (rows,), many at a time; each row once in all calls."""
        self._file.seek(0)
        begin = 0
        for sizes, codes in zip(self._sizes, self._codes, strict=True):
            ends = np.cumsum(sizes).tolist()
            data = self._file.read(ends[-1] if ends else 0)
            at = np.flatnonzero(chosen[begin : begin + len(sizes)]).tolist()
            begin += len(sizes)
            lines = [
                data[ends[row] - size : ends[row]]
                for row, size in zip(at, sizes[at].tolist(), strict=True)
            ]
            for place, row in enumerate(at if self._written_as else ()):
                new = self._written_as.get(int(codes[row]))
                if new is not None:
                    old = self.labels[int(codes[row])]
                    lines[place] = new.encode() + lines[place][len(old.encode()) :]
            self._hashes.append(np.fromiter(map(hash, lines), np.int64, len(lines)))
            yield b"".join(lines)

    def repeated(self) -> int:
        """Return how many of the rows that were read repeat another one.

        By hashes of 64 bits: of a million rows, two different ones have the same hash once in
        forty million tables.
        """
        found = np.sort(np.concatenate([np.zeros(0, np.int64), *self._hashes]))
        return int((found[1:] == found[:-1]).sum())
