"""The ONNX model must predict the same as its estimator, or it is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from sklearn.datasets import make_classification

from model.archive import read_archive
from model.errors import ArtifactError, ExportError
from model.estimator import fit
from model.export import Equivalence, to_onnx_bytes, tolerance_of
from model.hyperparameters import Algorithm, parse_hyperparameters
from model.onnx_predictor import OnnxPredictor
from model.thresholds import rows_of_categories

SMALL = {
    Algorithm.RANDOM_FOREST: {"n_estimators": "10"},
    Algorithm.GRADIENT_BOOSTING: {"n_estimators": "10"},
    Algorithm.HIST_GRADIENT_BOOSTING: {"max_iter": "10"},
}


@pytest.fixture(scope="module")
def table(iris_zip: bytes) -> tuple[Any, Any, Any]:
    dataset = read_archive(iris_zip, "iris.zip")
    rows = np.array(dataset.train.rows, dtype=np.float32)
    truth = np.array([dataset.classes.index(label) for label in dataset.train.labels])
    return rows, truth, dataset.classes


@pytest.mark.parametrize("algorithm", [a for a in Algorithm if a != Algorithm.LINEAR_REGRESSION])
@pytest.mark.parametrize("classes", [2, 3])
def test_the_onnx_model_of_each_algorithm_predicts_the_same(
    algorithm: Algorithm, classes: int, table: tuple[Any, Any, Any]
) -> None:
    rows, truth, names = table
    chosen = truth < classes
    small = SMALL.get(algorithm, {})
    hyperparameters = parse_hyperparameters({"algorithm": algorithm, **small})
    estimator = fit(hyperparameters, rows[chosen], truth[chosen])
    predictor = OnnxPredictor(to_onnx_bytes(estimator, 4), 4, names[:classes])
    tolerance = tolerance_of(algorithm)
    assert Equivalence(estimator, rows[chosen], tolerance).check(predictor).worst <= tolerance


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("algorithm", [Algorithm.RANDOM_FOREST, Algorithm.HIST_GRADIENT_BOOSTING])
def test_many_rows_are_scored_as_each_alone(algorithm: Algorithm, classes: int) -> None:
    rows, truth = make_classification(
        400, 8, n_informative=6, n_classes=classes, random_state=3, shuffle=True
    )
    rows = rows.astype(np.float32)
    if algorithm is Algorithm.HIST_GRADIENT_BOOSTING:
        rows[::7, 2] = np.nan
    hyperparameters = parse_hyperparameters({"algorithm": algorithm, **SMALL[algorithm]})
    onnx_bytes = to_onnx_bytes(fit(hyperparameters, rows, truth), 8)
    predictor = OnnxPredictor(onnx_bytes, 8, [str(number) for number in range(classes)])
    together = predictor.run(rows)
    alone = [predictor.run(rows[at : at + 1]) for at in range(len(rows))]
    for at, parts in enumerate(zip(*alone, strict=True)):
        assert np.array_equal(together[at], np.concatenate(parts))


def test_of_two_equal_classes_the_first_wins_as_in_scikit_learn() -> None:
    rows, truth = make_classification(400, 8, flip_y=0.3, random_state=3)
    rows = rows.astype(np.float32)
    estimator = fit(parse_hyperparameters({"n_estimators": "2"}), rows, truth)
    numbers, probabilities = OnnxPredictor(to_onnx_bytes(estimator, 8), 8, ("x", "y")).run(rows)
    ties = probabilities[:, 0] == probabilities[:, 1]
    assert ties.sum() > 10
    assert not numbers[ties].any()
    assert np.array_equal(numbers, estimator.predict(rows))


@pytest.mark.parametrize("trees", [2, 6, 20, 50])
@pytest.mark.parametrize("classes", [2, 3])
def test_equal_votes_of_a_forest_are_a_tie_for_any_number_of_trees(
    trees: int, classes: int
) -> None:
    rows, truth = make_classification(
        2000, 8, n_informative=5, n_classes=classes, flip_y=0.5, random_state=trees
    )
    rows = rows.astype(np.float32)
    forest = fit(parse_hyperparameters({"n_estimators": str(trees)}), rows[:500], truth[:500])
    names = [str(number) for number in range(classes)]
    numbers, _ = OnnxPredictor(to_onnx_bytes(forest, 8), 8, names).run(rows)
    best = np.sort(forest.predict_proba(rows), axis=1)
    assert (best[:, -1] == best[:, -2]).sum() > 20
    assert np.array_equal(numbers, forest.predict(rows))


def test_of_two_equal_classes_gradient_boosting_answers_the_second_as_in_scikit_learn() -> None:
    rows = np.zeros((40, 1), np.float32)
    truth = np.array([0, 1] * 20)
    for algorithm, expected in (("gradient-boosting", 1), ("hist-gradient-boosting", 0)):
        estimator = fit(parse_hyperparameters({"algorithm": algorithm}), rows, truth)
        numbers, _ = OnnxPredictor(to_onnx_bytes(estimator, 1), 1, ("x", "y")).run(rows)
        assert set(numbers.tolist()) == set(estimator.predict(rows).tolist()) == {expected}


def test_sorting_by_an_unknown_feature_is_refused(table: tuple[Any, Any, Any]) -> None:
    rows, truth, names = table
    few = parse_hyperparameters({"n_estimators": "3"})
    model = onnx.load_from_string(to_onnx_bytes(fit(few, rows, truth), 4))
    for wrong in ("4", "-1", "x"):
        onnx.helper.set_model_props(model, {"sort_by": wrong})
        with pytest.raises(ArtifactError, match=f"sort_by '{wrong}'; it must be a feature, 0 to 3"):
            OnnxPredictor(model.SerializeToString(), 4, names)


def test_the_onnx_model_of_another_fit_is_refused(table: tuple[Any, Any, Any]) -> None:
    rows, truth, names = table
    few = parse_hyperparameters({"n_estimators": "3"})
    other = parse_hyperparameters({"n_estimators": "3", "seed": "5"})
    predictor = OnnxPredictor(to_onnx_bytes(fit(few, rows, truth), 4), 4, names)
    reason = r"differ from scikit-learn's by up to 0\.67 on 4 of 120 .* rows: 28, 62, 108, 120;"
    with pytest.raises(ExportError, match=reason):
        Equivalence(fit(other, rows, truth), rows).check(predictor)


def test_an_estimator_whose_own_sums_overflow_is_refused_with_advice() -> None:
    rows, truth = make_classification(60, 4, random_state=0)
    rows = rows.astype(np.float32)
    raw = {"algorithm": "gradient-boosting", "n_estimators": "2"}
    boosted = fit(parse_hyperparameters(raw), rows, truth)
    predictor = OnnxPredictor(to_onnx_bytes(boosted, 4), 4, ("x", "y"))
    for tree, value in zip(boosted.estimators_[:, 0], (np.inf, -np.inf), strict=True):
        tree.tree_.value[:] = value
    reason = "own probabilities are not finite on 60 of 60 .* set a smaller learning_rate"
    with pytest.raises(ExportError, match=reason):
        Equivalence(boosted, rows).check(predictor)


def test_a_validation_row_that_overflows_when_it_is_scaled_is_refused() -> None:
    rows, truth = make_classification(60, 4, random_state=0)
    rows = (rows / 100).astype(np.float32)
    logistic = fit(parse_hyperparameters({"algorithm": "logistic-regression"}), rows, truth)
    predictor = OnnxPredictor(to_onnx_bytes(logistic, 4), 4, ("x", "y"))
    rows[7, 2] = 3e38
    with pytest.raises(ExportError, match="their scaled features overflow: scale the features"):
        Equivalence(logistic, rows).check(predictor)


def test_metadata_with_another_number_of_classes_is_refused(
    table: tuple[Any, Any, Any],
) -> None:
    rows, truth, _ = table
    onnx_bytes = to_onnx_bytes(fit(parse_hyperparameters({"n_estimators": "3"}), rows, truth), 4)
    with pytest.raises(ArtifactError, match="has 3 classes, but the model metadata lists 2"):
        OnnxPredictor(onnx_bytes, 4, ("x", "y"))
    with pytest.raises(ArtifactError, match="does not load"):
        OnnxPredictor(onnx_bytes, 3, ("x", "y", "z"))


@pytest.mark.parametrize("classes", [0, 2, 3])
@pytest.mark.parametrize("categories", [2, 40, 255])
def test_splits_on_sets_of_categories_are_answered_as_by_scikit_learn(
    classes: int, categories: int
) -> None:
    chance = np.random.default_rng(categories)
    rows = chance.normal(size=(3000, 4)).astype(np.float32)
    # Places from 1, each of them at least once, and some that are missing.
    places = np.arange(3000) % categories + 1
    rows[:, 1] = chance.permutation(places)
    rows[:, 3] = np.where(chance.random(3000) < 0.1, np.nan, places)
    effects = chance.normal(size=categories + 1)
    value = rows[:, 0] + effects[rows[:, 1].astype(int)] + np.nan_to_num(effects[places])
    value += chance.normal(0, 0.3, 3000)
    regression = not classes
    truth = value if regression else value.argsort().argsort() * classes // 3000
    raw = {"algorithm": "hist-gradient-boosting", "max_iter": "20"}
    raw["regression"] = "yes" if regression else "no"
    estimator = fit(
        parse_hyperparameters(raw), rows, truth, regression=regression, categorical=(1, 3)
    )
    names = tuple(str(number) for number in range(classes))
    predictor = OnnxPredictor(to_onnx_bytes(estimator, 4), 4, names)
    asked = rows.copy()
    asked[:400, 1] = np.nan
    asked[::7, 3] = np.nan
    numbers, values = predictor.run(asked)
    tolerance = tolerance_of(Algorithm.HIST_GRADIENT_BOOSTING)
    if regression:
        assert np.abs(values[:, 0] - estimator.predict(asked)).max() < 1e-5
    else:
        assert np.array_equal(numbers, estimator.predict(asked))
        assert np.abs(values - estimator.predict_proba(asked)).max() < 1e-5
    assert Equivalence(estimator, rows, tolerance).check(predictor).worst < 1e-5


def test_boosting_with_categories_that_learns_nothing_answers_its_baseline() -> None:
    rows = np.array([[1], [2]] * 20, np.float32)
    truth = np.array([0, 0, 1, 1] * 10)
    raw = {"algorithm": "hist-gradient-boosting", "max_iter": "2"}
    estimator = fit(parse_hyperparameters(raw), rows, truth, categorical=(0,))
    predictor = OnnxPredictor(to_onnx_bytes(estimator, 1), 1, ("x", "y"))
    _, probabilities = predictor.run(rows)
    assert np.abs(probabilities - estimator.predict_proba(rows)).max() < 1e-6


def test_the_check_before_export_asks_each_category_and_a_missing_one() -> None:
    rows = np.array([[number % 9 + 1, number] for number in range(900)], np.float32)
    truth = np.isin(rows[:, 0], [2, 5, 6]).astype(np.int64)
    raw = {"algorithm": "hist-gradient-boosting", "max_iter": "3"}
    estimator = fit(parse_hyperparameters(raw), rows, truth, categorical=(0,))
    other = fit(parse_hyperparameters(raw), rows, 1 - truth, categorical=(0,))
    asked = rows_of_categories(estimator, rows[:1])
    assert asked[:9, 0].tolist() == list(range(1, 10))
    assert np.isnan(asked[9::10, 0]).all()
    predictor = OnnxPredictor(to_onnx_bytes(other, 2), 2, ("x", "y"))
    with pytest.raises(ExportError, match="differ from scikit-learn's"):
        Equivalence(estimator, rows).check(predictor)
