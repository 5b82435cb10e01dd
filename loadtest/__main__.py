"""The stress test's command: `python -m loadtest run | report`.

Exit code 0 when it passed, 1 when more than 1 % failed or nothing was sent, 2 when what was asked
for cannot be done.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from loadtest.errors import LoadTestError, UsageError
from loadtest.shapes import SHAPES, Load, parse_duration


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code."""
    options = _parser().parse_args(arguments)
    console = Console()
    try:
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
    load = Load(options.shape, options.users, options.spawn_rate, parse_duration(options.duration))
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
        ),
        console,
    )


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
    run.add_argument("--users", type=int, default=16, help="at the peak, default 16")
    run.add_argument("--spawn-rate", type=float, default=8, help="users a second, default 8")
    run.add_argument("--duration", default="30s", help="as 30s or 1m30s, default 30s, at most 1 h")
    run.add_argument("--shape", choices=tuple(SHAPES), default="constant")
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
    report = commands.add_parser("report", help="write the report of a run's directory again")
    report.add_argument("directory", type=Path)
    return parser


if __name__ == "__main__":
    sys.exit(main())
