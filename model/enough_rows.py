"""Pure: whether a dataset has rows enough for what the hyperparameters divide it into.

Folds, for cross-validation, a calibration or a threshold, need rows of each class, and so does the
tenth of the rows by which boosting stops early. Training checks it before it fits; the data gate
foresees it from the numbers of rows.
"""

from __future__ import annotations

from collections.abc import Mapping

from model.cells import quote
from model.errors import HyperparameterError
from model.hyperparameters import Hyperparameters

# Boosting that stops early holds out a tenth of the rows.
_TENTH = 10


def check_enough_rows(
    hyperparameters: Hyperparameters, counts: Mapping[str, int], *, regression: bool
) -> None:
    """Check that the training rows can be divided as the hyperparameters say.

    Args:
        hyperparameters: the algorithm and its values.
        counts: training rows by class, without those that are held out for validation; of a
            regression, one number of rows.
        regression: the label is a number to predict.

    Raises:
        HyperparameterError: there are too few rows, or too few of a class.
    """
    folds = hyperparameters.folds
    stops_early = hyperparameters.values.get("n_iter_no_change") is not None and not regression
    if folds:
        check_folds(folds, counts, regression=regression)
        if stops_early:
            # Of the rows, and of each class, the largest fold has a share that is rounded up.
            check_early_stop(
                sum(counts.values()) - _share(sum(counts.values()), folds),
                [rows - _share(rows, folds) for rows in counts.values()],
            )
    if stops_early:
        check_early_stop(sum(counts.values()), list(counts.values()))


def check_folds(folds: int, counts: Mapping[str, int], *, regression: bool) -> None:
    """Check that each fold can have rows, of each class.

    Args:
        folds: number of folds, 2 or more.
        counts: training rows by class; of a regression, one number of rows.
        regression: the label is a number to predict.

    Raises:
        HyperparameterError: there are too few rows, or too few of a class.
    """
    if regression:
        rows = sum(counts.values())
        if rows < 2 * folds:
            raise HyperparameterError(
                f"hyperparameters: {folds} folds need {2 * folds} training rows, and there are "
                f"{rows}; set a lower cross_validation or add rows"
            )
        return
    rarest = min(counts, key=lambda name: (counts[name], name))
    if counts[rarest] < folds:
        raise HyperparameterError(
            f"hyperparameters: {folds} folds need as many training rows of each class, and class "
            f"{quote(rarest)} has {counts[rarest]}; set a lower cross_validation, add "
            "rows of this class, or leave calibration and decision_threshold out"
        )


def check_early_stop(rows: int, of_class: list[int]) -> None:
    """Check that the tenth of the rows by which boosting stops early can have each class.

    Args:
        rows: number of rows that are fitted.
        of_class: those of each class.

    Raises:
        HyperparameterError: there are too few rows.
    """
    if _share(rows, _TENTH) < len(of_class) or min(of_class) < 2:
        raise HyperparameterError(
            f"hyperparameters: n_iter_no_change holds out a tenth of the {rows} training "
            f"rows, and that is too few for {len(of_class)} classes; add rows or leave "
            "n_iter_no_change out"
        )


def _share(rows: int, parts: int) -> int:
    return -(-rows // parts)
