"""Fits a dataset and returns the ONNX model, its metadata and the files of the output data.

The metrics are those of the exported model, because that is the model that will be served. Each is
printed on a line of its own, such as `validation:accuracy=0.966667`, for the regular expressions of
MetricDefinitions.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.archive import Dataset
from model.columns import Columns, check_known, learn_columns
from model.decision import Decision
from model.errors import ExportError
from model.estimator import fit, learns_from_missing
from model.export import Equivalence, to_onnx_bytes, tolerance_of
from model.folds import answers_out_of_fold, cross_validated, decision_of
from model.hyperparameters import Hyperparameters, check_decision
from model.importances import Importance, permutation_importances
from model.metrics import evaluate, evaluate_regression, positive_of, ranking_metrics
from model.onnx_predictor import OnnxPredictor
from model.plots import draw_confusion, draw_importances
from model.predictor import METADATA_FORMAT, Predictor
from model.progress import Progress
from model.table import Table
from model.tree_predictor import AVAILABLE, TreePredictor
from model.tree_table import tree_table

log = logging.getLogger("model.fitting")


@dataclass(frozen=True, slots=True)
class TrainingArtifacts:
    """The results of a fit, before they are saved.

    Attributes:
        metadata: the model metadata, without lineage, date and package versions.
        onnx_bytes: the serialized ONNX model.
        tree_table: the table of its trees, or None if it has no trees or nothing here reads it.
        output: the output data: file name → bytes, or a document that is saved as JSON.
    """

    metadata: dict[str, Any]
    onnx_bytes: bytes
    tree_table: bytes | None
    output: Mapping[str, object]


def fit_and_measure(dataset: Dataset, hyperparameters: Hyperparameters) -> TrainingArtifacts:
    """Fit the estimator, export it to ONNX, compare both, and compute the metrics.

    Args:
        dataset: a dataset with validation rows.
        hyperparameters: the algorithm and its values.

    Raises:
        DatasetError: a column cannot be used, or the validation rows have an unknown category.
        ExportError: the ONNX model's predictions differ from the estimator's.
        HyperparameterError: class_weight, a calibration, a threshold or the number of folds does
            not fit the dataset.
    """
    assert dataset.validation is not None  # noqa: S101 - the caller held rows out
    algorithm = hyperparameters.algorithm
    check_decision(hyperparameters, dataset.classes)
    columns = learn_columns(
        dataset.train,
        dataset.features,
        accept_missing=dataset.accept_missing,
        fill=not learns_from_missing(algorithm),
        coded=hyperparameters.coded_categories,
        missing_spellings=dataset.missing_spellings,
        max_categories=hyperparameters.max_categories,
    )
    _tell_of_columns(dataset.train, columns)
    if dataset.validation.categorical_columns:
        check_known(
            columns,
            dataset.validation.rows,
            dataset.validation.categorical_columns,
            "the validation rows",
        )
    tables = {"train": dataset.train, "validation": dataset.validation}
    rows = {name: columns.encode_columns(table.columns) for name, table in tables.items()}
    truth = {name: _truth(table.labels, dataset.classes) for name, table in tables.items()}
    positive = _positive(hyperparameters, dataset.classes, truth["train"])
    decision, folds = _by_folds(hyperparameters, dataset.classes, columns, rows, truth, positive)
    started = perf_counter()
    with Progress(f"fitting {algorithm}") as progress:
        estimator = fit(
            hyperparameters,
            rows["train"],
            truth["train"],
            dataset.classes,
            progress,
            regression=not dataset.classes,
            categorical=columns.coded_places,
        )
    fit_seconds = perf_counter() - started
    log.info("fitted %s in %.2f s", algorithm, fit_seconds)
    with Progress("exporting to ONNX and comparing"):
        onnx_bytes = to_onnx_bytes(estimator, columns.width, decision)
        predictor: Predictor = OnnxPredictor(onnx_bytes, columns.width, dataset.classes)
        expected = Equivalence(
            estimator,
            rows["validation"],
            tolerance_of(algorithm, decision),
            decision,
            columns,
        )
        compared = expected.check(predictor)
        table = tree_table(estimator, columns.width, onnx_bytes, decision) if AVAILABLE else None
    log.info(
        "the ONNX model (%d bytes) predicts the same as scikit-learn: largest difference of a %s "
        "%.1g (at most %.1g), ties %d",
        len(onnx_bytes),
        "probability" if dataset.classes else "value",
        compared.worst,
        compared.tolerance,
        compared.ties,
    )
    if table is not None:
        try:
            of_trees = TreePredictor(table, columns.width, dataset.classes)
            worst = expected.check(of_trees).worst
        except (ExportError, ValueError) as error:
            log.warning("its table of trees is left out, and ONNX Runtime will score: %s", error)
            table = None
        else:
            predictor = of_trees
            log.info(
                "so does its table of trees (%d bytes): largest difference %.1g", len(table), worst
            )
    with Progress("measuring"):
        metrics, output = _measure(predictor, rows, truth, positive)
    if folds:
        metrics["cross_validation"] = folds
        for metric, of in folds.items():
            log.info("cv:%s_mean=%.6f", metric, of["mean"])
            log.info("cv:%s_std=%.6f", metric, of["std"])
    with Progress("importances of columns") as progress:
        importances = _importances(
            predictor,
            columns,
            rows["validation"],
            truth["validation"],
            hyperparameters.seed,
            progress,
        )
    loss_of = "accuracy" if dataset.classes else "r2"
    output |= {
        "metrics.json": metrics,
        "feature_importances.json": {
            "loss_of": loss_of,
            "importances": {name: one.mean for name, one in importances.items()},
            "spreads": {name: one.spread for name, one in importances.items()},
        },
        "feature_importances.svg": draw_importances(importances, loss_of),
    }
    metadata: dict[str, Any] = {
        "format": METADATA_FORMAT,
        "label": dataset.label,
        "features": list(dataset.features),
        "classes": list(dataset.classes),
        "columns": columns.as_json(),
        "algorithm": str(algorithm),
        "hyperparameters": hyperparameters.as_json(),
        "metrics": metrics,
        "same_as_scikit_learn": {"worst": compared.worst, "tolerance": compared.tolerance},
        "fit_seconds": round(fit_seconds, 3),
    }
    if decision is not None:
        metadata["decision"] = decision.as_json(dataset.classes)
    return TrainingArtifacts(metadata, onnx_bytes, table, output)


def _tell_of_columns(table: Table, columns: Columns) -> None:
    for at, column in enumerate(columns.columns):
        if column.date is not None:
            log.info(
                "column %s: dates (%s), of which the model gets %s, in UTC",
                column.name,
                column.date.order,
                ", ".join(column.date.parts),
            )
        if column.other and column.categories is not None:
            cells = Counter(table.cells(at))
            del cells[""]
            rare = [rows for name, rows in cells.items() if name not in column.categories[:-1]]
            log.info(
                "column %s: %d of %d categories are kept; the others (%.1f %% of the rows) are one",
                column.name,
                len(column.categories) - 1,
                len(cells),
                100 * sum(rare) / len(table.labels),
            )


def _positive(
    hyperparameters: Hyperparameters, classes: tuple[str, ...], truth: NDArray[Any]
) -> int | None:
    """Return the number of the positive class of two; None of another number of classes."""
    if len(classes) != 2:
        return None
    chosen = hyperparameters.values.get("positive_class")
    return positive_of(truth) if chosen is None else classes.index(str(chosen))


def _by_folds(
    hyperparameters: Hyperparameters,
    classes: tuple[str, ...],
    columns: Columns,
    rows: Mapping[str, NDArray[np.float32]],
    truth: Mapping[str, NDArray[Any]],
    positive: int | None,
) -> tuple[Decision | None, Mapping[str, Mapping[str, float]]]:
    """Return what folds of the training rows are needed for: the decision, and the metrics."""
    decision = None
    if hyperparameters.decides and positive is not None and not hyperparameters.folds:
        threshold = float(str(hyperparameters.values["decision_threshold"]))
        decision = Decision(positive, threshold)
    if not hyperparameters.folds:
        return decision, {}
    with Progress("fitting folds") as progress:
        found = answers_out_of_fold(
            hyperparameters,
            rows["train"],
            truth["train"],
            classes,
            hyperparameters.folds,
            progress,
            columns.coded_places,
        )
    if hyperparameters.decides and positive is not None:
        decision = decision_of(found, truth["train"], hyperparameters, positive)
        if decision.threshold is not None:
            log.info(
                "the answer is %s from a probability of %.6g on",
                classes[positive],
                decision.threshold,
            )
    if hyperparameters.values["cross_validation"] is None:
        return decision, {}
    metrics = cross_validated(found, truth["train"], classes, hyperparameters, positive)
    return decision, metrics


def _truth(labels: tuple[str, ...], classes: tuple[str, ...]) -> NDArray[Any]:
    if not classes:
        return np.array([float(label) for label in labels], dtype=np.float64)
    numbers = {name: number for number, name in enumerate(classes)}
    return np.array([numbers[label] for label in labels], dtype=np.int64)


def _measure(
    predictor: Predictor,
    rows: Mapping[str, NDArray[np.float32]],
    truth: Mapping[str, NDArray[Any]],
    positive: int | None,
) -> tuple[dict[str, Any], dict[str, object]]:
    """Return the metrics of each set of rows, and the confusion matrix files of the last set."""
    metrics: dict[str, Any] = {}
    output: dict[str, object] = {}
    for name in rows:
        numbers, values = predictor.run(rows[name])
        if predictor.classes:
            found = evaluate(truth[name], numbers, values)
            metrics[name] = found.as_json(predictor.classes)
            printed: tuple[str, ...] = ("accuracy", "f1_macro", "log_loss")
            ranking = ranking_metrics(truth[name], values, predictor.classes, positive)
            metrics[name] |= ranking
            printed += tuple(metric for metric in ranking if metric != "positive_class")
            matrix = found.confusion.tolist()
            # The validation rows come last, so theirs are the files that remain.
            output = {
                "confusion_matrix.json": {
                    "classes": list(predictor.classes),
                    "rows_are": "true class",
                    "matrix": matrix,
                },
                "confusion_matrix.svg": draw_confusion(predictor.classes, matrix),
            }
        else:
            metrics[name] = evaluate_regression(truth[name], values[:, 0]).as_json()
            printed = ("rmse", "mae", "r2")
        for metric in printed:
            log.info("%s:%s=%.6f", name, metric, metrics[name][metric])
    return metrics, output


def _importances(
    predictor: Predictor,
    columns: Columns,
    rows: NDArray[np.float32],
    truth: NDArray[Any],
    seed: int,
    progress: Progress,
) -> dict[str, Importance]:
    def score(sample: NDArray[np.float32], sample_truth: NDArray[Any]) -> float:
        numbers, values = predictor.run(sample)
        if predictor.classes:
            return float((numbers == sample_truth).mean())
        return evaluate_regression(sample_truth, values[:, 0]).r2

    return permutation_importances(columns, rows, truth, score, seed, progress)
