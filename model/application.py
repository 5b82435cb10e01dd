"""The application: /ping, /invocations and /metrics of one model.

What a body means is in `quick` and `payload`, the answer in `predictor` and `answers`. One row of
CSV, which is what most clients send, takes the short way: parsed, packed into the bound buffer,
scored with the rows that are there at the same time, answered by a response made beforehand.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from struct import error as StructError  # noqa: N812 - a class under a function's name
from time import perf_counter_ns
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.answers import Encoder
from model.coalescing import Coalescer
from model.columns import Columns
from model.counters import Counters
from model.errors import InternalFailureError, OverloadedError, RequestError
from model.invocation_log import InvocationLog
from model.media import CSV, JSON, LABELS, NPY, Answer, accepted, content_media_type
from model.messages import Request, Response
from model.payload import decode
from model.predictor import BATCH_ROWS, Predictor
from model.quick import csv_row, csv_rows, json_rows

log = logging.getLogger("model.application")

# A body above the first is answered in its turn, between two rounds of the event loop; one above
# the second takes so long that the loop must go on meanwhile: it is answered in a thread.
_TURN_BYTES = 64 * 1024
_THREAD_BYTES = 256 * 1024
# Pairs of Content-Type and Accept that are remembered.
_PLANS = 256
_ROUTES = {
    b"/ping": (b"GET", b"HEAD"),
    b"/metrics": (b"GET", b"HEAD"),
    b"/invocations": (b"POST",),
}
_METRICS_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_JSON = JSON.encode()


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a pair of Content-Type and Accept means.

    Attributes:
        content_type: media type of the body.
        answer: what to answer with.
        header: the response's content-type.
        short: text/csv in and labels as text/csv out, of a model of plain numbers.
    """

    content_type: str
    answer: Answer
    header: bytes
    short: bool


class Application:
    """Answers the requests of one model, on one event loop.

    Args:
        predictor: the model.
        columns: of a row.
        counters: what /metrics tells.
        output: labels or probabilities, when a client does not say.
        max_waiting: bodies that may wait, to come in or for their turn, before others are
            answered 503.
        log_all: log every invocation and not only those that were refused.
        together: single rows that are scored in one run, at most.
    """

    def __init__(
        self,
        predictor: Predictor,
        columns: Columns,
        counters: Counters | None = None,
        *,
        output: str = LABELS,
        max_waiting: int = 64,
        log_all: bool = False,
        together: int = BATCH_ROWS,
    ) -> None:
        self._predictor = predictor
        self._columns = columns
        self._coalescer = Coalescer(predictor, _soon, self._deliver, self._fail, together)
        self._encoder = Encoder(predictor.classes)
        self._counters = counters or Counters()
        self._output = output
        self._max_waiting = max_waiting
        self._log = InvocationLog(answered=log_all)
        self._waiting = 0
        # One at a time: more threads would only take turns.
        self._thread = asyncio.Semaphore(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self._turns: deque[tuple[Request, _Plan]] = deque()
        self._plans: dict[tuple[bytes, bytes], _Plan] = {}
        self._short_answers = [
            Response(200, b"text/csv; charset=utf-8", self._encode_label(number))
            for number in range(len(predictor.classes))
        ]

    def handle(self, request: Request) -> None:
        """Answer a request, now or later."""
        # The short way.
        if request.url == b"/invocations" and request.method == b"POST":
            plan = self._plans.get((request.content_type, request.accept))
            if (
                plan is not None
                and plan.short
                and not request.request_id
                and request.error is None
                and (row := csv_row(request.body)) is not None
            ):
                try:
                    self._coalescer.add(row, request)
                    return
                except (StructError, OverflowError):
                    pass
        self._attempt(self._route, request)

    def receive(self, request: Request) -> None:
        """Let a body wait, to come in or for its turn; past the bound it is refused."""
        if self._waiting >= self._max_waiting:
            message = f"{self._waiting} requests wait already; try again soon"
            request.refuse(OverloadedError(message))
        else:
            self._waiting += 1
            request.waits = True

    def leave(self, request: Request) -> None:
        """Count a body no longer among those that wait."""
        self._waiting -= 1
        request.waits = False

    def flush(self) -> None:
        """Write the invocations that wait to be logged; for the end of serving."""
        self._log.flush()

    def _route(self, request: Request) -> None:
        """Answer a request.

        Raises:
            RequestError: it is refused.
        """
        if request.error is not None:
            raise request.error
        path = request.path
        methods = _ROUTES.get(path)
        if methods is None:
            message = "the routes are /ping, /invocations and /metrics"
            request.answer(Response(404, _JSON, _error("NotFound", message)))
        elif request.method not in methods:
            message = f"{path.decode()} takes {b' or '.join(methods).decode()}"
            allow = (b"allow", b", ".join(methods))
            request.answer(Response(405, _JSON, _error("MethodNotAllowed", message), allow))
        elif path == b"/ping":
            request.answer(Response(200, _JSON, b"{}"))
        elif path == b"/metrics":
            request.answer(Response(200, _METRICS_TYPE, self._counters.render()))
        else:
            plan = self._plan(request.content_type, request.accept)
            size = len(request.body)
            if size <= _TURN_BYTES:
                self._answer_now(request, plan)
                return
            if not request.waits:
                self.receive(request)
                if request.error is not None:
                    raise request.error
            if size <= _THREAD_BYTES:
                self._turns.append((request, plan))
                if len(self._turns) == 1:
                    _soon(self._take_turn)
                return
            task = asyncio.get_running_loop().create_task(self._answer_in_thread(request, plan))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _take_turn(self) -> None:
        self._attempt(self._answer_now, *self._turns[0])
        self._turns.popleft()
        if self._turns:
            _soon(self._take_turn)

    def _answer_now(self, request: Request, plan: _Plan) -> None:
        self._answer(request, plan, *self._predict(request.body, plan))

    async def _answer_in_thread(self, request: Request, plan: _Plan) -> None:
        try:
            async with self._thread:
                found = await asyncio.to_thread(self._predict, request.body, plan)
        except Exception as error:
            self._fail([request], error)
        else:
            self._answer(request, plan, *found)

    def _attempt(self, answer: Callable[..., None], request: Request, *rest: Any) -> None:
        try:
            answer(request, *rest)
        except Exception as error:
            self._fail([request], error)

    def _answer(self, request: Request, plan: _Plan, body: bytes, rows: int) -> None:
        extra = []
        if request.request_id:
            extra.append((b"x-request-id", self._log.id_of(request.request_id).encode()))
        request.answer(Response(200, plan.header, body, *extra))
        took = perf_counter_ns() - request.began
        self._counters.answered(took, rows)
        if self._log.writes_answered:
            self._log.answered(request.request_id, took, rows)

    def _deliver(self, requests: list[Request], numbers: list[int]) -> None:
        """Answer the requests that took the short way."""
        answers = self._short_answers
        for request, number in zip(requests, numbers, strict=True):
            request.answer(answers[number])
        now = perf_counter_ns()
        took = [now - request.began for request in requests]
        self._counters.answered_rows(took)
        if self._log.writes_answered:
            self._log.answered_rows(took)

    def _fail(self, requests: list[Request], error: Exception) -> None:
        if not isinstance(error, RequestError):
            log.error("an invocation failed", exc_info=error)
            error = InternalFailureError("the traceback is in the log")
        for request in requests:
            self._refuse(request, error)

    def _refuse(self, request: Request, error: RequestError) -> None:
        code, message = type(error).__name__.removesuffix("Error"), str(error)
        self._counters.refused(error.status)
        took = perf_counter_ns() - request.began
        named = self._log.refused(request.request_id, error.status, took, code, message)
        extra = [(b"x-request-id", named.encode())]
        if error.status == OverloadedError.status:
            extra.append((b"retry-after", b"1"))
        request.answer(Response(error.status, _JSON, _error(code, message), *extra))

    def _plan(self, content_type: bytes, accept: bytes) -> _Plan:
        known = self._plans.get((content_type, accept))
        if known is not None:
            return known
        media_type = content_media_type(content_type.decode("latin-1"))
        answer = accepted(accept.decode("latin-1"), media_type, self._output)
        text = answer.media_type == CSV
        plan = _Plan(
            media_type,
            answer,
            (answer.media_type + ("; charset=utf-8" if text else "")).encode(),
            short=media_type == CSV
            and text
            and answer.output == LABELS
            and self._columns.plain
            and bool(self._predictor.classes),
        )
        if len(self._plans) < _PLANS:
            self._plans[content_type, accept] = plan
        return plan

    def _predict(self, body: bytes, plan: _Plan) -> tuple[bytes, int]:
        """Return the response body and the number of rows."""
        rows: NDArray[np.float32] | None = None
        if self._columns.plain and plan.content_type != NPY:
            if plan.content_type == CSV:
                rows = csv_rows(body, self._predictor.width)
            elif plan.content_type == JSON:
                rows = json_rows(body, self._predictor.width)
        if rows is None:
            rows = decode(body, plan.content_type, self._columns)
        return self._encoder.encode(plan.answer, *self._predictor.run(rows)), len(rows)

    def _encode_label(self, number: int) -> bytes:
        numbers = np.array([number], np.int64)
        return self._encoder.encode(Answer(CSV), numbers, np.zeros((1, 1), np.float32))


def _soon(call: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_soon(call)


def _error(code: str, message: str) -> bytes:
    return json.dumps({"error": {"code": code, "message": message}}, ensure_ascii=False).encode()
