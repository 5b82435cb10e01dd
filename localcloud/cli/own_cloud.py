"""A local cloud of a command's own: a child process, started for one run and stopped after it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from localcloud.cli.console import CommandError
from localcloud.core.internal_client import RequestFailed, post

_START_SECONDS = 30.0
_STOP_SECONDS = 15
_MOST_BYTES = 65_536


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
    """Start an ephemeral local cloud and wait until it answers; as `launch`."""
    return launch(
        port, log, "--ephemeral", "--log-level", "info", *arguments, environment=environment
    )


def launch(
    port: int, log: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> OwnCloud:
    """Start a local cloud in a session of its own and wait until it answers.

    Args:
        port: a free port on 127.0.0.1.
        log: the file that gets its output.
        arguments: more arguments of `localcloud start`.
        environment: its environment; None for this process's own.

    Raises:
        CommandError: it did not start.
    """
    try:
        output = log.open("wb")
    except OSError as error:
        raise CommandError(f"the log {log} cannot be written: {error.strerror}") from None
    with output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-P", "-m", "localcloud", "start"),
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
            said = " | ".join(last).removeprefix("error: ")
            raise CommandError(f"the local cloud did not start: {said}")
        if answers(url):
            return OwnCloud(url, process)
        time.sleep(0.05)
    raise CommandError(f"the local cloud did not answer within {_START_SECONDS:g} s")


def answers(url: str) -> bool:
    """Return whether something answers LocalStack's health route at an address."""
    try:
        health = f"{url}/_localstack/health"
        with urllib.request.urlopen(health, timeout=1):  # noqa: S310 - our own http
            return True
    except OSError:
        return False


def who_has(port: int) -> str:
    """Return who listens on a port of 127.0.0.1, for a message."""
    url = f"http://127.0.0.1:{port}"
    try:
        with urllib.request.urlopen(f"{url}/_localstack/info", timeout=1) as answer:  # noqa: S310
            edition = json.loads(answer.read(_MOST_BYTES)).get("edition")
    except (OSError, ValueError, AttributeError, HTTPException):
        return "another program"
    if edition == "localcloud":
        return f"a local cloud that runs already (localcloud stop --endpoint-url {url} ends it)"
    return f"LocalStack, edition {str(edition)[:40]}"
