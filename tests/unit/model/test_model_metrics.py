"""The figures of predictions, by hand: small tables, and scikit-learn's own functions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from model.metrics import Evaluation, evaluate, evaluate_regression

# Rows by true class and predicted class: a was right twice, b once, and c was never predicted.
TRUTH = np.array([0, 0, 0, 1, 1, 2], dtype=np.int64)
PREDICTED = np.array([0, 0, 1, 1, 0, 0], dtype=np.int64)
SHARES = np.array(
    [
        [0.5, 0.25, 0.25],
        [0.5, 0.25, 0.25],
        [0.25, 0.5, 0.25],
        [0.25, 0.5, 0.25],
        [0.5, 0.25, 0.25],
        [1.0, 0.0, 0.0],
    ],
    dtype=np.float32,
)
NUMBERS = st.integers(-50, 50).map(float)


@pytest.fixture
def found() -> Evaluation:
    return evaluate(TRUTH, PREDICTED, SHARES)


def test_rows_are_counted_by_true_and_predicted_class(found: Evaluation) -> None:
    assert found.confusion.tolist() == [[2, 1, 0], [1, 1, 0], [1, 0, 0]]
    assert found.confusion.dtype == np.int64
    assert (found.rows, found.accuracy) == (6, 0.5)


def test_a_class_that_is_predicted_and_never_there_counts_in_the_mean() -> None:
    truth, predicted = np.array([0, 0]), np.array([0, 2])
    found = evaluate(truth, predicted, np.full((2, 3), 1 / 3, dtype=np.float32))
    assert found.f1_macro == pytest.approx((2 / 3 + 0) / 2)


def test_f1_is_by_class_and_its_mean_of_those_that_are_there(found: Evaluation) -> None:
    assert found.f1.tolist() == pytest.approx([2 * 2 / (4 + 3), 2 * 1 / (2 + 2), 0.0])
    assert found.f1_macro == pytest.approx((4 / 7 + 1 / 2) / 3)


def test_a_class_that_is_neither_there_nor_predicted_has_no_share_in_the_mean() -> None:
    some = np.array([0, 0, 1], dtype=np.int64)
    found = evaluate(some, some, np.full((3, 3), 1 / 3, dtype=np.float32))
    assert found.f1.tolist() == [1.0, 1.0, 0.0]
    assert found.f1_macro == 1.0
    assert found.as_json(("a", "b", "c"))["by_class"]["c"] == {
        "rows": 0,
        "precision": 0.0,
        "recall": 0.0,
        "f1": 0.0,
    }


def test_the_loss_is_that_of_the_true_class_and_never_without_end(found: Evaluation) -> None:
    smallest = float(np.finfo(np.float32).eps)
    losses = [math.log(2)] * 2 + [math.log(4)] + [math.log(2)] + [math.log(4), -math.log(smallest)]
    assert found.log_loss == pytest.approx(sum(losses) / 6)


def test_the_loss_of_certainty_is_zero_without_a_sign() -> None:
    sure = evaluate(np.array([0]), np.array([0]), np.array([[1.0, 0.0]], dtype=np.float32))
    assert repr(sure.log_loss) == "0.0"
    over = evaluate(np.array([0]), np.array([0]), np.array([[1.5, 0.0]], dtype=np.float32))
    assert over.log_loss == 0.0


def test_the_figures_are_json_with_each_class_by_name(found: Evaluation) -> None:
    document = found.as_json(("a", "b", "c"))
    assert list(document) == ["rows", "accuracy", "f1_macro", "log_loss", "by_class"]
    assert (document["rows"], document["accuracy"]) == (6, 0.5)
    assert (document["f1_macro"], document["log_loss"]) == (found.f1_macro, found.log_loss)
    assert document["by_class"] == {
        "a": {
            "rows": 3,
            "precision": 2 / 4,
            "recall": pytest.approx(2 / 3),
            "f1": pytest.approx(4 / 7),
        },
        "b": {"rows": 2, "precision": 1 / 2, "recall": 1 / 2, "f1": pytest.approx(1 / 2)},
        "c": {"rows": 1, "precision": 0.0, "recall": 0.0, "f1": 0.0},
    }


def arrays(*columns: Any) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    truth, predicted = columns
    return np.array(truth, dtype=np.float64), np.array(predicted, dtype=np.float32)


@pytest.mark.parametrize(
    ("truth", "predicted", "expected"),
    [
        ([1, 2, 3, 4], [1, 2, 3, 4], (4, 0.0, 0.0, 1.0)),
        ([1, 2, 3, 4], [2, 3, 4, 5], (4, 1.0, 1.0, 1 - 4 / 5)),
        ([1, 2, 3, 4], [3, 2, 3, 4], (4, 1.0, 0.5, 1 - 4 / 5)),
        ([1, 2, 3, 6], [3, 3, 3, 3], (4, math.sqrt(14 / 4), 1.5, 0.0)),
        ([5, 5], [5, 6], (2, math.sqrt(0.5), 0.5, 0.0)),  # no spread to explain
        ([5], [3], (1, 2.0, 2.0, 0.0)),
    ],
)
def test_the_figures_of_a_regression_are_its_definitions(
    truth: list[float], predicted: list[float], expected: tuple[int, float, float, float]
) -> None:
    found = evaluate_regression(*arrays(truth, predicted))
    rows, rmse, mae, r2 = expected
    assert found.as_json() == {
        "rows": rows,
        "rmse": pytest.approx(rmse),
        "mae": pytest.approx(mae),
        "r2": pytest.approx(r2),
    }


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=20))
def test_the_figures_of_a_regression_are_those_of_scikit_learn(
    pairs: list[tuple[float, float]],
) -> None:
    from sklearn import metrics

    truth, predicted = arrays(*zip(*pairs, strict=True))
    found = evaluate_regression(truth, predicted)
    assert found.rmse == pytest.approx(metrics.root_mean_squared_error(truth, predicted))
    assert found.mae == pytest.approx(metrics.mean_absolute_error(truth, predicted))
    if len(set(truth)) > 1:
        assert found.r2 == pytest.approx(metrics.r2_score(truth, predicted))
