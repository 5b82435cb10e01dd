"""IAM as a service: the policy simulator; moto keeps roles and policies."""

from __future__ import annotations

from typing import ClassVar

from localcloud.iam.simulation_api import SimulationApi
from localcloud.service import Service
from localcloud.service_context import ServiceContext


class IamService(Service):
    """Answers what this project's own evaluation of policies can answer."""

    API_CLASSES: ClassVar = {"iam": (SimulationApi,)}

    def __init__(self, context: ServiceContext) -> None:
        self._simulation = SimulationApi(context)

    def apis(self) -> tuple[object, ...]:
        """Return the API of `iam`."""
        return (self._simulation,)
