"""Rows on and beside the thresholds of trees are answered as scikit-learn answers them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.datasets import load_iris
from threadpoolctl import threadpool_limits

from model import export
from model.errors import ExportError
from model.estimator import fit
from model.export import Equivalence, to_onnx_bytes
from model.hyperparameters import Algorithm, parse_hyperparameters
from model.onnx_predictor import OnnxPredictor
from model.thresholds import floor_32, rows_on_thresholds, with_32_bit_thresholds
from tests.examples import examples
from tests.unit.model.random_models import Differences, compare

FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)
TREES = (
    *(Algorithm.RANDOM_FOREST, Algorithm.EXTRA_TREES),
    *(Algorithm.GRADIENT_BOOSTING, Algorithm.HIST_GRADIENT_BOOSTING),
)
# An example is a model that is trained and served, about 0.2 s.
MODELS = 30


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    # Threads that spin while they wait make histogram boosting slow on busy cores.
    with threadpool_limits(1):
        yield


def estimator_of(algorithm: Algorithm, rows: NDArray[np.float32], truth: NDArray[Any]) -> Any:
    return fit(parse_hyperparameters({"algorithm": algorithm}), rows, truth)


def iris() -> tuple[NDArray[np.float32], NDArray[Any]]:
    rows, truth = load_iris(return_X_y=True)
    return rows.astype(np.float32), truth


@given(FINITE, FINITE, FINITE)
def test_a_number_is_on_the_same_side_of_the_32_bit_threshold(
    one: float, two: float, number: float
) -> None:
    threshold = (one + two) / 2
    floored = floor_32(np.array([threshold]))[0]
    for row in map(np.float32, (one, two, number, threshold)):
        if np.isfinite(row):
            assert (row <= floored) == (float(row) <= threshold)


@pytest.mark.parametrize("algorithm", TREES)
def test_rows_on_thresholds_are_answered_as_by_scikit_learn(algorithm: Algorithm) -> None:
    rows, truth = iris()
    estimator = estimator_of(algorithm, rows, truth)
    predictor = OnnxPredictor(to_onnx_bytes(estimator, 4), 4, ("a", "b", "c"))
    made = rows_on_thresholds(estimator, rows)
    numbers, probabilities = predictor.run(made)
    assert len(made) > 1000
    assert np.array_equal(numbers, estimator.predict(made))
    assert np.abs(probabilities - estimator.predict_proba(made)).max() < 1e-5


@pytest.mark.parametrize(
    "column",
    [
        np.arange(1_700_000_000, 1_700_021_600, 72),
        np.random.default_rng(0).integers(10_000_000, 99_999_999, 300),
        np.random.default_rng(0).normal(8.5, 0.01, 300).round(7),
    ],
    ids=["unix seconds", "ids", "longitudes"],
)
def test_large_or_precise_numbers_are_trained_on(column: NDArray[Any]) -> None:
    rows = column.astype(np.float32).reshape(-1, 1)
    truth = (np.arange(len(rows)) // 7) % 2
    estimator = estimator_of(Algorithm.HIST_GRADIENT_BOOSTING, rows, truth)
    predictor = OnnxPredictor(to_onnx_bytes(estimator, 1), 1, ("a", "b"))
    assert Equivalence(estimator, rows).check(predictor).worst < 1e-5


def test_the_estimator_keeps_its_thresholds_and_the_copy_its_answers() -> None:
    rows, truth = iris()
    estimator = estimator_of(Algorithm.HIST_GRADIENT_BOOSTING, rows, truth)
    before = estimator._predictors[0][0].nodes.copy()
    copied = with_32_bit_thresholds(estimator)
    assert np.array_equal(estimator._predictors[0][0].nodes, before)
    made = rows_on_thresholds(estimator, rows)
    assert np.array_equal(copied.predict_proba(made), estimator.predict_proba(made))


def test_the_check_before_export_asks_rows_on_thresholds(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, truth = iris()
    estimator = estimator_of(Algorithm.HIST_GRADIENT_BOOSTING, rows, truth)
    monkeypatch.setattr(export, "with_32_bit_thresholds", lambda estimator: estimator)
    predictor = OnnxPredictor(to_onnx_bytes(estimator, 4), 4, ("a", "b", "c"))
    with pytest.raises(ExportError, match="rows on the thresholds of its trees"):
        Equivalence(estimator, rows).check(predictor)


def test_rows_on_thresholds_hold_the_floats_beside_them_and_no_infinity() -> None:
    largest = np.finfo(np.float32).max
    rows = np.array([[np.nextafter(largest, np.float32(0)), 1], [largest, 1]] * 20, np.float32)
    truth = np.array([0, 1] * 20)
    with np.errstate(all="ignore"):  # scikit-learn sums the numbers and tolerates the overflow
        estimator = estimator_of(Algorithm.GRADIENT_BOOSTING, rows, truth)
    made = rows_on_thresholds(estimator, rows)
    below = np.nextafter(largest, np.float32(0))
    assert np.unique(made[:, 0])[2:].tolist() == [below, largest]
    assert (made[:, 1] == 1).all()


def test_wide_rows_and_many_thresholds_make_a_bounded_number_of_rows() -> None:
    chance = np.random.default_rng(0)
    rows = chance.normal(size=(300, 2000)).astype(np.float32)
    estimator = estimator_of(Algorithm.RANDOM_FOREST, rows, chance.integers(0, 2, 300))
    assert 0 < rows_on_thresholds(estimator, rows).size <= 8_000_000


def test_an_estimator_without_splits_has_no_rows_on_thresholds() -> None:
    rows, truth = iris()
    logistic = estimator_of(Algorithm.LOGISTIC_REGRESSION, rows, truth)
    constant = estimator_of(Algorithm.HIST_GRADIENT_BOOSTING, np.ones_like(rows), truth)
    assert rows_on_thresholds(logistic, rows).shape == (0, 4)
    assert rows_on_thresholds(constant, rows).shape == (0, 4)


@pytest.mark.fuzz
def test_random_models_are_served_as_scikit_learn_answers(tmp_path: Path) -> None:
    found = Differences()
    for seed in range(examples(MODELS)):
        compare(seed, tmp_path, found)
    sys.stdout.write(f"{found}\n")
    assert found.labels == []
    assert found.refused == []
    assert found.worst <= 1e-5
