"""A connection: bounds of its head, trailers, pipelined requests, and clients that stop halfway."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest
import uvicorn
from uvicorn.server import ServerState

from localcloud.edge.connection import MOST_HEAD_BYTES, Connection, bytes_wait
from localcloud.edge.fast_path import FastPath

pytestmark = pytest.mark.emulator_only

GET = b"GET /one HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = POST + b"Content-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n"
BROKEN = CHUNKED + b"3\r\n1,2\r\nnot a size\r\n"
INVOCATION = b"POST /endpoints/iris/invocations HTTP/1.1\r\nHost: localhost\r\n"


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = self.paused = False
        self.protocol: Any = None
        self.socket: socket.socket | None = None

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name != "socket" or self.socket is None:
            return default
        return self.socket

    def write(self, data: Any) -> None:
        if not self.closed:
            self.written += bytes(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class App:
    """Keeps the requests, and answers each when it may."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            if not message["more_body"]:
                break
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.requests.append((scope["path"], headers, body))
        await self.may_answer.wait()
        head = {"type": "http.response.start", "status": 200}
        await send(head | {"headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


class Line:
    """One connection to an application."""

    def __init__(self, protocol: type[Any] = Connection) -> None:
        self.app, self.wire, self.time = App(), Wire(), 1.0
        self.timers: list[tuple[float, Callable[[], None]]] = []
        config = uvicorn.Config(
            cast(Any, self.app), http=protocol, lifespan="off", log_config=None, proxy_headers=False
        )
        self.state = ServerState()
        made: Any = protocol(config, self.state, {}, self.loop())
        self.wire.protocol = made
        made.connection_made(self.wire)

    def loop(self) -> Any:
        line, running = self, asyncio.get_running_loop()

        class Loop:
            create_task = staticmethod(running.create_task)

            def time(self) -> float:
                return line.time

            def call_later(self, seconds: float, ring: Callable[[], None]) -> Any:
                line.timers.append((seconds, ring))
                return running.call_later(3600, ring)

        return Loop()

    async def feed(self, *chunks: bytes) -> bytes:
        for chunk in chunks:
            if not self.wire.closed:
                self.wire.protocol.data_received(chunk)
                await settle()
        return self.wire.written

    def sweep(self, seconds: float) -> bool:
        """Let time pass; return whether the connection was closed."""
        self.time += seconds
        self.wire.protocol.close_if_stalled(self.time)
        return self.wire.closed


async def settle() -> None:
    for _ in range(64):
        await asyncio.sleep(0)


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


@pytest.mark.parametrize("name", ["Content-Type", "Host", "Origin", "X-New"])
@pytest.mark.parametrize("cut", [None, len(CHUNKED), len(CHUNKED) + 8])
def test_a_trailer_neither_replaces_a_header_nor_adds_one(name: str, cut: int | None) -> None:
    async def test() -> None:
        line = Line()
        data = CHUNKED + b"3\r\n1,2\r\n0\r\n" + f"{name}: 7\r\n\r\n".encode()
        chunks = [data] if cut is None else [data[:cut], data[cut:]]
        await line.feed(*chunks, GET)
        (_, headers, body), (path, _, _) = line.app.requests
        assert headers == {
            "host": "localhost",
            "content-type": "text/csv",
            "transfer-encoding": "chunked",
        }
        assert (body, path) == (b"1,2", "/one")

    run(test)


LONG = b"a" * (MOST_HEAD_BYTES + 1)


@pytest.mark.parametrize(
    "request_bytes",
    [
        POST + b"X: " + LONG + b"\r\n\r\n",
        POST + b"X: " + LONG * 4,
        b"GET /" + LONG + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /" + LONG * 4,
        POST + b"".join(b"x%d: y\r\n" % n for n in range(10_000)) + b"\r\n",
        CHUNKED + b"1\r\nx\r\n0\r\nX: " + LONG + b"\r\n\r\n",
        CHUNKED + b"1\r\nx\r\n0\r\nX: " + LONG * 4,
        CHUNKED + b"1\r\nx\r\n0\r\n" + b"".join(b"x%d: y\r\n" % n for n in range(10_000)),
        CHUNKED + b"1;" + LONG * 2 + b"\r\nx\r\n0\r\n\r\n",
        INVOCATION + b"X: " + LONG + b"\r\nContent-Length: 1\r\n\r\nx",
    ],
)
@pytest.mark.parametrize("size", [1000, 65_536, 10**9])
@pytest.mark.parametrize("protocol", [Connection, FastPath])
def test_a_head_or_trailers_that_are_too_long_are_refused(
    request_bytes: bytes, size: int, protocol: type[Any]
) -> None:
    async def test() -> None:
        line = Line(protocol)
        data = request_bytes
        written = await line.feed(*(data[at : at + size] for at in range(0, len(data), size)))
        assert written.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
        assert line.wire.closed
        assert line.app.requests == []

    run(test)


def test_a_long_body_and_many_requests_are_not_a_long_head() -> None:
    async def test() -> None:
        line = Line()
        body = b"x" * (8 * MOST_HEAD_BYTES)
        await line.feed(POST + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        await line.feed(GET * 5000)
        while len(line.app.requests) < 5001:
            await settle()
        await settle()
        assert line.app.requests[0][2] == body
        assert line.wire.written.count(b"HTTP/1.1 200 OK") == 5001

    run(test)


@pytest.mark.parametrize(
    "garbage",
    [
        CHUNKED + b"3\r\n1,2\r\nnot a size\r\n",
        b"garbage\r\n\r\n",
        b"\0\1\2",
        b"GET / HTTP/9.9\r\n\r\n",
    ],
)
@pytest.mark.parametrize("before", [1, 3])
def test_the_valid_requests_before_garbage_are_answered_first(garbage: bytes, before: int) -> None:
    async def test() -> None:
        line = Line()
        line.app.may_answer.clear()
        await line.feed(GET * before + garbage)
        assert line.wire.written == b""
        line.app.may_answer.set()
        for _ in range(before + 1):
            await settle()
        statuses = [part[:3] for part in line.wire.written.split(b"HTTP/1.1 ")[1:]]
        assert statuses == [b"200"] * before + [b"400"]
        assert line.wire.closed

    run(test)


@pytest.mark.parametrize("whole", [1, 3])
@pytest.mark.parametrize("rest", [b"", b"GET /", POST + b"Content-Length: 5\r\n\r\nx"])
def test_a_client_that_sends_no_more_gets_its_answers(whole: int, rest: bytes) -> None:
    async def test() -> None:
        line = Line()
        line.app.may_answer.clear()
        await line.feed(GET * whole + rest)
        assert line.wire.protocol.eof_received() is True
        line.app.may_answer.set()
        for _ in range(whole + 1):
            await settle()
        assert line.wire.written.count(b"HTTP/1.1 200 OK") == whole
        assert line.wire.closed

    run(test)


@pytest.mark.parametrize("sent", [[], [b"GET /"], [GET], [POST + b"Content-Length: 5\r\n\r\nx"]])
@pytest.mark.parametrize("protocol", [Connection, FastPath])
def test_a_client_that_sends_no_more_and_waits_for_nothing_is_gone(
    sent: list[bytes], protocol: type[Any]
) -> None:
    async def test() -> None:
        line = Line(protocol)
        await line.feed(*sent)
        assert not line.wire.protocol.eof_received()

    run(test)


def test_a_body_that_cannot_be_parsed_is_refused_at_once() -> None:
    async def test() -> None:
        line = Line()
        await line.feed(CHUNKED + b"3\r\n1,2\r\n", b"not a size\r\n")
        assert line.wire.written.startswith(b"HTTP/1.1 400 ")
        assert line.wire.closed
        assert line.app.requests == []

    run(test)


def test_a_client_that_never_reads_fills_no_memory() -> None:
    async def test() -> None:
        line = Line()
        line.app.may_answer.clear()
        await line.feed(GET * 5000)
        assert line.wire.paused
        assert len(line.wire.protocol.pipeline) < 150
        # The application asks for the next body, which must not make the connection read on.
        line.wire.protocol.flow.resume_reading()
        assert line.wire.paused
        line.app.may_answer.set()
        while len(line.app.requests) < 5000:
            await settle()
        await settle()
        assert not line.wire.paused

    run(test)


@pytest.mark.parametrize(
    "sent",
    [
        [],
        [b"GET /"],
        [GET[:-2]],
        [INVOCATION + b"Content-Length: 5\r\n\r\nx"],
        [POST + b"Content-Length: 5\r\n\r\nx"],
        [GET, GET[:8]],
        [CHUNKED + b"5\r\n"],
    ],
)
def test_a_client_that_stops_halfway_is_closed(sent: list[bytes]) -> None:
    async def test() -> None:
        line = Line(FastPath)
        await line.feed(*sent)
        assert not line.sweep(15)
        if sent:
            await line.feed(b"x")  # it goes on
            assert not line.sweep(15)
        assert line.sweep(15)

    run(test)


def test_a_head_that_comes_byte_by_byte_has_a_limit_as_well() -> None:
    async def test() -> None:
        line = Line()
        closed = []
        for byte in b"GET /abcd":
            await line.feed(bytes([byte]))
            closed.append(line.sweep(10))
        assert closed.index(True) == 6

    run(test)


def test_a_connection_that_waits_for_the_application_or_between_requests_is_kept() -> None:
    async def test() -> None:
        line = Line()
        line.app.may_answer.clear()
        await line.feed(GET)
        assert not line.sweep(1000)
        line.app.may_answer.set()
        await settle()
        assert not line.sweep(100)  # the keep-alive timer closes it
        assert line.wire.written.startswith(b"HTTP/1.1 200 OK")

    run(test)


def test_a_connection_whose_next_request_waits_to_be_read_is_not_closed() -> None:
    async def test() -> None:
        line = Line()
        await line.feed(GET)
        ours, theirs = socket.socketpair()
        line.wire.socket = ours
        with ours, theirs:
            theirs.sendall(GET)
            assert bytes_wait(line.wire)
            line.timers[-1][1]()
            assert not line.wire.closed
            assert not line.sweep(1000)
            assert line.timers[-1][0] == 1.0
            ours.recv(1000)
            assert not bytes_wait(line.wire)
            line.timers[-1][1]()
            assert line.wire.closed

    run(test)
