"""The operations of Application Auto Scaling on targets, and its activities.

Source: https://docs.aws.amazon.com/autoscaling/application/APIReference/API_Operations.html
Differs: supports SageMaker variants only, and refuses predictive scaling.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from localcloud.autoscaling.engine import ScalingEngine, names_of
from localcloud.autoscaling.model import Activity, ScalableTarget, ScalingPolicy, target_key
from localcloud.aws.errors import AwsError, ResourceNotFound, ValidationError
from localcloud.aws.pagination import page
from localcloud.aws.protocol import operation
from localcloud.aws.routing import Scope
from localcloud.core.store import Collection
from localcloud.service_context import ServiceContext

DIMENSION = "sagemaker:variant:DesiredInstanceCount"
_RESOURCE = re.compile(r"endpoint/[a-zA-Z0-9-]+/variant/[a-zA-Z0-9-]+")
_PAGE = 50
INVALID_TOKEN = "InvalidNextTokenException"  # noqa: S105 - an error code


class AutoScalingApi:
    """Scalable targets, their tags and activities."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self.targets = Collection(context.database, "autoscaling-target", ScalableTarget)
        self.policies = Collection(context.database, "autoscaling-policy", ScalingPolicy)
        self.activities = Collection(context.database, "autoscaling-activity", Activity)
        # Called with a target when it is deregistered.
        self.on_deregister: list[Callable[[ScalableTarget], Awaitable[None]]] = []
        self.engine = ScalingEngine(context, self.targets, self.policies, self.activities)

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
                created=self._context.clock.now(),
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
        for forget in self.on_deregister:
            await forget(target)
        self.targets.delete(target.key)
        return {}

    @operation("DescribeScalableTargets")
    def describe_scalable_targets(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        wanted = params.get("ResourceIds")
        found = [
            target
            for target in self.targets.values()
            if (target.account, target.region) == (scope.account, scope.region)
            and target.service_namespace == params["ServiceNamespace"]
            and params.get("ScalableDimension") in (None, target.scalable_dimension)
            and (not wanted or target.resource_id in wanted)
        ]
        shown, token = page(
            found,
            lambda target: target.key,
            params.get("NextToken"),
            min(params.get("MaxResults") or _PAGE, _PAGE),
            INVALID_TOKEN,
        )
        described = [
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
            for t in shown
        ]
        return {"ScalableTargets": described, "NextToken": token}

    @operation("DescribeScalingActivities")
    def describe_scaling_activities(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        include_not_scaled = params.get("IncludeNotScaledActivities", False)
        found: list[dict[str, Any]] = []
        for activity in self.activities.values():
            account, region, namespace, resource, dimension = activity.target.split("|")
            if (
                (account, region) != (scope.account, scope.region)
                or namespace != params["ServiceNamespace"]
                or params.get("ResourceId") not in (None, resource)
                or params.get("ScalableDimension") not in (None, dimension)
                or (activity.not_scaled and not include_not_scaled)
            ):
                continue
            found.append(
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
        found.sort(key=lambda entry: entry["StartTime"], reverse=True)
        shown, token = page(
            found,
            lambda entry: str(entry["ActivityId"]),
            params.get("NextToken"),
            min(params.get("MaxResults") or _PAGE, _PAGE),
            INVALID_TOKEN,
        )
        return {"ScalingActivities": shown, "NextToken": token}

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
        """Return the scalable target that the parameters of an operation name.

        Raises:
            AwsError: ObjectNotFoundException: there is no such target.
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

    async def _require_variant(self, scope: Scope, resource_id: str) -> None:
        endpoint, variant = names_of(resource_id)
        try:
            answer = await self._context.api(
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
