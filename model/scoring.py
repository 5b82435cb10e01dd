"""Scores the rows of a request, and refuses a row whose calculation overflows.

Every number of a row fits into 32 bits, but a linear model scales it and multiplies it by a
coefficient, and the result may not fit. scikit-learn refuses such a row, too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.columns import Columns
from model.errors import BadPayloadError
from model.predictor import Predictor

# Numbers of a row, the largest first, of which each is tried alone to find one that overflows.
_TRIED = 16


def score_rows(
    rows: NDArray[np.float32], predictor: Predictor, columns: Columns
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return class numbers and probabilities, or a regression's values, as `Predictor.run` does.

    Args:
        rows: encoded rows, shape (rows, width).
        predictor: the model.
        columns: the model's columns.

    Raises:
        BadPayloadError: a probability or a value is not finite; the message names the row and the
            column.
    """
    numbers, values = predictor.run(rows)
    if predictor.may_overflow:
        finite = np.isfinite(values).all(axis=1)
        if not finite.all():
            at = int(np.argmin(finite))
            place = _overflowing(rows[at], predictor)
            name_at = _column_of(place, columns)
            raise BadPayloadError(
                f"row {at + 1}, column {name_at + 1} ({columns.names[name_at]}) holds "
                f"{rows[at, place]!s}, which is too large for this model: its calculation with "
                "32-bit floats overflows; send a number of the size that it was trained on"
            )
    return numbers, values


def _overflowing(row: NDArray[np.float32], predictor: Predictor) -> int:
    """Return the place of a number that overflows alone, or else of the largest one."""
    places = np.argsort(-np.abs(row))[:_TRIED]
    alone = np.zeros((len(places), len(row)), np.float32)
    alone[np.arange(len(places)), places] = row[places]
    _, values = predictor.run(alone)
    # The first of those that overflow, or the first of all.
    return int(places[np.argmin(np.isfinite(values).all(axis=1))])


def _column_of(place: int, columns: Columns) -> int:
    """Return the index of the column to which a number of an encoded row belongs."""
    ends = np.cumsum([column.width for column in columns.columns])
    return int(np.searchsorted(ends, place, side="right"))
