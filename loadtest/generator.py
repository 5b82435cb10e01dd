"""The load generator: locust, in a process of its own.

It reads its settings as one JSON object from standard input and writes JSON lines to standard
output: `{"kind": "started"}`, then `{"kind": "stats", …}` every half second, then
`{"kind": "final", …}`. SIGTERM ends the load early; the final line is still written.

A single worker is this process itself. Several workers are processes of their own
(`loadtest.worker_pool`), or of other machines (`loadtest.remote_pool`), and this process adds up
their counts. While it waits for those of other machines it writes `{"kind": "waiting", "text": …}`.

locust patches the standard library for gevent when it is imported. Modules that open sockets
(boto3 in `loadtest.signing`) must be imported after it, as they are here.
"""

from __future__ import annotations

import json
import logging
import signal
import sys
import time
from typing import Any, Protocol

import gevent
from gevent.event import Event
from locust import LoadTestShape

from loadtest.errors import LoadTestError
from loadtest.recorder import Recorder
from loadtest.remote_pool import RemotePool
from loadtest.request_quota import QuotaLease
from loadtest.schedule import due
from loadtest.shapes import Load
from loadtest.user import (
    NOTHING,
    QuotaGate,
    create_environment,
    prepare_to_send,
    read_share,
    replayed_requests,
)
from loadtest.worker_pool import LocalPool, WorkerPool

_TICK_SECONDS = 0.5


class Generator(Protocol):
    """Sends a load, from one process or from several."""

    @property
    def cut_short(self) -> str:
        """Return the reason why the load ended early; empty if it did not."""

    @property
    def users(self) -> int:
        """Return the number of users that are running now."""

    @property
    def notes(self) -> list[str]:
        """Return notes for the report."""

    @property
    def hosts(self) -> list[str]:
        """Return the names of the other machines that send, one for each worker."""

    def start(self) -> None:
        """Start the load; the `finished` event is set when all requests are answered."""

    def stop(self) -> None:
        """End the load; everything is counted when this returns."""


class SingleProcessGenerator:
    """Sends the load from this process."""

    def __init__(self, settings: dict[str, Any], recorder: Recorder, finished: Event) -> None:
        load = Load(**settings["load"])
        gate = QuotaGate(QuotaLease(load.requests), on_completed=finished.set)
        environment = create_environment(
            settings, recorder, gate, read_share(settings), _shape(load)
        )
        environment.events.request.add_listener(recorder.record)
        environment.events.request.add_listener(gate.answered)
        self._runner: Any = environment.create_local_runner()
        self._recorder = recorder

    @property
    def cut_short(self) -> str:
        """Return an empty string: if this process fails, it cannot report a reason."""
        return ""

    @property
    def users(self) -> int:
        """Return the number of users that are running now."""
        return int(self._runner.user_count)

    @property
    def notes(self) -> list[str]:
        """Return a note if the processor was too busy."""
        busy = self._runner.cpu_warning_emitted
        return ["the load generator's processor was over 90 % busy"] if busy else []

    @property
    def hosts(self) -> list[str]:
        """Return an empty list: this machine sends."""
        return []

    def start(self) -> None:
        """Start the users."""
        prepare_to_send(self._recorder)
        self._runner.start_shape()

    def stop(self) -> None:
        """Stop the users."""
        self._runner.quit()


class MultiProcessGenerator:
    """Sends the load from several worker processes."""

    def __init__(self, settings: dict[str, Any], recorder: Recorder, finished: Event) -> None:
        load = Load(**settings["load"])
        # locust needs a user class in the master, although its users run in the workers.
        unused = QuotaGate(QuotaLease(0), on_completed=finished.set)
        self._pool: WorkerPool
        if settings["master"] is None:
            self._pool = LocalPool(settings, recorder)
        else:
            self._pool = RemotePool(settings, recorder, finished, _say)

        def check_finished() -> None:
            if load.requests is not None and recorder.total.count >= load.requests:
                finished.set()

        environment = create_environment(settings, recorder, unused, NOTHING, _shape(load))
        self._runner = self._pool.start(environment, check_finished)
        self._finished = finished

    @property
    def cut_short(self) -> str:
        """Return the reason why the load ended early; empty if it did not."""
        return self._pool.cut_short

    @property
    def users(self) -> int:
        """Return the number of users that the workers reported."""
        return int(self._runner.user_count)

    @property
    def notes(self) -> list[str]:
        """Return a note for each worker whose processor was too busy."""
        return self._pool.notes

    @property
    def hosts(self) -> list[str]:
        """Return the names of the other machines that send, one for each worker."""
        return self._pool.hosts

    def start(self) -> None:
        """Start the users."""
        self._pool.watch(self._runner, self._finished.set)
        self._runner.start_shape()

    def stop(self) -> None:
        """Stop the users and end the worker processes."""
        self._pool.stop(self._runner)


def _shape(load: Load) -> Any:
    class Shape(LoadTestShape):  # type: ignore[misc]  # locust ships no types
        def tick(self) -> tuple[int, float]:
            # `_run` ends the load, because locust calls this only once per second.
            at = min(self.get_run_time(), load.duration_seconds * (1 - 1e-9))
            # An open load needs all its users at once: any of them may have to wait.
            rate = load.spawn_rate if load.rate is None else float(load.users)
            return load.users_at(at) or 1, rate

    return Shape()


def _write(kind: str, **values: object) -> None:
    sys.stdout.write(json.dumps({"kind": kind, **values}) + "\n")
    sys.stdout.flush()


def _say(text: str) -> None:
    _write("waiting", text=text)


def _run(
    generator: Generator,
    recorder: Recorder,
    load: Load,
    finished: Event,
    replayed: list[float] | None,
) -> None:
    """Send the load to its end, and write a line every half second."""
    started = time.monotonic()
    generator.start()
    _write("started")

    def write_stats(*, remainder: bool = False) -> None:
        t = round(time.monotonic() - started, 3)
        _write("stats", t=t, users=generator.users, **recorder.tick(remainder=remainder))

    def write_periodically() -> None:
        try:
            while True:
                gevent.sleep(_TICK_SECONDS)
                write_stats()
        except BrokenPipeError:  # the parent is gone
            finished.set()

    writer = gevent.spawn(write_periodically)
    finished.wait(timeout=load.duration_seconds)
    ended = time.monotonic()
    generator.stop()
    # The last requests are answered while the users stop; stopping may take longer than that.
    load_seconds = max(ended, recorder.last_recorded) - started
    writer.kill()
    write_stats(remainder=True)
    _write(
        "final",
        load_seconds=round(load_seconds, 3),
        notes=generator.notes,
        hosts=generator.hosts,
        cut_short=generator.cut_short,
        due=None
        if load.rate is None
        else sum(
            due(load, worker, ended - began, replayed) for worker, began in recorder.began.items()
        ),
        **recorder.final(),
    )


def main() -> int:
    """Run the load that standard input describes; return the exit code."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(name)s: %(message)s")
    settings = json.loads(sys.stdin.readline())
    load = Load(**settings["load"])
    recorder, finished = Recorder(), Event()
    # Ctrl-C reaches the whole terminal group; the parent decides and sends SIGTERM.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gevent.signal_handler(signal.SIGTERM, finished.set)
    alone = load.workers == 1 and settings["master"] is None
    kind = SingleProcessGenerator if alone else MultiProcessGenerator
    try:
        replay = replayed_requests(settings)
        times = None if replay is None else [one.at for one in replay]
        _run(kind(settings, recorder, finished), recorder, load, finished, times)
    except LoadTestError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except BrokenPipeError:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
