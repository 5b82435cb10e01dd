"""The operations of Application Auto Scaling.

Source: https://docs.aws.amazon.com/autoscaling/application/APIReference/API_Operations.html
Differs: only SageMaker variants, only target tracking; step scaling is refused.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

from localcloud.autoscaling.engine import ScalingEngine, names_of
from localcloud.autoscaling.model import Activity, ScalableTarget, ScalingPolicy, target_key
from localcloud.cloud import Cloud
from localcloud.errors import AwsError, ResourceNotFound, ValidationError
from localcloud.protocol import operation
from localcloud.routing import Scope
from localcloud.store import Collection

DIMENSION = "sagemaker:variant:DesiredInstanceCount"
_RESOURCE = re.compile(r"endpoint/[a-zA-Z0-9-]+/variant/[a-zA-Z0-9-]+")
_HIGH_PERIODS = 3
_LOW_PERIODS = 15
_LOW_FRACTION = 0.9


class AutoScalingApi:
    """Scalable targets, target tracking policies and activities."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.targets = Collection(cloud.database, "autoscaling-target", ScalableTarget)
        self.policies = Collection(cloud.database, "autoscaling-policy", ScalingPolicy)
        self._activities = Collection(cloud.database, "autoscaling-activity", Activity)
        # Called with a target that is no more.
        self.on_deregister: list[Callable[[ScalableTarget], None]] = []
        self.engine = ScalingEngine(cloud, self.targets, self.policies, self._activities)

    @operation("RegisterScalableTarget")
    async def register_scalable_target(
        self, scope: Scope, params: dict[str, Any]
    ) -> dict[str, Any]:
        key = _key(scope, params)
        target = self.targets.get(key)
        if target is None:
            await self._require_variant(scope, params["ResourceId"])
            missing = [n for n in ("MinCapacity", "MaxCapacity") if params.get(n) is None]
            if missing:
                raise ValidationError(
                    f"{' and '.join(missing)} must be given when a target is first registered."
                )
            target = ScalableTarget(
                arn=scope.arn(
                    "application-autoscaling", f"scalable-target/{uuid.uuid4().hex[:22]}"
                ),
                account=scope.account,
                region=scope.region,
                service_namespace=params["ServiceNamespace"],
                resource_id=params["ResourceId"],
                scalable_dimension=params["ScalableDimension"],
                minimum=params["MinCapacity"],
                maximum=params["MaxCapacity"],
                role_arn=params.get("RoleARN")
                or f"arn:aws:iam::{scope.account}:role/aws-service-role/"
                "sagemaker.application-autoscaling.amazonaws.com/"
                "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint",
                created=self._cloud.clock.now(),
                tags=dict(params.get("Tags") or {}),
            )
        minimum = params.get("MinCapacity", target.minimum)
        maximum = params.get("MaxCapacity", target.maximum)
        if minimum > maximum:
            raise ValidationError(
                f"MinCapacity ({minimum}) must not be greater than MaxCapacity ({maximum})."
            )
        target.minimum, target.maximum = minimum, maximum
        target.suspended |= params.get("SuspendedState") or {}
        self.targets.put(key, target)
        self.engine.enforce_limits(target)
        return {"ScalableTargetARN": target.arn}

    @operation("DeregisterScalableTarget")
    async def deregister_scalable_target(
        self, scope: Scope, params: dict[str, Any]
    ) -> dict[str, Any]:
        target = self.target(scope, params)
        for policy in self.policies.values():
            if policy.target == target.key:
                await self._drop_policy(scope, policy)
        self.targets.delete(target.key)
        for forget in self.on_deregister:
            forget(target)
        return {}

    @operation("DescribeScalableTargets")
    def describe_scalable_targets(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        wanted = params.get("ResourceIds")
        return {
            "ScalableTargets": [
                {
                    "ServiceNamespace": t.service_namespace,
                    "ResourceId": t.resource_id,
                    "ScalableDimension": t.scalable_dimension,
                    "MinCapacity": t.minimum,
                    "MaxCapacity": t.maximum,
                    "RoleARN": t.role_arn,
                    "CreationTime": t.created,
                    "SuspendedState": {
                        "DynamicScalingInSuspended": False,
                        "DynamicScalingOutSuspended": False,
                        "ScheduledScalingSuspended": False,
                        **t.suspended,
                    },
                    "ScalableTargetARN": t.arn,
                }
                for t in self.targets.values()
                if (t.account, t.region) == (scope.account, scope.region)
                and t.service_namespace == params["ServiceNamespace"]
                and (not wanted or t.resource_id in wanted)
            ]
        }

    @operation("PutScalingPolicy")
    async def put_scaling_policy(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        target = self.target(scope, params)
        configuration = params.get("TargetTrackingScalingPolicyConfiguration")
        if params.get("PolicyType", "TargetTrackingScaling") != "TargetTrackingScaling" or (
            configuration is None
        ):
            raise ValidationError(
                f"PolicyType {params.get('PolicyType')} is not supported locally; use "
                "TargetTrackingScaling with its configuration."
            )
        if configuration["TargetValue"] <= 0:
            raise ValidationError(
                f"TargetValue is {configuration['TargetValue']}; it must be greater than 0."
            )
        existing = self._policy(target, params["PolicyName"])
        policy = existing or ScalingPolicy(
            arn=scope.arn(
                "autoscaling",
                f"scalingPolicy:{uuid.uuid4()}:resource/{target.service_namespace}/"
                f"{target.resource_id}:policyName/{params['PolicyName']}",
            ),
            name=params["PolicyName"],
            target=target.key,
            configuration=configuration,
            alarms=[],
            created=self._cloud.clock.now(),
        )
        await self._drop_alarms(scope, policy)
        policy.configuration = configuration
        policy.alarms = await self._put_alarms(scope, target, policy)
        self.policies.put(policy.arn, policy)
        return {"PolicyARN": policy.arn, "Alarms": policy.alarms}

    @operation("DeleteScalingPolicy")
    async def delete_scaling_policy(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        target = self.target(scope, params)
        policy = self._policy(target, params["PolicyName"])
        if policy is None:
            raise AwsError(
                "ObjectNotFoundException",
                f"No scaling policy found for service namespace: {target.service_namespace}, "
                f"resource ID: {target.resource_id}, policy name: {params['PolicyName']}",
            )
        await self._drop_policy(scope, policy)
        return {}

    @operation("DescribeScalingPolicies")
    def describe_scaling_policies(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        names = params.get("PolicyNames")
        found = []
        for policy in self.policies.values():
            target = self.targets.get(policy.target)
            if (
                target is None
                or (target.account, target.region) != (scope.account, scope.region)
                or target.service_namespace != params["ServiceNamespace"]
                or params.get("ResourceId") not in (None, target.resource_id)
                or (names and policy.name not in names)
            ):
                continue
            found.append(
                {
                    "PolicyARN": policy.arn,
                    "PolicyName": policy.name,
                    "ServiceNamespace": target.service_namespace,
                    "ResourceId": target.resource_id,
                    "ScalableDimension": target.scalable_dimension,
                    "PolicyType": "TargetTrackingScaling",
                    "TargetTrackingScalingPolicyConfiguration": policy.configuration,
                    "Alarms": policy.alarms,
                    "CreationTime": policy.created,
                }
            )
        return {"ScalingPolicies": found}

    @operation("DescribeScalingActivities")
    def describe_scaling_activities(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        include_not_scaled = params.get("IncludeNotScaledActivities", False)
        shown: list[dict[str, Any]] = []
        for activity in self._activities.values():
            account, region, namespace, resource, dimension = activity.target.split("|")
            if (
                (account, region) != (scope.account, scope.region)
                or namespace != params["ServiceNamespace"]
                or params.get("ResourceId") not in (None, resource)
                or (activity.not_scaled and not include_not_scaled)
            ):
                continue
            shown.append(
                {
                    "ActivityId": activity.id,
                    "ServiceNamespace": namespace,
                    "ResourceId": resource,
                    "ScalableDimension": dimension,
                    "Description": activity.description,
                    "Cause": activity.cause,
                    "StartTime": activity.started,
                    "EndTime": activity.ended,
                    "StatusCode": activity.status,
                    "StatusMessage": activity.status_message,
                    "NotScaledReasons": activity.not_scaled or None,
                }
            )
        shown.sort(key=lambda entry: entry["StartTime"], reverse=True)
        return {"ScalingActivities": shown[: params.get("MaxResults", 50)]}

    @operation("TagResource")
    def tag_resource(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        target = self._by_arn(scope, params["ResourceARN"])
        target.tags |= params["Tags"]
        self.targets.put(target.key, target)
        return {}

    @operation("UntagResource")
    def untag_resource(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        target = self._by_arn(scope, params["ResourceARN"])
        for key in params["TagKeys"]:
            target.tags.pop(key, None)
        self.targets.put(target.key, target)
        return {}

    @operation("ListTagsForResource")
    def list_tags_for_resource(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        return {"Tags": self._by_arn(scope, params["ResourceARN"]).tags}

    def _by_arn(self, scope: Scope, arn: str) -> ScalableTarget:
        del scope
        for target in self.targets.values():
            if target.arn == arn:
                return target
        raise ResourceNotFound(f"The resource {arn} was not found.")

    def target(self, scope: Scope, params: dict[str, Any]) -> ScalableTarget:
        """Return the scalable target that an operation's parameters name.

        Raises:
            AwsError: ObjectNotFoundException, there is none.
        """
        target = self.targets.get(_key(scope, params))
        if target is None:
            raise AwsError(
                "ObjectNotFoundException",
                f"No scalable target found for service namespace: {params['ServiceNamespace']}, "
                f"resource ID: {params['ResourceId']}, scalable dimension: "
                f"{params['ScalableDimension']}",
            )
        return target

    def _policy(self, target: ScalableTarget, name: str) -> ScalingPolicy | None:
        for policy in self.policies.values():
            if policy.target == target.key and policy.name == name:
                return policy
        return None

    async def _require_variant(self, scope: Scope, resource_id: str) -> None:
        endpoint, variant = names_of(resource_id)
        try:
            answer = await self._cloud.api(
                scope, "sagemaker", "describe_endpoint", EndpointName=endpoint
            )
        except Exception as error:
            raise ValidationError(f"The resource {resource_id} does not exist: {error}") from None
        names = [v["VariantName"] for v in answer.get("ProductionVariants", [])]
        if variant not in names:
            raise ValidationError(
                f"The endpoint {endpoint} has no variant {variant}; it has: "
                f"{', '.join(names) or 'none yet'}."
            )

    async def _put_alarms(
        self, scope: Scope, target: ScalableTarget, policy: ScalingPolicy
    ) -> list[dict[str, str]]:
        alarms = []
        value = policy.configuration["TargetValue"]
        for side, operator, threshold, periods in (
            ("AlarmHigh", "GreaterThanThreshold", value, _HIGH_PERIODS),
            ("AlarmLow", "LessThanThreshold", value * _LOW_FRACTION, _LOW_PERIODS),
        ):
            name = f"TargetTracking-{target.resource_id}-{side}-{uuid.uuid4()}"
            await self._cloud.api(
                scope,
                "cloudwatch",
                "put_metric_alarm",
                AlarmName=name,
                AlarmDescription=f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy "
                f"{policy.arn}.",
                AlarmActions=[policy.arn],
                ComparisonOperator=operator,
                Threshold=threshold,
                EvaluationPeriods=periods,
                Period=60,
                **_metric(target, policy.configuration),
            )
            alarms.append({"AlarmName": name, "AlarmARN": scope.arn("cloudwatch", f"alarm:{name}")})
        return alarms

    async def _drop_alarms(self, scope: Scope, policy: ScalingPolicy) -> None:
        if policy.alarms:
            await self._cloud.api(
                scope,
                "cloudwatch",
                "delete_alarms",
                AlarmNames=[alarm["AlarmName"] for alarm in policy.alarms],
            )

    async def _drop_policy(self, scope: Scope, policy: ScalingPolicy) -> None:
        await self._drop_alarms(scope, policy)
        self.policies.delete(policy.arn)


def _key(scope: Scope, params: dict[str, Any]) -> str:
    namespace, dimension = params["ServiceNamespace"], params["ScalableDimension"]
    if namespace != "sagemaker" or dimension != DIMENSION:
        raise ValidationError(
            f"Service namespace {namespace} with dimension {dimension} is not supported locally; "
            f"use sagemaker with {DIMENSION}."
        )
    if not _RESOURCE.fullmatch(params["ResourceId"]):
        raise ValidationError(
            f"ResourceId '{params['ResourceId']}' must look like endpoint/NAME/variant/NAME."
        )
    return target_key(scope.account, scope.region, namespace, params["ResourceId"], dimension)


def _metric(target: ScalableTarget, configuration: dict[str, Any]) -> dict[str, Any]:
    """Return the alarm's metric: the predefined one of variants, or a customized one."""
    predefined = configuration.get("PredefinedMetricSpecification")
    if predefined is not None:
        kind = predefined["PredefinedMetricType"]
        if kind != "SageMakerVariantInvocationsPerInstance":
            raise ValidationError(
                f"PredefinedMetricType {kind} is not supported for SageMaker variants; use "
                "SageMakerVariantInvocationsPerInstance."
            )
        endpoint, variant = names_of(target.resource_id)
        return {
            "Namespace": "AWS/SageMaker",
            "MetricName": "InvocationsPerInstance",
            "Statistic": "Sum",
            "Dimensions": [
                {"Name": "EndpointName", "Value": endpoint},
                {"Name": "VariantName", "Value": variant},
            ],
        }
    customized = configuration.get("CustomizedMetricSpecification")
    if customized is None or "MetricName" not in customized:
        raise ValidationError(
            "The configuration needs a PredefinedMetricSpecification, or a "
            "CustomizedMetricSpecification of one metric."
        )
    return {
        key: customized[key]
        for key in ("Namespace", "MetricName", "Statistic", "Dimensions", "Unit")
        if key in customized
    }
