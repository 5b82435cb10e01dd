"""Several worker processes under locust's MasterRunner, which runs in this process.

start  connects the workers: LocalPool starts processes of this machine on a free port of 127.0.0.1;
       `loadtest.remote_pool` waits for those of other machines
watch  ends the load, with a reason, when a worker exits or stops sending heartbeats
stop   makes the workers stop their users and send their last counts, and ends them
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import gevent
from locust.env import Environment

from loadtest.errors import GeneratorError
from loadtest.messages import COUNTS, QUOTA_GRANT, QUOTA_REQUEST, REPORT_KEY
from loadtest.recorder import Recorder
from loadtest.request_quota import RequestQuota

_CONNECT_SECONDS = 60.0
_POLL_SECONDS = 0.1
# locust counts a worker's heartbeats down from 3, one per second. A busy processor delays some.
MIN_HEARTBEAT = -12
# A worker waits up to 5 s for its requests in flight.
_LAST_REPORT_SECONDS = 10.0
_EXIT_SECONDS = 3.0


class WorkerPool(ABC):
    """The worker processes of a load.

    Args:
        settings: the generator's settings.
        recorder: receives the counts of all workers.

    Attributes:
        cut_short: the reason why the load ended early; empty if it did not.
    """

    def __init__(self, settings: dict[str, Any], recorder: Recorder) -> None:
        self._settings = settings
        self._recorder = recorder
        self._count: int = settings["load"]["workers"]
        # Numbers of the workers that have sent their last report.
        self._finished: set[int] = set()
        self._busy: set[int] = set()
        self._watcher: Any = None
        self.cut_short = ""

    @property
    def notes(self) -> list[str]:
        """Return notes for the report: the workers whose processors were too busy."""
        return [
            f"the processor of {self._named(number)} was over 90 % busy"
            for number in sorted(self._busy)
        ]

    @property
    def hosts(self) -> list[str]:
        """Return the names of the other machines that send, one for each worker."""
        return []

    @abstractmethod
    def start(self, environment: Environment, on_counts: Callable[[], None]) -> Any:
        """Connect the workers; return locust's master runner.

        Args:
            environment: locust's environment, with the user class.
            on_counts: called after a worker's counts have been added to the recorder.

        Raises:
            GeneratorError: a worker exited or did not connect in time.
        """

    def watch(self, runner: Any, on_failure: Callable[[], None]) -> None:
        """Watch the workers in the background.

        Args:
            runner: locust's master runner.
            on_failure: called once when a worker has failed, after `cut_short` is set.
        """

        def poll() -> None:
            while not self.cut_short:
                gevent.sleep(_POLL_SECONDS)
                self.cut_short = self._lost(runner)
            on_failure()

        self._watcher = gevent.spawn(poll)

    def stop(self, runner: Any) -> None:
        """Stop the users, wait for the workers' last counts, and end the workers."""
        for greenlet in (self._watcher, runner.shape_greenlet):
            if greenlet is not None:
                greenlet.kill()
        runner.send_message("quit")
        deadline = time.monotonic() + _LAST_REPORT_SECONDS
        while time.monotonic() < deadline:
            gone = self._gone(runner)
            if len(self._finished | gone) == self._count:
                break
            gevent.sleep(0.01)
        else:
            missing = self._count - len(self._finished | gone)
            self.cut_short = self.cut_short or f"{missing} of {self._count} workers did not stop"
        self._end(runner)

    def _register_messages(self, runner: Any, on_counts: Callable[[], None]) -> None:
        quota = RequestQuota(self._settings["load"]["requests"] or 0)

        def receive_report(client_id: str, data: dict[str, Any]) -> None:
            report = data[REPORT_KEY]
            self._recorder.merge(report["counts"])
            if report["busy"]:
                self._busy.add(report["worker"])
            if report["last"]:
                self._finish(runner, client_id, report)
            on_counts()

        def receive_counts(environment: Environment, msg: Any) -> None:
            self._recorder.merge(msg.data)
            on_counts()

        def grant_quota(environment: Environment, msg: Any) -> None:
            runner.send_message(QUOTA_GRANT, quota.grant(self._count), msg.node_id)

        runner.environment.events.worker_report.add_listener(receive_report)
        runner.register_message(COUNTS, receive_counts)
        runner.register_message(QUOTA_REQUEST, grant_quota)

    def _finish(self, runner: Any, client_id: str, report: dict[str, Any]) -> None:
        """Note that a worker has sent its last report."""
        self._finished.add(report["worker"])

    def _named(self, number: int) -> str:
        return f"worker {number + 1} of {self._count}"

    @abstractmethod
    def _lost(self, runner: Any) -> str:
        """Return a sentence about a worker that failed; empty if all are at work."""

    @abstractmethod
    def _gone(self, runner: Any) -> set[int]:
        """Return the numbers of the workers from which no report will come any more."""

    @abstractmethod
    def _end(self, runner: Any) -> None:
        """End the workers, whose last reports are there."""


class LocalPool(WorkerPool):
    """Worker processes of this machine."""

    def __init__(self, settings: dict[str, Any], recorder: Recorder) -> None:
        super().__init__(settings, recorder)
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, environment: Environment, on_counts: Callable[[], None]) -> Any:
        """Start the processes, and wait until all have connected."""
        runner = environment.create_master_runner("127.0.0.1", 0)
        self._register_messages(runner, on_counts)
        for number in range(self._count):
            self._processes.append(self._start_process(number, runner.server.port))
        deadline = time.monotonic() + _CONNECT_SECONDS
        while runner.worker_count < self._count:
            gevent.sleep(_POLL_SECONDS)
            if time.monotonic() > deadline:
                self._fail(
                    f"{runner.worker_count} of {self._count} workers connected within "
                    f"{_CONNECT_SECONDS:g} s"
                )
            if exited := self._exited():
                self._fail(f"{exited} before the load began")
        return runner

    def _start_process(self, number: int, port: int) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "loadtest.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        document = {**self._settings, "worker": number, "master_port": port}
        assert process.stdin is not None  # noqa: S101 - a pipe was requested above
        try:
            process.stdin.write(json.dumps(document).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass  # the worker has exited; `start` detects and reports that
        return process

    def _lost(self, runner: Any) -> str:
        if exited := self._exited():
            return f"{exited} before the load ended"
        if any(worker.heartbeat <= MIN_HEARTBEAT for worker in runner.clients.all):
            return "a worker stopped responding"
        return ""

    def _exited(self) -> str:
        """Return a sentence about a worker that has exited; empty if all are running."""
        for number, process in enumerate(self._processes):
            if process.poll() is not None:
                return f"{self._named(number)} exited with status {process.poll()}"
        return ""

    def _gone(self, runner: Any) -> set[int]:
        return {
            number for number, process in enumerate(self._processes) if process.poll() is not None
        }

    def _fail(self, reason: str) -> None:
        self._end(None)
        raise GeneratorError(reason)

    def _end(self, runner: Any) -> None:
        # A worker exits when its standard input closes.
        for process in self._processes:
            if process.stdin is not None:
                process.stdin.close()
        for process in self._processes:
            try:
                process.wait(timeout=_EXIT_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
