"""Child processes: training jobs, model servers, Lambda environments.

A child gets only the environment that it needs, never this process's own. Its output goes to a sink
line by line. Only children that were started here are ended, by their process group: SIGTERM first,
then SIGKILL.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

log = logging.getLogger("localcloud.core.child_process")

LineSink = Callable[[str], None]

# Variables that any program needs from the machine; none of them holds a secret.
_INHERITED = ("PATH", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "LD_LIBRARY_PATH")
# Set for the whole machine if its processor needs it; a child's numerical results depend on it.
_INHERITED_PREFIXES = ("OPENBLAS_",)
_LINE_LIMIT_BYTES = 1 << 20
_CLOSE_GRACE_SECONDS = 2.0


def base_environment() -> dict[str, str]:
    """Return the environment that every child starts with."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _INHERITED or name.startswith(_INHERITED_PREFIXES)
    }
    # One thread per child, because a laptop runs many children.
    return kept | {"PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def free_port() -> int:
    """Return a loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def resolve_command(command: Sequence[str]) -> list[str]:
    """Return the command with `python` replaced by this interpreter."""
    first = Path(command[0]).name
    if first in ("python", "python3"):
        return [sys.executable, *command[1:]]
    return list(command)


@cache
def _tie() -> tuple[str, ...]:
    """Return the prefix that makes a command die with this process, even if SIGKILL ends it.

    setpriv of util-linux is on every Linux. On other systems a killed local cloud leaves its
    children running.
    """
    setpriv = shutil.which("setpriv")
    return (setpriv, "--pdeathsig", "KILL", "--") if setpriv else ()


class Child:
    """One running child process.

    Attributes:
        exited: set once it has ended and its output is drained.
    """

    def __init__(self, process: asyncio.subprocess.Process, sink: LineSink) -> None:
        self._process = process
        self.pid = process.pid
        self.exited = asyncio.Event()
        self._pump = asyncio.create_task(self._drain(sink))

    @property
    def returncode(self) -> int | None:
        """Return the exit status, or None while it runs."""
        return self._process.returncode

    async def _drain(self, sink: LineSink) -> None:
        assert self._process.stdout is not None  # noqa: S101 - spawn always pipes it
        while True:
            try:
                line = await self._process.stdout.readline()
            except ValueError:  # longer than the limit: the rest of it follows as another line
                continue
            if not line:
                break
            try:
                sink(line.decode("utf-8", "replace").rstrip("\r\n"))
            except Exception:
                log.exception("could not log a line of process %d", self.pid)
        await self._process.wait()
        self.exited.set()

    def terminate(self) -> None:
        """Ask it to end (SIGTERM)."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it now (SIGKILL)."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        # The child may have ended and left others of its group, which keep the output open.
        if not self.exited.is_set():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    async def stop(self, grace_seconds: float) -> None:
        """Send SIGTERM, then SIGKILL after `grace_seconds` of wall-clock time."""
        self.terminate()
        try:
            await asyncio.wait_for(self.exited.wait(), grace_seconds)
        except TimeoutError:
            self.kill()
            await self.exited.wait()


class ChildProcesses:
    """Starts child processes and ends all of them when the local cloud ends."""

    def __init__(self) -> None:
        self._children: set[Child] = set()

    async def spawn(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        directory: Path,
        sink: LineSink,
    ) -> Child:
        """Start a child in its own process group.

        Raises:
            OSError: the program cannot be started.
        """
        program, *arguments = resolve_command(command)
        if shutil.which(program, path=os.environ.get("PATH")) is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), program)
        process = await asyncio.create_subprocess_exec(
            *_tie(),
            program,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=directory,
            env={**base_environment(), **environment},
            start_new_session=True,
            limit=_LINE_LIMIT_BYTES,
        )
        child = Child(process, sink)
        self._children.add(child)
        waiter = asyncio.create_task(child.exited.wait())
        waiter.add_done_callback(lambda _: self._children.discard(child))
        return child

    async def close(self) -> None:
        """End every child that still runs."""
        await asyncio.gather(*(child.stop(_CLOSE_GRACE_SECONDS) for child in self._children))
