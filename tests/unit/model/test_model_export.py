"""The ONNX model answers as the estimator it came from, or is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from model.archive import read_archive
from model.errors import ArtifactError, ExportError
from model.estimator import fit
from model.export import check_same_answers, to_onnx_bytes, tolerance_of
from model.hyperparameters import Algorithm, parse_hyperparameters
from model.predictor import Predictor

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
def test_each_algorithm_answers_the_same_as_onnx(
    algorithm: Algorithm, classes: int, table: tuple[Any, Any, Any]
) -> None:
    rows, truth, names = table
    chosen = truth < classes
    small = SMALL.get(algorithm, {})
    hyperparameters = parse_hyperparameters({"algorithm": algorithm, **small})
    estimator = fit(hyperparameters, rows[chosen], truth[chosen])
    predictor = Predictor(to_onnx_bytes(estimator, 4), 4, names[:classes])
    tolerance = tolerance_of(algorithm)
    assert check_same_answers(estimator, predictor, rows[chosen], tolerance).worst <= tolerance


def test_an_onnx_model_of_other_training_is_refused(table: tuple[Any, Any, Any]) -> None:
    rows, truth, names = table
    few = parse_hyperparameters({"n_estimators": "3"})
    other = parse_hyperparameters({"n_estimators": "3", "seed": "5"})
    predictor = Predictor(to_onnx_bytes(fit(few, rows, truth), 4), 4, names)
    reason = r"differ from scikit-learn's by up to 0\.67 on 4 of 120 .* rows: 28, 62, 108, 120;"
    with pytest.raises(ExportError, match=reason):
        check_same_answers(fit(other, rows, truth), predictor, rows)


def test_a_card_that_names_another_number_of_classes_is_refused(
    table: tuple[Any, Any, Any],
) -> None:
    rows, truth, _ = table
    onnx_bytes = to_onnx_bytes(fit(parse_hyperparameters({"n_estimators": "3"}), rows, truth), 4)
    with pytest.raises(ArtifactError, match=r"answers 3 classes where card\.json names 2"):
        Predictor(onnx_bytes, 4, ("x", "y"))
    with pytest.raises(ArtifactError, match="does not load"):
        Predictor(onnx_bytes, 3, ("x", "y", "z"))
