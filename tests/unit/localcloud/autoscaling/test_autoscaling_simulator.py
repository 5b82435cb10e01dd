"""A day's traffic against target tracking, without a cloud."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.autoscaling.decision import CONCURRENT_REQUESTS, TargetTracking
from localcloud.autoscaling.simulator import (
    World,
    candidates,
    cheapest,
    simulate,
    trimmed,
)
from localcloud.cli.console import CommandError
from localcloud.cli.simulate import run

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
    # 1,500 a minute of half a second each are 12.5 at once: 3 instances.
    traffic = [1500.0] * 8 + [0.0] * 20
    world = World(traffic, 100.0, startup_minutes=4, latency_seconds=0.5)
    outcome = simulate(world, AT_ONCE)
    assert outcome.minutes[0].why.startswith("12.5 at once is above 5: to 3")
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
