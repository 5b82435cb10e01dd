"""Child processes: training jobs, model servers, Lambda environments.

A child gets only the environment that it needs, never this process's own, and it finds no
credentials of the user. Its output goes to a sink line by line. Only children that were started
here are ended, by their process group: SIGTERM first, then SIGKILL.

The end of the first process of a container ends the container. So does the end of a child here:
whatever it left running is killed. Processes are found by their group and, if they left it, by a
mark in their environment (`marks.py`), which also finds what a killed local cloud left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import re
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from localcloud.core.marks import MARK, kill_marked, new_mark
from localcloud.core.opt_ml import with_opt_ml

log = logging.getLogger("localcloud.core.child_process")

LineSink = Callable[[str], None]

# Variables that any program needs from the machine; none of them holds a secret.
_INHERITED = ("PATH", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "LD_LIBRARY_PATH")
# Set for the whole machine if its processor needs it; a child's numerical results depend on it.
_INHERITED_PREFIXES = ("OPENBLAS_",)
# Without these, an AWS SDK in a child would find the user's own account in ~/.aws, whatever HOME
# is, or ask the metadata service of a cloud machine for its role.
# Source: https://docs.aws.amazon.com/sdkref/latest/guide/file-location.html
_NO_CREDENTIALS = {
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
_PYTHON = re.compile(r"python(?:3(?:\.\d+)?)?")
_CREDENTIALS = (
    *("AWS_PROFILE", "AWS_DEFAULT_PROFILE"),
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
)
# How long, and at most how often, the rest of an ended child's output is waited for.
_LAST_OUTPUT_SECONDS = 2.0
_LAST_OUTPUT_WAITS = 5
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
    threads = {"PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return kept | threads | _NO_CREDENTIALS


def forget_credentials() -> None:
    """Take the user's AWS credentials and profile from this process, which never calls AWS.

    botocore fails wherever a session is made if AWS_PROFILE names a profile that is missing.
    """
    for name in _CREDENTIALS:
        os.environ.pop(name, None)
    os.environ.update(_NO_CREDENTIALS)


def free_port() -> int:
    """Return a loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def resolve_command(command: Sequence[str], python: str = sys.executable) -> list[str]:
    """Return the command with `python`, of whatever version, replaced by an interpreter."""
    if _PYTHON.fullmatch(Path(command[0]).name):
        return [python, *command[1:]]
    return list(command)


@cache
def _tie() -> tuple[str, ...]:
    """Return the prefix that makes a command die with this process, even if SIGKILL ends it.

    setpriv of util-linux is on every Linux. On other systems a killed local cloud leaves its
    children running.
    """
    setpriv = shutil.which("setpriv")
    return (setpriv, "--pdeathsig", "KILL", "--") if setpriv else ()


@cache
def _reaper() -> ThreadPoolExecutor:
    """Return a thread for the ends of children, which must not wait for calls in other threads."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="reaper")


class _Protocol(asyncio.subprocess.SubprocessStreamProtocol):
    """The streams of a process, and its end.

    `Process.wait` does not serve here: it also waits for every writer of the output to close it.
    """

    def __init__(self) -> None:
        super().__init__(limit=_LINE_LIMIT_BYTES, loop=asyncio.get_running_loop())
        self.ended = asyncio.Event()

    def process_exited(self) -> None:
        """Note that the process has ended."""
        super().process_exited()
        self.ended.set()


class Child:
    """One running child process.

    Attributes:
        exited: set once it has ended and its output is drained.
    """

    def __init__(
        self,
        transport: asyncio.SubprocessTransport,
        protocol: _Protocol,
        sink: LineSink,
        mark: str,
    ) -> None:
        self._transport, self._protocol = transport, protocol
        self._mark = mark
        self._lines = 0
        self.pid = transport.get_pid()
        self.exited = asyncio.Event()
        self._pump = asyncio.create_task(self._drain(sink))
        self._end = asyncio.create_task(self._finish())

    @property
    def returncode(self) -> int | None:
        """Return the exit status, or None while it runs."""
        return self._transport.get_returncode()

    async def _drain(self, sink: LineSink) -> None:
        output = self._protocol.stdout
        assert output is not None  # noqa: S101 - spawn always pipes it
        while True:
            try:
                line = await output.readline()
            except ValueError:  # longer than the limit: the rest of it follows as another line
                continue
            if not line:
                break
            self._lines += 1
            try:
                sink(line.decode("utf-8", "replace").rstrip("\r\n"))
            except Exception:
                log.exception("could not log a line of process %d", self.pid)

    async def _finish(self) -> None:
        """Wait for the process, kill what it left running, and read the rest of the output."""
        await self._protocol.ended.wait()
        # The group's number is not used again as long as one of its processes runs.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        await asyncio.get_running_loop().run_in_executor(_reaper(), kill_marked, self._mark)
        # A process that hides from both may still hold the output.
        for _ in range(_LAST_OUTPUT_WAITS):
            lines = self._lines
            done, _ = await asyncio.wait({self._pump}, timeout=_LAST_OUTPUT_SECONDS)
            if done or self._lines == lines:
                break
        if not self._pump.done():
            log.warning("a process that outlived process %d keeps its output open", self.pid)
            self._pump.cancel()
            self._transport.close()
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
        opt_ml: Path | None = None,
        *,
        network: bool = True,
        python: str = sys.executable,
    ) -> Child:
        """Start a child in its own process group.

        Args:
            command: the program and its arguments.
            environment: added to `base_environment`.
            directory: the working directory.
            sink: gets each line of the output.
            opt_ml: what the child sees as /opt/ml, where the machine allows that; see `opt_ml.py`.
            network: False takes the network from a child with `opt_ml`.
            python: the interpreter that `python` stands for.

        Raises:
            OSError: the program cannot be started.
        """
        program, *arguments = resolve_command(command, python)
        path = environment.get("PATH", os.environ.get("PATH"))
        found = directory / program if os.path.dirname(program) else program
        if shutil.which(found, path=path) is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), program)
        mark = new_mark()
        transport, protocol = await asyncio.get_running_loop().subprocess_exec(
            _Protocol,
            *_tie(),
            # The kernel forgets the tie when a process enters a user namespace.
            *((*with_opt_ml(opt_ml, network=network), *_tie()) if opt_ml is not None else ()),
            program,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=directory,
            env={**base_environment(), **environment, MARK: mark},
            start_new_session=True,
        )
        child = Child(transport, protocol, sink, mark)
        self._children.add(child)
        waiter = asyncio.create_task(child.exited.wait())
        waiter.add_done_callback(lambda _: self._children.discard(child))
        return child

    async def close(self) -> None:
        """End every child that still runs."""
        await asyncio.gather(*(child.stop(_CLOSE_GRACE_SECONDS) for child in self._children))
