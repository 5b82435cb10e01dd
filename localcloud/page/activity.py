"""The newest events of services and calls of AWS's APIs, in memory and bounded.

Calls that only read have a list of their own, so that a program that polls does not push out what
changed something.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Any

from localcloud.aws.protocol import READING, operation_name
from localcloud.aws.routing import Request, Response, Scope
from localcloud.iam.calls import Calls
from localcloud.iam.requests import operation_of

_KEPT = 400
_KEPT_READS = 100
# Services whose requests name their operation by method and path, which is shown, too.
_REST = frozenset({"s3", "lambda"})
_PATH_CHARACTERS = 120
# A request of an endpoint, which is counted as a metric.
_NOT_SHOWN = frozenset({"sagemaker-runtime"})
_TEXT_CHARACTERS = 300


class Activity:
    """The newest entries, each with a number that grows.

    Args:
        now: returns the AWS time.
        changed: called after an entry that changed something was added.
    """

    def __init__(self, now: Callable[[], datetime], changed: Callable[[], None]) -> None:
        self._now = now
        self._changed = changed
        self._entries: deque[dict[str, Any]] = deque(maxlen=_KEPT)
        self._reads: deque[dict[str, Any]] = deque(maxlen=_KEPT_READS)
        # The numbers of another run of the local cloud mean nothing.
        self._run = secrets.token_hex(4)
        self.number = 0

    def event(self, scope: Scope, source: str, kind: str, detail: dict[str, Any]) -> None:
        """Add an event of a service."""
        self._add(
            self._entries,
            kind="event",
            scope=f"{scope.account}/{scope.region}",
            what=f"{source}: {kind}",
            text=_text(detail),
            status=_status(detail),
        )
        self._changed()

    def denied(self, call: Calls) -> None:
        """Add a call that a role's policies do not allow, whether it was refused or only noted."""
        if call.allowed:
            return
        self._add(
            self._entries,
            kind="denied",
            scope="",
            what=call.action,
            text=f"{call.role} lacks {call.action} on {call.resource}",
            status="not granted",
        )
        self._changed()

    def call(self, request: Request, response: Response, seconds: float) -> bool:
        """Add a call of an API; return whether it may have changed something."""
        if request.service in _NOT_SHOWN or request.path.startswith("/_local"):
            return False
        rest = request.service in _REST
        name = operation_of(request)[0] if rest else operation_name(request)
        reads = name.startswith(READING) if name else request.method in ("GET", "HEAD")
        failed = response.status >= 400
        what = name or request.method
        if rest or not name:
            what = f"{what} {request.path[:_PATH_CHARACTERS]}"
        self._add(
            self._reads if reads and not failed else self._entries,
            kind="call",
            scope=f"{request.scope.account}/{request.scope.region}",
            what=f"{request.service}: {what}",
            text=request.principal or f"account {request.scope.account}",
            status=str(response.status),
            milliseconds=round(seconds * 1000, 1),
            reads=reads,
        )
        if failed or not reads:
            self._changed()
        return not reads and not failed

    def since(self, number: int, limit: int = _KEPT) -> dict[str, Any]:
        """Return the entries after a number, oldest first, and how many there have been."""
        found = [e for e in (*self._entries, *self._reads) if e["number"] > number]
        found.sort(key=lambda entry: entry["number"])
        return {"run": self._run, "total": self.number, "items": found[-limit:]}

    def _add(self, entries: deque[dict[str, Any]], **entry: Any) -> None:
        self.number += 1
        entries.append({"number": self.number, "at": self._now(), **entry})


def _text(detail: dict[str, Any]) -> str:
    """Return the short values of an event's detail, as `name value` pairs."""
    pairs = [f"{k} {v}" for k, v in detail.items() if isinstance(v, (str, int, float, bool)) and v]
    return ", ".join(pairs)[:_TEXT_CHARACTERS]


def _status(detail: dict[str, Any]) -> str:
    """Return the status that an event reports; empty if it reports none."""
    state = detail.get("state")
    if isinstance(state, dict):
        return str(state.get("value", ""))
    named = next((v for k, v in detail.items() if k.endswith("Status") and v), "")
    return str(state or named)
