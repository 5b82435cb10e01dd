"""The calls that roles made: each (role, action, resource, outcome) once, with count and last time.

The log is in memory and bounded. One entry stands for all equal calls; otherwise the lines of one
log stream would push out everything else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

# The number of different calls that are kept; the oldest are dropped first.
LIMIT = 20_000


@dataclass(slots=True)
class Calls:
    """Equal calls of a role.

    Attributes:
        resource: an ARN, or `*`.
        allowed: whether the role's policies allow the call, enforced or not.
        last: the AWS time of the last one.
    """

    role: str
    action: str
    resource: str
    allowed: bool
    count: int
    last: datetime


class CallLog:
    """The log of calls.

    Attributes:
        on_call: called with the entry of each call that is recorded.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self.on_call: Callable[[Calls], None] = _ignore
        self._calls: dict[tuple[str, str, str, bool], Calls] = {}

    def record(
        self, role: str, action: str, resource: str, now: datetime, *, allowed: bool
    ) -> None:
        """Record one call."""
        key = (role, action, resource, allowed)
        known = self._calls.pop(key, None) or Calls(role, action, resource, allowed, 0, now)
        known.count += 1
        known.last = now
        self._calls[key] = known
        if len(self._calls) > self._limit:
            self._calls.pop(next(iter(self._calls)))
        self.on_call(known)

    def clear(self) -> None:
        """Delete all records."""
        self._calls.clear()

    def entries(self) -> list[Calls]:
        """Return the calls, the latest last."""
        return list(self._calls.values())

    def document(self) -> list[dict[str, Any]]:
        """Return the calls as JSON values, the latest last."""
        return [asdict(c) | {"last": c.last.isoformat()} for c in self._calls.values()]


def _ignore(_call: Calls) -> None:
    """Do nothing: nobody watches the calls."""
