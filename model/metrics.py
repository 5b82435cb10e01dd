"""Pure: the quality metrics of a model's predictions.

They are written out here, next to their definitions, and computed from the predictions of the ONNX
model that will be served. A test compares them with scikit-learn's.
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
    """The metrics of a classifier on one set of rows.

    Attributes:
        confusion: number of rows by true class (first index) and predicted class, shape
            (classes, classes).
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
        """Return the share of rows that are predicted correctly, 0 to 1."""
        return float(np.trace(self.confusion) / self.confusion.sum())

    @property
    def f1(self) -> NDArray[np.float64]:
        """Return 2·TP / (2·TP + FP + FN) by class, shape (classes,).

        A class that neither occurs nor is predicted has 0.
        """
        total = self.confusion.sum(axis=0) + self.confusion.sum(axis=1)
        f1: NDArray[np.float64] = 2 * np.diag(self.confusion) / np.maximum(total, 1)
        return f1

    @property
    def f1_macro(self) -> float:
        """Return the mean F1 of the classes that occur or are predicted."""
        present = (self.confusion.sum(axis=0) + self.confusion.sum(axis=1)) > 0
        return float(self.f1[present].mean())

    def as_json(self, classes: tuple[str, ...]) -> dict[str, Any]:
        """Return the metrics, and precision, recall and F1 of each class."""
        correct = np.diag(self.confusion)
        predicted, actual = self.confusion.sum(axis=0), self.confusion.sum(axis=1)
        return {
            "rows": self.rows,
            "accuracy": self.accuracy,
            "f1_macro": self.f1_macro,
            "log_loss": self.log_loss,
            "by_class": {
                name: {
                    "rows": int(actual[i]),
                    "precision": float(correct[i] / predicted[i]) if predicted[i] else 0.0,
                    "recall": float(correct[i] / actual[i]) if actual[i] else 0.0,
                    "f1": float(self.f1[i]),
                }
                for i, name in enumerate(classes)
            },
        }


@dataclass(frozen=True, slots=True)
class RegressionEvaluation:
    """The metrics of a regression on one set of rows.

    Attributes:
        rows: number of rows.
        rmse: root of the mean squared error, in the label's unit.
        mae: mean absolute error, in the label's unit.
        r2: 1 - squared errors / squared distances from the mean; 0 if all values are equal.
    """

    rows: int
    rmse: float
    mae: float
    r2: float

    def as_json(self) -> dict[str, Any]:
        """Return the metrics as a JSON object."""
        return {"rows": self.rows, "rmse": self.rmse, "mae": self.mae, "r2": self.r2}


def ranking_metrics(
    truth: NDArray[np.int64],
    probabilities: NDArray[np.float32] | NDArray[np.float64],
    classes: tuple[str, ...],
    positive: int | None = None,
) -> dict[str, float | str]:
    """Return how good the probabilities of two classes are, by scikit-learn.

    Accuracy says little where one class is rare: answering the other one always is right nearly
    always. These metrics do not depend on a threshold.

    Args:
        truth: the true class numbers, shape (rows,).
        probabilities: shape (rows, 2).
        classes: the class names.
        positive: number of the positive class; None takes the one with fewer rows.

    Returns:
        positive_class: the class with fewer rows, the second if both have as many.
        roc_auc: probability that a row of it is ranked above a row of the other class, 0 to 1.
        average_precision: mean precision over the recall of it, 0 to 1.
        brier_score: mean squared distance of its probability from 1 for its rows, and from 0 for
            the others, 0 to 1; lower is better.
        An empty dictionary if there are more classes, or one of them has no row.
    """
    counts = np.bincount(truth, minlength=len(classes))
    if len(classes) != 2 or not counts.all():
        return {}
    # Imported late: the server computes no metrics, and starts without scikit-learn.
    from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

    if positive is None:
        positive = positive_of(truth)
    scores = probabilities[:, positive].astype(np.float64)
    return {
        "positive_class": classes[positive],
        "roc_auc": float(roc_auc_score(truth == positive, scores)),
        "average_precision": float(average_precision_score(truth == positive, scores)),
        # A sum of 32-bit shares may be a little above 1.
        "brier_score": float(brier_score_loss(truth == positive, scores.clip(0, 1))),
    }


def positive_of(truth: NDArray[np.int64]) -> int:
    """Return the number of the class of two that has fewer rows, 1 if both have as many."""
    counts = np.bincount(truth, minlength=2)
    return 0 if counts[0] < counts[1] else 1


def evaluate_regression(
    truth: NDArray[np.float64], predicted: NDArray[np.float32] | NDArray[np.float64]
) -> RegressionEvaluation:
    """Return the metrics of predicted values.

    Args:
        truth: the true values, shape (rows,), at least one.
        predicted: the predicted values, shape (rows,).
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
    truth: NDArray[np.int64],
    predicted: NDArray[np.int64],
    probabilities: NDArray[np.float32] | NDArray[np.float64],
) -> Evaluation:
    """Return the metrics of predicted classes.

    Args:
        truth: the true class numbers, shape (rows,), at least one.
        predicted: the predicted class numbers, shape (rows,).
        probabilities: shape (rows, classes).
    """
    classes = probabilities.shape[1]
    confusion = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(confusion, (truth, predicted), 1)
    of_truth = probabilities[np.arange(len(truth)), truth].astype(np.float64)
    loss = -np.log(np.clip(of_truth, _SMALLEST_PROBABILITY, 1.0)).mean()
    return Evaluation(confusion, float(loss) + 0.0)
