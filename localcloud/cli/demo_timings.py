"""The durations of the demo's steps and actions."""

from __future__ import annotations

from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from localcloud.core.clock import monotonic


@dataclass(slots=True)
class Timings:
    """Durations in wall-clock seconds, for the summary.

    Attributes:
        steps: the durations of the demo itself, by step.
        stages: those of actions of the pipeline, all of which are within the steps.
        waited: how long the approval waited for an answer.
    """

    steps: dict[str, float] = field(default_factory=dict)
    stages: dict[str, float] = field(default_factory=dict)
    waited: float = 0.0
    _began: float = field(default_factory=monotonic)

    def document(self) -> dict[str, float]:
        """Return all of them by name, with `all`, which includes the wait for an answer."""
        return {**self.steps, **self.stages, "waited": self.waited, "all": self._all()}

    def print(self, out: Console) -> None:
        """Print the steps, and then the actions of the pipeline."""
        for title, durations in (("Step", self.steps), ("Action of the pipeline", self.stages)):
            grid = Table(title, "Seconds", box=None, pad_edge=True)
            for name, seconds in durations.items():
                grid.add_row(name, f"{seconds:.1f}")
            out.print(grid)
        text = f"{self._all() - self.waited:.0f} s in all"
        if self.waited >= 1:
            text += f", and {self.waited:.0f} s for your answer to the approval"
        out.print(f" [bold]{text}[/bold]", highlight=False)

    def _all(self) -> float:
        return monotonic() - self._began


class Timer:
    """Measures one step."""

    def __init__(self, into: dict[str, float], name: str) -> None:
        self._into = into
        self._name = name

    def __enter__(self) -> None:
        self._start = monotonic()

    def __exit__(self, *_: object) -> None:
        self._into[self._name] = monotonic() - self._start
