"""Shared by the benchmarks: clouds, a trained model, and requests without boto3's overhead."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlencode, urlsplit

from localcloud.cli.console import client
from localcloud.core.child_process import free_port

ROOT = Path(__file__).resolve().parent.parent
ROLE = "arn:aws:iam::000000000000:role/service-role/benchmark"
# Service → (name in a signature, prefix of X-Amz-Target; empty for the query protocol).
WIRE = {
    "sagemaker": ("sagemaker", "SageMaker"),
    "codepipeline": ("codepipeline", "CodePipeline_20150709"),
    "cloudformation": ("cloudformation", ""),
}


def exit_on_sigterm() -> None:
    """Make SIGTERM end the program like Ctrl-C does, so that it stops what it started.

    Python's default for SIGTERM is to end at once, without the `finally` blocks that stop the
    child processes.
    """

    def exit_(number: int, _: object) -> NoReturn:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, exit_)


@contextmanager
def signals_deferred() -> Iterator[None]:
    """Defer Ctrl-C and SIGTERM to the end of the block, so that they do not interrupt a cleanup.

    Start no process in the block, because it would inherit the blocked signals.
    """
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


@contextmanager
def local_cloud(speed: float = 60.0, state: Path | None = None) -> Iterator[tuple[str, int]]:
    """Start a local cloud; yield its URL and process id, and stop it afterwards.

    Args:
        speed: seconds of the emulated AWS per second of real time.
        state: state directory; None for a cloud without stored state.
    """
    command = [sys.executable, "-m", "localcloud", "start", "--port", "0", "--speed", str(speed)]
    command += ["--ephemeral"] if state is None else ["--state-dir", str(state)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().decode().rsplit(" ", 1)[1].strip()
        create_role(url)
        yield url, process.pid
    finally:
        stop(process)


def create_role(url: str) -> str:
    """Create the role of the benchmarks unless it exists; return its ARN."""
    principals = [f"{service}.amazonaws.com" for service in ("sagemaker", "codepipeline")]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": principals},
        "Action": "sts:AssumeRole",
    }
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam = client("iam", url)
    with suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_role(RoleName="benchmark", Path="/service-role/", AssumeRolePolicyDocument=trust)
    return str(iam.get_role(RoleName="benchmark")["Role"]["Arn"])


def stop(process: subprocess.Popen[bytes], seconds: float = 30) -> None:
    """End a process with SIGTERM and wait for it; kill it if it takes longer than `seconds`."""
    with signals_deferred():
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def train_in(base: Path, table: str, hyperparameters: Mapping[str, str]) -> None:
    """Train a model with the model container's program.

    Args:
        base: directory that takes the place of /opt/ml.
        table: a table of `model.dataset`.
        hyperparameters: the job's hyperparameters.
    """
    data, config = base / "input" / "data" / "dataset", base / "input" / "config"
    for directory in (data, config):
        directory.mkdir(parents=True, exist_ok=True)
    (config / "hyperparameters.json").write_text(json.dumps(dict(hyperparameters)))
    channel = {"dataset": {"TrainingInputMode": "File"}}
    (config / "inputdataconfig.json").write_text(json.dumps(channel))
    environment = {**os.environ, "SAGEMAKER_BASE_DIR": str(base)}
    make = ["model.dataset", "--table", table, "--out", str(data / "dataset.zip")]
    for arguments in (make, ["model", "train"]):
        command = [sys.executable, "-m", *arguments]
        subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def moto_server() -> Iterator[tuple[str, int]]:
    """Start moto's own server; yield its URL and process id, and stop it afterwards."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.perf_counter() + 60
        while True:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
                connection.request("GET", "/moto-api/")
                connection.getresponse().read()
                break
            except OSError:
                assert time.perf_counter() < deadline, "moto's server did not start"
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        stop(process)


class Api:
    """One keep-alive connection to a cloud."""

    def __init__(self, url: str) -> None:
        self.role = ROLE
        self._address = str(urlsplit(url).netloc)
        self._connection = http.client.HTTPConnection(self._address, timeout=60)

    def call(self, service: str, operation: str, **parameters: Any) -> str:
        """Send a request; return the body of the response.

        Args:
            service: a key of WIRE.
            operation: the operation's name.
            parameters: the operation's parameters.

        Raises:
            RuntimeError: the response is an error.
        """
        signing_name, target = WIRE[service]
        credential = f"000000000000/20260101/us-east-1/{signing_name}/aws4_request"
        headers = {
            "Authorization": f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, "
            "Signature=0",
            "Host": self._address,
        }
        if target:
            headers["X-Amz-Target"] = f"{target}.{operation}"
            headers["Content-Type"] = "application/x-amz-json-1.1"
            body = json.dumps(parameters)
        else:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            body = urlencode({"Action": operation, "Version": "2010-05-15", **parameters})
        try:
            self._connection.request("POST", "/", body, headers)
            answer = self._connection.getresponse()
        except ConnectionError:  # the server has closed the idle connection
            self._connection.close()
            self._connection.request("POST", "/", body, headers)
            answer = self._connection.getresponse()
        text = answer.read().decode()
        if answer.status != 200:
            raise RuntimeError(f"{operation}: {answer.status} {text[:500]}")
        return text
