"""An HTTP request as the application handles it, and a response as the connection writes it."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from time import perf_counter_ns
from urllib.parse import unquote_to_bytes

from model.errors import RequestError

# Each part costs about 40 bytes in addition to its content.
_MAX_PARTS = 4096
_CLOSE = b"connection: close\r\n\r\n"
_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}


class Response:
    """A response, which may be written any number of times.

    Args:
        status: HTTP status code.
        content_type: media type of the body, with its parameters.
        body: the whole body; its length is sent as content-length.
        extra: further headers, as (name, value). The caller must have checked their characters.

    Attributes:
        keep_alive_bytes: the whole response for a connection that stays open.
    """

    __slots__ = ("_body", "_head", "keep_alive_bytes")

    def __init__(
        self, status: int, content_type: bytes, body: bytes, *extra: tuple[bytes, bytes]
    ) -> None:
        lines = [
            b"HTTP/1.1 %d %s" % (status, _REASONS[status]),
            b"content-type: " + content_type,
            b"content-length: %d" % len(body),
            *(name + b": " + value for name, value in extra),
            b"",
        ]
        self._head = b"\r\n".join(lines)
        self._body = body
        self.keep_alive_bytes = self._head + b"\r\n" + body

    def bytes_for(self, method: bytes, *, keep_alive: bool) -> bytes:
        """Return the bytes that answer `method`, for a connection that stays open or closes."""
        head = self._head + (b"\r\n" if keep_alive else _CLOSE)
        return head if method == b"HEAD" else head + self._body


class Request:
    """A request, with the headers that this server reads.

    Args:
        reply: called once, with this request and its response.

    Attributes:
        method: HTTP method; empty until all headers have arrived.
        url: the request target as the client sent it.
        body: the whole body, after `complete`.
        size: bytes of the body that have arrived.
        error: the reason to refuse the request, if one is known before it is handled.
        admitted: the request is counted among the bodies that wait.
        keep_alive: the connection can be used for another request.
        started_ns: perf_counter_ns() when the first byte arrived.
    """

    __slots__ = (
        *("_parts", "_reply", "accept", "admitted", "body", "content_type", "error", "expects"),
        *("keep_alive", "method", "request_id", "size", "started_ns", "url"),
    )

    def __init__(self, reply: Callable[[Request, Response], None]) -> None:
        self._reply = reply
        self.started_ns = perf_counter_ns()
        self.method = self.url = self.content_type = self.accept = self.request_id = b""
        self.body = b""
        self._parts: list[bytes] = []
        self.size = 0
        self.error: RequestError | None = None
        self.expects = self.keep_alive = self.admitted = False

    @property
    def path(self) -> bytes:
        """Return the decoded path of the URL, without the query."""
        url = self.url
        if not url.startswith(b"/"):  # the absolute form, with the host, that proxies send
            url = b"/" + url.partition(b"//")[2].partition(b"/")[2]
        return unquote_to_bytes(url.partition(b"?")[0])

    def add(self, data: bytes) -> None:
        """Append a part of the body."""
        if not self.body:
            self.body = data
            return
        self._parts = self._parts or [self.body]
        self._parts.append(data)
        if len(self._parts) > _MAX_PARTS:
            self._parts = [b"".join(self._parts)]

    def refuse(self, error: RequestError) -> None:
        """Set the error and drop the body."""
        self.error = error
        self.body, self._parts = b"", []

    def complete(self) -> None:
        """Join the parts of the body."""
        if self._parts:
            self.body, self._parts = b"".join(self._parts), []

    def answer(self, response: Response) -> None:
        """Send the response; call this once."""
        self._reply(self, response)
