"""One worker process of the load generator, with locust's WorkerRunner.

It reads its settings as one JSON object from standard input: the generator's settings, with
`worker` (its number from 0) and `master_port`. Standard input then stays open. It closes when the
master exits, for whatever reason, and the worker exits, too. The worker's counts travel in locust's
own reports.

`loadtest.remote_worker` is the worker of another machine, and connects with the same function.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import gevent
from gevent.os import make_nonblocking
from gevent.socket import wait_read
from locust import runners
from locust.env import Environment
from locust.runners import WorkerRunner

from loadtest.messages import COUNTS, QUOTA_GRANT, QUOTA_REQUEST, REPORT_KEY
from loadtest.recorder import Recorder
from loadtest.request_quota import QuotaLease
from loadtest.user import (
    STOP_SECONDS,
    QuotaGate,
    Share,
    create_environment,
    prepare_to_send,
    read_share,
)

# The master takes a sample every half second; reports at the same interval would make the samples
# uneven.
_REPORT_SECONDS = 0.1


def main() -> int:
    """Work for the master that standard input describes, until the master is gone."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(name)s: %(message)s")
    settings = json.loads(sys.stdin.readline())
    # Ctrl-C reaches the whole terminal group; the master decides when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gevent.spawn(_exit_with_master)

    def create(environment: Environment) -> Any:
        return environment.create_worker_runner("127.0.0.1", settings["master_port"])

    connect(settings, read_share(settings), create).greenlet.join()
    # The last report may not be sent yet. The master closes standard input when it has arrived.
    gevent.sleep(STOP_SECONDS)
    return 0


def connect(
    settings: dict[str, Any],
    share: Share,
    create: Callable[[Environment], WorkerRunner],
    left: Callable[[], str] = str,
) -> Any:
    """Connect to the master; return locust's worker runner.

    Args:
        settings: the generator's settings, with the number of this worker.
        share: the requests of this process.
        create: creates the runner of an environment, which connects.
        left: the reason why this worker ends before its master asked for it; empty if it does not.
    """
    runners.WORKER_REPORT_INTERVAL = _REPORT_SECONDS
    recorder = Recorder()
    limited = settings["load"]["requests"] is not None
    lease = QuotaLease(0, renewable=True) if limited else QuotaLease(None)
    gate = QuotaGate(
        lease,
        on_completed=lambda: environment.runner.send_message(COUNTS, recorder.take()),
        request_quota=lambda: environment.runner.send_message(QUOTA_REQUEST),
    )
    environment = create_environment(settings, recorder, gate, share)
    environment.events.test_start.add_listener(lambda **_: prepare_to_send(recorder))
    stopped = []
    events = environment.events
    events.request.add_listener(recorder.record)
    events.request.add_listener(gate.answered)
    events.test_stop.add_listener(lambda **_: stopped.append(True))

    def add_report(client_id: str, data: dict[str, Any]) -> None:
        data[REPORT_KEY] = {
            "worker": settings["worker"],
            "busy": bool(environment.runner.cpu_warning_emitted),
            "last": bool(stopped),
            "left": left(),
            "counts": recorder.take(),
        }

    events.report_to_master.add_listener(add_report)
    runner = create(environment)
    runner.register_message(QUOTA_GRANT, lambda environment, msg: gate.renew(msg.data))
    return runner


def _exit_with_master() -> None:
    descriptor = sys.stdin.fileno()
    make_nonblocking(descriptor)
    wait_read(descriptor)
    # Users may have requests in flight, whose responses nobody needs any more.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
