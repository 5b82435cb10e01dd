"""Target tracking in the image: the same instances as the local cloud's simulator."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from localcloud.autoscaling.decision import TargetTracking
from localcloud.autoscaling.simulator import World, simulate
from model.target_tracking import STARTUP_MINUTES, Tracking, instances_by_minute
from tests.examples import examples

PEAK = [10.0] * 20 + [900.0] * 40 + [20.0] * 120


def phases() -> st.SearchStrategy[list[float]]:
    """Return traffic of some phases, each of them level, so that alarms change."""
    phase = st.tuples(st.floats(0, 5_000, width=32), st.integers(1, 40))
    return st.lists(phase, min_size=1, max_size=8).map(
        lambda found: [level for level, minutes in found for _ in range(minutes)]
    )


policies = st.builds(
    Tracking,
    target=st.floats(1, 500),
    minimum=st.integers(1, 5),
    maximum=st.integers(5, 40),
    out_seconds=st.sampled_from([0, 60, 90, 300]),
    in_seconds=st.sampled_from([0, 60, 300, 900]),
)


@settings(max_examples=examples(300))
@given(phases(), policies)
@example(PEAK, Tracking(120, 2, 10, 60, 300))
@example(PEAK, Tracking(120, 1, 40, 300, 60))
def test_the_instances_are_those_of_the_simulator(
    requests: list[float], tracking: Tracking
) -> None:
    expected = simulate(
        World(requests, capacity_rps=1.0, startup_minutes=STARTUP_MINUTES),
        TargetTracking(
            target_value=tracking.target,
            minimum=tracking.minimum,
            maximum=tracking.maximum,
            scale_out_cooldown_seconds=tracking.out_seconds,
            scale_in_cooldown_seconds=tracking.in_seconds,
        ),
    )
    assert [minute.instances for minute in expected.minutes] == instances_by_minute(
        requests, tracking
    )


def test_a_peak_brings_instances_and_its_end_takes_them_away() -> None:
    found = instances_by_minute(PEAK, Tracking(120, 2, 10, 60, 300))
    assert (found[0], max(found), found[-1]) == (2, 8, 2)
    # Three minutes above the target, and the time that instances take to start.
    assert found.index(8) == 20 + 3 + STARTUP_MINUTES
