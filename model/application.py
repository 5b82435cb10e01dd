"""The application: /ping, /invocations and /metrics of one model.

`fast_parser` and `request_rows` parse the body, `predictor` scores the rows and `response_encoder`
writes the response. A single row of CSV, which is what most clients send, takes the fast path: it
is parsed, packed into the bound buffer, scored together with the rows that arrived in the same
round of the event loop, and answered by a prebuilt response.
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

from model.columns import Columns
from model.counters import Counters
from model.errors import InternalFailureError, OverloadedError, RequestError
from model.fast_parser import csv_row
from model.invocation_log import InvocationLog
from model.media import CSV, JSON, LABELS, ResponseFormat, content_media_type, negotiate
from model.messages import Request, Response
from model.micro_batching import MicroBatcher
from model.predictor import BATCH_ROWS, Predictor
from model.request_rows import read_rows
from model.response_encoder import ResponseEncoder
from model.scoring import score_rows

log = logging.getLogger("model.application")

# A body up to the first limit is answered at once. One up to the second is queued and answered
# between two rounds of the event loop. A larger one takes so long that the loop must go on
# meanwhile, so a thread answers it.
_MAX_INLINE_BYTES = 64 * 1024
_MAX_QUEUED_BYTES = 256 * 1024
# Pairs of Content-Type and Accept whose negotiation is cached.
_MAX_CACHED_NEGOTIATIONS = 256
_ROUTES = {
    b"/ping": (b"GET", b"HEAD"),
    b"/metrics": (b"GET", b"HEAD"),
    b"/invocations": (b"POST",),
}
_METRICS_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_JSON = JSON.encode()


@dataclass(frozen=True, slots=True)
class _Negotiation:
    """The result of content negotiation for one pair of Content-Type and Accept.

    Attributes:
        content_type: media type of the request body.
        response_format: format of the response body.
        header: the response's content-type header.
        fast_path: the model is a classifier of plain numbers, the request is text/csv, and the
            response is labels as text/csv.
    """

    content_type: str
    response_format: ResponseFormat
    header: bytes
    fast_path: bool


class Application:
    """Answers the requests for one model, on one event loop.

    Args:
        predictor: the model.
        columns: the columns of a row, in order.
        counters: the counters that /metrics reports; by default, new ones.
        output: labels or probabilities, used if the Accept header does not select one.
        max_waiting: bodies that may wait, for their remaining parts or in the queue, before
            further ones are answered 503.
        log_all: log every invocation, not only the refused ones.
        max_batch_size: single rows that are scored in one run, 1 to BATCH_ROWS.
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
        max_batch_size: int = BATCH_ROWS,
    ) -> None:
        self._predictor = predictor
        self._columns = columns
        self._batcher = MicroBatcher(
            predictor, _call_soon, self._answer_batch, self._fail, max_batch_size
        )
        self._encoder = ResponseEncoder(predictor.classes)
        self._counters = counters or Counters()
        self._output = output
        self._max_waiting = max_waiting
        self._log = InvocationLog(answered=log_all)
        self._waiting = 0
        # One at a time: more threads would only compete for the interpreter's lock.
        self._thread_semaphore = asyncio.Semaphore(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self._queue: deque[tuple[Request, _Negotiation]] = deque()
        self._negotiations: dict[tuple[bytes, bytes], _Negotiation] = {}
        self._label_responses = [
            Response(200, b"text/csv; charset=utf-8", self._encode_label(number))
            for number in range(len(predictor.classes))
        ]

    def handle(self, request: Request) -> None:
        """Answer a request, now or later."""
        # The fast path.
        if request.url == b"/invocations" and request.method == b"POST":
            negotiation = self._negotiations.get((request.content_type, request.accept))
            if (
                negotiation is not None
                and negotiation.fast_path
                and not request.request_id
                and request.error is None
                and (row := csv_row(request.body)) is not None
            ):
                try:
                    self._batcher.add(row, request)
                    return
                except (StructError, OverflowError):
                    pass
        self._attempt(self._route, request)

    def admit(self, request: Request) -> None:
        """Count a body that has to wait; refuse it if too many wait already."""
        if self._waiting >= self._max_waiting:
            message = f"{self._waiting} requests are waiting already; try again soon"
            request.refuse(OverloadedError(message))
        else:
            self._waiting += 1
            request.admitted = True

    def release(self, request: Request) -> None:
        """Stop counting a body among those that wait."""
        self._waiting -= 1
        request.admitted = False

    def flush(self) -> None:
        """Write the buffered lines of the invocation log; call this when serving ends."""
        self._log.flush()

    def _route(self, request: Request) -> None:
        """Answer a request.

        Raises:
            RequestError: the request is refused.
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
            negotiation = self._negotiate(request.content_type, request.accept)
            size = len(request.body)
            if size <= _MAX_INLINE_BYTES:
                self._answer_inline(request, negotiation)
                return
            if not request.admitted:
                self.admit(request)
                if request.error is not None:
                    raise request.error
            if size <= _MAX_QUEUED_BYTES:
                self._queue.append((request, negotiation))
                if len(self._queue) == 1:
                    _call_soon(self._process_queue)
                return
            answering = self._answer_in_thread(request, negotiation)
            task = asyncio.get_running_loop().create_task(answering)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _process_queue(self) -> None:
        self._attempt(self._answer_inline, *self._queue[0])
        self._queue.popleft()
        if self._queue:
            _call_soon(self._process_queue)

    def _answer_inline(self, request: Request, negotiation: _Negotiation) -> None:
        self._answer(request, negotiation, *self._predict(request.body, negotiation))

    async def _answer_in_thread(self, request: Request, negotiation: _Negotiation) -> None:
        try:
            async with self._thread_semaphore:
                found = await asyncio.to_thread(self._predict, request.body, negotiation)
        except Exception as error:
            self._fail([request], error)
        else:
            self._answer(request, negotiation, *found)

    def _attempt(self, answer: Callable[..., None], request: Request, *rest: Any) -> None:
        try:
            answer(request, *rest)
        except Exception as error:
            self._fail([request], error)

    def _answer(self, request: Request, negotiation: _Negotiation, body: bytes, rows: int) -> None:
        extra = []
        if request.request_id:
            extra.append((b"x-request-id", self._log.id_of(request.request_id).encode()))
        response = Response(200, negotiation.header, body, *extra)
        # Counted first: a client that has its answer may ask another worker for the counters.
        nanoseconds = perf_counter_ns() - request.started_ns
        self._counters.answered(nanoseconds, rows)
        request.answer(response)
        if self._log.writes_answered:
            self._log.answered(request.request_id, nanoseconds, rows)

    def _answer_batch(self, requests: list[Request], numbers: list[int]) -> None:
        """Answer the requests that took the fast path."""
        if self._predictor.may_overflow and min(numbers) < 0:
            # The slow path says which column overflows.
            for request, number in zip(requests, numbers, strict=True):
                if number < 0:
                    self._attempt(self._route, request)
            answered = [at for at, number in enumerate(numbers) if number >= 0]
            requests = [requests[at] for at in answered]
            numbers = [numbers[at] for at in answered]
        responses = self._label_responses
        now = perf_counter_ns()
        nanoseconds = [now - request.started_ns for request in requests]
        self._counters.answered_rows(nanoseconds)
        for request, number in zip(requests, numbers, strict=True):
            request.answer(responses[number])
        if self._log.writes_answered:
            self._log.answered_rows(nanoseconds)

    def _fail(self, requests: list[Request], error: Exception) -> None:
        if not isinstance(error, RequestError):
            log.error("an invocation failed", exc_info=error)
            error = InternalFailureError("the traceback is in the log")
        for request in requests:
            self._refuse(request, error)

    def _refuse(self, request: Request, error: RequestError) -> None:
        code, message = type(error).__name__.removesuffix("Error"), str(error)
        self._counters.refused(error.status)
        nanoseconds = perf_counter_ns() - request.started_ns
        logged_id = self._log.refused(request.request_id, error.status, nanoseconds, code, message)
        extra = [(b"x-request-id", logged_id.encode())]
        if error.status == OverloadedError.status:
            extra.append((b"retry-after", b"1"))
        request.answer(Response(error.status, _JSON, _error(code, message), *extra))

    def _negotiate(self, content_type: bytes, accept: bytes) -> _Negotiation:
        cached = self._negotiations.get((content_type, accept))
        if cached is not None:
            return cached
        media_type = content_media_type(content_type.decode("latin-1"))
        response_format = negotiate(accept.decode("latin-1"), media_type, self._output)
        csv = response_format.media_type == CSV
        negotiation = _Negotiation(
            media_type,
            response_format,
            (response_format.media_type + ("; charset=utf-8" if csv else "")).encode(),
            fast_path=media_type == CSV
            and csv
            and response_format.output == LABELS
            and self._columns.plain
            and bool(self._predictor.classes),
        )
        if len(self._negotiations) < _MAX_CACHED_NEGOTIATIONS:
            self._negotiations[content_type, accept] = negotiation
        return negotiation

    def _predict(self, body: bytes, negotiation: _Negotiation) -> tuple[bytes, int]:
        """Return the response body and the number of rows."""
        rows = read_rows(body, negotiation.content_type, self._columns)
        numbers, values = score_rows(rows, self._predictor, self._columns)
        return self._encoder.encode(negotiation.response_format, numbers, values), len(rows)

    def _encode_label(self, number: int) -> bytes:
        numbers = np.array([number], np.int64)
        return self._encoder.encode(ResponseFormat(CSV), numbers, np.zeros((1, 1), np.float32))


def _call_soon(call: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_soon(call)


def _error(code: str, message: str) -> bytes:
    return json.dumps({"error": {"code": code, "message": message}}, ensure_ascii=False).encode()
