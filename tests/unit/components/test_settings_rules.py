"""The rules between settings: each problem in full, and the last values that have none."""

from dataclasses import replace
from typing import Any

import pytest

from components.setting_kinds import Problem
from components.settings import (
    DeliverySettings,
    Encryption,
    EndpointSettings,
    Environment,
    ExecutionMode,
    NetworkSettings,
    OwnershipSettings,
    SafetySettings,
    ScalingSettings,
    StackSettings,
    TrafficShifting,
    TrainingSettings,
    UpdateSettings,
)
from components.settings_rules import problems_between

OWNERSHIP = OwnershipSettings("ml-platform", "research")
ENDPOINT = EndpointSettings("ml.m5.large", 2)
SETTINGS = StackSettings(
    stack="dev",
    environment=Environment.DEV,
    region="us-east-1",
    ownership=OWNERSHIP,
    safety=SafetySettings(),
    endpoint=ENDPOINT,
    delivery=DeliverySettings(),
)
ACCOUNT, STACK = "210987654321", "organization/mlops-lab/prd"


def problems(**changes: Any) -> list[Problem]:
    return list(problems_between(replace(SETTINGS, **changes)))


def scaled(low: int, initial: int, high: int, instance_type: str = "ml.m5.large") -> list[Problem]:
    endpoint = EndpointSettings(instance_type, initial, ScalingSettings(low, high))
    return problems(endpoint=endpoint)


def updated(shifting: TrafficShifting, percent: int, bake_seconds: int = 180) -> list[Problem]:
    update = UpdateSettings(shifting, percent, bake_seconds)
    return problems(endpoint=replace(ENDPOINT, update=update))


def test_the_defaults_go_together() -> None:
    assert problems() == []


def test_a_budget_needs_someone_to_notify() -> None:
    assert problems(ownership=replace(OWNERSHIP, monthly_budget_usd=1)) == [
        Problem(
            "monthlyBudgetUsd",
            1,
            "0 unless notificationEmail is set",
            "set notificationEmail, or leave the budget out",
        )
    ]
    notified = replace(OWNERSHIP, notification_email="ops@example.com")
    assert problems(ownership=replace(notified, monthly_budget_usd=1)) == []
    assert problems(ownership=notified) == []


def test_the_minimum_is_at_most_the_maximum() -> None:
    assert scaled(4, 9, 3) == [
        Problem(
            "minInstanceCount",
            4,
            "at most maxInstanceCount (3)",
            "lower minInstanceCount, or raise maxInstanceCount",
        )
    ]
    assert scaled(4, 4, 4) == []


@pytest.mark.parametrize("initial", [1, 6])
def test_the_initial_count_lies_between_the_limits(initial: int) -> None:
    assert scaled(2, initial, 5) == [
        Problem("initialInstanceCount", initial, "2 to 5 if scaling is on", "set it to 2")
    ]
    assert scaled(2, 2, 5) == scaled(2, 5, 5) == []


@pytest.mark.parametrize("instance_type", ["ml.t2.large", "ml.t2.medium"])
def test_burstable_instances_do_not_scale(instance_type: str) -> None:
    assert scaled(2, 2, 5, instance_type) == [
        Problem(
            "instanceType",
            instance_type,
            "a type that SageMaker can scale; it cannot scale burstable ones",
            "use ml.m5.large, or set scaling to false",
        )
    ]
    assert problems(endpoint=EndpointSettings(instance_type)) == []


@pytest.mark.parametrize(
    ("shifting", "low"),
    [
        (TrafficShifting.ALL_AT_ONCE, 1),
        (TrafficShifting.CANARY, 1),
        (TrafficShifting.LINEAR, 10),
    ],
)
def test_a_step_of_traffic_has_the_size_that_its_type_allows(
    shifting: TrafficShifting, low: int
) -> None:
    assert updated(shifting, low) == updated(shifting, 50) == []
    for percent in (low - 1, 51):
        assert updated(shifting, percent) == [
            Problem(
                "trafficStepPercent",
                percent,
                f"{low} to 50 if trafficShifting is {shifting.value}",
                f"set it to {low}",
            )
        ]


def test_all_steps_bake_within_sagemakers_longest_update() -> None:
    assert updated(TrafficShifting.LINEAR, 10, 2_700) == []
    assert updated(TrafficShifting.LINEAR, 10, 2_701) == [
        Problem(
            "bakeSeconds",
            2_701,
            "at most 2700 with 10 steps of traffic",
            "lower bakeSeconds, or raise trafficStepPercent",
        )
    ]
    # 27,000 seconds in 8 steps are 3,375 each.
    assert updated(TrafficShifting.LINEAR, 13, 3_376)[0].allowed.startswith("at most 3375 with 8 ")


CONNECTION = (
    "arn:aws:codeconnections:us-east-1:123456789012:connection/01234567-89ab-cdef-0123-456789abcdef"
)


@pytest.mark.parametrize(
    ("delivery", "missing", "given"),
    [
        (
            DeliverySettings(source_repository="org/repo"),
            "sourceConnectionArn",
            "sourceRepository",
        ),
        (
            DeliverySettings(source_connection_arn=CONNECTION),
            "sourceRepository",
            "sourceConnectionArn",
        ),
    ],
)
def test_a_source_repository_goes_with_its_connection(
    delivery: DeliverySettings, missing: str, given: str
) -> None:
    assert problems(delivery=delivery) == [
        Problem(
            missing,
            "",
            f"not empty if {given} is set",
            f"set {missing}, or leave {given} empty",
        )
    ]
    whole = DeliverySettings(source_repository="org/repo", source_connection_arn=CONNECTION)
    assert problems(delivery=whole) == []


def test_an_endpoint_on_arm_needs_an_image_for_arm64() -> None:
    arm = replace(ENDPOINT, instance_type="ml.c8g.large")
    assert problems(endpoint=arm) == [
        Problem(
            "instanceType",
            "ml.c8g.large",
            "a type with an x86 processor unless arm64Image is true",
            "set arm64Image to true, or use ml.m7i.large",
        )
    ]
    assert problems(endpoint=arm, delivery=DeliverySettings(arm64_image=True)) == []
    # The stack that builds the image compares it with production.
    assert problems(endpoint=arm, environment=Environment.PRD) == []


def test_approvals_are_codecommits() -> None:
    whole = DeliverySettings(
        source_repository="org/repo", source_connection_arn=CONNECTION, source_approvals=1
    )
    assert problems(delivery=whole) == [
        Problem(
            "sourceApprovals",
            1,
            "0 with a sourceRepository, whose provider has rules of its own",
            "set it to 0, and protect the branch at the provider",
        )
    ]
    assert problems(delivery=DeliverySettings(source_approvals=1)) == []


@pytest.mark.parametrize(
    ("key", "value", "delivery"),
    [
        ("productionStack", STACK, DeliverySettings(STACK)),
        ("productionAccount", ACCOUNT, DeliverySettings(None, ACCOUNT)),
    ],
)
def test_production_delivers_to_no_other_stack(
    key: str, value: str, delivery: DeliverySettings
) -> None:
    assert problems(environment=Environment.PRD, delivery=delivery) == [
        Problem(
            key,
            value,
            "empty if environment is prd, which delivers to no other stack",
            "remove it, or set environment to dev",
        )
    ]


def test_dev_delivers_from_its_own_account() -> None:
    assert problems(delivery_account=ACCOUNT) == [
        Problem(
            "deliveryAccount",
            ACCOUNT,
            "empty if environment is dev, which delivers from its own account",
            "remove it, or set environment to prd",
        )
    ]


def test_a_production_account_goes_with_its_stack() -> None:
    kms = SafetySettings(Encryption.KMS)
    assert problems(delivery=DeliverySettings(None, ACCOUNT), safety=kms) == [
        Problem(
            "productionAccount",
            ACCOUNT,
            "empty without a productionStack",
            "set productionStack, or remove productionAccount",
        )
    ]
    assert problems(delivery=DeliverySettings(STACK, ACCOUNT), safety=kms) == []
    assert problems(delivery=DeliverySettings(STACK)) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"delivery": DeliverySettings(STACK, ACCOUNT)},
        {"environment": Environment.PRD, "delivery_account": ACCOUNT},
    ],
)
def test_two_accounts_share_a_kms_key(changes: dict[str, Any]) -> None:
    assert problems(**changes) == [
        Problem(
            "encryption",
            "AES256",
            "aws:kms if two accounts share the artifacts",
            "set encryption to aws:kms in both stacks",
        )
    ]
    assert problems(**changes, safety=SafetySettings(Encryption.KMS)) == []


def test_problems_of_several_rules_are_all_reported_in_order() -> None:
    found = problems(
        ownership=replace(OWNERSHIP, monthly_budget_usd=1),
        endpoint=EndpointSettings(
            "ml.t2.large",
            *(2, ScalingSettings(3, 5)),
            UpdateSettings(TrafficShifting.LINEAR, 5, 300),
        ),
        delivery_account=ACCOUNT,
    )
    assert [problem.key for problem in found] == [
        *("monthlyBudgetUsd", "initialInstanceCount", "instanceType"),
        *("trafficStepPercent", "deliveryAccount"),
    ]


@pytest.mark.parametrize("shifting", list(TrafficShifting))
def test_the_rollback_alarms_get_their_three_minutes(shifting: TrafficShifting) -> None:
    (problem,) = updated(shifting, 20, 179)
    assert ("bakeSeconds", 179) == (problem.key, problem.value)
    assert updated(shifting, 20, 180) == []
    in_steps = shifting is not TrafficShifting.ALL_AT_ONCE
    assert in_steps == bool(updated(shifting, 20, 0))


@pytest.mark.parametrize("shifting", [TrafficShifting.CANARY, TrafficShifting.LINEAR])
def test_traffic_shifts_in_steps_in_a_fleet_only(shifting: TrafficShifting) -> None:
    update = UpdateSettings(shifting, 20, 300)
    (problem,) = problems(endpoint=EndpointSettings("ml.m5.large", 1, update=update))
    assert ("initialInstanceCount", 1) == (problem.key, problem.value)
    alone = EndpointSettings("ml.m5.large", 2, ScalingSettings(1, 5), update)
    (problem,) = problems(endpoint=alone)
    assert ("minInstanceCount", 1) == (problem.key, problem.value)
    assert problems(endpoint=EndpointSettings("ml.m5.large", 2, update=update)) == []


@pytest.mark.parametrize(
    ("network", "key"),
    [
        (NetworkSettings(subnets=("subnet-01234567",)), "vpcSecurityGroups"),
        (NetworkSettings(security_groups=("sg-01234567",)), "vpcSubnets"),
    ],
)
def test_a_vpc_has_subnets_and_groups(network: NetworkSettings, key: str) -> None:
    (problem,) = problems(network=network)
    assert (problem.key, problem.value) == (key, "[]")
    both = NetworkSettings(subnets=("subnet-01234567",), security_groups=("sg-01234567",))
    assert problems(network=both) == []


def test_executions_in_parallel_would_update_one_stack() -> None:
    (problem,) = problems(delivery=DeliverySettings(execution_mode=ExecutionMode.PARALLEL))
    assert ("executionMode", "PARALLEL") == (problem.key, problem.value)
    assert problems(delivery=DeliverySettings(execution_mode=ExecutionMode.QUEUED)) == []


def test_a_training_job_ends_before_the_action_that_waits_for_it() -> None:
    for seconds, expected in ((82_800, []), (82_801, ["trainingMaxRuntimeSeconds"])):
        training = TrainingSettings(max_runtime_seconds=seconds)
        found = problems(delivery=DeliverySettings(training=training))
        assert expected == [problem.key for problem in found]


@pytest.mark.parametrize(
    ("hosting", "training", "expected"),
    [
        ("ml.m5.large", "ml.m7i.large", []),
        ("ml.m99.large", "ml.m5.large", [("instanceType", "ml.m99.large")]),
        ("ml.t3.medium", "ml.m5.large", [("instanceType", "ml.t3.medium")]),
        ("ml.c7g.large", "ml.m5.large", [("instanceType", "ml.c7g.large")]),
        ("ml.m6gd.large", "ml.m5.large", [("instanceType", "ml.m6gd.large")]),
        ("ml.m5.large", "ml.t2.medium", [("trainingInstanceType", "ml.t2.medium")]),
        ("m5", "nonsense", []),  # which the settings themselves report
    ],
)
def test_instance_types_are_sagemakers(
    hosting: str, training: str, expected: list[tuple[str, str]]
) -> None:
    delivery = DeliverySettings(training=TrainingSettings(training))
    found = problems(endpoint=EndpointSettings(hosting), delivery=delivery)
    assert expected == [(problem.key, problem.value) for problem in found]


def test_an_unknown_type_gets_a_near_one() -> None:
    (problem,) = problems(endpoint=EndpointSettings("ml.m5.26xlarge"))
    assert problem.fix.startswith("use ml.m5.")
