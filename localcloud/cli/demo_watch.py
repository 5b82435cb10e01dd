"""The second half of the demo: production drifts, and asks for its own successor.

    usual traffic is stable ─► new rows and their labels arrive ─► production is asked such rows
        ─► the monitor ─► its alarm ─► retraining ─► evidence ─► approval ─► promotion
        ─► the same traffic is no drift any more

The new rows are the dataset's, and the same rows with one column shifted
(`python -m model.drift_drill dataset`). This module owns the story; the parts are the lab's.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from localcloud.cli.console import CommandError, client
from localcloud.cli.drift import model_drill, traffic
from localcloud.cli.evidence import find_evidence
from localcloud.cli.monitored import MonitoredEndpoint, MonitorRun

# More than the 10 % of Pulumi.prd.yaml, so that fewer requests are enough for a verdict.
PRODUCTION_OPTIONS = ("-c", "dataCapturePercent=50")
# From now on uploads wait, and the alarm decides when to train.
WATCH_SETTINGS = ("retrainOn=drift", "trainOnUpload=false")
_SHIFT = "2sd"
# The first run may still contain rows of the stress test.
_USUAL_RUNS = 3
# What a run says of too few requests, and how many more runs are awaited then.
_NO_VERDICTS, _MORE_RUNS = ("no-captures", "few-rows"), 2
_REPORTS = ("Usual traffic", "Drifted traffic", "The same, new model")
_RETRAINING_SECONDS, _POLL_SECONDS = 30.0, 0.2


@dataclass(frozen=True, slots=True)
class Ended:
    """An execution that has ended.

    Attributes:
        status: such as `Succeeded`.
        reason: the errors of its actions.
    """

    execution: str
    status: str
    reason: str


@dataclass(slots=True)
class WatchResult:
    """The retraining that followed from the drift, and the monitor's verdicts.

    Attributes:
        column: the column that was shifted.
        execution: the execution that retraining started.
        status: how it ended.
        reason: why it did not succeed.
        reports: the monitor's verdicts, each in one line: on usual traffic, after the drift, and
            with the new model.
        trend: the page of the monitor's runs.
        evidence: the page of the evidence that was approved.
    """

    column: str
    execution: str
    status: str
    reason: str
    reports: list[str] = field(default_factory=list)
    trend: Path | None = None
    evidence: Path | None = None

    @property
    def promoted(self) -> bool:
        """Return whether the retrained model is in production."""
        return self.status == "Succeeded"

    def facts(self) -> list[tuple[str, str]]:
        """Return labels and values for the demo's summary."""
        outcome = "promoted" if self.promoted else f"not promoted: {self.reason}"
        rows = [("Drifted column", self.column), ("Retraining", f"{self.execution}: {outcome}")]
        rows += list(zip(_REPORTS, self.reports, strict=False))
        pages = {"Monitor's trend": self.trend, "Evidence": self.evidence}
        rows += [(label, str(path)) for label, path in pages.items() if path is not None]
        return rows

    def as_json(self) -> dict[str, Any]:
        """Return the object that the demo's summary.json holds."""
        return {
            "column": self.column,
            "execution": self.execution,
            "status": self.status,
            "reports": self.reports,
        }


class Watch:
    """Plays the story against a running lab.

    Args:
        url: the local cloud's.
        outputs: those of stack dev.
        place: the demo's directory, which gets the new dataset and the trend.
        console: gets the output.
    """

    def __init__(self, url: str, outputs: dict[str, Any], place: Path, console: Console) -> None:
        self._url, self._outputs, self._place, self._out = url, outputs, place, console
        self._endpoint = MonitoredEndpoint(url, outputs["productionEndpointName"])
        self._before, self._dataset = Path(), place / "dataset-after.zip"
        self._column, self._sent = "", 0
        self._runs: list[MonitorRun] = []

    def prepare(self, dataset: Path) -> None:
        """Make the rows that a changed world gives, with their labels."""
        self._before = dataset
        model = self._place / "champion.tar.gz"
        model.write_bytes(self._endpoint.model())
        found = json.loads(
            model_drill(
                *("dataset", "--dataset", str(dataset), "--model", str(model)),
                *("--shift", _SHIFT, "--out", str(self._dataset)),
            )
        )
        self._column = found["column"]
        self._out.print(
            f"  The world changes: [bold]{escape(self._column)}[/bold] shifts by two standard "
            "deviations in half of the new rows.\n  Production's model scores "
            f"{found['score']:.3f} on the old rows, and {found['shifted_score']:.3f} on the shifted"
            " ones."
        )

    def usual(self) -> None:
        """Ask production rows of its training data: whatever the stress test was, is over."""
        for _ in range(_USUAL_RUNS):
            run = self._ask(self._before)
            if run.report["verdict"] == "stable":
                break
            self._runs.clear()
            self._out.print(
                "  [dim]The stress test has asked a few rows again and again, which is drift, too; "
                "once more without it.[/dim]"
            )
        self._endpoint.wait_for_alarm("OK")

    def drift(self) -> None:
        """Upload the new rows, ask production such rows, and wait for the monitor's alarm.

        Raises:
            CommandError: the monitor did not notice.
        """
        client("s3", self._url).put_object(
            Bucket=self._outputs["dataBucket"],
            Key=self._outputs["datasetKey"],
            Body=self._dataset.read_bytes(),
        )
        self._out.print(
            "  The rows and their labels are in the data lake; uploads wait, and the alarm "
            "decides when to train."
        )
        run = self._ask(self._dataset)
        if run.report["verdict"] != "drift":
            raise CommandError(f"the monitor noticed no drift: {run.report['message']}")
        if not self._endpoint.wait_for_alarm("ALARM"):
            raise CommandError(f"the alarm {self._endpoint.name}-drift did not go off")
        self._out.print(f"  Alarm [bold red]{self._endpoint.name}-drift[/bold red]")

    def retrained(self, pipeline: str) -> str:
        """Return the execution that the alarm started.

        Raises:
            CommandError: it started none.
        """
        codepipeline = client("codepipeline", self._url)
        deadline = time.monotonic() + _RETRAINING_SECONDS
        while time.monotonic() < deadline:
            newest = codepipeline.list_pipeline_executions(pipelineName=pipeline, maxResults=1)
            for one in newest["pipelineExecutionSummaries"]:
                if one["trigger"]["triggerType"] == "StartPipelineExecution":
                    execution = str(one["pipelineExecutionId"])
                    self._out.print(f"  The alarm started execution [bold]{execution}[/bold]")
                    return execution
            time.sleep(_POLL_SECONDS)
        raise CommandError(f"the alarm did not start {pipeline} within {_RETRAINING_SECONDS:g} s")

    def result(self, ended: Ended) -> WatchResult:
        """Return what came of the retraining."""
        result = WatchResult(self._column, ended.execution, ended.status, ended.reason)
        result.reports = [run.report["message"] for run in self._runs]
        self._write_trend(result)
        if result.promoted:
            result.evidence = self._place / "evidence.html"
            page = find_evidence(self._url, ended.execution).page
            result.evidence.write_bytes(self._endpoint.object_of(page))
        return result

    def settle(self, result: WatchResult) -> None:
        """Ask production the same rows again: its new model knows them."""
        run = self._ask(self._dataset)
        result.reports.append(run.report["message"])
        calm = self._endpoint.wait_for_alarm("OK")
        state = "[green]OK[/green]" if calm else "still in ALARM"
        self._out.print(f"  Alarm {self._endpoint.name}-drift: {state}")
        self._write_trend(result)

    def _ask(self, dataset: Path) -> MonitorRun:
        """Ask production rows of a dataset; return the monitor's run that follows."""
        endpoint = self._endpoint
        rows = endpoint.requests_for_a_verdict
        lines = traffic(dataset, rows, 1 + self._sent, self._place)
        with self._out.status("") as spinner:
            # What was captured before is not of these rows.
            endpoint.forget_runs()
            endpoint.send(
                [line["row"] for line in lines],
                [f"demo-{self._sent + n}" for n in range(rows)],
                lambda n: spinner.update(f"{n} of {rows} requests to {endpoint.name} …"),
            )
            self._sent += rows
            spinner.update("the monitor compares what was captured …")
            run = with_a_verdict(endpoint.next_runs)
        self._runs.append(run)
        shown = {"drift": "red", "stable": "green"}.get(run.report["verdict"], "yellow")
        self._out.print(
            f"  {rows} requests; the monitor: [{shown}]{run.report['verdict']}[/{shown}]  "
            f"[dim]{escape(run.report['message'])}[/dim]"
        )
        return run

    def _write_trend(self, result: WatchResult) -> None:
        if self._runs:
            result.trend = self._place / "trend.html"
            result.trend.write_bytes(self._endpoint.report_file(self._runs[-1], "trend.html"))


def with_a_verdict(next_runs: Callable[[], list[MonitorRun]]) -> MonitorRun:
    """Return the first run that has seen enough requests for a verdict, or the last one tried.

    On a slow machine a run may fall due while the requests are sent. It has seen none of them, or a
    few, and the next one sees the others.

    Args:
        next_runs: waits for the next runs, the oldest first.
    """
    run = next_runs()[-1]
    for _ in range(_MORE_RUNS):
        if run.report["verdict"] not in _NO_VERDICTS:
            break
        run = next_runs()[-1]
    return run
