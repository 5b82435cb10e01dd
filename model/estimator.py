"""Fit a scikit-learn estimator.

Features are 32-bit from the start: the served ONNX model sees nothing finer, and a tree's threshold
learnt between two 64-bit values could fall on the wrong side of both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from model.cells import quote
from model.errors import HyperparameterError
from model.hyperparameters import Algorithm, Hyperparameters
from model.progress import Progress

# Below this many cells, starting threads costs more than they save.
_PARALLEL_CELLS = 1_000_000
# A forest grows in this many steps, so that its progress can be told.
_STEPS = 20


def learns_from_missing(algorithm: Algorithm) -> bool:
    """Return whether the algorithm takes NaN for what it is."""
    return algorithm is Algorithm.HIST_GRADIENT_BOOSTING


def class_weights(
    wanted: object, truth: NDArray[np.int64], classes: tuple[str, ...]
) -> dict[int, float] | None:
    """Return the weight of each class number, None if all are equal.

    Args:
        wanted: the hyperparameter class_weight.
        truth: class numbers; `balanced` weighs a class by rows / (classes * its rows).
        classes: their names.

    Raises:
        HyperparameterError: a class that there is not, or one without a weight.
    """
    if wanted is None:
        return None
    if not isinstance(wanted, Mapping):
        counts = np.bincount(truth, minlength=len(classes))
        return {n: float(len(truth) / (len(classes) * count)) for n, count in enumerate(counts)}
    if set(wanted) != set(classes):
        raise HyperparameterError(
            f"class_weight names {', '.join(map(quote, wanted))} where the dataset has the classes "
            f"{', '.join(map(quote, classes))}; give each of them a weight"
        )
    return {number: float(wanted[name]) for number, name in enumerate(classes)}


def fit(
    hyperparameters: Hyperparameters,
    rows: NDArray[np.float32],
    truth: NDArray[Any],
    classes: tuple[str, ...] = (),
    progress: Progress | None = None,
) -> Any:
    """Return a fitted estimator: of class numbers, or of values.

    Args:
        hyperparameters: the algorithm and its values.
        rows: shape (rows, numbers).
        truth: class numbers from 0, each of which occurs, or values; shape (rows,).
        classes: the names of the class numbers, for class_weight.
        progress: is told how far it is.
    """
    progress = progress or Progress()
    values: dict[str, Any] = dict(hyperparameters.of_estimator)
    seed = hyperparameters.seed
    algorithm = hyperparameters.algorithm
    if algorithm is Algorithm.LINEAR_REGRESSION:
        return make_pipeline(StandardScaler(), LinearRegression(**values)).fit(rows, truth)
    if algorithm is Algorithm.GRADIENT_BOOSTING:
        progress.total = values["n_estimators"]

        def stage(number: int, *_: object) -> bool:
            progress.done = number + 1
            return False

        return GradientBoostingClassifier(**values, random_state=seed).fit(
            rows, truth, monitor=stage
        )
    weights = class_weights(hyperparameters.values.get("class_weight"), truth, classes)
    if algorithm is Algorithm.LOGISTIC_REGRESSION:
        logistic = LogisticRegression(**values, class_weight=weights, random_state=seed)
        return make_pipeline(StandardScaler(), logistic).fit(rows, truth)
    if algorithm is Algorithm.HIST_GRADIENT_BOOSTING:
        boosting = HistGradientBoostingClassifier(
            **values, class_weight=weights, random_state=seed, early_stopping=False
        )
        progress.total = values["max_iter"]
        # scikit-learn appends to it, an iteration at a time.
        progress.measure = lambda: len(getattr(boosting, "_predictors", ()))
        return boosting.fit(rows, truth)
    return _grow_forest(values, weights, seed, rows, truth, progress)


def _grow_forest(
    values: dict[str, Any],
    weights: dict[int, float] | None,
    seed: int,
    rows: NDArray[np.float32],
    truth: NDArray[np.int64],
    progress: Progress,
) -> Any:
    """Return the forest that one fit would grow, tree for tree, grown in steps."""
    trees = values.pop("n_estimators")
    progress.total = trees
    forest = RandomForestClassifier(
        **values,
        n_estimators=1,
        class_weight=weights,
        random_state=seed,
        n_jobs=-1 if rows.size >= _PARALLEL_CELLS else 1,
        warm_start=True,
    )
    step = max(1, -(-trees // _STEPS))
    for number in range(step, trees + step, step):
        forest.set_params(n_estimators=min(number, trees)).fit(rows, truth)
        progress.done = min(number, trees)
    return forest.set_params(warm_start=False)
