"""Endpoints: fleets of instances, their creation, update, scaling and replacement.

An update is a new fleet beside the old one, then the traffic, step by step (shifting.py), then the
end of the old one, so that no request fails. A fleet that does not become healthy, or an alarm
while traffic shifts, leaves the endpoint on its old one.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-blue-green.html
Differs: health checks are in wall seconds, as real processes answer them.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import aiohttp

from localcloud.clock import wall_sleep
from localcloud.cloud import Cloud
from localcloud.passive import backend
from localcloud.routing import Scope, scope_of_arn
from localcloud.sagemaker.capture import Capture
from localcloud.sagemaker.fleets import Fleet, FleetBuilder, HostingFailed, config_of
from localcloud.sagemaker.instance import Instance
from localcloud.sagemaker.model import Endpoint, EndpointStatus, SimpleRecord, Variant
from localcloud.sagemaker.shifting import Shifting, shifting_of
from localcloud.store import Collection

log = logging.getLogger("localcloud.sagemaker")

_WATCH_SECONDS = 0.5
# Health checks that an instance may miss in a row before it is replaced.
_MISSED_PINGS = 3
_ALARM_CLOCK_SECONDS = 5.0


@dataclass(slots=True)
class Shift:
    """An update under way: the new fleets, and the share of the traffic that they get."""

    fleets: dict[str, Fleet]
    share: float = 0.0


class HostingEngine:
    """Owns the processes behind every endpoint."""

    def __init__(
        self,
        cloud: Cloud,
        endpoints: Collection[Endpoint],
        configs: Collection[SimpleRecord],
        models: Collection[SimpleRecord],
    ) -> None:
        self._cloud = cloud
        self._endpoints = endpoints
        self._configs = configs
        self._fleets: dict[str, dict[str, Fleet]] = {}
        self._shifts: dict[str, Shift] = {}
        self._captures: dict[str, Capture | None] = {}
        self._builder = FleetBuilder(cloud, configs, models, lambda: self.http)
        self._http: aiohttp.ClientSession | None = None

    @property
    def http(self) -> aiohttp.ClientSession:
        """Return the pooled client to the instances."""
        if self._http is None:
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30)
            self._http = aiohttp.ClientSession(
                connector=connector,
                auto_decompress=False,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
            )
        return self._http

    async def close(self) -> None:
        """Close the client."""
        if self._http is not None:
            await self._http.close()

    def fleets(self, endpoint_arn: str) -> dict[str, Fleet]:
        """Return the fleets that take the next request, by variant: the new ones by their share."""
        shift = self._shifts.get(endpoint_arn)
        if shift is not None and random.random() < shift.share:  # noqa: S311 - no cryptography
            return shift.fleets
        return self._fleets.get(endpoint_arn, {})

    def capture(self, endpoint_arn: str) -> Capture | None:
        """Return what is captured of an endpoint's requests, None for nothing."""
        return self._captures.get(endpoint_arn)

    def current_count(self, endpoint_arn: str, variant: str) -> int:
        """Return how many instances of a variant take traffic."""
        fleet = self._fleets.get(endpoint_arn, {}).get(variant)
        return len(fleet.instances) if fleet is not None else 0

    def resume(self) -> None:
        """After a restart: bring every endpoint back on the configuration it had."""
        for endpoint in self._endpoints.values():
            if endpoint.status is EndpointStatus.DELETING:
                self._endpoints.delete(endpoint.arn)
            elif endpoint.status is not EndpointStatus.FAILED:
                endpoint.status = EndpointStatus.CREATING
                self._endpoints.put(endpoint.arn, endpoint)
                self._cloud.spawn(f"resume {endpoint.name}", self._create(endpoint))

    def create(self, endpoint: Endpoint) -> None:
        """Begin to create an endpoint that is in Creating."""
        self._cloud.spawn(f"create {endpoint.name}", self._create(endpoint))

    def update(
        self,
        endpoint: Endpoint,
        config_name: str,
        variants: list[Variant],
        deployment: dict[str, Any] | None,
    ) -> None:
        """Begin to move an endpoint that is in Updating to another configuration."""
        self._cloud.spawn(
            f"update {endpoint.name}", self._update(endpoint, config_name, variants, deployment)
        )

    def scale(self, endpoint: Endpoint) -> None:
        """Begin to bring an endpoint that is in Updating to its variants' desired counts."""
        self._cloud.spawn(f"scale {endpoint.name}", self._scale(endpoint))

    def delete(self, endpoint: Endpoint, forget: Callable[[], None]) -> None:
        """Begin to delete an endpoint; `forget` is called when its instances are gone."""
        self._cloud.spawn(f"delete {endpoint.name}", self._delete(endpoint, forget))

    async def watch(self) -> None:
        """For ever: replace instances whose process died or that miss their health checks."""
        while True:
            await wall_sleep(_WATCH_SECONDS)
            for arn, fleets in list(self._fleets.items()):
                endpoint = self._endpoints.get(arn)
                if endpoint is not None and endpoint.status is EndpointStatus.IN_SERVICE:
                    for fleet in fleets.values():
                        await self._replace_unhealthy(endpoint, fleet)

    async def _replace_unhealthy(self, endpoint: Endpoint, fleet: Fleet) -> None:
        async def check(instance: Instance) -> None:
            healthy = instance.alive and await instance.ping(self.http)
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
            await self._builder.grow(scope_of_arn(endpoint.arn), endpoint, fleet)
        except HostingFailed as error:
            log.error("%s: %s", endpoint.name, error)

    async def _create(self, endpoint: Endpoint) -> None:
        fleets: dict[str, Fleet] = {}
        try:
            await self._builder.build(endpoint, endpoint.config_name, endpoint.variants, fleets)
        except HostingFailed as error:
            await self._retire_all(fleets)
            if endpoint.status is EndpointStatus.CREATING:
                endpoint.failure_reason = str(error)
                endpoint.move(EndpointStatus.FAILED, self._cloud.clock.now())
                self._endpoints.put(endpoint.arn, endpoint)
            return
        if endpoint.status is not EndpointStatus.CREATING:  # deleted meanwhile
            await self._retire_all(fleets)
            return
        self._fleets[endpoint.arn] = fleets
        self._captures[endpoint.arn] = self._capture_of(endpoint, endpoint.config_name, fleets)
        endpoint.move(EndpointStatus.IN_SERVICE, self._cloud.clock.now())
        self._endpoints.put(endpoint.arn, endpoint)

    async def _update(
        self,
        endpoint: Endpoint,
        config_name: str,
        variants: list[Variant],
        deployment: dict[str, Any] | None,
    ) -> None:
        fleets: dict[str, Fleet] = {}
        try:
            await self._builder.build(endpoint, config_name, variants, fleets)
        except HostingFailed as error:
            await self._retire_all(fleets)
            if endpoint.status is EndpointStatus.UPDATING:
                self._in_service(endpoint, str(error))
            return
        instances = sum(len(fleet.instances) for fleet in fleets.values())
        shifting = shifting_of(deployment, instances)
        tripped = await self._shift(endpoint, fleets, shifting)
        if tripped and endpoint.status is EndpointStatus.UPDATING:
            await self._roll_back(endpoint, fleets, tripped)
            return
        if endpoint.status is not EndpointStatus.UPDATING:
            self._shifts.pop(endpoint.arn, None)
            await self._retire_all(fleets)
            return
        old = self._fleets.get(endpoint.arn, {})
        self._fleets[endpoint.arn] = fleets
        self._captures[endpoint.arn] = self._capture_of(endpoint, config_name, fleets)
        self._shifts.pop(endpoint.arn, None)
        endpoint.config_name = config_name
        endpoint.variants = variants
        self._in_service(endpoint, None)
        await self._retire_all(old)

    async def _shift(
        self, endpoint: Endpoint, fleets: dict[str, Fleet], shifting: Shifting
    ) -> list[str]:
        """Move the traffic step by step; return the alarms that tripped meanwhile."""
        shift = self._shifts[endpoint.arn] = Shift(fleets)
        for step in shifting.steps:
            shift.share = step.share
            tripped = await self._watch_alarms(endpoint, shifting.alarms, step.bake_clock_seconds)
            if tripped or endpoint.status is not EndpointStatus.UPDATING:
                return tripped
        await self._watch_alarms(endpoint, (), shifting.termination_clock_seconds)
        return []

    async def _watch_alarms(
        self, endpoint: Endpoint, alarms: tuple[str, ...], clock_seconds: float
    ) -> list[str]:
        """Wait, and look at alarms meanwhile; return those that are in ALARM, at once."""
        clock = self._cloud.clock
        until = clock.now() + timedelta(seconds=clock_seconds)
        while endpoint.status is EndpointStatus.UPDATING:
            if alarms:
                scope = scope_of_arn(endpoint.arn)
                tripped = await self._cloud.passive.call(_in_alarm, scope, alarms)
                if tripped:
                    return tripped
            left = (until - clock.now()).total_seconds()
            if left <= 0:
                break
            await clock.sleep(min(left, _ALARM_CLOCK_SECONDS))
        return []

    async def _roll_back(
        self, endpoint: Endpoint, fleets: dict[str, Fleet], tripped: list[str]
    ) -> None:
        self._shifts.pop(endpoint.arn, None)
        endpoint.move(EndpointStatus.ROLLING_BACK, self._cloud.clock.now())
        self._endpoints.put(endpoint.arn, endpoint)
        await self._retire_all(fleets)
        if endpoint.status is EndpointStatus.ROLLING_BACK:
            self._in_service(
                endpoint,
                f"Deployment was rolled back: the alarm(s) {', '.join(tripped)} went into ALARM "
                "while traffic shifted.",
            )

    def _in_service(self, endpoint: Endpoint, failure_reason: str | None) -> None:
        """End an update or a change of capacity; a reason says why it is not what was asked for."""
        endpoint.failure_reason = failure_reason
        endpoint.move(EndpointStatus.IN_SERVICE, self._cloud.clock.now())
        self._endpoints.put(endpoint.arn, endpoint)

    def _capture_of(
        self, endpoint: Endpoint, config_name: str, fleets: dict[str, Fleet]
    ) -> Capture | None:
        scope = scope_of_arn(endpoint.arn)
        config = config_of(self._configs, scope, config_name)
        role = next((fleet.role_arn for fleet in fleets.values()), "")
        return Capture.of(config.request.get("DataCaptureConfig"), role) if config else None

    async def _scale(self, endpoint: Endpoint) -> None:
        scope = scope_of_arn(endpoint.arn)
        surplus: list[Instance] = []
        reason: str | None = None
        for variant in endpoint.variants:
            fleet = self._fleets[endpoint.arn][variant.name]
            fleet.variant = variant
            try:
                await self._builder.grow(scope, endpoint, fleet)
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
        await self._retire_all(self._fleets.pop(endpoint.arn, {}))
        forget()

    async def _retire_all(self, fleets: dict[str, Fleet]) -> None:
        await asyncio.gather(
            *(instance.retire() for fleet in fleets.values() for instance in fleet.instances)
        )


def _in_alarm(scope: Scope, names: tuple[str, ...]) -> list[str]:
    alarms = backend("cloudwatch", scope).alarms
    return [n for n in names if n in alarms and alarms[n].state_value == "ALARM"]
