"""Pure: the rows of a request's body, by the fast parser if it understands the body."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.columns import Columns
from model.fast_parser import csv_rows, json_rows
from model.media import CSV, JSON
from model.payload import decode


def read_rows(body: bytes, media_type: str, columns: Columns) -> NDArray[np.float32]:
    """Return the model's input, shape (rows, width), with at least one row.

    Args:
        body: the request body.
        media_type: one of MEDIA_TYPES.
        columns: the model's columns.

    Raises:
        BadPayloadError: the body cannot be read as rows of this model.
    """
    rows: NDArray[np.float32] | None = None
    if columns.plain:
        if media_type == CSV:
            rows = csv_rows(body, columns.width)
        elif media_type == JSON:
            rows = json_rows(body, columns.width)
    return decode(body, media_type, columns) if rows is None else rows
