"""AWS time, which passes N times faster than the wall."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from localcloud.clock import Clock, monotonic, wall_time

pytestmark = pytest.mark.emulator_only


def test_time_is_utc_and_starts_with_the_walls() -> None:
    before = datetime.now(UTC)
    clock = Clock(3600)
    assert before <= clock.now()
    assert timedelta(0) == clock.now().utcoffset()


def test_time_never_goes_back() -> None:
    clock = Clock(3600)
    times = [clock.now() for _ in range(100)]
    assert sorted(times) == times


def test_a_fast_clocks_seconds_are_shorter() -> None:
    assert 5.0 == Clock(60).wall_seconds(300)
    assert 300.0 == Clock().wall_seconds(300)


def test_sleeping_takes_at_least_the_clocks_seconds() -> None:
    clock = Clock(3600)

    async def slept() -> timedelta:
        before = clock.now()
        await clock.sleep(36)  # a hundredth of a wall second
        return clock.now() - before

    assert asyncio.run(slept()) >= timedelta(seconds=35)


@pytest.mark.parametrize("speed", [0, 0.5, -1, 3601, float("nan"), float("inf")])
def test_a_speed_out_of_range_is_refused(speed: float) -> None:
    with pytest.raises(ValueError, match="it must be from 1 to 3600"):
        Clock(speed)


def test_the_walls_own_time_is_there_for_real_work() -> None:
    assert monotonic() <= monotonic()
    assert abs(wall_time() - datetime.now(UTC).timestamp()) < 60
