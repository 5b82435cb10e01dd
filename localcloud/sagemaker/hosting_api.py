"""The operations of hosting. What AWS leaves out of a response is left out here.

Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Operations.html
"""

from __future__ import annotations

from typing import Any

from localcloud.cloud import Cloud
from localcloud.errors import ValidationError
from localcloud.protocol import operation
from localcloud.routing import Scope
from localcloud.sagemaker.hosting import HostingEngine
from localcloud.sagemaker.listing import page
from localcloud.sagemaker.model import (
    Endpoint,
    EndpointStatus,
    SimpleRecord,
    Variant,
)
from localcloud.sagemaker.tags import Tags, without_tags
from localcloud.store import Collection


class HostingApi:
    """Models, endpoint configurations and endpoints."""

    def __init__(self, cloud: Cloud, tags: Tags) -> None:
        self._cloud = cloud
        self.models = Collection(cloud.database, "sagemaker-model", SimpleRecord)
        self.configs = Collection(cloud.database, "sagemaker-endpoint-config", SimpleRecord)
        self.endpoints = Collection(cloud.database, "sagemaker-endpoint", Endpoint)
        self._tags = tags
        self.hosting = HostingEngine(cloud, self.endpoints, self.configs, self.models)

    def resume(self) -> None:
        """Take up what a restart interrupted."""
        self.hosting.resume()

    def in_service(self) -> list[tuple[str, str, str]]:
        """Return (endpoint ARN, endpoint name, variant) of everything that emits metrics."""
        return [
            (endpoint.arn, endpoint.name, variant.name)
            for endpoint in self.endpoints.values()
            if endpoint.status in (EndpointStatus.IN_SERVICE, EndpointStatus.UPDATING)
            for variant in endpoint.variants
        ]

    # Models and endpoint configurations.

    @operation("CreateModel")
    def create_model(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        if not params.get("PrimaryContainer") and not params.get("Containers"):
            raise ValidationError("Either PrimaryContainer or Containers must be given.")
        arn = scope.arn("sagemaker", f"model/{params['ModelName']}".lower())
        self._create(self.models, arn, params["ModelName"], params, "model")
        return {"ModelArn": arn}

    @operation("DescribeModel")
    def describe_model(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        record = self._find(self.models, scope, "model", params["ModelName"])
        return {
            **without_tags(record.request),
            "ModelArn": record.arn,
            "CreationTime": record.created,
            "EnableNetworkIsolation": record.request.get("EnableNetworkIsolation", False),
        }

    @operation("DeleteModel")
    def delete_model(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        self._drop(self.models, self._find(self.models, scope, "model", params["ModelName"]))
        return {}

    @operation("ListModels")
    def list_models(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        records, more = page(self.models.values(), scope, params)
        return {
            "Models": [
                {"ModelName": r.name, "ModelArn": r.arn, "CreationTime": r.created} for r in records
            ],
            **more,
        }

    @operation("CreateEndpointConfig")
    def create_endpoint_config(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        names = [variant["VariantName"] for variant in params["ProductionVariants"]]
        if len(set(names)) != len(names):
            raise ValidationError(f"The variant names {names} are not unique.")
        for variant in params["ProductionVariants"]:
            if "ServerlessConfig" in variant:
                raise ValidationError("The local cloud has no serverless inference.")
            if "ModelName" in variant:
                self._find(self.models, scope, "model", variant["ModelName"])
        arn = scope.arn("sagemaker", f"endpoint-config/{params['EndpointConfigName']}".lower())
        name = params["EndpointConfigName"]
        self._create(self.configs, arn, name, params, "endpoint configuration")
        return {"EndpointConfigArn": arn}

    @operation("DescribeEndpointConfig")
    def describe_endpoint_config(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        record = self._find(self.configs, scope, "endpoint-config", params["EndpointConfigName"])
        return {
            **without_tags(record.request),
            "EndpointConfigArn": record.arn,
            "CreationTime": record.created,
        }

    @operation("DeleteEndpointConfig")
    def delete_endpoint_config(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        record = self._find(self.configs, scope, "endpoint-config", params["EndpointConfigName"])
        self._drop(self.configs, record)
        return {}

    @operation("ListEndpointConfigs")
    def list_endpoint_configs(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        records, more = page(self.configs.values(), scope, params)
        return {
            "EndpointConfigs": [
                {
                    "EndpointConfigName": r.name,
                    "EndpointConfigArn": r.arn,
                    "CreationTime": r.created,
                }
                for r in records
            ],
            **more,
        }

    # Endpoints.

    @operation("CreateEndpoint")
    def create_endpoint(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        arn = scope.arn("sagemaker", f"endpoint/{params['EndpointName']}".lower())
        if arn in self.endpoints:
            raise ValidationError(f'Cannot create already existing endpoint "{arn}".')
        config = self._find(self.configs, scope, "endpoint-config", params["EndpointConfigName"])
        now = self._cloud.clock.now()
        endpoint = Endpoint(
            arn=arn,
            name=params["EndpointName"],
            config_name=config.name,
            created=now,
            modified=now,
            variants=_variants_of(config),
        )
        if params.get("DeploymentConfig") is not None:
            endpoint.last_deployment_config = params["DeploymentConfig"]
        self.endpoints.put(arn, endpoint)
        self._tags.add(arn, params.get("Tags"))
        self.hosting.create(endpoint)
        return {"EndpointArn": arn}

    @operation("UpdateEndpoint")
    def update_endpoint(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        endpoint = self._endpoint(scope, params["EndpointName"])
        self._require_in_service(endpoint, "update")
        config = self._find(self.configs, scope, "endpoint-config", params["EndpointConfigName"])
        variants = _variants_of(config)
        if params.get("RetainAllVariantProperties"):
            excluded = {
                prop["VariantPropertyType"]
                for prop in params.get("ExcludeRetainedVariantProperties", [])
            }
            before = {variant.name: variant for variant in endpoint.variants}
            for variant in variants:
                old = before.get(variant.name)
                if old is not None and "DesiredInstanceCount" not in excluded:
                    variant.desired = old.desired
                if old is not None and "DesiredWeight" not in excluded:
                    variant.weight = old.weight
        deployment = params.get("DeploymentConfig")
        if deployment is None and params.get("RetainDeploymentConfig"):
            deployment = endpoint.last_deployment_config
        endpoint.last_deployment_config = deployment
        endpoint.move(EndpointStatus.UPDATING, self._cloud.clock.now())
        self.endpoints.put(endpoint.arn, endpoint)
        self.hosting.update(endpoint, config.name, variants, deployment)
        return {"EndpointArn": endpoint.arn}

    @operation("UpdateEndpointWeightsAndCapacities")
    def update_weights(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        endpoint = self._endpoint(scope, params["EndpointName"])
        self._require_in_service(endpoint, "update")
        known = {variant.name: variant for variant in endpoint.variants}
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
        endpoint.move(EndpointStatus.UPDATING, self._cloud.clock.now())
        self.endpoints.put(endpoint.arn, endpoint)
        self.hosting.scale(endpoint)
        return {"EndpointArn": endpoint.arn}

    @operation("DescribeEndpoint")
    def describe_endpoint(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        endpoint = self._endpoint(scope, params["EndpointName"])
        result: dict[str, Any] = {
            "EndpointName": endpoint.name,
            "EndpointArn": endpoint.arn,
            "EndpointConfigName": endpoint.config_name,
            "EndpointStatus": endpoint.status,
            "CreationTime": endpoint.created,
            "LastModifiedTime": endpoint.modified,
            "FailureReason": endpoint.failure_reason,
            "LastDeploymentConfig": endpoint.last_deployment_config,
        }
        if endpoint.status in (
            EndpointStatus.IN_SERVICE,
            EndpointStatus.UPDATING,
            EndpointStatus.ROLLING_BACK,
        ):
            result["ProductionVariants"] = [
                {
                    "VariantName": variant.name,
                    "CurrentWeight": variant.weight,
                    "DesiredWeight": variant.weight,
                    "CurrentInstanceCount": self.hosting.current_count(endpoint.arn, variant.name),
                    "DesiredInstanceCount": variant.desired,
                }
                for variant in endpoint.variants
            ]
        return result

    @operation("DeleteEndpoint")
    def delete_endpoint(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        endpoint = self._endpoint(scope, params["EndpointName"])
        if endpoint.status is not EndpointStatus.DELETING:
            endpoint.move(EndpointStatus.DELETING, self._cloud.clock.now())
            self.endpoints.put(endpoint.arn, endpoint)

            def forget() -> None:
                self.endpoints.delete(endpoint.arn)
                self._tags.forget(endpoint.arn)

            self.hosting.delete(endpoint, forget)
        return {}

    @operation("ListEndpoints")
    def list_endpoints(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        records, more = page(self.endpoints.values(), scope, params)
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

    def _create(
        self,
        records: Collection[SimpleRecord],
        arn: str,
        name: str,
        params: dict[str, Any],
        kind: str,
    ) -> None:
        if arn in records:
            raise ValidationError(f'Cannot create already existing {kind} "{arn}".')
        records.put(arn, SimpleRecord(arn, name, params, self._cloud.clock.now()))
        self._tags.add(arn, params.get("Tags"))

    def _find(
        self, records: Collection[SimpleRecord], scope: Scope, kind: str, name: str
    ) -> SimpleRecord:
        arn = scope.arn("sagemaker", f"{kind}/{name}".lower())
        record = records.get(arn)
        if record is None:
            raise ValidationError(f'Could not find {kind.replace("-", " ")} "{arn}".')
        return record

    def _drop(self, records: Collection[SimpleRecord], record: SimpleRecord) -> None:
        records.delete(record.arn)
        self._tags.forget(record.arn)

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


def _variants_of(config: SimpleRecord) -> list[Variant]:
    return [
        Variant(
            name=variant["VariantName"],
            desired=variant.get("InitialInstanceCount", 1),
            weight=variant.get("InitialVariantWeight", 1.0),
        )
        for variant in config.request["ProductionVariants"]
    ]
