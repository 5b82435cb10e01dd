"""A day's traffic against target tracking, without a cloud."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.autoscaling.decision import CONCURRENT_REQUESTS, TargetTracking
from localcloud.autoscaling.search import candidates, cheapest, trimmed
from localcloud.autoscaling.simulator import (
    AlarmedSteps,
    ScheduledLimits,
    World,
    simulate,
    simulate_steps,
)
from localcloud.autoscaling.steps import Step, StepScaling
from localcloud.cli.console import CommandError
from localcloud.cli.simulate import run
from localcloud.cloudwatch.alarm_state import MetricAlarm

pytestmark = pytest.mark.emulator_only

# Three minutes above 600 a minute and instance: then scale out.
TARGET = TargetTracking(600.0, 1, 10, scale_out_cooldown_seconds=60, scale_in_cooldown_seconds=60)


def test_three_minutes_above_the_target_and_the_startup_bring_what_is_needed() -> None:
    outcome = simulate(World([1500.0] * 12, 100.0, startup_minutes=4), TARGET)
    # Three minutes to alarm, four to start: the eighth minute has ceil(1 × 1500 / 600) = 3.
    assert [1] * 7 + [3] * 5 == [minute.instances for minute in outcome.minutes]
    assert "above 600: to 3" in outcome.minutes[2].why
    assert "in progress" in outcome.minutes[3].why


# More than five requests at once for half a minute: then scale out.
AT_ONCE = TargetTracking(
    5.0,
    1,
    10,
    scale_out_cooldown_seconds=60,
    scale_in_cooldown_seconds=60,
    metric=CONCURRENT_REQUESTS,
)


def test_requests_at_once_scale_out_after_half_a_minute_and_in_as_before() -> None:
    # 1,500 a minute of half a second each are 12.5 on average, at most 13 at once: 3 instances.
    traffic = [1500.0] * 8 + [0.0] * 20
    world = World(traffic, 100.0, startup_minutes=4, latency_seconds=0.5)
    outcome = simulate(world, AT_ONCE)
    assert outcome.minutes[0].why.startswith("13 at once is above 5: to 3")
    counts = [minute.instances for minute in outcome.minutes]
    # They serve from second 270, and the minute that begins at 300 is the first to show it.
    assert (counts[4], counts[5]) == (1, 3)
    assert (counts[22], counts[23], counts[-1]) == (3, 3, 2)


def test_requests_beyond_the_capacity_wait_and_count() -> None:
    # Its 10 requests/s are served in 0.1 s each, and the other 10/s of ten seconds wait.
    world = World([1200.0], 10.0, startup_minutes=0, latency_seconds=0.1)
    outcome = simulate(world, TargetTracking(1000.0, 1, 1, metric=CONCURRENT_REQUESTS))
    assert outcome.minutes[0].over == 600
    with pytest.raises(ValueError, match="needs the latency"):
        simulate(World([1.0], 1.0), AT_ONCE)


def test_fifteen_quiet_minutes_bring_one_instance_less_at_a_time() -> None:
    traffic = [2400.0] * 6 + [0.0] * 40
    outcome = simulate(World(traffic, 100.0, startup_minutes=0), TARGET)
    counts = [minute.instances for minute in outcome.minutes]
    # 2 400 a minute need four; then fifteen minutes below before the first goes.
    assert (counts[3], counts[20], counts[21]) == (4, 4, 3)
    assert counts[-1] == 1
    assert outcome.minutes[-1].why == "at the minimum"


@pytest.mark.parametrize(("share", "expected"), [(0.91, 20), (0.9, 20), (0.89, 18)])
def test_scale_in_begins_below_nine_tenths_of_the_target(share: float, expected: int) -> None:
    traffic = [20 * 600.0] * 10 + [20 * 600.0 * share] * 18
    limits = TargetTracking(600.0, 1, 30)
    outcome = simulate(World(traffic, 100.0, startup_minutes=0), limits)
    assert (outcome.minutes[9].instances, outcome.minutes[-1].instances) == (20, expected)


def test_what_goes_beyond_the_capacity_is_counted() -> None:
    outcome = simulate(World([600.0] * 2 + [1800.0], 20.0), TargetTracking(1e9, 1, 1))
    assert [0.0, 0.0, 600.0] == [minute.over for minute in outcome.minutes]
    assert outcome.over_share == 600 / 3000
    assert outcome.instance_hours == 3 / 60


@given(
    traffic=st.lists(st.floats(0, 5000), min_size=1, max_size=120),
    minimum=st.integers(1, 4),
    room=st.integers(0, 6),
    target=st.floats(10, 2000),
    startup=st.integers(0, 5),
)
def test_capacity_stays_within_its_limits_and_no_request_is_lost_count_of(
    traffic: list[float], minimum: int, room: int, target: float, startup: int
) -> None:
    limits = TargetTracking(target, minimum, minimum + room)
    outcome = simulate(World(traffic, 10.0, startup), limits)
    assert all(minimum <= minute.instances <= minimum + room for minute in outcome.minutes)
    assert [minute.requests for minute in outcome.minutes] == traffic
    assert 0 <= outcome.over_share <= 1
    assert outcome == simulate(World(traffic, 10.0, startup), limits)


def test_the_cheapest_that_holds_the_objective_is_chosen() -> None:
    wave = [60 * (30 + 28 * math.sin(minute / 240)) for minute in range(600)]
    world = World(wave, 10.0, startup_minutes=3)
    outcomes = [simulate(world, one) for one in candidates(world)]
    best = cheapest(outcomes, 0.0)
    assert best is not None
    assert best.over_share == 0.0
    holding = [o.instance_hours for o in outcomes if o.over_share == 0.0]
    assert best.instance_hours == min(holding)
    looser = cheapest(outcomes, 0.2)
    assert looser is not None
    assert looser.instance_hours <= best.instance_hours
    assert trimmed(world, best).instance_hours == best.instance_hours
    assert cheapest(outcomes, -1) is None


@pytest.mark.parametrize(
    ("traffic", "capacity", "startup", "word"),
    [
        ([], 10.0, 4, "at least one minute"),
        ([1.0, -1.0], 10.0, 4, "no minute below zero"),
        ([1.0], 0.0, 4, "capacity is 0"),
        ([1.0], 10.0, 61, "0 to 60"),
    ],
)
def test_a_world_that_cannot_be_says_why(
    traffic: list[float], capacity: float, startup: int, word: str
) -> None:
    with pytest.raises(ValueError, match=word):
        World(traffic, capacity, startup)


def test_the_most_at_once_is_a_whole_number() -> None:
    # 1.2 on average are 2 at some moment, which is above 1.5: then 2 instances of 0.6, so 1.
    world = World([72.0] * 6, 100.0, startup_minutes=0, latency_seconds=1.0)
    policy = TargetTracking(1.5, 1, 10, metric=CONCURRENT_REQUESTS)
    minutes = simulate(world, policy).minutes
    assert minutes[0].why == "2 at once is above 1.5: to 2"
    assert [minute.instances for minute in minutes[1:]] == [2] * 5


ABOVE = MetricAlarm("GreaterThanOrEqualToThreshold", 100.0, 2, 2)
BELOW = MetricAlarm("LessThanThreshold", 50.0, 3, 2)


def _stepping(alarm: MetricAlarm, *steps: Step, cooldown: float = 0.0) -> AlarmedSteps:
    policy = StepScaling("ChangeInCapacity", steps, 1, 6, cooldown_seconds=cooldown)
    return AlarmedSteps(alarm, policy)


def test_steps_change_the_capacity_by_the_distance_from_the_threshold() -> None:
    out = _stepping(ABOVE, Step(0, 50, 1), Step(50, None, 3))
    back = _stepping(BELOW, Step(None, 0, -1))
    traffic = [130.0] * 2 + [400.0] * 3 + [20.0] * 6
    minutes = simulate_steps(World(traffic, 100.0, startup_minutes=0), [out, back])
    counts = [minute.instances for minute in minutes]
    # 130 twice: one more. 200 each, so 100 beyond: three more. Two of three quiet: one less each.
    assert counts == [1, 1, 2, 5, 5, 5, 5, 4, 3, 2, 1]
    assert minutes[1].why == "130 per minute is above 100: to 2"


def test_a_cooldown_lets_only_a_larger_step_through() -> None:
    out = _stepping(ABOVE, Step(0, 100, 1), Step(100, None, 2), cooldown=300)
    minutes = simulate_steps(World([150.0, 150.0, 900.0, 900.0], 9e9, startup_minutes=0), [out])
    assert [minute.instances for minute in minutes] == [1, 1, 2, 3]


SCHEDULED = (ScheduledLimits(2, 3), ScheduledLimits(4, None, 2), ScheduledLimits(6, 1))


@pytest.mark.parametrize(
    ("startup", "expected"), [(0, [1, 1, 3, 3, 2, 2, 2]), (1, [1, 1, 1, 3, 3, 2, 2])]
)
def test_scheduled_limits_move_the_capacity(startup: int, expected: list[int]) -> None:
    world = World([300.0] * 7, 100.0, startup_minutes=startup)
    minutes = simulate(world, TARGET, SCHEDULED).minutes
    assert [minute.instances for minute in minutes] == expected
    assert minutes[1].why == "scheduled limits 3 to 10: to 3"


def test_limits_wait_for_a_change_that_is_in_progress() -> None:
    world = World([1500.0] * 9, 100.0, startup_minutes=3)
    minutes = simulate(world, TARGET, [ScheduledLimits(4, None, 2)]).minutes
    # Three in minute 6, as was decided before; three minutes later the limits are met.
    assert [minute.instances for minute in minutes] == [1] * 6 + [3] * 3
    assert "scheduled limits 1 to 2: to 2" in [minute.why for minute in minutes]


def test_settings_are_tried_by_the_metric_that_is_asked_for() -> None:
    document = {
        "requests_per_minute": [600.0] * 60,
        "capacity_rps": 5.0,
        "latency_seconds": 0.4,
        "objective": 0.5,
        "metric": CONCURRENT_REQUESTS,
    }
    settings = run(json.dumps(document))["settings"]
    assert settings["metric"] == CONCURRENT_REQUESTS
    assert 0.6 <= settings["target_value"] <= 1.8  # 5 requests/s of 0.4 s are 2 at once
    with pytest.raises(CommandError, match=r"has 0\.5 requests at once"):
        run(json.dumps({**document, "latency_seconds": 0.1}))
    with pytest.raises(CommandError, match="the metric is 'CPU'"):
        run(json.dumps({**document, "metric": "CPU"}))


def test_scheduled_actions_go_with_settings() -> None:
    document = {
        "requests_per_minute": [300.0] * 4,
        "capacity_rps": 100.0,
        "startup_minutes": 0,
        "settings": {"target_value": 600.0, "minimum": 1, "maximum": 10},
        "scheduled": [{"minute": 2, "minimum": 3}],
    }
    answer = run(json.dumps(document))
    assert [minute["instances"] for minute in answer["minutes"]] == [1, 1, 3, 3]
    for action, word in (
        ({"minute": -1}, "must be of minute 0 or later"),
        ({"minute": 1, "minimum": 0}, "limits of 1 or more"),
        ({"minute": 1, "minimum": 3, "maximum": 2}, "must not be greater than the maximum"),
        ({"hour": 1}, "hour"),
    ):
        with pytest.raises(CommandError, match=word):
            run(json.dumps({**document, "scheduled": [action]}))
    search = {**document, "objective": 0.5}
    del search["settings"]
    with pytest.raises(CommandError, match="scheduled actions go with settings"):
        run(json.dumps(search))


def test_the_command_reads_and_answers_json() -> None:
    document = {"requests_per_minute": [600.0] * 60, "capacity_rps": 5.0, "objective": 0.5}
    answer = run(json.dumps(document))
    assert answer["simulated_minutes"] == 60 * answer["tried"]
    assert len(answer["minutes"]) == 60
    assert answer["settings"]["minimum"] >= 1
    with pytest.raises(CommandError, match="document to simulate has no member"):
        run(json.dumps({"capacity_rps": 5.0}))
    # Two instances are needed from the first minute on, and none that starts with one has them.
    flood = [600.0] * 2
    with pytest.raises(CommandError, match="no settings keep"):
        run(json.dumps({"requests_per_minute": flood, "capacity_rps": 5.0, "objective": -1.0}))
