"""Pure: the times at which an open load sends its requests, whatever the answers do.

In a closed load a user waits for its answer before it sends again. While a server stalls, the users
wait with it, and the requests that people would have sent meanwhile are missing from the figures.
An open load has a schedule: request 400 of a load of 400 requests/s is due after one second, and
its latency counts from then.

Example: a server answers in 2 ms and stalls for one second in ten. A closed load of 16 users sees
16 slow requests in 5,000, and its p99 is 2 ms. An open load of 400 requests/s has 400 requests due
during the stall, a tenth of all, and its p99 is 900 ms.

Source: Gil Tene, "How NOT to Measure Latency" (coordinated omission).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice, takewhile

from loadtest.shapes import Load

# The rate of a shape never falls below this share of the peak: the next request would be far away.
_LEAST_SHARE = 0.01


def times(load: Load) -> Iterator[float]:
    """Yield the time of each request of an open load, in seconds since it began.

    Args:
        load: a load with a rate.
    """
    at = 0.0
    while at < load.duration_seconds:
        yield at
        at += 1 / rate_at(load, at)


def rate_at(load: Load, seconds: float) -> float:
    """Return the requests/s of an open load at a moment."""
    assert load.rate is not None  # noqa: S101 - the caller checked it
    return load.rate * max(_LEAST_SHARE, load.share_at(seconds))


def own_times(
    load: Load, worker: int = 0, replayed: Sequence[float] | None = None
) -> Iterator[float]:
    """Yield the times of the requests that one of several workers sends: every n-th.

    Args:
        load: a load with a rate.
        worker: number of the worker, from 0.
        replayed: the times of captured requests, which take the place of the load's own.
    """
    return islice(times(load) if replayed is None else replayed, worker, None, load.workers)


def due(load: Load, worker: int, seconds: float, replayed: Sequence[float] | None = None) -> int:
    """Return how many requests of a worker are due in the first seconds of an open load."""
    return sum(1 for _ in takewhile(lambda at: at < seconds, own_times(load, worker, replayed)))
