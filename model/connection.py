"""HTTP/1.1 on one connection: whole requests in, responses out, in the same order.

httptools (llhttp, Node's parser) parses the requests and rejects what is not valid HTTP. This
module does the rest: chunked bodies, pipelining, Expect, keep-alive, slow readers and a graceful
shutdown.

A client reads no response before it has sent its whole body. So a body over the limit is read to
its end and dropped, and the connection is cut off only when the body is far over the limit.

Source: https://www.rfc-editor.org/rfc/rfc9112
"""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

import httptools

from model.errors import BadRequestError, HeadTooLargeError, PayloadTooLargeError, RequestError
from model.messages import Request, Response

MAX_BODY_BYTES = 6 * 1024 * 1024
# Limit for the request line and the headers, when they arrive in several packets.
MAX_HEAD_BYTES = 64 * 1024
_DRAIN_BYTES = 8 * MAX_BODY_BYTES
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class RequestHandler(Protocol):
    """Answers the requests of all connections."""

    def handle(self, request: Request) -> None:
        """Answer a whole request, now or later; never raise."""

    def admit(self, request: Request) -> None:
        """Admit or refuse a request; called when its body starts to arrive in several parts."""

    def release(self, request: Request) -> None:
        """Release an admitted request; called when it is answered or its client has gone."""


class Connection(asyncio.Protocol):
    """One connection. httptools calls the `on_*` methods.

    Args:
        handler: answers the requests.
        connections: the open connections; this one adds and removes itself.
    """

    def __init__(self, handler: RequestHandler, connections: set[Connection]) -> None:
        self._handler = handler
        self._connections = connections
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        # The request that is arriving; set only while `_receiving`.
        self._request: Request
        self._receiving = False
        # The bytes of the request that is arriving, without those of its first packet.
        self._received = 0
        # Whole requests that have no response yet. The handler has the first one.
        self._pending: list[Request] = []
        self._reading = self._writable = True
        # Further input cannot be parsed, and is ignored.
        self._input_closed = False
        self._closing = False
        self._idle_ticks = 0

    def close_gracefully(self) -> None:
        """Close the connection once every request that has begun is answered."""
        self._closing = True
        if not self._pending and not self._receiving:
            self._transport.close()

    def abort(self) -> None:
        """Close the connection at once."""
        self._transport.abort()

    def tick(self, max_idle_ticks: int) -> None:
        """Count one tick without input; close a connection that was idle for too many.

        Args:
            max_idle_ticks: ticks without input that are allowed while no response is pending.
        """
        self._idle_ticks += 1
        if self._idle_ticks > max_idle_ticks and not self._pending:
            self._transport.close()

    def answer(self, request: Request, response: Response) -> None:
        """Write the response of the first pending request."""
        pending, transport = self._pending, self._transport
        del pending[0]
        if request.admitted:
            self._handler.release(request)
        if transport.is_closing():
            return
        self._idle_ticks = 0
        last = self._closing and not pending and not self._receiving
        keep_alive = request.keep_alive and not last
        if keep_alive and request.method != b"HEAD":
            transport.write(response.keep_alive_bytes)
        else:
            transport.write(response.bytes_for(request.method, keep_alive=keep_alive))
        if not keep_alive:
            self._drop_pending()
            transport.close()
        elif pending:
            # A direct call would recurse once for each pipelined request, a thousand levels deep.
            asyncio.get_running_loop().call_soon(self._handle_next)
        if not self._reading:
            self._apply_backpressure()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport and register the connection."""
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Drop the requests that nobody waits for any more."""
        self._connections.discard(self)
        self._drop_pending(keep=1)
        if self._receiving and self._request.admitted:
            self._handler.release(self._request)
        self._receiving = False
        del self._parser  # it refers to this object: a cycle

    def eof_received(self) -> bool:
        """Stay open for the responses to the requests that have arrived whole."""
        self._closing = True
        return bool(self._pending) and not self._receiving

    def pause_writing(self) -> None:
        """Stop reading from a client that does not read its responses."""
        self._writable = False
        self._apply_backpressure()

    def resume_writing(self) -> None:
        """Read again."""
        self._writable = True
        self._apply_backpressure()

    def data_received(self, data: bytes) -> None:
        """Parse the data, and handle the requests that are whole."""
        if self._input_closed:
            return
        self._idle_ticks = 0
        before = self._request if self._receiving else None
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            return
        except httptools.HttpParserError as error:
            self._reject(BadRequestError(f"this is not HTTP/1.1: {error}"))
            return
        if not self._receiving:
            return
        request = self._request
        # The packet in which a request begins may hold the end of others before it.
        self._received = self._received + len(data) if request is before else 0
        if not request.method:
            if self._received > MAX_HEAD_BYTES:
                self._reject(HeadTooLargeError(f"the head has over {MAX_HEAD_BYTES} bytes"))
        elif request.size > _DRAIN_BYTES or self._received > 2 * _DRAIN_BYTES:
            self._reject(_too_large())
        elif not request.admitted and request.error is None:
            self._handler.admit(request)

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._request = Request(self.answer)
        self._receiving = True

    def on_url(self, url: bytes) -> None:
        """Append a part of the URL."""
        self._request.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header; if a name is repeated, the last value wins.

        A trailer is dropped, because it must not replace a header.

        Source: https://www.rfc-editor.org/rfc/rfc9110#section-6.5.1
        """
        request = self._request
        if request.method:  # known once the headers are complete
            return
        name = name.lower()
        if name == b"content-type":
            request.content_type = value
        elif name == b"accept":
            request.accept = value
        elif name == b"x-request-id":
            request.request_id = value
        elif name == b"expect":
            request.expects = value.lower() == b"100-continue"

    def on_headers_complete(self) -> None:
        """Decide whether the connection stays open after this request."""
        request, parser = self._request, self._parser
        request.method = parser.get_method()
        # An HTTP/1.0 client would need a header that confirms that the connection stays open.
        request.keep_alive = parser.should_keep_alive() and parser.get_http_version() == "1.1"
        if parser.should_upgrade():
            # httptools does not read the body of such a request. The bytes that follow must not be
            # parsed as another request.
            request.refuse(BadRequestError("no Upgrade is offered here; send plain HTTP/1.1"))
            request.keep_alive, self._input_closed = False, True
        if request.expects and not self._pending:
            self._transport.write(_CONTINUE)

    def on_body(self, data: bytes) -> None:
        """Store a part of the body, or drop it if the request is refused."""
        request = self._request
        request.size += len(data)
        if request.error is not None:
            return
        if request.size > MAX_BODY_BYTES:
            request.refuse(_too_large())
        else:
            request.add(data)

    def on_message_complete(self) -> None:
        """Handle the request, or queue it behind the pending ones."""
        self._receiving = False
        self._request.complete()
        self._enqueue(self._request)

    def _enqueue(self, request: Request) -> None:
        self._pending.append(request)
        if len(self._pending) == 1:
            self._handler.handle(request)
        else:
            self._apply_backpressure()

    def _handle_next(self) -> None:
        if self._pending:
            self._handler.handle(self._pending[0])

    def _reject(self, error: RequestError) -> None:
        """Refuse the request that is arriving; nothing after it can be read."""
        self._input_closed = True
        request = self._request if self._receiving else Request(self.answer)
        self._receiving = False
        request.refuse(request.error or error)
        request.keep_alive = False
        self._enqueue(request)

    def _drop_pending(self, keep: int = 0) -> None:
        """Drop the pending requests except the first `keep`."""
        for request in self._pending[keep:]:
            if request.admitted:
                self._handler.release(request)
        del self._pending[keep:]

    def _apply_backpressure(self) -> None:
        """Pause reading while the client is ahead of its responses, else resume it."""
        read = self._writable and len(self._pending) < 2
        if read == self._reading or self._transport.is_closing():
            return
        self._reading = read
        if read:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()


def _too_large() -> PayloadTooLargeError:
    return PayloadTooLargeError(
        f"the body has more than {MAX_BODY_BYTES} bytes; send fewer rows at a time"
    )
