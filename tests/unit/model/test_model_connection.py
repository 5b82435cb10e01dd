"""HTTP on one connection, without a socket: requests in any packets, and their responses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.connection import MAX_BODY_BYTES, MAX_HEAD_BYTES, Connection
from model.errors import OverloadedError
from model.messages import Request, Response


class Transport:
    """Stores the written bytes."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False
        self.reading = True

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.written += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def pause_reading(self) -> None:
        assert self.reading
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading
        self.reading = True


class Echo:
    """Echoes requests: at once, or when the test calls `answer`."""

    def __init__(self, *, later: bool = False, refuse: bool = False) -> None:
        self.later = later
        self.refuse = refuse
        self.handled: list[Request] = []
        self.waiting = 0

    def handle(self, request: Request) -> None:
        self.handled.append(request)
        if not self.later:
            self.answer(request)

    def answer(self, request: Request) -> None:
        if request.error is not None:
            request.answer(Response(request.error.status, b"text/plain", b"refused"))
            return
        line = b"%s %s %s %d " % (
            *(request.method, request.path, request.content_type),
            len(request.body),
        )
        request.answer(Response(200, b"text/plain", line + request.body[:20]))

    def admit(self, request: Request) -> None:
        if self.refuse:
            request.refuse(OverloadedError("too many"))
        else:
            request.admitted = True
            self.waiting += 1

    def release(self, request: Request) -> None:
        request.admitted = False
        self.waiting -= 1


class Client:
    """A connection with a fake transport and an echo handler."""

    def __init__(self, handler: Echo | None = None) -> None:
        self.handler = handler or Echo()
        self.transport = Transport()
        self.connections: set[Connection] = set()
        self.connection = Connection(self.handler, self.connections)
        self.connection.connection_made(self.transport)  # type: ignore[arg-type]

    def send(self, *parts: bytes) -> None:
        for part in parts:
            if part and not self.transport.closed:
                self.connection.data_received(part)

    @property
    def answers(self) -> list[tuple[int, bytes]]:
        """Return the status and the body of each response."""
        found = []
        rest = self.transport.written.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"")
        while rest:
            head, _, rest = rest.partition(b"\r\n\r\n")
            size = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
            found.append((int(head.split(b" ")[1]), rest[:size]))
            rest = rest[size:]
        return found


def run(check: Callable[[], None]) -> None:
    """Run a check on an event loop, and the callbacks that it schedules."""

    async def main() -> None:
        check()
        await asyncio.sleep(0)

    asyncio.run(main())


HEAD = b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: text/csv\r\n"
PLAIN = HEAD + b"Content-Length: 3\r\n\r\n1,2"
CHUNKED = b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n1,\r\n1\r\n2\r\n0\r\n\r\n"
GET = b"GET /ping?a=b HTTP/1.1\r\nHost: a\r\n\r\n"
ABSOLUTE = b"GET http://a:80/pi%6Eg HTTP/1.1\r\nHost: a\r\n\r\n"
ONE_OF_EACH = [
    (PLAIN, (200, b"POST /invocations text/csv 3 1,2")),
    (CHUNKED, (200, b"POST /x  3 1,2")),
    (GET, (200, b"GET /ping  0 ")),
    (ABSOLUTE, (200, b"GET /ping  0 ")),
]


@given(st.lists(st.sampled_from(ONE_OF_EACH), min_size=1, max_size=4), st.data())
def test_requests_are_answered_in_order_however_they_are_split_into_packets(
    sent: list[tuple[bytes, tuple[int, bytes]]], data: st.DataObject
) -> None:
    whole = b"".join(request for request, _ in sent)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(whole)), max_size=8)))
    client = Client()
    client.send(*(whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)))
    assert client.answers == [answer for _, answer in sent]
    assert not client.transport.closed
    assert client.handler.waiting == 0


def test_reading_pauses_while_a_client_is_ahead_of_its_responses() -> None:
    client = Client(Echo(later=True))

    def check() -> None:
        client.send(PLAIN + GET + CHUNKED)
        assert len(client.handler.handled) == 1
        assert not client.transport.reading
        client.handler.answer(client.handler.handled[0])

    async def main() -> None:
        check()
        for at in (1, 2):
            await asyncio.sleep(0)
            client.handler.answer(client.handler.handled[at])

    asyncio.run(main())
    assert client.answers == [ONE_OF_EACH[at][1] for at in (0, 2, 1)]
    assert client.transport.reading


def test_a_thousand_requests_in_one_packet_are_answered() -> None:
    client = Client()
    client.send(GET * 3000)
    assert client.answers == [(200, b"GET /ping  0 ")] * 3000
    later = Client(Echo(later=True))

    async def main() -> None:
        later.send(GET * 3000)
        later.handler.later = False
        later.handler.answer(later.handler.handled[0])
        for _ in range(3000):
            await asyncio.sleep(0)

    asyncio.run(main())
    assert later.answers == client.answers
    assert later.transport.reading


@pytest.mark.parametrize(
    ("request_bytes", "closes"),
    [
        (GET, False),
        (GET.replace(b"Host: a", b"Connection: close"), True),
        (GET.replace(b"HTTP/1.1", b"HTTP/1.0"), True),
        (GET.replace(b"HTTP/1.1\r\nHost: a", b"HTTP/1.0\r\nConnection: keep-alive"), True),
    ],
)
def test_a_connection_stays_open_unless_the_client_cannot_or_will_not_reuse_it(
    request_bytes: bytes, closes: bool
) -> None:
    client = Client()
    client.send(request_bytes, GET)
    assert client.transport.closed is closes
    assert (b"connection: close\r\n" in client.transport.written) is closes
    assert len(client.answers) == (1 if closes else 2)


def test_requests_after_connection_close_are_not_answered() -> None:
    client = Client(Echo(later=True))
    client.send(GET.replace(b"Host: a", b"Connection: close") + PLAIN)
    run(lambda: client.handler.answer(client.handler.handled[0]))
    assert client.transport.closed
    assert len(client.handler.handled) == 1


def test_head_is_answered_without_a_body() -> None:
    client = Client()
    client.send(GET.replace(b"GET", b"HEAD"), GET)
    first, _, second = client.transport.written.partition(b"\r\n\r\n")
    assert b"content-length: 14" in first
    assert second.startswith(b"HTTP/1.1 200")


def test_a_client_that_expects_100_continue_receives_it() -> None:
    client = Client()
    head, body = PLAIN[:-3].replace(b"Host: a", b"Expect: 100-Continue"), PLAIN[-3:]
    client.send(head)
    assert client.transport.written == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(body)
    assert client.answers == [ONE_OF_EACH[0][1]]


@pytest.mark.parametrize("hidden", [b"1,2", GET])
def test_an_upgrade_is_refused_and_its_body_is_not_parsed_as_a_request(hidden: bytes) -> None:
    # Java's HTTP client sends this with its first request, together with the body.
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA"
    client = Client()
    client.send(GET, PLAIN[:-3].replace(b"Host: a", offer) + hidden, GET)
    assert [status for status, _ in client.answers] == [200, 400]
    assert "Upgrade" in str(client.handler.handled[1].error)
    assert client.transport.closed


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nHost: a\r\nBad Header: x\r\n\r\n",
        PLAIN.replace(b"Content-Length: 3", b"Content-Length: 3\r\nContent-Length: 4"),
        PLAIN.replace(b"Content-Length: 3", b"Content-Length: 3\r\nTransfer-Encoding: chunked"),
        PLAIN.replace(b"Content-Length: 3", b"Content-Length: -3"),
        PLAIN.replace(b"Host: a", b"Host: a\nX: b\x00"),
    ],
)
def test_invalid_http_is_answered_400_and_nothing_after_it_is_read(garbage: bytes) -> None:
    client = Client()
    client.send(GET, garbage, GET)
    assert [status for status, _ in client.answers] == [200, 400]
    assert client.transport.closed


@given(st.binary(max_size=60) | st.text("GETPOS /HTTP1.\r\n:a0", max_size=60).map(str.encode))
def test_no_bytes_raise(data: bytes) -> None:
    client = Client()
    client.send(GET, data)
    client.connection.connection_lost(None)
    assert client.answers[0] == (200, b"GET /ping  0 ")
    assert all(status in (200, 400) for status, _ in client.answers)


def test_an_endless_head_is_answered_431() -> None:
    client = Client()
    client.send(PLAIN + b"GET /x HTTP/1.1\r\n", *[b"a: " + b"b" * 1000 + b"\r\n"] * 70)
    assert [status for status, _ in client.answers] == [200, 431]
    assert client.transport.closed
    # A long packet with many requests is not a long head.
    assert MAX_HEAD_BYTES < len(PLAIN * 900)
    other = Client()
    other.send(PLAIN * 900 + GET[:10], GET[10:])
    assert len(other.answers) == 901


def test_a_packet_that_ends_a_request_and_has_many_more_is_not_a_long_head() -> None:
    body = b"x" * 50_000
    long = b"POST /invocations HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    for first in (GET[:10], long[:100], PLAIN[:-1]):
        rest = {GET[:10]: GET[10:], long[:100]: long[100:]}.get(first, PLAIN[-1:])
        client = Client()
        client.send(first, rest + PLAIN * 2000 + GET[:10], GET[10:])
        assert [status for status, _ in client.answers] == [200] * 2002
    client = Client()
    client.send(long[:-7], long[-7:] + long[:100], long[100:] + long[:-1], long[-1:])
    assert [status for status, _ in client.answers] == [200] * 3


TRAILED = (
    b"POST /invocations HTTP/1.1\r\nContent-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\n1,2\r\n0\r\n"
)


@pytest.mark.parametrize("cut", [0, 20, len(TRAILED) - 3, len(TRAILED), len(TRAILED) + 4])
@pytest.mark.parametrize("name", [b"Content-Type", b"Accept", b"X-Request-Id", b"Expect"])
def test_a_trailer_replaces_no_header(name: bytes, cut: int) -> None:
    client = Client()
    data = TRAILED + name + b": application/json\r\n\r\n" + GET
    client.send(data[:cut], data[cut:])
    assert client.answers[0] == (200, b"POST /invocations text/csv 3 1,2")
    assert len(client.answers) == 2
    first = client.handler.handled[0]
    assert (first.accept, first.request_id, first.expects) == (b"", b"", False)


def test_trailers_without_end_are_cut_off() -> None:
    client = Client()
    client.send(TRAILED, *[b"a: " + bytes(1_000_000).replace(b"\0", b"b")] * 110)
    assert client.transport.closed


def post(size: int) -> bytes:
    return b"POST /invocations HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % size


def test_a_body_over_the_limit_is_read_to_its_end_and_then_refused() -> None:
    client = Client()
    half = bytes(MAX_BODY_BYTES // 2)
    client.send(post(2 * len(half)), half, half)
    client.send(post(2 * len(half) + 1), half, half)
    assert len(client.answers) == 1  # a client reads no response before it has sent its whole body
    client.send(b"x", GET)
    assert [status for status, _ in client.answers] == [200, 413, 200]
    assert client.handler.handled[1].body == b""


def test_a_body_far_over_the_limit_is_cut_off() -> None:
    client = Client()
    client.send(post(10**12), *[bytes(MAX_BODY_BYTES)] * 9)
    assert [status for status, _ in client.answers] == [413]
    assert client.transport.closed
    assert client.handler.waiting == 0


def test_many_small_parts_of_a_body_are_joined() -> None:
    client = Client()
    client.send(post(10_000), *[b"%d" % (at % 10) for at in range(10_000)])
    assert client.handler.handled[0].body == b"0123456789" * 1000


def test_a_refused_body_is_dropped_and_the_next_request_answered() -> None:
    client = Client(Echo(refuse=True))
    client.send(PLAIN[:-1], PLAIN[-1:], PLAIN)
    assert [status for status, _ in client.answers] == [503, 200]
    assert client.handler.handled[0].body == b""


@pytest.mark.parametrize("pipelined", [b"", PLAIN[:-1]])
def test_a_client_that_disconnects_is_released(pipelined: bytes) -> None:
    client = Client(Echo(later=True))
    client.send(PLAIN[:-1], PLAIN[-1:] + pipelined)
    assert client.handler.waiting == (2 if pipelined else 1)
    client.transport.closed = True
    client.connection.connection_lost(ConnectionResetError())
    assert client.handler.waiting == 1
    assert not client.connections
    client.handler.answer(client.handler.handled[0])  # its client has gone
    assert client.handler.waiting == 0
    assert client.transport.written == b""


def test_a_client_that_closes_its_side_still_gets_its_responses() -> None:
    client = Client(Echo(later=True))
    client.send(PLAIN)
    assert client.connection.eof_received() is True
    run(lambda: client.handler.answer(client.handler.handled[0]))
    assert client.answers == [ONE_OF_EACH[0][1]]
    assert client.transport.closed
    assert Client().connection.eof_received() is False


def test_reading_pauses_while_a_client_does_not_read() -> None:
    client = Client()
    client.connection.pause_writing()
    assert not client.transport.reading
    client.connection.resume_writing()
    assert client.transport.reading


@pytest.mark.parametrize(("begun", "open_"), [(b"", False), (PLAIN[:20], True), (PLAIN, True)])
def test_a_graceful_close_waits_for_requests_that_have_begun(begun: bytes, open_: bool) -> None:
    client = Client(Echo(later=True))
    client.send(begun)
    client.connection.close_gracefully()
    assert client.transport.closed is not open_
    if open_:
        client.send(PLAIN[len(begun) :])
        run(lambda: client.handler.answer(client.handler.handled[0]))
        assert client.answers == [ONE_OF_EACH[0][1]]
        assert client.transport.closed


def test_only_an_idle_connection_is_closed() -> None:
    def ticks(client: Client, count: int) -> bool:
        for _ in range(count):
            client.connection.tick(3)
        return client.transport.closed

    assert ticks(Client(), 4)
    used = Client()
    assert not ticks(used, 3)
    used.send(GET)
    assert not ticks(used, 3)
    waits: Any = Client(Echo(later=True))
    waits.send(GET)
    assert not ticks(waits, 10)
