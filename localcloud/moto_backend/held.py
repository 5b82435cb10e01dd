"""moto's thread, held while a block runs: every other call to moto waits."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable


@contextlib.asynccontextmanager
async def held(
    call: Callable[[Callable[[], None]], Awaitable[None]], first: Callable[[], None]
) -> AsyncIterator[None]:
    """Hold the thread while the block runs, which must not wait for moto.

    Args:
        call: runs a function in the thread.
        first: run in the thread before the block; what it raises is raised here.
    """
    loop, begun, go_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def hold() -> None:
        first()
        loop.call_soon_threadsafe(begun.set)
        go_on.wait()

    holding = asyncio.ensure_future(call(hold))
    # A call that fails never sets the event.
    waiting = asyncio.ensure_future(begun.wait())
    try:
        await asyncio.wait({holding, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if holding.done():
            holding.result()
        yield
    finally:
        waiting.cancel()
        go_on.set()
        await asyncio.wait({holding})
