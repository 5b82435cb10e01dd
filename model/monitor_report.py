"""Pure: the report of a run, its verdict in one line, and its CloudWatch metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from model.baseline import Baseline, ColumnBaseline, Histogram
from model.captures import Note
from model.cells import quote
from model.kept_predictions import KEPT_DAYS, MOST_KEPT
from model.live_quality import live_quality
from model.monitor_judge import Thresholds, Verdict, judge
from model.monitor_state import (
    MOST_FILES_WITHOUT_HOUR,
    REMEMBERED_HOURS,
    MonitorState,
    empty_hours,
)
from model.monitor_statistics import CONFIDENCE_EDGES, NumberStatistics, Statistics, prediction_of

VERSION = 1
NAMESPACE = "MlopsLab/Monitor"
MESSAGE_CHARACTERS = 300
# Each metric costs money in CloudWatch; the columns after these have none of their own.
_MOST_COLUMN_METRICS = 50
_MOST_LISTED_HOURS = 100
_MOST_SOURCES = 100

NO_CAPTURES, NOT_MONITORED = "no-captures", "not-monitored"

SENTENCES = {
    Note.CUT_OFF: "capture files are cut off in their last line; the lines before it were counted",
    Note.NOT_A_CAPTURE: "lines of capture files are not captures; they were left out",
    Note.LONG_LINE: "lines of capture files are over 16 MiB; they were left out",
    Note.OTHER_WIDTH: "rows have another number of columns than the baseline; they were left out",
    Note.OTHER_COLUMNS: "captures name other columns than the baseline; they were left out",
    Note.UNREADABLE_INPUT: "captured inputs are not CSV, JSON or npy that can be read; left out",
    Note.UNREADABLE_OUTPUT: "captured outputs hold no predictions that can be read; left out",
    Note.NO_INPUT: "captures have no input; the endpoint captures its output only",
    Note.NO_OUTPUT: "captures have no output; the endpoint captures its input only",
    Note.UNPAIRED: "captures have another number of predictions than of rows",
    Note.CHANGED_FILE: "capture files changed after they were counted; they were not counted again",
    Note.LATE_FILE: f"capture files are of hours before the {REMEMBERED_HOURS} that are "
    "remembered; they were counted before, or came too late",
    Note.OTHER_FILE: "files are not capture files (*.jsonl); they were left out",
    Note.UNREADABLE_FILE: "files cannot be read; the next run tries again",
    Note.TOO_MANY_FILES: f"capture files have no hour in their path, and {MOST_FILES_WITHOUT_HOUR} "
    "such files are remembered already; they were not counted",
    Note.EMPTY_HOUR: "hours between the first and the last capture have none",
    Note.UNKNOWN_ID: f"labels name no prediction of the last {KEPT_DAYS} days",
    Note.REPEATED_LABEL: "labels were given before; each prediction counts once",
    Note.CONFLICTING_LABEL: "labels differ from the one that the prediction has; the first counts",
    Note.UNREADABLE_LABEL: "lines of ground-truth files are not labels; they were left out",
}


def build_report(
    baseline: Baseline,
    statistics: Statistics,
    state: MonitorState,
    *,
    files: int,
    sources: Sequence[Sequence[str]],
    joined: int,
    validation: Mapping[str, Any] | None,
    limits: Thresholds,
) -> dict[str, Any]:
    """Return the document that monitor.json holds.

    Args:
        baseline: the baseline.
        statistics: the run's statistics.
        state: the state after the run, with the labels joined.
        files: capture files that were counted.
        sources: (endpoint, variant) of the files.
        joined: labels that were joined in this run.
        validation: the validation's metrics in the model's metadata, if they are known.
        limits: the thresholds.
    """
    regression = baseline.label.counts is None
    columns = [
        judge(column, found, limits, len(baseline.columns))
        for column, found in zip(baseline.columns, statistics.columns, strict=True)
    ]
    predicted = judge(prediction_of(baseline), statistics.prediction, limits)
    of_confidence = _confidence(statistics, state, limits)
    quality = live_quality(state.kept, validation, limits, regression=regression)
    quality |= {"joined": joined, "validation_known": validation is not None}
    hours = sorted(hour for hour, captures in statistics.hours.counts.items() if hour and captures)
    verdicts = [part["verdict"] for part in (*columns, predicted, of_confidence, quality)]
    report: dict[str, Any] = {
        "version": VERSION,
        "verdict": _overall(verdicts, statistics),
        "message": "",
        "run": state.runs,
        "captures": statistics.captures,
        "rows": statistics.rows,
        "files": files,
        "sources": ["/".join(source) for source in sources if source][:_MOST_SOURCES],
        "hours": {"first": hours[0] if hours else None, "last": hours[-1] if hours else None},
        "notes": _notes(statistics),
        "columns": columns,
        "predictions": predicted,
        "confidence": of_confidence,
        "accuracy": quality,
        "thresholds": limits.as_json(),
    }
    report["message"] = message_of(report)
    return report


def note_empty_hours(statistics: Statistics, before: str) -> None:
    """Note the hours without captures since the last run's newest hour, or since the first.

    Args:
        statistics: the run's, which receives the note.
        before: the newest hour of the runs before; empty if there is none.
    """
    hours = {hour: rows for hour, rows in statistics.hours.counts.items() if hour}
    if hours and before and before < min(hours):
        hours[before] = 1
    for hour in empty_hours(hours)[:_MOST_LISTED_HOURS]:
        statistics.note(Note.EMPTY_HOUR, hour)


def failure_report(reason: str) -> dict[str, Any]:
    """Return the report of a run that could not look at the captures, and counted none.

    Args:
        reason: one sentence.
    """
    message = f"{NOT_MONITORED}: {reason}"
    return {"version": VERSION, "verdict": NOT_MONITORED, "message": _shorten(message)}


def message_of(report: Mapping[str, Any]) -> str:
    """Return the verdict in one line of at most 300 characters."""
    verdict = report["verdict"]
    reasons = [
        f"{quote(part['name'])} {', '.join(part['reasons'])}"
        for part in sorted(report["columns"], key=lambda part: -part.get("psi", 0.0))
        if part["reasons"]
    ]
    for name in ("accuracy", "confidence", "predictions"):
        if report[name]["reasons"]:
            given = ", ".join(report[name]["reasons"])
            reasons.insert(0, given if name == "accuracy" else f"{name} {given}")
    counted = f"{report['rows']} rows in {report['captures']} captures"
    count = len(report["notes"])
    notes = f"; {count} note{'s' * (count > 1)}" if count else ""
    listed = f": {'; '.join(reasons)}" if reasons else ""
    tail = f" ({counted}{notes})"
    return _shorten(verdict + listed, MESSAGE_CHARACTERS - len(tail)) + tail


def metrics_of(report: Mapping[str, Any], drifts: int = 0) -> dict[str, Any]:
    """Return parameters of PutMetricData: `Namespace` and `MetricData`.

    The dimensions are `Endpoint` and `Variant`, if all captures are of one variant, and `Column`
    for the first 50 columns. There are fewer than the 1,000 metrics that one request may hold. A
    dimension is ASCII, as CloudWatch requires; other characters become question marks.

    Args:
        report: the run's report.
        drifts: how many of the newest runs drifted, one after the other.
    """
    sources = [source.split("/") for source in report.get("sources", [])]
    dimensions: dict[str, str] = {}
    if len(sources) == 1 and len(sources[0]) >= 2:
        dimensions = {"Endpoint": sources[0][-2], "Variant": sources[0][-1]}
    data: list[dict[str, Any]] = []

    def add(name: str, value: float | None, unit: str = "None", **more: str) -> None:
        if value is not None:
            named = [
                {"Name": key, "Value": text.encode("ascii", "replace").decode()[:1024]}
                for key, text in (dimensions | more).items()
            ]
            data.append({"MetricName": name, "Value": value, "Unit": unit, "Dimensions": named})

    if report["verdict"] == NOT_MONITORED:
        return {"Namespace": NAMESPACE, "MetricData": data}
    columns = report["columns"]
    judged = report["verdict"] not in (NO_CAPTURES, Verdict.FEW_ROWS)
    drifted = sum(part["verdict"] == Verdict.DRIFT for part in columns)
    add("Captures", report["captures"], "Count")
    add("Rows", report["rows"], "Count")
    add("Notes", sum(note["count"] for note in report["notes"]), "Count")
    if judged:
        add("Drift", float(report["verdict"] == Verdict.DRIFT), "Count")
        add("ConsecutiveDrifts", drifts, "Count")
        add("DriftedColumns", drifted, "Count")
        add("MaximumPsi", max((p["psi"] for p in columns if "psi" in p), default=None))
        add("PredictionPsi", report["predictions"].get("psi"))
        add("ConfidencePsi", report["confidence"].get("psi"))
        for part in (part for part in columns[:_MOST_COLUMN_METRICS] if part["name"].strip()):
            add("Psi", part.get("psi"), Column=part["name"])
            add("MissingShare", part["missing"]["share"], Column=part["name"])
    quality = report["accuracy"]
    if quality["rows"]:
        metric = {"accuracy": "LiveAccuracy", "mae": "LiveMeanAbsoluteError"}[quality["metric"]]
        add(metric, quality["value"])
        add("LabelledRows", quality["rows"], "Count")
    return {"Namespace": NAMESPACE, "MetricData": data}


def _confidence(statistics: Statistics, state: MonitorState, limits: Thresholds) -> dict[str, Any]:
    """Compare the confidences with those of the first run that had enough, which are kept."""
    found = statistics.confidence
    bins = len(CONFIDENCE_EDGES) - 1
    reference = NumberStatistics(Histogram(CONFIDENCE_EDGES, (0,) * bins))
    if state.confidence is None:
        column = ColumnBaseline("confidence")
        document = judge(column, found, limits)
        if found.values >= limits.minimum_rows:
            state.confidence = found.as_json()
    else:
        reference.read_json(state.confidence)
        counts = tuple(int(count) for count in reference.counts[1:-1])
        column = ColumnBaseline(
            "confidence",
            0.0,
            Histogram(CONFIDENCE_EDGES, counts),
            reference.minimum,
            reference.maximum,
            reference.mean,
            reference.std,
        )
        document = judge(column, found, limits)
    return document


def _overall(verdicts: Sequence[Verdict], statistics: Statistics) -> str:
    if Verdict.DRIFT in verdicts:
        return Verdict.DRIFT
    if not statistics.captures:
        return NO_CAPTURES
    for verdict in (Verdict.WARNING, Verdict.STABLE):
        if verdict in verdicts:
            return verdict
    return Verdict.FEW_ROWS


def _notes(statistics: Statistics) -> list[dict[str, Any]]:
    found = []
    for note in Note:
        count = statistics.notes[note]
        if not count:
            continue
        sentence = f"{count} {SENTENCES[note]} (such as {statistics.examples[note]})"
        if note is Note.OTHER_WIDTH:
            widths = sorted(statistics.widths.counts.items(), key=lambda item: int(item[0]))
            listed = ", ".join(f"{rows} of {width} columns" for width, rows in widths)
            sentence += f": {listed}"
        if note is Note.UNKNOWN_ID and statistics.kept.sampled:
            sentence += f"; of the predictions, a sample of {MOST_KEPT} is kept"
        found.append(
            {
                "kind": note,
                "count": count,
                "example": statistics.examples[note],
                "sentence": sentence,
            }
        )
    return found


def _shorten(text: str, most: int = MESSAGE_CHARACTERS) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
