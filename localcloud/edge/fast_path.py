"""The short way of an invocation: bytes to a request and back, before uvicorn.

    connection ─► ShortWay ── whole `POST /endpoints/{name}/invocations` ─► Invocations
                     └─ anything else, for good ─► uvicorn's protocol ─► Edge, by ASGI

Owns the connections that have carried nothing but plain invocations, one at a time. A request that
is not plain (another path, HTTP/1.0, `Connection: close`, `Expect`, chunks, a second request in the
same bytes, an error) takes its connection to uvicorn with every byte of it: HTTP's edges are
uvicorn's. Must not: know any rule of an invocation, or of who may call.
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
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from localcloud.aws.routing import Request, Response, headers_of

# What a name may have is HostingApi's; what it has here needs no unquoting and has no query.
_REQUEST_LINE = re.compile(rb"POST (/endpoints/[A-Za-z0-9-]{1,63}/invocations) HTTP/1\.1\r\n")
_NOT_PLAIN = frozenset({"expect", "transfer-encoding", "upgrade"})
# A body that comes in parts is held so far; a longer one is uvicorn's, which pauses its sender.
_HELD_BYTES = 1024 * 1024
# As in uvicorn: a tab may be there.
_NOT_IN_A_HEADER = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_FAILED = Response(500, {"content-type": "text/plain; charset=utf-8"}, b"Internal Server Error")
# Larger bodies are not copied behind their head.
_ONE_WRITE_BYTES = 64 * 1024

Done = Callable[[Response], None]


class Invocations(Protocol):
    """What answers."""

    def begin(self, request: Request, done: Done) -> bool:
        """Begin to answer, by `done`; False, and nothing done, where something is to be awaited."""

    async def answer(self, request: Request) -> Response:
        """Answer, after what is to be awaited."""


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
        # Methods in C: a frame of Python for each header costs more than the header.
        self.on_header = self._lines.__setitem__
        self.on_body = self._body.append
        self._parser = httptools.HttpRequestParser(self)
        self._plain = self._whole = False
        # The bytes of a request that is not whole yet, and those that came too early.
        self._held: list[bytes] = []
        self._early: list[bytes] = []
        self._busy = self._full = self._ending = False
        self._idle_since = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let uvicorn know of the connection."""
        self._transport = cast(asyncio.Transport, transport)
        self._server.connections.add(cast(Any, self))

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it; an answer under way goes nowhere."""
        del exc
        self._leave()

    def _leave(self) -> None:
        self._transport = None
        self._server.connections.discard(cast(Any, self))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def data_received(self, data: bytes) -> None:
        """Answer a whole plain invocation, wait for the rest of its body, or hand over."""
        transport = self._transport
        if transport is None:
            return
        if self._busy or self._full:
            self._early.append(data)
            transport.pause_reading()
            return
        if not self._held:
            line = _REQUEST_LINE.match(data)
            if line is None:
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

    async def _wait(self, request: Request) -> None:
        self._reply(await self._invocations.answer(request))

    def _reply(self, response: Response) -> None:
        """Write an answer, if anybody is still there, and take up what came early."""
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
        """Let uvicorn have the connection from here on, as it does itself for a WebSocket."""
        self._leave()
        uvicorns = HttpToolsProtocol(self._config, self._server, self._app_state, self._loop)
        transport.set_protocol(uvicorns)
        uvicorns.connection_made(transport)
        uvicorns.data_received(data)

    def _expire(self) -> None:
        """End a connection that has been idle for too long: one timer for many requests."""
        self._timer = None
        if self._transport is None or self._busy or self._held:
            return  # the next answer sets it
        left = self._idle_since + self._config.timeout_keep_alive - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._expire)
        else:
            self._transport.close()

    def shutdown(self) -> None:
        """End, after the answer that is under way; uvicorn calls it."""
        self._ending = True
        if self._transport is not None and not self._busy and not self._held:
            self._transport.close()

    def pause_writing(self) -> None:
        """Take no further request: the client does not read its answers."""
        self._full = True

    def resume_writing(self) -> None:
        """Take them again."""
        self._full = False
        self._take_up()

    def on_message_begin(self) -> None:
        """Begin a request; a second one in the same bytes is not plain."""
        self._plain = False
        self._lines.clear()
        self._body.clear()

    def on_headers_complete(self) -> None:
        """See whether the request is plain."""
        headers = headers_of(self._lines.items())
        self._headers = headers
        self._plain = (
            not self._whole
            and self._parser.should_keep_alive()
            # One name in two spellings is rare, and which of them is the last is not known here.
            and len(headers) == len(self._lines)
            and _NOT_PLAIN.isdisjoint(headers)
            and int(headers.get("content-length", "0")) <= _HELD_BYTES
        )

    def on_message_complete(self) -> None:
        """See that the request is whole."""
        self._whole = True


@lru_cache(maxsize=256)
def _head(status: int, headers: tuple[tuple[str, str], ...]) -> tuple[bytes, bytes]:
    """Return the status line and the lines of the headers.

    Raises:
        ValueError: a value would not stay in its line.
    """
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    lines = tuple((k.encode("latin-1"), v.encode()) for k, v in headers if k != "content-length")
    for name, value in lines:
        if _NOT_IN_A_HEADER.search(name + value):
            raise ValueError(f"{name!r}: {value!r} is not a header")
    return f"HTTP/1.1 {status} {phrase}\r\n".encode(), _lines(lines)


@lru_cache(maxsize=256)
def _lines(headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    return b"".join(b"%b: %b\r\n" % pair for pair in headers)
