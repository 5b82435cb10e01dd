"""HTTP to one instance: kept connections, one request each at a time.

Owns bytes and connections; the parsing is httptools', which the server side uses too. It is made
for the one thing it does, a request of known length to this machine: a general client costs an
invocation more than everything else in it (benchmarks/edge.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import NamedTuple, cast

import httptools


class NoAnswer(Exception):
    """An instance did not answer: it is gone, broke the connection or took too long."""


class TimedOut(NoAnswer):
    """It took too long."""


class Reply(NamedTuple):
    """What an instance answered; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class _Connection(asyncio.Protocol):
    """One connection. httptools calls the `on_*` methods."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Reply] | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._begun = False
        self.reusable = True

    @property
    def begun(self) -> bool:
        """Return whether any of the answer has come."""
        return self._begun

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        self._begun = True
        if self._parser is None:  # nobody asked
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"it does not speak HTTP: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what waits; an answer that ends with its connection is whole."""
        self.reusable = False
        self._fail(f"it closed the connection{f': {exc}' if exc else ''}")

    def send(self, request: bytes) -> asyncio.Future[Reply]:
        """Write a request; its answer comes by the future."""
        self._waiting = asyncio.get_running_loop().create_future()
        self._parser = httptools.HttpResponseParser(self)
        self._headers, self._body, self._begun = {}, [], False
        if self._transport is not None:
            self._transport.write(request)
        return self._waiting

    def close(self) -> None:
        """End it at once."""
        self.reusable = False
        if self._transport is not None:
            self._transport.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Hand over the answer."""
        parser, waiting = self._parser, self._waiting
        if parser is None or waiting is None or waiting.done():
            return
        status = parser.get_status_code()
        if status < 200:  # informational: the answer itself is still to come
            self._headers, self._body = {}, []
            return
        self.reusable = self.reusable and parser.should_keep_alive()
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        waiting.set_result(Reply(status, self._headers, body))
        self._parser = self._waiting = None

    def _fail(self, why: str) -> None:
        self.reusable = False
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(NoAnswer(why))
        if self._transport is not None and not self._transport.is_closing():
            self._transport.abort()


class Connections:
    """The connections to one port of this machine, as many as there are requests at once."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._host = f"127.0.0.1:{port}"
        self._idle: list[_Connection] = []

    async def request(
        self,
        method: str,
        path: str,
        timeout_seconds: float,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send a request and return its answer.

        Args:
            method: of HTTP.
            path: with its query.
            timeout_seconds: of the wall, for all of it.
            body: sent with its length.
            headers: beside Host and Content-Length.

        Raises:
            NoAnswer: there was none in time.
        """
        head = [
            f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Length: {len(body)}\r\n"
        ]
        for name, value in (headers or {}).items():
            head.append(f"{name}: {value.replace(chr(13), ' ').replace(chr(10), ' ')}\r\n")
        head.append("\r\n")
        message = "".join(head).encode("latin-1", "replace") + body
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_seconds
        while True:
            connection, kept = await self._connection(timeout_seconds)
            answer = connection.send(message)
            # One timer a request is cheaper than a task around it.
            timer = loop.call_at(deadline, connection.close)
            try:
                reply = await answer
            except NoAnswer as error:
                if loop.time() >= deadline:
                    raise TimedOut(f"it took more than {timeout_seconds:g} s") from None
                # A kept connection may end while nobody looks: then nothing has been read of this.
                if kept and not connection.begun:
                    continue
                raise error from None
            except BaseException:
                connection.close()
                raise
            finally:
                timer.cancel()
            if connection.reusable:
                self._idle.append(connection)
            else:
                connection.close()
            return reply

    def close(self) -> None:
        """End the connections that wait for nothing."""
        while self._idle:
            self._idle.pop().close()

    async def _connection(self, timeout_seconds: float) -> tuple[_Connection, bool]:
        """Return a connection, and whether it has been used before."""
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable:
                return connection, True
        loop = asyncio.get_running_loop()
        try:
            _, connection = await asyncio.wait_for(
                loop.create_connection(_Connection, "127.0.0.1", self._port), timeout_seconds
            )
        except (OSError, TimeoutError) as error:
            raise NoAnswer(f"it takes no connection: {error or 'in time'}") from None
        return connection, False
