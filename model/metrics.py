"""Pure: how good the predictions are.

Written out instead of taken from scikit-learn because they are computed on what will be served,
the ONNX model's own answers, and to be readable beside their definitions; a test compares them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# A probability of exactly 0 for the true class would make the loss infinite.
_SMALLEST_PROBABILITY = float(np.finfo(np.float32).eps)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The figures of one set of rows.

    Attributes:
        confusion: rows counted by true class (first index) and predicted class.
        log_loss: mean of -ln(probability of the true class).
    """

    confusion: NDArray[np.int64]
    log_loss: float

    @property
    def rows(self) -> int:
        """Return the number of rows."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """Return the share of rows predicted right."""
        return float(np.trace(self.confusion) / self.confusion.sum())

    @property
    def f1(self) -> NDArray[np.float64]:
        """Return 2·TP / (2·TP + FP + FN) by class; 0 for a class neither there nor predicted."""
        total = self.confusion.sum(axis=0) + self.confusion.sum(axis=1)
        f1: NDArray[np.float64] = 2 * np.diag(self.confusion) / np.maximum(total, 1)
        return f1

    @property
    def f1_macro(self) -> float:
        """Return the mean F1 of the classes that are there or were predicted."""
        there = (self.confusion.sum(axis=0) + self.confusion.sum(axis=1)) > 0
        return float(self.f1[there].mean())

    def as_json(self, classes: tuple[str, ...]) -> dict[str, Any]:
        """Return the figures, and precision, recall and F1 of each class."""
        right = np.diag(self.confusion)
        predicted, there = self.confusion.sum(axis=0), self.confusion.sum(axis=1)
        return {
            "rows": self.rows,
            "accuracy": self.accuracy,
            "f1_macro": self.f1_macro,
            "log_loss": self.log_loss,
            "by_class": {
                name: {
                    "rows": int(there[i]),
                    "precision": float(right[i] / predicted[i]) if predicted[i] else 0.0,
                    "recall": float(right[i] / there[i]) if there[i] else 0.0,
                    "f1": float(self.f1[i]),
                }
                for i, name in enumerate(classes)
            },
        }


@dataclass(frozen=True, slots=True)
class RegressionEvaluation:
    """The figures of one set of rows of a regression.

    Attributes:
        rows: their number.
        rmse: root of the mean squared error, in the label's unit.
        mae: mean absolute error, in the label's unit.
        r2: 1 - squared errors / squared distances from the mean; 0 where all values are equal.
    """

    rows: int
    rmse: float
    mae: float
    r2: float

    def as_json(self) -> dict[str, Any]:
        """Return the figures."""
        return {"rows": self.rows, "rmse": self.rmse, "mae": self.mae, "r2": self.r2}


def evaluate_regression(
    truth: NDArray[np.float64], predicted: NDArray[np.float32]
) -> RegressionEvaluation:
    """Compare values with the truth.

    Args:
        truth: shape (rows,), at least one.
        predicted: shape (rows,).
    """
    error = predicted.astype(np.float64) - truth
    squares = float(np.square(error).sum())
    spread = float(np.square(truth - truth.mean()).sum())
    return RegressionEvaluation(
        rows=len(truth),
        rmse=float(np.sqrt(squares / len(truth))),
        mae=float(np.abs(error).mean()),
        r2=1 - squares / spread if spread else 0.0,
    )


def evaluate(
    truth: NDArray[np.int64], predicted: NDArray[np.int64], probabilities: NDArray[np.float32]
) -> Evaluation:
    """Compare predictions with the truth.

    Args:
        truth: class numbers, shape (rows,), at least one.
        predicted: class numbers, shape (rows,).
        probabilities: shape (rows, classes).
    """
    classes = probabilities.shape[1]
    confusion = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(confusion, (truth, predicted), 1)
    of_truth = probabilities[np.arange(len(truth)), truth].astype(np.float64)
    loss = -np.log(np.clip(of_truth, _SMALLEST_PROBABILITY, 1.0)).mean()
    return Evaluation(confusion, float(loss) + 0.0)
