"""Micro-batching: rows that arrive in the same round of the event loop are scored in one run.

Between two requests the kernel and the HTTP server push the trees out of the processor's caches, so
the first row of a run costs several times as much as each of the following ones. No row waits for
others to arrive: a run takes the rows that were ready in the same round of the event loop, and a
row that is alone is scored at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from model.predictor import BATCH_ROWS, Predictor

T = TypeVar("T")


class MicroBatcher(Generic[T]):
    """Scores single rows in batches, on one event loop.

    Args:
        predictor: the model.
        schedule: calls a function after everything that is ready has been read, as
            `loop.call_soon` does.
        deliver: called with the requests of a batch and their class numbers.
        fail: called with the requests of a batch that failed, and the exception.
        max_batch_size: rows in one batch, 1 to BATCH_ROWS.
    """

    def __init__(
        self,
        predictor: Predictor,
        schedule: Callable[[Callable[[], None]], object],
        deliver: Callable[[list[T], list[int]], None],
        fail: Callable[[list[T], Exception], None],
        max_batch_size: int = BATCH_ROWS,
    ) -> None:
        self._predictor = predictor
        self._schedule = schedule
        self._deliver = deliver
        self._fail = fail
        self._max_batch_size = max_batch_size
        # The requests of the current batch, in the order of their rows in the buffer.
        self._requests: list[T] = []

    def add(self, row: Sequence[float], request: T) -> None:
        """Add a row to the current batch; its class number is delivered together with `request`.

        Raises:
            struct.error: the row has the wrong number of values, or they are not numbers.
            OverflowError: a value is too large for 32 bits.
        """
        requests = self._requests
        # This raises before the row joins the batch, so a bad row fails alone.
        self._predictor.write_row(len(requests), row)
        requests.append(request)
        if len(requests) >= self._max_batch_size:
            self._run()
        elif len(requests) == 1:
            self._schedule(self._run)

    def _run(self) -> None:
        requests, self._requests = self._requests, []
        if not requests:  # the batch was full and has run before its scheduled call
            return
        try:
            numbers = self._predictor.run_buffered(len(requests))
        except Exception as error:
            # onnxruntime's exceptions have no common base class. The whole batch fails together.
            self._fail(requests, error)
        else:
            self._deliver(requests, numbers)
