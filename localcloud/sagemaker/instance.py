"""One instance of a variant: a server process on its own loopback port."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from contextlib import suppress
from pathlib import Path

from localcloud.core.child_process import Child, ChildProcesses, LineSink, free_port
from localcloud.core.clock import monotonic, wall_sleep
from localcloud.core.image_store import Image
from localcloud.core.opt_ml import base_seen_by_jobs
from localcloud.sagemaker.connection import Connections, NoAnswer

_PING_SECONDS = 2.0
_STOP_GRACE_SECONDS = 30.0
_DRAIN_SECONDS = 60.0
_POLL_SECONDS = 0.05
_LAST_WORDS_SECONDS = 2.0

_numbers = itertools.count(1)


class InstanceFailed(Exception):
    """An instance did not become healthy."""


class Instance:
    """A model server process.

    Attributes:
        in_flight: number of requests that it is answering.
        peak: the largest `in_flight` since `take_peak`.
        missed_pings: number of consecutive health checks that it missed.
    """

    def __init__(self, child: Child, port: int, last_lines: deque[str]) -> None:
        self.child = child
        self.port = port
        self.in_flight = 0
        self.peak = 0
        self.missed_pings = 0
        self.number = next(_numbers)
        self.connections = Connections(port)
        self._last_lines = last_lines

    @property
    def alive(self) -> bool:
        """Return whether the process is running."""
        return self.child.returncode is None

    def take_peak(self) -> int:
        """Return the most requests at once since the last call."""
        peak, self.peak = self.peak, self.in_flight
        return peak

    async def ping(self) -> bool:
        """Return whether /ping answers 200 within two wall-clock seconds."""
        try:
            return (await self.connections.request("GET", "/ping", _PING_SECONDS)).status == 200
        except NoAnswer:
            return False

    async def wait_healthy(self, timeout_seconds: float) -> None:
        """Wait until the instance is healthy.

        Raises:
            InstanceFailed: its process ended, or it did not become healthy within the limit, in
                wall-clock seconds.
        """
        deadline = monotonic() + timeout_seconds
        while monotonic() < deadline:
            if not self.alive:
                # Its last lines may not have arrived yet.
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.child.exited.wait(), _LAST_WORDS_SECONDS)
                said = " | ".join(list(self._last_lines)[-3:])
                raise InstanceFailed(
                    f"the container exited with status {self.child.returncode}: {said}"
                )
            if await self.ping():
                return
            await wall_sleep(_POLL_SECONDS)
        raise InstanceFailed(f"/ping did not answer 200 within {timeout_seconds:g} s")

    async def retire(self) -> None:
        """Let the requests in flight finish, then stop the process."""
        deadline = monotonic() + _DRAIN_SECONDS
        while self.in_flight and self.alive and monotonic() < deadline:
            await wall_sleep(_POLL_SECONDS)
        self.connections.close()
        await self.child.stop(_STOP_GRACE_SECONDS)


async def launch(
    children: ChildProcesses,
    image: Image,
    environment: dict[str, str],
    base_dir: Path,
    sink: LineSink,
) -> Instance:
    """Start a server process for an image; it has yet to become healthy.

    Raises:
        OSError: the program cannot be started.
    """
    port = free_port()
    last_lines: deque[str] = deque(maxlen=20)

    def tee(line: str) -> None:
        last_lines.append(line)
        sink(line)

    child = await children.spawn(
        image.command("serve"),
        {
            # Many instances share the cores of this machine.
            "SAGEMAKER_MODEL_SERVER_WORKERS": "1",
            **image.environment(),
            **environment,
            "SAGEMAKER_BASE_DIR": str(await asyncio.to_thread(base_seen_by_jobs, base_dir)),
            "SAGEMAKER_BIND_TO_PORT": str(port),
        },
        image.directory,
        tee,
        base_dir,
        python=image.python,
    )
    return Instance(child, port, last_lines)
