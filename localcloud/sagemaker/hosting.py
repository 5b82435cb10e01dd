"""Endpoints: fleets of instances, their creation, update, scaling and replacement.

An update is a new fleet beside the old one, then the traffic, then the end of the old one, so that
no request fails. A fleet that does not become healthy leaves the endpoint on its old one.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-blue-green.html
Differs: traffic shifts all at once whatever DeploymentConfig says; health checks are in wall
seconds, as real processes answer them.
"""

from __future__ import annotations

import asyncio
import io
import logging
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from localcloud.clock import wall_sleep
from localcloud.cloud import Cloud
from localcloud.images import Image
from localcloud.routing import Scope, scope_of_arn
from localcloud.sagemaker.instance import Instance, InstanceFailed, launch
from localcloud.sagemaker.model import Endpoint, EndpointStatus, SimpleRecord, Variant
from localcloud.sagemaker.training import TrainingFailed, publish_metrics, resolve_image
from localcloud.store import Collection

log = logging.getLogger("localcloud.sagemaker")

_HEALTH_SECONDS = 480.0
_WATCH_SECONDS = 0.5
# Health checks that an instance may miss in a row before it is replaced.
_MISSED_PINGS = 3
# How many servers may be starting at once: more only fight for the same cores.
_STARTING_AT_ONCE = 2


class HostingFailed(Exception):
    """A fleet could not be made; the message is the endpoint's FailureReason."""


@dataclass(slots=True)
class Fleet:
    """The running instances of one variant, and what a further one needs."""

    variant: Variant
    image: Image
    base_dir: Path
    environment: dict[str, str]
    role_arn: str
    instances: list[Instance] = field(default_factory=list)


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
        self._models = models
        self._fleets: dict[str, dict[str, Fleet]] = {}
        self._starting = asyncio.Semaphore(_STARTING_AT_ONCE)
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
        """Return the fleets that take traffic, by variant."""
        return self._fleets.get(endpoint_arn, {})

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

    def update(self, endpoint: Endpoint, config_name: str, variants: list[Variant]) -> None:
        """Begin to move an endpoint that is in Updating to another configuration."""
        self._cloud.spawn(f"update {endpoint.name}", self._update(endpoint, config_name, variants))

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
            await self._grow(scope_of_arn(endpoint.arn), endpoint, fleet)
        except HostingFailed as error:
            log.error("%s: %s", endpoint.name, error)

    async def _create(self, endpoint: Endpoint) -> None:
        fleets: dict[str, Fleet] = {}
        try:
            await self._build(endpoint, endpoint.config_name, endpoint.variants, fleets)
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
        endpoint.move(EndpointStatus.IN_SERVICE, self._cloud.clock.now())
        self._endpoints.put(endpoint.arn, endpoint)

    async def _update(self, endpoint: Endpoint, config_name: str, variants: list[Variant]) -> None:
        fleets: dict[str, Fleet] = {}
        try:
            await self._build(endpoint, config_name, variants, fleets)
        except HostingFailed as error:
            await self._retire_all(fleets)
            if endpoint.status is EndpointStatus.UPDATING:
                endpoint.failure_reason = str(error)
                endpoint.move(EndpointStatus.IN_SERVICE, self._cloud.clock.now())
                self._endpoints.put(endpoint.arn, endpoint)
            return
        if endpoint.status is not EndpointStatus.UPDATING:
            await self._retire_all(fleets)
            return
        old = self._fleets.get(endpoint.arn, {})
        self._fleets[endpoint.arn] = fleets
        endpoint.config_name = config_name
        endpoint.variants = variants
        endpoint.failure_reason = None
        endpoint.move(EndpointStatus.IN_SERVICE, self._cloud.clock.now())
        self._endpoints.put(endpoint.arn, endpoint)
        await self._retire_all(old)

    async def _scale(self, endpoint: Endpoint) -> None:
        scope = scope_of_arn(endpoint.arn)
        surplus: list[Instance] = []
        reason: str | None = None
        for variant in endpoint.variants:
            fleet = self._fleets[endpoint.arn][variant.name]
            fleet.variant = variant
            try:
                await self._grow(scope, endpoint, fleet)
            except HostingFailed as error:
                reason = str(error)
                variant.desired = len(fleet.instances)
            surplus += fleet.instances[variant.desired :]
            fleet.instances = fleet.instances[: variant.desired]
        if endpoint.status is EndpointStatus.UPDATING:
            endpoint.failure_reason = reason
            endpoint.move(EndpointStatus.IN_SERVICE, self._cloud.clock.now())
            self._endpoints.put(endpoint.arn, endpoint)
        await asyncio.gather(*(instance.retire() for instance in surplus))

    async def _delete(self, endpoint: Endpoint, forget: Callable[[], None]) -> None:
        await self._retire_all(self._fleets.pop(endpoint.arn, {}))
        forget()

    async def _retire_all(self, fleets: dict[str, Fleet]) -> None:
        await asyncio.gather(
            *(instance.retire() for fleet in fleets.values() for instance in fleet.instances)
        )

    async def _build(
        self,
        endpoint: Endpoint,
        config_name: str,
        variants: list[Variant],
        fleets: dict[str, Fleet],
    ) -> None:
        """Fill `fleets` with healthy instances of every variant of a configuration."""
        scope = scope_of_arn(endpoint.arn)
        config = self._configs.get(scope.arn("sagemaker", f"endpoint-config/{config_name}".lower()))
        if config is None:
            raise HostingFailed(f"the endpoint configuration {config_name} no longer exists")
        for production in config.request["ProductionVariants"]:
            variant = next(v for v in variants if v.name == production["VariantName"])
            fleet = await self._fleet(scope, production, variant)
            fleets[variant.name] = fleet
            timeout = production.get("ContainerStartupHealthCheckTimeoutInSeconds", _HEALTH_SECONDS)
            await self._grow(scope, endpoint, fleet, timeout)

    async def _fleet(self, scope: Scope, production: dict[str, Any], variant: Variant) -> Fleet:
        model_name = production["ModelName"]
        model = self._models.get(scope.arn("sagemaker", f"model/{model_name}".lower()))
        if model is None:
            raise HostingFailed(f"the model {model_name} no longer exists")
        container = model.request.get("PrimaryContainer") or model.request["Containers"][0]
        role = model.request.get("ExecutionRoleArn", "")
        base_dir = self._cloud.directory / "models" / f"{scope.region}-{model_name}"
        try:
            image = await resolve_image(self._cloud, container["Image"], role)
            await asyncio.to_thread(
                self._extract, scope, role, container.get("ModelDataUrl"), base_dir / "model"
            )
        except TrainingFailed as error:
            raise HostingFailed(str(error)) from None
        return Fleet(variant, image, base_dir, dict(container.get("Environment", {})), role)

    def _extract(self, scope: Scope, role_arn: str, url: str | None, target: Path) -> None:
        """Download and unpack model.tar.gz once (blocking)."""
        if target.exists():
            return
        staging = target.with_suffix(".partial")
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        if url:
            bucket, _, key = url.removeprefix("s3://").partition("/")
            s3 = self._cloud.client("s3", scope, role_arn)
            try:
                body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
                with tarfile.open(fileobj=io.BytesIO(body)) as archive:
                    archive.extractall(staging, filter="data")
            except (s3.exceptions.ClientError, tarfile.TarError) as error:
                raise HostingFailed(f"Failed to download model data from {url}: {error}") from None
        staging.rename(target)

    async def _grow(
        self, scope: Scope, endpoint: Endpoint, fleet: Fleet, limit_seconds: float = _HEALTH_SECONDS
    ) -> None:
        """Add healthy instances until the fleet has its desired count; each serves at once."""
        missing = fleet.variant.desired - len(fleet.instances)
        outcomes = await asyncio.gather(
            *(self._start_one(scope, endpoint, fleet, limit_seconds) for _ in range(missing)),
            return_exceptions=True,
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise HostingFailed(
                    "The primary container for production variant "
                    f"{fleet.variant.name} did not pass the ping health check. "
                    f"Please check CloudWatch logs for this endpoint. ({outcome})"
                )

    async def _start_one(
        self, scope: Scope, endpoint: Endpoint, fleet: Fleet, limit_seconds: float
    ) -> None:
        group = f"/aws/sagemaker/Endpoints/{endpoint.name}"
        async with self._starting:
            number = [0]
            instance = await launch(
                self._cloud.runner,
                fleet.image,
                fleet.environment,
                fleet.base_dir,
                lambda line: self._cloud.logs.write(
                    scope,
                    group,
                    f"{fleet.variant.name}/i-{number[0]:017x}",
                    line,
                    fleet.role_arn,
                ),
            )
            number[0] = instance.number
            try:
                await instance.wait_healthy(self.http, limit_seconds)
            except InstanceFailed:
                await instance.retire()
                raise
        await publish_metrics(self._cloud, fleet.role_arn, "/aws/sagemaker/Endpoints")
        fleet.instances.append(instance)
