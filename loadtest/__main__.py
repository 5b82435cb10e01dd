"""The stress test's command: `python -m loadtest run | report | size`.

Exit code 0 when it passed, 1 when an objective was missed (by default: more than 1 % failed, or
nothing was sent), 2 when what was asked for cannot be done.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from loadtest.errors import LoadTestError, UsageError
from loadtest.lab import LAB_TESTS, PLAIN, REQUESTS_SECONDS
from loadtest.objectives import MAX_FAILURE_SHARE, Objectives
from loadtest.shapes import MAX_WORKERS, SHAPES, Load, parse_duration


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code."""
    options = _parser().parse_args(arguments)
    console = Console()
    try:
        if options.command == "size":
            return _size(options, console)
        if options.command == "run":
            _run(options, console)
        return _report(options.directory if options.command == "report" else options.out, console)
    except UsageError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except LoadTestError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1


def _run(options: argparse.Namespace, console: Console) -> None:
    load = _load(options)
    if not options.dataset.is_file():
        raise UsageError(
            f"there is no file {options.dataset}; make a dataset with python -m model.dataset"
        )
    if options.think < 0:
        raise UsageError(f"--think is {options.think:g}; it must be 0 or more seconds")
    options.out = options.out or Path("build") / "loadtest" / options.endpoint
    # boto3 takes a moment; a usage error should not wait for it.
    from loadtest.run import RunSettings, run

    run(
        RunSettings(
            endpoint=options.endpoint,
            dataset=options.dataset,
            load=load,
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
        ),
        console,
    )


def _load(options: argparse.Namespace) -> Load:
    """Return the load that was named, with what was given beside it."""
    named = LAB_TESTS.get(options.test, PLAIN)
    requests = named.requests if options.requests is None else options.requests
    seconds = named.duration_seconds
    if named is PLAIN and requests is not None:
        seconds = REQUESTS_SECONDS
    if options.duration is not None:
        seconds = parse_duration(options.duration)
    return Load(
        shape=options.shape or named.shape,
        users=named.users if options.users is None else options.users,
        spawn_rate=named.spawn_rate if options.spawn_rate is None else options.spawn_rate,
        duration_seconds=seconds,
        requests=requests,
        workers=options.workers,
    )


def _size(options: argparse.Namespace, console: Console) -> int:
    from loadtest.capacity import Step
    from loadtest.price import find
    from loadtest.size import SizeSettings, check, measured, price_of, size
    from loadtest.traffic import read_csv, wave

    check(options.p99, options.objective, options.startup_minutes)
    price = find(options.price, options.instance_type)
    if options.traffic is not None and not options.traffic.is_file():
        raise UsageError(f"there is no file {options.traffic} with requests a minute")
    requests = (
        read_csv(options.traffic.read_text("utf-8"), options.traffic.name)
        if options.traffic is not None
        else wave(options.wave)
    )
    capacity: float | None = options.capacity
    steps: list[Step] = []
    if capacity is None:
        if not options.endpoint or not options.dataset:
            raise UsageError("--endpoint and --dataset are needed to measure; or give --capacity")
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
        capacity, steps = measured(base, options.p99, console)
        price = price or price_of(options.endpoint, options.region, console)
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
    )
    size(settings, steps, console)
    return 0


def _report(directory: Path, console: Console) -> int:
    from loadtest.report import render, summary_table

    summary, record, path = render(directory)
    console.print(summary_table(summary, record))
    console.print(f"report: {path}", highlight=False, soft_wrap=True)
    return 0 if summary.passed else 1


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
    run.add_argument("--dataset", required=True, type=Path, help="a dataset zip: rows to send")
    tests = "; ".join(f"{name}: {test.said}" for name, test in LAB_TESTS.items())
    run.add_argument(
        "--test",
        choices=tuple(LAB_TESTS),
        help=f"one of the lab's ({tests}); what is given beside it wins",
    )
    run.add_argument("--users", type=int, help=f"at the peak, default {PLAIN.users}")
    run.add_argument(
        "--spawn-rate", type=float, help=f"users a second, default {PLAIN.spawn_rate:g}"
    )
    run.add_argument(
        "--requests",
        type=int,
        help="end after exactly so many, of all users together; default: the duration ends it",
    )
    run.add_argument(
        "--duration",
        help="as 30s or 1m30s, at most 1 h; default 30s, and 10m with --requests. Ctrl-C ends the "
        "load early and still reports",
    )
    run.add_argument("--shape", choices=tuple(SHAPES), help=f"default {PLAIN.shape}")
    run.add_argument(
        "--workers",
        type=int,
        default=1,
        help=f"processes that send, default 1, at most {MAX_WORKERS}: one for each processor core "
        "that is to send",
    )
    run.add_argument(
        "--think", type=float, default=0.0, help="a user's pause between requests, s, default 0"
    )
    run.add_argument(
        "--watch", default="0s", help="watch the endpoint so long after the load, default 0s"
    )
    run.add_argument(
        "--region", default=os.environ.get("AWS_REGION") or "us-east-1", help="default us-east-1"
    )
    run.add_argument("--out", type=Path, help="default build/loadtest/ENDPOINT")
    held = run.add_argument_group("objectives", "the exit code is 1 when one is missed")
    held.add_argument(
        "--max-failures",
        type=float,
        default=MAX_FAILURE_SHARE,
        help="share of the requests, default 0.01",
    )
    held.add_argument("--max-p99", type=float, help="ms")
    held.add_argument(
        "--min-accuracy", type=float, help="share of right answers, as 0.9; of a regression, R²"
    )
    held.add_argument("--max-scale-out", type=float, help="s until more instances serve")
    size = commands.add_parser(
        "size",
        help="find the cheapest scaling settings for a day's traffic",
        description="Measures one instance, then runs a day against AWS's scaling rules.",
    )
    size.add_argument("--endpoint", help="to measure; best with one instance and without scaling")
    size.add_argument("--dataset", type=Path, help="a dataset zip: rows to send")
    size.add_argument("--capacity", type=float, help="requests/s of one instance, not measured")
    size.add_argument("--p99", type=float, default=100.0, help="objective in ms, default 100")
    traffic = size.add_mutually_exclusive_group(required=True)
    traffic.add_argument("--traffic", type=Path, help="a CSV of requests a minute")
    traffic.add_argument("--wave", help="a day from TROUGH:PEAK requests/s, as 5:100")
    size.add_argument(
        "--objective",
        type=float,
        default=0.001,
        help="the greatest share of requests beyond the capacity, default 0.001",
    )
    size.add_argument(
        "--startup-minutes", type=int, default=4, help="until an instance serves, default 4"
    )
    size.add_argument(
        "--instance-type",
        help="whose price the cost is by, from the program's dated table of us-east-1; default: "
        "that of the measured endpoint",
    )
    size.add_argument(
        "--price", type=float, help="US dollars an instance hour, in place of the table's"
    )
    size.add_argument(
        "--region", default=os.environ.get("AWS_REGION") or "us-east-1", help="default us-east-1"
    )
    size.add_argument("--out", type=Path, default=Path("build") / "size")
    report = commands.add_parser("report", help="write the report of a run's directory again")
    report.add_argument("directory", type=Path)
    return parser


if __name__ == "__main__":
    sys.exit(main())
