"""Invocations as JSON lines in the log.

What was refused is written at once. What was answered is written together, some times a second: a
call of `logging` for each costs as much as the invocation itself.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from itertools import count

log = logging.getLogger("model.invocations")

_EVERY_SECONDS = 0.1
_MOST_LINES = 1000


class InvocationLog:
    """Writes the invocations of one worker; for its event loop alone.

    Args:
        answered: write those that were answered, too.
    """

    def __init__(self, *, answered: bool) -> None:
        self.writes_answered = answered
        self._lines: list[str] = []
        self._prefix = f"{os.getpid():x}-"
        self._numbers = count(1)

    def answered(self, request_id: bytes, nanoseconds: int, rows: int) -> None:
        """Note an invocation that was answered; `flush` or a moment writes it."""
        named = self.id_of(request_id) if request_id else f"{self._prefix}{next(self._numbers):x}"
        lines = self._lines
        if not lines:
            asyncio.get_running_loop().call_later(_EVERY_SECONDS, self.flush)
        lines.append(
            f'{{"event":"invocation","request_id":"{named}","status":200,'
            f'"microseconds":{nanoseconds // 1000},"rows":{rows}}}'
        )
        if len(lines) >= _MOST_LINES:
            self.flush()

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
        if self._lines:
            log.info("%s", "\n".join(self._lines))
            self._lines.clear()

    def id_of(self, request_id: bytes) -> str:
        """Return the client's id where it is one, else one of our own."""
        named = request_id.decode("latin-1")[:128]
        if named and named.isascii() and named.isprintable() and not {'"', "\\"} & set(named):
            return named
        return f"{self._prefix}{next(self._numbers):x}"
