"""Pure: a histogram of latencies, counted by value with three significant digits.

Its memory is bounded, however long the test is, and its percentiles are within half a percent of
the exact ones: 123.4 ms is counted as 123 ms, and 1.2345 ms as 1.23 ms.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any, Self


class Histogram:
    """A histogram of latencies in milliseconds.

    Attributes:
        count: number of latencies.
        max_ms: the largest latency, exact; 0 for an empty histogram.
    """

    def __init__(self, values_ms: Iterable[float] = ()) -> None:
        self._counts: Counter[float] = Counter()
        self.count = 0
        self.max_ms = 0.0
        for value in values_ms:
            self.add(value)

    def add(self, value_ms: float) -> None:
        """Count one latency, at least 0."""
        self._counts[_round(value_ms)] += 1
        self.count += 1
        self.max_ms = max(self.max_ms, value_ms)

    def merge(self, other: Histogram) -> None:
        """Add the counts of another histogram."""
        self._counts.update(other._counts)
        self.count += other.count
        self.max_ms = max(self.max_ms, other.max_ms)

    def as_json(self) -> dict[str, Any]:
        """Return a JSON object from which `from_json` restores the histogram."""
        return {"counts": [list(pair) for pair in self._counts.items()], "max_ms": self.max_ms}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Return the histogram of a JSON object that `as_json` returned."""
        histogram = cls()
        histogram._counts.update(dict(document["counts"]))
        histogram.count = histogram._counts.total()
        histogram.max_ms = document["max_ms"]
        return histogram

    def percentile(self, share: float) -> float | None:
        """Return the smallest latency that `share` (0 to 1) of the requests do not exceed.

        The result is in milliseconds; None for an empty histogram.
        """
        if not self.count:
            return None
        rank = max(1, math.ceil(share * self.count))
        seen = 0
        for value in sorted(self._counts):
            seen += self._counts[value]
            if seen >= rank:
                return value
        raise AssertionError("the counts do not add up")


def _round(value: float) -> float:
    if value <= 0:
        return 0.0
    digits = 2 - math.floor(math.log10(value))
    return round(value, digits)
