"""The training job: channels in, model.onnx and card.json out.

    read hyperparameters and channels → fit → export → compare with scikit-learn → measure → save

The metrics are those of the ONNX model, which is what will be served. On any failure the reason is
in output/failure and the exit code is 1.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-output.html
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

from model.archive import Dataset
from model.channels import MlPaths, hold_out, read_channels, read_json_object
from model.errors import ContainerError
from model.hyperparameters import Hyperparameters, parse_hyperparameters

log = logging.getLogger("model.train")

_FAILURE_CHARACTERS = 1024
_PACKAGES = ("numpy", "onnx", "onnxruntime", "scikit-learn", "skl2onnx")


def run(environment: Mapping[str, str]) -> int:
    """Run the job of an environment; return the exit code."""
    paths = MlPaths.from_environment(environment)
    try:
        _train(paths, environment)
    except ContainerError as error:
        log.error("training failed: %s", error)
        _write_failure(paths, str(error))
        return 1
    except Exception as error:
        log.exception("training failed")
        _write_failure(paths, f"{type(error).__name__}: {error} (the traceback is in the log)")
        return 1
    return 0


def _train(paths: MlPaths, environment: Mapping[str, str]) -> None:
    hyperparameters = parse_hyperparameters(read_json_object(paths.config / "hyperparameters.json"))
    dataset = read_channels(paths)
    own_validation = dataset.validation is not None
    dataset = hold_out(dataset, hyperparameters.validation_fraction, hyperparameters.seed)
    assert dataset.validation is not None  # noqa: S101 - hold_out made it
    log.info(
        "dataset %s: %d rows to train on, %d to validate with%s, %d features, classes %s",
        dataset.name,
        len(dataset.train.labels),
        len(dataset.validation.labels),
        "" if own_validation else " (held out of the training rows)",
        len(dataset.features),
        ", ".join(f"{name} {rows}" for name, rows in dataset.train.counts().items()),
    )
    card, onnx_bytes, confusion = _fit(dataset, hyperparameters)
    card["lineage"] = {
        "training_job_name": environment.get("TRAINING_JOB_NAME", ""),
        "training_job_arn": environment.get("TRAINING_JOB_ARN", ""),
        "dataset": {
            "name": dataset.name,
            "source": dataset.source,
            "sha256": dataset.sha256,
            "rows": {
                "train": len(dataset.train.labels),
                "validation": len(dataset.validation.labels),
            },
        },
    }
    card["created"] = datetime.now(UTC).isoformat(timespec="seconds")
    card["packages"] = {"python": sys.version.split()[0]} | {n: version(n) for n in _PACKAGES}
    _save(paths, card, onnx_bytes, confusion)


def _fit(
    dataset: Dataset, hyperparameters: Hyperparameters
) -> tuple[dict[str, Any], bytes, list[list[int]]]:
    """Return the card so far, the ONNX model and the validation rows' confusion matrix."""
    # Here, and not above: a dataset that cannot train is refused before scikit-learn is loaded.
    import numpy as np

    from model.estimator import fit
    from model.export import check_same_answers, to_onnx_bytes
    from model.metrics import evaluate
    from model.predictor import CARD_FORMAT, Predictor

    assert dataset.validation is not None  # noqa: S101 - hold_out made it
    numbers = {name: number for number, name in enumerate(dataset.classes)}
    tables = {"train": dataset.train, "validation": dataset.validation}
    rows = {name: np.array(table.rows, dtype=np.float32) for name, table in tables.items()}
    truth = {
        name: np.array([numbers[label] for label in table.labels], dtype=np.int64)
        for name, table in tables.items()
    }
    started = perf_counter()
    estimator = fit(hyperparameters, rows["train"], truth["train"])
    fit_seconds = perf_counter() - started
    log.info("fitted %s in %.2f s", hyperparameters.algorithm, fit_seconds)
    onnx_bytes = to_onnx_bytes(estimator, len(dataset.features))
    predictor = Predictor(onnx_bytes, dataset.features, dataset.classes)
    worst, ties = check_same_answers(estimator, predictor, rows["validation"])
    log.info(
        "the ONNX model (%d bytes) answers as scikit-learn: largest difference of a probability "
        "%.1g, ties %d",
        len(onnx_bytes),
        worst,
        ties,
    )
    evaluations = {
        name: evaluate(truth[name], *predictor.run(rows[name])) for name in ("train", "validation")
    }
    for name, evaluation in evaluations.items():
        # These lines are what MetricDefinitions read.
        log.info("%s:accuracy=%.6f", name, evaluation.accuracy)
        log.info("%s:f1_macro=%.6f", name, evaluation.f1_macro)
        log.info("%s:log_loss=%.6f", name, evaluation.log_loss)
    card: dict[str, Any] = {
        "format": CARD_FORMAT,
        "label": dataset.label,
        "features": list(dataset.features),
        "classes": list(dataset.classes),
        "algorithm": str(hyperparameters.algorithm),
        "hyperparameters": hyperparameters.as_json(),
        "metrics": {name: item.as_json(dataset.classes) for name, item in evaluations.items()},
        "fit_seconds": round(fit_seconds, 3),
    }
    return card, onnx_bytes, evaluations["validation"].confusion.tolist()


def _save(
    paths: MlPaths, card: dict[str, Any], onnx_bytes: bytes, confusion: list[list[int]]
) -> None:
    from model.predictor import CARD_FILE, MODEL_FILE

    paths.model.mkdir(parents=True, exist_ok=True)
    paths.output.mkdir(parents=True, exist_ok=True)
    matrix = {"classes": card["classes"], "rows_are": "true class", "matrix": confusion}
    _write(paths.output / "metrics.json", _json(card["metrics"]))
    _write(paths.output / "confusion_matrix.json", _json(matrix))
    _write(paths.model / MODEL_FILE, onnx_bytes)
    # Last: a model directory with a card is complete.
    _write(paths.model / CARD_FILE, _json(card))
    log.info("saved %s and %s", paths.model / MODEL_FILE, paths.model / CARD_FILE)


def _json(document: object) -> bytes:
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def _write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    os.replace(partial, path)


def _write_failure(paths: MlPaths, reason: str) -> None:
    if len(reason) > _FAILURE_CHARACTERS:
        reason = reason[: _FAILURE_CHARACTERS - 1] + "…"
    try:
        paths.failure.parent.mkdir(parents=True, exist_ok=True)
        paths.failure.write_text(reason, "utf-8")
    except OSError as error:
        log.error("cannot write %s: %s", paths.failure, error)
