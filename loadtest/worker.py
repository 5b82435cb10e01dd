"""One of several workers of the load generator: locust's WorkerRunner, in a process of its own.

It reads its settings as one JSON object from standard input: the generator's, with `worker` (its
number from 0) and `master_port`. Standard input then stays open: its end is the end of the master,
however that came, and the worker's too. What was counted goes with locust's own reports.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from typing import Any

import gevent
from gevent.os import make_nonblocking
from gevent.socket import wait_read
from locust import runners

from loadtest.messages import FIGURES, RECORDED, TICKETS, WANTED
from loadtest.recorder import Recorder
from loadtest.tickets import Purse
from loadtest.user import STOP_SECONDS, Turnstile, environment_of

# The master's moments are half a second long; reports as rare as that would make them uneven.
_REPORT_SECONDS = 0.1


def main() -> int:
    """Serve the master of the settings on standard input until it is gone."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(name)s: %(message)s")
    settings = json.loads(sys.stdin.readline())
    # Ctrl-C reaches the whole terminal group: the master decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gevent.spawn(_end_with_the_master)
    runners.WORKER_REPORT_INTERVAL = _REPORT_SECONDS
    _serve(settings).greenlet.join()
    # All is told, but maybe not yet sent: the master closes standard input when it has it.
    gevent.sleep(STOP_SECONDS)
    return 0


def _serve(settings: dict[str, Any]) -> Any:
    """Connect to the master; return the runner that does what it says."""
    recorder = Recorder()
    bounded = settings["load"]["requests"] is not None
    purse = Purse(0, more=True) if bounded else Purse(None)
    turnstile = Turnstile(
        purse,
        settled=lambda: environment.runner.send_message(FIGURES, recorder.take()),
        ask=lambda: environment.runner.send_message(WANTED),
    )
    environment = environment_of(settings, recorder, turnstile)
    stopped = []
    events = environment.events
    events.request.add_listener(recorder.record)
    events.request.add_listener(turnstile.answered)
    events.test_stop.add_listener(lambda **_: stopped.append(True))

    def report(client_id: str, data: dict[str, Any]) -> None:
        data[RECORDED] = {
            "worker": settings["worker"],
            "busy": bool(environment.runner.cpu_warning_emitted),
            "last": bool(stopped),
            "figures": recorder.take(),
        }

    events.report_to_master.add_listener(report)
    runner = environment.create_worker_runner("127.0.0.1", settings["master_port"])
    runner.register_message(TICKETS, lambda environment, msg: turnstile.put(msg.data))
    return runner


def _end_with_the_master() -> None:
    descriptor = sys.stdin.fileno()
    make_nonblocking(descriptor)
    wait_read(descriptor)
    # Users may be in the midst of a request; nobody wants its answer.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
