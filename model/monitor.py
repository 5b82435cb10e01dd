"""The monitor: compares what production's endpoint captured with the training data.

It runs as a SageMaker processing job. Under `/opt/ml/processing`:

    in     captures/**/*.jsonl            SageMaker's data capture
           baseline/baseline.json         of `python -m model check`
           previous/state.json            of the run before; missing for the first run
           ground-truth/*.jsonl, *.csv    optional: labels
           model/                         optional: model.tar.gz, or its metadata.json
           partials/*.json                of a job of several instances; then captures is not read
    out    report/monitor.json, report/monitor.html, report/trend.html, report/metrics.json,
           state/state.json
           partial/NAME.json              instead, if the job has several instances

SageMaker refuses a job whose input and output have one directory, so the state of the run before
has a directory of its own. Without it, state/state.json is read, if it is there.

MONITOR_MODEL identifies the model, such as its version's ARN: what an earlier model answered does
not count for the next one. The verdict is in /opt/ml/output/message. The exit code is 1 only if the
captures could not be compared; then nothing is counted, and the next run reads the same captures.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/build-your-own-processing-container.html
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model.baseline import Baseline, read_baseline
from model.captures import CaptureReader, Note
from model.channels import read_json_object
from model.errors import ArtifactError, ContainerError, MonitorError
from model.ground_truth import join_labels
from model.lines import read_lines
from model.model_archive import extract_members
from model.monitor_judge import Thresholds
from model.monitor_page import page_of
from model.monitor_report import (
    MESSAGE_CHARACTERS,
    build_report,
    failure_report,
    metrics_of,
    note_empty_hours,
)
from model.monitor_state import CaptureFile, MonitorState, capture_files, read_state
from model.monitor_statistics import Statistics
from model.monitor_trend import drifts_in_a_row, entry_of, trend_page
from model.paths import MlPaths
from model.predictor import METADATA_FILE

log = logging.getLogger("model.monitor")

PARTIAL_VERSION = 1
# Rows and predictions that are gathered before they are counted.
_BATCH = 8192
_MOST_METADATA_BYTES = 16 << 20
_STATE = "state.json"

Partial = dict[str, Any]


def run(environment: Mapping[str, str]) -> int:
    """Run the monitor that an environment describes; return the exit code."""
    paths = MlPaths.from_environment(environment)
    try:
        limits = Thresholds.from_environment(environment)
        message = _monitor(paths, limits, environment.get("MONITOR_MODEL", ""))
    except ContainerError as error:
        return _fail(paths, str(error))
    except Exception as error:
        log.exception("the monitor failed")
        return _fail(paths, f"{type(error).__name__}: {error} (the traceback is in the log)")
    _say(paths, message)
    return 0


def _fail(paths: MlPaths, reason: str) -> int:
    report = failure_report(reason)
    log.error("the monitor failed: %s", reason)
    try:
        _write_report(paths, report)
        _say(paths, report["message"])
    except OSError as error:
        log.error("cannot write the report: %s", error)
    return 1


def _monitor(paths: MlPaths, limits: Thresholds, model: str) -> str:
    root = paths.processing
    path = root / "baseline" / "baseline.json"
    baseline = read_baseline(path)
    if not baseline.columns:
        raise MonitorError(f"{path.name} has no columns; write it again by `python -m model check`")
    digest = hashlib.sha256(json.dumps(baseline.as_json()).encode()).hexdigest()
    previous = root / "previous"
    state = read_state((previous if previous.exists() else root / "state") / _STATE)
    state.use(model or digest)
    host, hosts = _hosts(paths)
    partials = sorted((root / "partials").rglob("*.json"))
    if partials:
        if len(hosts) > 1:
            raise MonitorError("partials are merged by a job of one instance; set InstanceCount 1")
        statistics, partial = _merged(partials, baseline, digest, state)
    else:
        statistics, partial = _count(root / "captures", baseline, state)
        if len(hosts) > 1:
            partial |= {"version": PARTIAL_VERSION, "baseline": digest, "run": state.runs}
            partial |= {"host": host, "hosts": hosts, "statistics": statistics.as_json()}
            _write(root / "partial" / f"{host}.json", _json(partial))
            return f"partial: {statistics.rows} rows of instance {host} of {len(hosts)}"
    return _finish(paths, baseline, state, statistics, partial, limits)


def _finish(
    paths: MlPaths,
    baseline: Baseline,
    state: MonitorState,
    statistics: Statistics,
    partial: Partial,
    limits: Thresholds,
) -> str:
    """Join the labels, write the report, and then the state; return the message."""
    root = paths.processing
    note_empty_hours(statistics, max(state.hours, default=""))
    state.kept.merge(statistics.kept)
    state.kept.prune()
    state.kept.forget_old()
    joined = join_labels(
        root / "ground-truth",
        state.kept,
        statistics,
        regression=baseline.label.counts is None,
    )
    statistics.kept.sampled = state.kept.sampled
    files: dict[str, dict[str, int]] = partial["files"]
    state.count(files)
    report = build_report(
        baseline,
        statistics,
        state,
        files=sum(map(len, files.values())),
        sources=partial["sources"],
        joined=joined,
        validation=_validation(root / "model"),
        limits=limits,
    )
    state.remember(entry_of(report, state.model))
    trend = trend_page(state.trend, report["thresholds"])
    _write(root / "report" / "trend.html", trend.encode())
    _write_report(paths, report, drifts_in_a_row(state.trend))
    # Written last: a run that fails before has counted nothing.
    _write(root / "state" / _STATE, _json(state.as_json()))
    message: str = report["message"]
    return message


def _count(captures: Path, baseline: Baseline, state: MonitorState) -> tuple[Statistics, Partial]:
    """Return the statistics of the files that were not counted yet."""
    statistics = Statistics(baseline)
    names = [column.name for column in baseline.columns]
    # The classes are in the order of the model's outputs, which is that of their names.
    reader = CaptureReader(names, sorted(baseline.label.counts or ()))
    files: dict[str, dict[str, int]] = {}
    sources = set()
    for file in state.choose(capture_files(captures, statistics), statistics):
        if _read(file, reader, statistics):
            files.setdefault(file.hour, {})[file.key] = file.size
            sources.add(file.source)
    return statistics, {"files": files, "sources": sorted(sources)}


def _read(file: CaptureFile, reader: CaptureReader, statistics: Statistics) -> bool:
    """Add the captures of a file; return False if it cannot be opened.

    Raises:
        MonitorError: reading fails later, when a part of the file is counted.
    """
    counted = False
    try:
        for line in read_lines(file.path):
            counted = True
            if line is None:
                statistics.note(Note.LONG_LINE, file.name)
            elif line.strip() and not reader.add(line):
                cut = not line.endswith(b"\n")
                statistics.note(Note.CUT_OFF if cut else Note.NOT_A_CAPTURE, file.name)
            if len(reader.batch) >= _BATCH:
                statistics.add(reader.take(), file.name, file.hour)
    except OSError as error:
        if counted:
            raise MonitorError(f"cannot read {file.name} to its end ({error.strerror})") from None
        statistics.note(Note.UNREADABLE_FILE, file.name)
        return False
    statistics.add(reader.take(), file.name, file.hour)
    return True


def _merged(
    paths: list[Path], baseline: Baseline, digest: str, state: MonitorState
) -> tuple[Statistics, Partial]:
    """Return the statistics of all instances.

    Raises:
        MonitorError: a partial cannot be read, is missing, or is of another run or baseline.
    """
    total = Statistics(baseline)
    files: dict[str, dict[str, int]] = {}
    sources: set[tuple[str, ...]] = set()
    seen: dict[str, list[str]] = {}
    for path in paths:
        try:
            partial = json.loads(path.read_bytes())
            if partial["version"] != PARTIAL_VERSION:
                raise ValueError(f"version {partial['version']!r}")
            if partial["baseline"] != digest:
                raise MonitorError(f"{path.name} was compared with another baseline; run it again")
            if partial["run"] != state.runs:
                raise MonitorError(
                    f"{path.name} is of run {partial['run'] + 1}, but the state is of run "
                    f"{state.runs}; its captures were counted already, or by another state"
                )
            found = Statistics(baseline)
            found.read_json(partial["statistics"])
            if partial["host"] in seen:
                raise MonitorError(f"{path.name}: instance {partial['host']} is there twice")
            seen[partial["host"]] = partial["hosts"]
            for hour, sizes in partial["files"].items():
                files.setdefault(hour, {}).update(sizes)
            sources.update(tuple(source) for source in partial["sources"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise MonitorError(
                f"{path.name} is cut off, or is not a partial of this monitor ({error!r}); "
                "run the instances again"
            ) from None
        total.merge(found)
    missing = {host for hosts in seen.values() for host in hosts} - seen.keys()
    if missing:
        raise MonitorError(f"the partials of {', '.join(sorted(missing))} are missing")
    return total, {"files": files, "sources": sorted(sources)}


def _hosts(paths: MlPaths) -> tuple[str, list[str]]:
    """Return this instance's name and those of all instances of the job."""
    document = read_json_object(paths.base / "config" / "resourceconfig.json")
    hosts, current = document.get("hosts"), document.get("current_host")
    if not isinstance(hosts, list) or not isinstance(current, str) or current not in hosts:
        return "algo-1", ["algo-1"]
    return current, [str(host) for host in hosts]


def _validation(directory: Path) -> dict[str, Any] | None:
    """Return the validation's metrics of the model; None if there is no model.

    Raises:
        MonitorError: there is a model without metadata.
    """
    if not directory.exists():
        return None
    archive = directory / "model.tar.gz"
    try:
        with tempfile.TemporaryDirectory() as place:
            file = directory / METADATA_FILE
            if not file.exists():
                if not archive.exists():
                    return None
                extract_members(archive, {METADATA_FILE}, Path(place), _MOST_METADATA_BYTES)
                file = Path(place) / METADATA_FILE
            metrics = json.loads(file.read_bytes())["metrics"]
        found = metrics.get("validation")
    except (ArtifactError, OSError, ValueError, KeyError, TypeError) as error:
        raise MonitorError(
            f"the model has no {METADATA_FILE} that can be read ({error}); give the monitor the "
            "model.tar.gz of a training job, or leave the input out"
        ) from None
    return found if isinstance(found, dict) else None


def _write_report(paths: MlPaths, report: Mapping[str, Any], drifts: int = 0) -> None:
    directory = paths.processing / "report"
    _write(directory / "monitor.html", page_of(report).encode())
    _write(directory / "metrics.json", _json(metrics_of(report, drifts)))
    _write(directory / "monitor.json", _json(report))


def _say(paths: MlPaths, message: str) -> None:
    log.info("%s", message)
    _write(paths.message, message[:MESSAGE_CHARACTERS].encode())


def _json(document: object) -> bytes:
    return (json.dumps(document, ensure_ascii=False, allow_nan=False) + "\n").encode(
        "utf-8", "replace"
    )


def _write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    os.replace(partial, path)
