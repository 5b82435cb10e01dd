"""Rows that are there at the same time are scored in one run.

Between two requests the kernel and the HTTP server push the trees out of the processor's caches, so
the first row of a run costs several times what the next ones do. No row waits for company: a run
takes what the event loop found ready in the same round, and a row that is alone is scored at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from model.predictor import BATCH_ROWS, Predictor

T = TypeVar("T")


class Coalescer(Generic[T]):
    """Scores single rows on one event loop.

    Args:
        predictor: the model.
        schedule: calls a function after what is ready has been read, as `loop.call_soon` does.
        deliver: is called with the tickets of a run and their class numbers.
        fail: is called with the tickets of a run that failed, and the exception.
        most: rows of a run, at most BATCH_ROWS.
    """

    def __init__(
        self,
        predictor: Predictor,
        schedule: Callable[[Callable[[], None]], object],
        deliver: Callable[[list[T], list[int]], None],
        fail: Callable[[list[T], Exception], None],
        most: int = BATCH_ROWS,
    ) -> None:
        self._predictor = predictor
        self._schedule = schedule
        self._deliver = deliver
        self._fail = fail
        self._most = most
        # One for each row that was put.
        self._tickets: list[T] = []

    def add(self, row: Sequence[float], ticket: T) -> None:
        """Have a row scored, whose class number will be delivered with the ticket.

        Raises:
            struct.error: another number of values than the width, or not numbers.
            OverflowError: a value is too large for 32 bits.
        """
        tickets = self._tickets
        # Of this row alone, if it cannot be packed: it has not joined yet.
        self._predictor.put(len(tickets), row)
        tickets.append(ticket)
        if len(tickets) >= self._most:
            self._run()
        elif len(tickets) == 1:
            self._schedule(self._run)

    def _run(self) -> None:
        tickets, self._tickets = self._tickets, []
        if not tickets:  # they were as many as a run takes, and did not wait for this
            return
        try:
            numbers = self._predictor.run_put(len(tickets))
        except Exception as error:
            # onnxruntime's exceptions share no base; every row of the run shares its fate.
            self._fail(tickets, error)
        else:
            self._deliver(tickets, numbers)
