"""Calibration, thresholds and folds, compared with scikit-learn's own."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    f1_score,
    get_scorer,
    make_scorer,
    roc_auc_score,
)
from sklearn.model_selection import KFold, StratifiedKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from model.archive import Dataset
from model.channels import hold_out
from model.decision import Decided, Decision, best_threshold
from model.errors import HyperparameterError
from model.estimator import fit
from model.export import to_onnx_bytes
from model.fitting import fit_and_measure
from model.folds import answers_out_of_fold, cross_validated, decision_of
from model.hyperparameters import Hyperparameters, parse_hyperparameters
from model.onnx_predictor import OnnxPredictor
from model.table import Table

METRICS = {
    "f1": lambda truth, answers: f1_score(truth, answers, zero_division=0),
    "accuracy": accuracy_score,
    "balanced_accuracy": balanced_accuracy_score,
}
CLASSES = ("malignant", "benign")


def cancer(rows: int = 569) -> tuple[NDArray[Any], NDArray[np.int64]]:
    numbers, truth = load_breast_cancer(return_X_y=True)
    return numbers[:rows, :6].astype(np.float32), truth[:rows].astype(np.int64)


def logistic(**values: str) -> Hyperparameters:
    return parse_hyperparameters({"algorithm": "logistic-regression", **values})


def dataset_of(rows: NDArray[np.float32], labels: list[str], names: tuple[str, ...]) -> Dataset:
    table = Table(tuple(labels), tuple(rows.T.astype(np.float64)))
    features = tuple(f"f{number}" for number in range(rows.shape[1]))
    return hold_out(Dataset(table, None, features=features, classes=names), 0.2, 0)


@given(
    st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=2, max_size=40).filter(
        lambda rows: len({positive for _, positive in rows}) == 2
    ),
    st.sampled_from(sorted(METRICS)),
)
def test_the_best_threshold_is_as_good_as_any_other(
    rows: list[tuple[int, bool]], metric: str
) -> None:
    shares = np.array([share for share, _ in rows]) / 12
    truth = np.array([positive for _, positive in rows])
    found = best_threshold(shares, truth, metric)
    assert 0 < found <= 1
    assert not np.isclose(shares, found, atol=1e-3).any() or found == 1
    best = max(METRICS[metric](truth, shares >= at) for at in (np.arange(12) + 0.5) / 12)
    assert METRICS[metric](truth, shares >= found) == pytest.approx(best)


def test_a_sigmoid_is_that_of_scikit_learns_calibration() -> None:
    rows, truth = cancer()
    hyperparameters = logistic(calibration="sigmoid", max_iter="200")
    found = answers_out_of_fold(hyperparameters, rows, truth, CLASSES, 5)
    decision = decision_of(found, truth, hyperparameters, 1)
    ours = Decided(fit(hyperparameters, rows, truth), decision).predict_proba(rows)
    theirs = CalibratedClassifierCV(
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=200, random_state=0)),
        cv=StratifiedKFold(5, shuffle=True, random_state=0),
        ensemble=False,
    ).fit(rows, truth)
    # Both are fitted with 32-bit numbers, which are scaled with 64 bits here.
    assert np.abs(ours - theirs.predict_proba(rows)).max() < 1e-4


@pytest.mark.parametrize("positive", [0, 1])
@pytest.mark.parametrize("algorithm", ["logistic-regression", "random-forest", "extra-trees"])
def test_a_threshold_in_the_onnx_model_is_that_of_the_metadata(
    algorithm: str, positive: int
) -> None:
    rows, truth = cancer()
    estimator = fit(parse_hyperparameters({"algorithm": algorithm}), rows[:200], truth[:200])
    decision = Decision(positive, 0.9)
    predictor = OnnxPredictor(to_onnx_bytes(estimator, 6, decision), 6, CLASSES)
    numbers, _ = predictor.run(rows)
    expected = Decided(estimator, decision).predict(rows)
    assert np.array_equal(numbers, expected)
    assert not np.array_equal(numbers, estimator.predict(rows))
    predictor.write_row(0, rows[0].tolist())
    assert predictor.run_buffered(1) == [expected[0]]


def test_calibrated_probabilities_are_those_of_the_metrics(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rows, truth = cancer()
    dataset = dataset_of(rows, [CLASSES[number] for number in truth], CLASSES)
    raw = {"calibration": "isotonic", "decision_threshold": "f1", "n_estimators": "20"}
    with caplog.at_level(logging.INFO):
        artifacts = fit_and_measure(dataset, parse_hyperparameters(raw))
    decision = artifacts.metadata["decision"]
    assert decision["positive_class"] == "malignant"
    assert 0 < decision["threshold"] < 1
    assert decision["calibration"]["kind"] == "isotonic"
    assert dataset.validation is not None
    encoded = np.array(dataset.validation.rows, np.float32)
    predictor = OnnxPredictor(artifacts.onnx_bytes, 6, CLASSES)
    numbers, values = predictor.run(encoded)
    is_positive = np.array(dataset.validation.labels) == "malignant"
    metrics = artifacts.metadata["metrics"]["validation"]
    score = brier_score_loss(is_positive, values[:, 0].astype(np.float64))
    assert metrics["brier_score"] == pytest.approx(score, rel=1e-6)
    assert metrics["accuracy"] == accuracy_score(~is_positive, numbers)
    assert np.array_equal(values[:, 0] >= decision["threshold"], numbers == 0)
    assert "validation:brier_score=" in caplog.text


@pytest.mark.parametrize("algorithm", ["logistic-regression", "hist-gradient-boosting"])
def test_the_metrics_of_folds_are_those_of_scikit_learns_cross_validate(algorithm: str) -> None:
    rows, truth = cancer()
    rows = rows.astype(np.float64)
    iterations = "10" if "boosting" in algorithm else "500"
    hyperparameters = parse_hyperparameters({"algorithm": algorithm, "max_iter": iterations})
    found = answers_out_of_fold(hyperparameters, rows, truth, CLASSES, 4)
    ours = cross_validated(found, truth, CLASSES, hyperparameters, 1)
    # These rank by decision_function otherwise, which tells scores apart that are one probability.
    scores = {
        "accuracy": get_scorer("accuracy"),
        "f1_macro": get_scorer("f1_macro"),
        "roc_auc": make_scorer(roc_auc_score, response_method="predict_proba"),
        "average_precision": make_scorer(average_precision_score, response_method="predict_proba"),
        "log_loss": get_scorer("neg_log_loss"),
        "brier_score": get_scorer("neg_brier_score"),
    }
    folds = StratifiedKFold(4, shuffle=True, random_state=0)
    theirs = cross_validate(
        fit(hyperparameters, rows, truth), rows, truth, cv=folds, scoring=scores
    )
    assert set(ours) == set(scores)
    for name in scores:
        expected = np.abs(theirs[f"test_{name}"])
        # Of the logarithm of 0, another small number is taken.
        near = 1e-6 if name == "log_loss" else 1e-12
        # Logistic regression answers with 32-bit numbers.
        near = 1e-6 if algorithm == "logistic-regression" else near
        assert ours[name]["mean"] == pytest.approx(expected.mean(), rel=near)
        assert ours[name]["std"] == pytest.approx(expected.std(), rel=near, abs=1e-15)


def test_the_metrics_of_a_regressions_folds_are_those_of_scikit_learn() -> None:
    numbers, values = load_diabetes(return_X_y=True)
    rows = numbers.astype(np.float32)
    hyperparameters = parse_hyperparameters({"algorithm": "linear-regression"})
    found = answers_out_of_fold(hyperparameters, rows, values, (), 5)
    ours = cross_validated(found, values, (), hyperparameters)
    theirs = cross_validate(
        make_pipeline(StandardScaler(), LinearRegression()),
        rows.astype(np.float64),
        values,
        cv=KFold(5, shuffle=True, random_state=0),
        scoring=["r2", "neg_mean_absolute_error", "neg_root_mean_squared_error"],
    )
    assert ours["r2"]["mean"] == pytest.approx(theirs["test_r2"].mean(), rel=1e-9)
    assert ours["mae"]["std"] == pytest.approx(theirs["test_neg_mean_absolute_error"].std())
    rmse = -theirs["test_neg_root_mean_squared_error"]
    assert ours["rmse"]["mean"] == pytest.approx(rmse.mean(), rel=1e-9)


def test_folds_are_printed_and_recorded_with_their_spread(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rows, truth = cancer(200)
    dataset = dataset_of(rows, [CLASSES[number] for number in truth], CLASSES)
    with caplog.at_level(logging.INFO):
        artifacts = fit_and_measure(dataset, logistic(cross_validation="3", calibration="sigmoid"))
    of = artifacts.metadata["metrics"]["cross_validation"]["accuracy"]
    assert f"cv:accuracy_mean={of['mean']:.6f}" in caplog.messages
    assert f"cv:accuracy_std={of['std']:.6f}" in caplog.messages
    assert 0.8 < of["mean"] < 1
    assert 0 < of["std"] < 0.1


@pytest.mark.parametrize(
    ("values", "classes", "reason"),
    [
        ({"calibration": "sigmoid"}, 3, "calibration is for two classes, and this dataset has 3"),
        (
            {"calibration": "isotonic", "decision_threshold": "f1"},
            0,
            "calibration and decision_threshold are for two classes, .* has a number to predict",
        ),
        ({"positive_class": "c"}, 2, "positive_class is 'c'; it must be 'a' or 'b'"),
        ({"cross_validation": "20"}, 2, "class 'a' has 16; set a lower cross_validation"),
        ({"cross_validation": "20"}, 0, "20 folds need 40 training rows, and there are 32"),
    ],
)
def test_what_does_not_fit_the_dataset_is_refused(
    values: dict[str, str], classes: int, reason: str
) -> None:
    names = ("a", "b", "c")[:classes]
    labels = [names[number % classes] if classes else str(number) for number in range(40)]
    rows = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
    dataset = dataset_of(rows, labels, names)
    raw: dict[str, Any] = {"algorithm": "random-forest", **values}
    with pytest.raises(HyperparameterError, match=reason):
        fit_and_measure(dataset, parse_hyperparameters(raw))


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("decision_threshold", "0", "a number above 0 to 1 or f1 or accuracy or balanced_accuracy"),
        ("decision_threshold", "1.5", "or balanced_accuracy or none"),
        ("decision_threshold", "recall", "a number above 0 to 1 or f1"),
        ("calibration", "platt", "it must be none or sigmoid or isotonic"),
        ("cross_validation", "1", "a whole number from 2 to 20 or none"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused(name: str, value: str, allowed: str) -> None:
    with pytest.raises(HyperparameterError, match=f"{name} is '{value}'; .*{allowed}"):
        parse_hyperparameters({name: value})


def test_a_fit_without_folds_needs_none() -> None:
    assert parse_hyperparameters({}).folds == 0
    assert parse_hyperparameters({"decision_threshold": "0.3"}).folds == 0
    assert parse_hyperparameters({"decision_threshold": "f1"}).folds == 5
    chosen = parse_hyperparameters({"calibration": "sigmoid", "cross_validation": "7"})
    assert chosen.folds == 7
    assert replace(chosen, values={**chosen.values, "cross_validation": None}).folds == 5
