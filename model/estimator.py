"""Fit a scikit-learn classifier.

Features are 32-bit from the start: the served ONNX model sees nothing finer, and a tree's threshold
learnt between two 64-bit values could fall on the wrong side of both.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from model.hyperparameters import Algorithm, Hyperparameters

# Below this many cells, starting threads costs more than they save.
_PARALLEL_CELLS = 1_000_000


def build(hyperparameters: Hyperparameters, cells: int) -> Any:
    """Return the estimator, not fitted.

    Args:
        hyperparameters: the algorithm and its values.
        cells: rows times features, to decide on threads.
    """
    values = dict(hyperparameters.values)
    values.pop("validation_fraction")
    seed = values.pop("seed")
    if hyperparameters.algorithm is Algorithm.RANDOM_FOREST:
        jobs = -1 if cells >= _PARALLEL_CELLS else 1
        return RandomForestClassifier(**values, random_state=seed, n_jobs=jobs)
    if hyperparameters.algorithm is Algorithm.GRADIENT_BOOSTING:
        return GradientBoostingClassifier(**values, random_state=seed)
    return make_pipeline(StandardScaler(), LogisticRegression(**values, random_state=seed))


def fit(
    hyperparameters: Hyperparameters, rows: NDArray[np.float32], truth: NDArray[np.int64]
) -> Any:
    """Return a fitted estimator of class numbers.

    Args:
        hyperparameters: the algorithm and its values.
        rows: shape (rows, features).
        truth: class numbers from 0, shape (rows,); every class occurs.
    """
    return build(hyperparameters, rows.size).fit(rows, truth)
