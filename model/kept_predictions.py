"""Pure: the predictions that wait for their labels: a bounded sample that can be merged.

Labels arrive hours or days after the answers. At most 100,000 predictions of seven days are kept:
those whose hash is smallest, a random sample that is the same for every split of the captures.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

MOST_KEPT = 100_000
KEPT_DAYS = 7
_HOUR = "%Y-%m-%dT%H"


class KeptPredictions:
    """Predictions by the hash of their id.

    Args:
        most: number of predictions to keep.

    Attributes:
        entries: (hour, answer, label) by hash; the hour has the form 2026-01-31T23, and the label
            is None until it arrives.
        sampled: predictions were dropped, because there were more than `most`.
    """

    def __init__(self, most: int = MOST_KEPT) -> None:
        self._most = most
        self._limit = 1 << 64
        self.entries: dict[int, tuple[str, str | float, str | float | None]] = {}
        self.sampled = False

    def add(
        self, key: int, hour: str, answer: str | float, label: str | float | None = None
    ) -> None:
        """Add a prediction; of two with one id, the label or the smaller hour and answer stays."""
        if key >= self._limit:
            self.sampled = True
            return
        entry = (hour, answer, label)
        known = self.entries.get(key)
        if known is not None:
            entry = min(entry, known, key=lambda one: (one[2] is None, one[0], str(one[1])))
        self.entries[key] = entry
        if len(self.entries) > 2 * self._most:
            self.prune()

    def prune(self) -> None:
        """Drop all but the `most` smallest hashes."""
        if len(self.entries) > self._most:
            self.sampled = True
            kept = sorted(self.entries)[: self._most]
            self.entries = {key: self.entries[key] for key in kept}
            self._limit = kept[-1] + 1

    def forget_old(self) -> None:
        """Drop what is seven days older than the newest prediction, and what has no hour."""
        hours = {hour for hour, _, _ in self.entries.values()}
        times = {hour: time for hour in hours if (time := _time(hour)) is not None}
        if not times:
            return
        oldest = max(times.values()) - timedelta(days=KEPT_DAYS)
        self.entries = {
            key: entry
            for key, entry in self.entries.items()
            if entry[0] in times and times[entry[0]] >= oldest
        }

    def merge(self, other: KeptPredictions) -> None:
        """Add other predictions."""
        for key, (hour, answer, label) in other.entries.items():
            self.add(key, hour, answer, label)
        self.sampled |= other.sampled

    def as_json(self) -> dict[str, Any]:
        """Return the object that `from_json` reads."""
        self.prune()
        keys = sorted(self.entries)
        return {
            "sampled": self.sampled,
            "entries": [[f"{key:016x}", *self.entries[key]] for key in keys],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> KeptPredictions:
        """Return the predictions that `as_json` described.

        Raises:
            KeyError, TypeError, ValueError: the object does not describe predictions.
        """
        kept = cls()
        for key, hour, answer, label in document["entries"]:
            kept.add(int(key, 16), hour, answer, label)
        kept.sampled = bool(document["sampled"])
        return kept


def _time(hour: str) -> datetime | None:
    try:
        return datetime.strptime(hour, _HOUR)
    except ValueError:
        return None
