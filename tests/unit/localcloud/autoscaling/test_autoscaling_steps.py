"""Step scaling: which step a metric is in, what it adds, and what a cooldown holds back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.autoscaling.decision import Decision, Direction, LastChange, NotScaled
from localcloud.autoscaling.steps import Step, StepScaling, check_steps, decide_step

pytestmark = pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/autoscaling/application/userguide/"
    "step-scaling-policy-overview.html"
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OUT = (Step(0, 10, 1), Step(10, 20, 2), Step(20, None, 4))
IN = (Step(-10, 0, -1), Step(None, -10, -2))


def policy(
    steps: tuple[Step, ...] = OUT, kind: str = "ChangeInCapacity", **more: int
) -> StepScaling:
    return StepScaling(kind, steps, 1, 20, **more)


@pytest.mark.parametrize(
    ("distance", "capacity"), [(0, 5), (9.9, 5), (10, 6), (19, 6), (20, 8), (1000, 8)]
)
def test_above_the_threshold_a_step_holds_its_lower_bound(distance: float, capacity: int) -> None:
    assert Decision(capacity) == decide_step(policy(), 4, distance, None, None, NOW)


@pytest.mark.parametrize(("distance", "capacity"), [(-1, 3), (-9.9, 3), (-10, 2), (-50, 2)])
def test_below_the_threshold_a_step_holds_its_upper_bound(distance: float, capacity: int) -> None:
    assert Decision(capacity) == decide_step(policy(IN), 4, distance, None, None, NOW)


@pytest.mark.parametrize(
    ("percent", "capacity"), [(10, 11), (25, 12), (5, 11), (-15, 9), (-5, 9), (-100, 1)]
)
def test_a_percentage_is_rounded_toward_zero_but_changes_by_one_at_least(
    percent: int, capacity: int
) -> None:
    steps = (Step(None, None, percent),)
    assert capacity == policy(steps, "PercentChangeInCapacity").adjusted(10, percent)


# The page's own four examples.
@pytest.mark.parametrize(
    ("capacity", "percent", "change"),
    [
        (10, 127, 12),  # 12.7
        (1, 67, 1),  # 0.67
        (1, -58, -1),  # -0.58
        (29, -23, -6),  # -6.67
        (10, 100, 10),
        (10, 0, 0),
    ],
)
@pytest.mark.parametrize("least_change", [0, 1])
def test_a_percentage_is_rounded_as_the_page_says(
    capacity: int, percent: int, change: int, least_change: int
) -> None:
    rule = StepScaling("PercentChangeInCapacity", (), 0, 100, least_change)
    assert capacity + change == rule.adjusted(capacity, percent)


@pytest.mark.parametrize(("percent", "capacity"), [(25, 7), (-25, 1), (200, 12), (0, 4)])
def test_a_percentage_changes_by_its_least_magnitude(percent: int, capacity: int) -> None:
    rule = policy((Step(0, None, 25),), "PercentChangeInCapacity", least_change=3)
    assert capacity == rule.adjusted(4, percent)


@pytest.mark.parametrize(("exact", "capacity"), [(50, 20), (7, 7), (0, 1)])
def test_an_exact_capacity_is_kept_within_the_limits(exact: int, capacity: int) -> None:
    steps = (Step(0, None, exact),)
    assert Decision(capacity) == decide_step(policy(steps, "ExactCapacity"), 4, 1, None, None, NOW)


def test_within_a_cooldown_only_what_a_larger_step_adds_is_added() -> None:
    last = LastChange(Direction.OUT, NOW - timedelta(seconds=60))
    # From 4 the first step made 5; the third means 4 + 4.
    assert Decision(8) == decide_step(policy(), 5, 30, last, 4, NOW)
    cooling = Decision(5, NotScaled.COOLING_DOWN)
    assert cooling == decide_step(policy(), 5, 5, last, 4, NOW)
    assert cooling == decide_step(policy(IN), 5, -5, last, 4, NOW)
    nearly = LastChange(Direction.OUT, NOW - timedelta(seconds=299))
    assert cooling == decide_step(policy(), 5, 5, nearly, 4, NOW)
    after = LastChange(Direction.OUT, NOW - timedelta(seconds=300))
    assert Decision(6) == decide_step(policy(), 5, 5, after, 4, NOW)


def test_a_scale_out_does_not_wait_for_the_cooldown_of_a_scale_in() -> None:
    last = LastChange(Direction.IN, NOW - timedelta(seconds=60))
    assert Decision(6) == decide_step(policy(), 5, 5, last, 6, NOW)


def test_no_data_and_the_limits_do_not_scale() -> None:
    assert Decision(4, NotScaled.NO_DATA) == decide_step(policy(), 4, None, None, None, NOW)
    assert Decision(20, NotScaled.AT_MAXIMUM) == decide_step(policy(), 20, 5, None, None, NOW)
    assert Decision(1, NotScaled.AT_MINIMUM) == decide_step(policy(IN), 1, -5, None, None, NOW)


def test_what_is_in_no_step_and_what_changes_nothing_do_not_scale() -> None:
    unneeded = Decision(4, NotScaled.NOT_NEEDED)
    assert unneeded == decide_step(policy(), 4, -1, None, None, NOW)
    assert unneeded == decide_step(policy(IN), 4, 1, None, None, NOW)
    exact = policy((Step(0, None, 4),), "ExactCapacity")
    assert unneeded == decide_step(exact, 4, 1, None, None, NOW)


GAP = "the intervals of the steps must neither overlap nor leave a gap"
ONE = "one step must have no"


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ((), "StepAdjustments must be given"),
        ((Step(0, 10, 1), Step(20, None, 2)), GAP),
        ((Step(0, 10, 1), Step(5, None, 2)), GAP),
        ((Step(0, None, 1), Step(5, None, 2)), GAP),
        ((Step(None, 0, 1), Step(None, 5, 2)), GAP),
        ((Step(0, 10, 1),), f"if an upper bound is positive, {ONE} upper bound"),
        ((Step(0, 0.5, 1),), f"if an upper bound is positive, {ONE} upper bound"),
        ((Step(-10, 0, -1),), f"if a lower bound is negative, {ONE} lower bound"),
        ((Step(-0.5, 0, -1),), f"if a lower bound is negative, {ONE} lower bound"),
        ((Step(5, 5, 1),), "the lower bound 5 must be less than the upper 5"),
        ((Step(5, 2.5, 1),), "the lower bound 5 must be less than the upper 2.5"),
        (
            (Step(None, None, 1), Step(0, None, 2)),
            "a step without bounds must be the only one",
        ),
    ],
)
def test_steps_that_do_not_cover_their_side_are_refused(
    steps: tuple[Step, ...], reason: str
) -> None:
    assert reason == check_steps(steps)


def test_steps_that_cover_their_side_are_taken() -> None:
    for steps in (OUT, IN, (Step(None, None, 1),), (*OUT, *IN)):
        assert check_steps(steps) is None


@given(
    bounds=st.lists(st.integers(1, 100), unique=True, max_size=4),
    distance=st.floats(-200, 200),
)
def test_every_distance_is_in_exactly_one_step_of_a_whole_cover(
    bounds: list[int], distance: float
) -> None:
    high = sorted(bounds)
    edges = [None, *[-b for b in reversed(high)], 0, *high, None]
    steps = tuple(Step(low, up, 1) for low, up in pairwise(edges))
    assert check_steps(steps) is None
    assert 1 == sum(step.holds(distance) for step in steps)
