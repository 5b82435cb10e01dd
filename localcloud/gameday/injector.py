"""Injects faults inside of the local cloud, at its seams: processes, AWS calls, the disk.

It exists only in a local cloud that was started with `--faults`; without it nothing here runs, and
no other code asks whether it is there. Must not: fake an outcome. A killed process is killed, a
full disk is SQLite's own error, and a throttled call gets the response that AWS gives.
"""

from __future__ import annotations

import json
import logging
import os
import random
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from localcloud.aws.errors import AwsError
from localcloud.aws.protocol import protocol_of, serialise_error
from localcloud.aws.routing import Request, Response, route
from localcloud.core.child_process import Child
from localcloud.core.clock import wall_sleep
from localcloud.edge.services import Services
from localcloud.gameday.schedule import SERVICES, FaultKind
from localcloud.sagemaker.connection import Done, NoAnswer, NotHttp, Outcome, Reply
from localcloud.sagemaker.instance import Instance
from localcloud.service_context import ServiceContext

log = logging.getLogger("localcloud.gameday")

_ROUTE = "/_localcloud/faults"
_LONGEST_SECONDS = 60.0
_SHARE = 0.5  # of the calls of a service that fail
_START_LATE_SECONDS = 2.0
_BROKEN = Reply(503, {"content-type": "text/plain"}, b"a fault of the game day")


class FaultInjector:
    """Injects faults by request of `POST /_localcloud/faults`."""

    def __init__(self, context: ServiceContext, services: Services) -> None:
        self._context = context
        self._services = services
        self._failing: dict[str, FaultKind] = {}  # service → the way in which its calls fail

    async def handle(self, request: Request) -> Response | None:
        """Answer the route, and fail the calls that are to fail; return None for any other."""
        if request.path == _ROUTE:
            return await self._inject(request)
        if self._failing and not request.path.startswith("/_local"):
            route(request)
            kind = self._failing.get(request.service)
            if kind is not None and random.random() < _SHARE:  # noqa: S311 - no cryptography
                return serialise_error(request.service, _error(request.service, kind))
        return None

    async def _inject(self, request: Request) -> Response:
        try:
            given = json.loads(request.body)
            kind = FaultKind(given["kind"])
            hold = float(given.get("hold_seconds", 0.0))
            pick = float(given.get("pick", 0.0))
            if not 0 <= hold <= _LONGEST_SECONDS or not 0 <= pick <= 1:
                raise ValueError(
                    f"hold_seconds is {hold:g} and pick is {pick:g}; they must be from 0 to "
                    f"{_LONGEST_SECONDS:g} and from 0 to 1"
                )
            hit = await self._start(kind, hold, pick, str(given.get("service", "")))
        except (ValueError, TypeError, KeyError) as error:
            return _json({"message": f"the fault cannot be injected: {error}"}, 400)
        log.info("fault %s: %s", kind, hit or "there was nothing to hit")
        return _json({"kind": kind, "hit": hit})

    async def _start(self, kind: FaultKind, hold: float, pick: float, service: str) -> str:
        """Begin a fault and return what it hit; it ends by itself."""
        match kind:
            case FaultKind.KILL_INSTANCE | FaultKind.STALL_INSTANCE:
                instance = self._pick_instance(pick)
                return "" if instance is None else self._signal(kind, instance.child, hold)
            case FaultKind.KILL_FLEET:
                hit = [self._signal(kind, i.child, 0) for i in self._instances()]
                return ", ".join(hit)
            case FaultKind.FAILING_INSTANCE | FaultKind.GARBLED_INSTANCE:
                instance = self._pick_instance(pick)
                return "" if instance is None else self._break(kind, instance, hold)
            case FaultKind.KILL_JOB:
                jobs = [*self._services.sagemaker.children(), *self._services.codebuild.children()]
                return (
                    self._signal(kind, jobs[int(pick * len(jobs)) % len(jobs)], 0) if jobs else ""
                )
            case FaultKind.LOST_FUNCTION:
                children = self._services.functions.children()
                return ", ".join(self._signal(kind, child, 0) for child in children)
            case FaultKind.SLOW_STARTS:
                return self._start_late(hold)
            case FaultKind.DISK_FULL:
                return await self._fill_disk(hold)
            case FaultKind.THROTTLED_API | FaultKind.FAILING_API:
                if service not in SERVICES:
                    raise ValueError(
                        f"service is '{service}'; it must be one of: {', '.join(SERVICES)}"
                    )
                self._failing[service] = kind
                self._later(hold, lambda: self._failing.pop(service, None))
                return service
            case FaultKind.CLOCK_JUMP | FaultKind.KILL_CLOUD:
                raise ValueError(f"{kind} is injected from outside")

    def _instances(self) -> list[Instance]:
        """Return the live instances of the endpoints with the most of them, oldest first."""
        fleets = self._services.sagemaker.fleets()
        found = [[i for i in fleet.instances if i.alive] for fleet in fleets]
        return max(found, key=len, default=[])

    def _pick_instance(self, pick: float) -> Instance | None:
        found = self._instances()
        return found[int(pick * len(found)) % len(found)] if found else None

    def _signal(self, kind: FaultKind, child: Child, hold: float) -> str:
        with suppress(ProcessLookupError):
            if kind is FaultKind.STALL_INSTANCE:
                os.killpg(child.pid, signal.SIGSTOP)
                self._later(hold, lambda: _continue(child))
            else:
                child.kill()
        return f"process {child.pid}"

    def _break(self, kind: FaultKind, instance: Instance, hold: float) -> str:
        outcome: Outcome = (
            _BROKEN if kind is FaultKind.FAILING_INSTANCE else NotHttp("it does not speak HTTP")
        )
        good = instance.connections
        broken: Any = _Broken(good, outcome)
        instance.connections = broken

        def repair() -> None:
            if instance.connections is broken:
                instance.connections = good

        self._later(hold, repair)
        return f"process {instance.child.pid}"

    def _start_late(self, hold: float) -> str:
        children = self._context.children
        original = children.spawn

        async def late(*arguments: Any, **named: Any) -> Child:
            await wall_sleep(_START_LATE_SECONDS)
            return await original(*arguments, **named)

        vars(children)["spawn"] = late
        self._later(hold, lambda: vars(children).pop("spawn", None))
        return f"{_START_LATE_SECONDS:g} s late"

    async def _fill_disk(self, hold: float) -> str:
        database, moto = self._context.database, self._context.moto
        database.limit_growth(True)
        await moto.limit_growth(True)

        async def make_room() -> None:
            await wall_sleep(hold)
            database.limit_growth(False)
            await moto.limit_growth(False)

        self._context.spawn("end of a fault", make_room())
        return "both state files"

    def _later(self, seconds: float, end: Callable[[], object]) -> None:
        async def wait() -> None:
            await wall_sleep(seconds)
            end()

        self._context.spawn("end of a fault", wait())


class _Broken:
    """Connections to an instance that answer wrongly."""

    def __init__(self, good: Any, outcome: Outcome) -> None:
        self._good = good
        self._outcome = outcome

    def begin(self, method: str, path: str, timeout_seconds: float, done: Done, *rest: Any) -> None:
        """Pass the wrong outcome to the caller, as if it had come from the instance."""
        outcome = self._outcome
        # An exception is a new one each time, because it collects tracebacks.
        again = type(outcome)(*outcome.args) if isinstance(outcome, NoAnswer) else outcome
        self._good.loop.call_soon(done, again)

    async def request(self, *arguments: Any, **named: Any) -> Reply:
        """Return the wrong response, or raise the wrong outcome."""
        if isinstance(self._outcome, NoAnswer):
            raise type(self._outcome)(*self._outcome.args)
        return self._outcome

    def close(self) -> None:
        """Close the real connections."""
        self._good.close()


def _continue(child: Child) -> None:
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGCONT)


def _error(service: str, kind: FaultKind) -> AwsError:
    """Return AWS's error, in the words of the service.

    Source: https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
    """
    if kind is FaultKind.THROTTLED_API:
        if service == "s3":
            return AwsError("SlowDown", "Please reduce your request rate.", 503)
        code = "Throttling" if protocol_of(service) == "query" else "ThrottlingException"
        return AwsError(code, "Rate exceeded", 400)
    if service == "s3":
        return AwsError("InternalError", "We encountered an internal error. Please try again.", 500)
    return AwsError("InternalFailure", "The request processing has failed. Try again.", 500)


def _json(document: Mapping[str, Any], status: int = 200) -> Response:
    return Response(status, {"content-type": "application/json"}, json.dumps(document).encode())
