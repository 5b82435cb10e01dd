"""What roles have done: each (role, action, resource, outcome) once, with how often and when last.

In memory and bounded; one entry stands for every like call, or the lines of one log stream would
push out the rest.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

# Different calls that are remembered; the ones made longest ago are forgotten first.
LIMIT = 20_000


@dataclass(slots=True)
class Calls:
    """Like calls of a role.

    Attributes:
        resource: an ARN, or `*`.
        allowed: what the role's policies say, whether it was enforced or not.
        last: on the local cloud's clock.
    """

    role: str
    action: str
    resource: str
    allowed: bool
    count: int
    last: datetime


class CallLog:
    """Remembers calls."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._calls: dict[tuple[str, str, str, bool], Calls] = {}

    def record(
        self, role: str, action: str, resource: str, now: datetime, *, allowed: bool
    ) -> None:
        """Remember one call."""
        key = (role, action, resource, allowed)
        known = self._calls.pop(key, None) or Calls(role, action, resource, allowed, 0, now)
        known.count += 1
        known.last = now
        self._calls[key] = known
        if len(self._calls) > self._limit:
            self._calls.pop(next(iter(self._calls)))

    def clear(self) -> None:
        """Forget all."""
        self._calls.clear()

    def document(self) -> list[dict[str, Any]]:
        """Return the calls for JSON, the latest last."""
        return [asdict(c) | {"last": c.last.isoformat()} for c in self._calls.values()]
