"""One user's kept connection to the runtime service: HTTP/1.1 over a gevent socket.

It sends a whole request in one piece and returns the whole answer. llhttp (by httptools) reads the
answers, chunked ones and those that end with the connection included. No redirects, no cookies, no
compression: an invocation has none of them.

A request is sent again, on a new connection, only if nothing of it was sent: the server had closed
the kept connection, and that was noticed before. What was sent and not answered is a failure, as
the server may have counted it.
"""

from __future__ import annotations

import math
import os
import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit
from weakref import WeakSet

import gevent
import gevent.socket
import gevent.ssl
import httptools

from loadtest.errors import UsageError

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 60.0
# SageMaker answers an invocation with at most 25 MB.
MOST_ANSWER_BYTES = 32 * 1024 * 1024
_PIECE_BYTES = 65_536
_WATCH_SECONDS = 0.5
# A connection that was used just now is not checked: a server announces that it closes one.
_IDLE_SECONDS = 0.01


class NoAnswerError(Exception):
    """A request has no complete answer; the message says why."""


@dataclass(slots=True)  # not frozen, which would make each of them three times as slow
class Answer:
    """An answer.

    Attributes:
        status_code: the HTTP status.
        content: the body.
    """

    status_code: int
    content: bytes

    @property
    def text(self) -> str:
        """Return the body as text; bytes that are none are replaced."""
        return self.content.decode("utf-8", "replace")


class Server:
    """The server to which the connections of a process go.

    Args:
        url: http://HOST[:PORT] or https://HOST[:PORT]. Certificates are verified, with those of
            AWS_CA_BUNDLE if it is set, as boto3 does.

    Attributes:
        base: the URL's scheme, host and, if it is not the scheme's own, port.

    Raises:
        UsageError: the URL has no host or another scheme, or AWS_CA_BUNDLE cannot be read.
    """

    def __init__(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise UsageError(
                f"'{url}' is no URL of a service; it must be http://HOST or https://HOST"
            )
        self.host = parts.hostname
        self.port = port or (443 if parts.scheme == "https" else 80)
        # As a signature has it, without the scheme's own port.
        host = f"[{self.host}]" if ":" in self.host else self.host
        standard = 443 if parts.scheme == "https" else 80
        self.netloc = host if self.port == standard else f"{host}:{self.port}"
        self.base = f"{parts.scheme}://{self.netloc}"
        self.tls = _tls() if parts.scheme == "https" else None
        self._waiting: WeakSet[Connection] = WeakSet()
        self._watcher: gevent.Greenlet | None = None

    def connect(self) -> socket.socket:
        """Return a new connected socket.

        Raises:
            OSError: nobody answers there, in time or at all, or the certificate is not trusted.
        """
        found = gevent.socket.create_connection((self.host, self.port), CONNECT_SECONDS)
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.tls is not None:
            try:
                found = self.tls.wrap_socket(found, server_hostname=self.host)
            except BaseException:
                found.close()
                raise
        # One greenlet ends what takes too long; a timer for each wait costs a fifth of the rate.
        found.settimeout(None)
        opened: socket.socket = found
        return opened

    def watch(self, connection: Connection) -> None:
        """End the requests of a connection that take longer than ANSWER_SECONDS, from now on."""
        self._waiting.add(connection)
        if self._watcher is None:
            self._watcher = gevent.spawn(self._watch)

    def _watch(self) -> None:
        while True:
            gevent.sleep(_WATCH_SECONDS)
            now = time.monotonic()
            for connection in list(self._waiting):
                connection.end_if_overdue(now)


class Connection:
    """A kept connection, for one request at a time.

    Args:
        server: where it goes.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._socket: socket.socket | None = None
        self._used = 0.0
        self._due = math.inf
        self._overdue = False
        self._begin_parsing()
        server.watch(self)

    def exchange(self, request: bytes) -> Answer:
        """Send a request and return its answer.

        Args:
            request: the whole request: line, headers and body.

        Raises:
            NoAnswerError: there was no connection, it ended before the answer did, or the answer
                was too late, too large or not HTTP.
        """
        self._overdue = False
        self._due = time.monotonic() + ANSWER_SECONDS
        try:
            self._send(request)
            answer = self._receive()
        except (OSError, httptools.HttpParserError) as error:
            self.close()
            raise NoAnswerError(self._reason(error)) from None
        except BaseException:
            # Also when the user is stopped: the answer would be taken for that of the next request.
            self.close()
            raise
        finally:
            self._due = math.inf
        self._used = time.monotonic()
        return answer

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def end_if_overdue(self, now: float) -> None:
        """Shut the connection if its answer is overdue, which ends the wait for it."""
        if self._due < now and self._socket is not None:
            self._overdue = True
            # Of the plain socket: TLS would first say goodbye to a server that does not respond.
            with suppress(OSError):  # it may be closed already
                gevent.socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _send(self, request: bytes) -> None:
        if self._socket is not None and self._alive():
            try:
                sent = self._socket.send(request)
            except OSError:
                if self._overdue:
                    raise
                self.close()  # nothing was sent, so a new connection gets the request
            else:
                if sent < len(request):
                    self._socket.sendall(request[sent:])
                return
        self.close()
        self._socket = self._server.connect()
        self._begin_parsing()
        self._socket.sendall(request)

    def _alive(self) -> bool:
        """Return False if the server has closed the kept connection, or said something unasked."""
        if time.monotonic() - self._used < _IDLE_SECONDS:
            return True
        assert self._socket is not None  # noqa: S101 - the caller checked it
        self._socket.settimeout(0.0)
        try:
            self._socket.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            self._socket.settimeout(None)
            return True
        except OSError:
            return False
        return False

    def _receive(self) -> Answer:
        kept = self._socket
        assert kept is not None  # noqa: S101 - `_send` has opened it
        self._complete = self._ends_with_connection = False
        received = 0
        while not self._complete:
            piece = kept.recv(_PIECE_BYTES)
            if not piece:
                if self._ends_with_connection and not self._overdue:
                    self._keep = False
                    break
                raise ConnectionError("the connection was closed before the answer was complete")
            received += len(piece)
            if received > MOST_ANSWER_BYTES:
                raise ConnectionError(f"an answer of over {MOST_ANSWER_BYTES:,} bytes")
            self._parser.feed_data(piece)
        answer = Answer(self._status, b"".join(self._pieces))
        if not self._keep:
            self.close()
        self._pieces.clear()
        return answer

    def _reason(self, error: Exception) -> str:
        if self._overdue:
            return f"no complete answer within {ANSWER_SECONDS:g} s"
        if isinstance(error, TimeoutError):
            return f"no connection to {self._server.netloc} within {CONNECT_SECONDS:g} s"
        if isinstance(error, httptools.HttpParserError):
            return f"not an HTTP answer: {error}"
        return str(error) or type(error).__name__

    # The parser calls these.

    def _begin_parsing(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._pieces: list[bytes] = []
        self._status = 0
        self._complete = False
        self._keep = True
        self._measured = False
        self._ends_with_connection = False

    def on_message_begin(self) -> None:
        """Begin an answer; one that nobody asked for ends the connection."""
        self._measured = self._ends_with_connection = False
        if self._complete:
            self._keep = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note whether the answer says its own length."""
        if len(name) in {14, 17} and name.lower() in {b"content-length", b"transfer-encoding"}:
            self._measured = True

    def on_headers_complete(self) -> None:
        """Note the status, and whether only the end of the connection ends the answer."""
        if self._complete:
            return
        self._status = self._parser.get_status_code()
        self._ends_with_connection = not self._measured and self._status >= 200

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body."""
        if not self._complete:
            self._pieces.append(body)

    def on_message_complete(self) -> None:
        """End an answer, unless it only announces another (1xx)."""
        if self._status >= 200 and not self._complete:
            self._complete = True
            self._keep = self._parser.should_keep_alive()


def _tls() -> ssl.SSLContext:
    # A client's context verifies certificates and the name of the host.
    context: ssl.SSLContext = gevent.ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    bundle = os.environ.get("AWS_CA_BUNDLE")
    if not bundle:
        context.load_default_certs()
        return context
    try:
        context.load_verify_locations(bundle)
    except OSError as error:
        raise UsageError(f"AWS_CA_BUNDLE is '{bundle}', which cannot be read: {error}") from None
    return context
