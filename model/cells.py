"""Pure: parses a string as a number that fits into a 32-bit float, or says why it cannot be used.

Python's `float()` accepts more than a dataset should hold: underscores, the digits of other
scripts, `nan` and `infinity`. The model's input is float32, so a number that overflows there is
refused here instead of turning into an infinity later.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

# The largest 64-bit float that is rounded to a finite 32-bit float. It is a little above the
# largest 32-bit float, and so is that one's shortest decimal form, 3.4028235e38.
FLOAT32_LIMIT = 3.4028235677973362e38
_SHOWN_CHARACTERS = 40
_MISSING = ("", "nan")


class NotANumberError(ValueError):
    """The value of a cell cannot be used; the message continues a sentence about the cell."""


def parse_number(text: str) -> float:
    """Return the number that a string holds.

    Raises:
        NotANumberError: the string is empty, not a number, not finite, or too large for a 32-bit
            float.
    """
    try:
        number = float(text)
    except ValueError:
        if not text.strip():
            raise NotANumberError("is empty") from None
        raise NotANumberError(f"holds {quote(text)}, which is not a number") from None
    if "_" in text or not text.isascii():
        raise NotANumberError(f"holds {quote(text)}, which is not a number")
    # Only a message needs the quoted text.
    return number if abs(number) <= FLOAT32_LIMIT else check_number(number, quote(text))


def check_number(number: float, shown: str) -> float:
    """Return the number if it is finite as a 32-bit float.

    Args:
        number: any float.
        shown: the number as the user wrote it, for the message.

    Raises:
        NotANumberError: the number is NaN, infinite, or too large.
    """
    if not math.isfinite(number):
        raise NotANumberError(f"holds {shown}, which is not a finite number")
    if abs(number) > FLOAT32_LIMIT:
        raise NotANumberError(f"holds {shown}, which is too large for a 32-bit float")
    return number


def is_missing(cell: str, spellings: frozenset[str] = frozenset()) -> bool:
    """Return True if a cell is empty, `nan`, or one of these spellings, which are in small letters.

    Upper and lower case are the same, and blanks around the cell are ignored.
    """
    text = cell.strip().lower()
    return text in _MISSING or text in spellings


def spellings_of(texts: Iterable[str]) -> frozenset[str]:
    """Return spellings of missing cells as `is_missing` takes them."""
    return frozenset(filter(None, (text.strip().lower() for text in texts)))


def quote(text: str) -> str:
    """Return a string in quotes, shortened to 40 characters and on one line, for a message."""
    shown = text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"
    return f"'{one_line(shown)}'"


def one_line(text: str) -> str:
    """Return a string on one line, with a replacement character for each unprintable one."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
