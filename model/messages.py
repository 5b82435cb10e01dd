"""A request as it is handled, and a response as it is written."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from time import perf_counter_ns
from urllib.parse import unquote_to_bytes

from model.errors import RequestError

# Each costs some 40 bytes beside its own.
_MOST_PARTS = 4096
_CLOSE = b"connection: close\r\n\r\n"
_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}


class Response:
    """A response, which may be written any number of times.

    Args:
        status: of HTTP.
        content_type: of the body.
        body: sent with its length.
        extra: further headers; whoever gives them answers for their characters.

    Attributes:
        kept: its bytes on a connection that is kept.
    """

    __slots__ = ("_body", "_head", "kept")

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
        self.kept = self._head + b"\r\n" + body

    def bytes_for(self, method: bytes, *, keep: bool) -> bytes:
        """Return its bytes as an answer to a method, on a connection that is kept or closed."""
        head = self._head + (b"\r\n" if keep else _CLOSE)
        return head if method == b"HEAD" else head + self._body


class Request:
    """A request, with those of its headers that this server reads.

    Args:
        reply: what its response is given to.

    Attributes:
        method: empty until the head is whole.
        url: as it was sent.
        body: once it is whole.
        size: bytes of the body so far.
        error: why it is refused, when that is known before it is handled.
        waits: it is counted among the bodies that wait.
        keep_alive: the connection may be used again.
        began: perf_counter_ns() at its first byte.
    """

    __slots__ = (
        *("_parts", "_reply", "accept", "began", "body", "content_type", "error", "expects"),
        *("keep_alive", "method", "request_id", "size", "url", "waits"),
    )

    def __init__(self, reply: Callable[[Request, Response], None]) -> None:
        self._reply = reply
        self.began = perf_counter_ns()
        self.method = self.url = self.content_type = self.accept = self.request_id = b""
        self.body = b""
        self._parts: list[bytes] = []
        self.size = 0
        self.error: RequestError | None = None
        self.expects = self.keep_alive = self.waits = False

    @property
    def path(self) -> bytes:
        """Return the path that the URL names."""
        url = self.url
        if not url.startswith(b"/"):  # a proxy's form, with the host
            url = b"/" + url.partition(b"//")[2].partition(b"/")[2]
        return unquote_to_bytes(url.partition(b"?")[0])

    def add(self, data: bytes) -> None:
        """Take a part of the body."""
        if not self.body:
            self.body = data
            return
        self._parts = self._parts or [self.body]
        self._parts.append(data)
        if len(self._parts) > _MOST_PARTS:
            self._parts = [b"".join(self._parts)]

    def refuse(self, error: RequestError) -> None:
        """Set the error, and forget the body."""
        self.error = error
        self.body, self._parts = b"", []

    def complete(self) -> None:
        """Make the body whole."""
        if self._parts:
            self.body, self._parts = b"".join(self._parts), []

    def answer(self, response: Response) -> None:
        """Send the response; once."""
        self._reply(self, response)
