"""Writes the report of a run, from the files in its directory alone.

The report is report.html (self-contained), summary.json and the plots.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from rich.table import Table

from loadtest.alarms import title
from loadtest.errors import UsageError
from loadtest.objectives import ACCURACY, R2
from loadtest.plots import draw
from loadtest.samples import RunRecord, read_samples
from loadtest.scaling_explanation import explain
from loadtest.summary import Summary, milliseconds, summarize

_SAMPLES_FILE = "samples.jsonl"
_RECORD_FILE = "run.json"
_TEMPLATE = "report.html.jinja"
# From this share of the p99 latency on, the generator's own delay hides the endpoint's latency.
_MUCH = 0.3


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure at the top of the report.

    Attributes:
        name: the figure's label.
        value: the formatted value.
        remark: a note below the value; may be empty.
        bad: the value is shown in red.
    """

    name: str
    value: str
    remark: str = ""
    bad: bool = False


def render(directory: Path) -> tuple[Summary, RunRecord, Path]:
    """Write the report of a run; return its summary, its record and the path of report.html.

    Args:
        directory: the run's output directory.

    Raises:
        UsageError: the directory does not hold a finished run.
    """
    try:
        record = RunRecord.from_json((directory / _RECORD_FILE).read_text("utf-8"))
        with (directory / _SAMPLES_FILE).open(encoding="utf-8") as lines:
            samples = read_samples(lines)
    except OSError as error:
        raise UsageError(
            f"{directory} holds no finished run: cannot read {error.filename} ({error.strerror})"
        ) from None
    except ValueError as error:
        raise UsageError(f"{directory} holds no readable run: {error}") from None
    summary = summarize(record, samples)
    overview = draw(record, samples, directory)[0]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    html = environment.get_template(_TEMPLATE).render(
        record=record,
        summary=summary,
        figures=figures(summary, record),
        explanations=explain(record, samples),
        title=title,
        started=_moment(record.started),
        files=(_SAMPLES_FILE, _RECORD_FILE, "summary.json", overview.name),
        plot=base64.b64encode(overview.read_bytes()).decode(),
    )
    path = directory / "report.html"
    path.write_text(html, "utf-8")
    summary_text = json.dumps(summary.as_json(), indent=2, ensure_ascii=False) + "\n"
    (directory / "summary.json").write_text(summary_text, "utf-8")
    return summary, record, path


def _moment(text: str) -> str:
    """Return an ISO 8601 time as people write it, or the text if it is none."""
    try:
        return datetime.fromisoformat(text).strftime("%d %B %Y, %H:%M:%S %Z").strip(" ,")
    except ValueError:
        return text


def figures(summary: Summary, record: RunRecord) -> list[Figure]:
    """Return the figures, the most important ones first."""
    first = summary.first_scale_out_seconds
    scaled = "none" if first is None else f"{first:.1f} s"
    remark = "after the load began" if first is not None else ""
    if first is not None and record.clock_speed != 1:
        remark += f", {first * record.clock_speed:.0f} s of cloud time"
    return [
        Figure("requests/s", f"{summary.rps:,.0f}", f"peak {summary.peak_rps:,.0f}"),
        Figure("requests", f"{summary.requests:,}", f"in {summary.seconds:.1f} s"),
        Figure(
            "failures",
            f"{summary.failures:,}",
            f"{summary.failure_share:.2%} of the requests",
            bad=summary.failures > 0,
        ),
        Figure("p50", milliseconds(summary.p50_ms)),
        Figure("p95", milliseconds(summary.p95_ms)),
        Figure("p99", milliseconds(summary.p99_ms), f"max {milliseconds(summary.max_ms)}"),
        *_own_delay(summary, record),
        _score(summary, record),
        Figure("instances", _instances(summary), _unchanged(summary)),
        Figure("first scale-out", scaled, remark),
    ]


def summary_table(summary: Summary, record: RunRecord) -> Table:
    """Return a table of the figures and the missed objectives, for the terminal."""
    verdict = "passed" if summary.passed else "FAILED"
    table = Table(title=f"{record.endpoint}: {verdict}", title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column(style="dim")
    for figure in figures(summary, record):
        table.add_row(figure.name, figure.value, figure.remark)
    for text, count in record.errors.items():
        table.add_row("failure", f"{count:,}", text)
    for missed in (verdict for verdict in summary.verdicts if not verdict.met):
        table.add_row(f"[red]{missed.name}[/red]", missed.actual, f"target: {missed.target}")
    return table


def _score(summary: Summary, record: RunRecord) -> Figure:
    if summary.r2 is not None:
        remark = f"RMSE {summary.rmse:.4g} of {record.answers:,} answers"
        return Figure(R2, f"{summary.r2:.3f}", remark)
    accuracy = "–" if summary.accuracy is None else f"{summary.accuracy:.1%}"
    return Figure(ACCURACY, accuracy, _correct(record))


def _unchanged(summary: Summary) -> str:
    low, high = summary.instances_min, summary.instances_max
    if low is None:
        return "could not be read"
    return "all the time" if low == high else "lowest → highest"


def _instances(summary: Summary) -> str:
    low, high = summary.instances_min, summary.instances_max
    if low is None:
        return "–"
    return str(low) if low == high else f"{low} → {high}"


def _own_delay(summary: Summary, record: RunRecord) -> list[Figure]:
    """Return how much of the p99 latency may be the load generator's own."""
    delay, latency = record.delay_p99_ms, summary.p99_ms
    if delay is None or not latency:
        return []
    much = delay > latency * _MUCH
    remark = "p99 of it; use more --workers" if much else "p99, in the latencies above"
    return [Figure("generator's delay", milliseconds(delay), remark, bad=much)]


def _correct(record: RunRecord) -> str:
    if record.requests and not record.answers and not record.failures:
        return "unknown for a replay"
    return f"{record.correct:,} of {record.answers:,} correct"
