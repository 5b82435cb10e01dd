"""The overview: one document of what the local cloud is doing, in sections.

Each section shows the newest or the current entries, up to a limit, with the number of all of them.
It is read from the services' records and encoded once for each change. `localcloud status`, the
page and its stream get the same bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from localcloud.aws.routing import Scope
from localcloud.page.activity import Activity
from localcloud.page.alarms import alarms
from localcloud.page.approvals import Approvals
from localcloud.page.changes import SECTIONS, Changes
from localcloud.page.cloud import cloud
from localcloud.page.drift import Drift
from localcloud.page.endpoints import endpoints, metrics
from localcloud.page.jobs import jobs
from localcloud.page.loadtests import LoadTests
from localcloud.page.permissions import permissions
from localcloud.page.pipelines import pipelines
from localcloud.page.stacks import stacks

if TYPE_CHECKING:
    from localcloud.core.store import Collection
    from localcloud.edge.services import Services
    from localcloud.service_context import ServiceContext

# Sections of a scope that are kept encoded; one scope has one of each.
_KEPT = 4 * len(SECTIONS)
_EVENTS = 100


@dataclass(frozen=True, slots=True)
class Encoded:
    """A section as JSON, and the number of the change that it shows."""

    number: int
    body: bytes


class Overview:
    """Builds the sections, and keeps them until something changes.

    Args:
        context: what services share.
        services: the services whose records are shown.
        changes: the numbers of the latest changes.
        activity: the newest events and calls.
        load_tests: the newest load tests.
        deployed: the states of the stacks of `localcloud up`.
    """

    def __init__(
        self,
        context: ServiceContext,
        services: Services,
        changes: Changes,
        activity: Activity,
        load_tests: LoadTests,
        deployed: Collection[dict[str, Any]],
    ) -> None:
        self._context = context
        self._changes = changes
        self.activity = activity
        self._kept: dict[tuple[Scope, str], Encoded] = {}
        self._building: dict[tuple[Scope, str], asyncio.Lock] = {}
        approvals = Approvals(context, services)
        moto, drift = context.moto, Drift()
        now = context.clock.now
        self._builders: dict[str, Callable[[Scope], Awaitable[Any]]] = {
            "cloud": lambda scope: _now(cloud(context, services, scope)),
            "approvals": approvals.waiting,
            "pipelines": lambda scope: _now(pipelines(services.codepipeline, scope)),
            "endpoints": lambda scope: _now(endpoints(services, scope)),
            "metrics": lambda scope: _now(metrics(services.sagemaker, scope, now())),
            "jobs": lambda scope: _now(jobs(services.sagemaker, scope)),
            "drift": lambda scope: moto.call(drift.section, scope),
            "alarms": lambda scope: moto.call(alarms, scope),
            "events": lambda scope: _now(activity.since(0, _EVENTS)),
            "stacks": lambda scope: _now(stacks(services.cloudformation, deployed, scope)),
            "permissions": lambda scope: _now(permissions(context.iam.calls)),
            "loadtests": lambda scope: _now(load_tests.newest()),
        }

    async def section(self, scope: Scope, name: str) -> Encoded:
        """Return a section, which was encoded after its latest change."""
        key = (scope, name)
        lock = self._building.setdefault(key, asyncio.Lock())
        async with lock:
            kept = self._kept.get(key)
            latest = self._changes.latest[name]
            if kept is not None and kept.number >= latest and name != "cloud":
                return kept
            number = self._changes.number
            body = msgspec.json.encode(await self._builders[name](scope))
            encoded = self._kept[key] = Encoded(number, body)
            while len(self._kept) > _KEPT:
                oldest = next(iter(self._kept))
                del self._kept[oldest]
                self._building.pop(oldest, None)
            return encoded

    async def document(self, scope: Scope) -> bytes:
        """Return all sections as one JSON object."""
        parts = [
            f'"{name}":'.encode() + (await self.section(scope, name)).body for name in SECTIONS
        ]
        return b"{" + b",".join(parts) + b"}\n"


async def _now(value: Any) -> Any:
    """Return a value that needs no waiting."""
    return value
