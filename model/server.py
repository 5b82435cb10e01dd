"""The endpoint instance: /ping and /invocations over HTTP.

A bare ASGI application: two routes need no framework, and an instance should start quickly. The
HTTP layer only does HTTP; what a request means is in `payload`, the answer is `predictor`'s.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from time import perf_counter
from typing import Any, NoReturn

import uvicorn

from model.channels import MlPaths
from model.errors import ContainerError, PayloadTooLargeError, RequestError
from model.payload import (
    JSON,
    accepted_media_type,
    content_media_type,
    decode_rows,
    encode_predictions,
)
from model.predictor import Predictor, load

log = logging.getLogger("model.server")

MAX_BODY_BYTES = 6 * 1024 * 1024
# SageMaker kills the container 30 s after SIGTERM.
_GRACEFUL_SECONDS = 25
# A body above this is answered in a thread, so that /ping stays prompt.
_THREAD_BYTES = 64 * 1024
# A client reads no answer before it has sent its body; a body far over the limit is cut off.
_DRAIN_BYTES = 8 * MAX_BODY_BYTES

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Application:
    """The ASGI application of one model."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            raise NotImplementedError(f"{scope['type']} is not served")
        allowed = {"/ping": ("GET", "HEAD"), "/invocations": ("POST",)}.get(scope["path"])
        if allowed is None:
            await _answer_error(send, 404, "NotFound", "the routes are /ping and /invocations")
        elif scope["method"] not in allowed:
            message = f"{scope['path']} takes {' or '.join(allowed)}"
            await _answer_error(send, 405, "MethodNotAllowed", message)
        elif scope["path"] == "/ping":
            await _answer(send, 200, JSON, b"{}")
        else:
            await self._invoke(scope, receive, send)

    async def _invoke(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        try:
            body = await _read_body(receive)
            content_type = content_media_type(headers.get(b"content-type", b"").decode("latin-1"))
            accept = accepted_media_type(
                headers.get(b"accept", b"").decode("latin-1"), content_type
            )
            if len(body) > _THREAD_BYTES:
                answer = await asyncio.to_thread(self._predict, body, content_type, accept)
            else:
                answer = self._predict(body, content_type, accept)
        except RequestError as error:
            await _answer_error(
                send, error.status, type(error).__name__.removesuffix("Error"), str(error)
            )
        except ConnectionResetError:
            return
        except Exception:
            log.exception("an invocation failed")
            await _answer_error(send, 500, "InternalFailure", "the traceback is in the log")
        else:
            suffix = "" if accept == JSON else "; charset=utf-8"
            await _answer(send, 200, accept + suffix, answer)

    def _predict(self, body: bytes, content_type: str, accept: str) -> bytes:
        rows = decode_rows(body, content_type, self._predictor.features)
        return encode_predictions(self._predictor.predict(rows), accept)


async def _read_body(receive: Receive) -> bytes:
    """Return the body.

    Raises:
        PayloadTooLargeError: over MAX_BODY_BYTES; it was read to its end, or to _DRAIN_BYTES.
        ConnectionResetError: the client went away.
    """
    chunks: list[bytes] = []
    size = 0
    more = True
    while more and size <= _DRAIN_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError
        chunk = message.get("body", b"")
        size += len(chunk)
        if size <= MAX_BODY_BYTES:
            chunks.append(chunk)
        else:
            chunks.clear()
        more = message.get("more_body", False)
    if size > MAX_BODY_BYTES:
        raise PayloadTooLargeError(
            f"the body has more than {MAX_BODY_BYTES} bytes; send fewer rows at a time"
        )
    return b"".join(chunks)


async def _answer_error(send: Send, status: int, code: str, message: str) -> None:
    document = {"error": {"code": code, "message": message}}
    await _answer(send, status, JSON, json.dumps(document, ensure_ascii=False).encode())


async def _answer(send: Send, status: int, content_type: str, body: bytes) -> None:
    headers = [
        (b"content-type", content_type.encode()),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class _Server(uvicorn.Server):
    """uvicorn, with a line in the log once it listens."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._started_callback = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        if self.started:
            self._started_callback()


def run(environment: Mapping[str, str]) -> int:
    """Serve the model of an environment until SIGTERM; return the exit code.

    The port is opened once the model has answered a first row, so /ping needs no state.
    """
    began = perf_counter()
    # uvicorn raises the signal again after its graceful end: this makes that an ordinary exit.
    signal.signal(signal.SIGTERM, _exit)
    paths = MlPaths.from_environment(environment)
    host = environment.get("MODEL_HOST") or "127.0.0.1"
    port_text = environment.get("SAGEMAKER_BIND_TO_PORT") or "8080"
    try:
        port = _port(port_text)
        predictor, card = load(paths.model)
    except ContainerError as error:
        log.error("cannot serve: %s", error)
        return 1

    def started() -> None:
        log.info(
            "serving %s of training job '%s' (%d features, classes %s) on http://%s:%d, "
            "ready in %.2f s",
            card.get("algorithm"),
            card.get("lineage", {}).get("training_job_name", ""),
            len(predictor.features),
            ", ".join(predictor.classes),
            host,
            port,
            perf_counter() - began,
        )

    config = uvicorn.Config(
        Application(predictor),
        host=host,
        port=port,
        lifespan="off",
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        # Longer than a load balancer keeps a connection, so that it is never the one surprised.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_GRACEFUL_SECONDS,
    )
    try:
        _Server(config, started).run()
    finally:
        log.info("stopped serving")
    return 0


def _exit(*_: object) -> NoReturn:
    raise SystemExit(0)


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise ContainerError(f"SAGEMAKER_BIND_TO_PORT is '{text}'; it must be from 1 to 65535")
    return int(text)
