"""HTTP/1.1 on one connection: whole requests in, answers out, in their order.

httptools (llhttp, Node's parser) reads the requests; what it refuses is refused. Here is the rest
of HTTP: bodies in parts, pipelining, Expect, keep-alive, slow readers, a graceful end.

A client reads no answer before it has sent its body, so a body over the limit is read and dropped,
and cut off only far over it.

Source: https://www.rfc-editor.org/rfc/rfc9112
"""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

import httptools

from model.errors import BadRequestError, HeadTooLargeError, PayloadTooLargeError, RequestError
from model.messages import Request, Response

MAX_BODY_BYTES = 6 * 1024 * 1024
# Of the request line and the headers, when they come in parts.
MAX_HEAD_BYTES = 64 * 1024
_DRAIN_BYTES = 8 * MAX_BODY_BYTES
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Handler(Protocol):
    """What answers requests."""

    def handle(self, request: Request) -> None:
        """Answer a whole request, now or later; never raise."""

    def receive(self, request: Request) -> None:
        """Take notice of a request whose body comes in parts; it may be refused."""

    def leave(self, request: Request) -> None:
        """Take notice that a request which `waits` is answered, or its client gone."""


class Connection(asyncio.Protocol):
    """One connection. httptools calls the `on_*` methods.

    Args:
        handler: answers its requests.
        connections: where it is entered while it is open.
    """

    def __init__(self, handler: Handler, connections: set[Connection]) -> None:
        self._handler = handler
        self._connections = connections
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        # What comes in, while `_begun`.
        self._request: Request
        self._begun = False
        self._head_bytes = 0
        # Whole requests; the first is in the handler's hands.
        self._pending: list[Request] = []
        self._reading = self._writable = True
        # What comes cannot be understood any more.
        self._deaf = False
        self._ending = False
        self._silent = 0

    def end(self) -> None:
        """Close it once what was begun is answered."""
        self._ending = True
        if not self._pending and not self._begun:
            self._transport.close()

    def abort(self) -> None:
        """Close it at once."""
        self._transport.abort()

    def tick(self, most: int) -> None:
        """Close it when it was silent for more than so many ticks and no answer is under way."""
        self._silent += 1
        if self._silent > most and not self._pending:
            self._transport.close()

    def answer(self, request: Request, response: Response) -> None:
        """Write the response of the first pending request."""
        pending, transport = self._pending, self._transport
        del pending[0]
        if request.waits:
            self._handler.leave(request)
        if transport.is_closing():
            return
        self._silent = 0
        keep = request.keep_alive and not (self._ending and not pending and not self._begun)
        if keep and request.method != b"HEAD":
            transport.write(response.kept)
        else:
            transport.write(response.bytes_for(request.method, keep=keep))
        if not keep:
            self._forget()
            transport.close()
        elif pending:
            # Not from here: a thousand requests in one packet would be as many calls deep.
            asyncio.get_running_loop().call_soon(self._next)
        if not self._reading:
            self._balance()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what nobody waits for any more."""
        self._connections.discard(self)
        self._forget(but=1)
        if self._begun and self._request.waits:
            self._handler.leave(self._request)
        self._begun = False
        del self._parser  # it refers to this

    def eof_received(self) -> bool:
        """Keep it open for the answers to what was sent whole."""
        self._ending = True
        return bool(self._pending) and not self._begun

    def pause_writing(self) -> None:
        """Read nothing of a client that does not read."""
        self._writable = False
        self._balance()

    def resume_writing(self) -> None:
        """Read again."""
        self._writable = True
        self._balance()

    def data_received(self, data: bytes) -> None:
        """Parse what came, and handle the requests that are whole."""
        if self._deaf:
            return
        self._silent = 0
        began_before = self._begun
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            return
        except httptools.HttpParserError as error:
            self._give_up(BadRequestError(f"this is not HTTP/1.1: {error}"))
            return
        if not self._begun:
            return
        request = self._request
        if not request.method:
            # The part in which it begins may hold other requests before it.
            self._head_bytes = self._head_bytes + len(data) if began_before else 0
            if self._head_bytes > MAX_HEAD_BYTES:
                self._give_up(HeadTooLargeError(f"the head has over {MAX_HEAD_BYTES} bytes"))
        elif request.size > _DRAIN_BYTES:
            self._give_up(_too_large())
        elif not request.waits and request.error is None:
            self._handler.receive(request)

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._request = Request(self.answer)
        self._begun = True

    def on_url(self, url: bytes) -> None:
        """Take a part of the URL."""
        self._request.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; of several of one name the last counts."""
        name = name.lower()
        if name == b"content-type":
            self._request.content_type = value
        elif name == b"accept":
            self._request.accept = value
        elif name == b"x-request-id":
            self._request.request_id = value
        elif name == b"expect":
            self._request.expects = value.lower() == b"100-continue"

    def on_headers_complete(self) -> None:
        """Note what is to be done after the answer."""
        request, parser = self._request, self._parser
        request.method = parser.get_method()
        # An older client would have to be told that the connection is kept.
        request.keep_alive = parser.should_keep_alive() and parser.get_http_version() == "1.1"
        if parser.should_upgrade():
            # httptools reads no body of such a request: what follows must not be taken for another.
            request.refuse(BadRequestError("no Upgrade is offered here; send plain HTTP/1.1"))
            request.keep_alive, self._deaf = False, True
        if request.expects and not self._pending:
            self._transport.write(_CONTINUE)

    def on_body(self, data: bytes) -> None:
        """Keep a part of the body, or drop it."""
        request = self._request
        request.size += len(data)
        if request.error is not None:
            return
        if request.size > MAX_BODY_BYTES:
            request.refuse(_too_large())
        else:
            request.add(data)

    def on_message_complete(self) -> None:
        """Handle the request, or keep it for its turn."""
        self._begun = False
        self._request.complete()
        self._append(self._request)

    def _append(self, request: Request) -> None:
        self._pending.append(request)
        if len(self._pending) == 1:
            self._handler.handle(request)
        else:
            self._balance()

    def _next(self) -> None:
        if self._pending:
            self._handler.handle(self._pending[0])

    def _give_up(self, error: RequestError) -> None:
        """Refuse what comes; nothing after it can be read."""
        self._deaf = True
        request = self._request if self._begun else Request(self.answer)
        self._begun = False
        request.refuse(request.error or error)
        request.keep_alive = False
        self._append(request)

    def _forget(self, but: int = 0) -> None:
        """Forget the pending requests, but the first ones."""
        for request in self._pending[but:]:
            if request.waits:
                self._handler.leave(request)
        del self._pending[but:]

    def _balance(self) -> None:
        """Read on, unless the client is ahead of its answers."""
        wanted = self._writable and len(self._pending) < 2
        if wanted == self._reading or self._transport.is_closing():
            return
        self._reading = wanted
        if wanted:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()


def _too_large() -> PayloadTooLargeError:
    return PayloadTooLargeError(
        f"the body has more than {MAX_BODY_BYTES} bytes; send fewer rows at a time"
    )
