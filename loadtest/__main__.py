"""The stress test's command: `python -m loadtest run | worker | report | size`.

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
from typing import TYPE_CHECKING, Any

from rich.console import Console

from loadtest.address import LOOPBACK, Address, parse_address
from loadtest.errors import LoadTestError, UsageError
from loadtest.lab import DEFAULT_LOAD, LAB_TESTS, REQUESTS_SECONDS
from loadtest.objectives import Objectives
from loadtest.options import create_parser
from loadtest.shapes import (
    MAX_DURATION_SECONDS,
    MAX_USERS,
    MAX_WORKERS,
    Load,
    parse_duration,
)

if TYPE_CHECKING:
    from loadtest.replay import Replay

# The exit code if an objective was missed.
MISSED = 3


# Users of an open load: for so many seconds of its rate, and at least so many.
_STALL_SECONDS, _OPEN_USERS = 3, 50


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code."""
    options = create_parser().parse_args(arguments)
    console = Console()
    try:
        if options.command == "size":
            return _size(options, console)
        if options.command == "report":
            return _report(options.directory, console)
        if options.command == "worker":
            return _worker(options, console)
        _run(options, console, sys.argv[1:] if arguments is None else arguments)
        return _report(options.out, console, os.environ.get("AWS_ENDPOINT_URL"))
    except LoadTestError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1


def _run(options: argparse.Namespace, console: Console, arguments: Sequence[str]) -> None:
    if (options.replay is None) == (options.dataset is None):
        raise UsageError("give --dataset, whose rows are sent, or --replay")
    replay = _replay(options) if options.replay is not None else None
    master = _master(options)
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
            master=master,
            max_wait_seconds=parse_duration(options.max_wait),
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


def _master(options: argparse.Namespace) -> Address | None:
    """Return where workers of other machines connect; None to send from this machine."""
    if options.expect_workers is None:
        if options.master_bind is not None:
            raise UsageError("--master-bind goes with --expect-workers, the number of workers")
        return None
    if options.workers is not None:
        raise UsageError(
            "--workers starts processes of this machine and --expect-workers waits for those of "
            "others; give one of them, and start python -m loadtest worker here as well if this "
            "machine is to send, too"
        )
    _check_wait(options.max_wait)
    return parse_address(options.master_bind or LOOPBACK, "--master-bind")


def _check_wait(text: str) -> float:
    seconds = parse_duration(text)
    if not 1 <= seconds <= MAX_DURATION_SECONDS:
        raise UsageError(f"--max-wait is {text}; it must be from 1s to {MAX_DURATION_SECONDS:g}s")
    return seconds


def _worker(options: argparse.Namespace, console: Console) -> int:
    """Take part in the test of another machine."""
    wait_seconds = _check_wait(options.max_wait)
    address = parse_address(options.master, "--master")
    from loadtest.remote_worker import work

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    work(address, wait_seconds, say)
    return 0


def _workers(options: argparse.Namespace) -> dict[str, Any]:
    """Return the values of a load that say who sends it."""
    if options.expect_workers is not None:
        return {"workers": options.expect_workers, "remote": True}
    return {"workers": 1 if options.workers is None else options.workers}


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
    return Load("constant", users, 1, replay.seconds, rate=replay.rate, **_workers(options))


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
        rate=options.rate,
        **_workers(options),
    )


def _size(options: argparse.Namespace, console: Console) -> int:
    from loadtest.capacity import LoadStep
    from loadtest.price import find_price
    from loadtest.size import SizeSettings, check_options, endpoint_price, measure_capacity, size
    from loadtest.size_metrics import CONCURRENT_REQUESTS, latency_of, price_options
    from loadtest.size_types import parse_types
    from loadtest.traffic import read_csv, wave

    check_options(options.p99, options.objective, options.startup_minutes, options.latency)
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
    latency = latency_of(steps) if options.latency is None else options.latency / 1000
    if options.metric == CONCURRENT_REQUESTS and latency is None:
        raise UsageError(
            "--metric concurrent-requests with --capacity needs --latency, the milliseconds of an "
            "answer that waits for no other"
        )
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
        latency_seconds=latency,
        metric=options.metric,
        price_options=price_options(options.price, options.instance_type),
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


if __name__ == "__main__":
    sys.exit(main())
