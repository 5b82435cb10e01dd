"""Pure: the load shapes, as data: the number of users over time.

A shape is a list of points (share of the duration, share of the users). Between two points the
number of users is interpolated linearly; two points at the same time are a jump.

    constant  ────────      ramp  ╱▔▔      step  ▁▃▅▇      spike  ▁▁▇▇▁▁
    soak      ╱▔▔▔▔▔▔╲      wave  ▁▃▅▇▅▃▁, a scaled-down day
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from loadtest.errors import UsageError

Points = tuple[tuple[float, float], ...]

SHAPES: Mapping[str, Points] = {
    "constant": ((0.0, 1.0), (1.0, 1.0)),
    "ramp": ((0.0, 0.0), (0.8, 1.0), (1.0, 1.0)),
    "step": (
        (0.0, 0.25),
        (0.25, 0.25),
        (0.25, 0.5),
        (0.5, 0.5),
        (0.5, 0.75),
        (0.75, 0.75),
        (0.75, 1.0),
        (1.0, 1.0),
    ),
    "soak": ((0.0, 0.0), (0.05, 1.0), (0.95, 1.0), (1.0, 0.0)),
    "wave": tuple(
        (step / 24, round(0.525 - 0.475 * math.cos(2 * math.pi * step / 24), 4))
        for step in range(25)
    ),
    "spike": ((0.0, 0.1), (0.3, 0.1), (0.3, 1.0), (0.7, 1.0), (0.7, 0.1), (1.0, 0.1)),
}

MAX_USERS = 1000
MAX_DURATION_SECONDS = 3600.0
MAX_REQUESTS = 10_000_000
MAX_RATE = 100_000.0
MAX_WORKERS = 16
# Those of other machines.
MAX_REMOTE_WORKERS = 64
_DURATION = re.compile(r"(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?")


@dataclass(frozen=True, slots=True)
class Load:
    """A load with a limited duration.

    Attributes:
        shape: a key of SHAPES.
        users: number of users at the peak, 1 to MAX_USERS.
        spawn_rate: largest number of users started per second, above 0 to MAX_USERS.
        duration_seconds: 1 to MAX_DURATION_SECONDS.
        requests: total number of requests, 1 to MAX_REQUESTS; the load ends when they are answered
            or when the duration is over. None for no limit.
        workers: number of processes that send the load, at most `users`: 1 to MAX_WORKERS, or to
            MAX_REMOTE_WORKERS if they are of other machines.
        rate: requests/s at the peak of an open load, above 0 to MAX_RATE, whose shape is that of
            the rate; `users` is then the largest number of requests in flight. None for a closed
            load, in which each user waits for its answer.
        remote: the processes are of other machines and connect to this one.

    Raises:
        UsageError: one or more values are out of range; the message lists all of them.
    """

    shape: str
    users: int
    spawn_rate: float
    duration_seconds: float
    requests: int | None = None
    workers: int = 1
    rate: float | None = None
    remote: bool = False

    def __post_init__(self) -> None:
        problems = []
        most, option = MAX_WORKERS, "--workers"
        if self.remote:
            most, option = MAX_REMOTE_WORKERS, "--expect-workers"
        if self.shape not in SHAPES:
            problems.append(f"--shape is '{self.shape}'; it must be {' or '.join(SHAPES)}")
        if not 1 <= self.users <= MAX_USERS:
            problems.append(f"--users is {self.users}; it must be from 1 to {MAX_USERS}")
        if not 0 < self.spawn_rate <= MAX_USERS:
            problems.append(
                f"--spawn-rate is {self.spawn_rate:g}; it must be above 0 to {MAX_USERS}"
            )
        if not 1 <= self.duration_seconds <= MAX_DURATION_SECONDS:
            problems.append(
                f"--duration is {self.duration_seconds:g} s; it must be from 1 s to "
                f"{MAX_DURATION_SECONDS:g} s"
            )
        if self.requests is not None and not 1 <= self.requests <= MAX_REQUESTS:
            problems.append(f"--requests is {self.requests}; it must be from 1 to {MAX_REQUESTS}")
        if not 1 <= self.workers <= most:
            problems.append(f"{option} is {self.workers}; it must be from 1 to {most}")
        elif self.workers > max(self.users, 1):
            problems.append(
                f"{option} is {self.workers} for {self.users} users; each worker needs a user: "
                "use fewer workers or more --users"
            )
        if self.rate is not None and not 0 < self.rate <= MAX_RATE:
            problems.append(f"--rate is {self.rate:g}; it must be above 0 to {MAX_RATE:g}")
        if self.rate is not None and self.requests is not None:
            problems.append("--requests does not go with --rate: the schedule ends the load")
        if problems:
            raise UsageError("; ".join(problems))

    @property
    def description(self) -> str:
        """Return a description for the terminal."""
        workers = "" if self.workers == 1 else f" from {self.workers} workers"
        if self.remote:
            plural = "" if self.workers == 1 else "s"
            workers = f" from {self.workers} worker{plural} of other machines"
        if self.rate is not None:
            return (
                f"up to {self.rate:g} requests/s on schedule, at most {self.users} in flight"
                f"{workers}, for {self.duration_seconds:g} s"
            )
        requests = "" if self.requests is None else f"{self.requests:,} requests, at most "
        return f"up to {self.users} users{workers} for {requests}{self.duration_seconds:g} s"

    def users_at(self, seconds: float) -> int | None:
        """Return the number of users at a moment, at least one; None once the load is over."""
        if seconds >= self.duration_seconds:
            return None
        if self.rate is not None:
            return self.users
        return max(1, round(self.share_at(seconds) * self.users))

    def share_at(self, seconds: float) -> float:
        """Return the share of the peak at a moment, 0 to 1."""
        return _interpolate(SHAPES[self.shape], max(0.0, seconds) / self.duration_seconds)


def parse_duration(text: str) -> float:
    """Return the seconds of a duration such as `30s`, `2m`, `1m30s` or `45`.

    Raises:
        UsageError: the text is not a duration.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None or not any(match.groups()):
        raise UsageError(f"'{text}' is not a duration; write it as 30s, 2m or 1m30s")
    minutes, seconds = match.groups()
    return int(minutes or 0) * 60 + float(seconds or 0)


def _interpolate(points: Points, at: float) -> float:
    for (left, low), (right, high) in pairwise(points):
        # The right end belongs to the next segment: at a jump the new level applies.
        if left <= at < right:
            return low + (high - low) * (at - left) / (right - left)
    return points[-1][1]
