"""The log of invocations, as JSON lines.

A refused invocation is written at once. Answered invocations are collected and written together
several times per second, because a `logging` call costs as much as the invocation itself.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Sequence
from itertools import count

log = logging.getLogger("model.invocations")

_FLUSH_SECONDS = 0.1
_MAX_ENTRIES = 250
_LINE = '{"event":"invocation","request_id":"%s","status":200,"microseconds":%d,"rows":%d}'


class InvocationLog:
    """Writes the invocations of one worker. Only the worker's event loop may call it.

    Args:
        answered: log answered invocations as well as refused ones.

    Attributes:
        writes_answered: the value of `answered`.
    """

    def __init__(self, *, answered: bool) -> None:
        self.writes_answered = answered
        # Finished lines, or only the nanoseconds of an invocation of one row without an id.
        self._entries: list[str | int] = []
        self._prefix = f"{os.getpid():x}-"
        self._numbers = count(1)
        self._one_row = _LINE.replace("%s", self._prefix + "%x").replace('"rows":%d', '"rows":1')

    def answered(self, request_id: bytes, nanoseconds: int, rows: int) -> None:
        """Add an answered invocation, which is written within a tenth of a second.

        Args:
            request_id: the client's id, empty if it sent none.
            nanoseconds: time from the first byte to the response.
            rows: rows of the request.
        """
        logged_id = self.id_of(request_id)
        self._add([_LINE % (logged_id, nanoseconds // 1000, rows)])

    def answered_rows(self, nanoseconds: list[int]) -> None:
        """Add invocations of one row each, without ids, that were answered together."""
        self._add(nanoseconds)

    def refused(
        self, request_id: bytes, status: int, nanoseconds: int, error: str, message: str
    ) -> str:
        """Write a refused invocation; return the id under which it is logged."""
        logged_id = self.id_of(request_id)
        entry = {
            "event": "invocation",
            "request_id": logged_id,
            "status": status,
            "microseconds": nanoseconds // 1000,
            "error": error,
            "message": message,
        }
        self.flush()
        log.warning("%s", json.dumps(entry, ensure_ascii=False, separators=(",", ":")))
        return logged_id

    def flush(self) -> None:
        """Write the entries that have been added."""
        entries, self._entries = self._entries, []
        if entries:
            one_row, numbers = self._one_row, self._numbers
            lines = [
                entry if isinstance(entry, str) else one_row % (next(numbers), entry // 1000)
                for entry in entries
            ]
            log.info("%s", "\n".join(lines))

    def id_of(self, request_id: bytes) -> str:
        """Return the client's id if it is printable ASCII, or else a generated one."""
        client_id = request_id.decode("latin-1")[:128]
        safe = client_id.isascii() and client_id.isprintable() and not {'"', "\\"} & set(client_id)
        if client_id and safe:
            return client_id
        return f"{self._prefix}{next(self._numbers):x}"

    def _add(self, entries: Sequence[str | int]) -> None:
        if not self._entries:
            asyncio.get_running_loop().call_later(_FLUSH_SECONDS, self.flush)
        self._entries.extend(entries)
        if len(self._entries) >= _MAX_ENTRIES:
            self.flush()
