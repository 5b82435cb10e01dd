"""Times in answers: a search for those of the machine's clock where AWS's belong."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

# How far a test advances the cloud's clock, which tells the two apart.
AHEAD_SECONDS = 29 * 86400.0
_DAY = 86400.0
# Members that come from the connection itself.
_OF_HTTP = frozenset({"ResponseMetadata"})


def walls_times(answer: Any, path: str = "") -> list[str]:
    """Return the paths of all times in an answer that lie within a day of the machine's clock."""
    if isinstance(answer, dict):
        return [
            found
            for key, inner in answer.items()
            if key not in _OF_HTTP
            for found in walls_times(inner, f"{path}.{key}".strip("."))
        ]
    if isinstance(answer, list):
        return [found for inner in answer for found in walls_times(inner, f"{path}[]")]
    stamp = _seconds(answer)
    return [f"{path}: {answer}"] if stamp is not None and abs(stamp - time.time()) < _DAY else []


def _seconds(value: Any) -> float | None:
    """Return a value as seconds since 1970, if it may be a time."""
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, str):
        if value.isdigit() and len(value) in (10, 13):
            return _seconds(int(value))
        try:
            return (
                _seconds(datetime.fromisoformat(value)) if len(value) >= len("2026-01-01") else None
            )
        except ValueError:
            return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value / 1000 if value > 1e12 else float(value)
    return None
