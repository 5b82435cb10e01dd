"""EventBridge as one service: patterns, delivery and schedules; moto keeps the rules."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from localcloud.eventbridge.api import EventBridgeApi
from localcloud.eventbridge.delivery import EventDelivery
from localcloud.eventbridge.scheduled_rules import ScheduledRules
from localcloud.service import Service
from localcloud.service_context import ServiceContext

if TYPE_CHECKING:
    from localcloud.codepipeline.api import CodePipelineApi
    from localcloud.lambda_.service import LambdaService


class EventBridgeService(Service):
    """Delivers the events that rules match, and fires the rules that are due.

    Args:
        context: what services share.
        pipelines: starts the pipelines that are targets.
        functions: invokes the functions that are targets.
    """

    API_CLASSES: ClassVar = {"events": (EventBridgeApi,)}

    def __init__(
        self, context: ServiceContext, pipelines: CodePipelineApi, functions: LambdaService
    ) -> None:
        self.delivery = EventDelivery(context, pipelines, functions)
        self._api = EventBridgeApi(context)
        self._schedules = ScheduledRules(context, self.delivery.deliver)

    def apis(self) -> tuple[object, ...]:
        """Return the API of `events`."""
        return (self._api,)

    def background(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        """Yield the loop of the scheduled rules."""
        yield "schedules", self._schedules.run()
