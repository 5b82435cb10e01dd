"""Reads labels that arrive later, and joins them with the predictions that wait for them.

    {"inferenceId": "…", "label": "setosa"}            or eventId, if the capture has no inferenceId
    {"inferenceId": "…", "label": ["setosa", …]}       one label for each row of the capture
    {"groundTruthData": {"data": "setosa", "encoding": "CSV"}, "eventMetadata": {"eventId": "…"}}
    inferenceId,label                                   a CSV file; the header may be missing

The first label of a prediction counts, in the order of the files' names and lines.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-model-quality-merge.html
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from model.captures import TEXT_CHARACTERS, Note
from model.cells import NotANumberError, parse_number
from model.kept_predictions import KeptPredictions
from model.lines import read_lines
from model.monitor_statistics import Statistics, hash_of

_ID_NAMES = ("inferenceId", "eventId")


def join_labels(
    directory: Path, kept: KeptPredictions, statistics: Statistics, *, regression: bool
) -> int:
    """Give predictions their labels; return how many got one.

    Args:
        directory: the files, *.jsonl and *.csv; it may be missing.
        kept: the predictions.
        statistics: receives the notes.
        regression: the labels are numbers.
    """
    joined = 0
    for path in sorted(directory.rglob("*")):
        if path.suffix not in (".jsonl", ".csv") or not path.is_file():
            continue
        try:
            for key, label in _labels(path, statistics):
                joined += _join(kept, statistics, key, label, regression=regression)
        except OSError:
            statistics.note(Note.UNREADABLE_FILE, path.name)
    return joined


def _join(
    kept: KeptPredictions, statistics: Statistics, key: str, text: str, *, regression: bool
) -> bool:
    label: str | float = text.strip()[:TEXT_CHARACTERS]
    if regression:
        try:
            label = parse_number(text)
        except NotANumberError:
            statistics.note(Note.UNREADABLE_LABEL, key)
            return False
    place = hash_of(key)
    entry = kept.entries.get(place)
    if entry is None:
        statistics.note(Note.UNKNOWN_ID, key)
        return False
    hour, answer, known = entry
    if known is not None:
        repeated = known == label
        statistics.note(Note.REPEATED_LABEL if repeated else Note.CONFLICTING_LABEL, key)
        return False
    kept.entries[place] = (hour, answer, label)
    return True


def _labels(path: Path, statistics: Statistics) -> Iterator[tuple[str, str]]:
    """Yield (id, label) for each label of a file."""
    for number, line in enumerate(read_lines(path)):
        if line is None:
            statistics.note(Note.UNREADABLE_LABEL, path.name)
            continue
        if not line.strip():
            continue
        try:
            if path.suffix == ".csv":
                (cells,) = csv.reader([line.decode("utf-8-sig").rstrip("\r\n")], strict=True)
                key, label = cells
                if not number and key in _ID_NAMES:
                    continue
                yield key, label
            else:
                yield from _of_document(orjson.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError, csv.Error):
            statistics.note(Note.UNREADABLE_LABEL, path.name)


def _of_document(document: Any) -> list[tuple[str, str]]:
    event, label = document, document.get("label") if isinstance(document, dict) else None
    if "groundTruthData" in document:
        event = document["eventMetadata"]
        label = document["groundTruthData"]["data"].splitlines()
    key = event.get("inferenceId") or event["eventId"]
    if not isinstance(key, str):
        raise TypeError(key)
    labels = label if isinstance(label, list) else [label]
    if not labels or any(
        isinstance(one, bool) or not isinstance(one, str | int | float) for one in labels
    ):
        raise TypeError(label)
    if len(labels) == 1:
        return [(key, str(labels[0]))]
    return [(f"{key}#{number}", str(one)) for number, one in enumerate(labels)]
