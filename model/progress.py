"""Logs one line per second during a long piece of work."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from time import perf_counter
from types import TracebackType

log = logging.getLogger("model.progress")

_EVERY_SECONDS = 1.0


class Progress:
    """The progress of a piece of work: `with Progress("fit") as progress: …`.

    Args:
        title: the name of the work, for the log.
        every_seconds: interval between two lines.

    Attributes:
        total: number of steps, 0 if it is not known.
        done: number of steps that are done.
        measure: returns the number of steps done, for work that cannot set `done`.
    """

    def __init__(self, title: str = "", every_seconds: float = _EVERY_SECONDS) -> None:
        self.total = 0
        self.done = 0
        self.measure: Callable[[], int] | None = None
        self._title = title
        self._every_seconds = every_seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._tell, daemon=True)

    def __enter__(self) -> Progress:
        self._began = perf_counter()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def line(self) -> str:
        """Return the line to log."""
        seconds = perf_counter() - self._began
        done = self.measure() if self.measure else self.done
        steps = f", {done} of {self.total}" if self.total else ""
        return f"progress: {self._title} {seconds:.0f} s{steps}"

    def _tell(self) -> None:
        while not self._ended.wait(self._every_seconds):
            log.info("%s", self.line)
