"""A cloud for engines that are driven in the test's own process."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any

from localcloud.core.clock import Clock
from localcloud.core.store import Database


async def _trusts(role_arn: str, service: str) -> bool:
    return role_arn.endswith(":role/p") and service.endswith(".amazonaws.com")


class SmallCloud:
    """The cloud as the engine uses it, on the event loop of a test."""

    def __init__(self, loop: asyncio.AbstractEventLoop, database: Database | None = None) -> None:
        self.clock = Clock()
        self.database = database or Database(None)
        self.iam = SimpleNamespace(keys=SimpleNamespace(issue=lambda arn: arn), trusts=_trusts)
        self.tasks: list[asyncio.Task[None]] = []
        self.told: list[dict[str, Any]] = []
        self._loop = loop

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work, name=name)
        self.tasks.append(task)
        return task

    def publish(self, *event: Any) -> None:
        self.told.append(event[-1])

    def end(self) -> None:
        """End what runs, as a kill would."""
        for task in self.tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*self.tasks, return_exceptions=True))
