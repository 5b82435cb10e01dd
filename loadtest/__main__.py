"""The stress test's command: `python -m loadtest run | report | size`.

The exit code is 0 if the test passed, 3 if an objective was missed (by default: more than 1 % of
the requests failed, or none was sent), 1 on an error or a load that was
cut short, and 2 if the options cannot be read.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from loadtest.errors import LoadTestError, UsageError
from loadtest.lab import DEFAULT_LOAD, LAB_TESTS, REQUESTS_SECONDS
from loadtest.objectives import MAX_FAILURE_SHARE, Objectives
from loadtest.shapes import MAX_USERS, MAX_WORKERS, SHAPES, Load, parse_duration

if TYPE_CHECKING:
    from loadtest.replay import Replay

# The exit code if an objective was missed.
MISSED = 3


# Users of an open load: for so many seconds of its rate, and at least so many.
_STALL_SECONDS, _OPEN_USERS = 3, 50


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code."""
    options = _parser().parse_args(arguments)
    console = Console()
    try:
        if options.command == "size":
            return _size(options, console)
        if options.command == "report":
            return _report(options.directory, console)
        _run(options, console, sys.argv[1:] if arguments is None else arguments)
        return _report(options.out, console, os.environ.get("AWS_ENDPOINT_URL"))
    except LoadTestError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1


def _run(options: argparse.Namespace, console: Console, arguments: Sequence[str]) -> None:
    if (options.replay is None) == (options.dataset is None):
        raise UsageError("give --dataset, whose rows are sent, or --replay")
    replay = _replay(options) if options.replay is not None else None
    load = _load(options) if replay is None else _replay_load(options, replay)
    if replay is None and not options.dataset.is_file():
        raise UsageError(
            f"there is no file {options.dataset}; make a dataset with python -m model.dataset"
        )
    if options.think < 0:
        raise UsageError(f"--think is {options.think:g}; it must be 0 or more seconds")
    options.out = options.out or Path("build") / "loadtest" / options.endpoint
    # Importing boto3 takes a moment; a usage error should not wait for it.
    from loadtest.provenance import command_line
    from loadtest.run import RunSettings, run

    run(
        RunSettings(
            endpoint=options.endpoint,
            dataset=options.dataset or Path(options.replay),
            load=load,
            replay=replay,
            region=options.region,
            endpoint_url=os.environ.get("AWS_ENDPOINT_URL") or None,
            think_seconds=options.think,
            watch_seconds=parse_duration(options.watch),
            out=options.out,
            objectives=Objectives(
                max_failure_share=options.max_failures,
                max_p99_ms=options.max_p99,
                min_accuracy=options.min_accuracy,
                max_scale_out_seconds=options.max_scale_out,
            ),
            command=command_line(arguments),
        ),
        console,
    )


def _replay(options: argparse.Namespace) -> Replay:
    """Read the captured requests."""
    from loadtest.replay import lines_of, read_captures

    given = {
        "--rate": options.rate,
        "--shape": options.shape,
        "--requests": options.requests,
        "--duration": options.duration,
        "--test": options.test,
        "--min-accuracy": options.min_accuracy,
    }
    for name, value in given.items():
        if value is not None:
            raise UsageError(
                f"{name} does not go with --replay: the captured requests have times of their own, "
                "and nobody knows their right answers"
            )
    lines = lines_of(options.replay, options.region)
    return read_captures(lines, options.speed, options.replay)


def _replay_load(options: argparse.Namespace, replay: Replay) -> Load:
    """Return the open load of a replay."""
    users = options.users
    if users is None:
        users = min(MAX_USERS, max(_OPEN_USERS, ceil(replay.rate * _STALL_SECONDS)))
    return Load("constant", users, 1, replay.seconds, workers=options.workers, rate=replay.rate)


def _load(options: argparse.Namespace) -> Load:
    """Return the load of --test, or the default load; other options override its values."""
    base = LAB_TESTS.get(options.test, DEFAULT_LOAD)
    requests = base.requests if options.requests is None else options.requests
    seconds = base.duration_seconds
    if base is DEFAULT_LOAD and requests is not None:
        seconds = REQUESTS_SECONDS
    if options.duration is not None:
        seconds = parse_duration(options.duration)
    users = base.users if options.users is None else options.users
    if options.rate is not None and options.users is None:
        # Enough to go on sending while the endpoint stalls for some seconds.
        users = min(MAX_USERS, max(_OPEN_USERS, ceil(options.rate * _STALL_SECONDS)))
    return Load(
        shape=options.shape or base.shape,
        users=users,
        spawn_rate=base.spawn_rate if options.spawn_rate is None else options.spawn_rate,
        duration_seconds=seconds,
        requests=requests,
        workers=options.workers,
        rate=options.rate,
    )


def _size(options: argparse.Namespace, console: Console) -> int:
    from loadtest.capacity import LoadStep
    from loadtest.price import find_price
    from loadtest.size import SizeSettings, check_options, endpoint_price, measure_capacity, size
    from loadtest.size_types import parse_types
    from loadtest.traffic import read_csv, wave

    check_options(options.p99, options.objective, options.startup_minutes)
    price = find_price(options.price, options.instance_type)
    if options.traffic is not None and not options.traffic.is_file():
        raise UsageError(f"there is no file {options.traffic} with requests per minute")
    requests = (
        read_csv(options.traffic.read_text("utf-8"), options.traffic.name)
        if options.traffic is not None
        else wave(options.wave)
    )
    capacity: float | None = options.capacity
    steps: list[LoadStep] = []
    if capacity is None:
        if not options.endpoint or not options.dataset:
            raise UsageError(
                "--endpoint and --dataset are needed to measure the capacity; or use --capacity"
            )
        if not options.dataset.is_file():
            raise UsageError(f"there is no file {options.dataset}")
        from loadtest.run import RunSettings

        base = RunSettings(
            endpoint=options.endpoint,
            dataset=options.dataset,
            load=Load("constant", 1, 1, 1),
            region=options.region,
            endpoint_url=os.environ.get("AWS_ENDPOINT_URL") or None,
            think_seconds=0.0,
            watch_seconds=0.0,
            out=options.out,
        )
        if not 1 <= options.workers <= MAX_WORKERS:
            raise UsageError(f"--workers is {options.workers}; it must be from 1 to {MAX_WORKERS}")
        capacity, steps = measure_capacity(base, options.p99, console, options.workers)
        price = price or endpoint_price(options.endpoint, options.region, console)
    elif not capacity > 0:
        raise UsageError(f"--capacity is {capacity:g}; it must be over 0 requests/s")
    settings = SizeSettings(
        requests_per_minute=requests,
        p99_ms=options.p99,
        objective=options.objective,
        startup_minutes=options.startup_minutes,
        capacity_rps=capacity,
        price=price,
        out=options.out,
        types=parse_types(options.compare) if options.compare else {},
        traffic=_traffic_options(options),
    )
    size(settings, steps, console)
    return 0


def _traffic_options(options: argparse.Namespace) -> str:
    """Return the options that decide a plan besides the instance, as they were given."""
    traffic = ("--wave", options.wave) if options.wave else ("--traffic", str(options.traffic))
    words = [
        *traffic,
        *("--objective", f"{options.objective:g}"),
        *("--startup-minutes", str(options.startup_minutes)),
    ]
    return shlex.join(words)


def _report(directory: Path, console: Console, endpoint_url: str | None = None) -> int:
    from loadtest.local_page import list_on_page
    from loadtest.report import render, summary_table

    summary, record, path = render(directory)
    console.print(summary_table(summary, record))
    console.print(f"report: {path}", highlight=False, soft_wrap=True)
    list_on_page(endpoint_url, summary, path)
    if record.cut_short:
        return 1
    return 0 if summary.passed else MISSED


def _parser() -> argparse.ArgumentParser:
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
        default=1,
        help=f"number of processes that send requests, default 1, at most {MAX_WORKERS}; use one "
        "per processor core that may be busy",
    )
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


if __name__ == "__main__":
    sys.exit(main())
