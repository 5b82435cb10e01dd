"""Pure: permutation importances: the loss of the score when a column is shuffled.

The definition is the same for every algorithm. It is computed for the dataset's own columns (a
categorical column counts as one, although it becomes several numbers) from the predictions of the
ONNX model, because that is the model that will be served.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.columns import Columns
from model.progress import Progress

_REPEATS = 5
# Of a wide table each column is shuffled fewer times: so many times altogether.
_MAX_SHUFFLES = 1000
_MAX_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Importance:
    """The loss of the score when one column is shuffled.

    Attributes:
        mean: over the repetitions; below zero if the score was better without the column.
        spread: standard deviation over the repetitions, at least 0.
    """

    mean: float
    spread: float


def permutation_importances(
    columns: Columns,
    rows: NDArray[np.float32],
    truth: NDArray[np.float64] | NDArray[np.int64],
    score: Callable[[NDArray[np.float32], NDArray[np.float64] | NDArray[np.int64]], float],
    seed: int,
    progress: Progress | None = None,
) -> dict[str, Importance]:
    """Return the loss of the score by column name, the largest mean first.

    Args:
        columns: the columns of the rows.
        rows: encoded rows, shape (rows, numbers); at most 1,000 of them are used.
        truth: class numbers or values, shape (rows,).
        score: returns the score of rows and their truth; higher is better.
        seed: seed of the permutations.
        progress: its `total` and `done` are updated, in columns.
    """
    progress = progress or Progress()
    progress.total = len(columns.columns)
    repeats = max(1, min(_REPEATS, _MAX_SHUFFLES // max(1, len(columns.columns))))
    generator = np.random.default_rng(seed)
    if len(rows) > _MAX_ROWS:
        chosen = generator.choice(len(rows), _MAX_ROWS, replace=False)
        rows, truth = rows[chosen], truth[chosen]
    base = score(rows, truth)
    found: dict[str, Importance] = {}
    start = 0
    for column in columns.columns:
        place = slice(start, start + column.width)
        losses = []
        for _ in range(repeats):
            shuffled = rows.copy()
            shuffled[:, place] = rows[generator.permutation(len(rows)), place]
            losses.append(base - score(shuffled, truth))
        # Digits beyond the ninth are rounding errors of the sum; adding 0.0 turns -0.0 into 0.0.
        mean, spread = (round(float(of(losses)), 9) + 0.0 for of in (np.mean, np.std))
        found[column.name] = Importance(mean, spread)
        start += column.width
        progress.done += 1
    return dict(sorted(found.items(), key=lambda item: (-item[1].mean, item[0])))
