"""Invocations as JSON lines in the log.

What was refused is written at once. What was answered is written together, some times a second: a
call of `logging` for each costs as much as the invocation itself.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Sequence
from itertools import count

log = logging.getLogger("model.invocations")

_EVERY_SECONDS = 0.1
_MOST_NOTES = 250
_LINE = '{"event":"invocation","request_id":"%s","status":200,"microseconds":%d,"rows":%d}'


class InvocationLog:
    """Writes the invocations of one worker; for its event loop alone.

    Args:
        answered: write those that were answered, too.
    """

    def __init__(self, *, answered: bool) -> None:
        self.writes_answered = answered
        # Lines; of an invocation of one row without an id, its nanoseconds.
        self._notes: list[str | int] = []
        self._prefix = f"{os.getpid():x}-"
        self._numbers = count(1)
        self._one_row = _LINE.replace("%s", self._prefix + "%x").replace('"rows":%d', '"rows":1')

    def answered(self, request_id: bytes, nanoseconds: int, rows: int) -> None:
        """Note an invocation that was answered; `flush` or a moment writes it."""
        named = self.id_of(request_id)
        self._note([_LINE % (named, nanoseconds // 1000, rows)])

    def answered_rows(self, nanoseconds: list[int]) -> None:
        """Note invocations of one row each, without ids, that were answered together."""
        self._note(nanoseconds)

    def refused(
        self, request_id: bytes, status: int, nanoseconds: int, error: str, message: str
    ) -> str:
        """Write an invocation that was refused; return its id, the client's or one of our own."""
        named = self.id_of(request_id)
        entry = {
            "event": "invocation",
            "request_id": named,
            "status": status,
            "microseconds": nanoseconds // 1000,
            "error": error,
            "message": message,
        }
        self.flush()
        log.warning("%s", json.dumps(entry, ensure_ascii=False, separators=(",", ":")))
        return named

    def flush(self) -> None:
        """Write what was noted."""
        notes, self._notes = self._notes, []
        if notes:
            one_row, numbers = self._one_row, self._numbers
            lines = [
                note if isinstance(note, str) else one_row % (next(numbers), note // 1000)
                for note in notes
            ]
            log.info("%s", "\n".join(lines))

    def id_of(self, request_id: bytes) -> str:
        """Return the client's id where it is one, else one of our own."""
        named = request_id.decode("latin-1")[:128]
        if named and named.isascii() and named.isprintable() and not {'"', "\\"} & set(named):
            return named
        return f"{self._prefix}{next(self._numbers):x}"

    def _note(self, notes: Sequence[str | int]) -> None:
        if not self._notes:
            asyncio.get_running_loop().call_later(_EVERY_SECONDS, self.flush)
        self._notes.extend(notes)
        if len(self._notes) >= _MOST_NOTES:
            self.flush()
