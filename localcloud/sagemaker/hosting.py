"""The engine of endpoints: creation, update, scaling and replacement of their fleets.

An update starts a new fleet beside the old one, shifts the traffic step by step (`shifting.py`) and
then stops the old fleet, so that no request fails. If the new fleet does not become healthy, or an
alarm is raised during the shift, the endpoint stays on the old fleet.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-blue-green.html
Differs: health checks use wall-clock seconds, because real processes answer them.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from localcloud.aws.routing import scope_of_arn
from localcloud.core.clock import wall_sleep
from localcloud.core.store import Collection
from localcloud.sagemaker.capture import Capture
from localcloud.sagemaker.fleets import Fleet, FleetBuilder, FleetSet, HostingFailed
from localcloud.sagemaker.instance import Instance
from localcloud.sagemaker.model import (
    Endpoint,
    EndpointStatus,
    PendingUpdate,
    SimpleRecord,
    Variant,
)
from localcloud.sagemaker.rollback import watch_alarms
from localcloud.sagemaker.shifting import Shifting, shifting_of
from localcloud.service_context import ServiceContext

log = logging.getLogger("localcloud.sagemaker")

_WATCH_SECONDS = 0.5
# Consecutive health checks that an instance may miss before it is replaced.
_MISSED_PINGS = 3


@dataclass(slots=True)
class Deployment:
    """An update in progress: the new fleets, and their share of the traffic.

    Attributes:
        config: the DeploymentConfig; None shifts all traffic at once.
        capture: the DataCaptureConfig after the update.
        phase: `Creating`, `ActivatingTraffic` or `Baking`, the values of VariantStatus.
    """

    config_name: str
    variants: list[Variant]
    shadows: list[Variant]
    config: dict[str, Any] | None
    capture: dict[str, Any] | None
    started: datetime
    fleets: FleetSet = field(default_factory=FleetSet)
    share: float = 0.0
    phase: str = "Creating"


class HostingEngine:
    """Manages the processes behind every endpoint.

    Args:
        changed: called with an endpoint after each change of its status.
    """

    def __init__(
        self,
        context: ServiceContext,
        endpoints: Collection[Endpoint],
        configs: Collection[SimpleRecord],
        models: Collection[SimpleRecord],
        changed: Callable[[Endpoint], None],
    ) -> None:
        self._context = context
        self._endpoints = endpoints
        self._configs = configs
        self._changed = changed
        self._fleets: dict[str, FleetSet] = {}
        self._deployments: dict[str, Deployment] = {}
        self._captures: dict[str, Capture | None] = {}
        # The starts of instances by endpoint; the deletion of the endpoint cancels them.
        self._starts: dict[str, set[asyncio.Task[None]]] = {}
        self._replacing: set[int] = set()
        self._resuming: set[str] = set()
        self.builder = FleetBuilder(context, configs, models)

    def fleets(self, endpoint_arn: str) -> FleetSet:
        """Return the fleets for the next request: the new ones, according to their share."""
        deployment = self._deployments.get(endpoint_arn)
        if deployment is not None and random.random() < deployment.share:  # noqa: S311 - no cryptography
            return deployment.fleets
        return self._fleets.get(endpoint_arn, _NONE)

    def capture(self, endpoint_arn: str) -> Capture | None:
        """Return the data capture of an endpoint, or None."""
        return self._captures.get(endpoint_arn)

    def deployment(self, endpoint_arn: str) -> Deployment | None:
        """Return the update in progress, or None."""
        return self._deployments.get(endpoint_arn)

    def running(self, endpoint_arn: str, variant: str) -> Fleet | None:
        """Return the fleet of a production variant."""
        fleets = self._fleets.get(endpoint_arn, _NONE)
        return fleets.production.get(variant) or fleets.shadows.get(variant)

    def is_resuming(self, endpoint_arn: str) -> bool:
        """Return whether an endpoint was in service before a restart and is started again."""
        return endpoint_arn in self._resuming

    def serving(self) -> list[Fleet]:
        """Return the production fleets of every endpoint."""
        return [fleet for fleets in self._fleets.values() for fleet in fleets.production.values()]

    def resume(self) -> None:
        """Start every endpoint again, with the configuration that it had before a restart."""
        for endpoint in self._endpoints.values():
            if endpoint.status is EndpointStatus.DELETING:
                self._endpoints.delete(endpoint.arn)
            elif endpoint.status is not EndpointStatus.FAILED:
                if endpoint.status is not EndpointStatus.CREATING:
                    self._resuming.add(endpoint.arn)
                endpoint.status = EndpointStatus.CREATING
                self._endpoints.put(endpoint.arn, endpoint)
                self._context.spawn(f"resume {endpoint.name}", self._resume(endpoint))

    async def _resume(self, endpoint: Endpoint) -> None:
        """Start an endpoint again, and begin the update again that was in progress."""
        try:
            await self._create(endpoint)
        finally:
            self._resuming.discard(endpoint.arn)
        pending = endpoint.update
        if pending is None or endpoint.status is not EndpointStatus.IN_SERVICE:
            return
        deployment = Deployment(
            pending.config_name,
            pending.variants,
            pending.shadows,
            pending.config,
            pending.capture,
            self._context.clock.now(),
        )
        self.update(endpoint, deployment)

    def create(self, endpoint: Endpoint) -> None:
        """Start to create an endpoint, which is in Creating."""
        self._put(endpoint)
        self._context.spawn(f"create {endpoint.name}", self._create(endpoint))

    def update(self, endpoint: Endpoint, deployment: Deployment) -> None:
        """Start to update an in-service endpoint to another configuration."""
        endpoint.update = PendingUpdate(
            deployment.config_name,
            deployment.variants,
            deployment.shadows,
            deployment.config,
            deployment.capture,
        )
        self._move(endpoint, EndpointStatus.UPDATING)
        self._deployments[endpoint.arn] = deployment
        self._context.spawn(f"update {endpoint.name}", self._update(endpoint, deployment))

    def scale(self, endpoint: Endpoint) -> None:
        """Start to scale an in-service endpoint to the desired counts of its variants."""
        self._move(endpoint, EndpointStatus.UPDATING)
        self._context.spawn(f"scale {endpoint.name}", self._scale(endpoint))

    def delete(self, endpoint: Endpoint, forget: Callable[[], None]) -> None:
        """Start to delete an endpoint; `forget` is called after its instances ended."""
        self._move(endpoint, EndpointStatus.DELETING)
        self._context.spawn(f"delete {endpoint.name}", self._delete(endpoint, forget))

    async def watch(self) -> None:
        """Replace instances that died or that miss their health checks, until cancelled."""
        while True:
            await wall_sleep(_WATCH_SECONDS)
            for arn, fleets in list(self._fleets.items()):
                endpoint = self._endpoints.get(arn)
                if endpoint is not None and endpoint.status is EndpointStatus.IN_SERVICE:
                    for fleet in fleets.all():
                        # Not awaited: one endpoint that hangs must not stop the others' checks.
                        if id(fleet) not in self._replacing:
                            self._replacing.add(id(fleet))
                            work = self._replace_unhealthy(endpoint, fleet)
                            self._context.spawn(f"watch {endpoint.name}", work)

    async def _replace_unhealthy(self, endpoint: Endpoint, fleet: Fleet) -> None:
        try:
            await self._check_health(endpoint, fleet)
        finally:
            self._replacing.discard(id(fleet))

    async def _check_health(self, endpoint: Endpoint, fleet: Fleet) -> None:
        async def check(instance: Instance) -> None:
            healthy = instance.alive and await instance.ping()
            instance.missed_pings = 0 if healthy else instance.missed_pings + 1

        await asyncio.gather(*(check(instance) for instance in fleet.instances))
        bad = [i for i in fleet.instances if not i.alive or i.missed_pings >= _MISSED_PINGS]
        if not bad:
            return
        fleet.instances = [instance for instance in fleet.instances if instance not in bad]
        log.warning("%s: replacing %d unhealthy instances", endpoint.name, len(bad))
        for instance in bad:
            instance.child.kill()
        try:
            await self._grow(endpoint, fleet)
        except HostingFailed as error:
            log.error("%s: %s", endpoint.name, error)

    async def _grow(self, endpoint: Endpoint, fleet: Fleet) -> None:
        """Scale a running fleet to its desired count, unless it is deleted meanwhile."""
        work = self.builder.grow(scope_of_arn(endpoint.arn), _log_group(endpoint), fleet)
        try:
            await self._started(endpoint, work)
        finally:
            if self.running(endpoint.arn, fleet.variant.name) is not fleet:
                await asyncio.gather(*(instance.retire() for instance in fleet.instances))

    async def _started(self, endpoint: Endpoint, work: Coroutine[Any, Any, None]) -> None:
        """Wait for the start of instances.

        Raises:
            HostingFailed: they did not start, or the endpoint was deleted meanwhile.
        """
        task = asyncio.create_task(work)
        tasks = self._starts.setdefault(endpoint.arn, set())
        tasks.add(task)
        try:
            await task
        except asyncio.CancelledError:
            if endpoint.deleting and task.cancelled():
                raise HostingFailed("the endpoint was deleted") from None
            raise
        finally:
            tasks.discard(task)

    async def _create(self, endpoint: Endpoint) -> None:
        fleets = FleetSet()
        variants = [*endpoint.variants, *endpoint.shadows]
        work = self.builder.build(endpoint, endpoint.config_name, variants, fleets)
        try:
            await self._started(endpoint, work)
        except HostingFailed as error:
            await fleets.retire()
            if endpoint.status is EndpointStatus.CREATING:
                endpoint.failure_reason = str(error)
                self._move(endpoint, EndpointStatus.FAILED)
            return
        if endpoint.status is not EndpointStatus.CREATING:  # it was deleted meanwhile
            await fleets.retire()
            return
        self._fleets[endpoint.arn] = fleets
        self._capture(endpoint, fleets)
        self._move(endpoint, EndpointStatus.IN_SERVICE)

    async def _update(self, endpoint: Endpoint, deployment: Deployment) -> None:
        try:
            await self._deploy(endpoint, deployment)
        finally:
            self._end(endpoint, deployment)

    def _end(self, endpoint: Endpoint, deployment: Deployment) -> None:
        """Forget a deployment, unless another one has started since."""
        if self._deployments.get(endpoint.arn) is deployment:
            del self._deployments[endpoint.arn]

    async def _deploy(self, endpoint: Endpoint, deployment: Deployment) -> None:
        fleets = deployment.fleets
        variants = [*deployment.variants, *deployment.shadows]
        work = self.builder.build(endpoint, deployment.config_name, variants, fleets)
        try:
            await self._started(endpoint, work)
        except HostingFailed as error:
            await fleets.retire()
            if endpoint.status is EndpointStatus.UPDATING:
                self._in_service(endpoint, str(error))
            return
        shifting = shifting_of(deployment.config, fleets.instances())
        tripped = await self._shift(endpoint, deployment, shifting)
        if tripped and endpoint.status is EndpointStatus.UPDATING:
            await self._roll_back(endpoint, deployment, tripped)
            return
        if endpoint.status is not EndpointStatus.UPDATING:
            self._end(endpoint, deployment)
            await fleets.retire()
            return
        old = self._fleets.get(endpoint.arn, _NONE)
        self._fleets[endpoint.arn] = fleets
        self._end(endpoint, deployment)
        endpoint.config_name = deployment.config_name
        endpoint.variants, endpoint.shadows = deployment.variants, deployment.shadows
        endpoint.data_capture = deployment.capture
        self._capture(endpoint, fleets)
        self._in_service(endpoint, None)
        await old.retire()

    async def _shift(
        self, endpoint: Endpoint, deployment: Deployment, shifting: Shifting
    ) -> list[str]:
        """Shift the traffic step by step; return the alarms that were raised meanwhile."""
        scope = scope_of_arn(endpoint.arn)

        def wanted() -> bool:
            return endpoint.status is EndpointStatus.UPDATING

        deployment.phase = "ActivatingTraffic"
        for step in shifting.steps:
            deployment.share = step.share
            deployment.phase = "Baking"
            tripped = await watch_alarms(
                self._context, scope, shifting.alarms, step.bake_clock_seconds, wanted
            )
            if tripped or not wanted():
                return tripped
        await watch_alarms(self._context, scope, (), shifting.termination_clock_seconds, wanted)
        return []

    async def _roll_back(
        self, endpoint: Endpoint, deployment: Deployment, tripped: list[str]
    ) -> None:
        self._end(endpoint, deployment)
        endpoint.update = None  # a restart stays on the old configuration
        self._move(endpoint, EndpointStatus.ROLLING_BACK)
        await deployment.fleets.retire()
        if endpoint.status is EndpointStatus.ROLLING_BACK:
            self._in_service(
                endpoint,
                f"Deployment was rolled back: the alarm(s) {', '.join(tripped)} went into ALARM "
                "while traffic shifted.",
            )

    def _in_service(self, endpoint: Endpoint, failure_reason: str | None) -> None:
        """End an update or a change of capacity; a reason means that it failed."""
        endpoint.failure_reason, endpoint.update = failure_reason, None
        self._move(endpoint, EndpointStatus.IN_SERVICE)

    def _move(self, endpoint: Endpoint, status: EndpointStatus) -> None:
        endpoint.move(status, self._context.clock.now())
        self._put(endpoint)

    def _put(self, endpoint: Endpoint) -> None:
        self._endpoints.put(endpoint.arn, endpoint)
        self._changed(endpoint)

    def _capture(self, endpoint: Endpoint, fleets: FleetSet) -> None:
        role = next((fleet.role_arn for fleet in fleets.production.values()), "")
        self._captures[endpoint.arn] = Capture.of(endpoint.data_capture, role)

    async def _scale(self, endpoint: Endpoint) -> None:
        surplus: list[Instance] = []
        reason: str | None = None
        for variant in [*endpoint.variants, *endpoint.shadows]:
            fleet = self.running(endpoint.arn, variant.name)
            if fleet is None:
                continue
            fleet.variant = variant
            try:
                await self._grow(endpoint, fleet)
            except HostingFailed as error:
                reason = str(error)
                variant.desired = len(fleet.instances)
            surplus += fleet.instances[variant.desired :]
            fleet.instances = fleet.instances[: variant.desired]
        if endpoint.status is EndpointStatus.UPDATING:
            self._in_service(endpoint, reason)
        await asyncio.gather(*(instance.retire() for instance in surplus))

    async def _delete(self, endpoint: Endpoint, forget: Callable[[], None]) -> None:
        self._captures.pop(endpoint.arn, None)
        for task in self._starts.pop(endpoint.arn, set()):
            task.cancel()
        await self._fleets.pop(endpoint.arn, _NONE).retire()
        forget()


_NONE = FleetSet()


def _log_group(endpoint: Endpoint) -> str:
    return f"/aws/sagemaker/Endpoints/{endpoint.name}"
