"""`localcloud demo`: its options, and which of them go together."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from localcloud.cli.console import CommandError, errors_in_one_line
from localcloud.cli.options import (
    CsvCategorical,
    CsvDates,
    CsvDelimiter,
    CsvDrop,
    CsvEncoding,
    CsvLabel,
    CsvMissing,
    CsvRegression,
    csv_arguments,
    seconds_of,
)

demo_app = typer.Typer()


@demo_app.command()
def demo(
    table: Annotated[
        str, typer.Option(help="Dataset: iris, wine, breast_cancer, digits or diabetes.")
    ] = "iris",
    csv: Annotated[
        Path | None, typer.Option(help="Your own CSV or Parquet file instead of a dataset.")
    ] = None,
    label: CsvLabel = None,
    categorical: CsvCategorical = None,
    dates: CsvDates = None,
    missing_values: Annotated[
        str, typer.Option(help="Empty cells in the CSV: refuse or accept.")
    ] = "refuse",
    delimiter: CsvDelimiter = None,
    encoding: CsvEncoding = None,
    na: CsvMissing = None,
    drop: CsvDrop = None,
    regression: CsvRegression = False,
    config: Annotated[
        list[str] | None,
        typer.Option("--config", "-c", help="A setting of stack dev, as KEY=VALUE."),
    ] = None,
    approve_all: Annotated[
        bool, typer.Option("--approve", help="Approve without asking (for unattended runs).")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the local cloud running, also after a failure.")
    ] = False,
    speed: Annotated[float, typer.Option(help="AWS seconds per wall-clock second.")] = 60.0,
    duration: Annotated[str, typer.Option(help="Duration of the stress test.")] = "30s",
    users: Annotated[
        int | None,
        typer.Option(
            help="Number of users at the end of the ramp. Default: so many that production scales."
        ),
    ] = None,
    report_dir: Annotated[Path, typer.Option(help="Directory of the reports.")] = Path(
        "build/demo"
    ),
    short: Annotated[
        bool, typer.Option("--short", help="End after the stress test, without drift.")
    ] = False,
) -> None:
    """Run the whole lab: deploy, train, approve, serve, stress, drift, retrain, report."""
    from localcloud.cli.demo import Demo
    from localcloud.cli.demo_options import DemoOptions

    with errors_in_one_line():
        if (csv is None) != (label is None):
            raise CommandError("--csv and --label go together: a file and its label column")
        given = {
            "--csv": str(csv) if csv else None,
            "--label": label,
            "--categorical": categorical,
            "--dates": dates,
            "--missing-values": None if missing_values == "refuse" else missing_values,
            "--delimiter": delimiter,
            "--encoding": encoding,
            "--na": na,
        }
        of_csv = tuple(csv_arguments(given, drop, regression=regression))
        if csv is None and of_csv:
            raise CommandError(f"{of_csv[0]} requires --csv")
        duration = f"{duration}s" if duration.isdecimal() else duration
        seconds_of(duration)  # a typo should not cost a deployment
        if not approve_all and not sys.stdin.isatty():
            raise CommandError("there is no terminal to ask for the approval: add --approve")
        Demo(
            DemoOptions(
                table=table,
                csv=csv,
                of_csv=of_csv,
                regression=regression or (csv is None and table == "diabetes"),
                config=tuple(config or ()),
                approve=approve_all,
                keep=keep,
                speed=speed,
                duration=duration,
                users=users,
                report_dir=report_dir.resolve(),
                short=short,
            )
        ).run()
