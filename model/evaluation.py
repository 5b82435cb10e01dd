"""Pure: compares a candidate with the champion on the same rows.

Every row counts once for each model, so that a difference is one of the models and not of the rows:
the bootstrap draws rows, and takes both models' losses of a row together. For example, 30 rows of
which the candidate gets 29 right and the champion 28 say little, and the interval of the difference
reaches from below zero to above it.

Losses are per row, so that a metric is a mean of them:

    classifier   accuracy: 1 if right, else 0     log_loss: -ln(probability of the true class)
    regression   mae: absolute error              mse: squared error; r2 and rmse follow from it

Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13 (percentiles)
Source: Dietterich, Approximate Statistical Tests (1998): McNemar's test
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, bootstrap, wilcoxon

from model.dates import show_date

Losses = NDArray[np.float64]

CONFIDENCE = 0.95
_RESAMPLES = 2000
# Losses that are drawn at a time, which bounds the memory to some 80 MB.
_DRAWN = 5_000_000
_BINS = 10
# A slice of fewer rows says nothing, and more slices than this are not read by anybody.
_MIN_SLICE_ROWS, _MOST_SLICES = 10, 20
_SMALLEST_PROBABILITY = float(np.finfo(np.float32).eps)


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers of a model to the rows.

    Attributes:
        predicted: labels, or the values of a regression as floats, shape (rows,).
        probabilities: each row's probability of its true class, shape (rows,); None for a
            regression.
        confidence: each row's probability of the predicted class, shape (rows,); None for a
            regression.
    """

    predicted: NDArray[Any]
    probabilities: Losses | None = None
    confidence: Losses | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """One metric of both models.

    Attributes:
        metric: such as `accuracy`.
        candidate: the candidate's value.
        champion: the champion's; None without a champion.
        low: the lower end of the 95 % interval of candidate - champion, or of the candidate's value
            without a champion; None if it cannot be computed.
        high: the upper end.
        higher_is_better: the direction.
    """

    metric: str
    candidate: float
    champion: float | None
    low: float | None
    high: float | None
    higher_is_better: bool

    @property
    def gain(self) -> float | None:
        """Return how much better the candidate is, negative if it is worse."""
        if self.champion is None:
            return None
        change = self.candidate - self.champion
        return change if self.higher_is_better else -change

    @property
    def loss_for_sure(self) -> float:
        """Return how much worse the candidate is at least, with 95 % confidence, or 0.

        A metric whose interval cannot be computed is judged by its value.
        """
        if self.champion is None:
            return 0.0
        if self.low is None or self.high is None:
            return max(0.0, -(self.gain or 0.0))
        return max(0.0, -self.high if self.higher_is_better else self.low)

    @property
    def gain_for_sure(self) -> float:
        """Return how much better the candidate is at least, with 95 % confidence, or 0."""
        if self.champion is None or self.low is None or self.high is None:
            return 0.0
        return max(0.0, self.low if self.higher_is_better else -self.high)

    def as_json(self) -> dict[str, Any]:
        """Return the metric as a JSON object."""
        return {
            "metric": self.metric,
            "candidate": self.candidate,
            "champion": self.champion,
            "interval": None if self.low is None else [self.low, self.high],
            "higher_is_better": self.higher_is_better,
            "worse_for_sure_by": self.loss_for_sure,
        }


@dataclass(frozen=True, slots=True)
class Slice:
    """Rows with one thing in common.

    Attributes:
        name: such as `class virginica` or `petal_width 1.3 to 1.6`.
        rows: their number.
        candidate: mean of the candidate's metric there.
        champion: the champion's.
        p_value: probability of such a difference if both are equally good there, two-sided.
        worse: whether the candidate is worse by more than chance, all slices considered.
    """

    name: str
    rows: int
    candidate: float
    champion: float
    p_value: float
    worse: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return the slice as a JSON object."""
        return {
            "name": self.name,
            "rows": self.rows,
            "candidate": self.candidate,
            "champion": self.champion,
            "p_value": self.p_value,
            "worse": self.worse,
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """The whole comparison.

    Attributes:
        rows: number of rows.
        score: the metric that decides: accuracy, or r2 of a regression.
        metrics: every metric, the score first.
        p_value: McNemar's exact test of the labels; None for a regression or without a champion.
        slices: those that differ most, the worst first.
        calibration: by model, the mean gap between confidence and accuracy in ten bins, 0 to 1.
    """

    rows: int
    score: Difference
    metrics: tuple[Difference, ...]
    p_value: float | None = None
    slices: tuple[Slice, ...] = ()
    calibration: Mapping[str, float] = field(default_factory=dict)


def compare(
    truth: NDArray[Any],
    candidate: Answers,
    champion: Answers | None,
    columns: Mapping[str, Sequence[float | str]],
    *,
    seed: int,
    dates: Collection[str] = (),
) -> Comparison:
    """Compare two models' answers to the same rows.

    Args:
        truth: the labels, shape (rows,), at least one; floats for a regression.
        candidate: the candidate's answers.
        champion: the champion's; None if there is none.
        columns: the feature columns by name, each of `rows` cells: numbers (NaN if missing) or
            strings.
        seed: decides the bootstrap's draws.
        dates: the names of those columns whose numbers are the seconds of dates.
    """
    rng = np.random.default_rng(seed)
    if candidate.probabilities is None:
        metrics = _of_regression(truth, candidate, champion, rng)
        return Comparison(
            rows=len(truth),
            score=metrics[0],
            metrics=metrics,
            slices=()
            if champion is None
            else _slices(
                -np.abs(candidate.predicted - truth),
                -np.abs(champion.predicted - truth),
                dict(_groups(columns, dates)),
                _by_ranks,
            ),
        )
    right = candidate.predicted == truth
    metrics = _of_classifier(truth, candidate, champion, rng)
    calibration = {"candidate": _calibration(candidate, truth)}
    if champion is None:
        return Comparison(len(truth), metrics[0], metrics, calibration=calibration)
    champion_right = champion.predicted == truth
    groups = {f"class {label}": truth == label for label in np.unique(truth)}
    return Comparison(
        rows=len(truth),
        score=metrics[0],
        metrics=metrics,
        p_value=_mcnemar(right, champion_right),
        slices=_slices(
            *(right, champion_right, {**groups, **dict(_groups(columns, dates))}, _mcnemar)
        ),
        calibration={**calibration, "champion": _calibration(champion, truth)},
    )


def _of_classifier(
    truth: NDArray[Any],
    candidate: Answers,
    champion: Answers | None,
    rng: np.random.Generator,
) -> tuple[Difference, ...]:
    def right(answers: Answers) -> Losses:
        found: Losses = (answers.predicted == truth).astype(np.float64)
        return found

    def log_loss(answers: Answers) -> Losses:
        assert answers.probabilities is not None  # noqa: S101 - of a classifier
        return -np.log(np.clip(answers.probabilities, _SMALLEST_PROBABILITY, 1.0))

    return (
        _mean("accuracy", right, candidate, champion, rng, higher_is_better=True),
        _mean("log_loss", log_loss, candidate, champion, rng, higher_is_better=False),
    )


def _of_regression(
    truth: NDArray[Any],
    candidate: Answers,
    champion: Answers | None,
    rng: np.random.Generator,
) -> tuple[Difference, ...]:
    spread = float(np.square(truth - truth.mean()).mean())

    def explained(answers: Answers) -> Losses:
        # Its mean is r2; the spread of the labels is that of the rows, not of the draw.
        if not spread:
            return np.zeros(len(truth))
        found: Losses = 1 - np.square(answers.predicted - truth) / spread
        return found

    def absolute(answers: Answers) -> Losses:
        found: Losses = np.abs(answers.predicted - truth).astype(np.float64)
        return found

    return (
        _mean("r2", explained, candidate, champion, rng, higher_is_better=True),
        _mean("mae", absolute, candidate, champion, rng, higher_is_better=False),
    )


def _mean(
    metric: str,
    losses: Any,
    candidate: Answers,
    champion: Answers | None,
    rng: np.random.Generator,
    *,
    higher_is_better: bool,
) -> Difference:
    mine = losses(candidate)
    theirs = None if champion is None else losses(champion)
    low, high = _interval(mine if theirs is None else mine - theirs, rng)
    return Difference(
        metric,
        float(mine.mean()),
        None if theirs is None else float(theirs.mean()),
        low,
        high,
        higher_is_better,
    )


def _interval(losses: Losses, rng: np.random.Generator) -> tuple[float | None, float | None]:
    """Return the 95 % interval of a mean; None for one row, of which nothing can be drawn."""
    if len(losses) < 2:
        return None, None
    if np.all(losses == losses[0]):
        return float(losses[0]), float(losses[0])
    found = bootstrap(
        (losses,),
        np.mean,
        vectorized=True,
        method="percentile",
        confidence_level=CONFIDENCE,
        n_resamples=_RESAMPLES,
        batch=max(1, _DRAWN // len(losses)),
        rng=rng,
    ).confidence_interval
    return float(found.low), float(found.high)


def _mcnemar(mine: NDArray[Any], theirs: NDArray[Any]) -> float:
    """Return the p-value of McNemar's exact test: only rows that one model gets right count."""
    better, worse = int((mine & ~theirs).sum()), int((theirs & ~mine).sum())
    return 1.0 if better + worse == 0 else float(binomtest(better, better + worse).pvalue)


def _by_ranks(mine: NDArray[Any], theirs: NDArray[Any]) -> float:
    """Return the p-value of Wilcoxon's signed-rank test of two errors of each row."""
    if np.all(mine == theirs):
        return 1.0
    return float(wilcoxon(mine, theirs).pvalue)


def _groups(
    columns: Mapping[str, Sequence[float | str]],
    dates: Collection[str],
) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield the slices of the columns: each category, and each tenth of the numbers or dates."""
    for name, cells in columns.items():
        if any(isinstance(cell, str) for cell in cells):
            texts = np.array([str(cell) for cell in cells])
            for text in np.unique(texts):
                yield f"{name} {text or '(missing)'}", texts == text
            continue
        values = np.array(cells, dtype=np.float64)
        known = values[np.isfinite(values)]
        if not len(known):
            continue
        edges = np.unique(np.quantile(known, np.linspace(0, 1, _BINS + 1)))
        for low, high in itertools.pairwise(edges):
            last = high == edges[-1]
            inside = (values >= low) & ((values <= high) if last else (values < high))
            ends = [show_date(x) if name in dates else f"{x:.4g}" for x in (low, high)]
            yield f"{name} {' to '.join(ends)}", inside


def _slices(
    mine: NDArray[Any],
    theirs: NDArray[Any],
    groups: Mapping[str, NDArray[np.bool_]],
    test: Any,
) -> tuple[Slice, ...]:
    """Return the slices, the worst first; Bonferroni's correction decides which are worse."""
    found = [
        Slice(
            name,
            int(inside.sum()),
            float(mine[inside].mean()),
            float(theirs[inside].mean()),
            test(mine[inside], theirs[inside]),
        )
        for name, inside in groups.items()
        if inside.sum() >= _MIN_SLICE_ROWS
    ]
    bound = (1 - CONFIDENCE) / max(1, len(found))
    judged = [replace(s, worse=s.candidate < s.champion and s.p_value < bound) for s in found]
    judged.sort(key=lambda s: (not s.worse, s.candidate - s.champion))
    return tuple(judged[:_MOST_SLICES])


def _calibration(answers: Answers, truth: NDArray[Any]) -> float:
    """Return the expected calibration error: the mean gap between confidence and accuracy.

    Source: Guo et al., On Calibration of Modern Neural Networks (2017)
    """
    assert answers.confidence is not None  # noqa: S101 - of a classifier
    right = (answers.predicted == truth).astype(np.float64)
    bins = np.minimum((answers.confidence * _BINS).astype(int), _BINS - 1)
    gap = 0.0
    for number in range(_BINS):
        inside = bins == number
        if inside.any():
            gap += inside.mean() * abs(right[inside].mean() - answers.confidence[inside].mean())
    return float(gap) if math.isfinite(gap) else 0.0
