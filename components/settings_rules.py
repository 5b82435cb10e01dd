"""The rules between settings: which values do not go together.

Each rule takes the settings, however wrong single values were, and returns its problems.
Pure. Must not: read configuration, check a single setting.
"""

import difflib
import re
from collections.abc import Iterator

from components.instance_types import (
    hosting_types,
    is_arm,
    is_burstable,
    processing_types,
    training_types,
)
from components.setting_kinds import Problem
from components.settings import (
    INSTANCE_TYPE,
    DeliverySettings,
    Encryption,
    EndpointSettings,
    Environment,
    ExecutionMode,
    NetworkSettings,
    PromotionGate,
    RetrainOn,
    ScalingSettings,
    StackSettings,
    TrafficShifting,
)

# SageMaker's longest update (MaximumExecutionTimeoutInSeconds), less half an hour for the fleet.
LONGEST_BAKE_SECONDS = 28_800 - 1_800
# The rollback alarms need two points of three minutes.
SHORTEST_BAKE_SECONDS = 180
# An action that invokes a function ends after 24 hours, which include the start of the job.
LONGEST_TRAINING_SECONDS = 82_800
_USES = {
    "instanceType": "hosts endpoints on",
    "trainingInstanceType": "trains on",
    "monitorInstanceType": "runs processing jobs on",
}
_STEP_PERCENT = {TrafficShifting.CANARY: (1, 50), TrafficShifting.LINEAR: (10, 50)}


def problems_between(settings: StackSettings) -> Iterator[Problem]:
    """Yield every problem between two settings."""
    yield from _ownership(settings)
    if settings.endpoint.scaling is not None:
        yield from _scaling(settings.endpoint, settings.endpoint.scaling)
    yield from _update(settings.endpoint)
    yield from _instances(settings)
    yield from _delivery(settings)
    yield from _retraining(settings.delivery)
    yield from _source(settings)
    yield from _accounts(settings)
    yield from _network(settings.network)


def _network(network: NetworkSettings) -> Iterator[Problem]:
    parts = {"vpcSubnets": network.subnets, "vpcSecurityGroups": network.security_groups}
    for key, other in (tuple(parts), tuple(reversed(parts))):
        if parts[key] and not parts[other]:
            yield Problem(
                other,
                "[]",
                f"at least one id if {key} has any",
                f"set {other}, or leave {key} empty",
            )


def _ownership(settings: StackSettings) -> Iterator[Problem]:
    budget = settings.ownership.monthly_budget_usd
    if budget and settings.ownership.notification_email is None:
        yield Problem(
            "monthlyBudgetUsd",
            budget,
            "0 unless notificationEmail is set",
            "set notificationEmail, or leave the budget out",
        )


def _scaling(endpoint: EndpointSettings, scaling: ScalingSettings) -> Iterator[Problem]:
    low, high = scaling.min_instance_count, scaling.max_instance_count
    if low > high:
        yield Problem(
            "minInstanceCount",
            low,
            f"at most maxInstanceCount ({high})",
            "lower minInstanceCount, or raise maxInstanceCount",
        )
    elif not low <= endpoint.initial_instance_count <= high:
        yield Problem(
            "initialInstanceCount",
            endpoint.initial_instance_count,
            f"{low} to {high} if scaling is on",
            f"set it to {low}",
        )
    if is_burstable(endpoint.instance_type):
        yield Problem(
            "instanceType",
            endpoint.instance_type,
            "a type that SageMaker can scale; it cannot scale burstable ones",
            "use ml.m5.large, or set scaling to false",
        )


def _instances(settings: StackSettings) -> Iterator[Problem]:
    used = [("instanceType", settings.endpoint.instance_type, hosting_types())]
    if settings.endpoint.monitored:
        used.append(
            ("monitorInstanceType", settings.endpoint.monitor.instance_type, processing_types())
        )
    if settings.environment is Environment.DEV:
        training = settings.delivery.training.instance_type
        used.append(("trainingInstanceType", training, training_types()))
    for key, instance_type, known in used:
        if not re.fullmatch(INSTANCE_TYPE, instance_type):
            continue  # which the setting itself has reported
        if instance_type not in known:
            near = difflib.get_close_matches(instance_type, known, n=1)
            yield Problem(
                key,
                instance_type,
                f"one of the {len(known)} types that SageMaker {_USES[key]}",
                f"use {near[0] if near else 'ml.m5.large'}",
            )
    # SageMaker neither trains nor processes on Arm, so only an endpoint can have such a type. What
    # production has is compared in `production_stack.py`.
    endpoint, delivery = settings.endpoint, settings.delivery
    delivers = settings.environment is Environment.DEV
    if delivers and is_arm(endpoint.instance_type) and not delivery.arm64_image:
        yield Problem(
            "instanceType",
            endpoint.instance_type,
            "a type with an x86 processor unless arm64Image is true",
            "set arm64Image to true, or use ml.m7i.large",
        )


def _delivery(settings: StackSettings) -> Iterator[Problem]:
    delivery = settings.delivery
    if delivery.execution_mode is ExecutionMode.PARALLEL:
        yield Problem(
            "executionMode",
            delivery.execution_mode.value,
            "SUPERSEDED or QUEUED, because executions in parallel would update one stack",
            "set executionMode to QUEUED",
        )
    if delivery.training.max_runtime_seconds > LONGEST_TRAINING_SECONDS:
        yield Problem(
            "trainingMaxRuntimeSeconds",
            delivery.training.max_runtime_seconds,
            f"at most {LONGEST_TRAINING_SECONDS}; CodePipeline waits for 24 hours, which include "
            "the start of the job",
            f"set it to {LONGEST_TRAINING_SECONDS}",
        )


def _retraining(delivery: DeliverySettings) -> Iterator[Problem]:
    retraining = delivery.retraining
    if retraining.on is RetrainOn.NEVER:
        return
    if delivery.promotion_gate is PromotionGate.OFF:
        yield Problem(
            "promotionGate",
            delivery.promotion_gate.value,
            f"block or warn if retrainOn is {retraining.on}; the evaluation says whether a "
            "retrained model is better",
            "set promotionGate to block, or retrainOn to never",
        )
    if retraining.on is RetrainOn.DRIFT and delivery.production_stack is None:
        yield Problem(
            "retrainOn",
            retraining.on.value,
            "schedule or never without a productionStack, whose monitor notices drift",
            "set productionStack, or retrainOn to schedule",
        )
    if retraining.on is RetrainOn.DRIFT and delivery.production_account is not None:
        yield Problem(
            "retrainOn",
            retraining.on.value,
            "schedule or never with a productionAccount, whose alarms stay in that account",
            "set retrainOn to schedule",
        )


def _source(settings: StackSettings) -> Iterator[Problem]:
    delivery = settings.delivery
    parts = {
        "sourceRepository": delivery.source_repository,
        "sourceConnectionArn": delivery.source_connection_arn,
    }
    for key, other in (tuple(parts), tuple(reversed(parts))):
        if parts[key] is not None and parts[other] is None:
            yield Problem(
                other,
                "",
                f"not empty if {key} is set",
                f"set {other}, or leave {key} empty",
            )
    if delivery.source_approvals and delivery.source_repository is not None:
        yield Problem(
            "sourceApprovals",
            delivery.source_approvals,
            "0 with a sourceRepository, whose provider has rules of its own",
            "set it to 0, and protect the branch at the provider",
        )


def _update(endpoint: EndpointSettings) -> Iterator[Problem]:
    update, scaling = endpoint.update, endpoint.scaling
    in_steps = update.traffic_shifting is not TrafficShifting.ALL_AT_ONCE
    if (in_steps or update.bake_seconds) and update.bake_seconds < SHORTEST_BAKE_SECONDS:
        yield Problem(
            "bakeSeconds",
            update.bake_seconds,
            f"at least {SHORTEST_BAKE_SECONDS}, because the rollback alarms need three minutes",
            "set it to 300" + ("" if in_steps else ", or to 0, which watches no alarms"),
        )
    key = "minInstanceCount" if scaling is not None else "initialInstanceCount"
    fewest = scaling.min_instance_count if scaling is not None else endpoint.initial_instance_count
    if in_steps and fewest < 2:
        yield Problem(
            key,
            fewest,
            f"at least 2 if trafficShifting is {update.traffic_shifting}; half of the fleet at "
            "most gets the first traffic",
            f"set {key} to 2, or trafficShifting to ALL_AT_ONCE",
        )
    low, high = _STEP_PERCENT.get(update.traffic_shifting, (1, 50))
    if not low <= update.step_percent <= high:
        yield Problem(
            "trafficStepPercent",
            update.step_percent,
            f"{low} to {high} if trafficShifting is {update.traffic_shifting}",
            f"set it to {low}",
        )
    elif update.steps * update.bake_seconds > LONGEST_BAKE_SECONDS:
        yield Problem(
            "bakeSeconds",
            update.bake_seconds,
            f"at most {LONGEST_BAKE_SECONDS // update.steps} with {update.steps} steps of traffic",
            "lower bakeSeconds, or raise trafficStepPercent",
        )


def _accounts(settings: StackSettings) -> Iterator[Problem]:
    delivery = settings.delivery
    if settings.environment is Environment.PRD:
        for key, value in (
            ("productionStack", delivery.production_stack),
            ("productionAccount", delivery.production_account),
        ):
            if value is not None:
                yield Problem(
                    key,
                    value,
                    "empty if environment is prd, which delivers to no other stack",
                    "remove it, or set environment to dev",
                )
        account = settings.delivery_account
    else:
        account = delivery.production_account
        if settings.delivery_account is not None:
            yield Problem(
                "deliveryAccount",
                settings.delivery_account,
                "empty if environment is dev, which delivers from its own account",
                "remove it, or set environment to prd",
            )
        if account is not None and delivery.production_stack is None:
            yield Problem(
                "productionAccount",
                account,
                "empty without a productionStack",
                "set productionStack, or remove productionAccount",
            )
    # S3's own key cannot be shared with another account.
    if account is not None and settings.safety.encryption is not Encryption.KMS:
        yield Problem(
            "encryption",
            settings.safety.encryption.value,
            "aws:kms if two accounts share the artifacts",
            "set encryption to aws:kms in both stacks",
        )
