"""The page as one part of the gateway: what is noted, what is answered, and the stream."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from localcloud.aws.routing import Request, Response, Scope
from localcloud.core.store import Collection
from localcloud.iam.calls import Calls
from localcloud.page.activity import Activity
from localcloud.page.changes import Changes
from localcloud.page.loadtests import LoadTests
from localcloud.page.overview import Overview
from localcloud.page.routes import Answer, PageRoutes
from localcloud.page.stream import Stream

if TYPE_CHECKING:
    from localcloud.edge.services import Services
    from localcloud.service_context import ServiceContext


log = logging.getLogger("localcloud.page")


class Page:
    """Watches the local cloud and shows it.

    Args:
        context: what services share; its records, events and calls are watched from now on.
        services: the services whose records are shown.
        deployed: the states of the stacks of `localcloud up`.
        answer: answers a request like that of any client.

    Attributes:
        changes: the numbers of the latest changes.
        stream: the browsers that listen.
    """

    def __init__(
        self,
        context: ServiceContext,
        services: Services,
        deployed: Collection[dict[str, Any]],
        answer: Answer,
    ) -> None:
        self.changes = changes = Changes()
        load_tests = LoadTests(context.database)
        self._activity = Activity(context.clock.now, lambda: changes.note("events"))
        overview = Overview(context, services, changes, self._activity, load_tests, deployed)
        self.stream = Stream(overview, changes)
        self._routes = PageRoutes(overview, load_tests, context.clock.now, answer)
        context.database.on_change = changes.record
        context.on_event = self._event
        context.iam.calls.on_call = self._call
        services.sagemaker.meter.on_flush = lambda: changes.note("metrics")

    async def handle(self, request: Request) -> Response | None:
        """Answer a route of the page; return None for any other request."""
        return await self._routes.handle(request)

    def answered(self, request: Request, response: Response, seconds: float) -> None:
        """Note a request that was answered, and what it may have changed."""
        try:
            if self._activity.call(request, response, seconds):
                self.changes.written(request.service)
        except Exception:  # it was answered, whatever it was
            log.exception("a request to %s could not be noted", request.service)

    def close(self) -> None:
        """End the streams."""
        self.stream.close()

    def _event(self, scope: Scope, source: str, kind: str, detail: dict[str, Any]) -> None:
        self._activity.event(scope, source, kind, detail)
        if source == "aws.cloudwatch":
            self.changes.note("alarms")

    def _call(self, call: Calls) -> None:
        self._activity.denied(call)
        if call.count == 1:  # a call that is made again changes a number only
            self.changes.note("permissions")
