"""The rules between settings: which values do not go together.

Each rule takes the settings, however wrong single values were, and returns its problems.
Pure. Must not: read configuration, check a single setting.
"""

from collections.abc import Iterator

from components.setting_kinds import Problem
from components.settings import (
    Encryption,
    EndpointSettings,
    Environment,
    ScalingSettings,
    StackSettings,
    TrafficShifting,
    UpdateSettings,
)

# SageMaker's longest update (MaximumExecutionTimeoutInSeconds), less half an hour for the fleet.
LONGEST_BAKE_SECONDS = 28_800 - 1_800
_STEP_PERCENT = {TrafficShifting.CANARY: (1, 50), TrafficShifting.LINEAR: (10, 50)}


def problems_between(settings: StackSettings) -> Iterator[Problem]:
    """Yield every problem between two settings."""
    yield from _ownership(settings)
    if settings.endpoint.scaling is not None:
        yield from _scaling(settings.endpoint, settings.endpoint.scaling)
    yield from _update(settings.endpoint.update)
    yield from _accounts(settings)


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
    if endpoint.instance_type.startswith(("ml.t2.", "ml.t3.")):
        yield Problem(
            "instanceType",
            endpoint.instance_type,
            "a type that SageMaker can scale; it cannot scale burstable ones",
            "use ml.m5.large, or set scaling to false",
        )


def _update(update: UpdateSettings) -> Iterator[Problem]:
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
