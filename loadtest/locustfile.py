"""Locust's own way in: its web page, its command line, its processes and its distribution.

    locust -f loadtest/locustfile.py --endpoint iris-model-production --dataset dataset.zip

It sends the same signed requests as `python -m loadtest`, and looks at the answers in the same way:
a malformed answer is a failure, and each process prints its accuracy at the end. Locust's own
options apply: `--headless`, `--users`, `--run-time`, `--processes`, `--master` and `--worker`.
Exact numbers of requests and reports on scaling are `python -m loadtest`'s.

AWS_ENDPOINT_URL names a local cloud; without it the requests go to AWS, which costs money.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

from locust import constant, events

from loadtest.errors import LoadTestError
from loadtest.payloads import read_payloads, rows_from
from loadtest.recorder import Recorder
from loadtest.user import EndpointClient, Sender

log = logging.getLogger("loadtest")

# Distant numbers, so that processes begin at different rows.
_WORKERS = 16
_recorder = Recorder()


class EndpointUser(EndpointClient):
    """A user that sends a row and waits for its prediction."""

    wait_time = constant(0)
    sender: Sender

    def invoke(self) -> None:
        """Send the next row."""
        self.sender.send(self)

    tasks = [invoke]  # noqa: RUF012 - locust reads it from the class


def _add_options(parser: Any) -> None:
    group = parser.add_argument_group("SageMaker endpoint")
    group.add_argument("--endpoint", required=True, help="the endpoint's name")
    group.add_argument(
        "--dataset", required=True, help="a dataset zip, whose validation rows are sent"
    )
    region = os.environ.get("AWS_REGION") or "us-east-1"
    group.add_argument("--region", default=region, help="the AWS region, default us-east-1")


def _prepare(environment: Any, **_: object) -> None:
    options: argparse.Namespace = environment.parsed_options
    # The master's users run in the workers.
    if options.master:
        return
    url = os.environ.get("AWS_ENDPOINT_URL")
    url = url or f"https://runtime.sagemaker.{options.region}.amazonaws.com"
    try:
        path = Path(options.dataset)
        payloads = read_payloads(path.read_bytes(), path.name)
        number = getattr(environment.runner, "worker_index", 0) % _WORKERS
        rows = rows_from(payloads, number, _WORKERS)
        sender = Sender(url, options.endpoint, options.region, rows, _recorder)
    except OSError as error:
        _stop(f"cannot read {options.dataset}: {error.strerror}")
    except LoadTestError as error:
        _stop(str(error))
    EndpointUser.sender = sender
    EndpointUser.host = sender.host


def _print_accuracy(**_: object) -> None:
    if _recorder.answers and not _recorder.squared_error:
        share = _recorder.correct / _recorder.answers
        log.info("accuracy under load: %.1f %% of %d answers", 100 * share, _recorder.answers)


def _stop(reason: str) -> NoReturn:
    sys.stderr.write(f"error: {reason}\n")
    sys.exit(1)


events.init_command_line_parser.add_listener(_add_options)
events.init.add_listener(_prepare)
events.quitting.add_listener(_print_accuracy)
