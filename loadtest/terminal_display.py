"""The terminal output while the load runs: a live table, or a line every two seconds."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from loadtest.samples import Sample
from loadtest.summary import instances_text, milliseconds

_LINE_SECONDS = 2.0
_BARS = "▁▂▃▄▅▆▇█"
_SPARKLINE_WIDTH = 40
# A narrower terminal would cut the headings; it gets the columns that decide.
_WIDE = 76
_NARROW = ("time", "users", "req/s", "p99", "failures", "instances")


class Display(Protocol):
    """Shows the latest sample."""

    def __enter__(self) -> Self:
        """Start the display."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the display."""

    def show(self, sample: Sample) -> None:
        """Show a sample."""


def create_display(console: Console, title: str) -> Display:
    """Return a live table for a terminal with colors, and otherwise a line display."""
    if console.is_terminal and "NO_COLOR" not in os.environ:
        return TableDisplay(console, title)
    return LineDisplay(console)


class LineDisplay:
    """Prints a line every two seconds, for a pipe or a log."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._next = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def show(self, sample: Sample) -> None:
        """Print a line if two seconds have passed."""
        if sample.t < self._next:
            return
        self._next = sample.t + _LINE_SECONDS - 0.25  # samples arrive about every half second
        self._console.print(format_line(sample), highlight=False, markup=False, soft_wrap=True)


class TableDisplay:
    """Redraws a table with every sample."""

    def __init__(self, console: Console, title: str) -> None:
        self._title = title
        self._rates: list[float] = []
        self._live = Live(console=console, refresh_per_second=4, transient=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, sample: Sample) -> None:
        """Draw a sample."""
        self._rates = [*self._rates, sample.rps][-_SPARKLINE_WIDTH:]
        table = Table(title=self._title, title_justify="left", caption=sparkline(self._rates))
        failures = f"{sample.failures:,}"
        cells = {
            "time": f"{sample.t:.0f} s",
            "users": str(sample.users),
            "requests/s": f"[bold cyan]{sample.rps:,.0f}[/]",
            "p50": milliseconds(sample.p50_ms),
            "p95": milliseconds(sample.p95_ms),
            "p99": milliseconds(sample.p99_ms),
            "failures": f"[bold red]{failures}[/]" if sample.failures else f"[green]{failures}[/]",
            "instances": f"[bold]{instances_text(sample)}[/]",
        }
        if self._live.console.width < _WIDE:
            cells["req/s"] = cells["requests/s"]
            cells = {name: cells[name] for name in _NARROW}
        for name in cells:
            table.add_column(name, justify="right", no_wrap=True)
        table.add_row(*cells.values())
        self._live.update(table)


def format_line(sample: Sample) -> str:
    """Return a sample as one line of text."""
    return (
        f"{sample.t:6.1f} s  users {sample.users:<4d} {sample.rps:8,.0f} requests/s  "
        f"p50 {milliseconds(sample.p50_ms):>9}  p99 {milliseconds(sample.p99_ms):>9}  "
        f"failures {sample.failures:<5d} instances {instances_text(sample)}"
    )


def sparkline(values: list[float]) -> str:
    """Return the values as a line of bars; the largest value has a full bar."""
    top = max(values, default=0.0) or 1.0
    return "".join(_BARS[min(int(v / top * len(_BARS)), len(_BARS) - 1)] for v in values)
