"""Counts the answered requests, and merges the counts of several workers. Pure but for the clock.

worker ──take()──► JSON ──merge()──► master: the same counts as if one process had counted all
"""

from __future__ import annotations

import time
from collections import Counter, deque
from typing import Any

from loadtest.histogram import Histogram

_WINDOW_TICKS = 4
_ERROR_CHARACTERS = 300
# A broken endpoint could return a different error with every request.
_MAX_ERRORS = 20


class Recorder:
    """Counts requests: the totals, and those of the last two seconds.

    Attributes:
        failures: failed requests.
        answers: well-formed predictions.
        correct: predictions with the right label.
        squared_error: sum over the predictions of a regression.
        errors: number of failures by error message.
        total: latencies of all requests.
        began: beginnings of the workers' schedules in an open load, by the worker's number.
        lateness: delays of an open load's requests that were sent late although a user was free.
        delays: how much later than asked the processes woke up, which is how long an answer waits
            in the load generator, and which its latency includes.
        last_recorded: time of the last request, on the monotonic clock.
    """

    def __init__(self) -> None:
        self.failures = 0
        self.answers = 0
        self.correct = 0
        self.squared_error = 0.0
        self.errors: Counter[str] = Counter()
        self.total = Histogram()
        self.lateness = Histogram()
        self.delays = Histogram()
        # On this machine's monotonic clock; another machine reports an age.
        self.began: dict[int, float] = {}
        self._tick = Histogram()
        self._window: deque[tuple[float, Histogram]] = deque(maxlen=_WINDOW_TICKS)
        self._last_tick = self.last_recorded = time.monotonic()

    def record(self, response_time: float, exception: object = None, **_: object) -> None:
        """Count one request; a listener of locust's `request` event.

        Args:
            response_time: latency in milliseconds.
            exception: the error of a failed request.
        """
        self.last_recorded = time.monotonic()
        self._tick.add(response_time)
        self.total.add(response_time)
        if exception is not None:
            self.failures += 1
            self._add_error(str(exception)[:_ERROR_CHARACTERS], 1)

    def record_prediction(self, *, correct: bool = False, error: float = 0.0) -> None:
        """Count one well-formed prediction.

        Args:
            correct: a classifier returned the right label.
            error: difference of a regression's value from the true one.
        """
        self.answers += 1
        self.correct += correct
        self.squared_error += error * error

    def tick(self, *, remainder: bool = False) -> dict[str, Any]:
        """Close the current interval of half a second; return the statistics of the last four.

        Args:
            remainder: the interval is the end of a load and may be very short, so it is merged
                into the one before it.
        """
        now = time.monotonic()
        length = now - self._last_tick
        if remainder and self._window:
            previous_length, histogram = self._window.pop()
            length += previous_length
            self._tick.merge(histogram)
        self._window.append((length, self._tick))
        self._last_tick, self._tick = now, Histogram()
        recent = Histogram()
        for _, histogram in self._window:
            recent.merge(histogram)
        seconds = sum(length for length, _ in self._window)
        return {
            "requests": self.total.count,
            "failures": self.failures,
            "rps": round(recent.count / seconds, 1) if seconds else 0.0,
            **percentiles(recent),
        }

    def take(self) -> dict[str, Any]:
        """Return all counts as a JSON object for the master, and reset them to zero."""
        counts = {
            "failures": self.failures,
            "answers": self.answers,
            "correct": self.correct,
            "squared_error": self.squared_error,
            "errors": dict(self.errors),
            "latencies": self.total.as_json(),
            "lateness": self.lateness.as_json(),
            "delays": self.delays.as_json(),
            "ages": [[worker, time.monotonic() - at] for worker, at in self.began.items()],
        }
        self.failures = self.answers = self.correct = 0
        self.squared_error = 0.0
        self.errors, self.total, self._tick = Counter(), Histogram(), Histogram()
        self.lateness, self.delays = Histogram(), Histogram()
        return counts

    def merge(self, counts: dict[str, Any]) -> None:
        """Add the counts that a worker's `take` returned."""
        latencies = Histogram.from_json(counts["latencies"])
        if latencies.count:
            self.last_recorded = time.monotonic()
        self._tick.merge(latencies)
        self.total.merge(latencies)
        self.lateness.merge(Histogram.from_json(counts["lateness"]))
        self.delays.merge(Histogram.from_json(counts["delays"]))
        for worker, age in counts["ages"]:
            # The report took its time, so the schedule began no later than this.
            at = time.monotonic() - age
            self.began[worker] = min(at, self.began.get(worker, at))
        self.failures += counts["failures"]
        self.answers += counts["answers"]
        self.correct += counts["correct"]
        self.squared_error += counts["squared_error"]
        for text, count in counts["errors"].items():
            self._add_error(text, count)

    def final(self) -> dict[str, Any]:
        """Return the totals, under the names of RunRecord's fields."""
        return {
            "requests": self.total.count,
            "failures": self.failures,
            "answers": self.answers,
            "correct": self.correct,
            "squared_error": self.squared_error,
            "max_ms": round(self.total.max_ms, 2) if self.total.count else None,
            "errors": dict(self.errors),
            "lateness_p99_ms": self.lateness.percentile(0.99),
            "delay_p99_ms": self.delays.percentile(0.99),
            **percentiles(self.total),
        }

    def _add_error(self, text: str, count: int) -> None:
        known = text in self.errors or len(self.errors) < _MAX_ERRORS
        self.errors[text if known else "other errors"] += count


def percentiles(histogram: Histogram) -> dict[str, float | None]:
    """Return the recorded percentiles, in milliseconds; None for an empty histogram."""
    return {
        "p50_ms": histogram.percentile(0.50),
        "p95_ms": histogram.percentile(0.95),
        "p99_ms": histogram.percentile(0.99),
    }
