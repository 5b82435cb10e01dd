"""`localcloud drift`: a day of traffic that is changed on purpose, and when the monitor notices it.

The rows, the change and the false alarms are the model's (`python -m model.drift_drill`, a child
process). This command sends the rows to the endpoint, advances the clock from run to run of the
monitor, and reads its reports and alarms.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from localcloud.cli.console import (
    EXIT_FOUND,
    CommandError,
    client,
    endpoint_url,
    errors_in_one_line,
    out,
    styled,
)
from localcloud.cli.monitored import MOST_REQUESTS, MonitoredEndpoint, MonitorRun
from localcloud.cli.options import Url
from localcloud.core.child_process import base_environment

drift_app = typer.Typer()
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DrillOptions:
    """The options of the command.

    Attributes:
        change: the options of the change, as `model.drift_drill` takes them.
        rows: requests between two runs; None for three times as many captures as a verdict needs.
        days: days of the false alarms; 0 counts none.
    """

    change: tuple[str, ...]
    rows: int | None
    days: int
    seed: int
    labels: bool


@drift_app.command()
def drift(
    column: Annotated[str | None, typer.Option(help="The column that is changed.")] = None,
    shift: Annotated[
        str | None, typer.Option(help="Add to its numbers: 2sd (standard deviations) or 1.5.")
    ] = None,
    missing: Annotated[
        float | None, typer.Option(help="Leave out this share of its cells, 0 to 1.")
    ] = None,
    category: Annotated[
        str | None, typer.Option(help="Replace --share of its cells by this category.")
    ] = None,
    share: Annotated[float | None, typer.Option(help="For --category. Default: 0.3.")] = None,
    label_flip: Annotated[
        float | None,
        typer.Option(help="Give this share of the rows the label of another class, 0 to 1."),
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option(help="Name of the endpoint. Default: production's.")
    ] = None,
    dataset: Annotated[
        Path | None,
        typer.Option(help="Dataset zip with usual rows. Default: the newest in the data lake."),
    ] = None,
    rows: Annotated[
        int | None,
        typer.Option(help="Requests between two runs. Default: enough for a verdict, three times."),
    ] = None,
    days: Annotated[int, typer.Option(help="Unshifted days to count false alarms on.")] = 100,
    seed: Annotated[int, typer.Option(help="What the rows are drawn by.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    url: Url = None,
) -> None:
    """Send a day of changed traffic to an endpoint, and say when its monitor notices.

    For example: localcloud drift --column "petal length (cm)" --shift 2sd

    Then it counts, for several thresholds of the PSI, the false alarms of 100 days without the
    change and the runs until it is noticed, so that driftPsi is chosen and not guessed.

    Exit status: 0 if the alarm went off within the day, 3 if not, 1 on an error.
    """
    with errors_in_one_line():
        if rows is not None and not 1 <= rows <= MOST_REQUESTS:
            raise CommandError(f"--rows is {rows}; it must be from 1 to {MOST_REQUESTS:,}")
        if not 0 <= days <= 1000:
            raise CommandError(f"--days is {days}; it must be from 0 to 1000")
        given = {
            "--column": column,
            "--shift": shift,
            "--missing": missing,
            "--category": category,
            "--share": share,
            "--label-flip": label_flip,
        }
        # As one word each: a shift may begin with a minus.
        change = tuple(f"{name}={value}" for name, value in given.items() if value is not None)
        if not change:
            raise CommandError(
                "nothing is changed: add --column with --shift, --missing or --category, or "
                "--label-flip"
            )
        options = DrillOptions(change, rows, days, seed, label_flip is not None)
        monitored = MonitoredEndpoint(endpoint_url(url), endpoint)
        with tempfile.TemporaryDirectory(prefix="drift-") as place:
            drill = DriftDrill(monitored, options, Path(place))
            path = _dataset(dataset, endpoint_url(url), Path(place))
            result = drill.run(path, quiet=as_json)
        if as_json:
            out.print_json(json.dumps(result))
        else:
            _print(result, monitored.psi_drift)
        if not result["noticed"]:
            raise typer.Exit(EXIT_FOUND)


def _dataset(given: Path | None, url: str, place: Path) -> Path:
    if given is not None:
        return given
    s3 = client("s3", url)
    for bucket in s3.list_buckets()["Buckets"]:
        name = bucket["Name"]
        if name.startswith("mlops-") and "-data-" in name:
            path = place / "dataset.zip"
            try:
                path.write_bytes(s3.get_object(Bucket=name, Key="dataset.zip")["Body"].read())
            except s3.exceptions.NoSuchKey:
                continue
            return path
    raise CommandError("there is no dataset in the data lake: name one with --dataset")


class DriftDrill:
    """Runs one drill.

    Args:
        endpoint: the endpoint.
        options: the change, and how much traffic.
        place: an empty directory.
    """

    def __init__(self, endpoint: MonitoredEndpoint, options: DrillOptions, place: Path) -> None:
        self._endpoint, self._options, self._place = endpoint, options, place

    def run(self, dataset: Path, *, quiet: bool) -> dict[str, Any]:
        """Send a day of traffic, or less if the monitor notices; return what was found."""
        endpoint, options = self._endpoint, self._options
        rows = options.rows or endpoint.requests_for_a_verdict
        purpose = "live-accuracy" if options.labels else "drift"
        if options.labels and not endpoint.alarm(purpose):
            raise CommandError(
                "wrong labels show in the live accuracy, which has no alarm: set "
                "minimumLiveAccuracy in Pulumi.prd.yaml and deploy"
            )
        # Before anything is said: a change that the dataset cannot have is refused here.
        traffic = self._rows(dataset, rows, options.seed)
        if not quiet:
            out.print(
                f"[bold]{endpoint.name}[/bold] captures {endpoint.percent} % and is monitored at "
                f"{endpoint.schedule}; {rows} requests between two runs"
            )
        began, sent = endpoint.now(), 0
        runs: list[MonitorRun] = []
        noticed = False
        while not noticed and endpoint.now() - began < _DAY:
            ids = [f"drill-{options.seed}-{sent + n}" for n in range(rows)]
            with out.status("sending …") as spinner:
                endpoint.send(
                    [line["row"] for line in traffic],
                    ids,
                    None if quiet else lambda n: spinner.update(f"{n} of {rows} requests sent"),
                )
                if options.labels:
                    labels = [line["label"] for line in traffic]
                    endpoint.add_labels(f"drill-{options.seed}-{sent}", ids, labels)
                spinner.update("the monitor runs …")
                new = endpoint.next_runs()
            sent += rows
            runs += new
            noticed = self._noticed(new, purpose)
            if not quiet:
                for run in new:
                    _show(run)
            traffic = self._rows(dataset, rows, options.seed + sent)
        captured = sum(run.report.get("rows", 0) for run in runs)
        minutes = round((runs[-1].time - began).total_seconds() / 60) if runs else 0
        return {
            "endpoint": endpoint.name,
            "change": list(options.change),
            "schedule": endpoint.schedule,
            "noticed": noticed,
            "requests": sent,
            "captured_rows": captured,
            "minutes": max(minutes, 0),
            "runs": [{"name": run.name, "verdict": run.report["verdict"]} for run in runs],
            "message": runs[-1].report["message"] if runs else "",
            "thresholds": self._thresholds(dataset, max(1, captured // max(1, len(runs)))),
        }

    def _noticed(self, runs: Sequence[MonitorRun], purpose: str) -> bool:
        """Return whether the alarm goes off after runs whose reports are a reason for it."""
        drifted = any(run.report["verdict"] == "drift" for run in runs)
        if not self._options.labels and not drifted:
            return False
        return self._endpoint.wait_for_alarm("ALARM", purpose, 5.0)

    def _rows(self, dataset: Path, rows: int, seed: int) -> list[dict[str, str]]:
        return traffic(dataset, rows, seed, self._place, *self._options.change)

    def _thresholds(self, dataset: Path, rows: int) -> list[dict[str, Any]]:
        if not self._options.days:
            return []
        quality = self._endpoint.version()["DriftCheckBaselines"]["ModelDataQuality"]
        baseline = self._endpoint.object_of(quality["Statistics"]["S3Uri"])
        (self._place / "baseline.json").write_bytes(baseline)
        (self._place / "model.tar.gz").write_bytes(self._endpoint.model())
        change = () if self._options.labels else self._options.change
        answer = model_drill(
            *("simulate", "--dataset", str(dataset), "--rows", str(rows)),
            *("--baseline", str(self._place / "baseline.json")),
            *("--model", str(self._place / "model.tar.gz")),
            *("--minimum-rows", str(min(rows, self._endpoint.minimum_rows))),
            *("--days", str(self._options.days), *change),
        )
        found: list[dict[str, Any]] = json.loads(answer)["thresholds"]
        return found


def model_drill(*arguments: str) -> str:
    """Run a command of `model.drift_drill`; return what it printed.

    Raises:
        CommandError: it failed; the message is its own.
    """
    done = subprocess.run(
        [sys.executable, "-m", "model.drift_drill", *arguments],
        env=base_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or ["no reason"]
        raise CommandError(reason[0])
    return done.stdout


def traffic(dataset: Path, rows: int, seed: int, place: Path, *change: str) -> list[dict[str, str]]:
    """Return rows of a dataset with their labels, as {"row": CSV, "label": text}.

    Args:
        dataset: the zip.
        rows: number of rows.
        seed: what the draws depend on.
        place: a directory for the rows.
        change: the options of the change.
    """
    path = place / "rows.jsonl"
    model_drill(
        *("traffic", "--dataset", str(dataset), "--rows", str(rows), "--seed", str(seed)),
        *("--out", str(path), *change),
    )
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _show(run: MonitorRun) -> None:
    verdict = run.report["verdict"]
    status = {"drift": "Failed", "stable": "OK"}.get(verdict, "InProgress")
    out.print(
        f"  {run.time:%d %b %H:%M}  {styled(status).replace(status, verdict)}  "
        f"[dim]{escape(run.report['message'])}[/dim]"
    )


def _print(result: dict[str, Any], psi_drift: float) -> None:
    if result["noticed"]:
        out.print(
            f"\n[bold green]Noticed[/bold green] after {result['captured_rows']} captured rows "
            f"({result['requests']} requests) and {result['minutes']} minutes."
        )
    else:
        out.print(
            f"\n[bold red]Not noticed[/bold red] within a day, in {result['captured_rows']} "
            f"captured rows ({result['requests']} requests)."
        )
    if not result["thresholds"]:
        return
    rows = result["captured_rows"] // max(1, len(result["runs"]))
    days = result["thresholds"][0]["days"]
    grid = Table(
        "driftPsi",
        "false alarms",
        "noticed",
        "after runs (median, most)",
        box=None,
        title=f"{days} days of 24 runs with {rows} rows each",
        title_justify="left",
    )
    for one in result["thresholds"]:
        grid.add_row(*_cells(one, psi_drift))
    out.print(grid)


def _cells(one: dict[str, Any], psi_drift: float) -> Sequence[str]:
    here = " ◄ now" if one["psi_drift"] == psi_drift else ""
    after = (
        "–"
        if one["noticed_after_runs"] is None
        else f"{one['noticed_after_runs']}, {one['noticed_after_runs_at_most']}"
    )
    return (
        f"{one['psi_drift']:g}{here}",
        f"{one['false_alarm_days']} of {one['days']} days",
        f"{one['noticed_days']} of {one['days']} days",
        after,
    )
