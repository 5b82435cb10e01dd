"""Pure: the rows that are sent and the labels that should come back, from a dataset zip."""

from __future__ import annotations

import csv
import io
import itertools
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from loadtest.errors import UsageError

_VALIDATION = "validation.csv"
# More rows than this make the test no better, and each is signed anew every minute.
_MAX_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Payload:
    """One request.

    Attributes:
        body: a row without its label, as text/csv.
        label: the class it belongs to.
    """

    body: bytes
    label: str


def read_payloads(archive: bytes, where: str) -> tuple[Payload, ...]:
    """Return the validation rows of a dataset zip, at most the first thousand.

    Raises:
        UsageError: not a zip, no validation.csv, or no rows in it.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            text = opened.read(_VALIDATION).decode("utf-8-sig")
    except KeyError:
        raise UsageError(
            f"{where} has no {_VALIDATION}; its rows are what the test sends and checks: "
            "make the zip with python -m model.dataset"
        ) from None
    except (zipfile.BadZipFile, zlib.error, UnicodeDecodeError, RuntimeError) as error:
        raise UsageError(f"{where} is not a readable dataset zip: {error}") from None
    payloads = []
    for cells in csv.reader(io.StringIO(text, newline="")):
        if len(cells) > 1:
            line = io.StringIO()
            csv.writer(line, lineterminator="\n").writerow(cells[1:])
            payloads.append(Payload(line.getvalue().encode(), cells[0]))
        if len(payloads) == _MAX_ROWS:
            break
    if not payloads:
        raise UsageError(f"{where}: {_VALIDATION} has no rows (label first, then numbers)")
    return tuple(payloads)


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
