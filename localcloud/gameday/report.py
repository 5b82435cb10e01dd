"""The report of a game day: a row for each fault, a table of the kinds, and the verdict."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from localcloud.gameday.schedule import Fault


@dataclass(slots=True)
class Row:
    """The effect of one fault.

    Attributes:
        hit: what it hit; empty if there was nothing to hit.
        answered, lost: invocations from the fault until the service was whole again.
        reasons: the number of lost invocations by reason.
        slowest_seconds: the slowest invocation of that time.
        whole_after_seconds: from the fault until the service was whole; None if it was not.
    """

    fault: Fault
    hit: str
    answered: int = 0
    lost: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    slowest_seconds: float = 0.0
    whole_after_seconds: float | None = None


@dataclass(slots=True)
class Report:
    """The whole game day.

    Attributes:
        losses: a sentence for each acknowledged thing that was lost.
        orphans: the processes that were left behind.
        totals: counts of the work and the load.
    """

    seed: int
    rows: list[Row] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    orphans: list[int] = field(default_factory=list)
    totals: dict[str, int] = field(default_factory=dict)

    @property
    def broken(self) -> list[Row]:
        """Return the faults after which the service did not become whole."""
        return [row for row in self.rows if row.whole_after_seconds is None]

    @property
    def passed(self) -> bool:
        """Return whether nothing was lost, nothing was left behind, and all became whole."""
        return not (self.losses or self.orphans or self.broken)

    def document(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "seed": self.seed,
            "passed": self.passed,
            "totals": self.totals,
            "losses": self.losses,
            "orphans": self.orphans,
            "faults": [asdict(row) for row in self.rows],
        }

    def write(self, path: Path) -> None:
        """Write the report as a JSON file."""
        path.write_text(json.dumps(self.document(), indent=2) + "\n")

    def print(self, out: Console) -> None:
        """Print the table of the kinds and the verdict."""
        table = Table(box=None, pad_edge=True)
        for name in (
            "Fault",
            "Times",
            "Hit",
            "Lost",
            "Of",
            "Whole after",
            "Longest",
            "Slowest",
        ):
            table.add_column(name, justify="left" if name == "Fault" else "right")
        kinds = dict.fromkeys(row.fault.kind for row in self.rows)
        for kind in kinds:
            table.add_row(kind, *_cells([row for row in self.rows if row.fault.kind is kind]))
        table.add_row("[bold]all[/bold]", *_cells(self.rows))
        out.print(table)
        reasons: Counter[str] = Counter()
        for row in self.rows:
            reasons.update(row.reasons)
        if reasons:
            text = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
            out.print(f"  Lost invocations by reason: {text}", markup=False)
        counts = ", ".join(f"{count:,} {name}" for name, count in self.totals.items())
        out.print(f"  {counts}", markup=False)
        for problem in self.losses[:20]:
            out.print(f"  [red]lost[/red] {problem}")
        for row in self.broken:
            out.print(f"  [red]not whole[/red] after fault {row.fault.number}, {row.fault.kind}")
        if self.orphans:
            out.print(f"  [red]left behind[/red] {len(self.orphans)} processes: {self.orphans}")
        verdict = "[green]passed[/green]" if self.passed else "[red]failed[/red]"
        lost, left = len(self.losses), len(self.orphans)
        out.print(
            f"\n[bold]Game day {verdict}[/bold]: {len(self.rows)} faults, {lost} acknowledged "
            f"things lost, {left} processes left behind"
        )


def _cells(rows: list[Row]) -> list[str]:
    times = [row.whole_after_seconds for row in rows if row.whole_after_seconds is not None]
    lost = sum(row.lost for row in rows)
    whole = [f"{f(times):.1f} s" if times else "never" for f in (statistics.median, max)]
    return [
        str(len(rows)),
        str(sum(bool(row.hit) for row in rows)),
        f"[red]{lost}[/red]" if lost else "0",
        f"{lost + sum(row.answered for row in rows):,}",
        *whole,
        f"{max((row.slowest_seconds for row in rows), default=0.0):.1f} s",
    ]
