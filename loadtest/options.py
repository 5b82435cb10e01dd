"""The options of the stress test's command."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from loadtest.address import DEFAULT_PORT, LOOPBACK
from loadtest.lab import DEFAULT_LOAD, LAB_TESTS
from loadtest.objectives import MAX_FAILURE_SHARE
from loadtest.shapes import MAX_REMOTE_WORKERS, MAX_WORKERS, SHAPES
from loadtest.size_metrics import INVOCATIONS, METRICS

_MAX_WAIT = "2m"


def create_parser() -> argparse.ArgumentParser:
    """Return the parser of the commands run, worker, size and report."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest", description="Stress test a SageMaker endpoint."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser(
        "run",
        help="load an endpoint and write a report",
        description="AWS_ENDPOINT_URL names a local cloud; without it the test runs on real AWS, "
        "which costs money.",
    )
    run.add_argument("--endpoint", required=True, help="the endpoint's name")
    run.add_argument("--dataset", type=Path, help="a dataset zip, whose validation rows are sent")
    run.add_argument(
        "--replay",
        metavar="FILE|s3://BUCKET/PREFIX",
        help="instead of rows, send the requests that an endpoint's data capture has written, at "
        "their own times",
    )
    run.add_argument(
        "--speed", type=float, default=1.0, help="send a replay so many times as fast, default 1"
    )
    tests = "; ".join(f"{name}: {test.description}" for name, test in LAB_TESTS.items())
    run.add_argument(
        "--test",
        choices=tuple(LAB_TESTS),
        help=f"one of the lab's tests ({tests}); other options override its values",
    )
    run.add_argument(
        "--users", type=int, help=f"number of users at the peak, default {DEFAULT_LOAD.users}"
    )
    run.add_argument(
        "--spawn-rate",
        type=float,
        help=f"users started per second, default {DEFAULT_LOAD.spawn_rate:g}",
    )
    run.add_argument(
        "--requests",
        type=int,
        help="end the load after exactly this many requests of all users together; by default the "
        "duration ends it",
    )
    run.add_argument(
        "--duration",
        help="duration of the load, such as 30s or 1m30s, at most 1 h; default 30s, or 10m with "
        "--requests. Ctrl-C ends the load early and still writes the report",
    )
    run.add_argument(
        "--shape",
        choices=tuple(SHAPES),
        help=f"number of users over time, default {DEFAULT_LOAD.shape}",
    )
    run.add_argument(
        "--rate",
        type=float,
        help="open load: send this many requests/s at the peak on a schedule, whatever the answers "
        "do, and count latency from the moment at which a request was due; --users is then the "
        "largest number of requests in flight",
    )
    run.add_argument(
        "--workers",
        type=int,
        help=f"number of processes that send requests, default 1, at most {MAX_WORKERS}; use one "
        "per processor core that may be busy",
    )
    run.add_argument(
        "--expect-workers",
        type=int,
        metavar="N",
        help=f"send from N processes of other machines, at most {MAX_REMOTE_WORKERS}, each started "
        "there with: python -m loadtest worker",
    )
    run.add_argument(
        "--master-bind",
        metavar="HOST[:PORT]",
        help="address of this machine at which they connect, default "
        f"{LOOPBACK}:{DEFAULT_PORT}. Locust's channel has no password: let only your own machines "
        "reach it",
    )
    _add_max_wait(run, "how long to wait for the workers of other machines")
    run.add_argument(
        "--think",
        type=float,
        default=0.0,
        help="a user's pause between two requests in seconds, default 0",
    )
    run.add_argument(
        "--watch", default="0s", help="watch the endpoint for this long after the load, default 0s"
    )
    run.add_argument(
        "--region", default=os.environ.get("AWS_REGION") or "us-east-1", help="default us-east-1"
    )
    run.add_argument("--out", type=Path, help="output directory, default build/loadtest/ENDPOINT")
    objectives = run.add_argument_group("objectives", "the exit code is 3 if one is missed")
    objectives.add_argument(
        "--max-failures",
        type=float,
        default=MAX_FAILURE_SHARE,
        help="largest share of failed requests, default 0.01",
    )
    objectives.add_argument("--max-p99", type=float, help="largest p99 latency in ms")
    objectives.add_argument(
        "--min-accuracy",
        type=float,
        help="smallest share of correct labels, such as 0.9; for a regression, smallest R²",
    )
    objectives.add_argument(
        "--max-scale-out",
        type=float,
        help="longest time in seconds until the first additional instance is in service",
    )
    worker = commands.add_parser(
        "worker",
        help="send a part of a test that runs on another machine",
        description="The endpoint's name, the load and the rows come from the test's machine. The "
        "credentials are this machine's own, as boto3 finds them, and so is AWS_ENDPOINT_URL.",
    )
    worker.add_argument(
        "--master",
        required=True,
        metavar="HOST[:PORT]",
        help=f"the address of run's --master-bind, port {DEFAULT_PORT} by default",
    )
    _add_max_wait(worker, "how long to try to reach it")
    size = commands.add_parser(
        "size",
        help="find the cheapest scaling settings for a day's traffic",
        description="Measures the capacity of one instance, then simulates a day's traffic with "
        "AWS's scaling rules.",
    )
    size.add_argument(
        "--endpoint", help="endpoint to measure; best with a single instance and without scaling"
    )
    size.add_argument("--dataset", type=Path, help="a dataset zip, whose validation rows are sent")
    size.add_argument(
        "--capacity",
        type=float,
        help="capacity of one instance in requests/s, instead of a measurement",
    )
    size.add_argument(
        "--latency",
        type=float,
        help="milliseconds of an answer that waits for no other; the metric of concurrent requests "
        "needs it with --capacity. Default: measured",
    )
    size.add_argument(
        "--metric",
        choices=METRICS,
        default=INVOCATIONS,
        help="the metric by which the endpoint scales, as in scalingMetric, default invocations",
    )
    size.add_argument(
        "--p99", type=float, default=100.0, help="p99 latency objective in ms, default 100"
    )
    size.add_argument(
        "--workers",
        type=int,
        default=1,
        help=f"number of processes that send requests, default 1, at most {MAX_WORKERS}",
    )
    traffic = size.add_mutually_exclusive_group(required=True)
    traffic.add_argument("--traffic", type=Path, help="a CSV file with the requests of each minute")
    traffic.add_argument(
        "--wave", help="a synthetic day between TROUGH:PEAK requests/s, such as 5:100"
    )
    size.add_argument(
        "--objective",
        type=float,
        default=0.001,
        help="largest share of requests that may exceed the capacity, default 0.001",
    )
    size.add_argument(
        "--startup-minutes",
        type=int,
        default=4,
        help="minutes until a new instance is in service, default 4",
    )
    size.add_argument(
        "--instance-type",
        help="instance type for the cost, with its price in the program's dated table for "
        "us-east-1; default: the type of the measured endpoint",
    )
    size.add_argument(
        "--compare",
        metavar="TYPE=SPEED,…",
        help="also plan for these instance types, each with its speed as a multiple of the "
        "measured instance's, such as ml.c5.large=1.2,ml.m5.xlarge=1.9",
    )
    size.add_argument(
        "--price", type=float, help="US dollars per instance hour, instead of the table's price"
    )
    size.add_argument(
        "--region", default=os.environ.get("AWS_REGION") or "us-east-1", help="default us-east-1"
    )
    size.add_argument(
        "--out",
        type=Path,
        default=Path("build") / "size",
        help="output directory, default build/size",
    )
    report = commands.add_parser("report", help="write the report of an earlier run again")
    report.add_argument("directory", type=Path, help="the run's output directory")
    return parser


def _add_max_wait(parser: argparse.ArgumentParser, meaning: str) -> None:
    parser.add_argument("--max-wait", default=_MAX_WAIT, help=f"{meaning}, default {_MAX_WAIT}")
