"""Rows that are there at the same time are scored in one run.

Between two requests the kernel and the HTTP server push the trees out of the processor's caches, so
the first row of a run costs several times what the next ones do. No row waits for company: only
requests that the event loop has already begun are put together, and the last of them runs the batch
at once. A request that is alone never waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from model.predictor import BATCH_ROWS, Predictor


class Coalescer:
    """Scores single rows on one event loop.

    Args:
        predictor: the model.
        under_way: tells how many requests the server has begun and not ended.
    """

    def __init__(self, predictor: Predictor, under_way: Callable[[], int]) -> None:
        self._predictor = predictor
        self._under_way = under_way
        # One for each row that was put.
        self._waiting: list[asyncio.Future[int]] = []
        self._batch_number = 0

    async def class_number(self, row: Sequence[float]) -> int:
        """Return the class number of one row.

        Raises:
            struct.error: another number of values than the width, or not numbers.
            OverflowError: a value is too large for 32 bits.
        """
        waiting = self._waiting
        before = len(waiting)
        # Of this row alone, if it cannot be packed: it has not joined yet.
        self._predictor.put(before, row)
        rows = before + 1
        if rows >= BATCH_ROWS or rows >= self._under_way():
            if not before:
                return self._predictor.run_put(1)[0]
            return self._run(rows)[before]
        loop = asyncio.get_running_loop()
        if not before:
            loop.call_soon(self._run_later, self._batch_number)
        future: asyncio.Future[int] = loop.create_future()
        waiting.append(future)
        return await future

    def _run_later(self, batch_number: int) -> None:
        if batch_number == self._batch_number:  # else the last to join has run it
            with suppress(Exception):  # those who wait have it
                self._run(len(self._waiting))

    def _run(self, rows: int) -> list[int]:
        waiting, self._waiting = self._waiting, []
        self._batch_number += 1
        try:
            numbers = self._predictor.run_put(rows)
        except Exception as error:
            # onnxruntime's exceptions share no base; every row of the batch shares its fate.
            for future in waiting:
                if not future.done():
                    future.set_exception(error)
            raise
        for future, number in zip(waiting, numbers, strict=False):
            if not future.done():  # a client that went away may have cancelled it
                future.set_result(number)
        return numbers
