"""An instance that returns a constant, to measure the overhead of the edge alone.

It is a minimal container for the SageMaker contract in Python, on uvloop. It handles only whole
requests, each in one chunk, as the edge sends them.
"""

from __future__ import annotations

import asyncio
import os
import signal
from typing import cast

import uvloop

BODY = b"0,0.97\n"
ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/csv\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY
)


class Constant(asyncio.Protocol):
    """One connection; it answers every chunk of bytes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Write the constant response."""
        del data
        self._transport.write(ANSWER)


async def serve() -> None:
    """Serve until SIGTERM."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
    await loop.create_server(Constant, "127.0.0.1", port)
    await ended.wait()


if __name__ == "__main__":
    uvloop.run(serve())
