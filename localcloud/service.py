"""The interface between the local cloud and one of its services.

Each service's folder has a `service.py` with one class of this kind, and `edge/services.py` lists
the classes. From that list the gateway takes the operations that it answers, the background work
that it starts, the work that it resumes after a restart and the order of the shutdown.
docs/operations.md is written from it, too.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterator, Mapping
from typing import Any, ClassVar, Protocol

from localcloud.aws.routing import Request, Response
from localcloud.core.child_process import Child


class Service(Protocol):
    """One AWS service of the local cloud. Each member has a default for services that lack it.

    Attributes:
        API_CLASSES: botocore's name of a service → the classes whose methods are marked with
            `@operation`. A request that names one of these operations goes to that method.
        OPERATIONS_BY_PATH: botocore's name of a service → operations that `handle` answers by
            their path, before a request is parsed.
    """

    API_CLASSES: ClassVar[Mapping[str, tuple[type, ...]]] = {}
    OPERATIONS_BY_PATH: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    def apis(self) -> tuple[object, ...]:
        """Return an instance of each class in API_CLASSES, in the same order."""
        return ()

    async def handle(self, request: Request) -> Response | None:
        """Answer a request by its path; return None to pass it on."""
        del request
        return None

    def background(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        """Yield coroutines that run until the local cloud stops, each with a name for the log."""
        yield from ()

    def resume(self) -> None:
        """Continue what a restart interrupted. Called once, after the background work began."""
        return

    def children(self) -> list[Child]:
        """Return the child processes that work on a job, a build or an event."""
        return []

    async def close(self) -> None:
        """End what the service started itself; the context ends tasks and child processes."""
        return
