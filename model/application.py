"""The ASGI application: /ping, /invocations and /metrics of one model.

HTTP alone: what a body means is in `quick` and `payload`, the answer in `predictor` and `answers`.
One row of CSV, which is what most clients send, takes the short way: parsed, packed into the bound
buffer, scored, and answered by messages that were made beforehand.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
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
from model.errors import OverloadedError, PayloadTooLargeError, RequestError
from model.invocation_log import InvocationLog
from model.media import CSV, JSON, LABELS, NPY, Answer, accepted, content_media_type
from model.payload import decode
from model.predictor import Predictor
from model.quick import csv_row, csv_rows, json_rows

log = logging.getLogger("model.application")

MAX_BODY_BYTES = 6 * 1024 * 1024
# A body above this is answered in a thread, so that /ping stays prompt.
_THREAD_BYTES = 64 * 1024
# A client reads no answer before it has sent its body; a body far over the limit is cut off.
_DRAIN_BYTES = 8 * MAX_BODY_BYTES
# Pairs of Content-Type and Accept that are remembered.
_PLANS = 256
_ROUTES = {"/ping": ("GET", "HEAD"), "/metrics": ("GET", "HEAD"), "/invocations": ("POST",)}
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


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
    """The ASGI application of one model.

    Args:
        predictor: the model.
        columns: of a row.
        counters: what /metrics tells.
        output: labels or probabilities, when a client does not say.
        max_waiting: bodies that may wait, to come in or for their turn, before others are
            answered 503.
        log_all: log every invocation and not only those that were refused.
        under_way: tells how many requests the server has begun and not ended.
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
        under_way: Callable[[], int] = lambda: 1,
    ) -> None:
        self._predictor = predictor
        self._columns = columns
        self._coalescer = Coalescer(predictor, under_way)
        self._encoder = Encoder(predictor.classes)
        self._counters = counters or Counters()
        self._output = output
        self._max_waiting = max_waiting
        self._log = InvocationLog(answered=log_all)
        self._waiting = 0
        # One body at a time a worker: more threads would only take turns.
        self._turn = asyncio.Semaphore(1)
        self._plans: dict[tuple[bytes, bytes], _Plan] = {}
        self._short_answers = [
            _messages(200, b"text/csv; charset=utf-8", self._encode_label(number))
            for number in range(len(predictor.classes))
        ]

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            raise NotImplementedError(f"{scope['type']} is not served")
        path = scope["path"]
        if path == "/invocations" and scope["method"] == "POST":
            await self._invoke(scope, receive, send)
            return
        allowed = _ROUTES.get(path)
        if allowed is None:
            message = "the routes are /ping, /invocations and /metrics"
            await _send(send, 404, JSON, _error("NotFound", message))
        elif scope["method"] not in allowed:
            message = f"{path} takes {' or '.join(allowed)}"
            await _send(send, 405, JSON, _error("MethodNotAllowed", message))
        elif path == "/ping":
            await _send(send, 200, JSON, b"{}")
        else:
            await _send(send, 200, _METRICS_TYPE, self._counters.render())

    async def _invoke(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        began = perf_counter_ns()
        content_type = accept = request_id = b""
        for name, value in scope["headers"]:
            if name == b"content-type":
                content_type = value
            elif name == b"accept":
                accept = value
            elif name == b"x-request-id":
                request_id = value
        plan: _Plan | None = None
        rows = 0
        code = message = ""
        status = 200
        try:
            first = await receive()
            # The short way.
            plan = self._plans.get((content_type, accept))
            if (
                plan is not None
                and plan.short
                and not first.get("more_body", False)
                and not request_id
                and (row := csv_row(first["body"])) is not None
            ):
                try:
                    start, body = self._short_answers[await self._coalescer.class_number(row)]
                except (StructError, OverflowError):
                    pass
                else:
                    await send(start)
                    await send(body)
                    took = perf_counter_ns() - began
                    self._counters.answered(took, 1)
                    if self._log.writes_answered:
                        self._log.answered(b"", took, 1)
                    return
            answer, rows, plan = await self._answer(first, receive, content_type, accept)
        except RequestError as error:
            status = error.status
            code, message = type(error).__name__.removesuffix("Error"), str(error)
        except ConnectionResetError:
            return
        except Exception:
            log.exception("an invocation failed")
            status, code, message = 500, "InternalFailure", "the traceback is in the log"
        if plan is None or status != 200:
            # The headers of a refused request may be anything; so an id is not taken from them.
            self._counters.refused(status)
            took = perf_counter_ns() - began
            named = self._log.refused(request_id, status, took, code, message)
            extra = [(b"x-request-id", named.encode())]
            if status == OverloadedError.status:
                extra.append((b"retry-after", b"1"))
            await _send(send, status, JSON, _error(code, message), extra)
            return
        extra = [(b"x-request-id", request_id)] if request_id else []
        await _send(send, 200, plan.header.decode(), answer, extra)
        took = perf_counter_ns() - began
        self._counters.answered(took, rows)
        if self._log.writes_answered:
            self._log.answered(request_id, took, rows)

    def flush(self) -> None:
        """Write the invocations that wait to be logged; for the end of serving."""
        self._log.flush()

    async def _answer(
        self, first: Message, receive: Receive, content_type: bytes, accept: bytes
    ) -> tuple[bytes, int, _Plan]:
        """Return the response body, the number of rows and the plan of any request.

        Raises:
            RequestError: it is refused; for load, when too many bodies wait here already, to come
                in or for their turn.
        """
        if self._waiting >= self._max_waiting:
            raise OverloadedError(f"{self._waiting} requests wait already; try again soon")
        self._waiting += 1
        try:
            data = await _read_body(first, receive)
            plan = self._plan(content_type, accept)
            if len(data) <= _THREAD_BYTES:
                return *self._predict(data, plan), plan
            async with self._turn:
                return *await asyncio.to_thread(self._predict, data, plan), plan
        finally:
            self._waiting -= 1

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


async def _read_body(message: Mapping[str, Any], receive: Receive) -> bytes:
    """Return the body whose first message was received.

    Raises:
        PayloadTooLargeError: over MAX_BODY_BYTES; it was read to its end, or to _DRAIN_BYTES.
        ConnectionResetError: the client went away.
    """
    chunks: list[bytes] = []
    size = 0
    while True:
        if message["type"] == "http.disconnect":
            raise ConnectionResetError
        chunk = message.get("body", b"")
        size += len(chunk)
        if size <= MAX_BODY_BYTES:
            chunks.append(chunk)
        else:
            chunks.clear()
        if not message.get("more_body", False) or size > _DRAIN_BYTES:
            break
        message = await receive()
    if size > MAX_BODY_BYTES:
        raise PayloadTooLargeError(
            f"the body has more than {MAX_BODY_BYTES} bytes; send fewer rows at a time"
        )
    return b"".join(chunks)


def _messages(
    status: int, content_type: bytes, body: bytes, extra: list[tuple[bytes, bytes]] | None = None
) -> tuple[Message, Message]:
    headers = [
        (b"content-type", content_type),
        (b"content-length", str(len(body)).encode()),
        *(extra or []),
    ]
    return (
        {"type": "http.response.start", "status": status, "headers": headers},
        {"type": "http.response.body", "body": body},
    )


async def _send(
    send: Send,
    status: int,
    content_type: str,
    body: bytes,
    extra: list[tuple[bytes, bytes]] | None = None,
) -> None:
    for message in _messages(status, content_type.encode(), body, extra):
        await send(message)


def _error(code: str, message: str) -> bytes:
    return json.dumps({"error": {"code": code, "message": message}}, ensure_ascii=False).encode()
