"""Reads the lines of a file in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

# Requests and answers have at most 6 MiB each here; base64 makes 8 MiB of them.
MOST_LINE_BYTES = 16 << 20


def read_lines(path: Path, most: int = MOST_LINE_BYTES) -> Iterator[bytes | None]:
    """Yield the lines with their newline, and None for a line that is too long.

    Args:
        path: the file.
        most: bytes of the longest line.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        while line := file.readline(most):
            if len(line) < most or line.endswith(b"\n"):
                yield line
                continue
            while (rest := file.readline(most)) and not rest.endswith(b"\n"):
                pass
            yield None
