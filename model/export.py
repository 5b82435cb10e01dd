"""scikit-learn to ONNX, and the proof that both answer the same."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType

from model.errors import ExportError
from model.predictor import Predictor

# Sums of 32-bit probabilities differ from 64-bit ones by about 1e-6 over some hundred trees.
PROBABILITY_TOLERANCE = 1e-4


def to_onnx_bytes(estimator: Any, width: int) -> bytes:
    """Return the ONNX model: input float32 (rows, width), outputs class numbers and probabilities.

    Args:
        estimator: fitted, of class numbers.
        width: number of features.
    """
    model = to_onnx(
        estimator,
        initial_types=[("input", FloatTensorType([None, width]))],
        options={id(estimator): {"zipmap": False}},
    )
    content: bytes = model.SerializeToString()
    return content


def check_same_answers(
    estimator: Any, predictor: Predictor, rows: NDArray[np.float32]
) -> tuple[float, int]:
    """Compare the ONNX model with the estimator it came from.

    Labels must be equal, except on a row whose two best classes are within the tolerance of each
    other: which of two equals wins is rounding.

    Returns:
        The largest difference of a probability, and the number of rows that were ties.

    Raises:
        ExportError: a label differs, or a probability by more than PROBABILITY_TOLERANCE.
    """
    expected = np.asarray(estimator.predict_proba(rows), dtype=np.float64)
    labels = np.asarray(estimator.predict(rows))
    numbers, probabilities = predictor.run(rows)
    difference = np.abs(expected - probabilities)
    worst = float(difference.max(initial=0.0))
    if not worst <= PROBABILITY_TOLERANCE:  # also when it is NaN
        row = int(difference.max(axis=1).argmax())
        raise ExportError(
            f"the ONNX model's probabilities differ from scikit-learn's by {worst:.2g} on "
            f"validation row {row + 1}; at most {PROBABILITY_TOLERANCE:g} is allowed. "
            "Features of very different or very large size lose digits as 32-bit floats: scale them"
        )
    best = np.sort(expected, axis=1)
    tie = best[:, -1] - best[:, -2] <= 2 * PROBABILITY_TOLERANCE
    wrong = np.flatnonzero((numbers != labels) & ~tie)
    if wrong.size:
        raise ExportError(
            f"the ONNX model answers another class than scikit-learn on {wrong.size} of "
            f"{len(rows)} validation rows, first on row {wrong[0] + 1}"
        )
    return worst, int(tie.sum())
