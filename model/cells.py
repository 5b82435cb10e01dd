"""Pure: text to a number that survives as a 32-bit float, or the reason why not.

Python's `float()` takes more than a dataset should hold: underscores, other scripts' digits,
`nan` and `infinity`. The model's input is float32, so a number that overflows there is refused
here and not found later as an infinity.
"""

from __future__ import annotations

import math

FLOAT32_MAX = 3.4028234663852886e38
_SHOWN_CHARACTERS = 40


class NotANumberError(ValueError):
    """The text is not a usable number; the message says why."""


def parse_number(text: str) -> float:
    """Return the number that `text` holds.

    Raises:
        NotANumberError: empty, not a number, not finite, or too large for a 32-bit float.
    """
    try:
        number = float(text)
    except ValueError:
        if not text.strip():
            raise NotANumberError("is empty") from None
        raise NotANumberError(f"holds {quote(text)}, which is not a number") from None
    if "_" in text or not text.isascii():
        raise NotANumberError(f"holds {quote(text)}, which is not a number")
    return check_number(number, quote(text))


def check_number(number: float, shown: str) -> float:
    """Return the number if it is finite as a 32-bit float.

    Raises:
        NotANumberError: NaN, infinite, or too large.
    """
    if not math.isfinite(number):
        raise NotANumberError(f"holds {shown}, which is not a finite number")
    if abs(number) > FLOAT32_MAX:
        raise NotANumberError(f"holds {shown}, which is too large for a 32-bit float")
    return number


def quote(text: str) -> str:
    """Return the text in quotes, shortened and on one line, for a message."""
    shown = text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"
    return "'" + "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in shown) + "'"
