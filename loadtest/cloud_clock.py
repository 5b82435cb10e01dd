"""The cloud's time, which a local cloud may run N times faster than the wall."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime

_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class CloudClock:
    """Cloud time at the start of the load, and its speed.

    Attributes:
        start: epoch seconds in the cloud when the load began.
        speed: cloud seconds a wall second.
    """

    start: float
    speed: float = 1.0

    def offset(self, moment: datetime) -> float:
        """Return the wall seconds from the start of the load to a moment in cloud time.

        60 cloud seconds after the start at speed 60 are 1.0.
        """
        return (moment.timestamp() - self.start) / self.speed

    def at(self, seconds: float) -> datetime:
        """Return the cloud time, UTC, so many wall seconds after the start."""
        return datetime.fromtimestamp(self.start + seconds * self.speed, UTC)


def read_clock(endpoint_url: str | None) -> CloudClock:
    """Return the clock of a local cloud, or the wall's where there is none to ask."""
    wall = CloudClock(time.time())
    if endpoint_url is None:
        return wall
    url = endpoint_url.rstrip("/") + "/_localcloud/clock"
    if not url.startswith(("http://", "https://")):
        return wall
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310 - checked
            document = json.loads(answer.read(1024))
        clock = CloudClock(float(document["now"]), float(document["speed"]))
    except (urllib.error.URLError, OSError, ValueError, KeyError, TypeError):
        return wall
    return clock if clock.speed > 0 else wall
