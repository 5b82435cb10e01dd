"""Application Auto Scaling as one service: targets, policies and scheduled actions."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from typing import Any, ClassVar

from localcloud.autoscaling.api import AutoScalingApi
from localcloud.autoscaling.policies_api import PoliciesApi
from localcloud.autoscaling.scheduled_api import ScheduledActionsApi
from localcloud.service import Service
from localcloud.service_context import ServiceContext


class AutoScalingService(Service):
    """Scales endpoint variants by policies and by schedule."""

    API_CLASSES: ClassVar = {
        "application-autoscaling": (AutoScalingApi, PoliciesApi, ScheduledActionsApi)
    }

    def __init__(self, context: ServiceContext) -> None:
        self.targets = AutoScalingApi(context)
        self._policies = PoliciesApi(context, self.targets)
        self._scheduled = ScheduledActionsApi(context, self.targets)

    def apis(self) -> tuple[object, ...]:
        """Return the APIs of `application-autoscaling`."""
        return (self.targets, self._policies, self._scheduled)

    def background(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        """Yield the loop of the scheduled actions."""
        yield "scheduled scaling", self._scheduled.run()
