"""Reads rows of numbers, and of a few other cells, a block of lines at a time.

A block holds whole lines of UTF-8: a label, first or last, and cells with commas between them. The
columns of numbers are read together, without a string for each cell. Quotes, blank lines, and
numbers that are missing or that JSON does not know, such as `.5`, are left to others, who begin
where this module ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import IO

import numpy as np
from numpy.typing import NDArray

from model.batches import Numbers, number_rows

_BLOCK = 1 << 20
_COMMA, _NEWLINE = ord(","), ord("\n")


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of numbers and other cells.

    Attributes:
        labels: one per row, none of them blank.
        numbers: the cells of the columns of numbers, shape (rows, columns).
        others: the cells of each of the other columns, as they were read.
        data: the rows as CSV in UTF-8, the label first, each with a newline at its end.
        sizes: the bytes of each row, shape (rows,).
        last: the file ends here.
    """

    labels: list[str]
    numbers: Numbers
    others: list[list[str]]
    data: bytes
    sizes: NDArray[np.int64]
    last: bool = False


def read_blocks(
    file: IO[bytes], width: int, others: Sequence[int] = (), *, label_last: bool
) -> Iterator[Block]:
    """Yield blocks from a file's position on, until one cannot be read so.

    Args:
        file: the file, at the beginning of a line.
        width: cells of each row besides the label.
        others: indexes of the columns that hold other cells than numbers, from 0, rising.
        label_last: the label is the last cell, and not the first.

    Raises:
        OSError: the file cannot be read.
    """
    rest, more = b"", file.read(_BLOCK)
    while more:
        data, more = rest + more, file.read(_BLOCK)
        end = data.rfind(b"\n") + 1 if more else len(data)
        # A line of a megabyte is none of these rows.
        lines, rest = data[:end], data[end:]
        found = parse_block(lines, width, others, label_last=label_last) if lines else None
        if found is None:
            return
        yield found if more else replace(found, last=True)


def parse_block(
    lines: bytes, width: int, others: Sequence[int] = (), *, label_last: bool = False
) -> Block | None:
    """Return the rows of whole lines, or None if they cannot be read so.

    Args:
        lines: the lines, at least one, each with its end; that of the last may be missing.
        width: cells of each row besides the label.
        others: indexes of the columns that hold other cells than numbers, from 0, rising.
        label_last: the label is the last cell, and not the first.
    """
    if b"\r" in lines:
        lines = lines.replace(b"\r\n", b"\n")
    if not lines.endswith(b"\n"):
        lines += b"\n"
    if b"\r" in lines or b'"' in lines:
        return None
    characters = np.frombuffer(lines, np.uint8)
    ends = np.flatnonzero(characters == _NEWLINE)
    commas = np.flatnonzero(characters == _COMMA)
    starts = np.concatenate([[0], ends[:-1] + 1])
    counts = np.searchsorted(commas, ends) - np.searchsorted(commas, starts)
    if not (counts == width).all():
        return None
    rows = len(ends)
    borders = np.column_stack([starts - 1, commas.reshape(rows, width), ends])

    def between(first: int, after: int) -> list[bytes]:
        """Return the text of some cells of each row, with the commas between them."""
        pairs = zip((borders[:, first] + 1).tolist(), borders[:, after].tolist(), strict=True)
        return [lines[begin:end] for begin, end in pairs]

    ids = between(width, width + 1) if label_last else between(0, 1)
    begin = 0 if label_last else 1
    kinds = groupby(range(width), key=lambda at: at in others)
    runs = [[begin + at for at in run] for is_other, run in kinds if not is_other]
    parts = [between(run[0], run[-1] + 1) for run in runs]
    numbers: Numbers | None = np.zeros((rows, 0))
    if parts:
        texts = parts[0] if len(parts) == 1 else map(b",".join, zip(*parts, strict=True))
        of_numbers = width - len(others)
        numbers = number_rows(b"],[".join(texts), rows, of_numbers, counted=True)
    if numbers is None:
        return None
    try:
        names = {one: one.decode() for one in set(ids)}
        # No cell has a newline.
        columns = [
            b"\n".join(between(begin + at, begin + at + 1)).decode().split("\n") for at in others
        ]
    except UnicodeDecodeError:
        return None
    if not all(map(str.strip, names.values())):
        return None
    labels = list(map(names.__getitem__, ids))
    if label_last:
        cells = between(0, width)
        lines = b"".join(b"%s,%s\n" % pair for pair in zip(ids, cells, strict=True))
    return Block(labels, numbers, columns, lines, ends - starts + 1)
