"""The operations on endpoints. A member that AWS leaves out of a response is left out here.

Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateEndpoint.html
"""

from __future__ import annotations

import logging
from typing import Any

from botocore.exceptions import ClientError

from localcloud.aws.errors import ValidationError
from localcloud.aws.protocol import operation
from localcloud.aws.routing import Scope
from localcloud.core.store import Collection
from localcloud.sagemaker.endpoint_views import describe, variants_of
from localcloud.sagemaker.hosting import Deployment, HostingEngine
from localcloud.sagemaker.listing import page_of
from localcloud.sagemaker.model import Endpoint, EndpointStatus, SimpleRecord
from localcloud.sagemaker.models_api import ModelsApi
from localcloud.sagemaker.shifting import problems_of
from localcloud.sagemaker.state_changes import StateChangePublisher
from localcloud.sagemaker.tags import Tags
from localcloud.service_context import ServiceContext

log = logging.getLogger("localcloud.sagemaker")


class HostingApi:
    """The operations on endpoints."""

    def __init__(self, context: ServiceContext, tags: Tags, models: ModelsApi) -> None:
        self._context = context
        self._models = models
        self._tags = tags
        self._state_changes = StateChangePublisher(context, tags)
        self.endpoints = Collection(context.database, "sagemaker-endpoint", Endpoint)
        self.hosting = HostingEngine(
            context, self.endpoints, models.configs, models.models, self._changed
        )

    def _changed(self, endpoint: Endpoint) -> None:
        self._state_changes.changed("Endpoint", endpoint.arn, self.describe(endpoint))

    def resume(self) -> None:
        """Continue what a restart interrupted."""
        self.hosting.resume()

    def in_service(self) -> list[tuple[tuple[str, str, str], list[int]]]:
        """Return every variant that emits metrics, and what its instances had to answer at once.

        Returns: (endpoint ARN, endpoint name, variant), and the most requests in flight of each
            instance since the last call.
        """
        return [
            ((endpoint.arn, endpoint.name, variant.name), self._peaks(endpoint, variant.name))
            for endpoint in self.endpoints.values()
            if endpoint.status in (EndpointStatus.IN_SERVICE, EndpointStatus.UPDATING)
            for variant in [*endpoint.variants, *endpoint.shadows]
        ]

    def _peaks(self, endpoint: Endpoint, variant: str) -> list[int]:
        fleet = self.hosting.running(endpoint.arn, variant)
        return [instance.take_peak() for instance in fleet.instances] if fleet is not None else []

    def describe(self, endpoint: Endpoint) -> dict[str, Any]:
        """Return an endpoint in the shape of DescribeEndpoint."""
        return describe(endpoint, self.hosting)

    @operation("CreateEndpoint")
    def create_endpoint(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        arn = scope.arn("sagemaker", f"endpoint/{params['EndpointName']}".lower())
        if arn in self.endpoints:
            raise ValidationError(f'Cannot create already existing endpoint "{arn}".')
        self._tags.check(arn, params.get("Tags"))
        _check_deployment(params)
        config = self._models.config(scope, params["EndpointConfigName"])
        now = self._context.clock.now()
        endpoint = Endpoint(
            arn=arn,
            name=params["EndpointName"],
            config_name=config.name,
            created=now,
            modified=now,
            variants=variants_of(config, "ProductionVariants"),
            last_deployment_config=params.get("DeploymentConfig"),
            data_capture=config.request.get("DataCaptureConfig"),
            shadows=variants_of(config, "ShadowProductionVariants"),
        )
        self._tags.add(arn, params.get("Tags"))
        self.hosting.create(endpoint)
        return {"EndpointArn": arn}

    @operation("UpdateEndpoint")
    async def update_endpoint(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        name = params["EndpointName"]
        _check_deployment(params)
        self._require_in_service(self._endpoint(scope, name), "update")
        config = self._models.config(scope, params["EndpointConfigName"])
        await self._check_targets(scope, self._endpoint(scope, name), config)
        endpoint = self._endpoint(scope, name)
        self._require_in_service(endpoint, "update")
        excluded = {
            prop["VariantPropertyType"]
            for prop in params.get("ExcludeRetainedVariantProperties", [])
        }
        retained = bool(params.get("RetainAllVariantProperties"))
        if excluded and not retained:
            raise ValidationError(
                "ExcludeRetainedVariantProperties requires RetainAllVariantProperties: without it "
                "no property is retained."
            )
        deployment = Deployment(
            config_name=config.name,
            variants=variants_of(config, "ProductionVariants"),
            shadows=variants_of(config, "ShadowProductionVariants"),
            config=params.get("DeploymentConfig"),
            capture=config.request.get("DataCaptureConfig"),
            started=self._context.clock.now(),
        )
        if retained:
            before = {v.name: v for v in [*endpoint.variants, *endpoint.shadows]}
            for variant in [*deployment.variants, *deployment.shadows]:
                old = before.get(variant.name)
                if old is not None and "DesiredInstanceCount" not in excluded:
                    variant.desired = old.desired
                if old is not None and "DesiredWeight" not in excluded:
                    variant.weight = old.weight
            if "DataCaptureConfig" not in excluded:
                deployment.capture = endpoint.data_capture
        if deployment.config is None and params.get("RetainDeploymentConfig"):
            deployment.config = endpoint.last_deployment_config
        endpoint.last_deployment_config = deployment.config
        self.hosting.update(endpoint, deployment)
        return {"EndpointArn": endpoint.arn}

    async def _check_targets(self, scope: Scope, endpoint: Endpoint, config: SimpleRecord) -> None:
        """Refuse to remove a variant that scales, or to change its instance type.

        Source: https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-update.html
        """
        current = self._models.configs.get(
            scope.arn("sagemaker", f"endpoint-config/{endpoint.config_name}".lower())
        )
        after = {v["VariantName"]: v for v in config.request["ProductionVariants"]}
        before = current.request["ProductionVariants"] if current is not None else []
        changed = [
            variant["VariantName"]
            for variant in before
            if after.get(variant["VariantName"], {}).get("InstanceType")
            != variant.get("InstanceType")
        ]
        if not changed:
            return
        targets = await self._targets(scope, endpoint, changed)
        scaled = [target["ResourceId"].rpartition("/")[2] for target in targets]
        if scaled:
            raise ValidationError(
                f'Cannot update endpoint "{endpoint.arn}": variant(s) {", ".join(scaled)} are '
                "registered as scalable targets. Deregister them before you remove them or change "
                "their instance type."
            )

    @operation("UpdateEndpointWeightsAndCapacities")
    def update_weights(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        endpoint = self._endpoint(scope, params["EndpointName"])
        self._require_in_service(endpoint, "update")
        known = {v.name: v for v in [*endpoint.variants, *endpoint.shadows]}
        wanted = params["DesiredWeightsAndCapacities"]
        for change in wanted:
            if change["VariantName"] not in known:
                raise ValidationError(
                    f'The variant name "{change["VariantName"]}" was not found on endpoint '
                    f"{endpoint.name}; its variants are: {', '.join(known)}."
                )
        for change in wanted:
            variant = known[change["VariantName"]]
            variant.desired = change.get("DesiredInstanceCount", variant.desired)
            variant.weight = change.get("DesiredWeight", variant.weight)
        self.hosting.scale(endpoint)
        return {"EndpointArn": endpoint.arn}

    @operation("DescribeEndpoint")
    def describe_endpoint(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        return self.describe(self._endpoint(scope, params["EndpointName"]))

    @operation("DeleteEndpoint")
    async def delete_endpoint(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        endpoint = self._endpoint(scope, params["EndpointName"])
        if not endpoint.deleting:

            def forget() -> None:
                self.endpoints.delete(endpoint.arn)
                self._tags.forget(endpoint.arn)

            # Its targets come first, because a new endpoint of the same name may register its own.
            await self._deregister(scope, endpoint)
            if self.endpoints.get(endpoint.arn) is endpoint and not endpoint.deleting:
                self.hosting.delete(endpoint, forget)
        return {}

    async def _deregister(self, scope: Scope, endpoint: Endpoint) -> None:
        for target in await self._targets(scope, endpoint, [v.name for v in endpoint.variants]):
            try:
                await self._context.api(
                    scope,
                    "application-autoscaling",
                    "deregister_scalable_target",
                    ServiceNamespace="sagemaker",
                    ResourceId=target["ResourceId"],
                    ScalableDimension=target["ScalableDimension"],
                )
            except ClientError as error:  # another caller has deleted it first
                log.info("%s: %s", target["ResourceId"], error)

    async def _targets(
        self, scope: Scope, endpoint: Endpoint, variants: list[str]
    ) -> list[dict[str, Any]]:
        """Return the registered scalable targets of variants."""
        answer = await self._context.api(
            scope,
            "application-autoscaling",
            "describe_scalable_targets",
            ServiceNamespace="sagemaker",
            ResourceIds=[f"endpoint/{endpoint.name}/variant/{name}" for name in variants],
        )
        found: list[dict[str, Any]] = answer["ScalableTargets"]
        return found

    @operation("ListEndpoints")
    def list_endpoints(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        records, more = page_of(self.endpoints, scope, params)
        return {
            "Endpoints": [
                {
                    "EndpointName": r.name,
                    "EndpointArn": r.arn,
                    "CreationTime": r.created,
                    "LastModifiedTime": r.modified,
                    "EndpointStatus": r.status,
                }
                for r in records
            ],
            **more,
        }

    def _endpoint(self, scope: Scope, name: str) -> Endpoint:
        arn = scope.arn("sagemaker", f"endpoint/{name}".lower())
        endpoint = self.endpoints.get(arn)
        if endpoint is None:
            raise ValidationError(f'Could not find endpoint "{arn}".')
        return endpoint

    def _require_in_service(self, endpoint: Endpoint, verb: str) -> None:
        if endpoint.status is not EndpointStatus.IN_SERVICE:
            raise ValidationError(
                f'Cannot {verb} endpoint "{endpoint.arn}" while it is in status '
                f"{endpoint.status}; it must be InService."
            )


def _check_deployment(params: dict[str, Any]) -> None:
    problems = problems_of(params.get("DeploymentConfig"))
    if problems:
        raise ValidationError(" ".join(problems))
