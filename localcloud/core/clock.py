"""The one source of time: AWS time, which may pass N times faster than the wall, or be put on.

Waiting that belongs to AWS (cooldowns, alarm periods, approval timeouts, polling) is in clock
seconds. What really computes on this machine (a training process, a Lambda handler, a model
server starting) is bounded in wall seconds, or a fast clock would kill it.
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
_WAKING_WALL_SECONDS = 0.002
_SETTLING_WALL_SECONDS = 1.0
MOST_SECONDS = 366 * 24 * 3600.0


class Clock:
    """AWS time as a linear function of the wall's.

    Args:
        speed: AWS seconds per wall second, 1 to 3600.

    Raises:
        ValueError: a speed outside that range.
    """

    def __init__(self, speed: float = 1.0) -> None:
        if not 1 <= speed <= 3600:
            raise ValueError(f"speed is {speed:g}; it must be from 1 to 3600")
        self.speed = speed
        self._start = datetime.now(UTC)
        self._monotonic_start = time.monotonic()
        self._jumped = asyncio.Event()
        # Loops between two rounds.
        self._pacing = 0

    def now(self) -> datetime:
        """Return the time in AWS's terms, UTC."""
        elapsed = time.monotonic() - self._monotonic_start
        return self._start + timedelta(seconds=elapsed * self.speed)

    def catch_up(self, past: datetime) -> None:
        """Go on from a time that is past already: a clock that ran ahead must not go back.

        Args:
            past: UTC.
        """
        self._start += max(past - self.now(), timedelta())

    def wall_seconds(self, clock_seconds: float) -> float:
        """Return how many wall seconds `clock_seconds` take when nobody puts the clock on."""
        return clock_seconds / self.speed

    async def sleep(self, clock_seconds: float) -> None:
        """Sleep for AWS seconds."""
        await self._sleep_until(self.now() + timedelta(seconds=clock_seconds))

    async def _sleep_until(self, end: datetime) -> None:
        while (left := (end - self.now()).total_seconds()) > 0:
            await self._sleep_or_jump(self.wall_seconds(left))

    async def wait_for(self, awaitable: Awaitable[T], clock_seconds: float) -> T:
        """Return what comes, unless it takes longer than AWS seconds.

        Raises:
            TimeoutError: it took longer; the awaitable is cancelled.
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
        """Sleep between two rounds of a loop that runs for ever, however fast the clock is."""
        end = self.now() + timedelta(seconds=clock_seconds)
        self._pacing += 1
        try:
            shortest = time.monotonic() + _SHORTEST_ROUND_SECONDS
            while (left := (end - self.now()).total_seconds()) > 0 or time.monotonic() < shortest:
                wait = max(self.wall_seconds(left), shortest - time.monotonic())
                if await self._sleep_or_jump(wait) and self.now() >= end:
                    return
        finally:
            self._pacing -= 1

    async def advance(self, clock_seconds: float) -> datetime:
        """Put the clock on, in steps, each of which the loops of this cloud live through.

        The last hour goes in steps of ten seconds, so that its minutes have their data points;
        what lies before it goes in steps of ten minutes.

        Returns:
            The new time.

        Raises:
            ValueError: not more than zero, or over a year.
        """
        if not 0 < clock_seconds <= MOST_SECONDS:
            raise ValueError(f"{clock_seconds:g} s; it must be over 0 and at most a year")
        left = clock_seconds
        while left > 0:
            loops = self._pacing
            far = left > _FINE_CLOCK_SECONDS
            step = min(left, _LONG_STEP_CLOCK_SECONDS if far else _STEP_CLOCK_SECONDS)
            left -= step
            self._start += timedelta(seconds=step)
            self._jumped.set()
            self._jumped = asyncio.Event()
            # First those that wake leave their pause, then they come back to it.
            deadline = time.monotonic() + _SETTLING_WALL_SECONDS
            await asyncio.sleep(_WAKING_WALL_SECONDS)
            while self._pacing < loops and time.monotonic() < deadline:  # noqa: ASYNC110 - a count
                await asyncio.sleep(_WAKING_WALL_SECONDS)
        return self.now()

    async def _sleep_or_jump(self, wall: float) -> bool:
        """Sleep for wall seconds; return whether the clock was put on in the meantime."""
        try:
            await asyncio.wait_for(self._jumped.wait(), wall)
        except TimeoutError:
            return False
        return True


# Wall seconds for measuring real work. No function around it: an invocation asks four times.
monotonic = time.monotonic


def wall_time() -> float:
    """Return the wall's seconds since the epoch, for a child process that reads its own clock."""
    return time.time()


async def wall_sleep(seconds: float) -> None:
    """Sleep for wall seconds, where real work on this machine is waited for."""
    await asyncio.sleep(seconds)
