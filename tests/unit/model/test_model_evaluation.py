"""The comparison of two models on the same rows: intervals, tests, slices, calibration."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, log_loss, mean_absolute_error, r2_score

from model.evaluation import Answers, compare

CLASSES = np.array(["a", "b", "c"])


def answers(truth: NDArray[np.str_], accuracy: float, seed: int) -> Answers:
    """Return the answers of a classifier that is right in a share of the rows."""
    rng = np.random.default_rng(seed)
    wrong = rng.random(len(truth)) >= accuracy
    predicted = truth.copy()
    predicted[wrong] = [rng.choice(CLASSES[label != CLASSES]) for label in truth[wrong]]
    return Answers(predicted, np.where(wrong, 0.2, 0.7), np.full(len(truth), 0.7))


def labels(rows: int, seed: int = 0) -> NDArray[np.str_]:
    return np.random.default_rng(seed).choice(CLASSES, rows)


def test_the_metrics_are_scikit_learns() -> None:
    truth = labels(200)
    mine, theirs = answers(truth, 0.9, 1), answers(truth, 0.8, 2)
    found = compare(truth, mine, theirs, {}, seed=1)
    accuracy, loss = found.metrics
    assert accuracy.candidate == pytest.approx(accuracy_score(truth, mine.predicted))
    assert accuracy.champion == pytest.approx(accuracy_score(truth, theirs.predicted))
    assert mine.probabilities is not None
    rest = (1 - mine.probabilities) / 2
    table = np.where(truth[:, None] == CLASSES, mine.probabilities[:, None], rest[:, None])
    assert loss.candidate == pytest.approx(log_loss(truth, table, labels=CLASSES))
    assert found.score is accuracy


def test_a_regressions_metrics_are_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=300)
    mine, theirs = truth + rng.normal(0, 0.1, 300), truth + rng.normal(0, 0.5, 300)
    found = compare(truth, Answers(mine), Answers(theirs), {}, seed=1)
    r2, mae = found.metrics
    assert (r2.metric, mae.metric) == ("r2", "mae")
    assert r2.candidate == pytest.approx(r2_score(truth, mine))
    assert mae.champion == pytest.approx(mean_absolute_error(truth, theirs))
    assert r2.loss_for_sure == mae.loss_for_sure == 0
    back = compare(truth, Answers(theirs), Answers(mine), {}, seed=1)
    assert all(metric.loss_for_sure > 0 for metric in back.metrics)


@given(seed=st.integers(0, 1000), rows=st.integers(2, 60))
def test_a_model_is_not_worse_than_itself(seed: int, rows: int) -> None:
    truth = labels(rows, seed)
    mine = answers(truth, 0.7, seed)
    columns: dict[str, list[float | str]] = {
        "x": list(np.random.default_rng(seed).random(rows)),
        "site": ["n" if number % 2 else "" for number in range(rows)],
    }
    found = compare(truth, mine, mine, columns, seed=seed)
    assert found.p_value == 1
    for metric in found.metrics:
        assert (metric.gain, metric.low, metric.high, metric.loss_for_sure) == (0, 0, 0, 0)
    assert not any(found_slice.worse for found_slice in found.slices)


@given(seed=st.integers(0, 1000))
def test_the_order_of_the_rows_changes_no_value(seed: int) -> None:
    truth = labels(50, seed)
    mine, theirs = answers(truth, 0.8, seed), answers(truth, 0.6, seed + 1)
    order = np.random.default_rng(seed).permutation(50)

    def shuffled(one: Answers) -> Answers:
        assert one.probabilities is not None
        assert one.confidence is not None
        return Answers(one.predicted[order], one.probabilities[order], one.confidence[order])

    first = compare(truth, mine, theirs, {}, seed=1)
    second = compare(truth[order], shuffled(mine), shuffled(theirs), {}, seed=1)
    assert first.p_value == second.p_value
    for one, other in zip(first.metrics, second.metrics, strict=True):
        assert one.candidate == pytest.approx(other.candidate)
        assert one.champion == pytest.approx(other.champion or 0)


def test_a_clear_loss_is_sure_and_a_small_one_is_not() -> None:
    truth = labels(400)
    best, good, bad = (
        answers(truth, share, seed) for share, seed in ((0.95, 1), (0.94, 2), (0.6, 3))
    )
    clear = compare(truth, bad, best, {}, seed=1).score
    assert 0.2 < clear.loss_for_sure < -(clear.gain or 0)
    small = compare(truth, good, best, {}, seed=1)
    assert small.score.loss_for_sure == 0
    assert small.p_value is not None
    assert small.p_value > 0.05


def test_the_interval_holds_the_difference_as_often_as_it_says() -> None:
    """Of 200 pairs of equally good models, some 95 % of the intervals hold zero."""
    held = 0
    for number in range(200):
        truth = labels(150, number)
        mine, theirs = answers(truth, 0.8, 2 * number), answers(truth, 0.8, 2 * number + 1)
        score = compare(truth, mine, theirs, {}, seed=number).score
        assert score.low is not None
        assert score.high is not None
        held += score.low <= 0 <= score.high
    assert 180 <= held <= 199


def test_mcnemars_test_counts_the_rows_that_one_model_gets_right() -> None:
    truth = np.array(["a"] * 20)
    mine = np.array(["a"] * 15 + ["b"] * 5)
    theirs = np.array(["b"] * 2 + ["a"] * 18)
    shares = np.full(20, 0.5)
    found = compare(
        truth, Answers(mine, shares, shares), Answers(theirs, shares, shares), {}, seed=1
    )
    assert found.p_value == pytest.approx(binomtest(2, 7).pvalue)


def test_the_slice_in_which_the_candidate_fails_is_named() -> None:
    truth = labels(600)
    best = answers(truth, 0.95, 1)
    x = np.arange(600) / 600
    predicted = best.predicted.copy()
    broken = (x >= 0.5) & (x < 0.6)
    predicted[broken] = np.where(truth[broken] == "a", "b", "a")
    mine = Answers(predicted, best.probabilities, best.confidence)
    found = compare(truth, mine, best, {"x": list(x), "y": list(x[::-1])}, seed=1)
    worst = found.slices[0]
    assert worst.name == "x 0.4992 to 0.599"
    assert worst.worse
    assert worst.candidate < 0.1 < 0.9 < worst.champion
    # The mirror image of the column has the same rows in a slice of its own.
    assert sorted(s.name[0] for s in found.slices if s.worse and s.rows < 100) == ["x", "y"]


def test_a_first_model_has_intervals_of_its_own() -> None:
    truth = labels(100)
    found = compare(truth, answers(truth, 0.9, 1), None, {"x": [1.0] * 100}, seed=1)
    score = found.score
    assert (score.champion, score.gain, score.loss_for_sure) == (None, None, 0)
    assert score.low is not None
    assert score.high is not None
    assert score.low < score.candidate < score.high
    assert found.p_value is None
    assert found.slices == ()


def test_one_row_has_no_interval() -> None:
    truth = np.array(["a"])
    mine = Answers(np.array(["b"]), np.array([0.1]), np.array([0.9]))
    theirs = Answers(np.array(["a"]), np.array([0.9]), np.array([0.9]))
    found = compare(truth, mine, theirs, {}, seed=1)
    assert (found.score.low, found.score.high) == (None, None)
    assert found.score.loss_for_sure == 1


def test_calibration_is_the_gap_between_confidence_and_accuracy() -> None:
    truth = np.array(["a"] * 100)
    predicted = np.array(["a"] * 60 + ["b"] * 40)
    sure = Answers(predicted, np.full(100, 0.9), np.full(100, 0.9))
    fair = Answers(predicted, np.full(100, 0.6), np.full(100, 0.6))
    found = compare(truth, sure, fair, {}, seed=1)
    assert found.calibration["candidate"] == pytest.approx(0.3)
    assert found.calibration["champion"] == pytest.approx(0)


def test_labels_that_are_all_equal_explain_nothing() -> None:
    truth = np.full(5, 2.0)
    found = compare(truth, Answers(truth + 1), Answers(truth), {}, seed=1)
    assert found.score.candidate == 0
    assert not math.isnan(found.metrics[1].candidate)
