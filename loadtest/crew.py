"""Several workers: locust's MasterRunner here, and the processes that it leads.

start  bind to a free port of 127.0.0.1, start the processes, wait until all have come
watch  a worker that ends or falls silent ends the load, with the reason
stop   all stop their users and tell the rest; then their standard input closes, and they end
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import gevent
from locust.env import Environment

from loadtest.errors import GeneratorError
from loadtest.messages import FIGURES, RECORDED, TICKETS, WANTED
from loadtest.recorder import Recorder
from loadtest.tickets import Office

_CONNECT_SECONDS = 60.0
_LOOK_SECONDS = 0.1
# locust counts a worker's heartbeats down from 3, one a second; a busy processor delays some.
_SILENT_HEARTBEATS = -12
# A worker waits 5 s for the requests that are under way.
_LAST_REPORT_SECONDS = 10.0
_END_SECONDS = 3.0


class Crew:
    """The workers of a load."""

    def __init__(self, settings: dict[str, Any], recorder: Recorder) -> None:
        self._settings = settings
        self._recorder = recorder
        self._count: int = settings["load"]["workers"]
        self._processes: list[subprocess.Popen[bytes]] = []
        self._told_all: set[int] = set()
        self._busy: set[int] = set()
        self._watcher: Any = None
        self.cut_short = ""

    @property
    def notes(self) -> list[str]:
        """Return what a reader should know of the workers."""
        return [
            f"the processor of worker {number + 1} of {self._count} was over 90 % busy"
            for number in sorted(self._busy)
        ]

    def start(self, environment: Environment, counted: Callable[[], None]) -> Any:
        """Start the workers; return locust's runner that leads them.

        Args:
            environment: locust's, with the user class.
            counted: called whenever workers told what they counted.

        Raises:
            GeneratorError: a worker ended, or did not come.
        """
        runner = environment.create_master_runner("127.0.0.1", 0)
        self._listen(runner, counted)
        for number in range(self._count):
            self._processes.append(self._process(number, runner.server.port))
        until = time.monotonic() + _CONNECT_SECONDS
        while runner.worker_count < self._count:
            gevent.sleep(_LOOK_SECONDS)
            if time.monotonic() > until:
                self._fail(
                    f"{runner.worker_count} of {self._count} workers came within "
                    f"{_CONNECT_SECONDS:g} s"
                )
            if ended := self._ended():
                self._fail(f"{ended} before the load began")
        return runner

    def watch(self, runner: Any, over: Callable[[], None]) -> None:
        """Look after the workers; call `over` when the load cannot go on as it was asked for."""

        def look() -> None:
            while not self.cut_short:
                gevent.sleep(_LOOK_SECONDS)
                if ended := self._ended():
                    self.cut_short = f"{ended} before the load did"
                elif any(worker.heartbeat <= _SILENT_HEARTBEATS for worker in runner.clients.all):
                    self.cut_short = "a worker fell silent"
            over()

        self._watcher = gevent.spawn(look)

    def stop(self, runner: Any) -> None:
        """Have the workers stop and tell the rest; end their processes."""
        for greenlet in (self._watcher, runner.shape_greenlet):
            if greenlet is not None:
                greenlet.kill()
        runner.send_message("quit")
        until = time.monotonic() + _LAST_REPORT_SECONDS
        while time.monotonic() < until:
            gone = {number for number, one in enumerate(self._processes) if one.poll() is not None}
            if len(self._told_all | gone) == self._count:
                break
            gevent.sleep(0.01)
        else:
            missing = self._count - len(self._told_all | gone)
            self.cut_short = self.cut_short or f"{missing} of {self._count} workers did not stop"
        self._end()

    def _listen(self, runner: Any, counted: Callable[[], None]) -> None:
        requests = self._settings["load"]["requests"]
        office = Office(requests or 0)

        def reported(client_id: str, data: dict[str, Any]) -> None:
            report = data[RECORDED]
            self._recorder.merge(report["figures"])
            if report["busy"]:
                self._busy.add(report["worker"])
            if report["last"]:
                self._told_all.add(report["worker"])
            counted()

        def figures(environment: Environment, msg: Any) -> None:
            self._recorder.merge(msg.data)
            counted()

        def wanted(environment: Environment, msg: Any) -> None:
            runner.send_message(TICKETS, office.grant(self._count), msg.node_id)

        runner.environment.events.worker_report.add_listener(reported)
        runner.register_message(FIGURES, figures)
        runner.register_message(WANTED, wanted)

    def _process(self, number: int, port: int) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "loadtest.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        document = {**self._settings, "worker": number, "master_port": port}
        assert process.stdin is not None  # noqa: S101 - asked for above
        try:
            process.stdin.write(json.dumps(document).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended, which is seen and told next
        return process

    def _ended(self) -> str:
        for number, process in enumerate(self._processes):
            if process.poll() is not None:
                return f"worker {number + 1} of {self._count} ended with status {process.poll()}"
        return ""

    def _fail(self, why: str) -> None:
        self._end()
        raise GeneratorError(why)

    def _end(self) -> None:
        for process in self._processes:
            if process.stdin is not None:
                process.stdin.close()
        for process in self._processes:
            try:
                process.wait(timeout=_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
