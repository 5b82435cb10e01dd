"""Several workers on one port, as processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from model.errors import ContainerError
from model.server import Settings
from tests.cloud import wait_for
from tests.unit.model.container import Server, TrainingResult, child_environment

SETOSA = "5.1,3.5,1.4,0.2"


def children(server: Server) -> list[int]:
    pid = server.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_workers_share_the_port_and_the_counters_and_stop_together(
    program: Path, iris: TrainingResult
) -> None:
    server = Server(program, iris.base, environment={"SAGEMAKER_MODEL_SERVER_WORKERS": "2"})
    with server:
        assert len(children(server)) == 1  # in addition to the main process
        for _ in range(40):
            assert server.invoke(SETOSA).body == "setosa\n"
        reports = {server.request("GET", "/metrics").body for _ in range(10)}
        assert len(reports) == 1
        assert "model_batch_rows_sum 40\n" in reports.pop()
    assert server.process.returncode == 0
    assert server.log.count("serving random-forest") == 2
    assert server.log.rstrip().endswith("stopped serving")


def test_a_worker_that_dies_stops_the_server_so_that_the_platform_replaces_it(
    program: Path, iris: TrainingResult
) -> None:
    server = Server(program, iris.base, environment={"SAGEMAKER_MODEL_SERVER_WORKERS": "3"})
    with server:
        first, second = children(server)
        os.kill(first, signal.SIGKILL)
        wait_for("the end", lambda: server.process.poll() is not None, 10)
        assert not Path(f"/proc/{second}").exists()
    assert server.process.returncode == 1
    assert "exited with -9" in server.log
    assert "Traceback" not in server.log


def test_no_worker_survives_when_the_main_process_is_killed(
    program: Path, iris: TrainingResult
) -> None:
    server = Server(program, iris.base, environment={"SAGEMAKER_MODEL_SERVER_WORKERS": "2"})
    with server:
        (worker,) = children(server)
        os.kill(server.process.pid, signal.SIGKILL)
        wait_for("the worker's end", lambda: not Path(f"/proc/{worker}").exists(), 10)


def test_requests_in_flight_in_every_worker_are_answered_before_the_shutdown(
    program: Path, iris: TrainingResult
) -> None:
    server = Server(program, iris.base, environment={"SAGEMAKER_MODEL_SERVER_WORKERS": "2"})
    head = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: 16"
    with server, ExitStack() as stack:
        # Almost certainly, both workers get some of them.
        begun = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 10))
            for _ in range(24)
        ]
        first = head + b"\r\n\r\n" + SETOSA.encode()
        for connection in begun:
            # The second has come without its last byte when the first, sent with it, is answered.
            connection.sendall(first + b"\n" + first)
            assert b"setosa" in connection.recv(1000)
        server.process.send_signal(signal.SIGTERM)
        wait_for("the beginning of the end", lambda: not server.takes_connections(), 10)
        for connection in begun:
            connection.sendall(b"\n")
            assert b"setosa" in connection.recv(1000)
        wait_for("the end", lambda: server.process.poll() is not None, 10)
    assert server.process.returncode == 0


def test_all_invalid_settings_are_reported_together() -> None:
    wrong = {
        "SAGEMAKER_BIND_TO_PORT": "0",
        "SAGEMAKER_MODEL_SERVER_WORKERS": "many",
        "SAGEMAKER_INFERENCE_OUTPUT": "shares",
        "MODEL_LOG": "none",
    }
    with pytest.raises(ContainerError) as raised:
        Settings.from_environment(wrong)
    assert [part.split(" is ")[0] for part in str(raised.value).split("; ") if " is '" in part] == [
        *wrong
    ]


def test_the_default_is_one_worker_per_core() -> None:
    assert Settings.from_environment({}).workers == len(os.sched_getaffinity(0))
    assert Settings.from_environment({"SAGEMAKER_MODEL_SERVER_WORKERS": "3"}).workers == 3


# Each worker is sent SIGTERM as soon as it is forked. One that does not get it ends with 7.
EARLY_SIGTERM = """
import signal, time
from model.server import WorkerProcesses, _exit

def work(others):
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM,))
        time.sleep(15)
        return 7
    except SystemExit:
        return 0

signal.signal(signal.SIGTERM, _exit)
workers = [WorkerProcesses() for _ in range(30)]
for number, started in enumerate(workers):
    started.start(number, work)
    started.terminate()
for started in workers:
    started.stop()
raise SystemExit(sum(started.failed for started in workers))
"""


def test_a_worker_is_stopped_even_if_it_has_only_just_been_forked(program: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", EARLY_SIGTERM],
        cwd=program,
        env=child_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
