"""Pure: rows that an endpoint may be asked and that the validation rows may lack.

The export is compared with scikit-learn on them, too: a category that no validation row has, an
unknown one, and a missing value.
"""

from __future__ import annotations

from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from model.columns import Columns

# Rows that are made, and the numbers that they may hold together.
_MAX_ROWS = 20_000
_MAX_NUMBERS = 8_000_000
_MAX_ROWS_OF_ONE = 5


def rows_of_columns(columns: Columns, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return rows with each category, and with each missing value that the columns accept.

    Each is a given row with one column replaced; in the last ones, every value is missing. Of very
    many categories, as many as the limits allow are taken evenly.

    Args:
        columns: the columns of the rows.
        rows: encoded rows, shape (rows, width), at least one.

    Returns:
        Rows of shape (rows, width); none for plain numbers.
    """
    starts = list(accumulate((column.width for column in columns.columns), initial=0))
    missing = columns.encode_columns([_missing(column.categories) for column in columns.columns])
    # Pairs of a column and the place of its category; -1 is a missing value.
    asked = [
        (at, place)
        for at, column in enumerate(columns.columns)
        for place in range(-1 if columns.accept_missing else 0, len(column.categories or ()))
    ]
    if not asked:
        return np.empty((0, columns.width), np.float32)
    limit = max(1, min(_MAX_ROWS, _MAX_NUMBERS // columns.width))
    if len(asked) > limit:
        chosen = np.linspace(0, len(asked) - 1, limit).astype(np.int64).tolist()
        asked = [asked[number] for number in chosen]
    of_one = min(max(1, limit // len(asked)), _MAX_ROWS_OF_ONE, len(rows))
    bases = rows[np.arange(of_one) * len(rows) // of_one]
    made = np.repeat(bases[np.newaxis], len(asked), axis=0)
    for number, (at, place) in enumerate(asked):
        part = slice(starts[at], starts[at + 1])
        made[number, :, part] = missing[0, part]
        if place >= 0 and columns.columns[at].coded:
            made[number, :, part] = place + 1
        elif place >= 0:
            made[number, :, starts[at] + place] = 1
    found = made.reshape(-1, columns.width)
    return np.concatenate([found, missing]) if columns.accept_missing else found


def _missing(categories: tuple[str, ...] | None) -> list[str] | NDArray[np.float64]:
    return np.array([np.nan]) if categories is None else [""]
