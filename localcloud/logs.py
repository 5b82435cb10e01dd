"""Lines of child processes into CloudWatch Logs, batched; and onto the local cloud's own log."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from typing import Any

from localcloud.clock import Clock, wall_sleep
from localcloud.passive import Passive, backend
from localcloud.routing import Scope

log = logging.getLogger("localcloud.logs")

_FLUSH_SECONDS = 0.25


class LogSink:
    """Collects lines and writes them to moto's CloudWatch Logs every quarter second."""

    def __init__(self, passive: Passive, clock: Clock) -> None:
        self._passive = passive
        self._clock = clock
        self._pending: dict[tuple[Scope, str, str], list[dict[str, Any]]] = defaultdict(list)

    def write(self, scope: Scope, group: str, stream: str, line: str) -> None:
        """Queue one line, stamped with the time of the clock."""
        stamp = int(self._clock.now().timestamp() * 1000)
        self._pending[scope, group, stream].append({"timestamp": stamp, "message": line})

    async def run(self) -> None:
        """Flush for ever."""
        while True:
            await wall_sleep(_FLUSH_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Write what is queued."""
        pending, self._pending = self._pending, defaultdict(list)
        if pending:
            try:
                await self._passive.call(_write, dict(pending))
            except asyncio.CancelledError:
                raise
            except Exception:
                log.exception("could not write to CloudWatch Logs")


def _write(pending: dict[tuple[Scope, str, str], list[dict[str, Any]]]) -> None:
    for (scope, group, stream), events in pending.items():
        logs = backend("logs", scope)
        if group not in logs.groups:
            logs.create_log_group(group, {})
        if stream not in logs.groups[group].streams:
            logs.create_log_stream(group, stream)
        # moto refuses times far from the wall's, which a fast clock leaves behind: append directly.
        target = logs.groups[group].streams[stream]
        target.put_log_events(events)
