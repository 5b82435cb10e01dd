"""A glob pattern, matched without going back to an earlier star. Pure.

The text between two stars may be taken at the first place where it is found, because whatever
follows can only need less of the rest. So a match costs one search for each part, however many
stars there are. A regular expression would try the other places, too, which takes a time that grows
with the power of the number of stars. Must not: know which characters are wild in a language of
patterns; the caller splits the pattern.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeAlias

# A part's characters; None is any one character.
Part: TypeAlias = Sequence[str | None]


class Glob:
    """A pattern, given as the parts between its stars.

    Args:
        parts: at least one part.
    """

    __slots__ = ("_first", "_last", "_least", "_middle")

    def __init__(self, parts: Sequence[Part]) -> None:
        first, *middle = (_Text(part) for part in parts)
        self._first = first
        self._last = middle.pop() if middle else None
        # An empty part between two stars says nothing.
        self._middle = [part for part in middle if part.length]
        self._least = sum(map(len, parts))

    def matches(self, text: str) -> bool:
        """Return whether the pattern matches the whole text."""
        if len(text) < self._least or not self._first.is_at(text, 0):
            return False
        if self._last is None:
            return len(text) == self._least
        end = len(text) - self._last.length
        if not self._last.is_at(text, end):
            return False
        place = self._first.length
        for part in self._middle:
            found = part.find(text, place, end)
            if found < 0:
                return False
            place = found + part.length
        return True


class _Text:
    """Characters in a row, of which some may be any character."""

    __slots__ = ("_literal", "_wild", "length")

    def __init__(self, characters: Part) -> None:
        self.length = len(characters)
        self._literal = "".join(c for c in characters if c is not None)
        self._wild: re.Pattern[str] | None = None
        if len(self._literal) < self.length:
            # Without a repetition, so that it tries each place once.
            wild = "".join("." if c is None else re.escape(c) for c in characters)
            self._wild = re.compile(wild, re.DOTALL)

    def is_at(self, text: str, place: int) -> bool:
        """Return whether the characters are in the text at a place."""
        if self._wild is None:
            return text.startswith(self._literal, place)
        return self._wild.match(text, place) is not None

    def find(self, text: str, start: int, end: int) -> int:
        """Return the first place from `start` on at which they end by `end`, or -1."""
        if self._wild is None:
            return text.find(self._literal, start, end)
        found = self._wild.search(text, start, end)
        return -1 if found is None else found.start()
