"""The progress of a deployment: a counter and the time in a terminal, lines when piped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from localcloud.core.clock import monotonic

if TYPE_CHECKING:
    from localcloud.deploy.plan import ResourceChange

# In a terminal these are counted and not listed: a first deployment has dozens of them.
_COUNTED = frozenset({"CREATE", "DELETE"})


class DeploymentProgress:
    """Shows changes of resources as they are made; use it in a `with` statement.

    Args:
        console: where to show them.
        what: what is done, such as `Deploying stack dev`.
        print_step: prints the line of a change.
        announce: print what is done as a line, too.
        everything: list what would only be counted.
        silent: show nothing.
    """

    def __init__(
        self,
        console: Console,
        what: str,
        print_step: Callable[[ResourceChange], None],
        *,
        announce: bool = True,
        everything: bool = False,
        silent: bool = False,
    ) -> None:
        self._print, self._silent = print_step, silent
        self._counts_only = console.is_terminal and not everything
        self._counted: Counter[str] = Counter()
        self._began = monotonic()
        self.steps: list[ResourceChange] = []
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=silent or not console.is_terminal,
        )
        self._task = self._bar.add_task(what)
        if announce and not silent:
            console.print(what)

    def __enter__(self) -> Self:
        """Begin to show."""
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Remove the counter."""
        self._bar.stop()

    def show(self, step: ResourceChange) -> None:
        """Show a change that was made."""
        self.steps.append(step)
        self._counted[step.change.value] += 1
        counts = ", ".join(f"{count} {word}" for word, count in self._counted.items())
        # A long name would break the line of a narrow terminal.
        self._bar.update(self._task, description=f"{counts}: {step.name[:30]}")
        if self._silent or step.change.name == "SAME":
            return
        if not (self._counts_only and step.change.name in _COUNTED):
            self._print(step)

    @property
    def seconds(self) -> float:
        """Return the seconds since the begin."""
        return monotonic() - self._began


def described(steps: list[ResourceChange]) -> list[dict[str, Any]]:
    """Return changes as JSON has them."""
    return [
        {
            "change": step.change.name.lower(),
            "urn": step.urn,
            "type": step.type,
            "name": step.name,
            "id": step.id,
            "differences": [
                {"path": d.path, "before": d.before, "after": d.after} for d in step.differences
            ],
        }
        for step in steps
    ]
