"""Regular expressions that a request brings, compiled and matched within bounds.

The standard library's engine matches `(a+)+b` in a time that doubles with each character, and
nothing can stop it. The engine here ends a match after a time limit.
"""

from __future__ import annotations

import logging

import regex

log = logging.getLogger("localcloud")

# Longer than any match that is meant, and short enough for the event loop; wall-clock seconds.
_LIMIT_SECONDS = 0.25
LONGEST_PATTERN = 4096


class PatternError(ValueError):
    """A text that is not a regular expression."""


class PatternTooSlow(PatternError):
    """A match that took too long."""


class UserPattern:
    """A compiled regular expression.

    Args:
        text: at most 4,096 characters.

    Attributes:
        groups: the number of capturing groups.

    Raises:
        PatternError: the text is not a regular expression.
    """

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST_PATTERN:
            raise PatternError(
                f"a pattern has at most {LONGEST_PATTERN} characters, not {len(text)}"
            )
        self._text = text
        try:
            self._pattern = regex.compile(text)
        except (regex.error, RecursionError, OverflowError, ValueError, MemoryError) as error:
            raise PatternError(str(error) or type(error).__name__) from None
        self.groups: int = self._pattern.groups
        self._gave_up = False

    def search(self, text: str) -> regex.Match[str] | None:
        """Return the first match in one of many texts, or None.

        A pattern that takes over a quarter of a second is not tried again, and the log says so.
        """
        if self._gave_up:
            return None
        try:
            return self._pattern.search(text, timeout=_LIMIT_SECONDS)
        except TimeoutError:
            self._gave_up = True
            log.warning("%s; it is not searched for any more", self._too_slow())
            return None

    def matches(self, text: str) -> bool:
        """Return whether the pattern matches the whole text.

        Raises:
            PatternTooSlow: matching takes over a quarter of a second.
        """
        try:
            return self._pattern.fullmatch(text, timeout=_LIMIT_SECONDS) is not None
        except TimeoutError:
            raise self._too_slow() from None

    def _too_slow(self) -> PatternTooSlow:
        return PatternTooSlow(f"matching '{self._text[:100]}' takes too long")
