"""The fast path responds byte for byte as uvicorn does, and leaves rare requests to uvicorn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any, cast

import pytest
import uvicorn
from hypothesis import example, given
from hypothesis import strategies as st
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from localcloud.aws.routing import Request, Response
from localcloud.edge.connection import Connection
from localcloud.edge.fast_path import Done, FastPath

pytestmark = pytest.mark.emulator_only

PATH = "/endpoints/iris/invocations"
HEAD = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\n"
PLAIN = f"{HEAD}Content-Type: text/csv\r\nContent-Length: 3\r\n\r\n1,2".encode()
LAST = f"{HEAD}Connection: close\r\nContent-Length: 1\r\n\r\nx".encode()
CHUNKED = f"{HEAD}Transfer-Encoding: chunked\r\n\r\n3\r\n1,2\r\n0\r\n\r\n".encode()
NOT_PLAIN = [
    CHUNKED,
    LAST,
    f"{HEAD}Expect: 100-continue\r\nContent-Length: 1\r\n\r\nx".encode(),
    f"{HEAD}Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n".encode(),
    f"{HEAD}X-A: 1\r\nx-a: 2\r\nContent-Length: 1\r\n\r\nx".encode(),
    f"POST {PATH} HTTP/1.0\r\nContent-Length: 1\r\n\r\nx".encode(),
    f"POST {PATH}?a=b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx".encode(),
    b"POST /endpoints/a%2Fb/invocations HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx",
    f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(),
    f"HEAD {PATH} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(),
    b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}",
    f"{HEAD}Content-Length: no\r\n\r\n".encode(),
    b"not http at all\r\n\r\n",
    PLAIN + PLAIN,
    PLAIN + b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    PLAIN + b"garbage\r\n\r\n",
]


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.protocol: Any = None
        self.writes: list[bytes] = []
        self.closed = self.paused = False

    @property
    def written(self) -> bytes:
        return b"".join(self.writes)

    def write(self, data: Any) -> None:
        assert not self.closed
        self.writes.append(bytes(data))

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


class ServiceContext:
    """Answers both ways alike; notes the requests that came by the short one."""

    def __init__(self) -> None:
        self.short: list[Request] = []
        self.held: list[Done] = []
        self.holds = self.waits = False
        self.headers: dict[str, str] = {"content-type": "text/plain"}

    def said(self, method: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
        return repr((method, path, sorted(headers.items()), body)).encode()

    def begin(self, request: Request, done: Done) -> bool:
        if self.waits:
            return False
        self.short.append(request)
        if self.holds:
            self.held.append(done)
        else:
            done(self.response(request))
        return True

    async def answer(self, request: Request) -> Response:
        await asyncio.sleep(0)
        return self.response(request)

    def response(self, request: Request) -> Response:
        body = self.said(request.method, request.path, request.headers, request.body)
        return Response(200, self.headers, body)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        given = {k.decode(): v.decode() for k, v in scope["headers"]}
        said = self.said(scope["method"], scope["path"], given, body)
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(said))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": said})


class Timer:
    """A timer that rings when the test lets it."""

    def __init__(self, seconds: float, ring: Callable[[], None]) -> None:
        self.seconds, self.ring, self.cancelled = seconds, ring, False

    def cancel(self) -> None:
        self.cancelled = True


class Line:
    """One connection to a cloud, on the fast path or on uvicorn's protocol alone."""

    def __init__(self, protocol: type[Any] = FastPath) -> None:
        self.cloud = ServiceContext()
        self.wire = Wire()
        self.state = ServerState()
        self.state.default_headers = [(b"date", b"today"), (b"server", b"uvicorn")]
        self.time = 0.0
        self.timers: list[Timer] = []
        config = uvicorn.Config(self.cloud, http=protocol, lifespan="off", log_config=None)
        self.protocol: Any = protocol(config, self.state, {}, self.loop())
        self.wire.protocol = self.protocol
        self.protocol.connection_made(self.wire)

    def loop(self) -> Any:
        """Return the running loop, with timers of the test's own."""
        line, running = self, asyncio.get_running_loop()

        class Loop:
            create_task = staticmethod(running.create_task)

            def time(self) -> float:
                return line.time

            def call_later(self, seconds: float, ring: Callable[[], None]) -> Timer:
                line.timers.append(Timer(seconds, ring))
                return line.timers[-1]

        return cast(Any, Loop())

    @property
    def handed_over(self) -> bool:
        return isinstance(self.wire.protocol, HttpToolsProtocol)

    async def feed(self, *chunks: bytes) -> bytes:
        """Let bytes come as chunks; return all that has been written since the start."""
        for chunk in chunks:
            if not self.wire.closed:
                self.wire.protocol.data_received(chunk)
                await settle()
        return self.wire.written


async def settle() -> None:
    """Let the loop turn until all is answered; a pipelined request takes it some three turns."""
    for _ in range(64):
        await asyncio.sleep(0)


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await test()

    asyncio.run(main())


def test_a_plain_invocation_is_answered_by_one_write() -> None:
    async def test() -> None:
        line = Line()
        line.cloud.said = lambda *_: b"0,0.97"  # type: ignore[method-assign]
        await line.feed(PLAIN)
        assert line.wire.writes == [
            b"HTTP/1.1 200 OK\r\ndate: today\r\nserver: uvicorn\r\ncontent-type: text/plain\r\n"
            b"content-length: 6\r\n\r\n0,0.97"
        ]
        (request,) = line.cloud.short
        assert (request.path, request.raw_path, request.query) == (PATH, PATH, "")
        assert request.headers == {
            "host": "localhost",
            "content-type": "text/csv",
            "content-length": "3",
        }
        assert not line.handed_over

    run(test)


def test_a_connection_carries_one_invocation_after_another() -> None:
    async def test() -> None:
        line, other = Line(), Line(Connection)
        for _ in range(5):
            assert await line.feed(PLAIN) == await other.feed(PLAIN)
        assert len(line.cloud.short) == 5

    run(test)


@pytest.mark.parametrize("request_bytes", NOT_PLAIN)
def test_what_is_not_plain_is_answered_as_by_uvicorn(request_bytes: bytes) -> None:
    async def test() -> None:
        line, other = Line(), Line(Connection)
        assert await line.feed(request_bytes) == await other.feed(request_bytes)
        assert line.handed_over
        assert line.cloud.short == []
        assert line.wire.closed == other.wire.closed
        assert line.state.connections == {line.wire.protocol}

    run(test)


def test_a_connection_goes_to_uvicorn_after_invocations_too() -> None:
    async def test() -> None:
        line, other = Line(), Line(Connection)
        for part in (PLAIN, PLAIN, NOT_PLAIN[-6], PLAIN, LAST):
            assert await line.feed(part) == await other.feed(part)
        assert len(line.cloud.short) == 2
        assert line.handed_over
        assert line.wire.closed

    run(test)


@pytest.mark.parametrize("at", range(1, len(PLAIN)))
def test_an_invocation_may_be_cut_at_any_byte(at: int) -> None:
    async def test() -> None:
        line, other = Line(), Line(Connection)
        expected = await other.feed(PLAIN, PLAIN)
        assert expected == await line.feed(PLAIN[:at], PLAIN[at:], PLAIN)
        # Only a head that came in parts is uvicorn's.
        assert line.handed_over == (at < PLAIN.index(b"\r\n\r\n") + 4)

    run(test)


@given(
    requests=st.lists(st.sampled_from([PLAIN, CHUNKED, *NOT_PLAIN[-6:]]), min_size=1, max_size=4),
    cuts=st.lists(st.integers(0, 800), max_size=6),
)
# Eight requests in one chunk: the refusal comes many turns of the loop after the first answer.
@example(requests=[PLAIN + PLAIN] * 3 + [PLAIN + b"garbage\r\n\r\n"], cuts=[])
def test_any_requests_in_any_parts_are_answered_as_by_uvicorn(
    requests: list[bytes], cuts: list[int]
) -> None:
    data = b"".join(requests)
    places = [0, *sorted(cut % len(data) for cut in cuts), len(data)]
    chunks = [data[a:b] for a, b in pairwise(places) if a < b]

    async def test() -> None:
        line, other = Line(), Line(Connection)
        assert await line.feed(*chunks) == await other.feed(*chunks)
        assert line.wire.closed == other.wire.closed

    run(test)


def test_a_long_body_in_parts_is_uvicorns() -> None:
    async def test() -> None:
        body = b"x" * (1024 * 1024 + 1)
        head = f"{HEAD}Content-Length: {len(body)}\r\n\r\n".encode()
        line = Line()
        await line.feed(head + body[:100])
        assert line.handed_over
        await line.feed(body[100:])
        assert line.wire.written.endswith(body + b"')")

    run(test)


def test_a_long_answer_is_written_without_a_copy() -> None:
    async def test() -> None:
        line = Line()
        line.cloud.said = lambda *_: b"y" * 100_000  # type: ignore[method-assign]
        await line.feed(PLAIN)
        assert line.wire.writes[1:] == [b"y" * 100_000]
        assert line.wire.writes[0].endswith(b"content-length: 100000\r\n\r\n")

    run(test)


def test_what_comes_before_the_answer_waits_its_turn() -> None:
    async def test() -> None:
        line, other = Line(), Line(Connection)
        line.cloud.holds = True
        await line.feed(PLAIN, PLAIN[:50], PLAIN[50:])
        assert line.wire.writes == []
        assert line.wire.paused
        assert len(line.cloud.short) == 1
        line.cloud.holds = False
        line.cloud.held.pop()(line.cloud.response(line.cloud.short[0]))
        assert line.wire.written == await other.feed(PLAIN, PLAIN)
        assert len(line.cloud.short) == 2
        assert not line.wire.paused

    run(test)


def test_another_request_that_comes_before_the_answer_is_uvicorns_after_it() -> None:
    async def test() -> None:
        line, other = Line(), Line(Connection)
        line.cloud.holds = True
        await line.feed(PLAIN, CHUNKED)
        line.cloud.held.pop()(line.cloud.response(line.cloud.short[0]))
        await settle()
        assert line.wire.written == await other.feed(PLAIN, CHUNKED)
        assert line.handed_over
        assert not line.wire.paused

    run(test)


def test_what_has_to_be_awaited_is_awaited_in_a_task_that_uvicorn_knows() -> None:
    async def test() -> None:
        line, other = Line(), Line(Connection)
        line.cloud.waits = True
        line.protocol.data_received(PLAIN)
        assert len(line.state.tasks) == 1
        await settle()
        assert line.state.tasks == set()
        assert line.wire.written == await other.feed(PLAIN)
        assert not line.handed_over

    run(test)


def test_a_client_that_sends_no_more_gets_its_answer() -> None:
    async def test() -> None:
        line = Line()
        assert not line.protocol.eof_received()
        line.cloud.holds = True
        await line.feed(PLAIN)
        assert line.protocol.eof_received() is True
        line.cloud.held.pop()(line.cloud.response(line.cloud.short[0]))
        assert line.wire.written.startswith(b"HTTP/1.1 200 OK")
        assert line.wire.closed

    run(test)


def test_a_client_that_goes_away_gets_nothing_and_nothing_fails() -> None:
    async def test() -> None:
        line = Line()
        line.cloud.holds = True
        await line.feed(PLAIN)
        line.protocol.connection_lost(ConnectionResetError())
        assert line.state.connections == set()
        line.cloud.held.pop()(line.cloud.response(line.cloud.short[0]))
        assert line.wire.writes == []
        assert line.timers == []

    run(test)


def test_nothing_is_written_to_a_connection_that_is_closing() -> None:
    async def test() -> None:
        line = Line()
        line.cloud.holds = True
        await line.feed(PLAIN)
        line.wire.close()
        line.cloud.held.pop()(line.cloud.response(line.cloud.short[0]))
        assert line.wire.writes == []

    run(test)


def test_a_graceful_end_closes_what_is_idle() -> None:
    async def test() -> None:
        line = Line()
        await line.feed(PLAIN)
        assert line.state.connections == {line.protocol}
        line.protocol.shutdown()
        assert line.wire.closed
        line.protocol.connection_lost(None)
        assert line.state.connections == set()
        assert line.timers[0].cancelled

    run(test)


@pytest.mark.parametrize("came", [len(PLAIN), len(PLAIN) - 1])
def test_a_graceful_end_lets_an_invocation_finish(came: int) -> None:
    async def test() -> None:
        line = Line()
        line.cloud.holds = True
        await line.feed(PLAIN[:came])
        line.protocol.shutdown()
        assert not line.wire.closed
        await line.feed(PLAIN[came:] or b"")
        line.cloud.held.pop()(line.cloud.response(line.cloud.short[0]))
        assert b"\r\nconnection: close\r\n" in line.wire.written
        assert line.wire.closed

    run(test)


def test_one_timer_ends_a_connection_that_has_been_idle_for_five_seconds() -> None:
    async def test() -> None:
        line = Line()
        assert line.timers == []  # before its first request, as in uvicorn
        await line.feed(PLAIN)
        line.time = 4.0
        await line.feed(PLAIN)
        (first,) = line.timers
        assert first.seconds == 5
        line.time = 5.0
        first.ring()
        assert not line.wire.closed
        assert line.timers[1].seconds == 4
        line.time = 9.0
        line.timers[1].ring()
        assert line.wire.closed

    run(test)


@pytest.mark.parametrize("came", [len(PLAIN), len(PLAIN) - 1])
def test_a_connection_with_a_request_under_way_is_not_idle(came: int) -> None:
    async def test() -> None:
        line = Line()
        await line.feed(PLAIN)
        line.cloud.holds = True
        await line.feed(PLAIN[:came])
        line.time = 60.0
        line.timers[0].ring()
        assert not line.wire.closed
        await line.feed(PLAIN[came:] or b"")
        line.cloud.held.pop()(line.cloud.response(line.cloud.short[-1]))
        assert line.timers[1].seconds == 5

    run(test)


def test_a_client_that_reads_no_answers_is_not_heard() -> None:
    async def test() -> None:
        line = Line()
        await line.feed(PLAIN)
        line.protocol.pause_writing()
        await line.feed(PLAIN)
        assert len(line.cloud.short) == 1
        assert line.wire.paused
        line.protocol.resume_writing()
        assert len(line.cloud.short) == 2
        assert not line.wire.paused

    run(test)


def test_a_header_that_would_not_stay_in_its_line_is_a_failure() -> None:
    async def test() -> None:
        line = Line()
        line.cloud.headers = {"content-type": "text/csv\r\nx: y"}
        assert (await line.feed(PLAIN)).startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
        assert b"x: y" not in line.wire.written

    run(test)
