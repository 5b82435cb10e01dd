"""AWS time, which passes N times faster than wall-clock time."""

import asyncio
import itertools
from datetime import UTC, datetime, timedelta

import pytest

from localcloud.core.clock import Clock, monotonic, wall_time

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


def test_a_slow_clock_moves_only_when_it_is_advanced() -> None:
    clock = Clock(0.001)
    before = clock.now()
    asyncio.run(clock.advance(600))
    assert timedelta(minutes=10) <= clock.now() - before < timedelta(minutes=11)
    assert 600_000.0 == clock.wall_seconds(600)


def test_sleeping_takes_at_least_the_clocks_seconds() -> None:
    clock = Clock(3600)

    async def slept() -> timedelta:
        before = clock.now()
        await clock.sleep(36)  # a hundredth of a wall second
        return clock.now() - before

    assert asyncio.run(slept()) >= timedelta(seconds=35)


@pytest.mark.parametrize("speed", [0, 0.0009, -1, 3601, float("nan"), float("inf")])
def test_a_speed_out_of_range_is_refused(speed: float) -> None:
    with pytest.raises(ValueError, match=r"it must be from 0\.001 to 3600"):
        Clock(speed)


def test_the_walls_own_time_is_there_for_real_work() -> None:
    assert monotonic() <= monotonic()
    assert abs(wall_time() - datetime.now(UTC).timestamp()) < 60


def test_a_clock_that_ran_ahead_goes_on_from_there() -> None:
    clock = Clock()
    ahead = clock.now() + timedelta(hours=3)
    clock.catch_up(ahead)
    assert ahead <= clock.now() < ahead + timedelta(minutes=1)
    clock.catch_up(ahead - timedelta(days=1))
    assert ahead <= clock.now()


def test_advancing_the_clock_wakes_what_waits_for_it() -> None:
    clock = Clock()

    async def run() -> list[str]:
        woken: list[str] = []

        async def sleeper(name: str, seconds: float) -> None:
            await clock.sleep(seconds)
            woken.append(name)

        tasks = [asyncio.create_task(sleeper(f"{s} s", s)) for s in (600, 60, 3600)]
        await asyncio.sleep(0)
        before = clock.now()
        after = await clock.advance(900)
        assert timedelta(minutes=15) <= after - before < timedelta(minutes=16)
        await asyncio.wait_for(asyncio.gather(*tasks[:2]), 5)
        assert not tasks[2].done()
        tasks[2].cancel()
        return woken

    assert ["60 s", "600 s"] == asyncio.run(run())


def test_a_loop_lives_through_every_step_of_it() -> None:
    clock = Clock()
    rounds: list[datetime] = []

    async def run() -> None:
        async def loop() -> None:
            while True:
                await clock.pace(10)
                await asyncio.sleep(0.005)  # what a round does
                rounds.append(clock.now())

        task = asyncio.create_task(loop())
        await asyncio.sleep(0)
        await clock.advance(300)
        task.cancel()

    asyncio.run(run())
    assert 28 <= len(rounds) <= 31
    assert all(b - a < timedelta(seconds=21) for a, b in itertools.pairwise(rounds))


def test_it_waits_for_a_round_that_takes_long_on_a_busy_machine() -> None:
    clock = Clock(0.001)
    rounds: list[datetime] = []

    async def run() -> list[int]:
        async def loop() -> None:
            while True:
                await clock.pace(10)
                await asyncio.sleep(1.2)
                rounds.append(clock.now())

        task = asyncio.create_task(loop())
        await asyncio.sleep(0)
        counts = []
        for _ in range(2):
            await clock.advance(10)
            counts.append(len(rounds))
        task.cancel()
        return counts

    assert [1, 2] == asyncio.run(run())


def test_waiting_for_something_ends_when_the_clock_says_so() -> None:
    clock = Clock()

    async def run() -> str:
        never: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        waiting = asyncio.create_task(clock.wait_for(never, 24 * 3600))
        await asyncio.sleep(0)
        await clock.advance(24 * 3600 + 1)
        with pytest.raises(TimeoutError):
            await waiting
        soon = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.01, soon.set_result, "answer")
        return await clock.wait_for(soon, 60)

    assert asyncio.run(run()) == "answer"


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), 400 * 24 * 3600])
def test_the_clock_goes_forward_only_and_at_most_a_year(seconds: float) -> None:
    with pytest.raises(ValueError, match="at most a year"):
        asyncio.run(Clock().advance(seconds))


def test_another_speed_wakes_what_sleeps_at_its_time_and_never_goes_back() -> None:
    clock = Clock(0.001)

    async def run() -> None:
        sleeping = asyncio.create_task(clock.sleep(60))
        await asyncio.sleep(0)
        before = clock.now()
        clock.change_speed(3600)
        assert before <= clock.now() < before + timedelta(minutes=1)
        # A minute of the clock is a sixtieth of a second now, and was half a day.
        await asyncio.wait_for(sleeping, 5)

    asyncio.run(run())
    assert clock.speed == 3600
    for speed in (0, 4000, float("nan")):
        with pytest.raises(ValueError, match="it must be from"):
            clock.change_speed(speed)
    assert clock.speed == 3600


def test_a_clock_continues_from_an_earlier_time_and_wakes_what_sleeps() -> None:
    async def main() -> tuple[timedelta, bool]:
        clock = Clock()
        earlier = clock.now() - timedelta(days=1)
        sleeping = asyncio.ensure_future(clock.sleep(1000))
        await asyncio.sleep(0)
        clock.continue_from(earlier)
        since = clock.now() - earlier
        await clock.advance(90_000)
        await sleeping
        return since, sleeping.done()

    since, done = asyncio.run(main())
    assert timedelta() <= since < timedelta(minutes=1)
    assert done
