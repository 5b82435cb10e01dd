"""Splitting of a transform job's input, and assembly of the output."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.sagemaker.batches import (
    CSV,
    JSON,
    JSON_LINES,
    BadRecord,
    Processing,
    assemble,
    batches,
    check_path,
    filtered,
    joined,
    split,
)

pytestmark = pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform-data-processing.html"
)

lines = st.lists(st.binary(min_size=1, max_size=20).filter(lambda b: b.split() == [b]), max_size=20)


@given(lines, st.booleans())
def test_no_line_is_lost_repeated_or_moved(records: list[bytes], many: bool) -> None:
    body = b"".join(record + b"\n" for record in records)
    cut = split(body, by_line=True)
    together = batches(cut, many, limit_mb=1)
    assert body == b"".join(record for batch in together for record in batch)
    assert many or all(len(batch) == 1 for batch in together)


def test_a_request_holds_as_many_records_as_fit() -> None:
    half = b"x" * 600_000
    assert [[half], [half], [half]] == batches([half] * 3, many=True, limit_mb=1)
    assert [[half] * 3, [half]] == batches([half] * 4, many=True, limit_mb=2)
    assert [[half] * 4] == batches([half] * 4, many=True, limit_mb=0)
    with pytest.raises(BadRecord, match="larger than MaxPayloadInMB"):
        batches([half * 2], many=False, limit_mb=1)


def test_an_object_that_is_not_split_is_one_record_and_an_empty_one_is_none() -> None:
    assert [b"a\nb"] == split(b"a\nb", by_line=False)
    assert [] == split(b"", by_line=False)
    assert [b"a\n", b"b"] == split(b"a\n\n \nb", by_line=True)


def test_answers_are_put_on_lines_of_their_own_only_when_asked_for() -> None:
    assert b"ab\n" == assemble([b"a", b"b\n"], by_line=False)
    assert b"a\nb\n" == assemble([b"a", b"b\n"], by_line=True)


@pytest.mark.parametrize(
    ("path", "record", "kind", "expected"),
    [
        ("$[1:]", b"7,a,b\n", CSV, b"a,b\n"),
        ("$[0]", b"7,a,b\n", CSV, b"7\n"),
        ("$[0,-1]", b'7,"a,b",c\n', CSV, b"7,c\n"),
        ("$[:2]", b'"a,b",c,d\n', CSV, b'"a,b",c\n'),
        ("$.features", b'{"id": 1, "features": [1, 2]}', JSON, b"[1, 2]\n"),
        ("$['id','x']", b'{"id": 1, "x": 2, "y": 3}', JSON_LINES, b'{"id": 1, "x": 2}\n'),
        ("$", b"anything", CSV, b"anything"),
    ],
)
def test_a_filter_keeps_what_its_path_says(
    path: str, record: bytes, kind: str, expected: bytes
) -> None:
    assert expected == filtered(record, Processing(kind, kind, input_filter=path))


def test_an_answer_stands_at_the_end_of_its_row() -> None:
    processing = Processing(CSV, CSV, join=True, output_filter="$[0,-1]")
    assert b"7,x\n8,y\n" == joined([b"7,a\n", b"8,b\n"], b"x\ny\n", processing)


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ({"id": 1}, {"id": 1, "SageMakerOutput": {"p": 0.5}}),
        ([1, 2], {"SageMakerInput": [1, 2], "SageMakerOutput": {"p": 0.5}}),
    ],
)
def test_an_answer_is_joined_to_json_under_its_name(given_: object, expected: object) -> None:
    processing = Processing(JSON, JSON, join=True)
    found = joined([json.dumps(given_).encode()], b'{"p": 0.5}', processing)
    assert expected == json.loads(found)


@pytest.mark.parametrize(
    ("records", "answer", "processing"),
    [
        ([b"1\n", b"2\n"], b"only one", Processing(CSV, CSV, join=True)),
        ([b"{}"], b"no json", Processing(JSON, JSON, join=True)),
        ([b"1\n"], b"2", Processing(CSV, CSV, output_filter="$[5]")),
    ],
)
def test_what_cannot_be_joined_is_a_bad_record(
    records: list[bytes], answer: bytes, processing: Processing
) -> None:
    with pytest.raises(BadRecord):
        joined(records, answer, processing)


def test_a_path_is_checked_before_it_is_used() -> None:
    assert check_path("$[1:]") is None
    assert "is not a JSONPath" in (check_path("$[") or "")
