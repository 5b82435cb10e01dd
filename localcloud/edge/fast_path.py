"""The fast path of an invocation: from bytes to a request and back, without uvicorn.

    connection ─► FastPath ── complete `POST /endpoints/{name}/invocations` ─► Invocations
                     └─ anything else, for the rest of the connection ─► uvicorn ─► Edge, by ASGI

A connection stays here as long as it carries nothing but plain invocations, one at a time. uvicorn
gets the connection, with every byte read so far, at the first request that is not plain: another
path, HTTP/1.0, `Connection: close`, `Expect`, a chunked body, a second request in the same bytes,
or an error. So uvicorn alone deals with the rare features of HTTP. Must not: know a rule of an
invocation, or who may call.

An example in time. A client sends the head and half of a body of 4 KB. `data_received` feeds the
bytes to the parser, keeps them in `_held` and returns. The second half arrives; the parser calls
`on_message_complete`, so `_whole` is set, and `begin` passes the request to the gateway with
`_reply` as its callback. The instance answers a millisecond later, `_reply` writes the response and
the connection waits for the next request. Had the client sent a second request in the meantime, its
bytes would lie in `_early`, and `_reply` would feed them to the parser now. Had the head said
`Transfer-Encoding: chunked`, the bytes in `_held` would have gone to a new uvicorn protocol object,
which would have become the connection's protocol.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Protocol, cast

import httptools
from uvicorn import Config
from uvicorn.server import ServerState

from localcloud.aws.routing import Request, Response, headers_of
from localcloud.edge.connection import (
    MOST_HEAD_BYTES,
    STALLED_SECONDS,
    Connection,
    bytes_wait,
)

# HostingApi decides which names are valid. These names need no unquoting, and there is no query.
_REQUEST_LINE = re.compile(rb"POST (/endpoints/[A-Za-z0-9-]{1,63}/invocations) HTTP/1\.1\r\n")
_NOT_PLAIN = frozenset({"expect", "transfer-encoding", "upgrade"})
# A body that arrives in parts is held up to this size. uvicorn takes a longer one, because it can
# pause the sender.
_HELD_BYTES = 1024 * 1024
# A tab is allowed, as in uvicorn.
_NOT_IN_A_HEADER = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_HEAD_END = b"\r\n\r\n"
# How long a connection whose bytes wait to be read is kept after its time; wall-clock seconds.
_AGAIN_SECONDS = 1.0
_FAILED = Response(500, {"content-type": "text/plain; charset=utf-8"}, b"Internal Server Error")
# A larger body is written by itself, which saves a copy.
_ONE_WRITE_BYTES = 64 * 1024

Done = Callable[[Response], None]


class Invocations(Protocol):
    """The application behind the fast path."""

    def begin(self, request: Request, done: Done) -> bool:
        """Begin to answer; `done` gets the response. Return False if answering has to await."""

    async def answer(self, request: Request) -> Response:
        """Answer a request for which `begin` returned False."""


class FastPath(asyncio.Protocol):
    """One connection, made by uvicorn. httptools calls the `on_*` methods."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._config = config
        self._server = server_state
        self._app_state = app_state
        self._loop = _loop or asyncio.get_running_loop()
        self._invocations = cast(Invocations, config.app)
        self._transport: asyncio.Transport | None = None
        self._path = ""
        self._headers: dict[str, str] = {}
        self._lines: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        # These are C methods, because a Python frame per header costs more than the header itself.
        self.on_header = self._lines.__setitem__
        self.on_body = self._body.append
        self._parser = httptools.HttpRequestParser(self)
        self._plain = self._whole = False
        # The bytes of an incomplete request, and bytes that arrived before the last response.
        self._held: list[bytes] = []
        self._early: list[bytes] = []
        self._busy = self._full = self._ending = False
        self._idle_since = 0.0
        # The time of the last bytes of an incomplete request, or of the connection's begin.
        self._since = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Register the connection with uvicorn."""
        self._transport = cast(asyncio.Transport, transport)
        self._server.connections.add(cast(Any, self))

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection; a pending response is dropped."""
        del exc
        self._leave()

    def eof_received(self) -> bool:
        """Answer the pending request of a client that sends no more."""
        self._ending |= self._busy
        return self._busy

    def _leave(self) -> None:
        self._transport = None
        self._server.connections.discard(cast(Any, self))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def data_received(self, data: bytes) -> None:
        """Answer a complete plain invocation, wait for more of it, or hand over to uvicorn."""
        transport = self._transport
        if transport is None:
            return
        if self._busy or self._full:
            self._early.append(data)
            transport.pause_reading()
            return
        if not self._held:
            line = _REQUEST_LINE.match(data)
            long_head = len(data) > MOST_HEAD_BYTES and data.find(_HEAD_END, 0, MOST_HEAD_BYTES) < 0
            if line is None or long_head:
                self._hand_over(transport, data)
                return
            self._path = line[1].decode()
            self._plain = self._whole = False
        self._held.append(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._plain = False
        if not self._plain:
            self._hand_over(transport, b"".join(self._held))
        elif self._whole:
            self._held.clear()
            self._busy = True
            body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
            request = Request("POST", self._path, self._path, "", self._headers, body)
            if not self._invocations.begin(request, self._reply):
                task = self._loop.create_task(self._wait(request))
                self._server.tasks.add(task)
                task.add_done_callback(self._server.tasks.discard)
        else:
            self._since = self._loop.time()

    async def _wait(self, request: Request) -> None:
        self._reply(await self._invocations.answer(request))

    def _reply(self, response: Response) -> None:
        """Write a response if the client is still connected, then read what arrived early."""
        self._busy = False
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        try:
            head = _head(response.status, tuple(response.headers.items()))
        except ValueError:
            response = _FAILED
            head = _head(response.status, tuple(response.headers.items()))
        end = b"connection: close\r\n" if self._ending else b""
        body = response.body
        start = b"%b%b%bcontent-length: %d\r\n%b\r\n" % (
            head[0],
            _lines(tuple(self._server.default_headers)),
            head[1],
            len(body),
            end,
        )
        if len(body) <= _ONE_WRITE_BYTES:
            transport.write(start + body)
        else:
            transport.write(start)
            transport.write(body)
        if self._ending:
            transport.close()
            return
        self._idle_since = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(self._config.timeout_keep_alive, self._expire)
        if self._early:
            self._take_up()

    def _take_up(self) -> None:
        if self._early and not self._busy and not self._full and self._transport is not None:
            early = b"".join(self._early)
            self._early.clear()
            self._transport.resume_reading()
            self.data_received(early)

    def _hand_over(self, transport: asyncio.Transport, data: bytes) -> None:
        """Give the connection to uvicorn from here on, as uvicorn itself does for a WebSocket."""
        self._leave()
        uvicorns = Connection(self._config, self._server, self._app_state, self._loop)
        transport.set_protocol(uvicorns)
        uvicorns.connection_made(transport)
        uvicorns.data_received(data)

    def _expire(self) -> None:
        """Close a connection that was idle for too long; one timer serves many requests."""
        self._timer = None
        if self._transport is None or self._busy or self._held:
            return  # the next response sets the timer again
        left = self._idle_since + self._config.timeout_keep_alive - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._expire)
        elif bytes_wait(self._transport):
            self._timer = self._loop.call_later(_AGAIN_SECONDS, self._expire)
        else:
            self._transport.close()

    def close_if_stalled(self, now: float) -> None:
        """Close the connection if its client stopped before or within a request."""
        if self._transport is None or self._busy or self._full or self._early:
            return
        waits = bool(self._held) or not self._idle_since
        too_long = now - self._since > STALLED_SECONDS
        if waits and too_long and not bytes_wait(self._transport):
            self._transport.close()

    def shutdown(self) -> None:
        """Close the connection after the pending response; uvicorn calls this."""
        self._ending = True
        if self._transport is not None and not self._busy and not self._held:
            self._transport.close()

    def pause_writing(self) -> None:
        """Stop reading requests, because the client does not read the responses."""
        self._full = True

    def resume_writing(self) -> None:
        """Read requests again."""
        self._full = False
        self._take_up()

    def on_message_begin(self) -> None:
        """Reset for a request; a second one in the same bytes is not plain."""
        self._plain = False
        self._lines.clear()
        self._body.clear()

    def on_headers_complete(self) -> None:
        """Decide whether the request is plain."""
        headers = headers_of(self._lines.items())
        self._headers = headers
        self._plain = (
            not self._whole
            and self._parser.should_keep_alive()
            # One name in two spellings is rare, and this parser does not tell which came last.
            and len(headers) == len(self._lines)
            and _NOT_PLAIN.isdisjoint(headers)
            and int(headers.get("content-length", "0")) <= _HELD_BYTES
        )

    def on_message_complete(self) -> None:
        """Note that the request is complete."""
        self._whole = True


@lru_cache(maxsize=256)
def _head(status: int, headers: tuple[tuple[str, str], ...]) -> tuple[bytes, bytes]:
    """Return the status line and the header lines.

    Raises:
        ValueError: a header has a character that would break its line.
    """
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    lines = tuple((k.encode("latin-1"), v.encode()) for k, v in headers if k != "content-length")
    for name, value in lines:
        if _NOT_IN_A_HEADER.search(name + value):
            raise ValueError(f"{name!r}: {value!r} is not a valid header")
    return f"HTTP/1.1 {status} {phrase}\r\n".encode(), _lines(lines)


@lru_cache(maxsize=256)
def _lines(headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    return b"".join(b"%b: %b\r\n" % pair for pair in headers)
