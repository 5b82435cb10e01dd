"""A local cloud of a command's own: a child process, started for one run and stopped after it."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from localcloud.cli.console import CommandError
from localcloud.core.internal_client import RequestFailed, post

_START_SECONDS = 30.0
_STOP_SECONDS = 15


@dataclass(frozen=True, slots=True)
class OwnCloud:
    """A running local cloud that this process started."""

    url: str
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        """Stop it and every process that it started."""
        try:
            post(f"{self.url}/_localcloud/shutdown", b"")
            self.process.wait(_STOP_SECONDS)
        except (RequestFailed, subprocess.TimeoutExpired):
            self.process.terminate()
            self.process.wait(_STOP_SECONDS)


def start_own_cloud(
    port: int, log: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> OwnCloud:
    """Start an ephemeral local cloud and wait until it answers.

    Args:
        port: a free port on 127.0.0.1.
        log: the file that gets its output.
        arguments: more arguments of `localcloud start`.
        environment: its environment; None for this process's own.

    Raises:
        CommandError: it did not start.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-P", "-m", "localcloud", "start", "--ephemeral"),
                *("--port", str(port), *arguments),
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env=environment,
        )
    try:
        return _answering(f"http://127.0.0.1:{port}", process, log)
    except BaseException:
        # Also after Ctrl-C: nobody else would end it.
        process.terminate()
        raise


def _answering(url: str, process: subprocess.Popen[bytes], log: Path) -> OwnCloud:
    """Wait until the local cloud of a process answers."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            last = log.read_text().strip().splitlines()[-3:]
            raise CommandError(f"the local cloud did not start: {' | '.join(last)}")
        try:
            health = f"{url}/_localstack/health"
            with urllib.request.urlopen(health, timeout=1):  # noqa: S310 - our own http
                return OwnCloud(url, process)
        except OSError:
            time.sleep(0.05)
    raise CommandError(f"the local cloud did not answer within {_START_SECONDS:g} s")
