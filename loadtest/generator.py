"""The load generator: locust, in a process of its own.

It reads its settings as one JSON object from standard input and writes JSON lines to standard
output: `{"kind": "started"}`, then `{"kind": "stats", …}` every half second, then
`{"kind": "final", …}`. SIGTERM ends the load early; the last line still comes.

locust patches the standard library for gevent when it is imported. Whatever opens sockets
(boto3 in `loadtest.signing`) must come after it, as it does in this order.
"""

from __future__ import annotations

import itertools
import json
import logging
import signal
import sys
import time
from collections import Counter, deque
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gevent
from gevent.event import Event
from locust import FastHttpUser, LoadTestShape, constant
from locust.env import Environment

from loadtest.histogram import Histogram
from loadtest.payloads import Payload, read_answer, read_payloads
from loadtest.shapes import Load
from loadtest.signing import Signer, find_credentials, invocations_path

_TICK_SECONDS = 0.5
_WINDOW_TICKS = 4
_STOP_SECONDS = 5
_GRACE_SECONDS = 60
_ERROR_CHARACTERS = 300
# A test against a broken endpoint could meet a new text with every request.
_MAX_ERRORS = 20


class Recorder:
    """Counts answers: totals, and the last two seconds."""

    def __init__(self) -> None:
        self.failures = 0
        self.answers = 0
        self.correct = 0
        self.errors: Counter[str] = Counter()
        self.total = Histogram()
        self._tick = Histogram()
        self._window: deque[tuple[float, Histogram]] = deque(maxlen=_WINDOW_TICKS)
        self._last = time.monotonic()

    def record(self, response_time: float, exception: object = None, **_: object) -> None:
        """Count one request; locust's `request` event."""
        self._tick.add(response_time)
        self.total.add(response_time)
        if exception is not None:
            self.failures += 1
            text = str(exception)[:_ERROR_CHARACTERS]
            known = text in self.errors or len(self.errors) < _MAX_ERRORS
            self.errors[text if known else "other errors"] += 1

    def answer(self, *, correct: bool) -> None:
        """Count one well-formed answer."""
        self.answers += 1
        self.correct += correct

    def tick(self) -> dict[str, Any]:
        """Close a half second; return the figures of the last four."""
        now = time.monotonic()
        self._window.append((now - self._last, self._tick))
        self._last, self._tick = now, Histogram()
        recent = Histogram()
        for _, histogram in self._window:
            recent.merge(histogram)
        seconds = sum(length for length, _ in self._window)
        return {
            "requests": self.total.count,
            "failures": self.failures,
            "rps": round(recent.count / seconds, 1) if seconds else 0.0,
            **_percentiles(recent),
        }


def _percentiles(histogram: Histogram) -> dict[str, float | None]:
    return {
        "p50_ms": histogram.percentile(0.50),
        "p95_ms": histogram.percentile(0.95),
        "p99_ms": histogram.percentile(0.99),
    }


def _user_class(settings: dict[str, Any], payloads: tuple[Payload, ...], recorder: Recorder) -> Any:
    """Return the locust user that sends the payloads in turn, all users together."""
    parts = urlsplit(settings["url"])
    path = invocations_path(settings["endpoint"])
    base = f"{parts.scheme}://{parts.netloc}"
    signer = Signer(find_credentials(), settings["region"], base + path)
    turn = itertools.cycle(payloads)

    def invoke(user: Any) -> None:
        payload = next(turn)
        with user.client.post(
            path,
            data=payload.body,
            headers=dict(signer.headers(payload)),
            name="InvokeEndpoint",
            catch_response=True,
        ) as response:
            if response.status_code == 0:
                response.failure(f"no answer: {response.error}")
            elif response.status_code != 200:
                response.failure(f"HTTP {response.status_code}: {response.text}")
            elif (label := read_answer(response.text)) is None:
                response.failure(f"not one label: {response.text}")
            else:
                recorder.answer(correct=label == payload.label)

    class EndpointUser(FastHttpUser):  # type: ignore[misc]  # locust ships no types
        host = base
        tasks = [invoke]  # noqa: RUF012 - locust reads it from the class
        wait_time = constant(settings["think_seconds"])
        insecure = False
        connection_timeout = 10.0
        network_timeout = 60.0
        max_retries = 0

    return EndpointUser


def _shape(load: Load) -> Any:
    class Shape(LoadTestShape):  # type: ignore[misc]  # locust ships no types
        def tick(self) -> tuple[int, float] | None:
            users = load.users_at(self.get_run_time())
            return None if users is None else (users, load.spawn_rate)

    return Shape()


def _write(kind: str, **values: object) -> None:
    sys.stdout.write(json.dumps({"kind": kind, **values}) + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run the load of the settings on standard input; return the exit code."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(name)s: %(message)s")
    settings = json.loads(sys.stdin.readline())
    dataset = Path(settings["dataset"])
    payloads = read_payloads(dataset.read_bytes(), dataset.name)
    load = Load(**settings["load"])
    recorder = Recorder()
    environment = Environment(
        user_classes=[_user_class(settings, payloads, recorder)],
        shape_class=_shape(load),
        stop_timeout=_STOP_SECONDS,
    )
    environment.events.request.add_listener(recorder.record)
    runner = environment.create_local_runner()
    finished = Event()
    # Ctrl-C reaches the whole terminal group: the parent decides, and sends SIGTERM.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gevent.signal_handler(signal.SIGTERM, finished.set)

    began = time.monotonic()
    runner.start_shape()
    runner.shape_greenlet.link(lambda _: finished.set())
    _write("started")

    def tell() -> None:
        while True:
            gevent.sleep(_TICK_SECONDS)
            t = round(time.monotonic() - began, 3)
            try:
                _write("stats", t=t, users=runner.user_count, **recorder.tick())
            except BrokenPipeError:  # the parent is gone
                finished.set()
                return

    teller = gevent.spawn(tell)
    finished.wait(timeout=load.duration_seconds + _GRACE_SECONDS)
    load_seconds = time.monotonic() - began
    runner.quit()
    teller.kill()
    try:
        _write(
            "final",
            requests=recorder.total.count,
            failures=recorder.failures,
            answers=recorder.answers,
            correct=recorder.correct,
            load_seconds=round(load_seconds, 3),
            max_ms=round(recorder.total.max_ms, 2) if recorder.total.count else None,
            errors=dict(recorder.errors),
            busy=bool(runner.cpu_warning_emitted),
            **_percentiles(recorder.total),
        )
    except BrokenPipeError:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
