"""Counters of an instance, for /metrics.

All workers of an instance count in one block of shared memory, each in its own section, so every
worker can report the totals. A section has one writer, the event loop of its worker.
"""

from __future__ import annotations

import mmap
from bisect import bisect_left

STATUSES = (200, 400, 406, 413, 415, 431, 500, 503)
# Inclusive upper bounds of the histogram buckets; one more bucket counts larger values.
SECONDS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
ROWS = (1, 2, 5, 10, 50, 100, 500, 1_000, 5_000, 10_000, 50_000)
_NANOSECONDS = tuple(int(bound * 1e9) for bound in SECONDS)
_STATUS_AT = {status: at for at, status in enumerate(STATUSES)}
_SECONDS_AT = len(STATUSES)
_SECONDS_SUM = _SECONDS_AT + len(SECONDS) + 1
_ROWS_AT = _SECONDS_SUM + 1
_ROWS_SUM = _ROWS_AT + len(ROWS) + 1
_SLOTS = _ROWS_SUM + 1


class Counters:
    """The counters of all workers. Create this before the workers are forked.

    Args:
        workers: number of workers, including this process.
    """

    def __init__(self, workers: int = 1) -> None:
        self._workers = workers
        self._slots = memoryview(mmap.mmap(-1, workers * _SLOTS * 8)).cast("q")
        self._base = 0

    def set_worker(self, worker: int) -> None:
        """Count in the section of this worker (from 0) from now on."""
        self._base = worker * _SLOTS

    def answered(self, nanoseconds: int, rows: int) -> None:
        """Count a request that was answered with predictions.

        Args:
            nanoseconds: time from its first byte to its response.
            rows: rows of the request, at least 1.
        """
        slots, base = self._slots, self._base
        slots[base] += 1  # the first status is 200
        slots[base + _SECONDS_AT + bisect_left(_NANOSECONDS, nanoseconds)] += 1
        slots[base + _SECONDS_SUM] += nanoseconds
        slots[base + _ROWS_AT + bisect_left(ROWS, rows)] += 1
        slots[base + _ROWS_SUM] += rows

    def answered_rows(self, nanoseconds: list[int]) -> None:
        """Count requests of one row each that were answered together.

        Args:
            nanoseconds: one time per request, from its first byte to its response.
        """
        slots, base, count = self._slots, self._base, len(nanoseconds)
        slots[base] += count
        slots[base + _SECONDS_SUM] += sum(nanoseconds)
        slots[base + _ROWS_AT] += count  # the first bound is one row
        slots[base + _ROWS_SUM] += count
        at = base + _SECONDS_AT
        for took in nanoseconds:
            slots[at + bisect_left(_NANOSECONDS, took)] += 1

    def refused(self, status: int) -> None:
        """Count a request that was answered with an error, by its HTTP status (of STATUSES)."""
        self._slots[self._base + _STATUS_AT[status]] += 1

    def render(self) -> bytes:
        """Return the totals of all workers in Prometheus's text format."""
        sums = [
            sum(self._slots[worker * _SLOTS + at] for worker in range(self._workers))
            for at in range(_SLOTS)
        ]
        lines = [
            "# HELP model_requests_total Invocations by HTTP status.",
            "# TYPE model_requests_total counter",
        ]
        lines += [
            f'model_requests_total{{status="{status}"}} {sums[at]}'
            for at, status in enumerate(STATUSES)
        ]
        lines += _histogram(
            "model_latency_seconds",
            "Time from a request's first byte to its response, for requests answered with 200.",
            SECONDS,
            sums[_SECONDS_AT:_SECONDS_SUM],
            sums[_SECONDS_SUM] / 1e9,
        )
        lines += _histogram(
            "model_batch_rows",
            "Rows per request, for requests answered with 200.",
            ROWS,
            sums[_ROWS_AT:_ROWS_SUM],
            sums[_ROWS_SUM],
        )
        return ("\n".join(lines) + "\n").encode()


def _histogram(
    name: str, text: str, bounds: tuple[float, ...], counts: list[int], total: float
) -> list[str]:
    lines = [f"# HELP {name} {text}", f"# TYPE {name} histogram"]
    running = 0
    for bound, count in zip([*map(str, bounds), "+Inf"], counts, strict=True):
        running += count
        lines.append(f'{name}_bucket{{le="{bound}"}} {running}')
    return [*lines, f"{name}_sum {total}", f"{name}_count {running}"]
