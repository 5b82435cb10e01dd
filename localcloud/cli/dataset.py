"""`localcloud dataset push`: makes a dataset, uploads it, and says which execution it started.

`python -m model.dataset` makes the zip as a child process; this command only passes its options on.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from localcloud.cli.console import (
    CommandError,
    client,
    endpoint_url,
    errors_in_one_line,
    out,
    print_document,
)
from localcloud.cli.options import (
    AsJson,
    CsvCategorical,
    CsvDates,
    CsvDelimiter,
    CsvDrop,
    CsvEncoding,
    CsvLabel,
    CsvMissing,
    CsvRegression,
    Timeout,
    Url,
    csv_arguments,
)
from localcloud.cli.outputs import labs_outputs
from localcloud.cli.pipeline import follow
from localcloud.cli.watch import triggered_execution
from localcloud.core.child_process import base_environment

# The tables of `model.dataset`; a test compares them.
TABLES = ("iris", "wine", "breast_cancer", "digits", "diabetes")

dataset_app = typer.Typer(help="Datasets of the lab.", no_args_is_help=True)


@dataset_app.callback()
def _group() -> None:
    """Keep `push` a command of its own, which typer would merge into the group."""


@dataset_app.command()
def push(
    source: Annotated[
        str,
        typer.Argument(help=f"A table ({', '.join(TABLES)}), a CSV file or a zip."),
    ],
    label: CsvLabel = None,
    categorical: CsvCategorical = None,
    dates: CsvDates = None,
    missing_values: Annotated[
        str | None, typer.Option(help="Empty cells in the CSV: refuse (the default) or accept.")
    ] = None,
    delimiter: CsvDelimiter = None,
    encoding: CsvEncoding = None,
    na: CsvMissing = None,
    drop: CsvDrop = None,
    regression: CsvRegression = False,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Then follow the execution until it ends.")
    ] = False,
    timeout: Timeout = "2h",
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Make a dataset, upload it to the data lake, and print the execution that it started."""
    with errors_in_one_line():
        address = endpoint_url(url)
        given = {
            "--label": label,
            "--categorical": categorical,
            "--dates": dates,
            "--missing-values": missing_values,
            "--delimiter": delimiter,
            "--encoding": encoding,
            "--na": na,
        }
        options = csv_arguments(given, drop, regression=regression)
        place = upload(address, source, options, quiet=as_json)
        if as_json and not watch:
            print_document(place)
        if watch:
            codepipeline = client("codepipeline", address)
            follow(*(codepipeline, place["pipeline"], place["execution"], timeout), as_json=as_json)


def upload(url: str, source: str, options: list[str], *, quiet: bool) -> dict[str, str]:
    """Upload a dataset to the lab; return where it is, and the execution that it started.

    Args:
        url: the local cloud's.
        source: a table, a CSV file or a zip.
        options: those of `model.dataset` for a CSV file.
        quiet: print nothing.

    Raises:
        CommandError: there is no lab, the dataset cannot be made, or no execution starts.
    """
    lab = labs_outputs(url)
    if "dataBucket" not in lab:
        raise CommandError(
            "no stack with a data lake is deployed: localcloud up prd && localcloud up dev"
        )
    content = _content(source, options, quiet=quiet)
    bucket, key, pipeline = lab["dataBucket"], lab["datasetKey"], lab["pipelineName"]
    put = client("s3", url).put_object(Bucket=bucket, Key=key, Body=content)
    version = str(put["VersionId"])
    if not quiet:
        out.print(f"s3://{bucket}/{key} version {version}", markup=False)
    try:
        with out.status(f"waiting for {pipeline} to start …"):
            execution = triggered_execution(client("codepipeline", url), pipeline, version)
    except CommandError as error:
        raise CommandError(
            f"{error}. Uploads wait if the stack has trainOnUpload=false; to train with it now: "
            "localcloud pipeline start"
        ) from None
    if not quiet:
        out.print(f"{pipeline} started: execution [bold]{execution}[/bold]")
    return {
        "bucket": bucket,
        "key": key,
        "versionId": version,
        "pipeline": pipeline,
        "execution": execution,
    }


def _content(source: str, options: list[str], *, quiet: bool) -> bytes:
    """Return a dataset zip: the given one, or one that is made of a table or a CSV file.

    Raises:
        CommandError: it cannot be read or made; the message is that of `model.dataset`.
    """
    path = Path(source)
    if path.suffix.lower() == ".zip":
        if options:
            raise CommandError(f"{options[0]} is for CSV files; {source} is a dataset already")
        try:
            return path.read_bytes()
        except OSError as error:
            raise CommandError(f"cannot read {source}: {error.strerror}") from None
    is_file = path.suffix.lower() in (".csv", ".tsv", ".txt") or path.exists()
    if is_file and "--label" not in options:
        raise CommandError(f"{source} is a CSV file: name its label column by --label")
    if not is_file and source not in TABLES:
        raise CommandError(
            f"'{source}' is neither a table ({', '.join(TABLES)}) nor a file that is here"
        )
    if not is_file and options:
        raise CommandError(f"{options[0]} is for CSV files; {source} is a table")
    with tempfile.TemporaryDirectory(prefix="dataset-") as place:
        made = Path(place) / "dataset.zip"
        arguments = ("--csv" if is_file else "--table", source, *options, "--out", str(made))
        done = subprocess.run(
            [sys.executable, "-m", "model.dataset", *arguments],
            env=base_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise CommandError(_reason(done.stderr))
        if not quiet:
            text = done.stdout.strip().removeprefix(f"wrote {made}: ")
            out.print(f"{source}: {text}", markup=False)
        return made.read_bytes()


def _reason(stderr: str) -> str:
    """Return the last line of an error without the command's name."""
    lines = stderr.strip().splitlines() or ["the dataset could not be made"]
    return lines[-1].partition("error: ")[2] or lines[-1]
