"""Target tracking's decision, as worked numbers and as properties.

AWS documents the rules but neither the formula of scale out nor the step of scale in.
"""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localcloud.autoscaling.decision import (
    Decision,
    Direction,
    LastChange,
    NotScaled,
    TargetTracking,
    decide,
)
from localcloud.autoscaling.engine import stepping_of, tracking_of
from localcloud.autoscaling.model import ScalableTarget, ScalingPolicy
from tests.examples import examples

documented = pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/autoscaling/application/userguide/"
    "target-tracking-scaling-policy-overview.html"
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = TargetTracking(target_value=120.0, minimum=2, maximum=10)

metrics = st.floats(min_value=0, max_value=1e6, allow_nan=False)
directions = st.sampled_from(Direction)


@st.composite
def policies(draw: st.DrawFn) -> TargetTracking:
    minimum = draw(st.integers(1, 50))
    return TargetTracking(
        target_value=draw(st.floats(0.5, 1e5)),
        minimum=minimum,
        maximum=draw(st.integers(minimum, 100)),
        scale_out_cooldown_seconds=draw(st.integers(0, 600)),
        scale_in_cooldown_seconds=draw(st.integers(0, 600)),
        scale_in_disabled=draw(st.booleans()),
    )


@st.composite
def changes(draw: st.DrawFn) -> LastChange | None:
    if draw(st.booleans()):
        return None
    ago = timedelta(seconds=draw(st.integers(0, 1200)))
    return LastChange(draw(directions), NOW - ago)


def changed(direction: Direction, seconds_ago: float) -> LastChange:
    return LastChange(direction, NOW - timedelta(seconds=seconds_ago))


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/autoscaling/application/APIReference/"
    "API_TargetTrackingScalingPolicyConfiguration.html"
)
def test_a_cooldown_that_is_not_given_is_five_minutes() -> None:
    target = ScalableTarget(
        arn="arn",
        account="000000000000",
        region="us-east-1",
        service_namespace="sagemaker",
        resource_id="endpoint/e/variant/v",
        scalable_dimension="sagemaker:variant:DesiredInstanceCount",
        minimum=1,
        maximum=3,
        role_arn="arn",
        created=NOW,
    )

    def policy(**configuration: object) -> ScalingPolicy:
        return ScalingPolicy("arn", "p", target.key, configuration, [], NOW)

    plain = tracking_of(policy(TargetValue=10.0), target)
    assert (plain.scale_out_cooldown_seconds, plain.scale_in_cooldown_seconds) == (300, 300)
    given = tracking_of(policy(TargetValue=10.0, ScaleOutCooldown=0, ScaleInCooldown=60), target)
    assert (given.scale_out_cooldown_seconds, given.scale_in_cooldown_seconds) == (0, 60)
    steps = stepping_of(policy(AdjustmentType="ChangeInCapacity"), target)
    assert steps.cooldown_seconds == 300


@pytest.mark.emulator_only
@pytest.mark.parametrize(
    ("capacity", "metric", "expected"),
    [
        (2, 300.0, 5),  # 2 × 300 / 120 = 5
        (2, 301.0, 6),  # 5.02 needs a sixth
        (2, 121.0, 3),
        (3, 240.0, 6),
        (4, 1000.0, 10),  # 34 are needed, the maximum is 10
        (1, 10.0, 2),  # below the minimum: up to it
    ],
)
def test_scale_out_is_proportional_to_the_metric(
    capacity: int, metric: float, expected: int
) -> None:
    assert Decision(expected) == decide(POLICY, Direction.OUT, capacity, metric, None, NOW)


@pytest.mark.emulator_only
@pytest.mark.parametrize(
    ("capacity", "metric", "expected"),
    [
        (10, 0.0, 9),
        (5, 10.0, 4),
        (3, 79.0, 2),  # 3 × 79 / 120 = 1.98: two are enough
    ],
)
def test_scale_in_takes_one_instance_of_a_small_fleet(
    capacity: int, metric: float, expected: int
) -> None:
    assert Decision(expected) == decide(POLICY, Direction.IN, capacity, metric, None, NOW)


@pytest.mark.emulator_only
def test_scale_in_takes_a_tenth_of_a_large_fleet() -> None:
    policy = TargetTracking(target_value=120.0, minimum=1, maximum=100)
    assert Decision(36) == decide(policy, Direction.IN, 40, 0.0, None, NOW)


@pytest.mark.emulator_only
def test_scale_in_of_a_large_fleet_stops_at_the_minimum() -> None:
    policy = TargetTracking(target_value=120.0, minimum=38, maximum=100)
    assert Decision(38) == decide(policy, Direction.IN, 40, 0.0, None, NOW)


@pytest.mark.emulator_only
def test_scale_in_stays_when_one_less_would_be_too_few() -> None:
    assert Decision(3, NotScaled.FLAPPING) == decide(POLICY, Direction.IN, 3, 81.0, None, NOW)


@pytest.mark.emulator_only
def test_the_last_bit_of_a_float_costs_no_instance() -> None:
    policy = TargetTracking(target_value=1.1, minimum=1, maximum=10)
    assert Decision(3, NotScaled.NOT_NEEDED) == decide(policy, Direction.OUT, 3, 1.1, None, NOW)


@pytest.mark.emulator_only
@pytest.mark.parametrize(
    ("direction", "capacity", "expected"),
    [
        (Direction.OUT, 10, NotScaled.AT_MAXIMUM),
        (Direction.IN, 2, NotScaled.AT_MINIMUM),
    ],
)
def test_a_limit_that_is_reached_is_named(
    direction: Direction, capacity: int, expected: NotScaled
) -> None:
    metric = 1000.0 if direction is Direction.OUT else 0.0
    assert Decision(capacity, expected) == decide(POLICY, direction, capacity, metric, None, NOW)


@documented
def test_a_disabled_scale_in_never_scales_in() -> None:
    policy = TargetTracking(120.0, 1, 10, scale_in_disabled=True)
    assert Decision(5, NotScaled.DISABLED) == decide(policy, Direction.IN, 5, 0.0, None, NOW)


@pytest.mark.emulator_only
@pytest.mark.parametrize(
    ("direction", "last", "capacity"),
    [
        (Direction.OUT, changed(Direction.OUT, 299), 2),  # still cooling down
        (Direction.OUT, changed(Direction.OUT, 300), 5),  # over
        (Direction.OUT, changed(Direction.IN, 1), 5),  # a scale-out does not wait for a scale-in
        (Direction.IN, changed(Direction.IN, 299), 8),
        (Direction.IN, changed(Direction.IN, 300), 7),
        (Direction.IN, changed(Direction.OUT, 299), 8),  # the newer capacity may settle first
        (Direction.IN, changed(Direction.OUT, 300), 7),
    ],
)
def test_a_change_waits_for_the_cooldown(
    direction: Direction, last: LastChange, capacity: int
) -> None:
    before, metric = (2, 300.0) if direction is Direction.OUT else (8, 0.0)
    assert capacity == decide(POLICY, direction, before, metric, last, NOW).capacity


@pytest.mark.emulator_only
@pytest.mark.parametrize(
    ("direction", "last", "capacity"),
    [
        (Direction.OUT, changed(Direction.OUT, 59), 2),
        (Direction.OUT, changed(Direction.OUT, 60), 5),
        (Direction.IN, changed(Direction.IN, 599), 8),
        (Direction.IN, changed(Direction.IN, 600), 7),
        # After a scale-out it is the scale-out's cooldown that a scale-in waits for.
        (Direction.IN, changed(Direction.OUT, 59), 8),
        (Direction.IN, changed(Direction.OUT, 60), 7),
    ],
)
def test_each_cooldown_is_that_of_the_last_change(
    direction: Direction, last: LastChange, capacity: int
) -> None:
    policy = TargetTracking(
        120.0, 2, 10, scale_out_cooldown_seconds=60, scale_in_cooldown_seconds=600
    )
    before, metric = (2, 300.0) if direction is Direction.OUT else (8, 0.0)
    assert capacity == decide(policy, direction, before, metric, last, NOW).capacity


@documented
@settings(max_examples=examples(200))
@given(policies(), directions, metrics, changes(), st.data())
def test_capacity_stays_within_the_limits(
    policy: TargetTracking,
    direction: Direction,
    metric: float,
    last: LastChange | None,
    data: st.DataObject,
) -> None:
    capacity = data.draw(st.integers(policy.minimum, policy.maximum))
    decision = decide(policy, direction, capacity, metric, last, NOW)
    assert policy.minimum <= decision.capacity <= policy.maximum


@documented
@settings(max_examples=examples(100))
@given(policies(), directions, changes(), st.integers(1, 100))
def test_no_data_never_scales(
    policy: TargetTracking, direction: Direction, last: LastChange | None, capacity: int
) -> None:
    decision = decide(policy, direction, capacity, None, last, NOW)
    assert Decision(capacity, NotScaled.NO_DATA) == decision


@documented
@settings(max_examples=examples(200))
@given(policies(), directions, metrics, changes(), st.integers(1, 100))
def test_capacity_moves_only_the_way_of_the_alarm_and_else_a_reason_is_given(
    policy: TargetTracking,
    direction: Direction,
    metric: float,
    last: LastChange | None,
    capacity: int,
) -> None:
    decision = decide(policy, direction, capacity, metric, last, NOW)
    assert (decision.not_scaled is None) == (decision.capacity != capacity)
    if direction is Direction.OUT:
        assert decision.capacity >= capacity
    else:
        assert decision.capacity <= capacity


@pytest.mark.emulator_only
@settings(max_examples=examples(200))
@given(policies(), st.floats(0, 1.5), st.integers(1, 100))
def test_scale_in_is_gradual_and_never_below_the_need(
    policy: TargetTracking, load: float, capacity: int
) -> None:
    metric = policy.target_value * load
    decision = decide(policy, Direction.IN, capacity, metric, None, NOW)
    if decision.not_scaled is not None:
        return
    assert capacity - decision.capacity <= max(1, capacity // 10)
    need = Fraction(capacity) * Fraction(metric) / Fraction(policy.target_value)
    assert decision.capacity >= need - Fraction(1, 10**6)


@pytest.mark.emulator_only
@settings(max_examples=examples(200))
@given(policies(), st.floats(0.5, 20), st.integers(1, 100))
def test_scale_out_brings_the_metric_to_the_target_or_reaches_the_maximum(
    policy: TargetTracking, load: float, capacity: int
) -> None:
    metric = policy.target_value * load
    decision = decide(policy, Direction.OUT, capacity, metric, None, NOW)
    if decision.not_scaled is not None:
        return
    spread = Fraction(capacity) * Fraction(metric) / decision.capacity
    enough = spread <= Fraction(policy.target_value) * (1 + Fraction(1, 10**6))
    assert enough or decision.capacity == policy.maximum


@pytest.mark.emulator_only
@settings(max_examples=examples(200))
@given(policies(), directions, metrics, metrics, changes(), st.integers(1, 100))
def test_a_higher_metric_never_means_fewer_instances(
    policy: TargetTracking,
    direction: Direction,
    one: float,
    other: float,
    last: LastChange | None,
    capacity: int,
) -> None:
    low, high = sorted((one, other))
    fewer = decide(policy, direction, capacity, low, last, NOW).capacity
    more = decide(policy, direction, capacity, high, last, NOW).capacity
    assert fewer <= more
