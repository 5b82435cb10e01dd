"""The one source of time: AWS time, which may pass N times faster than the wall.

Waiting that belongs to AWS (cooldowns, alarm periods, approval timeouts, polling) is in clock
seconds. What really computes on this machine (a training process, a Lambda handler, a model
server starting) is bounded in wall seconds, or a fast clock would kill it.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

_SHORTEST_ROUND_SECONDS = 0.1


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
        self._wall_start = datetime.now(UTC)
        self._monotonic_start = time.monotonic()

    def now(self) -> datetime:
        """Return the time in AWS's terms, UTC."""
        elapsed = time.monotonic() - self._monotonic_start
        return self._wall_start + timedelta(seconds=elapsed * self.speed)

    def wall_seconds(self, clock_seconds: float) -> float:
        """Return how many wall seconds `clock_seconds` take."""
        return clock_seconds / self.speed

    async def sleep(self, clock_seconds: float) -> None:
        """Sleep for AWS seconds."""
        await asyncio.sleep(self.wall_seconds(clock_seconds))

    async def pace(self, clock_seconds: float) -> None:
        """Sleep between two rounds of a loop that runs for ever, however fast the clock is."""
        await asyncio.sleep(max(self.wall_seconds(clock_seconds), _SHORTEST_ROUND_SECONDS))


def monotonic() -> float:
    """Return wall seconds for measuring real work."""
    return time.monotonic()


def wall_time() -> float:
    """Return the wall's seconds since the epoch, for a child process that reads its own clock."""
    return time.time()


async def wall_sleep(seconds: float) -> None:
    """Sleep for wall seconds, where real work on this machine is waited for."""
    await asyncio.sleep(seconds)
