"""scikit-learn to ONNX, and the proof that both answer the same."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType

from model.errors import ExportError
from model.hyperparameters import Algorithm
from model.predictor import Predictor
from model.trees import arrange

# Sums of 32-bit probabilities differ from 64-bit ones by about 1e-6 over some hundred trees; the
# boosted scores, which are larger than their sum, by up to some 1e-4.
PROBABILITY_TOLERANCE = 1e-4
_BOOSTED_TOLERANCE = 1e-3
# Of a regression: the share of the values' spread that an answer may be off.
_VALUE_TOLERANCE = 1e-4
_NAMED_ROWS = 10


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the ONNX model and its estimator agreed.

    Attributes:
        worst: largest difference of a probability, or of a value.
        tolerance: what was allowed.
        ties: rows whose two best classes were too close to tell apart.
    """

    worst: float
    tolerance: float
    ties: int


def tolerance_of(algorithm: Algorithm) -> float:
    """Return how much a probability may differ."""
    boosted = algorithm is Algorithm.HIST_GRADIENT_BOOSTING
    return _BOOSTED_TOLERANCE if boosted else PROBABILITY_TOLERANCE


def to_onnx_bytes(estimator: Any, width: int) -> bytes:
    """Return the ONNX model: input float32 (rows, width), outputs class numbers and probabilities.

    Args:
        estimator: fitted, of class numbers or of values.
        width: numbers a row.
    """
    classifier = hasattr(estimator, "predict_proba")
    with warnings.catch_warnings():
        # skl2onnx writes boosted trees' flags as booleans, which protobuf wants to be integers.
        warnings.filterwarnings("ignore", "Field onnx.AttributeProto.ints", DeprecationWarning)
        model = to_onnx(
            estimator,
            initial_types=[("input", FloatTensorType([None, width]))],
            options={id(estimator): {"zipmap": False}} if classifier else None,
        )
    arrange(model)
    content: bytes = model.SerializeToString()
    return content


def check_same_answers(
    estimator: Any,
    predictor: Predictor,
    rows: NDArray[np.float32],
    tolerance: float = PROBABILITY_TOLERANCE,
) -> Comparison:
    """Compare the ONNX model with the estimator it came from.

    Labels must be equal, except on a row whose two best classes are within the tolerance of each
    other: which of two equals wins is rounding.

    Raises:
        ExportError: a label differs, or a probability by more than the tolerance.
    """
    if not predictor.classes:
        return _check_same_values(estimator, predictor, rows)
    expected = np.asarray(estimator.predict_proba(rows), dtype=np.float64)
    labels = np.asarray(estimator.predict(rows))
    numbers, probabilities = predictor.run(rows)
    difference = np.abs(expected - probabilities)
    _refuse(difference.max(axis=1, initial=0.0), tolerance, "probabilities")
    best = np.sort(expected, axis=1)
    tie = best[:, -1] - best[:, -2] <= 2 * tolerance
    wrong = np.flatnonzero((numbers != labels) & ~tie)
    if wrong.size:
        raise ExportError(
            f"the ONNX model answers another class than scikit-learn on {wrong.size} of "
            f"{len(rows)} validation rows: {_named(wrong)}"
        )
    return Comparison(float(difference.max(initial=0.0)), tolerance, int(tie.sum()))


def _check_same_values(
    estimator: Any, predictor: Predictor, rows: NDArray[np.float32]
) -> Comparison:
    expected = np.asarray(estimator.predict(rows), dtype=np.float64)
    _, values = predictor.run(rows)
    difference = np.abs(expected - values[:, 0])
    tolerance = _VALUE_TOLERANCE * max(float(expected.std()), float(np.abs(expected).mean()))
    _refuse(difference, tolerance, "values")
    return Comparison(float(difference.max(initial=0.0)), tolerance, 0)


def _refuse(difference: NDArray[np.float64], tolerance: float, what: str) -> None:
    wrong = np.flatnonzero(~(difference <= tolerance))  # NaN too
    if wrong.size:
        raise ExportError(
            f"the ONNX model's {what} differ from scikit-learn's by up to "
            f"{float(difference[wrong].max()):.2g} on {wrong.size} of {len(difference)} validation "
            f"rows: {_named(wrong)}; at most {tolerance:.2g} is allowed. "
            "Features of very different or very large size lose digits as 32-bit floats: scale them"
        )


def _named(rows: NDArray[Any]) -> str:
    more = ", …" if rows.size > _NAMED_ROWS else ""
    return ", ".join(str(row + 1) for row in rows[:_NAMED_ROWS]) + more
