"""The operations of Application Auto Scaling on policies, and the alarms of target tracking.

Source: https://docs.aws.amazon.com/autoscaling/application/APIReference/API_PutScalingPolicy.html
Differs: refuses predictive scaling.
"""

from __future__ import annotations

import uuid
from typing import Any

from localcloud.autoscaling.api import INVALID_TOKEN, AutoScalingApi
from localcloud.autoscaling.decision import (
    CONCURRENT_REQUESTS,
    INVOCATIONS,
    LOW_FRACTION,
    alarm_periods,
    metric_of,
)
from localcloud.autoscaling.engine import names_of, steps_of
from localcloud.autoscaling.model import ScalableTarget, ScalingPolicy
from localcloud.autoscaling.steps import check_steps
from localcloud.aws.errors import AwsError, ValidationError
from localcloud.aws.pagination import page
from localcloud.aws.protocol import operation
from localcloud.aws.routing import Scope
from localcloud.cloudwatch.metric_math import ExpressionError, evaluate
from localcloud.service_context import ServiceContext

_PAGE = 10
# The metric of each predefined type, and its statistic.
_PREDEFINED = {
    INVOCATIONS: ("InvocationsPerInstance", "Sum"),
    CONCURRENT_REQUESTS: ("ConcurrentRequestsPerModel", "Maximum"),
}
_CONFIGURATIONS = {
    "TargetTrackingScaling": "TargetTrackingScalingPolicyConfiguration",
    "StepScaling": "StepScalingPolicyConfiguration",
}


class PoliciesApi:
    """Scaling policies."""

    def __init__(self, context: ServiceContext, targets: AutoScalingApi) -> None:
        self._context = context
        self._targets = targets
        self._policies = targets.policies
        targets.on_deregister.append(self._forget)

    @operation("PutScalingPolicy")
    async def put_scaling_policy(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        target = self._targets.target(scope, params)
        existing = self._policy(target, params["PolicyName"])
        kind = params.get("PolicyType") or (existing.type if existing else None)
        if kind is None:
            raise ValidationError("PolicyType must be given for a new policy.")
        if kind not in _CONFIGURATIONS:
            raise ValidationError(
                f"PolicyType {kind} is not supported locally; it must be one of: "
                f"{', '.join(_CONFIGURATIONS)}."
            )
        if existing is not None and existing.type != kind:
            raise ValidationError(
                f"The policy {existing.name} is of the type {existing.type}, which cannot change."
            )
        configuration = params.get(_CONFIGURATIONS[kind])
        others = [n for k, n in _CONFIGURATIONS.items() if k != kind and params.get(n) is not None]
        if configuration is None or others:
            raise ValidationError(
                f"A policy of the type {kind} takes {_CONFIGURATIONS[kind]} only."
            )
        _check(target, kind, configuration)
        if kind == "TargetTrackingScaling":
            self._refuse_same_metric(target, params["PolicyName"], configuration)
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
            created=self._context.clock.now(),
            type=kind,
        )
        await self._drop_alarms(scope, policy)
        policy.configuration, policy.alarms = configuration, []
        if kind == "TargetTrackingScaling":
            policy.alarms = await self._put_alarms(scope, target, policy)
        self._policies.put(policy.arn, policy)
        return {"PolicyARN": policy.arn, "Alarms": policy.alarms}

    def _refuse_same_metric(
        self, target: ScalableTarget, name: str, configuration: dict[str, Any]
    ) -> None:
        """Check that no other policy of a target tracks the same metric.

        Raises:
            ValidationError: one does: the two would ask for different capacities.
        """
        metric = _metric(target, configuration)
        for policy in self._policies.values():
            tracks = policy.target == target.key and policy.type == "TargetTrackingScaling"
            if tracks and policy.name != name and _metric(target, policy.configuration) == metric:
                raise ValidationError(
                    "Only one TargetTrackingScaling policy for a given metric specification is "
                    "allowed."
                )

    @operation("DeleteScalingPolicy")
    async def delete_scaling_policy(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        target = self._targets.target(scope, params)
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
        for policy in self._policies.values():
            target = self._targets.targets.get(policy.target)
            if (
                target is None
                or (target.account, target.region) != (scope.account, scope.region)
                or target.service_namespace != params["ServiceNamespace"]
                or params.get("ResourceId") not in (None, target.resource_id)
                or params.get("ScalableDimension") not in (None, target.scalable_dimension)
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
                    "PolicyType": policy.type,
                    _CONFIGURATIONS[policy.type]: policy.configuration,
                    "Alarms": policy.alarms,
                    "CreationTime": policy.created,
                }
            )
        shown, token = page(
            found,
            lambda policy: str(policy["PolicyARN"]),
            params.get("NextToken"),
            min(params.get("MaxResults") or _PAGE, _PAGE),
            INVALID_TOKEN,
        )
        return {"ScalingPolicies": shown, "NextToken": token}

    def _policy(self, target: ScalableTarget, name: str) -> ScalingPolicy | None:
        for policy in self._policies.values():
            if policy.target == target.key and policy.name == name:
                return policy
        return None

    async def _put_alarms(
        self, scope: Scope, target: ScalableTarget, policy: ScalingPolicy
    ) -> list[dict[str, str]]:
        alarms = []
        value = policy.configuration["TargetValue"]
        periods_of = alarm_periods(metric_of(policy.configuration))
        sides = [
            ("AlarmHigh", "GreaterThanThreshold", value, periods_of.high),
            ("AlarmLow", "LessThanThreshold", value * LOW_FRACTION, periods_of.low),
        ]
        for side, operator, threshold, periods in sides:
            name = f"TargetTracking-{target.resource_id}-{side}-{uuid.uuid4()}"
            await self._context.api(
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
                **_metric(target, policy.configuration),
            )
            alarms.append({"AlarmName": name, "AlarmARN": scope.arn("cloudwatch", f"alarm:{name}")})
        return alarms

    async def _drop_alarms(self, scope: Scope, policy: ScalingPolicy) -> None:
        if policy.alarms:
            await self._context.api(
                scope,
                "cloudwatch",
                "delete_alarms",
                AlarmNames=[alarm["AlarmName"] for alarm in policy.alarms],
            )

    async def _drop_policy(self, scope: Scope, policy: ScalingPolicy) -> None:
        await self._drop_alarms(scope, policy)
        self._policies.delete(policy.arn)

    async def _forget(self, target: ScalableTarget) -> None:
        for policy in self._policies.values():
            if policy.target == target.key:
                await self._drop_policy(Scope(target.account, target.region), policy)


def _check(target: ScalableTarget, kind: str, configuration: dict[str, Any]) -> None:
    """Refuse an invalid configuration.

    Raises:
        ValidationError: names the first problem.
    """
    if kind == "StepScaling":
        if "AdjustmentType" not in configuration:
            raise ValidationError("AdjustmentType must be given.")
        problem = check_steps(steps_of(configuration))
        if problem is not None:
            raise ValidationError(f"StepAdjustments: {problem}.")
        percent = configuration["AdjustmentType"] == "PercentChangeInCapacity"
        if "MinAdjustmentMagnitude" in configuration and not percent:
            raise ValidationError("MinAdjustmentMagnitude requires PercentChangeInCapacity.")
        return
    if configuration["TargetValue"] <= 0:
        raise ValidationError(
            f"TargetValue is {configuration['TargetValue']}; it must be greater than 0."
        )
    _metric(target, configuration)


def _metric(target: ScalableTarget, configuration: dict[str, Any]) -> dict[str, Any]:
    """Return the alarm's metric: the predefined one of variants, or a customized one."""
    predefined = configuration.get("PredefinedMetricSpecification")
    if predefined is not None:
        kind = predefined["PredefinedMetricType"]
        if kind not in _PREDEFINED:
            raise ValidationError(
                f"PredefinedMetricType {kind} is not supported for SageMaker variants; use "
                f"{' or '.join(_PREDEFINED)}."
            )
        endpoint, variant = names_of(target.resource_id)
        name, statistic = _PREDEFINED[kind]
        return {
            "Namespace": "AWS/SageMaker",
            "MetricName": name,
            "Statistic": statistic,
            "Period": alarm_periods(kind).seconds,
            "Dimensions": [
                {"Name": "EndpointName", "Value": endpoint},
                {"Name": "VariantName", "Value": variant},
            ],
        }
    customized = configuration.get("CustomizedMetricSpecification") or {}
    if customized.get("Metrics"):
        return {"Metrics": _queries(customized["Metrics"])}
    if not {"MetricName", "Namespace", "Statistic"} <= customized.keys():
        raise ValidationError(
            "The configuration needs a PredefinedMetricSpecification, or a "
            "CustomizedMetricSpecification of one metric, with its namespace and statistic, or of "
            "Metrics."
        )
    names = ("Namespace", "MetricName", "Statistic", "Dimensions", "Unit")
    return {"Period": 60} | {key: customized[key] for key in names if key in customized}


def _queries(metrics: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return metric math in the form of an alarm, with a period of a minute.

    Raises:
        ValidationError: the local cloud cannot evaluate an expression.
    """
    ids = {query["Id"]: 1.0 for query in metrics if "MetricStat" in query}
    found = []
    for query in metrics:
        made = dict(query)
        if "Expression" in query:
            try:
                evaluate(query["Expression"], ids)
            except ExpressionError as error:
                raise ValidationError(f"Metrics: {query['Id']}: {error}.") from None
        if "MetricStat" in query:
            made["MetricStat"] = {**query["MetricStat"], "Period": 60}
        found.append(made)
    return found
