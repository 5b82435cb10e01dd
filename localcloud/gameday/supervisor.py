"""Starts, kills and restarts the local cloud of a game day, and deploys the lab to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from localcloud.aws.routing import DEFAULT_ACCOUNT, DEFAULT_REGION
from localcloud.cli.console import CommandError
from localcloud.core.child_process import free_port
from localcloud.core.internal_client import RequestFailed, post
from localcloud.core.marks import orphans_of

_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_POLL_SECONDS = 0.05


class Supervisor:
    """The local cloud's process, on one port and one state directory.

    Attributes:
        port: its port.
        url: its address.
        starts: how often it was started.
    """

    def __init__(self, project: Path, directory: Path, speed: float) -> None:
        self._project, self._directory, self._speed = project, directory, speed
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.starts = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._pids: list[int] = []

    @property
    def log(self) -> Path:
        """Return the file with the log of every start."""
        return self._directory / "localcloud.log"

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            CommandError: it ended, or it did not answer in time.
        """
        command = [sys.executable, "-m", "localcloud", "start", "--faults"]
        command += ["--port", str(self.port), "--speed", f"{self._speed:g}"]
        command += ["--state-dir", str(self._directory / "state")]
        with self.log.open("ab") as log:
            self._process = process = subprocess.Popen(
                command,
                cwd=self._project,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.starts += 1
        self._pids.append(process.pid)
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                last = self.log.read_text("utf-8", "replace").strip().splitlines()[-3:]
                raise CommandError(f"the local cloud did not start: {' | '.join(last)}")
            if self.answers():
                return
            time.sleep(_POLL_SECONDS)
        raise CommandError(f"the local cloud did not answer within {_START_SECONDS:g} s")

    def answers(self) -> bool:
        """Return whether it answers."""
        try:
            with urllib.request.urlopen(f"{self.url}/_localstack/health", timeout=2):  # noqa: S310
                return True
        except OSError:
            return False

    def kill(self) -> None:
        """End it by SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """Stop it, at the latest by SIGKILL."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        try:
            post(f"{self.url}/_localcloud/shutdown", b"")
            process.wait(_STOP_SECONDS)
        except (RequestFailed, subprocess.TimeoutExpired):
            process.kill()
            process.wait()

    def orphans(self) -> list[int]:
        """Return the processes that its starts have left behind."""
        return orphans_of(self._pids)

    def inject(self, **fault: Any) -> str:
        """Inject a fault; return what it hit, or an empty string if there was nothing to hit.

        Raises:
            RequestFailed: the local cloud refused it, or does not answer.
        """
        answer = post(f"{self.url}/_localcloud/faults", json.dumps(fault).encode())
        return str(json.loads(answer)["hit"])

    def advance(self, clock_seconds: float) -> None:
        """Let the AWS clock jump ahead."""
        post(f"{self.url}/_localcloud/clock?advance_seconds={clock_seconds:g}", b"", 120)

    def command(self, *arguments: str) -> None:
        """Run a Python module of the project as its user would.

        Raises:
            CommandError: it failed; the message has its last lines.
        """
        environment = {
            **os.environ,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": DEFAULT_ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": "localcloud",
            "AWS_DEFAULT_REGION": DEFAULT_REGION,
        }
        done = subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=self._project,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            last = " | ".join((done.stdout + done.stderr).strip().splitlines()[-3:])
            raise CommandError(f"{' '.join(arguments[:3])} failed: {last}")
