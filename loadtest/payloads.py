"""Pure: the rows that are sent and the labels that should come back, from a dataset zip."""

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
from statistics import pvariance

from loadtest.errors import UsageError

_VALIDATION, _DESCRIPTION = "validation.csv", "dataset.json"
# More rows than this make the test no better, and each is signed anew every minute.
_MAX_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Payload:
    """One request.

    Attributes:
        body: a row without its label, as text/csv.
        label: the class it belongs to.
        value: in place of a class, the number that a regression should answer.
    """

    body: bytes
    label: str
    value: float | None = None


def read_payloads(archive: bytes, where: str) -> tuple[Payload, ...]:
    """Return the validation rows of a dataset zip, at most the first thousand.

    Raises:
        UsageError: not a zip, no validation.csv, no rows in it, or a regression's label that is no
            number.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            text = opened.read(_VALIDATION).decode("utf-8-sig")
            described = _DESCRIPTION in opened.namelist()
            description = json.loads(opened.read(_DESCRIPTION)) if described else {}
    except KeyError:
        raise UsageError(
            f"{where} has no {_VALIDATION}; its rows are what the test sends and checks: "
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
    """Return the variance of the values that a regression should answer; None for classes."""
    values = [payload.value for payload in payloads if payload.value is not None]
    return pvariance(values) if values else None


def rows_from(payloads: Sequence[Payload], worker: int, workers: int) -> Iterator[Payload]:
    """Return the payloads in turn without end; each of several workers begins at another row."""
    start = worker * len(payloads) // workers
    return itertools.cycle([*payloads[start:], *payloads[:start]])


def read_answer(body: str) -> str | None:
    """Return the one label of a text/csv answer, None if it is not one label."""
    rows = [cells for cells in csv.reader(io.StringIO(body, newline="")) if cells]
    if len(rows) != 1 or len(rows[0]) != 1:
        return None
    return rows[0][0]


def read_value(label: str) -> float | None:
    """Return the number that a regression answered, None if it is none."""
    try:
        value = float(label)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _is_header(first: Sequence[str], second: Sequence[str]) -> bool:
    """Whether the first line names the columns: none of them is a number, unlike in the second."""
    return _has_number(second) and not _has_number(first)


def _has_number(cells: Sequence[str]) -> bool:
    return any(read_value(cell) is not None for cell in cells[1:])


def _number(cell: str, where: str) -> float:
    number = read_value(cell)
    if number is None:
        raise UsageError(f"{where}: the label '{cell}' is not a number, as a regression's must be")
    return number
