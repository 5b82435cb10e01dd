"""Runs the container's program as SageMaker would: a child process and a directory for /opt/ml."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

JOB_NAME = "iris-model-20260101"
JOB_ARN = f"arn:aws:sagemaker:us-east-1:000000000000:training-job/{JOB_NAME}"
_START_SECONDS = 30.0


def child_environment(**extra: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG") or "OPENBLAS" in k}
    return kept | {"OMP_NUM_THREADS": "1"} | extra


@dataclass(frozen=True)
class TrainingResult:
    code: int
    log: str
    base: Path

    @property
    def failure(self) -> str:
        return (self.base / "output" / "failure").read_text("utf-8")

    @property
    def metadata(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.base / "model" / "metadata.json").read_text())
        return document


def train(
    program: Path,
    base: Path,
    channels: Mapping[str, Mapping[str, str | bytes]],
    hyperparameters: Mapping[str, object] | str | None = None,
    *,
    mode: str = "File",
) -> TrainingResult:
    lay_out(base, channels, hyperparameters, mode=mode)
    done = subprocess.run(
        [sys.executable, "-m", "model", "train"],
        cwd=program,
        env=training_environment(base),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return TrainingResult(done.returncode, done.stdout + done.stderr, base)


def training_environment(base: Path) -> dict[str, str]:
    """Return the environment of a training job."""
    return child_environment(
        SAGEMAKER_BASE_DIR=str(base), TRAINING_JOB_NAME=JOB_NAME, TRAINING_JOB_ARN=JOB_ARN
    )


def lay_out(
    base: Path,
    channels: Mapping[str, Mapping[str, str | bytes]],
    hyperparameters: Mapping[str, object] | str | None = None,
    *,
    mode: str = "File",
) -> None:
    """Write the inputs of a training job."""
    config = base / "input" / "config"
    config.mkdir(parents=True, exist_ok=True)
    if isinstance(hyperparameters, str):
        (config / "hyperparameters.json").write_text(hyperparameters)
    elif hyperparameters is not None:
        (config / "hyperparameters.json").write_text(json.dumps(hyperparameters))
    described = {name: {"TrainingInputMode": mode} for name in channels}
    (config / "inputdataconfig.json").write_text(json.dumps(described))
    for channel, files in channels.items():
        directory = base / "input" / "data" / channel
        directory.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            data = content if isinstance(content, bytes) else content.encode()
            (directory / name).write_bytes(data)


@dataclass(frozen=True)
class Answer:
    status: int
    content_type: str
    body: str

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        message: str = self.json["error"]["message"]
        return message


@dataclass
class Server:
    """A server process; `log` holds its output once it has ended."""

    program: Path
    base: Path
    port: int = field(default_factory=lambda: free_port())
    log: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    def start(self) -> None:
        # A file, because a pipe that nobody reads fills up and then blocks the server.
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed when it has been read
        self.process = subprocess.Popen(
            [sys.executable, "-m", "model", "serve"],
            cwd=self.program,
            env=child_environment(
                SAGEMAKER_BASE_DIR=str(self.base),
                SAGEMAKER_BIND_TO_PORT=str(self.port),
                **({"SAGEMAKER_MODEL_SERVER_WORKERS": "1"} | self.environment),
            ),
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )

    def __enter__(self) -> Server:
        self.start()
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if self.request("GET", "/ping").status == 200:
                    return self
            except OSError:
                time.sleep(0.02)
        self.stop()
        raise AssertionError(f"the server did not start: {self.log}")

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(timeout=30)
        if not self._output.closed:
            self._output.seek(0)
            self.log += self._output.read().decode()
            self._output.close()
        return self.process.returncode

    def takes_connections(self) -> bool:
        """Return whether something listens on the port."""
        try:
            socket.create_connection(("127.0.0.1", self.port), 10).close()
        except ConnectionRefusedError:
            return False
        return True

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            content = answer.read().decode()
            return Answer(answer.status, answer.headers.get("content-type", ""), content)
        finally:
            connection.close()

    def invoke(
        self, body: str | bytes, content_type: str = "text/csv", accept: str | None = None
    ) -> Answer:
        data = body.encode() if isinstance(body, str) else body
        headers = {"Content_Type": content_type}
        if accept is not None:
            headers["Accept"] = accept
        return self.request("POST", "/invocations", data, **headers)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
