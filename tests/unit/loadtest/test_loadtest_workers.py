"""Several workers against a small server: the counts are exact, and no process is left running."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from loadtest.samples import RunRecord, read_samples
from tests.cloud import wait_for
from tests.unit.loadtest.local_endpoint import LocalEndpoint
from tests.unit.loadtest.test_loadtest_run import dataset, environment, load, right

__all__ = ["dataset"]  # a fixture

WAIT_SECONDS = 20.0


class Mixed:
    """Answers with right labels, wrong labels and errors, and counts them."""

    def __init__(self) -> None:
        self.right = self.failed = 0

    def __call__(self, body: str, number: int) -> tuple[int, str]:
        if number % 5 == 0:
            self.failed += 1
            return 503, "busy"
        if number % 4 == 0:
            return 200, "none\n"
        self.right += 1
        return right(body, number)


def _record(out: Path) -> RunRecord:
    return RunRecord.from_json((out / "run.json").read_text())


def test_the_workers_counts_equal_the_servers(dataset: Path, tmp_path: Path) -> None:
    mixed = Mixed()
    with LocalEndpoint(mixed) as endpoint:
        options = ("--users", "4", "--shape", "spike", "--duration", "3s", "--think", "0.01")
        done = load(endpoint, dataset, tmp_path, *options, "--workers", "2", "--max-failures", ".5")
    assert done.returncode == 0, done.stdout + done.stderr
    record = _record(tmp_path)
    assert endpoint.invocations == record.requests > 50
    assert (mixed.failed, mixed.right) == (record.failures, record.correct)
    assert record.requests - record.failures == record.answers
    assert {"HTTP 503: busy": mixed.failed} == record.errors
    assert ("", 2) == (record.cut_short, record.workers)
    assert record.delay_p99_ms is not None
    with (tmp_path / "samples.jsonl").open() as lines:
        samples = read_samples(lines)
    assert {1, 4} <= {sample.users for sample in samples}
    assert (record.requests, record.failures) == (samples[-1].requests, samples[-1].failures)
    assert max(sample.rps for sample in samples) > 10


@pytest.mark.parametrize("workers", [1, 3])
def test_a_load_ends_after_exactly_its_number_of_requests(
    dataset: Path, tmp_path: Path, workers: int
) -> None:
    with LocalEndpoint(right) as endpoint:
        options = ("--users", "7", "--spawn-rate", "100", "--requests", "501")
        done = load(endpoint, dataset, tmp_path, *options, "--workers", str(workers))
    assert done.returncode == 0, done.stdout + done.stderr
    record = _record(tmp_path)
    assert (501, 501) == (record.requests, endpoint.invocations)
    assert (501, 501) == (record.answers, record.correct)
    assert record.load_seconds < 20


def _start(
    endpoint: LocalEndpoint, dataset: Path, out: Path, **added: str
) -> subprocess.Popen[str]:
    named = ("--endpoint", "iris", "--dataset", str(dataset), "--out", str(out))
    options = ("--users", "4", "--duration", "5m", "--think", "0.02", "--workers", "2")
    return subprocess.Popen(
        [sys.executable, "-m", "loadtest", "run", *named, *options],
        env=environment(endpoint.url, **added),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A process that a shell starts in the background ignores Ctrl-C, and so do its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def _tree(run: int) -> dict[str, list[psutil.Process]]:
    """Return the descendants of a run's process, by module."""
    found: dict[str, list[psutil.Process]] = {}
    for process in psutil.Process(run).children(recursive=True):
        found.setdefault(process.cmdline()[-1], []).append(process)
    return found


def _alive(tree: dict[str, list[psutil.Process]]) -> list[psutil.Process]:
    """Wait until the processes of a run have ended; return those that have not."""
    processes = [process for some in tree.values() for process in some]
    alive: list[psutil.Process] = psutil.wait_procs(processes, timeout=WAIT_SECONDS)[1]
    return alive


ENDS: dict[str, tuple[str, signal.Signals]] = {
    "Ctrl-C": ("run", signal.SIGINT),
    "the command is killed": ("run", signal.SIGKILL),
    "the generator is killed": ("loadtest.generator", signal.SIGKILL),
    "the generator receives SIGTERM": ("loadtest.generator", signal.SIGTERM),
    "a worker is killed": ("loadtest.worker", signal.SIGKILL),
}


@pytest.mark.parametrize("case", ENDS)
def test_no_process_is_left_running_however_a_load_ends(
    dataset: Path, tmp_path: Path, case: str
) -> None:
    victim, number = ENDS[case]
    with LocalEndpoint(right) as endpoint:
        run = _start(endpoint, dataset, tmp_path)
        wait_for("the load", lambda: endpoint.invocations > 20, WAIT_SECONDS)
        tree = _tree(run.pid)
        assert (1, 2) == (len(tree["loadtest.generator"]), len(tree["loadtest.worker"]))
        os.kill(run.pid if victim == "run" else tree[victim][0].pid, number)
        stdout, stderr = run.communicate(timeout=60)
        assert [] == _alive(tree)
        seen = endpoint.invocations
    if case == "the command is killed":
        return
    if case == "the generator is killed":
        assert 1 == run.returncode
        assert "error: the load generator exited with status -9" in stderr
        return
    summary = json.loads((tmp_path / "summary.json").read_text())
    if case == "a worker is killed":
        assert 1 == run.returncode
        ended = "of 2 exited with status -9 before the load ended"
        assert ended in _record(tmp_path).cut_short
        assert f"{ended}\n" in stdout
        assert not summary["passed"]
        return
    assert 0 == run.returncode, stderr
    assert summary["passed"]
    assert seen == summary["requests"]


def test_a_worker_that_stops_responding_ends_the_load(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "if {'loadtest.worker', 'loadtest.generator'} & set(sys.orig_argv):\n"
        "    from locust import runners\n"
        "    runners.HEARTBEAT_INTERVAL = 0.3\n"
        "if 'loadtest.generator' in sys.orig_argv:\n"
        "    from loadtest import worker_pool\n"
        "    worker_pool._LAST_REPORT_SECONDS = 1.0\n"
    )
    out = tmp_path / "out"
    with LocalEndpoint(right) as endpoint:
        run = _start(endpoint, dataset, out, PYTHONPATH=str(tmp_path))
        wait_for("the load", lambda: endpoint.invocations > 20, WAIT_SECONDS)
        tree = _tree(run.pid)
        os.kill(tree["loadtest.worker"][0].pid, signal.SIGSTOP)
        stdout, _ = run.communicate(timeout=60)
        assert [] == _alive(tree)
    assert 1 == run.returncode
    assert "the load was cut short: a worker stopped responding\n" in stdout
    assert "a worker stopped responding" == _record(out).cut_short


def test_workers_with_busy_processors_are_in_the_notes(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "if 'loadtest.worker' in sys.orig_argv:\n"
        "    from locust import runners\n"
        "    runners.CPU_MONITOR_INTERVAL, runners.CPU_WARNING_THRESHOLD = 0.2, -1\n"
    )
    with LocalEndpoint(right) as endpoint:
        options = ("--users", "2", "--duration", "2s", "--think", "0.1", "--workers", "2")
        out = tmp_path / "out"
        done = load(endpoint, dataset, out, *options, PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert [
        "the processor of worker 1 of 2 was over 90 % busy",
        "the processor of worker 2 of 2 was over 90 % busy",
    ] == _record(out).notes


def test_a_worker_that_does_not_start_is_reported_as_one_error(
    dataset: Path, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\nif 'loadtest.worker' in sys.orig_argv: os._exit(7)\n"
    )
    with LocalEndpoint(right) as endpoint:
        done = load(endpoint, dataset, tmp_path / "out", "--workers", "2", PYTHONPATH=str(tmp_path))
    assert 1 == done.returncode
    assert "of 2 exited with status 7 before the load began" in done.stderr
    assert 1 == len(done.stderr.splitlines())
