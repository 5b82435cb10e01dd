"""Folds of the training rows, each of which is answered by a model of the other ones.

The folds are scikit-learn's: stratified by class and shuffled by the seed, or only shuffled for a
regression. The columns are those of all training rows: their categories and medians do not depend
on a label.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import KFold, StratifiedKFold

from model.decision import Decision, OutOfFold, decide, learn_decision, raw_scores
from model.enough_rows import check_folds
from model.estimator import fit
from model.hyperparameters import Hyperparameters
from model.metrics import evaluate, evaluate_regression, ranking_metrics
from model.progress import Progress

_CLASSIFICATION = ("accuracy", "f1_macro", "log_loss")
_REGRESSION = ("rmse", "mae", "r2")


@dataclass(frozen=True, slots=True)
class FoldAnswers:
    """The answers of the models of all folds, in the order of the training rows.

    Attributes:
        folds: the rows' fold numbers, from 0, shape (rows,).
        values: probabilities, shape (rows, classes), or a regression's values, shape (rows,).
        raw: what a calibration by a sigmoid takes, shape (rows,); empty without two classes.
    """

    folds: NDArray[np.int64]
    values: NDArray[np.float64]
    raw: NDArray[np.float64]


def answers_out_of_fold(
    hyperparameters: Hyperparameters,
    rows: NDArray[np.float32],
    truth: NDArray[Any],
    classes: tuple[str, ...],
    folds: int,
    progress: Progress | None = None,
    categorical: tuple[int, ...] = (),
) -> FoldAnswers:
    """Fit a model without each fold, and let it answer the fold's rows.

    Args:
        hyperparameters: the algorithm and its values.
        rows: encoded training rows, shape (rows, numbers).
        truth: class numbers or values, shape (rows,).
        classes: the class names; empty for a regression.
        folds: number of folds, 2 or more.
        progress: its `total` and `done` are updated, in folds.
        categorical: indexes of the numbers that are the place of a category.

    Raises:
        HyperparameterError: there are fewer rows, or rows of a class, than folds.
    """
    progress = progress or Progress()
    progress.total = folds
    numbers = np.bincount(truth, minlength=len(classes)).tolist() if classes else [len(truth)]
    counts = dict(zip(classes or ("",), numbers, strict=True))
    check_folds(folds, counts, regression=not classes)
    kind = StratifiedKFold if classes else KFold
    splitter = kind(folds, shuffle=True, random_state=hyperparameters.seed)
    of_fold = np.zeros(len(rows), np.int64)
    values = np.zeros((len(rows), len(classes)) if classes else len(rows))
    raw = np.zeros(len(rows) if len(classes) == 2 else 0)
    for number, (kept, held) in enumerate(splitter.split(rows, truth)):
        estimator = fit(
            hyperparameters,
            rows[kept],
            truth[kept],
            classes,
            regression=not classes,
            categorical=categorical,
        )
        of_fold[held] = number
        answer = estimator.predict_proba if classes else estimator.predict
        values[held] = answer(rows[held])
        if len(raw):
            raw[held] = raw_scores(estimator, rows[held])
        progress.done = number + 1
    return FoldAnswers(of_fold, values, raw)


def decision_of(
    found: FoldAnswers, truth: NDArray[Any], hyperparameters: Hyperparameters, positive: int
) -> Decision:
    """Return the calibration and the threshold that the answers of the folds ask for."""
    return learn_decision(_of_two(found), truth, hyperparameters, positive)


def cross_validated(
    found: FoldAnswers,
    truth: NDArray[Any],
    classes: tuple[str, ...],
    hyperparameters: Hyperparameters,
    positive: int | None = None,
) -> Mapping[str, Mapping[str, float]]:
    """Return the mean and the standard deviation of each metric over the folds.

    With a calibration or a threshold, that of a fold is learnt from the answers of the others.

    Args:
        found: the answers of the folds.
        truth: class numbers or values, shape (rows,).
        classes: the class names; empty for a regression.
        hyperparameters: whether to calibrate, and by which threshold to decide.
        positive: the class of two that ROC-AUC and its like are about, or None.

    Returns:
        By metric: `mean`, and `std` (of the population of the folds).
    """
    by_metric: dict[str, list[float]] = {}
    for number in range(int(found.folds.max()) + 1):
        held = found.folds == number
        if not classes:
            metrics = evaluate_regression(truth[held], found.values[held]).as_json()
            names: tuple[str, ...] = _REGRESSION
        else:
            shares = found.values[held]
            predicted = shares.argmax(axis=1)
            if hyperparameters.decides and positive is not None:
                of_all = _of_two(found)
                decision = learn_decision(
                    of_all.select(~held), truth[~held], hyperparameters, positive
                )
                predicted, shares = decide(decision, of_all.select(held))
            metrics = evaluate(truth[held], predicted, shares).as_json(classes)
            ranking = ranking_metrics(truth[held], shares, classes, positive)
            metrics |= ranking
            names = (*_CLASSIFICATION, *(name for name in ranking if name != "positive_class"))
        for name in names:
            by_metric.setdefault(name, []).append(float(metrics[name]))
    return {
        name: {"mean": float(np.mean(of)), "std": float(np.std(of))}
        for name, of in by_metric.items()
    }


def _of_two(found: FoldAnswers) -> OutOfFold:
    return OutOfFold(found.values, found.raw)
