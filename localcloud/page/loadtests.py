"""The section `loadtests`: the newest load tests, with the summaries that they sent.

The load generator is a program of its own and sends its summary at the end. Must not: start one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from localcloud.core.store import Collection, Database

_KEPT = 20
MOST_BYTES = 256 * 1024


@dataclass(slots=True)
class LoadTest:
    """The summary of one load test, as its generator wrote it."""

    at: datetime
    summary: dict[str, Any]


class LoadTests:
    """The newest load tests."""

    def __init__(self, database: Database) -> None:
        self._records = Collection(database, "load-test", LoadTest)

    def add(self, at: datetime, summary: dict[str, Any]) -> None:
        """Keep a summary, and forget the oldest one if there are too many."""
        self._records.put(at.isoformat(), LoadTest(at, summary))
        for key in sorted(self._records)[:-_KEPT]:
            self._records.delete(key)

    def newest(self) -> dict[str, Any]:
        """Return the load tests, the newest first."""
        found = sorted(self._records.values(), key=lambda one: one.at, reverse=True)
        return {"count": len(found), "items": [{"at": one.at, **one.summary} for one in found]}
