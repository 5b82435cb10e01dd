"""The frozen reference set: rows that every later model of a group is evaluated on as well.

    {"version": 1, "features": ["length", …], "labels": ["a", …], "rows": [[5.1, null, "red"], …],
     "dates": {"born": "day-first"}}

They are the validation rows of the first model that was approved. Validation rows change with each
dataset; against these, a slow loss over many versions shows. A number that is missing is null. A
date is a number of seconds since 1970-01-01 in UTC; `dates` names such columns, and may be absent.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from model.dates import Order
from model.errors import ReferenceSetError
from model.rows import Cell
from model.table import Table

FILE = "reference.json"
VERSION = 1
# A random part of a larger validation set is kept.
MOST_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class ReferenceSet:
    """A reference set as it was read.

    Attributes:
        table: the labelled rows.
        sha256: hex digest of the file.
    """

    table: Table
    sha256: str


def reference_bytes(table: Table, features: tuple[str, ...], seed: int) -> bytes:
    """Return the content of the file for a model's validation rows.

    Args:
        table: the validation rows.
        features: the columns' names.
        seed: decides which rows are kept of more than MOST_ROWS.
    """
    if len(table.labels) > MOST_ROWS:
        rng = np.random.default_rng(seed)
        table = table.select(sorted(rng.choice(len(table.labels), MOST_ROWS, False).tolist()))
    document: dict[str, Any] = {
        "version": VERSION,
        "features": list(features),
        "labels": list(table.labels),
        "rows": [[_as_json(cell) for cell in row] for row in table.rows],
    }
    if table.date_columns:
        document["dates"] = {features[at]: str(o) for at, o in table.date_columns.items()}
    return json.dumps(document, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def read_reference(path: Path) -> ReferenceSet:
    """Return the reference set of a file.

    Raises:
        ReferenceSetError: the file is cut off, of another version, or no reference set.
    """
    try:
        body = path.read_bytes()
        document = json.loads(body)
        if document["version"] != VERSION:
            raise ReferenceSetError(
                f"{path.name} has version {document['version']!r}; this image reads {VERSION}"
            )
        names = tuple(map(str, document["features"]))
        labels = tuple(map(str, document["labels"]))
        rows = tuple(tuple(map(_cell, row)) for row in document["rows"])
        if not rows or len(rows) != len(labels) or {*map(len, rows)} != {len(names)}:
            raise ValueError("labels, rows and features do not fit together")
        orders = document.get("dates", {})
        dates = {names.index(name): Order(order) for name, order in orders.items()}
    except OSError as error:
        raise ReferenceSetError(f"cannot read {path.name} ({error.strerror})") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ReferenceSetError(
            f"{path.name} is cut off, or is no reference set ({error})"
        ) from None
    texts = frozenset(at for at, cell in enumerate(rows[0]) if isinstance(cell, str))
    if texts & dates.keys():
        raise ReferenceSetError(f"{path.name} is no reference set: a date is no number of seconds")
    table = replace(Table.of_rows(labels, rows, names, texts), date_columns=dates)
    return ReferenceSet(table, hashlib.sha256(body).hexdigest())


def _as_json(cell: Cell) -> Any:
    return None if isinstance(cell, float) and math.isnan(cell) else cell


def _cell(value: Any) -> Cell:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(f"{value!r} is no cell")
    return value if isinstance(value, str) else float(value)
