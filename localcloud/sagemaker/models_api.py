"""The operations on models and endpoint configurations, which are stored as they were sent.

Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModel.html
Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpointConfig.html
Differs: a model has one container.
"""

from __future__ import annotations

from typing import Any

from localcloud.aws.errors import ValidationError
from localcloud.aws.protocol import operation
from localcloud.aws.routing import Scope
from localcloud.core.store import Collection
from localcloud.sagemaker.dependencies import check_model, check_vpc
from localcloud.sagemaker.listing import page_of
from localcloud.sagemaker.model import SimpleRecord
from localcloud.sagemaker.registry import Registry
from localcloud.sagemaker.tags import Tags, without_tags
from localcloud.service_context import ServiceContext


class ModelsApi:
    """The operations on models and endpoint configurations."""

    def __init__(self, context: ServiceContext, tags: Tags, registry: Registry) -> None:
        self._context = context
        self._tags = tags
        self._registry = registry
        self.models = Collection(context.database, "sagemaker-model", SimpleRecord)
        self.configs = Collection(context.database, "sagemaker-endpoint-config", SimpleRecord)

    def model(self, scope: Scope, name: str) -> SimpleRecord:
        """Return a model.

        Raises:
            ValidationError: it does not exist.
        """
        return self._find(self.models, scope, "model", name)

    def config(self, scope: Scope, name: str) -> SimpleRecord:
        """Return an endpoint configuration.

        Raises:
            ValidationError: it does not exist.
        """
        return self._find(self.configs, scope, "endpoint-config", name)

    def describe(self, record: SimpleRecord) -> dict[str, Any]:
        """Return a model in the shape of DescribeModel."""
        return {
            **without_tags(record.request),
            "ModelArn": record.arn,
            "CreationTime": record.created,
            "EnableNetworkIsolation": record.request.get("EnableNetworkIsolation", False),
        }

    @operation("CreateModel")
    async def create_model(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        given = params.get("Containers") or [params.get("PrimaryContainer")]
        if params.get("Containers") and params.get("PrimaryContainer"):
            raise ValidationError("Both PrimaryContainer and Containers are given; give one.")
        if given[0] is None:
            raise ValidationError("Either PrimaryContainer or Containers must be given.")
        if len(given) > 1 or given[0].get("Mode") == "MultiModel":
            raise ValidationError(
                "The local cloud supports neither inference pipelines nor multi-model containers: "
                f"{len(given)} containers are given, the first in mode "
                f"{given[0].get('Mode', 'SingleModel')}; give one in mode SingleModel."
            )
        check_vpc(params)
        arn = scope.arn("sagemaker", f"model/{params['ModelName']}".lower())
        runs = self._registry.container_of(scope, given[0])
        self._tags.check(arn, params.get("Tags"))
        await check_model(self._context, scope, params.get("ExecutionRoleArn", ""), runs)
        record = SimpleRecord(arn, params["ModelName"], params, self._context.clock.now(), runs)
        self._create(self.models, record, "model")
        return {"ModelArn": arn}

    @operation("DescribeModel")
    def describe_model(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        return self.describe(self.model(scope, params["ModelName"]))

    @operation("DeleteModel")
    def delete_model(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        self._drop(self.models, self.model(scope, params["ModelName"]))
        return {}

    @operation("ListModels")
    def list_models(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        records, more = page_of(self.models, scope, params)
        return {
            "Models": [
                {"ModelName": r.name, "ModelArn": r.arn, "CreationTime": r.created} for r in records
            ],
            **more,
        }

    @operation("CreateEndpointConfig")
    def create_endpoint_config(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        shadows = params.get("ShadowProductionVariants", [])
        variants = [*params["ProductionVariants"], *shadows]
        names = [variant["VariantName"] for variant in variants]
        if len(set(names)) != len(names):
            raise ValidationError(f"The variant names {names} are not unique.")
        if shadows and (len(shadows) > 1 or len(params["ProductionVariants"]) > 1):
            raise ValidationError(
                "With a shadow variant there must be exactly one production variant and one shadow "
                f"variant; there are {len(names) - len(shadows)} and {len(shadows)}."
            )
        for variant in variants:
            if "ServerlessConfig" in variant:
                raise ValidationError("The local cloud does not support serverless inference.")
            if "ModelName" not in variant:
                raise ValidationError(
                    f"Variant {variant['VariantName']} has no ModelName: the local cloud "
                    "does not support inference components."
                )
            self.model(scope, variant["ModelName"])
        arn = scope.arn("sagemaker", f"endpoint-config/{params['EndpointConfigName']}".lower())
        name = params["EndpointConfigName"]
        record = SimpleRecord(arn, name, params, self._context.clock.now())
        self._create(self.configs, record, "endpoint configuration")
        return {"EndpointConfigArn": arn}

    @operation("DescribeEndpointConfig")
    def describe_endpoint_config(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        record = self.config(scope, params["EndpointConfigName"])
        return {
            **without_tags(record.request),
            "EndpointConfigArn": record.arn,
            "CreationTime": record.created,
        }

    @operation("DeleteEndpointConfig")
    def delete_endpoint_config(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        record = self.config(scope, params["EndpointConfigName"])
        self._drop(self.configs, record)
        return {}

    @operation("ListEndpointConfigs")
    def list_endpoint_configs(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        records, more = page_of(self.configs, scope, params)
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

    def _create(self, records: Collection[SimpleRecord], record: SimpleRecord, kind: str) -> None:
        self._tags.check(record.arn, record.request.get("Tags"))
        if record.arn in records:
            raise ValidationError(f'Cannot create already existing {kind} "{record.arn}".')
        records.put(record.arn, record)
        self._tags.add(record.arn, record.request.get("Tags"))

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
