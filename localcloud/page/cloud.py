"""The section `cloud`: account, region, time and version, and everything that is unhealthy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcloud import __version__
from localcloud.aws.routing import Scope
from localcloud.sagemaker.model import EndpointStatus

if TYPE_CHECKING:
    from localcloud.edge.services import Services
    from localcloud.service_context import ServiceContext

_MOST_PROBLEMS = 20


def cloud(context: ServiceContext, services: Services, scope: Scope) -> dict[str, Any]:
    """Return who and where this local cloud is, its time, and its problems in sentences."""
    problems = [*_of_storage(context), *_of_endpoints(services, scope)]
    return {
        "account": scope.account,
        "region": scope.region,
        "address": context.endpoint_url,
        "version": __version__,
        "now": context.clock.now(),
        "speed": context.clock.speed,
        "iam": context.iam.mode.value,
        "unhealthy": {"count": len(problems), "items": problems[:_MOST_PROBLEMS]},
    }


def _of_storage(context: ServiceContext) -> list[str]:
    found = []
    if context.database.postponed:
        found.append("The disk of the state directory is full: changes are refused.")
    if context.database.set_aside:
        found.append(
            f"{context.database.set_aside} records could not be read at the start and were set "
            "aside; the log names them."
        )
    if context.moto.overdue:
        found.append(f"moto{context.moto.busy()}; every other call to it waits.")
    return found


def _of_endpoints(services: Services, scope: Scope) -> list[str]:
    prefix = scope.arn("sagemaker", "endpoint/")
    return [
        f"Endpoint {one.name} is {one.status.value}: {one.failure_reason}"
        for one in services.sagemaker.hosting.endpoints.values()
        if one.arn.startswith(prefix)
        and (one.status is EndpointStatus.FAILED or one.failure_reason)
    ]
