"""The cloud's time, which may run N times faster than real time in a local cloud."""

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
    """The cloud's time at the start of the load, and its speed.

    Attributes:
        start: epoch seconds in the cloud when the load began.
        speed: cloud seconds per second of real time, above 0.
    """

    start: float
    speed: float = 1.0

    def offset(self, moment: datetime) -> float:
        """Return the seconds of real time from the start of the load to a moment in cloud time.

        At speed 60, a moment 60 cloud seconds after the start has the offset 1.0.
        """
        return (moment.timestamp() - self.start) / self.speed

    def at(self, seconds: float) -> datetime:
        """Return the cloud time, UTC, at a number of seconds of real time after the start."""
        return datetime.fromtimestamp(self.start + seconds * self.speed, UTC)


def read_clock(endpoint_url: str | None) -> CloudClock:
    """Return the clock of a local cloud, or the real-time clock if there is no local cloud."""
    real_time = CloudClock(time.time())
    if endpoint_url is None:
        return real_time
    url = endpoint_url.rstrip("/") + "/_localcloud/clock"
    if not url.startswith(("http://", "https://")):
        return real_time
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310 - checked
            document = json.loads(answer.read(1024))
        clock = CloudClock(float(document["now"]), float(document["speed"]))
    except (urllib.error.URLError, OSError, ValueError, KeyError, TypeError):
        return real_time
    return clock if clock.speed > 0 else real_time
