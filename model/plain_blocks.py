"""Reads a file of plain numbers a megabyte at a time, without a string for each line.

A block holds whole lines of UTF-8: a label, first or last, and numbers, with commas between them.
Quotes, blank lines, blanks, missing cells and numbers that JSON does not know, such as `.5`, are
left to others, who begin where this module ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import IO

import numpy as np
from numpy.typing import NDArray

from model.batches import number_rows

_BLOCK = 1 << 20
_COMMA, _NEWLINE = ord(","), ord("\n")


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of plain numbers.

    Attributes:
        labels: one per row.
        data: the rows as CSV in UTF-8, the label first, each with a newline at its end.
        sizes: the bytes of each row, shape (rows,).
        last: the file ends here.
    """

    labels: list[str]
    data: bytes
    sizes: NDArray[np.int64]
    last: bool = False


def plain_blocks(file: IO[bytes], width: int, *, label_last: bool) -> Iterator[Block]:
    """Yield blocks from a file's position on, until one is not plain.

    Args:
        file: the file, at the beginning of a line.
        width: numbers in each row.
        label_last: the label is the last cell, and not the first.

    Raises:
        OSError: the file cannot be read.
    """
    rest, more = b"", file.read(_BLOCK)
    while more:
        data, more = rest + more, file.read(_BLOCK)
        end = data.rfind(b"\n") + 1 if more else len(data)
        # A line of a megabyte is no row of numbers.
        block, rest = data[:end], data[end:]
        found = _plain_block(block, width, label_last=label_last) if block else None
        if found is None:
            return
        yield found if more else replace(found, last=True)


def _plain_block(block: bytes, width: int, *, label_last: bool) -> Block | None:
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n")
    if not block.endswith(b"\n"):
        block += b"\n"
    if b"\r" in block or b'"' in block:
        return None
    characters = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(characters == _NEWLINE)
    commas = np.flatnonzero(characters == _COMMA)
    starts = np.concatenate([[0], ends[:-1] + 1])
    first, after = np.searchsorted(commas, starts), np.searchsorted(commas, ends)
    if not (after - first == width).all():
        return None
    begin, finish = starts.tolist(), ends.tolist()
    cuts = commas[after - 1 if label_last else first].tolist()
    if label_last:
        rests = [block[a:cut] for a, cut in zip(begin, cuts, strict=True)]
        ids = [block[cut + 1 : b] for cut, b in zip(cuts, finish, strict=True)]
    else:
        ids = [block[a:cut] for a, cut in zip(begin, cuts, strict=True)]
        rests = [block[cut + 1 : b] for cut, b in zip(cuts, finish, strict=True)]
    if number_rows(b"],[".join(rests), len(rests), width, counted=True) is None:
        return None
    try:
        names = {one: one.decode() for one in set(ids)}
    except UnicodeDecodeError:
        return None
    if not all(map(str.strip, names.values())):
        return None
    if label_last:
        block = b"".join(b"%s,%s\n" % pair for pair in zip(ids, rests, strict=True))
    return Block(list(map(names.__getitem__, ids)), block, ends - starts + 1)
