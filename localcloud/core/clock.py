"""The one source of AWS time, which may run faster or slower than wall-clock time or be advanced.

Waiting that belongs to AWS (cooldowns, alarm periods, approval timeouts, polling) is measured in
clock seconds. Work that this machine really does (a training process, a Lambda handler, a model
server that starts) is limited in wall-clock seconds, because a fast clock would otherwise end it.

For example, at a speed of 60 an alarm with a period of 60 clock seconds is evaluated once per
wall-clock second, while a training job that needs 5 wall-clock seconds takes 5 AWS minutes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

T = TypeVar("T")

_SHORTEST_ROUND_SECONDS = 0.1
# Metrics are written every ten seconds.
_STEP_CLOCK_SECONDS = 10.0
_LONG_STEP_CLOCK_SECONDS = 600.0
_FINE_CLOCK_SECONDS = 3600.0
_LOOK_WALL_SECONDS = 0.002
_SETTLING_WALL_SECONDS = 5.0
MOST_SECONDS = 366 * 24 * 3600.0
# At the lowest speed the clock all but stands still, and only moves when it is advanced.
LOWEST_SPEED = 0.001
HIGHEST_SPEED = 3600.0


def _checked(speed: float) -> float:
    if not LOWEST_SPEED <= speed <= HIGHEST_SPEED:
        raise ValueError(
            f"speed is {speed:g}; it must be from {LOWEST_SPEED:g} to {HIGHEST_SPEED:g}"
        )
    return speed


class Clock:
    """AWS time as a linear function of wall-clock time.

    Args:
        speed: AWS seconds per wall-clock second, 0.001 to 3600.

    Raises:
        ValueError: a speed outside that range.
    """

    def __init__(self, speed: float = 1.0) -> None:
        self.speed = _checked(speed)
        self._start = datetime.now(UTC)
        self._monotonic_start = time.monotonic()
        self._jumped = asyncio.Event()
        # When each loop that is between two rounds begins the next one, by the loop's task.
        self._pauses: dict[asyncio.Task[object] | None, datetime] = {}

    def now(self) -> datetime:
        """Return AWS time, in UTC."""
        elapsed = time.monotonic() - self._monotonic_start
        return self._start + timedelta(seconds=elapsed * self.speed)

    def change_speed(self, speed: float) -> None:
        """Run at another speed from now on; whatever sleeps is due at the same AWS time.

        Raises:
            ValueError: the speed is not from 0.001 to 3600.
        """
        _checked(speed)
        self._start, self._monotonic_start = self.now(), time.monotonic()
        self.speed = speed
        self._jumped.set()
        self._jumped = asyncio.Event()

    def catch_up(self, past: datetime) -> None:
        """Continue from a time that was reached before a restart, so that AWS time never goes back.

        Args:
            past: the last known AWS time, in UTC.
        """
        self._start += max(past - self.now(), timedelta())

    def continue_from(self, now: datetime) -> None:
        """Continue from another time, also an earlier one, because another state was loaded.

        Args:
            now: the AWS time that it is now, in UTC.
        """
        self._start, self._monotonic_start = now, time.monotonic()
        self._jumped.set()
        self._jumped = asyncio.Event()

    def wall_seconds(self, clock_seconds: float) -> float:
        """Return how many wall-clock seconds `clock_seconds` take if nobody advances the clock."""
        return clock_seconds / self.speed

    async def sleep(self, clock_seconds: float) -> None:
        """Sleep for AWS seconds."""
        await self._sleep_until(self.now() + timedelta(seconds=clock_seconds))

    async def _sleep_until(self, end: datetime) -> None:
        while (left := (end - self.now()).total_seconds()) > 0:
            await self._sleep_or_jump(self.wall_seconds(left))

    async def wait_for(self, awaitable: Awaitable[T], clock_seconds: float) -> T:
        """Return the result of an awaitable within a time limit in AWS seconds.

        Raises:
            TimeoutError: the limit passed; the awaitable is cancelled.
        """
        waiting = asyncio.ensure_future(awaitable)
        end = self.now() + timedelta(seconds=clock_seconds)
        sleeping = asyncio.ensure_future(self._sleep_until(end))
        try:
            await asyncio.wait({waiting, sleeping}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                raise TimeoutError
            return waiting.result()
        finally:
            waiting.cancel()
            sleeping.cancel()
            await asyncio.wait({sleeping})

    async def pace(self, clock_seconds: float) -> None:
        """Sleep between two rounds of an endless loop, at least 0.1 s however fast the clock is."""
        end = self.now() + timedelta(seconds=clock_seconds)
        loop = asyncio.current_task()
        self._pauses[loop] = end
        try:
            shortest = time.monotonic() + _SHORTEST_ROUND_SECONDS
            while (left := (end - self.now()).total_seconds()) > 0 or time.monotonic() < shortest:
                wait = max(self.wall_seconds(left), shortest - time.monotonic())
                if await self._sleep_or_jump(wait) and self.now() >= end:
                    return
        finally:
            del self._pauses[loop]

    async def advance(self, clock_seconds: float) -> datetime:
        """Advance the clock in steps, and let the loops of this local cloud run after each one.

        The last hour passes in steps of ten seconds, so that each of its minutes has datapoints.
        The time before it passes in steps of ten minutes.

        Returns:
            The new time.

        Raises:
            ValueError: `clock_seconds` is not between 0 and a year.
        """
        if not 0 < clock_seconds <= MOST_SECONDS:
            raise ValueError(f"{clock_seconds:g} s; it must be over 0 and at most a year")
        left = clock_seconds
        while left > 0:
            far = left > _FINE_CLOCK_SECONDS
            step = min(left, _LONG_STEP_CLOCK_SECONDS if far else _STEP_CLOCK_SECONDS)
            left -= step
            self._start += timedelta(seconds=step)
            now = self.now()
            due = {loop: end for loop, end in self._pauses.items() if end <= now}
            self._jumped.set()
            self._jumped = asyncio.Event()
            await self._rounds_of(due)
        return self.now()

    async def _rounds_of(self, due: dict[asyncio.Task[object] | None, datetime]) -> None:
        """Wait until each loop has left its pause and begun another, or has ended."""
        deadline = time.monotonic() + _SETTLING_WALL_SECONDS

        def finished(loop: asyncio.Task[object] | None, end: datetime) -> bool:
            return (loop is not None and loop.done()) or self._pauses.get(loop, end) != end

        while time.monotonic() < deadline:
            await asyncio.sleep(_LOOK_WALL_SECONDS)
            if all(finished(loop, end) for loop, end in due.items()):
                return

    async def _sleep_or_jump(self, wall: float) -> bool:
        """Sleep for wall-clock seconds; return whether the clock was advanced in the meantime."""
        try:
            await asyncio.wait_for(self._jumped.wait(), wall)
        except TimeoutError:
            return False
        return True


# Wall-clock seconds for measuring real work. It is no function of ours, because each invocation
# calls it four times.
monotonic = time.monotonic


def wall_time() -> float:
    """Return wall-clock seconds since the epoch, for a child process that reads its own clock."""
    return time.time()


async def wall_sleep(seconds: float) -> None:
    """Sleep for wall-clock seconds, to wait for real work on this machine."""
    await asyncio.sleep(seconds)
