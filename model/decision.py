"""The calibration of two probabilities, and the threshold of the answer.

    sigmoid    Platt's: the model's raw score (before its own sigmoid, if it has one) goes through
               another sigmoid
    isotonic   the probability goes through a rising function of straight pieces
    threshold  the answer is the positive class from this probability of it on

Both are learnt from the answers of models that did not see the rows (`model.folds`), as
scikit-learn's CalibratedClassifierCV(ensemble=False) and TunedThresholdClassifierCV do, so that the
validation rows still say what the model does with new ones.

Source: https://scikit-learn.org/stable/modules/calibration.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.calibration import _SigmoidCalibration
from sklearn.isotonic import IsotonicRegression

from model.hyperparameters import ISOTONIC, SIGMOID, Hyperparameters

Floats = NDArray[np.float64]
# Isotonic pieces are at least so wide, so that a rounding error of 32 bits stays small.
_DECIMALS = 3


@dataclass(frozen=True, slots=True)
class Decision:
    """A calibration of two probabilities, and a threshold.

    Attributes:
        positive: number of the positive class, 0 or 1.
        threshold: the answer is the positive class from this probability on, above 0 to 1; None
            answers the more probable class.
        slope: the sigmoid is 1 / (1 + exp(slope * score + offset)); None without one.
        offset: see `slope`.
        points: the ends of the isotonic pieces, probabilities before and after, shape (points, 2);
            or None.
    """

    positive: int
    threshold: float | None = None
    slope: float | None = None
    offset: float = 0.0
    points: Floats | None = None

    def as_json(self, classes: tuple[str, ...]) -> dict[str, Any]:
        """Return a description of the decision for the metadata."""
        calibration: dict[str, Any] | None = None
        if self.slope is not None:
            calibration = {"kind": SIGMOID, "slope": self.slope, "offset": self.offset}
        elif self.points is not None:
            calibration = {"kind": ISOTONIC, "points": self.points.tolist()}
        return {
            "positive_class": classes[self.positive],
            "threshold": self.threshold,
            "calibration": calibration,
        }


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """Answers to calibrate.

    Attributes:
        shares: the probabilities of two classes, shape (rows, 2).
        raw: the raw scores, shape (rows,).
    """

    shares: Floats
    raw: Floats

    def select(self, chosen: NDArray[np.bool_]) -> Self:
        """Return the answers of some rows."""
        return type(self)(self.shares[chosen], self.raw[chosen])


class Decided:
    """A classifier of two classes that decides by a `Decision`, with scikit-learn's methods.

    Args:
        base: the fitted classifier.
        decision: its decision.
    """

    def __init__(self, base: Any, decision: Decision) -> None:
        self.base, self.decision = base, decision

    def predict_proba(self, rows: NDArray[np.float32]) -> Floats:
        """Return calibrated probabilities, shape (rows, 2)."""
        return self._decide(rows)[1]

    def predict(self, rows: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return class numbers, shape (rows,)."""
        return self._decide(rows)[0]

    def _decide(self, rows: NDArray[np.float32]) -> tuple[NDArray[np.int64], Floats]:
        found = OutOfFold(self.base.predict_proba(rows), raw_scores(self.base, rows))
        return decide(self.decision, found)


def raw_scores(estimator: Any, rows: NDArray[np.float32]) -> Floats:
    """Return what a sigmoid calibrates: scores of the second class, or else its probabilities."""
    if hasattr(estimator, "decision_function"):
        return np.asarray(estimator.decision_function(rows), np.float64)
    return np.asarray(estimator.predict_proba(rows)[:, 1], np.float64)


def decide(decision: Decision, found: OutOfFold) -> tuple[NDArray[np.int64], Floats]:
    """Return class numbers, shape (rows,), and calibrated probabilities, shape (rows, 2)."""
    shares = _calibrated(decision, found)
    if decision.threshold is None:
        return shares.argmax(axis=1), shares
    positive = shares[:, decision.positive] >= decision.threshold
    return np.where(positive, decision.positive, 1 - decision.positive), shares


def _calibrated(decision: Decision, found: OutOfFold) -> Floats:
    if decision.slope is not None:
        with np.errstate(over="ignore"):  # exp of a large score: the probability is 0
            second = 1 / (1 + np.exp(decision.slope * found.raw + decision.offset))
    elif decision.points is not None:
        second = np.interp(found.shares[:, 1], *decision.points.T)
    else:
        return found.shares
    return np.column_stack([1 - second, second])


def learn_decision(
    found: OutOfFold, truth: NDArray[np.int64], hyperparameters: Hyperparameters, positive: int
) -> Decision:
    """Return the calibration, and the threshold with the best metric after it.

    Args:
        found: answers of models that did not see the rows.
        truth: class numbers 0 and 1, shape (rows,); both occur.
        hyperparameters: `calibration` and `decision_threshold`.
        positive: number of the positive class.
    """
    decision = Decision(positive)
    if hyperparameters.values.get("calibration") == SIGMOID:
        fitted = _SigmoidCalibration().fit(found.raw, truth)
        decision = Decision(positive, slope=float(fitted.a_), offset=float(fitted.b_))
    elif hyperparameters.values.get("calibration") == ISOTONIC:
        rising = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
        rising.fit(found.shares[:, 1].round(_DECIMALS), truth)
        points = np.column_stack([rising.X_thresholds_, rising.y_thresholds_])
        decision = Decision(positive, points=points)
    chosen = hyperparameters.values.get("decision_threshold")
    if chosen is None:
        return decision
    threshold = chosen
    if isinstance(chosen, str):
        shares = _calibrated(decision, found)[:, positive]
        threshold = best_threshold(shares, truth == positive, chosen)
    return Decision(
        positive, float(str(threshold)), decision.slope, decision.offset, decision.points
    )


def best_threshold(shares: Floats, positive: NDArray[np.bool_], metric: str) -> float:
    """Return the threshold with the best metric; of equally good ones that nearest to 0.5.

    A threshold lies halfway between two probabilities that occur, so that no rounding error
    decides about a row.

    Args:
        shares: probabilities of the positive class, shape (rows,).
        positive: which rows are of it; both kinds occur.
        metric: f1 (of the positive class), accuracy or balanced_accuracy.
    """
    order = np.argsort(-shares, kind="stable")
    sorted_shares, hits = shares[order], positive[order]
    # After each of these rows, the probabilities fall: a threshold may lie there.
    last = np.flatnonzero(np.append(np.diff(sorted_shares) < 0, True))
    right = np.concatenate([[0], np.cumsum(hits)[last]])
    answered = np.concatenate([[0], last + 1])
    ends = np.concatenate([[1.0], sorted_shares[last], [0.0]])
    thresholds = np.concatenate([(ends[:-1] + ends[1:]) / 2])
    total, of_positive = len(hits), int(hits.sum())
    wrong = answered - right
    right_rest = total - of_positive - wrong
    if metric == "f1":
        scores = 2 * right / np.maximum(answered + of_positive, 1)
    elif metric == "accuracy":
        scores = (right + right_rest) / total
    else:
        scores = (right / of_positive + right_rest / (total - of_positive)) / 2
    usable = np.diff(-ends) > 0
    best = scores[usable].max()
    among = thresholds[usable][scores[usable] >= best]
    return float(among[np.abs(among - 0.5).argmin()])
