"""Exports a scikit-learn estimator to ONNX and checks that both predict the same."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.ensemble import GradientBoostingClassifier

from model.asked_rows import rows_of_columns
from model.category_export import boosting_to_onnx, has_categories
from model.columns import Columns
from model.decision import Decided, Decision
from model.decision_export import add_decision
from model.errors import ExportError
from model.forest_export import FORESTS, forest_to_onnx
from model.hyperparameters import Algorithm
from model.linear_export import is_linear, linear_to_onnx
from model.predictor import Predictor
from model.thresholds import rows_on_thresholds, with_32_bit_thresholds
from model.trees import optimize_trees

# Over a few hundred trees, sums of 32-bit probabilities differ from 64-bit ones by about 1e-6.
# Boosted scores, whose terms are larger than their sum, differ by up to a few 1e-4.
PROBABILITY_TOLERANCE = 1e-4
_BOOSTED_TOLERANCE = 1e-3
# Between two steps of an isotonic calibration, the probability rises by up to 1,000 times as much.
_ISOTONIC_TOLERANCE = 1e-3
# The allowed error of a regression's value, as a share of the size of the values.
_VALUE_TOLERANCE = 1e-4
_MAX_LISTED_ROWS = 10
# The given rows, in messages.
_VALIDATION = "validation rows"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result of comparing the ONNX model with its estimator.

    Attributes:
        worst: the largest difference of a probability, or of a regression's value.
        tolerance: the largest difference allowed.
        ties: number of rows whose two most probable classes were too close to tell apart.
    """

    worst: float
    tolerance: float
    ties: int


def tolerance_of(algorithm: Algorithm, decision: Decision | None = None) -> float:
    """Return the allowed difference of a probability.

    A regression has no probabilities; `Equivalence` scales its tolerance to its values.
    """
    if decision is not None and decision.points is not None:
        return _ISOTONIC_TOLERANCE
    match algorithm:
        case Algorithm.HIST_GRADIENT_BOOSTING:
            return _BOOSTED_TOLERANCE
        case (
            Algorithm.RANDOM_FOREST
            | Algorithm.EXTRA_TREES
            | Algorithm.GRADIENT_BOOSTING
            | Algorithm.LOGISTIC_REGRESSION
            | Algorithm.LINEAR_REGRESSION
        ):
            return PROBABILITY_TOLERANCE
        case _:
            assert_never(algorithm)


def to_onnx_bytes(estimator: Any, width: int, decision: Decision | None = None) -> bytes:
    """Return the serialized ONNX model.

    Its input is float32, shape (rows, width). Its outputs are class numbers and probabilities, or a
    regression's values.

    Args:
        estimator: a fitted classifier of class numbers, or a fitted regressor.
        width: numbers per row.
        decision: the calibration and the threshold of two classes, or None.
    """
    model = _to_onnx(estimator, width)
    if decision is not None:
        add_decision(model, estimator, decision)
    content: bytes = model.SerializeToString()
    return content


def _to_onnx(estimator: Any, width: int) -> ModelProto:
    if isinstance(estimator, FORESTS):
        return forest_to_onnx(estimator, width)
    if has_categories(estimator):
        return boosting_to_onnx(estimator, width)
    if is_linear(estimator):
        return linear_to_onnx(estimator, width)
    classifier = hasattr(estimator, "predict_proba")
    estimator = with_32_bit_thresholds(estimator)
    with warnings.catch_warnings():
        # skl2onnx writes the flags of boosted trees as booleans where protobuf expects integers.
        warnings.filterwarnings("ignore", "Field onnx.AttributeProto.ints", DeprecationWarning)
        model: ModelProto = to_onnx(
            estimator,
            initial_types=[("input", FloatTensorType([None, width]))],
            options={id(estimator): {"zipmap": False}} if classifier else None,
        )
    # Of two equal classes, scikit-learn takes the second in gradient boosting, else the first.
    optimize_trees(model, tie_is_second=isinstance(estimator, GradientBoostingClassifier))
    return model


class Equivalence:
    """The answers of an estimator, with which exported models of it are compared.

    They are computed once, however many models are compared. Besides the given rows, rows on
    the thresholds of the estimator's trees and one and two 32-bit floats beside them are compared,
    and rows of each category and each missing value that an endpoint may be asked.

    Args:
        estimator: the fitted estimator.
        rows: encoded rows to compare on, shape (rows, width), at least one.
        tolerance: the allowed difference of a probability.
        decision: the calibration and the threshold of two classes, or None.
        columns: the columns of the rows; None for plain numbers.
    """

    def __init__(
        self,
        estimator: Any,
        rows: NDArray[np.float32],
        tolerance: float = PROBABILITY_TOLERANCE,
        decision: Decision | None = None,
        columns: Columns | None = None,
    ) -> None:
        asked = {
            _VALIDATION: rows,
            "rows on the thresholds of its trees": rows_on_thresholds(estimator, rows),
        }
        if columns is not None:
            asked["rows of each category and missing value"] = rows_of_columns(columns, rows)
        self._asked = {noun: some for noun, some in asked.items() if len(some)}
        self._estimator = estimator if decision is None else Decided(estimator, decision)
        self._tolerance = tolerance
        # Of each kind of rows: the probabilities, the labels, and how far from another answer.
        self._answers: dict[
            str, tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]
        ] = {}
        # Of a regression.
        self._values: dict[str, NDArray[np.float64]] = {}

    def check(self, predictor: Predictor) -> Comparison:
        """Compare an exported model's predictions with the estimator's.

        Labels must be equal, except on a row whose two most probable classes are within the
        tolerance of each other: there, rounding decides which one wins.

        Args:
            predictor: the exported model.

        Raises:
            ExportError: a label differs, a probability differs by more than the tolerance, or
                scikit-learn's own predictions are not finite.
        """
        compare = self._compare if predictor.classes else self._compare_values
        compared = [compare(predictor, noun) for noun in self._asked]
        worst = max(comparison.worst for comparison in compared)
        ties = sum(comparison.ties for comparison in compared)
        return Comparison(worst, compared[0].tolerance, ties)

    def _compare(self, predictor: Predictor, noun: str) -> Comparison:
        rows, tolerance = self._asked[noun], self._tolerance
        if noun not in self._answers:
            estimator = self._estimator
            found = _predict(estimator.predict_proba, rows, "probabilities", noun)
            labels = np.asarray(estimator.predict(rows))
            self._answers[noun] = found, labels, _margins(estimator, found)
        expected, labels, margins = self._answers[noun]
        numbers, probabilities = predictor.run(rows)
        difference = np.abs(expected - probabilities)
        _check_difference(difference.max(axis=1, initial=0.0), tolerance, "probabilities", noun)
        tie = margins <= 2 * tolerance
        wrong = np.flatnonzero((numbers != labels) & ~tie)
        if wrong.size:
            raise ExportError(
                f"the exported model predicts another class than scikit-learn on {wrong.size} of "
                f"{len(rows)} {noun}: {_row_list(wrong)}"
            )
        return Comparison(float(difference.max(initial=0.0)), tolerance, int(tie.sum()))

    def _compare_values(self, predictor: Predictor, noun: str) -> Comparison:
        expected = self._values_of(noun)
        # A value must be right in relation to those of the validation rows.
        of_rows = self._values_of(_VALIDATION)
        scale = max(float(of_rows.std()), float(np.abs(of_rows).mean()))
        _, values = predictor.run(self._asked[noun])
        difference = np.abs(expected - values[:, 0])
        tolerance = _VALUE_TOLERANCE * scale
        # A value that is larger by far may differ by a part of itself.
        difference *= scale / np.maximum(scale, np.abs(expected))
        _check_difference(difference, tolerance, "values", noun)
        return Comparison(float(difference.max(initial=0.0)), tolerance, 0)

    def _values_of(self, noun: str) -> NDArray[np.float64]:
        if noun not in self._values:
            rows = self._asked[noun]
            self._values[noun] = _predict(self._estimator.predict, rows, "values", noun)
        return self._values[noun]


def _margins(estimator: Any, expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far the probabilities of each row are from another answer."""
    decision = getattr(estimator, "decision", None)
    if decision is not None and decision.threshold is not None:
        return np.asarray(np.abs(expected[:, decision.positive] - decision.threshold))
    best = np.sort(expected, axis=1)
    return np.asarray(best[:, -1] - best[:, -2])


def _predict(
    predict: Callable[[NDArray[np.float32]], Any],
    rows: NDArray[np.float32],
    quantity: str,
    noun: str,
) -> NDArray[np.float64]:
    """Return scikit-learn's predictions.

    Raises:
        ExportError: they are not finite.
    """
    advice = "scale the features, or, for boosted trees, set a smaller learning_rate"
    try:
        with np.errstate(all="ignore"):  # an overflow is reported below, not warned of
            expected = np.asarray(predict(rows), dtype=np.float64)
    except ValueError as error:
        if "infinity" not in str(error):
            raise
        raise ExportError(
            f"scikit-learn cannot predict the {noun}, because their scaled features overflow: "
            f"{advice}"
        ) from None
    finite = np.isfinite(expected).reshape(len(rows), -1).all(axis=1)
    wrong = np.flatnonzero(~finite)
    if wrong.size:
        raise ExportError(
            f"scikit-learn's own {quantity} are not finite on {wrong.size} of {len(rows)} {noun}: "
            f"{_row_list(wrong)}. Its sums overflow: {advice}"
        )
    return expected


def _check_difference(
    difference: NDArray[np.float64], tolerance: float, quantity: str, noun: str
) -> None:
    wrong = np.flatnonzero(~(difference <= tolerance))  # also finds NaN
    if wrong.size:
        raise ExportError(
            f"the exported model's {quantity} differ from scikit-learn's by up to "
            f"{float(difference[wrong].max()):.2g} on {wrong.size} of {len(difference)} "
            f"{noun}: {_row_list(wrong)}; at most {tolerance:.2g} is allowed. The exported model "
            "calculates with 32-bit floats: scale features of very different or very large size, "
            "or, for boosted trees, set a smaller learning_rate or fewer trees"
        )


def _row_list(rows: NDArray[Any]) -> str:
    more = ", …" if rows.size > _MAX_LISTED_ROWS else ""
    return ", ".join(str(row + 1) for row in rows[:_MAX_LISTED_ROWS]) + more
