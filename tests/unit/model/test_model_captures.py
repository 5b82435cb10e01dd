"""Capture lines of every kind, and what is no capture."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.captures import Batch, CaptureReader, Note
from tests.unit.model.monitoring import as_json, capture, csv, npy, side

NAMES, CLASSES = ("size", "site"), ("a", "b")
ANSWER = csv("a\n")
PROBABILITIES = {"label": "b", "probabilities": {"a": 0.25, "b": 0.75}}


def read(*lines: str | bytes, classes: tuple[str, ...] = CLASSES) -> Batch:
    reader = CaptureReader(NAMES, classes)
    for line in lines:
        reader.add(line if isinstance(line, bytes) else line.encode())
    return reader.take()


def rows_of(batch: Batch) -> list[list[object]]:
    found: list[list[object]] = [list(text.split(",")) for text in batch.texts]
    return found + [list(row) for row in batch.rows]


@pytest.mark.parametrize(
    ("payload", "rows"),
    [
        (csv("1,north\n"), [["1", "north"]]),
        (csv("1,north"), [["1", "north"]]),
        (csv('1,"north, east"\r\n'), [["1", "north, east"]]),
        (csv("1,north\n2,south\n"), [["1", "north"], ["2", "south"]]),
        (as_json({"instances": [[1, "north"], [2.5, None]]}), [[1, "north"], [2.5, None]]),
        (as_json({"instances": [{"features": [1, "north"]}]}), [[1, "north"]]),
        (as_json([[1, "north"]]), [[1, "north"]]),
        (as_json([1, "north"]), [[1, "north"]]),
        (as_json({"columns": {"site": ["north"], "size": [1]}}), [[1, "north"]]),
        (as_json({"columns": ["site", "size"], "data": [["north", 1]]}), [[1, "north"]]),
        (
            side('[1,"north"]\n{"features":[2,"south"]}\n', "application/jsonlines", "JSON"),
            [[1, "north"], [2, "south"]],
        ),
        (side(b"1,north\n", "text/csv", "BASE64"), [["1", "north"]]),
        (side(b'[[1,"north"]]', "application/json", "BASE64"), [[1, "north"]]),
        (side(npy([[1, 2], [3, 4]]), "application/x-npy", "BASE64"), [[1, 2], [3, 4]]),
        (side(npy([1, 2]), "application/x-npy", "BASE64"), [[1, 2]]),
    ],
)
def test_the_rows_of_every_kind_of_input_are_read(
    payload: dict[str, str], rows: list[list[object]]
) -> None:
    batch = read(capture(payload, None))
    assert rows_of(batch) == rows
    assert dict(batch.notes) == {Note.NO_OUTPUT: 1}
    assert batch.captures == 1


@pytest.mark.parametrize(
    ("payload", "note"),
    [
        (None, Note.NO_INPUT),
        (csv("1,north,3\n"), Note.OTHER_WIDTH),
        (csv("1\n"), Note.OTHER_WIDTH),
        (csv('1,"north\n'), Note.UNREADABLE_INPUT),
        (as_json({"instances": 3}), Note.UNREADABLE_INPUT),
        (as_json({"rows": [[1, "north"]]}), Note.UNREADABLE_INPUT),
        (as_json(7), Note.UNREADABLE_INPUT),
        (as_json({"columns": {"size": [1], "other": [2]}}), Note.OTHER_COLUMNS),
        (as_json({"columns": {"size": [1], "site": [2, 3]}}), Note.UNREADABLE_INPUT),
        (side("not json", "application/json", "JSON"), Note.UNREADABLE_INPUT),
        (side("%%%", "text/csv", "BASE64"), Note.UNREADABLE_INPUT),
        (side(b"\x00\x01", "image/png", "BASE64"), Note.UNREADABLE_INPUT),
        (side(b"\x93NUMPY", "application/x-npy", "BASE64"), Note.UNREADABLE_INPUT),
        (side(npy([[[1, 2]]]), "application/x-npy", "BASE64"), Note.UNREADABLE_INPUT),
        ({"data": 7, "encoding": "CSV"}, Note.UNREADABLE_INPUT),
        ({"encoding": "CSV"}, Note.UNREADABLE_INPUT),
    ],
)
def test_an_input_that_is_no_row_of_the_model_is_noted(
    payload: dict[str, str] | None, note: Note
) -> None:
    batch = read(capture(payload, ANSWER))
    assert rows_of(batch) == []
    assert batch.notes[note] == 1
    assert [answer for _, _, answer in batch.predictions] == ["a"]


def test_rows_of_another_width_are_counted_by_width() -> None:
    batch = read(capture(csv("1,north,3\n1,north\n4\n5\n"), None))
    assert rows_of(batch) == [["1", "north"]]
    assert dict(batch.widths) == {3: 1, 1: 2}


@pytest.mark.parametrize(
    ("answered", "answers", "confidences"),
    [
        (csv("a\n"), ["a"], []),
        (csv("a\nb\n"), ["a", "b"], []),
        (csv("other\n"), ["other"], []),
        (csv("0.25,0.75\n"), ["b"], [0.75]),
        (as_json({"predictions": [PROBABILITIES]}), ["b"], [0.75]),
        (as_json({"predictions": [{"label": "a"}]}), ["a"], []),
        (side(json.dumps(PROBABILITIES), "application/jsonlines", "JSON"), ["b"], [0.75]),
        (side(npy(["a", "b"]), "application/x-npy", "BASE64"), ["a", "b"], []),
        (side(npy([[0.75, 0.25]]), "application/x-npy", "BASE64"), ["a"], [0.75]),
        (csv("0.25,0.5,0.25\n"), [], []),
        (csv("0.25,1.5\n"), [], []),
        (as_json({"answers": []}), [], []),
        (as_json({"predictions": [3]}), [], []),
        (as_json({"predictions": [{"label": 3}]}), [], []),
        (side(b"\x00", "image/png", "BASE64"), [], []),
        ({"data": None, "encoding": "CSV"}, [], []),
    ],
)
def test_the_answers_of_every_kind_of_output_are_read(
    answered: dict[str, Any], answers: list[str], confidences: list[float]
) -> None:
    batch = read(capture(None, answered))
    assert [answer for _, _, answer in batch.predictions] == answers
    assert batch.confidences == confidences
    assert batch.notes[Note.UNREADABLE_OUTPUT] == (not answers)


@pytest.mark.parametrize(
    ("answered", "answers"),
    [
        (csv("2.5\n"), [2.5]),
        (as_json({"predictions": [{"value": 2.5}, {"value": 3}]}), [2.5, 3.0]),
        (side(npy([2.5, 3.5]), "application/x-npy", "BASE64"), [2.5, 3.5]),
        (csv("nan\n"), []),
        (csv("1,2\n"), []),
        (as_json({"predictions": [{"value": True}]}), []),
    ],
)
def test_a_regression_answers_with_values(answered: dict[str, str], answers: list[float]) -> None:
    batch = read(capture(None, answered), classes=())
    assert [answer for _, _, answer in batch.predictions] == answers


def test_predictions_are_known_by_the_inference_id_or_the_event_id() -> None:
    batch = read(
        capture(csv("1,north\n"), ANSWER, "event-1"),
        capture(csv("1,north\n"), ANSWER, "event-2", inference_id="order-7"),
        capture(csv("1,north\n2,south\n"), csv("a\nb\n"), "event-3"),
    )
    assert batch.predictions == [
        ("event-1", "2026-01-31T10", "a"),
        ("order-7", "2026-01-31T10", "a"),
        ("event-3#0", "2026-01-31T10", "a"),
        ("event-3#1", "2026-01-31T10", "b"),
    ]
    assert not batch.notes


def test_a_capture_with_more_answers_than_rows_is_noted() -> None:
    batch = read(capture(csv("1,north\n"), csv("a\nb\n")))
    assert batch.notes[Note.UNPAIRED] == 1


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[]",
        "{}",
        "7",
        '{"captureData": [], "eventMetadata": {"eventId": "e"}}',
        '{"captureData": {}, "eventMetadata": {}}',
        '{"captureData": {}, "eventMetadata": {"eventId": 7}}',
        '{"captureData": {}, "eventMetadata": {"eventId": "e", "inferenceTime": [1]}}',
        '{"captureData": {}, "eventMetadata": {"eventId": "e", "inferenceTime": null}}',
        b"\xff\xfe",
        "[" * 5000,
    ],
)
def test_a_line_that_is_no_capture_adds_nothing(line: str | bytes) -> None:
    reader = CaptureReader(NAMES, CLASSES)
    assert not reader.add(line if isinstance(line, bytes) else line.encode())
    assert reader.take() == Batch()


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["columns", "data", "instances", "features", "predictions", "label"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
KINDS = st.sampled_from(
    ["text/csv", "application/json", "application/jsonlines", "application/x-npy", "", None, 7]
)
SIDES = VALUES | st.fixed_dictionaries(
    {
        "observedContentType": KINDS,
        "data": st.text(max_size=12) | VALUES.map(json.dumps) | VALUES,
        "encoding": st.sampled_from(["CSV", "JSON", "BASE64", "XML", None]),
    }
)


@given(SIDES, SIDES)
def test_no_payload_stops_the_reader(given_side: Any, answered: Any) -> None:
    for classes in (CLASSES, ()):
        batch = read(capture(given_side, answered), classes=classes)
        assert batch.captures == 1
        assert all(len(row) == len(NAMES) for row in rows_of(batch))
