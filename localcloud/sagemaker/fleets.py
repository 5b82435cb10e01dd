"""Fleets: the processes of one variant, from a model's image and artifact.

Owns how instances are made. Must not: know an endpoint's status, or its traffic.
"""

from __future__ import annotations

import asyncio
import io
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from localcloud.cloud import Cloud
from localcloud.images import Image
from localcloud.routing import Scope, scope_of_arn
from localcloud.sagemaker.instance import Instance, InstanceFailed, launch
from localcloud.sagemaker.model import Endpoint, SimpleRecord, Variant
from localcloud.sagemaker.training import TrainingFailed, publish_metrics, resolve_image
from localcloud.store import Collection

_HEALTH_SECONDS = 480.0
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


def config_of(configs: Collection[SimpleRecord], scope: Scope, name: str) -> SimpleRecord | None:
    """Return an endpoint configuration by its name, None when there is none."""
    return configs.get(scope.arn("sagemaker", f"endpoint-config/{name}".lower()))


class FleetBuilder:
    """Starts instances.

    Args:
        http: gives the client that health checks go by.
    """

    def __init__(
        self,
        cloud: Cloud,
        configs: Collection[SimpleRecord],
        models: Collection[SimpleRecord],
        http: Callable[[], aiohttp.ClientSession],
    ) -> None:
        self._cloud = cloud
        self._configs = configs
        self._models = models
        self._http = http
        self._starting = asyncio.Semaphore(_STARTING_AT_ONCE)

    async def build(
        self,
        endpoint: Endpoint,
        config_name: str,
        variants: list[Variant],
        fleets: dict[str, Fleet],
    ) -> None:
        """Fill `fleets` with healthy instances of every variant of a configuration."""
        scope = scope_of_arn(endpoint.arn)
        config = config_of(self._configs, scope, config_name)
        if config is None:
            raise HostingFailed(f"the endpoint configuration {config_name} no longer exists")
        for production in config.request["ProductionVariants"]:
            variant = next(v for v in variants if v.name == production["VariantName"])
            fleet = await self._fleet(scope, production, variant)
            fleets[variant.name] = fleet
            timeout = production.get("ContainerStartupHealthCheckTimeoutInSeconds", _HEALTH_SECONDS)
            await self.grow(scope, endpoint, fleet, timeout)

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

    async def grow(
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
                await instance.wait_healthy(self._http(), limit_seconds)
            except InstanceFailed:
                await instance.retire()
                raise
        await publish_metrics(self._cloud, fleet.role_arn, "/aws/sagemaker/Endpoints")
        fleet.instances.append(instance)
