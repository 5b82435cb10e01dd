"""Pure: how much each column matters, by what is lost when it is shuffled.

One definition for every algorithm, and of the dataset's own columns (a category column is one, as
many numbers as it becomes), measured on the answers of the ONNX model, which is what is served.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from model.columns import Columns

_REPEATS = 5
_MOST_ROWS = 1000


def permutation_importances(
    columns: Columns,
    rows: NDArray[np.float32],
    truth: NDArray[np.float64] | NDArray[np.int64],
    score: Callable[[NDArray[np.float32], NDArray[np.float64] | NDArray[np.int64]], float],
    seed: int,
) -> dict[str, float]:
    """Return the mean loss of score by column, the largest first.

    Args:
        columns: of the rows.
        rows: encoded, shape (rows, numbers).
        truth: shape (rows,).
        score: of rows against their truth; more is better.
        seed: of the shuffles.
    """
    chance = np.random.default_rng(seed)
    if len(rows) > _MOST_ROWS:
        chosen = chance.choice(len(rows), _MOST_ROWS, replace=False)
        rows, truth = rows[chosen], truth[chosen]
    base = score(rows, truth)
    found: dict[str, float] = {}
    start = 0
    for column in columns.columns:
        place = slice(start, start + column.width)
        losses = []
        for _ in range(_REPEATS):
            shuffled = rows.copy()
            shuffled[:, place] = rows[chance.permutation(len(rows)), place]
            losses.append(base - score(shuffled, truth))
        # What the sum of the losses leaves beyond these digits is rounding; 0.0 has no sign then.
        found[column.name] = round(float(np.mean(losses)), 9) + 0.0
        start += column.width
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))
