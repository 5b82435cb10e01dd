"""Pure: reads the lines of SageMaker's data capture as rows and predictions.

    {"captureData": {"endpointInput": {"observedContentType": "text/csv", "mode": "INPUT",
                                       "data": "5.1,3.5\\n", "encoding": "CSV"},
                     "endpointOutput": {…, "encoding": "CSV", "JSON" or "BASE64"}},
     "eventMetadata": {"eventId": "…", "inferenceId": "…", "inferenceTime": "…"},
     "eventVersion": "0"}

The payloads are those that `payload` reads and `response_encoder` writes. Nothing is refused here:
a line or a payload that cannot be read is counted under a `Note`.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html
"""

from __future__ import annotations

import base64
import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
import orjson

from model.errors import BadPayloadError
from model.media import JSON_LINES, NPY
from model.payload import npy_array

# A class or a category is shown and remembered up to this length.
TEXT_CHARACTERS = 80
# Exceptions of numpy's and Python's parsers for a payload that is not what it says.
_UNREADABLE = (ValueError, TypeError, KeyError, IndexError, AttributeError, BadPayloadError)


class Note(StrEnum):
    """A kind of data that is counted, but not as a row or a prediction."""

    CUT_OFF = "cut-off-file"
    NOT_A_CAPTURE = "not-a-capture"
    LONG_LINE = "long-line"
    OTHER_WIDTH = "other-width"
    OTHER_COLUMNS = "other-columns"
    UNREADABLE_INPUT = "unreadable-input"
    UNREADABLE_OUTPUT = "unreadable-output"
    NO_INPUT = "no-input"
    NO_OUTPUT = "no-output"
    UNPAIRED = "unpaired"
    CHANGED_FILE = "changed-file"
    LATE_FILE = "late-file"
    OTHER_FILE = "other-file"
    UNREADABLE_FILE = "unreadable-file"
    TOO_MANY_FILES = "too-many-files"
    EMPTY_HOUR = "empty-hour"
    UNKNOWN_ID = "unknown-id"
    REPEATED_LABEL = "repeated-label"
    CONFLICTING_LABEL = "conflicting-label"
    UNREADABLE_LABEL = "unreadable-label"


@dataclass(frozen=True, slots=True)
class Prediction:
    """One answer of the model.

    Attributes:
        answer: the class, or a regression's value.
        confidence: probability of the most probable class, 0 to 1; None if the answer has none.
    """

    answer: str | float
    confidence: float | None = None


@dataclass(slots=True)
class Batch:
    """The rows and predictions of some captures.

    Attributes:
        texts: rows as CSV lines without quotes and of the right width, none of them empty.
        rows: other rows of the right width; a cell is a string (CSV) or a decoded JSON value.
        predictions: one (id, hour, answer) per prediction; the id is the inference ID or, without
            one, the event ID, with `#` and the row's number from 0 if the capture has several
            rows; the hour has the form 2026-01-31T23.
        confidences: shares, 0 to 1.
        notes: captures, rows or predictions by `Note`.
        widths: rows of another width, by width.
        captures: lines that are captures.
    """

    texts: list[str] = field(default_factory=list)
    rows: list[Sequence[object]] = field(default_factory=list)
    predictions: list[tuple[str, str, str | float]] = field(default_factory=list)
    confidences: list[float] = field(default_factory=list)
    notes: Counter[Note] = field(default_factory=Counter)
    widths: Counter[int] = field(default_factory=Counter)
    captures: int = 0

    def __len__(self) -> int:
        """Return the number of rows and predictions."""
        return len(self.texts) + len(self.rows) + len(self.predictions)


class CaptureReader:
    """Reads captures of one model into batches.

    Args:
        names: the names of the model's columns, in order; at least one.
        classes: the class names, in the order of the model's outputs; empty for a regression.
    """

    def __init__(self, names: Sequence[str], classes: Sequence[str]) -> None:
        self._names = tuple(names)
        self._width = len(self._names)
        self._commas = self._width - 1
        self._classes = {name: name[:TEXT_CHARACTERS] for name in classes}
        self._of_output = tuple(self._classes.values())
        self.batch = Batch()

    def take(self) -> Batch:
        """Return the rows that were read, and begin another batch."""
        batch, self.batch = self.batch, Batch()
        return batch

    def add(self, line: bytes) -> bool:
        """Read a line; return False if it is not a capture."""
        batch = self.batch
        try:
            document = orjson.loads(line)
            data, event = document["captureData"], document["eventMetadata"]
            given, answered = data.get("endpointInput"), data.get("endpointOutput")
            key = event.get("inferenceId") or event["eventId"]
            hour = event.get("inferenceTime", "")[:13]
            if not isinstance(key, str) or not isinstance(hour, str):
                raise TypeError
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            return False
        batch.captures += 1
        rows = self._add_input(batch, given)
        self._add_output(batch, answered, key, hour, rows)
        return True

    def _add_input(self, batch: Batch, given: Any) -> int | None:
        """Add the rows of an input; return their number, or None if it cannot be read."""
        if not isinstance(given, dict):
            batch.notes[Note.NO_INPUT] += 1
            return None
        try:
            text = given["data"]
            if given["encoding"] == "CSV":
                line = text.rstrip("\r\n")
                plain = line.count(",") == self._commas and '"' not in line and line.strip()
                if plain and line.isprintable():
                    batch.texts.append(line)
                    return 1
            rows = self._rows(given)
        except _UNREADABLE:
            batch.notes[Note.UNREADABLE_INPUT] += 1
            return None
        if rows is None:
            batch.notes[Note.OTHER_COLUMNS] += 1
            return None
        for row in rows:
            if len(row) == self._width:
                batch.rows.append(row)
            else:
                batch.notes[Note.OTHER_WIDTH] += 1
                batch.widths[len(row)] += 1
        return len(rows)

    def _rows(self, given: dict[str, Any]) -> list[Sequence[object]] | None:
        """Return the rows of a payload, or None if it names other columns than the model's."""
        media_type, body = _payload(given)
        if media_type == NPY:
            array = npy_array(body)
            if array.ndim not in (1, 2):
                raise ValueError(array.ndim)
            found: list[Sequence[object]] = np.atleast_2d(array).tolist()
            return found
        text = body.decode("utf-8-sig")
        if media_type == JSON_LINES:
            return [_features(orjson.loads(line)) for line in text.split("\n") if line.strip()]
        if media_type == "CSV":
            return _csv_rows(text)
        document = orjson.loads(text)
        if isinstance(document, dict) and "columns" in document:
            return self._by_name(document["columns"], document.get("data"))
        if isinstance(document, dict):
            document = document["instances"]
        if not isinstance(document, list):
            raise TypeError(document)
        if document and not any(isinstance(item, list | dict) for item in document):
            document = [document]
        return [_features(item) for item in document]

    def _by_name(self, names: Any, data: Any) -> list[Sequence[object]] | None:
        if isinstance(names, dict):
            data = list(zip(*names.values(), strict=True))
        names = list(names)
        if sorted(names) != sorted(self._names):
            return None
        order = [names.index(name) for name in self._names]
        return [[row[at] for at in order] for row in data]

    def _add_output(
        self, batch: Batch, answered: Any, key: str, hour: str, rows: int | None
    ) -> None:
        if not isinstance(answered, dict):
            batch.notes[Note.NO_OUTPUT] += 1
            return
        try:
            text = answered["data"].rstrip("\r\n")
            if rows == 1 and answered["encoding"] == "CSV" and text in self._classes:
                batch.predictions.append((key, hour, self._classes[text]))
                return
            predictions = self._predictions(answered)
        except _UNREADABLE:
            batch.notes[Note.UNREADABLE_OUTPUT] += 1
            return
        if rows is not None and rows != len(predictions):
            batch.notes[Note.UNPAIRED] += 1
        several = len(predictions) > 1
        for number, found in enumerate(predictions):
            name = f"{key}#{number}" if several else key
            batch.predictions.append((name, hour, found.answer))
            if found.confidence is not None:
                batch.confidences.append(found.confidence)

    def _predictions(self, answered: dict[str, Any]) -> list[Prediction]:
        media_type, body = _payload(answered)
        if media_type == NPY:
            array = npy_array(body, "biufU")
            return [self._of_cells(row) for row in array.reshape(len(array), -1).tolist()]
        text = body.decode("utf-8-sig")
        if media_type == "CSV":
            return [self._of_cells(row) for row in _csv_rows(text)]
        if media_type == JSON_LINES:
            documents = [orjson.loads(line) for line in text.split("\n") if line.strip()]
        else:
            documents = orjson.loads(text)["predictions"]
        return [self._of_document(item) for item in documents]

    def _of_cells(self, cells: Sequence[Any]) -> Prediction:
        """Return the prediction of one row: a class, the probabilities of all, or a value."""
        if not self._of_output:
            (cell,) = cells
            return Prediction(_finite(cell))
        if len(cells) == 1:
            return Prediction(self._class(cells[0]))
        shares = [_share(cell) for cell in cells]
        best = max(range(len(shares)), key=shares.__getitem__)
        if len(shares) != len(self._of_output):
            raise ValueError(len(shares))
        return Prediction(self._of_output[best], shares[best])

    def _of_document(self, item: dict[str, Any]) -> Prediction:
        if not self._of_output:
            return Prediction(_finite(item["value"]))
        shares = item.get("probabilities")
        confidence = _share(max(shares.values())) if shares else None
        return Prediction(self._class(item["label"]), confidence)

    def _class(self, label: object) -> str:
        if not isinstance(label, str):
            raise TypeError(label)
        return self._classes.get(label) or label.strip()[:TEXT_CHARACTERS]


def _payload(side: dict[str, Any]) -> tuple[str, bytes]:
    """Return `CSV`, `JSON`, or a media type that this container reads, and the body."""
    kind = side.get("observedContentType", "").partition(";")[0].strip().lower()
    encoding, data = side["encoding"], side["data"]
    body = base64.b64decode(data, validate=True) if encoding == "BASE64" else data.encode()
    if kind in (NPY, JSON_LINES):
        return kind, body
    if encoding == "BASE64":
        encoding = {"text/csv": "CSV", "application/json": "JSON"}[kind]
    if encoding not in ("CSV", "JSON"):
        raise ValueError(encoding)
    return encoding, body


def _csv_rows(text: str) -> list[Sequence[object]]:
    try:
        return [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except csv.Error as error:
        raise ValueError(str(error)) from None


def _features(item: Any) -> Sequence[object]:
    if isinstance(item, dict):
        item = item["features"]
    if not isinstance(item, list):
        raise TypeError(item)
    return item


def _finite(cell: Any) -> float:
    if isinstance(cell, bool):
        raise TypeError(cell)
    number = float(np.float32(float(cell)))
    if not np.isfinite(number):
        raise ValueError(cell)
    return number


def _share(cell: Any) -> float:
    number = _finite(cell)
    if not 0 <= number <= 1:
        raise ValueError(cell)
    return number
