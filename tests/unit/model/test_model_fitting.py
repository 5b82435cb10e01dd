"""Every algorithm with categories and missing values, up to the served model; in one process."""

from __future__ import annotations

import logging
import random
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from model.archive import Dataset
from model.channels import hold_out
from model.columns import Columns
from model.errors import ExportError, HyperparameterError
from model.estimator import class_weights, fit
from model.export import Equivalence, to_onnx_bytes
from model.fitting import TrainingArtifacts, fit_and_measure
from model.hyperparameters import Algorithm, parse_hyperparameters
from model.importances import permutation_importances
from model.metrics import evaluate_regression
from model.onnx_predictor import OnnxPredictor
from model.progress import Progress
from model.rows import ReadOptions
from model.table import parse_table

SMALL = {
    Algorithm.RANDOM_FOREST: {"n_estimators": "20", "class_weight": "balanced"},
    Algorithm.GRADIENT_BOOSTING: {"n_estimators": "20"},
    Algorithm.HIST_GRADIENT_BOOSTING: {"max_iter": "20", "class_weight": '{"yes": 2, "no": 1}'},
    Algorithm.EXTRA_TREES: {"n_estimators": "40", "class_weight": "balanced"},
}
# The same, to predict a value.
REGRESSIONS = {
    Algorithm.RANDOM_FOREST: {"n_estimators": "20"},
    Algorithm.GRADIENT_BOOSTING: {"n_estimators": "60", "n_iter_no_change": "10"},
    Algorithm.HIST_GRADIENT_BOOSTING: {"max_iter": "60", "n_iter_no_change": "10"},
    Algorithm.EXTRA_TREES: {"n_estimators": "40"},
    Algorithm.LINEAR_REGRESSION: dict[str, str](),
}


def train_small(
    algorithm: Algorithm, rows: int = 200, *, regression: bool = False
) -> TrainingArtifacts:
    """Train on the value 2 * size + 3 * (colour is red); the weight is noise."""
    chance = random.Random(1)
    lines = ["label,size,colour,weight"]
    for _ in range(rows):
        size, colour = chance.gauss(0, 1), chance.choice(["red", "green", "blue"])
        value = 2 * size + 3 * (colour == "red")
        label = f"{value:.4f}" if regression else "yes" if value > 1 else "no"
        shown = "" if chance.random() < 0.05 else f"{size:.4f}"
        lines.append(f"{label},{shown},{colour},{chance.gauss(0, 1):.4f}")
    read_options = ReadOptions(True, ("auto",), accept_missing=True, regression=regression)
    table = parse_table("\n".join(lines), "t", read_options=read_options)
    classes = () if regression else ("no", "yes")
    small = REGRESSIONS[algorithm] if regression else SMALL.get(algorithm, {})
    raw = {"algorithm": algorithm, "missing_values": "accept", **small}
    hyperparameters = parse_hyperparameters(raw)
    dataset = Dataset(
        table,
        None,
        features=table.names,
        classes=classes,
        accept_missing=read_options.accept_missing,
    )
    return fit_and_measure(hold_out(dataset, 0.25, 0), hyperparameters)


@pytest.mark.parametrize(
    ("algorithm", "regression"),
    [
        *((algorithm, False) for algorithm in Algorithm if "linear" not in algorithm),
        *((algorithm, True) for algorithm in REGRESSIONS),
    ],
)
def test_each_algorithm_learns_from_categories_and_missing_values(
    algorithm: Algorithm, regression: bool
) -> None:
    artifacts = train_small(algorithm, regression=regression)
    score = "r2" if regression else "accuracy"
    assert artifacts.metadata["metrics"]["validation"][score] > 0.75
    importances = artifacts.output["feature_importances.json"]
    assert isinstance(importances, dict)
    assert list(importances["importances"])[-1] == "weight"
    assert sum(importances["importances"].values()) > 0.1
    pictures = {name for name in artifacts.output if name.endswith(".svg")}
    assert pictures == {"feature_importances.svg"} | (
        set() if score == "r2" else {"confusion_matrix.svg"}
    )
    for name in pictures:
        assert bytes(artifacts.output[name]).startswith(b"<svg")  # type: ignore[call-overload]
    columns = Columns.from_metadata(artifacts.metadata)
    predictor = OnnxPredictor(artifacts.onnx_bytes, columns.width, artifacts.metadata["classes"])
    numbers, values = predictor.run(columns.encode([[1.0, "red", 0.0], [-2.0, "green", 0.0]]))
    if score == "r2":
        assert values[0, 0] > values[1, 0]
    else:
        assert numbers.tolist() == [1, 0]


def test_boosting_stops_when_iterations_bring_no_more() -> None:
    chance = np.random.default_rng(0)
    rows = chance.normal(size=(400, 3)).astype(np.float32)
    # Noise, which more iterations only learn by heart.
    truth = (rows[:, 0] + chance.normal(0, 2, 400) > 0).astype(np.int64)
    for algorithm in (Algorithm.GRADIENT_BOOSTING, Algorithm.HIST_GRADIENT_BOOSTING):
        early = parse_hyperparameters({"algorithm": algorithm, "n_iter_no_change": "3"})
        grown = fit(early, rows, truth)
        assert getattr(grown, "n_iter_", getattr(grown, "n_estimators_", 0)) < 100
        whole = fit(parse_hyperparameters({"algorithm": algorithm}), rows, truth)
        assert getattr(whole, "n_iter_", getattr(whole, "n_estimators_", 0)) == 100


@pytest.mark.parametrize("truth", [[0, 1, 2] * 5, [0] * 30 + [1]])
def test_an_early_stop_needs_rows_of_each_class(truth: list[int]) -> None:
    early = parse_hyperparameters({"algorithm": "gradient-boosting", "n_iter_no_change": "3"})
    with pytest.raises(HyperparameterError, match="holds out a tenth of the"):
        fit(early, np.zeros((len(truth), 1), np.float32), np.array(truth))


def test_weights_of_classes_are_refused_for_a_value() -> None:
    weighted = parse_hyperparameters({"class_weight": "balanced"})
    with pytest.raises(HyperparameterError, match="class_weight is for classes"):
        fit(weighted, np.zeros((3, 1), np.float32), np.array([0.5, 1.5, 2.5]), regression=True)


def test_two_classes_have_metrics_that_do_not_depend_on_a_threshold() -> None:
    metrics = train_small(Algorithm.LOGISTIC_REGRESSION).metadata["metrics"]["validation"]
    assert metrics["positive_class"] == "yes"
    assert 0.9 < metrics["roc_auc"] <= 1
    assert 0.9 < metrics["average_precision"] <= 1


def test_an_algorithm_without_a_fit_is_an_error_and_not_a_random_forest() -> None:
    rows, truth = np.zeros((2, 1), np.float32), np.array([0, 1])
    unknown: Any = "perceptron"
    hyperparameters = replace(parse_hyperparameters({}), algorithm=unknown)
    with pytest.raises(AssertionError, match="perceptron"):
        fit(hyperparameters, rows, truth)


def test_the_same_seed_makes_the_same_model() -> None:
    models = {train_small(Algorithm.RANDOM_FOREST, 60).onnx_bytes for _ in range(2)}
    assert len(models) == 1


def test_a_forest_grown_in_steps_is_the_forest_of_one_fit() -> None:
    chance = np.random.default_rng(0)
    rows = chance.normal(size=(80, 4)).astype(np.float32)
    truth = (rows[:, 0] > 0).astype(np.int64)
    grown = fit(parse_hyperparameters({"n_estimators": "47", "seed": "3"}), rows, truth)
    whole = RandomForestClassifier(47, random_state=3).fit(rows, truth)
    assert len(grown.estimators_) == 47
    assert np.array_equal(grown.predict_proba(rows), whole.predict_proba(rows))


@pytest.mark.parametrize(
    ("algorithm", "size"),
    [
        # 40 trees of 3 nodes and 2 leaves, each leaf with a score for each of 3 classes.
        ({"n_estimators": "40", "max_depth": "1"}, 40 * (3 + 2 * 3)),
        # Each of 40 iterations grows a tree for each class.
        (
            {"algorithm": "gradient-boosting", "n_estimators": "40", "max_depth": "1"},
            40 * 3 * (3 + 2),
        ),
        (
            {"algorithm": "hist-gradient-boosting", "max_iter": "40", "max_depth": "1"},
            40 * 3 * (3 + 2),
        ),
    ],
    ids=str,
)
def test_a_model_that_is_too_large_is_refused(algorithm: dict[str, str], size: int) -> None:
    rows = np.repeat(np.arange(3, dtype=np.float32), 60).reshape(-1, 1)
    truth = np.repeat(np.arange(3), 60)
    hyperparameters = parse_hyperparameters(algorithm)
    assert fit(hyperparameters, rows, truth, max_tree_size=size)
    limit = f"at most {size - 1:,} are allowed. Set a lower number of trees, a lower max_depth"
    with pytest.raises(HyperparameterError, match=limit):
        fit(hyperparameters, rows, truth, max_tree_size=size - 1)


def test_a_forest_that_will_be_too_large_is_refused_after_a_twentieth_of_its_trees() -> None:
    rows = np.repeat(np.arange(2, dtype=np.float32), 60).reshape(-1, 1)
    many = parse_hyperparameters({"n_estimators": "2000", "max_depth": "1"})
    progress = Progress()
    with pytest.raises(HyperparameterError, match="would have about 10,000 nodes and scores"):
        fit(many, rows, np.repeat(np.arange(2), 60), (), progress, max_tree_size=9_999)
    assert progress.done == 100


def test_a_regression_whose_onnx_values_differ_is_refused_with_the_rows() -> None:
    rows = np.arange(12, dtype=np.float32).reshape(6, 2)
    linear = parse_hyperparameters({"algorithm": "linear-regression"})
    truth = np.array([1.0, 5, 2, 8, 3, 9])
    onnx_bytes = to_onnx_bytes(fit(linear, rows, truth), 2)
    predictor = OnnxPredictor(onnx_bytes, 2, ())
    with pytest.raises(ExportError, match=r"values differ .* on 6 of 6 validation rows: 1, 2, 3, "):
        Equivalence(fit(linear, rows, truth + 100), rows).check(predictor)


def test_balanced_weights_give_each_class_the_same_total_weight() -> None:
    truth = np.array([0, 0, 0, 1], dtype=np.int64)
    assert class_weights("balanced", truth, ("a", "b")) == {0: 4 / 6, 1: 2.0}
    assert class_weights({"a": 1.0, "b": 3.0}, truth, ("a", "b")) == {0: 1.0, 1: 3.0}
    with pytest.raises(HyperparameterError, match="names 'a', but the dataset has the classes"):
        class_weights({"a": 1.0}, truth, ("a", "b"))


@pytest.mark.parametrize("text", ["{}", '{"a": 0}', '{"a": "2"}', '{"a": true}', "{"])
def test_weights_that_are_not_positive_numbers_are_refused(text: str) -> None:
    with pytest.raises(HyperparameterError, match="or balanced or a JSON object"):
        parse_hyperparameters({"class_weight": text})


def test_the_metrics_of_a_regression() -> None:
    found = evaluate_regression(np.array([1.0, 3.0]), np.array([2.0, 3.0], dtype=np.float32))
    assert found.as_json() == {
        "rows": 2,
        "rmse": pytest.approx(0.5**0.5),
        "mae": 0.5,
        "r2": 0.5,
    }


def test_long_work_logs_its_progress(caplog: pytest.LogCaptureFixture) -> None:
    progress = Progress("fitting", every_seconds=0.005)
    progress.total, progress.done = 40, 7
    with caplog.at_level(logging.INFO), progress:
        deadline = time.monotonic() + 5
        while not caplog.records and time.monotonic() < deadline:
            time.sleep(0.005)
    assert caplog.records[0].message == "progress: fitting 0 s, 7 of 40"


def test_a_column_without_influence_has_an_importance_of_zero_without_a_sign() -> None:
    rows = np.arange(30, dtype=np.float32).reshape(10, 3)

    def score(some: NDArray[np.float32], of: NDArray[Any]) -> float:
        return 0.1 + 0.2 if some is rows else 0.3  # they differ in the last digit

    truth = np.zeros(10)
    found = permutation_importances(Columns.of_numbers("abc"), rows, truth, score, 0)
    assert [repr(value.mean) for value in found.values()] == ["0.0"] * 3
    below = permutation_importances(
        Columns.of_numbers("abc"), rows, truth, lambda *a: 0.6 - score(*a), 0
    )
    assert [repr(value.mean) for value in below.values()] == ["0.0"] * 3
