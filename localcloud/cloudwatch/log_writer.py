"""The writer of log lines: from child processes into CloudWatch Logs, in batches.

A line is written as the role of the process that printed it. Lines that the role may not write are
lost, as on AWS.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from typing import Any

from localcloud.aws.errors import AccessDenied, AwsError
from localcloud.aws.routing import Scope
from localcloud.core.clock import Clock, wall_sleep
from localcloud.iam.actions import writing_logs
from localcloud.iam.authoriser import Authoriser
from localcloud.moto_backend.dispatcher import MotoBackend, backend

log = logging.getLogger("localcloud.cloudwatch.log_writer")

_FLUSH_SECONDS = 0.25

# Scope, log group, log stream and the role that writes.
_Target = tuple[Scope, str, str, str]
_Lines = dict[_Target, list[dict[str, Any]]]


class LogWriter:
    """Collects lines and writes them to moto's CloudWatch Logs every quarter second."""

    def __init__(self, moto: MotoBackend, clock: Clock, iam: Authoriser) -> None:
        self._moto = moto
        self._clock = clock
        self._iam = iam
        self._pending: _Lines = defaultdict(list)
        self._silenced: set[_Target] = set()

    def write(self, scope: Scope, group: str, stream: str, line: str, principal: str = "") -> None:
        """Queue one line, with the current AWS time."""
        stamp = int(self._clock.now().timestamp() * 1000)
        self._pending[scope, group, stream, principal].append({"timestamp": stamp, "message": line})

    async def run(self) -> None:
        """Flush every quarter second, until cancelled."""
        while True:
            await wall_sleep(_FLUSH_SECONDS)
            await self.flush()  # catches what fails

    async def flush(self) -> None:
        """Write the queued lines."""
        pending, self._pending = self._pending, defaultdict(list)
        if pending:
            try:
                problems = await self._moto.call(_write, await self._permitted(pending))
                for target, problem in problems.items():
                    self._silence(target, problem)
            except asyncio.CancelledError:
                raise
            except Exception:
                log.exception("could not write to CloudWatch Logs")

    async def _permitted(self, pending: _Lines) -> _Lines:
        """Return the lines that their roles may write."""
        permitted: _Lines = {}
        new = await self._moto.call(_new, list(pending))
        for target in pending:
            scope, group, stream, principal = target
            try:
                wanted = writing_logs(scope, group, stream, *new[target])
                await self._iam.authorise(principal, wanted)
                permitted[target] = pending[target]
            except AccessDenied as error:
                self._silence(target, error.message)
            except Exception as error:  # such as a group of a region that does not exist
                self._silence(target, repr(error))
        return permitted

    def _silence(self, target: _Target, reason: str) -> None:
        """Log once that the lines of a target are lost."""
        if target not in self._silenced:
            self._silenced.add(target)
            log.warning("lines of %s are lost: %s", target[1], reason)


def _new(targets: list[_Target]) -> dict[_Target, tuple[bool, bool]]:
    """Return for each target whether its log group and its log stream have to be created."""
    found: dict[_Target, tuple[bool, bool]] = {}
    for target in targets:
        scope, group, stream, _ = target
        try:
            groups = backend("logs", scope).groups
        except AwsError:  # no such region; `_permitted` reports it
            continue
        found[target] = (
            group not in groups,
            group not in groups or stream not in groups[group].streams,
        )
    return found


def _write(pending: _Lines) -> dict[_Target, str]:
    """Write lines; return the targets that cannot be written to, with the reasons."""
    problems: dict[_Target, str] = {}
    for target, events in pending.items():
        scope, group, stream, _ = target
        try:
            logs = backend("logs", scope)
            if group not in logs.groups:
                logs.create_log_group(group, {})
            if stream not in logs.groups[group].streams:
                logs.create_log_stream(group, stream)
            # moto refuses times far from wall-clock time, which a fast clock leaves behind.
            # Therefore the lines are appended directly.
            logs.groups[group].streams[stream].put_log_events(events)
        except Exception as error:  # one target must not cost the lines of the others
            problems[target] = repr(error)
    return problems
