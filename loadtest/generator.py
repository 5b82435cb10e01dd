"""The load generator: locust, in a process of its own.

It reads its settings as one JSON object from standard input and writes JSON lines to standard
output: `{"kind": "started"}`, then `{"kind": "stats", …}` every half second, then
`{"kind": "final", …}`. SIGTERM ends the load early; the last line still comes.

One worker is this process itself. Of several each has a process (`loadtest.crew`), and this one
counts together what they tell.

locust patches the standard library for gevent when it is imported. Whatever opens sockets
(boto3 in `loadtest.signing`) must come after it, as it does in this order.
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

from loadtest.crew import Crew
from loadtest.errors import LoadTestError
from loadtest.recorder import Recorder
from loadtest.shapes import Load
from loadtest.tickets import Purse
from loadtest.user import Turnstile, environment_of

_TICK_SECONDS = 0.5


class Generator(Protocol):
    """Sends a load, from one process or several."""

    @property
    def cut_short(self) -> str:
        """Return why the load ended before its end; empty if it did not."""

    @property
    def users(self) -> int:
        """Return how many there are now."""

    @property
    def notes(self) -> list[str]:
        """Return what a reader should know."""

    def start(self) -> None:
        """Begin; it sets its `finished` event when all requests are answered."""

    def stop(self) -> None:
        """End the load; all is counted when it returns."""


class Alone:
    """The load from this process."""

    def __init__(self, settings: dict[str, Any], recorder: Recorder, finished: Event) -> None:
        load = Load(**settings["load"])
        turnstile = Turnstile(Purse(load.requests), settled=finished.set)
        environment = environment_of(settings, recorder, turnstile, _shape(load))
        environment.events.request.add_listener(recorder.record)
        environment.events.request.add_listener(turnstile.answered)
        self._runner: Any = environment.create_local_runner()

    @property
    def cut_short(self) -> str:
        """Return nothing: what ends this process is not for it to tell."""
        return ""

    @property
    def users(self) -> int:
        """Return how many there are now."""
        return int(self._runner.user_count)

    @property
    def notes(self) -> list[str]:
        """Return whether the processor was too busy."""
        busy = self._runner.cpu_warning_emitted
        return ["the load generator's processor was over 90 % busy"] if busy else []

    def start(self) -> None:
        """Begin."""
        self._runner.start_shape()

    def stop(self) -> None:
        """End the users."""
        self._runner.quit()


class Together:
    """The load from several workers."""

    def __init__(self, settings: dict[str, Any], recorder: Recorder, finished: Event) -> None:
        load = Load(**settings["load"])
        # locust asks the master for the class; its users are in the workers.
        unused = Turnstile(Purse(0), settled=finished.set)
        self._crew = Crew(settings, recorder)

        def counted() -> None:
            if load.requests is not None and recorder.total.count >= load.requests:
                finished.set()

        environment = environment_of(settings, recorder, unused, _shape(load))
        self._runner = self._crew.start(environment, counted)
        self._finished = finished

    @property
    def cut_short(self) -> str:
        """Return why the load ended before its end; empty if it did not."""
        return self._crew.cut_short

    @property
    def users(self) -> int:
        """Return how many the workers told of."""
        return int(self._runner.user_count)

    @property
    def notes(self) -> list[str]:
        """Return which workers' processors were too busy."""
        return self._crew.notes

    def start(self) -> None:
        """Begin."""
        self._crew.watch(self._runner, self._finished.set)
        self._runner.start_shape()

    def stop(self) -> None:
        """End the workers."""
        self._crew.stop(self._runner)


def _shape(load: Load) -> Any:
    class Shape(LoadTestShape):  # type: ignore[misc]  # locust ships no types
        def tick(self) -> tuple[int, float]:
            # The end is not the shape's to tell: locust looks once a second only.
            at = min(self.get_run_time(), load.duration_seconds * (1 - 1e-9))
            return load.users_at(at) or 1, load.spawn_rate

    return Shape()


def _write(kind: str, **values: object) -> None:
    sys.stdout.write(json.dumps({"kind": kind, **values}) + "\n")
    sys.stdout.flush()


def _run(generator: Generator, recorder: Recorder, load: Load, finished: Event) -> None:
    """Send the load to its end, telling of it."""
    began = time.monotonic()
    generator.start()
    _write("started")

    def stats(*, rest: bool = False) -> None:
        t = round(time.monotonic() - began, 3)
        _write("stats", t=t, users=generator.users, **recorder.tick(rest=rest))

    def tell() -> None:
        try:
            while True:
                gevent.sleep(_TICK_SECONDS)
                stats()
        except BrokenPipeError:  # the parent is gone
            finished.set()

    teller = gevent.spawn(tell)
    finished.wait(timeout=load.duration_seconds)
    ended = time.monotonic()
    generator.stop()
    # The last requests are answered while the users stop, which may take longer than they do.
    load_seconds = max(ended, recorder.counted) - began
    teller.kill()
    stats(rest=True)
    _write(
        "final",
        load_seconds=round(load_seconds, 3),
        notes=generator.notes,
        cut_short=generator.cut_short,
        **recorder.final(),
    )


def main() -> int:
    """Run the load of the settings on standard input; return the exit code."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(name)s: %(message)s")
    settings = json.loads(sys.stdin.readline())
    load = Load(**settings["load"])
    recorder, finished = Recorder(), Event()
    # Ctrl-C reaches the whole terminal group: the parent decides, and sends SIGTERM.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gevent.signal_handler(signal.SIGTERM, finished.set)
    kind = Alone if load.workers == 1 else Together
    try:
        _run(kind(settings, recorder, finished), recorder, load, finished)
    except LoadTestError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except BrokenPipeError:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
