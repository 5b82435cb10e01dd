"""Fleets: the server processes of a variant, started from a model's image and artifact.

Must not: know an endpoint's status, or its traffic.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.aws.errors import AccessDenied
from localcloud.aws.routing import Scope, scope_of_arn
from localcloud.core.archives import ArchiveError, Bounds, untar
from localcloud.core.image_store import Image
from localcloud.core.store import Collection
from localcloud.iam.encryption import volume_permissions
from localcloud.sagemaker.containers import (
    JobFailed,
    check_architecture,
    container_environment,
    publish_metrics,
    resolve_image,
)
from localcloud.sagemaker.instance import Instance, InstanceFailed, launch
from localcloud.sagemaker.model import Endpoint, SimpleRecord, Variant
from localcloud.service_context import ServiceContext

_HEALTH_SECONDS = 480.0
_MODEL_BOUNDS = Bounds(most_bytes=8 * 1024**3)
_GROUP = "/aws/sagemaker/Endpoints"
# The number of servers that may start at the same time; more would compete for the cores. A server
# counts for its first seconds, in which it imports and loads. One that does not get healthy keeps
# waiting without holding up the starts of other endpoints.
_STARTING_AT_ONCE = 2
_STARTING_SECONDS = 5.0


class HostingFailed(Exception):
    """A fleet could not be started; the message becomes the endpoint's FailureReason."""


@dataclass(slots=True)
class Fleet:
    """The running instances of one variant, and everything that starting another one needs."""

    variant: Variant
    image: Image
    base_dir: Path
    environment: dict[str, str]
    role_arn: str
    image_uri: str
    instances: list[Instance] = field(default_factory=list)
    # The servers of this fleet that may be without health at the same time.
    starting: asyncio.Semaphore = field(
        default_factory=lambda: asyncio.Semaphore(_STARTING_AT_ONCE)
    )


@dataclass(slots=True)
class FleetSet:
    """The fleets of one configuration, by variant.

    Attributes:
        production: the fleets that answer requests.
        shadows: the fleets that get copies of requests; their responses are discarded.
    """

    production: dict[str, Fleet] = field(default_factory=dict)
    shadows: dict[str, Fleet] = field(default_factory=dict)

    def all(self) -> list[Fleet]:
        """Return every fleet."""
        return [*self.production.values(), *self.shadows.values()]

    def instances(self) -> int:
        """Return the number of instances that answer requests."""
        return sum(len(fleet.instances) for fleet in self.production.values())

    async def retire(self) -> None:
        """Stop every instance after its last request."""
        await asyncio.gather(
            *(instance.retire() for fleet in self.all() for instance in fleet.instances)
        )


def config_of(configs: Collection[SimpleRecord], scope: Scope, name: str) -> SimpleRecord | None:
    """Return an endpoint configuration by its name, or None."""
    return configs.get(scope.arn("sagemaker", f"endpoint-config/{name}".lower()))


class FleetBuilder:
    """Starts instances."""

    def __init__(
        self,
        context: ServiceContext,
        configs: Collection[SimpleRecord],
        models: Collection[SimpleRecord],
    ) -> None:
        self._context = context
        self._configs = configs
        self._models = models
        self._starting = asyncio.Semaphore(_STARTING_AT_ONCE)

    async def build(
        self, endpoint: Endpoint, config_name: str, variants: list[Variant], fleets: FleetSet
    ) -> None:
        """Start healthy instances of every variant of a configuration, and add them to `fleets`."""
        scope = scope_of_arn(endpoint.arn)
        config = config_of(self._configs, scope, config_name)
        if config is None:
            raise HostingFailed(f"the endpoint configuration {config_name} no longer exists")
        known = {variant.name: variant for variant in variants}
        for member, built in (
            ("ProductionVariants", fleets.production),
            ("ShadowProductionVariants", fleets.shadows),
        ):
            for production in config.request.get(member, []):
                variant = known[production["VariantName"]]
                fleet = await self.fleet(
                    scope, production["ModelName"], variant, production.get("InstanceType", "")
                )
                built[variant.name] = fleet
                await self._check_key(scope, fleet.role_arn, config.request.get("KmsKeyId"))
                timeout = production.get(
                    "ContainerStartupHealthCheckTimeoutInSeconds", _HEALTH_SECONDS
                )
                await self.grow(scope, f"{_GROUP}/{endpoint.name}", fleet, timeout)

    async def _check_key(self, scope: Scope, role_arn: str, key_id: str | None) -> None:
        """Check that a model's role may use the key of the instances' volumes, if they have one."""
        if not key_id:
            return
        wanted = await volume_permissions(self._context.moto, scope, key_id)
        try:
            await self._context.iam.authorise(role_arn, wanted)
        except AccessDenied as error:
            raise HostingFailed(f"Cannot use the KMS key: {error.message}") from None

    async def fleet(
        self, scope: Scope, model_name: str, variant: Variant, instance_type: str
    ) -> Fleet:
        """Return a fleet of a model, without instances.

        Raises:
            HostingFailed: the model, its image or its data does not exist, or the instances could
                not execute the image.
        """
        model = self._models.get(scope.arn("sagemaker", f"model/{model_name}".lower()))
        if model is None:
            raise HostingFailed(f"the model {model_name} no longer exists")
        container = model.runs or model.request.get("PrimaryContainer", {})
        role = model.request.get("ExecutionRoleArn", "")
        # A later model of the same name gets another directory.
        made = round(model.created.timestamp() * 1e6)
        name = f"{scope.account}-{scope.region}-{model_name}-{made}"
        base_dir = self._context.directory / "models" / name
        try:
            image = await resolve_image(self._context, container["Image"], role)
            check_architecture(image, container["Image"], instance_type)
            await asyncio.to_thread(
                self._extract, scope, role, container.get("ModelDataUrl"), base_dir / "model"
            )
        except JobFailed as error:
            raise HostingFailed(str(error)) from None
        environment = {
            **container.get("Environment", {}),
            **container_environment(
                self._context,
                scope,
                role,
                base_dir,
                isolated=model.request.get("EnableNetworkIsolation", False),
            ),
        }
        return Fleet(variant, image, base_dir, environment, role, container["Image"])

    def _extract(self, scope: Scope, role_arn: str, url: str | None, target: Path) -> None:
        """Download and unpack model.tar.gz once; it blocks."""
        if target.exists():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix="partial-", dir=target.parent))
        if url:
            bucket, _, key = url.removeprefix("s3://").partition("/")
            s3 = self._context.client("s3", scope, role_arn)
            try:
                body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
                untar(body, staging, _MODEL_BOUNDS)
            except (ClientError, BotoCoreError, ArchiveError) as error:
                shutil.rmtree(staging, ignore_errors=True)
                raise HostingFailed(f"Failed to download model data from {url}: {error}") from None
        try:
            staging.rename(target)
        except OSError:  # another fleet of the model has unpacked it first
            shutil.rmtree(staging, ignore_errors=True)

    async def grow(
        self, scope: Scope, group: str, fleet: Fleet, limit_seconds: float = _HEALTH_SECONDS
    ) -> None:
        """Add healthy instances until the fleet has its desired count; each serves immediately.

        Args:
            scope: the account and region of the log group.
            group: the log group of the instances.
            fleet: the fleet.
            limit_seconds: time for each instance to become healthy, in wall-clock seconds.

        Raises:
            HostingFailed: an instance did not become healthy.
        """
        missing = fleet.variant.desired - len(fleet.instances)
        outcomes = await asyncio.gather(
            *(self._start_one(scope, group, fleet, limit_seconds) for _ in range(missing)),
            return_exceptions=True,
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise HostingFailed(
                    "The primary container for production variant "
                    f"{fleet.variant.name} did not pass the ping health check. "
                    f"Please check CloudWatch logs for this endpoint. ({outcome})"
                ) from outcome

    async def _start_one(
        self, scope: Scope, group: str, fleet: Fleet, limit_seconds: float
    ) -> None:
        async with fleet.starting:
            instance = await self._start_healthy(scope, group, fleet, limit_seconds)
            try:
                namespace = "/".join(group.split("/")[:4])
                await publish_metrics(self._context, fleet.role_arn, namespace)
            except asyncio.CancelledError:
                instance.child.kill()
                raise
            fleet.instances.append(instance)

    async def _start_healthy(
        self, scope: Scope, group: str, fleet: Fleet, limit_seconds: float
    ) -> Instance:
        number = [0]

        def sink(line: str) -> None:
            stream = f"{fleet.variant.name}/i-{number[0]:017x}"
            self._context.logs.write(scope, group, stream, line, fleet.role_arn)

        async with self._starting:
            instance = await launch(
                self._context.children, fleet.image, fleet.environment, fleet.base_dir, sink
            )
            number[0] = instance.number
            healthy = asyncio.create_task(instance.wait_healthy(limit_seconds))
            try:
                await asyncio.wait({healthy}, timeout=_STARTING_SECONDS)
            except asyncio.CancelledError:
                healthy.cancel()
                instance.child.kill()
                raise
        try:
            await healthy
        except InstanceFailed:
            await instance.retire()
            raise
        except asyncio.CancelledError:
            instance.child.kill()
            raise
        return instance
