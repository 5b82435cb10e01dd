"""One HTTP connection: uvicorn's protocol with the bounds that it lacks.

uvicorn merges trailers into the headers, drops the valid requests before an invalid one, parses
every pipelined request at once, and waits without limit for a client that stopped halfway. Here a
head has a size limit, a connection parses the next request once the one before it is being
answered, and one that waits for its client for too long is closed. Must not: know a route.

Source: https://www.rfc-editor.org/rfc/rfc9110#section-6.5.1
Source: https://www.rfc-editor.org/rfc/rfc6585#section-5
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import fcntl
import termios
from collections import deque
from http import HTTPStatus
from typing import Any, Protocol

import httptools
from uvicorn import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from localcloud.core.clock import wall_sleep

# What an application sets in the scope of a response that nobody reads after its client has closed.
ENDS_WITH_CLIENT = "localcloud.ends_with_client"
# The size of a request line with its headers, and of trailers, in bytes; as in the model server.
MOST_HEAD_BYTES = 64 * 1024
# How much is parsed at once, so that few pipelined requests wait in memory; bytes.
_SLICE_BYTES = 4 * 1024
_BODY_SLICE_BYTES = 16 * 1024
# How long a connection waits for the next byte of a request, and for a whole head; wall-clock
# seconds.
STALLED_SECONDS = 20.0
_HEAD_SECONDS = 60.0
_LOOK_SECONDS = 5.0
# How long a connection whose bytes wait to be read is kept after its time; wall-clock seconds.
_AGAIN_SECONDS = 1.0


class Waiting(Protocol):
    """A connection that can be closed for its silence."""

    def close_if_stalled(self, now: float) -> None:
        """Close the connection if it has waited for its client for too long."""


async def close_stalled(state: ServerState) -> None:
    """Close the connections whose clients stopped halfway, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        await wall_sleep(_LOOK_SECONDS)
        now = loop.time()
        for connection in list(state.connections):
            close: Any = getattr(connection, "close_if_stalled", None)
            if close is not None:
                close(now)


def bytes_wait(transport: asyncio.BaseTransport | None) -> bool:
    """Return whether the client has sent bytes that the loop has not read yet.

    A timer that is due after the loop was busy runs before the bytes that arrived meanwhile.
    """
    found: Any = transport.get_extra_info("socket") if transport is not None else None
    if found is None:
        return False
    size = array.array("i", [0])
    with contextlib.suppress(OSError, ValueError):
        fcntl.ioctl(found.fileno(), termios.FIONREAD, size)
    return size[0] > 0


class Connection(HttpToolsProtocol):
    """One connection, made by the fast path. httptools calls the `on_*` methods."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        # Bytes that are not parsed yet.
        self._unread: deque[memoryview] = deque()
        self._in_head = self._is_event = self._has_upgraded = self._has_ended = False
        # The bytes of a head or of trailers, and those since the parser last called a method.
        self._head_bytes = self._silent_bytes = 0
        # The request that is being answered; later ones are in the pipeline.
        self._running: RequestResponseCycle | None = None
        # The answer to what cannot be parsed; the valid requests before it are answered first.
        self._refusal: tuple[int, str] | None = None
        self._since = self._head_since = self.loop.time()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Register the connection."""
        super().connection_made(transport)
        self.flow = _Flow(transport, self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection and its bytes."""
        self._unread.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse bytes as far as the requests before them allow."""
        self._since = self.loop.time()
        if self._refusal is not None:
            return
        if self._has_upgraded:
            super().data_received(data)
            return
        self._unset_keepalive_if_required()
        self._unread.append(memoryview(data))
        self._parse()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer the whole requests of a client that sends no more; drop an incomplete one."""
        self._has_ended = True
        cycle = self.cycle
        if cycle is None or self.transport.is_closing() or ENDS_WITH_CLIENT in cycle.scope:
            return False
        if cycle.more_body and not self._unread:
            before = [entry for entry in self.pipeline if entry[0] is not cycle]
            if len(before) == len(self.pipeline):
                return False  # it is the one that is being answered
            self.pipeline = deque(before)
        return not cycle.response_complete

    @property
    def is_full(self) -> bool:
        """Return whether bytes wait to be parsed, so that no more are read."""
        return bool(self._unread)

    def _parse(self) -> None:
        while self._unread and not self.pipeline and not self.transport.is_closing():
            data = self._unread.popleft()
            in_body = self.cycle is not None and self.cycle.more_body
            size = _BODY_SLICE_BYTES if in_body else _SLICE_BYTES
            if len(data) > size:
                self._unread.appendleft(data[size:])
                data = data[:size]
            self._is_event = False
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserError:
                self._refuse(400, "Invalid HTTP request received.")
                return
            except httptools.HttpParserUpgrade:
                if self._should_upgrade():
                    self._unread.clear()
                    self.handle_websocket_upgrade()
                    return
                self._unsupported_upgrade_warning()
            self._silent_bytes = 0 if self._is_event else self._silent_bytes + len(data)
            if self._head_bytes + self._silent_bytes > MOST_HEAD_BYTES:
                text = f"The head of the request has over {MOST_HEAD_BYTES} bytes."
                self._refuse(431, text)
                return
        if self._unread:
            self.flow.pause_reading()
        elif not self.pipeline and not self.cycle_is_full:
            self.flow.resume_reading()

    @property
    def cycle_is_full(self) -> bool:
        """Return whether the application has yet to read the body that arrived."""
        return self.cycle is not None and len(self.cycle.body) > 0

    def _refuse(self, status: int, text: str) -> None:
        """Answer what cannot be parsed, after the requests that were valid."""
        self._unread.clear()
        self._refusal = status, text
        broken = self.cycle if self.cycle is not None and self.cycle.more_body else None
        if broken is not None:
            waiting = [entry for entry in self.pipeline if entry[0] is broken]
            for entry in waiting:
                self.pipeline.remove(entry)
            if not waiting:  # it is the one that is being answered
                broken.disconnected = True
                broken.message_event.set()
                self._send_refusal()
                return
        if self._running is None or self._running.response_complete:
            self._send_refusal()
        else:
            self.flow.pause_reading()

    def _send_refusal(self) -> None:
        if self._refusal is None or self.transport.is_closing():
            return
        status, text = self._refusal
        phrase = HTTPStatus(status).phrase
        lines = [b"HTTP/1.1 %d %s\r\n" % (status, phrase.encode())]
        lines += [b"%b: %b\r\n" % header for header in self.server_state.default_headers]
        lines.append(
            b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n"
            b"connection: close\r\n\r\n%b" % (len(text), text.encode())
        )
        self.transport.write(b"".join(lines))
        self.transport.close()

    def on_message_begin(self) -> None:
        """Reset for a request."""
        self._is_event = self._in_head = True
        self._head_bytes = 0
        self._head_since = self.loop.time()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Add a part of the URL."""
        self._is_event = True
        self._head_bytes += len(url)
        if self._head_bytes <= MOST_HEAD_BYTES:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header; a trailer is dropped, because it must not replace a header."""
        self._is_event = True
        self._head_bytes += len(name) + len(value) + 4
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer the request, unless its head is too long."""
        self._is_event, self._in_head = True, False
        if self._head_bytes <= MOST_HEAD_BYTES:
            super().on_headers_complete()
            self._head_bytes = 0

    def on_body(self, body: bytes) -> None:
        """Add a part of the body."""
        self._is_event = True
        if self._head_bytes <= MOST_HEAD_BYTES:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the request is complete."""
        self._is_event = True
        if self._head_bytes <= MOST_HEAD_BYTES:
            super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """Begin with the next request, or send the answer to what cannot be parsed."""
        super().on_response_complete()
        if self.transport.is_closing() or self.pipeline:
            return
        if self._running is not None and not self._running.response_complete:
            return
        if self._refusal is not None:
            self._send_refusal()
        elif self._has_ended and not self._unread:
            self.transport.close()
        elif self._unread:
            self._unset_keepalive_if_required()
            self._parse()

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection, unless the next request has arrived and is not read yet."""
        if bytes_wait(self.transport):
            self.timeout_keep_alive_task = self.loop.call_later(
                _AGAIN_SECONDS, self.timeout_keep_alive_handler
            )
        else:
            super().timeout_keep_alive_handler()

    def close_if_stalled(self, now: float) -> None:
        """Close the connection if it has waited for its client for too long."""
        cycle = self.cycle
        is_idle = cycle is None or cycle.response_complete
        if self.transport.is_closing() or self.flow.read_paused:
            return
        if is_idle and not self._in_head and self.timeout_keep_alive_task is not None:
            return  # between two requests
        if not is_idle and not cycle.more_body:
            return  # the application is at work
        too_long = now - self._since > STALLED_SECONDS
        too_long |= self._in_head and now - self._head_since > _HEAD_SECONDS
        if too_long and not bytes_wait(self.transport):
            self.transport.close()


class _Flow(FlowControl):
    """uvicorn's flow control, which reads no more while bytes wait to be parsed."""

    def __init__(self, transport: asyncio.Transport, connection: Connection) -> None:
        super().__init__(transport)
        self._connection = connection

    def resume_reading(self) -> None:
        if not self._connection.is_full:
            super().resume_reading()
