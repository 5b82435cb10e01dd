"""The records of a transform job: from an input object to requests, and to an output object. Pure.

    object ─ split ─► records ─ InputFilter ─► requests ─► responses ─ join, OutputFilter ─►
    NAME.out

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform.html
Source: https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform-data-processing.html
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from jsonpath_ng.exceptions import JSONPathError
from jsonpath_ng.jsonpath import Child, Fields, Index, JSONPath, Slice, Wildcard
from jsonpath_ng.parser import parse

_MEGABYTE = 1024 * 1024
CSV, JSON, JSON_LINES = "text/csv", "application/json", "application/jsonlines"


class BadRecord(Exception):
    """A record that cannot be sent, or a response that cannot be joined with it."""


@dataclass(frozen=True, slots=True)
class Processing:
    """The DataProcessing of a transform job.

    Attributes:
        kind: content type of the input.
        accept: content type of the responses.
        join: whether a response is joined with its input.
    """

    kind: str
    accept: str
    input_filter: str = "$"
    output_filter: str = "$"
    join: bool = False

    @property
    def idle(self) -> bool:
        """Return whether nothing is filtered or joined."""
        return self.input_filter == self.output_filter == "$" and not self.join


def check_path(path: str) -> str | None:
    """Return the problem of a JSONPath, or None."""
    try:
        _path(path)
    except (JSONPathError, ValueError) as error:
        return f"'{path}' is not a JSONPath: {error}"
    return None


def split(body: bytes, by_line: bool) -> list[bytes]:
    """Return the records of an object; a line keeps its line end, and an empty one is left out."""
    if not by_line:
        return [body] if body else []
    return [line for line in body.splitlines(keepends=True) if line.strip()]


def batches(records: list[bytes], many: bool, limit_mb: int) -> list[list[bytes]]:
    """Return the records of each request: one, or as many as fit.

    Args:
        records: the records in order.
        many: whether BatchStrategy is MultiRecord.
        limit_mb: MaxPayloadInMB; 0 means no limit.

    Raises:
        BadRecord: one record alone is too large.
    """
    limit = limit_mb * _MEGABYTE
    found: list[list[bytes]] = []
    size = 0
    for record in records:
        if limit and len(record) > limit:
            raise BadRecord(
                f"a record of {len(record)} bytes is larger than MaxPayloadInMB ({limit_mb})"
            )
        if found and many and (not limit or size + len(record) <= limit):
            found[-1].append(record)
            size += len(record)
        else:
            found.append([record])
            size = len(record)
    return found


def assemble(answers: list[bytes], by_line: bool) -> bytes:
    """Return an output object: the concatenated responses, optionally each on its own line."""
    if not by_line:
        return b"".join(answers)
    return b"".join(a if a.endswith(b"\n") else a + b"\n" for a in answers)


def filtered(record: bytes, processing: Processing) -> bytes:
    """Return the part of a record that is sent to the model.

    Raises:
        BadRecord: it does not have its content type, or the filter finds nothing.
    """
    if processing.input_filter == "$":
        return record
    document = _decode(record, processing.kind)
    return _encode(_select(processing.input_filter, document), processing.kind)


def joined(records: list[bytes], answer: bytes, processing: Processing) -> bytes:
    """Return the output of a request, from its records before the filter and its response.

    Raises:
        BadRecord: the response has another number of results than records, or cannot be parsed.
    """
    if processing.output_filter == "$" and not processing.join:
        return answer
    if processing.kind == JSON and len(records) == 1:
        answers = [answer]
    else:
        answers = [line for line in answer.splitlines() if line.strip()]
    if len(answers) != len(records):
        raise BadRecord(f"the model gave {len(answers)} answers to {len(records)} records")
    lines = []
    for record, line in zip(records, answers, strict=True):
        value = _decode(line, processing.accept)
        if processing.join:
            value = _join(_decode(record, processing.kind), value, processing)
        lines.append(_encode(_select(processing.output_filter, value), processing.kind))
    return b"".join(lines)


def _join(given: Any, answered: Any, processing: Processing) -> Any:
    if processing.kind == CSV:
        return [*given, *(answered if isinstance(answered, list) else [answered])]
    if isinstance(given, dict):
        return {**given, "SageMakerOutput": answered}
    return {"SageMakerInput": given, "SageMakerOutput": answered}


@cache
def _path(path: str) -> JSONPath:
    return parse(path)


def _select(path: str, document: Any) -> Any:
    if path == "$":
        return document
    found = _path(path).find(document)
    if not found:
        raise BadRecord(f"the filter {path} finds nothing in {str(document)[:100]}")
    last = _path(path)
    while isinstance(last, Child):
        last = last.right
    values = [match.value for match in found]
    if isinstance(last, Fields) and len(last.fields) > 1:
        return {str(match.path): match.value for match in found}
    if isinstance(last, Slice | Wildcard) or (isinstance(last, Index) and len(last.indices) > 1):
        return values
    return values[0]


def _decode(text: bytes, kind: str) -> Any:
    try:
        if kind == CSV:
            return next(csv.reader([text.decode().strip("\r\n")]))
        return json.loads(text)
    except (ValueError, StopIteration, csv.Error):
        raise BadRecord(f"{text[:100]!r} is not {kind}") from None


def _encode(value: Any, kind: str) -> bytes:
    if kind == CSV:
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\n").writerow(
            value if isinstance(value, list) else [value]
        )
        return buffer.getvalue().encode()
    return json.dumps(value).encode() + b"\n"
