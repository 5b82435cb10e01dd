"""Pure but for the clock: what was answered, counted; the parts of several workers put together.

worker ──take()──► JSON ──merge()──► master: the same counts as if one had counted all
"""

from __future__ import annotations

import time
from collections import Counter, deque
from typing import Any

from loadtest.histogram import Histogram

_WINDOW_TICKS = 4
_ERROR_CHARACTERS = 300
# A test against a broken endpoint could meet a new text with every request.
_MAX_ERRORS = 20


class Recorder:
    """Counts answers: totals, and the last two seconds.

    Attributes:
        counted: when the last of them was, on the monotonic clock.
    """

    def __init__(self) -> None:
        self.failures = 0
        self.answers = 0
        self.correct = 0
        self.squared_error = 0.0
        self.errors: Counter[str] = Counter()
        self.total = Histogram()
        self._tick = Histogram()
        self._window: deque[tuple[float, Histogram]] = deque(maxlen=_WINDOW_TICKS)
        self._last = self.counted = time.monotonic()

    def record(self, response_time: float, exception: object = None, **_: object) -> None:
        """Count one request; locust's `request` event."""
        self.counted = time.monotonic()
        self._tick.add(response_time)
        self.total.add(response_time)
        if exception is not None:
            self.failures += 1
            self._error(str(exception)[:_ERROR_CHARACTERS], 1)

    def answer(self, *, correct: bool = False, error: float = 0.0) -> None:
        """Count one well-formed answer: whether it is right, or a regression's error."""
        self.answers += 1
        self.correct += correct
        self.squared_error += error * error

    def tick(self, *, rest: bool = False) -> dict[str, Any]:
        """Close a half second; return the figures of the last four.

        Args:
            rest: it is the rest of a load, which may be a moment only: part of the one before.
        """
        now = time.monotonic()
        length = now - self._last
        if rest and self._window:
            before, histogram = self._window.pop()
            length += before
            self._tick.merge(histogram)
        self._window.append((length, self._tick))
        self._last, self._tick = now, Histogram()
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
        """Return all that was counted, as JSON, and begin at nothing: what a worker tells."""
        taken = {
            "failures": self.failures,
            "answers": self.answers,
            "correct": self.correct,
            "squared_error": self.squared_error,
            "errors": dict(self.errors),
            "latencies": self.total.as_json(),
        }
        self.failures = self.answers = self.correct = 0
        self.squared_error = 0.0
        self.errors, self.total, self._tick = Counter(), Histogram(), Histogram()
        return taken

    def merge(self, taken: dict[str, Any]) -> None:
        """Count what a worker has taken."""
        latencies = Histogram.from_json(taken["latencies"])
        if latencies.count:
            self.counted = time.monotonic()
        self._tick.merge(latencies)
        self.total.merge(latencies)
        self.failures += taken["failures"]
        self.answers += taken["answers"]
        self.correct += taken["correct"]
        self.squared_error += taken["squared_error"]
        for text, count in taken["errors"].items():
            self._error(text, count)

    def final(self) -> dict[str, Any]:
        """Return the totals as a run's record has them."""
        return {
            "requests": self.total.count,
            "failures": self.failures,
            "answers": self.answers,
            "correct": self.correct,
            "squared_error": self.squared_error,
            "max_ms": round(self.total.max_ms, 2) if self.total.count else None,
            "errors": dict(self.errors),
            **percentiles(self.total),
        }

    def _error(self, text: str, count: int) -> None:
        known = text in self.errors or len(self.errors) < _MAX_ERRORS
        self.errors[text if known else "other errors"] += count


def percentiles(histogram: Histogram) -> dict[str, float | None]:
    """Return the percentiles that are recorded."""
    return {
        "p50_ms": histogram.percentile(0.50),
        "p95_ms": histogram.percentile(0.95),
        "p99_ms": histogram.percentile(0.99),
    }
