"""Pure: reads the rows to send and their expected labels from a dataset zip."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import pvariance

from loadtest.errors import UsageError

_VALIDATION, _DESCRIPTION = "validation.csv", "dataset.json"
# More rows do not make the test better, and every row is signed again each minute.
_MAX_ROWS = 1000
_SHORT_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Payload:
    """One request and its expected prediction.

    Attributes:
        body: the request's body, such as a row without its label.
        label: the row's class; None if nobody knows it, as of a captured request.
        value: the number that a regression should predict; None for a classifier.
        content_type: the type of the body, for the header.
        accept: the type that the answer should have, for the header.
    """

    body: bytes
    label: str | None
    value: float | None = None
    content_type: str = "text/csv"
    accept: str = "text/csv"


def read_payloads(archive: bytes, where: str) -> tuple[Payload, ...]:
    """Return the validation rows of a dataset zip, at most the first thousand.

    Args:
        archive: the zip's bytes.
        where: the file's name, for messages.

    Raises:
        UsageError: the file is not a zip, has no validation.csv or no rows in it, or a label of a
            regression is not a number.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            text = opened.read(_VALIDATION).decode("utf-8-sig")
            described = _DESCRIPTION in opened.namelist()
            description = json.loads(opened.read(_DESCRIPTION)) if described else {}
    except KeyError:
        raise UsageError(
            f"{where} has no {_VALIDATION}, whose rows the test sends and checks; "
            "make the zip with python -m model.dataset"
        ) from None
    except (zipfile.BadZipFile, zlib.error, ValueError, RuntimeError) as error:
        raise UsageError(f"{where} is not a readable dataset zip: {error}") from None
    regression = isinstance(description, dict) and description.get("regression") is True
    rows = (cells for cells in csv.reader(io.StringIO(text, newline="")) if len(cells) > 1)
    first = list(itertools.islice(rows, _MAX_ROWS + 1))
    if len(first) > 1 and _is_header(first[0], first[1]):
        del first[0]
    payloads = []
    for label, *features in first[:_MAX_ROWS]:
        value = _number(label, f"{where}, {_VALIDATION}") if regression else None
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(features)
        payloads.append(Payload(line.getvalue().encode(), label, value))
    if not payloads:
        raise UsageError(f"{where}: {_VALIDATION} has no rows (label first, then numbers)")
    return tuple(payloads)


def label_variance(payloads: Sequence[Payload]) -> float | None:
    """Return the variance of the values that a regression should predict; None for classes."""
    values = [payload.value for payload in payloads if payload.value is not None]
    return pvariance(values) if values else None


def rows_from(payloads: Sequence[Payload], worker: int, workers: int) -> Iterator[Payload]:
    """Yield the payloads in turn, endlessly; each worker starts at a different row.

    Args:
        payloads: the rows.
        worker: number of the worker, from 0.
        workers: number of workers.
    """
    start = worker * len(payloads) // workers
    return itertools.cycle([*payloads[start:], *payloads[:start]])


def parse_label(body: str) -> str | None:
    """Return the label in a text/csv response; None if the response is not a single label."""
    return _known_label(body) if len(body) <= _SHORT_CHARACTERS else _label(body)


def _label(body: str) -> str | None:
    rows = [cells for cells in csv.reader(io.StringIO(body, newline="")) if cells]
    if len(rows) != 1 or len(rows[0]) != 1:
        return None
    return rows[0][0]


# A classifier has few different answers, each of which comes very often.
_known_label = lru_cache(maxsize=1024)(_label)


def parse_value(label: str) -> float | None:
    """Return the number that a regression predicted; None if it is not a finite number."""
    try:
        value = float(label)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _is_header(first: Sequence[str], second: Sequence[str]) -> bool:
    """Return True if the first line has no number but the second has one."""
    return _has_number(second) and not _has_number(first)


def _has_number(cells: Sequence[str]) -> bool:
    return any(parse_value(cell) is not None for cell in cells[1:])


def _number(cell: str, where: str) -> float:
    number = parse_value(cell)
    if number is None:
        raise UsageError(f"{where}: the label '{cell}' is not a number; a regression's must be")
    return number
