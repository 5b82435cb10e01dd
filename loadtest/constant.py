"""A server that answers every request with one label, at once: the most that a generator can do.

It prints its port. Its standard input closes when its parent exits, and it exits, too.
"""

from __future__ import annotations

import asyncio
import sys

_LENGTH = b"content-length:"
_MAX_BUFFER = 16 * 1024 * 1024


def _answer(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: text/csv\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


class _Constant(asyncio.Protocol):
    """One connection; a request is a head and the body that its content-length states."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection, to answer on it."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a server has no other
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each whole request."""
        self._buffer += data
        assert self._transport is not None  # noqa: S101 - data comes after the connection
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            at = head.find(_LENGTH)
            length = int(head[at + len(_LENGTH) :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            whole = end + 4 + length
            if whole > _MAX_BUFFER or len(self._buffer) < whole:
                break
            self._buffer = self._buffer[whole:]
            self._transport.write(self._answer)
        if len(self._buffer) > _MAX_BUFFER:
            self._transport.close()


async def _serve(label: str) -> None:
    loop = asyncio.get_running_loop()
    answer = _answer(label.encode() + b"\n")
    server = await loop.create_server(lambda: _Constant(answer), "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.buffer.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
