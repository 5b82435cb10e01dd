"""The durations of the demo's steps and actions."""

from __future__ import annotations

from dataclasses import dataclass, field

from localcloud.core.clock import monotonic


@dataclass(slots=True)
class Timings:
    """Durations in wall-clock seconds, for the summary."""

    steps: dict[str, float] = field(default_factory=dict)
    stages: dict[str, float] = field(default_factory=dict)


class Timer:
    """Measures one step."""

    def __init__(self, into: dict[str, float], name: str) -> None:
        self._into = into
        self._name = name

    def __enter__(self) -> None:
        self._start = monotonic()

    def __exit__(self, *_: object) -> None:
        self._into[self._name] = monotonic() - self._start
