"""Fits a scikit-learn estimator.

Features are 32-bit floats from the start. The served ONNX model sees 32 bits only, and a threshold
that a tree learnt between two 64-bit values could fall on the wrong side of both after rounding.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from model.enough_rows import check_early_stop
from model.errors import HyperparameterError
from model.hyperparameters import Algorithm, Hyperparameters, check_class_weight
from model.progress import Progress
from model.tree_size import MAX_TREE_SIZE, TreeSize

# Below this many cells, starting threads costs more time than they save.
_PARALLEL_CELLS = 1_000_000
_FORESTS: Mapping[Algorithm, tuple[Any, Any]] = {
    Algorithm.RANDOM_FOREST: (RandomForestClassifier, RandomForestRegressor),
    Algorithm.EXTRA_TREES: (ExtraTreesClassifier, ExtraTreesRegressor),
}
# A forest is grown in at most this many steps, so that its progress can be reported.
_STEPS = 20


def learns_from_missing(algorithm: Algorithm) -> bool:
    """Return True if the algorithm accepts NaN as a missing value."""
    match algorithm:
        case Algorithm.HIST_GRADIENT_BOOSTING:
            return True
        case (
            Algorithm.RANDOM_FOREST
            | Algorithm.EXTRA_TREES
            | Algorithm.GRADIENT_BOOSTING
            | Algorithm.LOGISTIC_REGRESSION
            | Algorithm.LINEAR_REGRESSION
        ):
            return False
        case _:
            assert_never(algorithm)


def class_weights(
    setting: object, truth: NDArray[np.int64], classes: tuple[str, ...]
) -> dict[int, float] | None:
    """Return the weight of each class number, or None if all classes have the same weight.

    Args:
        setting: the hyperparameter class_weight: None, `balanced`, or a weight by class name.
        truth: class numbers, shape (rows,); `balanced` gives a class the weight
            rows / (classes * rows of the class).
        classes: the class names, in the order of their numbers.

    Raises:
        HyperparameterError: a weight is given for an unknown class, or a class has no weight.
    """
    if setting is None:
        return None
    if not isinstance(setting, Mapping):
        counts = np.bincount(truth, minlength=len(classes))
        return {n: float(len(truth) / (len(classes) * count)) for n, count in enumerate(counts)}
    check_class_weight(setting, classes)
    return {number: float(setting[name]) for number, name in enumerate(classes)}


def fit(
    hyperparameters: Hyperparameters,
    rows: NDArray[np.float32],
    truth: NDArray[Any],
    classes: tuple[str, ...] = (),
    progress: Progress | None = None,
    max_tree_size: int = MAX_TREE_SIZE,
    *,
    regression: bool = False,
    categorical: Sequence[int] = (),
) -> Any:
    """Return an estimator fitted to predict class numbers, or values for a regression.

    Args:
        hyperparameters: the algorithm and its values.
        rows: encoded rows, shape (rows, numbers).
        truth: class numbers from 0 without gaps, or a regression's values; shape (rows,).
        classes: the class names, in the order of their numbers; needed for class_weight.
        progress: its `total` and `done` are updated during the fit.
        max_tree_size: nodes of all trees and scores in their leaves, at most. A forest is refused
            after a twentieth of its trees, gradient boosting when it reaches the limit, and
            histogram boosting after its fit, which takes little memory.
        regression: trees predict a value; a linear model does by its algorithm.
        categorical: indexes of the numbers that are the place of a category, from 1, or NaN; for
            histogram boosting only.

    Raises:
        HyperparameterError: class_weight does not fit the classes, or the model is too large.
    """
    progress = progress or Progress()
    values: dict[str, Any] = dict(hyperparameters.estimator_arguments)
    seed = hyperparameters.seed
    algorithm = hyperparameters.algorithm
    size = TreeSize(max_tree_size)
    # None for the algorithms without the hyperparameter.
    weighted = hyperparameters.values.get("class_weight")
    if weighted is not None and regression:
        raise HyperparameterError(
            "hyperparameters: class_weight is for classes, and the label of this dataset is a "
            "number to predict; leave class_weight out"
        )
    weights = class_weights(weighted, truth, classes)
    if values.get("n_iter_no_change") is not None and not regression:
        present = np.bincount(truth)
        check_early_stop(len(truth), present[present > 0].tolist())
    if not regression and algorithm in _FORESTS:
        values["class_weight"] = weights
    match algorithm:
        case Algorithm.RANDOM_FOREST | Algorithm.EXTRA_TREES:
            kind = _FORESTS[algorithm][regression]
            return _grow_forest(kind, values, seed, rows, truth, progress, size)
        case Algorithm.GRADIENT_BOOSTING:
            progress.total = values["n_estimators"]

            def report(number: int, growing: Any, *_: object) -> bool:
                progress.done = number + 1
                for tree in np.ravel(growing.estimators_[number]):
                    size.add(tree)
                size.check(1, 1)
                return False  # True would stop the fit

            boosted = GradientBoostingRegressor if regression else GradientBoostingClassifier
            return boosted(**values, random_state=seed).fit(rows, truth, monitor=report)
        case Algorithm.LOGISTIC_REGRESSION:
            logistic = LogisticRegression(**values, class_weight=weights, random_state=seed)
            return make_pipeline(StandardScaler(), logistic).fit(rows, truth)
        case Algorithm.HIST_GRADIENT_BOOSTING:
            # Without a number of iterations there is no early stop.
            patience = values.pop("n_iter_no_change")
            values["categorical_features"] = list(categorical) or None
            values["early_stopping"] = patience is not None
            if patience is not None:
                values["n_iter_no_change"] = patience
            boosting: Any = (
                HistGradientBoostingRegressor(**values, random_state=seed)
                if regression
                else HistGradientBoostingClassifier(
                    **values, class_weight=weights, random_state=seed
                )
            )
            progress.total = values["max_iter"]
            # scikit-learn appends one entry per iteration.
            progress.measure = lambda: len(getattr(boosting, "_predictors", ()))
            boosting.fit(rows, truth)
            for tree in chain.from_iterable(boosting._predictors):
                size.add(tree)
            size.check(1, 1)
            return boosting
        case Algorithm.LINEAR_REGRESSION:
            # With 32 bits, columns that depend on each other, as one-hot columns of more categories
            # than rows do, would get coefficients of a hundred thousand that cancel.
            wide = FunctionTransformer(_in_64_bits)
            linear = make_pipeline(wide, StandardScaler(), LinearRegression(**values))
            return linear.fit(rows, truth)
        case _:
            assert_never(algorithm)


def _in_64_bits(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    return rows.astype(np.float64)


def _grow_forest(
    kind: Any,
    values: dict[str, Any],
    seed: int,
    rows: NDArray[np.float32],
    truth: NDArray[Any],
    progress: Progress,
    size: TreeSize,
) -> Any:
    """Return a forest that is grown in steps; its trees are those that one fit would grow."""
    trees = values.pop("n_estimators")
    progress.total = trees
    forest = kind(
        **values,
        n_estimators=1,
        random_state=seed,
        n_jobs=-1 if rows.size >= _PARALLEL_CELLS else 1,
        warm_start=True,
    )
    # Each step grows trees for all cores, or some of them would wait.
    step = max(-(-trees // _STEPS), min(trees, 2 * (os.cpu_count() or 1)))
    for number in range(step, trees + step, step):
        forest.set_params(n_estimators=min(number, trees)).fit(rows, truth)
        # A leaf has a score for each class; that of the second of two is enough.
        classes = getattr(forest, "n_classes_", 1)
        for tree in forest.estimators_[progress.done :]:
            size.add(tree, scores=1 if classes == 2 else classes)
        progress.done = min(number, trees)
        size.check(progress.done, trees)
    return forest.set_params(warm_start=False)
