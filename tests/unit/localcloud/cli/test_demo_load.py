"""The demo's load is enough for production to scale, or says that it is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.cli.demo_load import THINK_SECONDS, choose, outcome

pytestmark = pytest.mark.emulator_only

TARGET, INSTANCES, SPEED = 120.0, 2, 60.0


def test_a_fast_machine_gets_more_than_twice_the_load_at_which_scaling_begins() -> None:
    load = choose(2000, TARGET, INSTANCES, SPEED)
    assert (load.speed, load.needed, load.scales) == (60, 240, True)
    # 600 requests/s by users that take 20 ms of pause and 4 ms of answer, and a few more.
    assert load.users == 18


def test_a_slow_machine_gets_a_slower_clock() -> None:
    load = choose(240, TARGET, INSTANCES, SPEED)
    assert (load.speed, load.needed, load.scales) == (40, 160, True)
    assert "production scales above 160 at 40 times real time" in str(load)


def test_a_machine_that_is_too_slow_is_named() -> None:
    load = choose(60, TARGET, INSTANCES, SPEED)
    assert (load.speed, load.scales) == (20, False)
    assert str(load).endswith("it will not scale here")


@given(
    capacity=st.floats(0, 10_000),
    target=st.floats(1, 10_000),
    instances=st.integers(1, 10),
    speed=st.floats(0.001, 3600),
)
def test_what_should_scale_has_the_load_to(
    capacity: float, target: float, instances: int, speed: float
) -> None:
    load = choose(capacity, target, instances, speed)
    assert load.speed <= speed
    assert 4 <= load.users <= 64
    if load.scales:
        assert capacity >= 1.5 * load.needed


def test_the_users_of_a_choice_reach_the_load() -> None:
    for capacity in range(150, 3000, 50):
        load = choose(capacity, TARGET, INSTANCES, SPEED)
        assert load.scales
        rate = load.users / (THINK_SECONDS + 8 / capacity)
        assert min(rate, capacity) >= 1.5 * load.needed


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        (
            {"instances_first": 2, "instances_max": 4, "first_scale_out_seconds": 12.4},
            "from 2 to 4 instances, the first after 12 s of load",
        ),
        ({"peak_rps": 200.0}, "no: the load reached 200 requests/s, and scaling begins above 240"),
        ({"peak_rps": 400.0}, "no: the load was above 240 requests/s for less than three minutes"),
    ],
)
def test_the_summary_says_whether_it_scaled(figures: dict[str, float], said: str) -> None:
    assert outcome(figures, choose(2000, TARGET, INSTANCES, SPEED)).startswith(said)
