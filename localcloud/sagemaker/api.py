"""The operations of SageMaker. What AWS leaves out of a response is left out here.

Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Operations.html
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from localcloud.cloud import Cloud
from localcloud.errors import ValidationError
from localcloud.protocol import operation
from localcloud.routing import Scope
from localcloud.sagemaker.hosting import HostingEngine
from localcloud.sagemaker.model import (
    Endpoint,
    EndpointStatus,
    SimpleRecord,
    TrainingJob,
    TrainingJobStatus,
    Variant,
)
from localcloud.sagemaker.training import TrainingEngine
from localcloud.store import Collection


class SageMakerApi:
    """Models, endpoint configurations, endpoints, training jobs and tags."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.models = Collection(cloud.database, "sagemaker-model", SimpleRecord)
        self.configs = Collection(cloud.database, "sagemaker-endpoint-config", SimpleRecord)
        self.endpoints = Collection(cloud.database, "sagemaker-endpoint", Endpoint)
        self.jobs = Collection(cloud.database, "sagemaker-training-job", TrainingJob)
        self._tags = Collection(cloud.database, "sagemaker-tags", dict[str, str])
        self.training = TrainingEngine(cloud, self.jobs)
        self.hosting = HostingEngine(cloud, self.endpoints, self.configs, self.models)

    def resume(self) -> None:
        """Take up what a restart interrupted."""
        self.training.resume()
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
            **_without_tags(record.request),
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
        records = _page(self.models.values(), scope, params)
        return {
            "Models": [
                {"ModelName": r.name, "ModelArn": r.arn, "CreationTime": r.created} for r in records
            ]
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
            **_without_tags(record.request),
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
        records = _page(self.configs.values(), scope, params)
        return {
            "EndpointConfigs": [
                {
                    "EndpointConfigName": r.name,
                    "EndpointConfigArn": r.arn,
                    "CreationTime": r.created,
                }
                for r in records
            ]
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
        self._tag(arn, params.get("Tags"))
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
        if params.get("DeploymentConfig") is not None:
            endpoint.last_deployment_config = params["DeploymentConfig"]
        endpoint.move(EndpointStatus.UPDATING, self._cloud.clock.now())
        self.endpoints.put(endpoint.arn, endpoint)
        self.hosting.update(endpoint, config.name, variants)
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
        if endpoint.status in (EndpointStatus.IN_SERVICE, EndpointStatus.UPDATING):
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
                self._tags.delete(endpoint.arn)

            self.hosting.delete(endpoint, forget)
        return {}

    @operation("ListEndpoints")
    def list_endpoints(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        wanted = params.get("StatusEquals")
        records = [
            endpoint
            for endpoint in _page(self.endpoints.values(), scope, params)
            if wanted in (None, endpoint.status)
        ]
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
            ]
        }

    # Training jobs.

    @operation("CreateTrainingJob")
    def create_training_job(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        name = params["TrainingJobName"]
        arn = scope.arn("sagemaker", f"training-job/{name}".lower())
        if arn in self.jobs:
            raise ValidationError(
                "Training job names must be unique within an AWS account and "
                f"region, and a job named {name} already exists.",
                "ResourceInUse",
            )
        if not params["AlgorithmSpecification"].get("TrainingImage"):
            raise ValidationError(
                "AlgorithmSpecification.TrainingImage is required: the local cloud has none of "
                "AWS's built-in algorithms."
            )
        for channel in params.get("InputDataConfig", []):
            if "S3DataSource" not in channel["DataSource"]:
                raise ValidationError(
                    f"Channel {channel['ChannelName']}: only an S3DataSource is supported."
                )
        now = self._cloud.clock.now()
        job = TrainingJob(arn=arn, name=name, request=params, created=now, modified=now)
        self._tag(arn, params.get("Tags"))
        self.training.start(job)
        return {"TrainingJobArn": arn}

    @operation("DescribeTrainingJob")
    def describe_training_job(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        job = self._job(scope, params["TrainingJobName"])
        end = job.training_end
        result: dict[str, Any] = {
            **_without_tags(job.request),
            "TrainingJobArn": job.arn,
            "TrainingJobStatus": job.status,
            "SecondaryStatus": job.transitions[-1].status,
            "FailureReason": job.failure_reason,
            "CreationTime": job.created,
            "LastModifiedTime": job.modified,
            "TrainingStartTime": job.training_start,
            "TrainingEndTime": end,
            "SecondaryStatusTransitions": [
                {
                    "Status": step.status,
                    "StartTime": step.start,
                    "EndTime": step.end,
                    "StatusMessage": step.message,
                }
                for step in job.transitions
            ],
        }
        if job.model_artifacts:
            result["ModelArtifacts"] = {"S3ModelArtifacts": job.model_artifacts}
        if job.metrics:
            result["FinalMetricDataList"] = [
                {"MetricName": m.name, "Value": m.value, "Timestamp": m.timestamp}
                for m in job.metrics.values()
            ]
        if end is not None and job.training_start is not None:
            seconds = max(int((end - job.training_start).total_seconds()), 1)
            result |= {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds}
        return result

    @operation("StopTrainingJob")
    def stop_training_job(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        job = self._job(scope, params["TrainingJobName"])
        if job.status is not TrainingJobStatus.IN_PROGRESS:
            raise ValidationError(
                f"The request was rejected because the training job is in status {job.status}."
            )
        self.training.stop(job)
        return {}

    @operation("ListTrainingJobs")
    def list_training_jobs(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        wanted = params.get("StatusEquals")
        jobs = [
            job for job in _page(self.jobs.values(), scope, params) if wanted in (None, job.status)
        ]
        return {
            "TrainingJobSummaries": [
                {
                    "TrainingJobName": job.name,
                    "TrainingJobArn": job.arn,
                    "CreationTime": job.created,
                    "TrainingEndTime": job.training_end,
                    "LastModifiedTime": job.modified,
                    "TrainingJobStatus": job.status,
                    "SecondaryStatus": job.transitions[-1].status,
                }
                for job in jobs
            ]
        }

    # Tags.

    @operation("AddTags")
    def add_tags(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        del scope
        self._tag(params["ResourceArn"], params["Tags"])
        return {"Tags": self._tag_list(params["ResourceArn"])}

    @operation("ListTags")
    def list_tags(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        del scope
        return {"Tags": self._tag_list(params["ResourceArn"])}

    @operation("DeleteTags")
    def delete_tags(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        del scope
        tags = dict(self._tags.get(params["ResourceArn"]) or {})
        for key in params["TagKeys"]:
            tags.pop(key, None)
        self._tags.put(params["ResourceArn"], tags)
        return {}

    def _tag(self, arn: str, tags: list[dict[str, str]] | None) -> None:
        if tags:
            merged = dict(self._tags.get(arn) or {}) | {t["Key"]: t["Value"] for t in tags}
            self._tags.put(arn, merged)

    def _tag_list(self, arn: str) -> list[dict[str, str]]:
        return [{"Key": k, "Value": v} for k, v in (self._tags.get(arn) or {}).items()]

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
        self._tag(arn, params.get("Tags"))

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
        self._tags.delete(record.arn)

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

    def _job(self, scope: Scope, name: str) -> TrainingJob:
        job = self.jobs.get(scope.arn("sagemaker", f"training-job/{name}".lower()))
        if job is None:
            raise ValidationError("Requested resource not found.", "ValidationException")
        return job


def _without_tags(request: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in request.items() if key != "Tags"}


def _variants_of(config: SimpleRecord) -> list[Variant]:
    return [
        Variant(
            name=variant["VariantName"],
            desired=variant.get("InitialInstanceCount", 1),
            weight=variant.get("InitialVariantWeight", 1.0),
        )
        for variant in config.request["ProductionVariants"]
    ]


def _page(records: list[Any], scope: Scope, params: dict[str, Any]) -> list[Any]:
    """Return the scope's records that match NameContains, newest first, at most MaxResults."""

    def created(record: Any) -> datetime:
        value: datetime = record.created
        return value

    prefix = scope.arn("sagemaker", "")
    wanted = params.get("NameContains", "")
    found = [r for r in records if r.arn.startswith(prefix) and wanted in r.name]
    found.sort(key=created, reverse=params.get("SortOrder", "Descending") == "Descending")
    return found[: params.get("MaxResults", 100)]
