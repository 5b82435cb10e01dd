"""HTTP to one instance: a pool of kept connections, each with one request at a time.

This module owns bytes and connections; httptools parses, as on the server's side. It does one thing
only: it sends a request of known length to this machine. A general client would cost an invocation
more than everything else together (benchmarks/edge.py).

An example in time. `Connections.begin` takes an idle connection and writes the request in one call;
the exchange has a deadline 60 seconds ahead. If the connection's timer is already set for an
earlier time, it stays: one timer serves many requests, and `_on_timeout` only checks whether the
deadline of the current exchange has passed. The response arrives, the parser calls
`on_message_complete`, the exchange ends with a `Reply`, and the connection is idle again. If
instead the instance had closed the idle connection a moment before, nothing of a response would
have arrived; the exchange then goes to a new connection and the request is sent once more, because
a prediction may be repeated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache, partial
from types import MappingProxyType
from typing import NamedTuple, cast

import httptools

from localcloud.aws.routing import headers_of

# The headers that say where a body ends.
_LENGTHS = frozenset({b"content-length", b"transfer-encoding"})
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class NoAnswer(Exception):
    """The instance did not answer: it ended, closed the connection or took too long.

    Attributes:
        sent: whether the instance may have received the request.
    """

    sent = False


class NotHttp(NoAnswer):
    """The instance answered something that is not HTTP."""


class TimedOut(NoAnswer):
    """The instance took too long."""


class Reply(NamedTuple):
    """The response of an instance; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def content_type(self) -> str:
        """Return the content type, or application/octet-stream if the header is missing."""
        return self.headers.get("content-type", "application/octet-stream")


Outcome = Reply | NoAnswer
Done = Callable[[Outcome], None]


class _Connection(asyncio.Protocol):
    """One connection. httptools calls the `on_*` methods.

    Attributes:
        begun: whether a part of the response has arrived.
        reusable: whether another request may follow.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None
        self._reply: Reply | None = None
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        # These are C methods, because a Python frame per header costs more than the header itself.
        self.on_header = self._headers.__setitem__
        self.on_body = self._body.append
        # Has an entry once the head of the response is complete.
        self._heads: list[int] = []
        self.on_headers_complete = partial(self._heads.append, 1)
        self._parser = httptools.HttpResponseParser(self)
        self._timer_deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.begun = False
        self.reusable = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Parse the bytes, and end the exchange when the response is complete."""
        self.begun = True
        if self._exchange is None:  # no request is pending
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.reusable = False
            if self._reply is None:
                self._fail(f"it does not speak HTTP: {error}", NotHttp)
                return
        if self._reply is not None:
            exchange, self._exchange = self._exchange, None
            exchange.end(self._reply)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the pending exchange: with a response that ends with the connection, or none.

        Source: https://www.rfc-editor.org/rfc/rfc9112#section-6.3
        """
        # Servers of HTTP/1.0 send no length.
        is_whole = bool(self._heads) and _LENGTHS.isdisjoint(map(bytes.lower, self._headers))
        if exc is None and is_whole and self._exchange is not None:
            self.on_message_complete()
            if self._reply is not None:
                self.reusable = False
                exchange, self._exchange = self._exchange, None
                exchange.end(self._reply)
                return
        self._fail(f"it closed the connection{f': {exc}' if exc else ''}")

    def send(self, exchange: Exchange) -> None:
        """Send a request; the exchange ends with its outcome, at the latest at its deadline."""
        self._exchange, self._reply, self.begun = exchange, None, False
        # One timer serves many requests: it may fire early, but is not set for each request.
        if self._timer is None or exchange.deadline < self._timer_deadline:
            self._set_timer(exchange.deadline)
        if self._transport is None or self._transport.is_closing():
            self._fail("it closed the connection")
        else:
            exchange.sent = True
            self._transport.write(exchange.message)

    def close(self) -> None:
        """Close the connection immediately."""
        self.reusable = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            self._transport.abort()

    def on_message_begin(self) -> None:
        """Start a response; a second one belongs to no request."""
        if self._reply is not None:
            self.reusable = False
        self._headers.clear()
        self._body.clear()
        self._heads.clear()

    def on_message_complete(self) -> None:
        """Store the response; ignore informational (1xx) ones."""
        status = self._parser.get_status_code()
        if status >= 200 and self._reply is None:
            self.reusable = self.reusable and self._parser.should_keep_alive()
            body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
            self._reply = Reply(status, headers_of(self._headers.items()), body)

    def _fail(self, why: str, kind: type[NoAnswer] = NoAnswer) -> None:
        exchange, self._exchange = self._exchange, None
        self.close()
        if exchange is not None:
            exchange.end(kind(why))

    def _set_timer(self, deadline: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_deadline = deadline
        self._timer = self._loop.call_at(deadline, self._on_timeout)

    def _on_timeout(self) -> None:
        self._timer = None
        if self._exchange is None:
            return  # the next request sets the timer
        if self._loop.time() < self._exchange.deadline:
            self._set_timer(self._exchange.deadline)
        else:
            self._fail("it took too long")


class Exchange:
    """One request and its outcome, over one or two connections.

    Attributes:
        message: the bytes of the request.
        deadline: in the event loop's time.
        connection: the connection that it was last sent over.
        kept: whether that connection had been used before.
        sent: whether it was written to a connection.
    """

    __slots__ = ("_done", "_pool", "_seconds", "connection", "deadline", "kept", "message", "sent")

    def __init__(self, pool: Connections, message: bytes, seconds: float, done: Done) -> None:
        self._pool = pool
        self._seconds = seconds
        self._done: Done | None = done
        self.connection: _Connection | None = None
        self.kept = self.sent = False
        self.message = message
        self.deadline = pool.loop.time() + seconds

    @property
    def wanted(self) -> bool:
        """Return whether the caller still waits for the outcome."""
        return self._done is not None

    def end(self, outcome: Outcome) -> None:
        """Pass the outcome to the caller, or send the request again."""
        connection, done = self.connection, self._done
        if isinstance(outcome, NoAnswer):
            if self._pool.loop.time() >= self.deadline:
                outcome = TimedOut(f"it took more than {self._seconds:g} s")
            # A kept connection may be closed while it is idle. Then no part of a response was read.
            elif self.kept and connection is not None and not connection.begun:
                self._pool.send(self)
                return
            outcome.sent = self.sent
        elif connection is not None:
            if connection.reusable:
                self._pool.idle.append(connection)
            else:
                connection.close()
        if done is not None:
            self._done = None
            done(outcome)

    def cancel(self) -> None:
        """Drop the outcome."""
        self._done, self.kept = None, False
        if self.connection is not None:
            self.connection.close()


class Connections:
    """The connections to one port of this machine, one for each concurrent request.

    Attributes:
        idle: the connections without a request.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self.idle: list[_Connection] = []
        self._opening: set[asyncio.Task[None]] = set()

    @cached_property
    def loop(self) -> asyncio.AbstractEventLoop:
        """Return the event loop of the connections."""
        return asyncio.get_running_loop()

    def begin(
        self,
        method: str,
        path: str,
        timeout_seconds: float,
        done: Done,
        body: bytes = b"",
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> Exchange:
        """Send a request, immediately if a kept connection is idle.

        Args:
            method: the HTTP method.
            path: the path with its query.
            timeout_seconds: limit of the whole exchange, in wall-clock seconds.
            done: called once, with the response or the reason for none.
            body: the body of the request.
            headers: headers besides Host and Content-Length.
        """
        head = _head(method, path, self._port, tuple(headers.items()))
        message = b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body)
        exchange = Exchange(self, message, timeout_seconds, done)
        self.send(exchange)
        return exchange

    def send(self, exchange: Exchange) -> None:
        """Send the request over a kept connection, or over a new one."""
        while self.idle:
            connection = self.idle.pop()
            if connection.reusable:
                exchange.connection, exchange.kept = connection, True
                connection.send(exchange)
                return
        task = self.loop.create_task(self._open(exchange))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def request(
        self,
        method: str,
        path: str,
        timeout_seconds: float,
        body: bytes = b"",
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> Reply:
        """Send a request like `begin`, and return the response.

        Raises:
            NoAnswer: no response arrived in time.
        """
        answered: asyncio.Future[Outcome] = self.loop.create_future()

        def done(outcome: Outcome) -> None:
            if not answered.done():
                answered.set_result(outcome)

        exchange = self.begin(method, path, timeout_seconds, done, body, headers)
        try:
            outcome = await answered
        except BaseException:
            exchange.cancel()
            raise
        if isinstance(outcome, NoAnswer):
            raise outcome
        return outcome

    def close(self) -> None:
        """Close the idle connections."""
        while self.idle:
            self.idle.pop().close()

    async def _open(self, exchange: Exchange) -> None:
        exchange.kept = False
        try:
            _, connection = await asyncio.wait_for(
                self.loop.create_connection(_Connection, "127.0.0.1", self._port),
                exchange.deadline - self.loop.time(),
            )
        except (OSError, TimeoutError) as error:
            exchange.end(NoAnswer(f"it takes no connection: {error or 'in time'}"))
        else:
            exchange.connection = connection
            if exchange.wanted:
                connection.send(exchange)
            else:
                connection.close()


@lru_cache(maxsize=1024)
def _head(method: str, path: str, port: int, headers: tuple[tuple[str, str], ...]) -> bytes:
    """Return the head of a request up to Content-Length; line ends in values become blanks."""
    lines = [f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"]
    for name, value in headers:
        lines.append(f"{name}: {value.replace(chr(13), ' ').replace(chr(10), ' ')}\r\n")
    return "".join(lines).encode("latin-1", "replace")
