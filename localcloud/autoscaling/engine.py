"""The engine of scaling: from an alarm to a decision, a change of the variant and an activity."""

from __future__ import annotations

import asyncio
import logging
import uuid
from typing import Any

from localcloud.autoscaling.decision import (
    Direction,
    LastChange,
    NotScaled,
    TargetTracking,
    decide,
)
from localcloud.autoscaling.model import Activity, ScalableTarget, ScalingPolicy
from localcloud.autoscaling.steps import Step, StepScaling, decide_step
from localcloud.aws.routing import Scope
from localcloud.core.store import Collection
from localcloud.service_context import ServiceContext

log = logging.getLogger("localcloud.autoscaling")

_POLL_CLOCK_SECONDS = 3.0
# New limits wait so long for a change that is in progress: twenty minutes.
_ENFORCE_POLLS = 400
# The reasons for which AWS has a code; it reports no other reason.
_NOT_SCALED_SHOWN = (
    NotScaled.AT_MAXIMUM,
    NotScaled.AT_MINIMUM,
    NotScaled.FLAPPING,
    NotScaled.NOT_NEEDED,
)


class ScalingEngine:
    """Changes the desired instance count of variants."""

    def __init__(
        self,
        context: ServiceContext,
        targets: Collection[ScalableTarget],
        policies: Collection[ScalingPolicy],
        activities: Collection[Activity],
    ) -> None:
        self._context = context
        self._targets = targets
        self._policies = policies
        self._activities = activities
        self._busy: set[str] = set()

    async def on_alarm(
        self, policy_arn: str, alarm_name: str, metric: float | None, threshold: float
    ) -> None:
        """React to a policy's alarm; called once a minute while it is in ALARM.

        Returns when the change of the variant has been requested, or when there is none. So an
        evaluation of the alarms includes its decisions, and advancing the clock does not pass them.
        """
        policy = self._policies.get(policy_arn)
        target = self._targets.get(policy.target) if policy is not None else None
        if policy is None or target is None or target.key in self._busy:
            return
        self._busy.add(target.key)
        requested = asyncio.Event()
        self._context.spawn(
            f"scale {target.resource_id}",
            self._react(target, policy, alarm_name, metric, threshold, requested),
        )
        await requested.wait()

    def enforce_limits(self, target: ScalableTarget, cause: str = "") -> None:
        """Move a target's capacity into its new limits; `cause` goes into the activity."""
        self._context.spawn(f"limits {target.resource_id}", self._enforce(target, cause))

    async def _react(
        self,
        target: ScalableTarget,
        policy: ScalingPolicy,
        alarm_name: str,
        metric: float | None,
        threshold: float,
        requested: asyncio.Event,
    ) -> None:
        try:
            variant = await self._variant(target)
            if variant is None:
                return
            now = self._context.clock.now()
            last = (
                LastChange(policy.last_direction, policy.last_change)
                if policy.last_direction and policy.last_change
                else None
            )
            capacity = variant["DesiredInstanceCount"]
            if policy.type == "StepScaling":
                distance = None if metric is None else metric - threshold
                decision = decide_step(
                    stepping_of(policy, target), capacity, distance, last, policy.last_base, now
                )
            else:
                direction = Direction.OUT if "AlarmHigh" in alarm_name else Direction.IN
                tracking = tracking_of(policy, target)
                decision = decide(tracking, direction, capacity, metric, last, now)
            cause = f"monitor alarm {alarm_name} in state ALARM triggered policy {policy.name}"
            if decision.not_scaled is not None:
                self._note_not_scaled(target, decision.not_scaled, capacity, cause)
                return
            direction = Direction.OUT if decision.capacity > capacity else Direction.IN
            side = "Out" if direction is Direction.OUT else "In"
            if target.suspended.get(f"DynamicScaling{side}Suspended"):
                return
            policy.last_direction, policy.last_change = direction, now
            policy.last_base = capacity
            self._policies.put(policy.arn, policy)
            await self._set_capacity(target, decision.capacity, cause, requested)
        finally:
            self._busy.discard(target.key)
            requested.set()

    async def _enforce(self, target: ScalableTarget, cause: str) -> None:
        variant = await self._variant(target)
        for _ in range(_ENFORCE_POLLS):
            if variant is not None:
                break
            # A change is in progress; the limits hold after it, too.
            await self._context.clock.sleep(_POLL_CLOCK_SECONDS)
            current = self._targets.get(target.key)
            if current is None:
                return
            target, variant = current, await self._variant(current)
        if variant is None:
            return
        capacity = variant["DesiredInstanceCount"]
        if capacity < target.minimum:
            reason = cause or f"minimum capacity was set to {target.minimum}"
            await self._set_capacity(target, target.minimum, reason, asyncio.Event())
        elif capacity > target.maximum:
            reason = cause or f"maximum capacity was set to {target.maximum}"
            await self._set_capacity(target, target.maximum, reason, asyncio.Event())

    async def _variant(self, target: ScalableTarget) -> dict[str, Any] | None:
        """Return the variant from DescribeEndpoint, or None while it cannot be scaled."""
        endpoint, variant_name = names_of(target.resource_id)
        try:
            answer = await self._context.api(
                _scope(target), "sagemaker", "describe_endpoint", EndpointName=endpoint
            )
        except Exception as error:
            log.info("%s cannot be scaled: %s", target.resource_id, error)
            return None
        if answer["EndpointStatus"] != "InService":
            return None
        variants: list[dict[str, Any]] = answer["ProductionVariants"]
        return next((v for v in variants if v["VariantName"] == variant_name), None)

    async def _set_capacity(
        self, target: ScalableTarget, capacity: int, cause: str, requested: asyncio.Event
    ) -> None:
        """Request a capacity, set the event, and record when the change is fulfilled."""
        endpoint, variant = names_of(target.resource_id)
        activity = Activity(
            id=str(uuid.uuid4()),
            target=target.key,
            description=f"Setting desired instance count to {capacity}.",
            cause=cause,
            started=self._context.clock.now(),
            status="InProgress",
            status_message=f"Successfully set desired instance count to {capacity}. "
            "Waiting for change to be fulfilled by sagemaker.",
        )
        self._activities.put(activity.id, activity)
        log.info("%s: %s (%s)", target.resource_id, activity.description, cause)
        try:
            await self._context.api(
                _scope(target),
                "sagemaker",
                "update_endpoint_weights_and_capacities",
                EndpointName=endpoint,
                DesiredWeightsAndCapacities=[
                    {"VariantName": variant, "DesiredInstanceCount": capacity}
                ],
            )
            requested.set()
            while True:
                found = await self._variant(target)
                if found is not None:
                    break
                await self._context.clock.sleep(_POLL_CLOCK_SECONDS)
            if found["CurrentInstanceCount"] == capacity:
                activity.status = "Successful"
                activity.status_message = (
                    f"Successfully set desired instance count to {capacity}. "
                    "Change successfully fulfilled by sagemaker."
                )
            else:
                activity.status = "Unfulfilled"
                activity.status_message = (
                    f"The variant has {found['CurrentInstanceCount']} instances."
                )
        except asyncio.CancelledError:
            raise
        except Exception as error:
            activity.status, activity.status_message = "Failed", str(error)
        activity.ended = self._context.clock.now()
        self._activities.put(activity.id, activity)

    def _note_not_scaled(
        self, target: ScalableTarget, reason: NotScaled, capacity: int, cause: str
    ) -> None:
        """Record one activity for a run of equal reasons, for IncludeNotScaledActivities."""
        if reason not in _NOT_SCALED_SHOWN:
            return
        mine = [a for a in self._activities.values() if a.target == target.key]
        latest = max(mine, key=lambda a: a.started, default=None)
        if latest is not None and [r["Code"] for r in latest.not_scaled] == [reason.value]:
            return
        now = self._context.clock.now()
        activity = Activity(
            id=str(uuid.uuid4()),
            target=target.key,
            description="Attempting to scale due to alarm triggered",
            cause=cause,
            started=now,
            ended=now,
            status="Unfulfilled",
            not_scaled=[
                {
                    "Code": reason.value,
                    "MaxCapacity": target.maximum,
                    "MinCapacity": target.minimum,
                    "CurrentCapacity": capacity,
                }
            ],
        )
        self._activities.put(activity.id, activity)


def names_of(resource_id: str) -> tuple[str, str]:
    """Return endpoint and variant of `endpoint/<name>/variant/<name>`."""
    _, endpoint, _, variant = resource_id.split("/")
    return endpoint, variant


def steps_of(configuration: dict[str, Any]) -> tuple[Step, ...]:
    """Return the steps of a step scaling configuration."""
    return tuple(
        Step(
            step.get("MetricIntervalLowerBound"),
            step.get("MetricIntervalUpperBound"),
            step["ScalingAdjustment"],
        )
        for step in configuration.get("StepAdjustments") or []
    )


def stepping_of(policy: ScalingPolicy, target: ScalableTarget) -> StepScaling:
    """Return the policy in the form that `steps.py` takes."""
    configuration = policy.configuration
    return StepScaling(
        adjustment_type=configuration["AdjustmentType"],
        steps=steps_of(configuration),
        minimum=target.minimum,
        maximum=target.maximum,
        least_change=configuration.get("MinAdjustmentMagnitude", 1),
        cooldown_seconds=configuration.get("Cooldown", 300),
    )


def tracking_of(policy: ScalingPolicy, target: ScalableTarget) -> TargetTracking:
    """Return the policy in the form that `decision.py` takes."""
    configuration = policy.configuration
    return TargetTracking(
        target_value=configuration["TargetValue"],
        minimum=target.minimum,
        maximum=target.maximum,
        scale_out_cooldown_seconds=configuration.get("ScaleOutCooldown", 300),
        scale_in_cooldown_seconds=configuration.get("ScaleInCooldown", 300),
        scale_in_disabled=configuration.get("DisableScaleIn", False),
    )


def _scope(target: ScalableTarget) -> Scope:
    return Scope(target.account, target.region)
