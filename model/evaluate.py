"""The evaluation, a processing job: the candidate beside the champion, on the same rows.

    processing/dataset/…                   the dataset zip, whose validation rows are used
    processing/candidate/model.tar.gz      the model that was trained on it
    processing/champion/model.tar.gz       the approved model, if there is one
    processing/reference/reference.json    the frozen reference set, if there is one
      → processing/report/evaluation.json  every figure
        processing/report/evaluation.html  the same, for people
        processing/report/reference.json   these rows, if they begin a reference set
        output/message                     one line

The exit code is 1 if the candidate must not be promoted: its score is worse than the champion's by
more than SM_HP_MAXIMUM_REGRESSION (0 to 1, default 0) with 95 % confidence, and
SM_HP_PROMOTION_GATE is `block` (the default) and not `warn`; or its score is no better, and
SM_HP_STARTED_BY is `drift` or `schedule` and not `dataset` (the default): what is retrained without
a new reason has to be better. The hyperparameters of training come from SM_HP_<NAME>.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/build-your-own-processing-container.html
"""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.archive import Dataset
from model.cells import one_line, quote
from model.channels import hold_out, read_zip
from model.errors import ContainerError, HyperparameterError, ReferenceSetError
from model.evaluation import Answers, Comparison, Difference, compare
from model.evaluation_page import draw_page
from model.hyperparameters import Hyperparameters, hyperparameters_of, parse_hyperparameters
from model.loaded_model import Model, read_model
from model.paths import MlPaths
from model.reference_set import FILE as REFERENCE_FILE
from model.reference_set import read_reference, reference_bytes
from model.table import Table
from model.train import json_bytes, write_whole

log = logging.getLogger("model.evaluate")

VERSION = 1
BLOCK, WARN = "block", "warn"
_GATE, _REGRESSION, _STARTED_BY = "promotion_gate", "maximum_regression", "started_by"
_DATASET, _RETRAINING = "dataset", ("drift", "schedule")
KEPT, BEGUN, UNREADABLE = "kept", "begun", "unreadable"
_MESSAGE_CHARACTERS = 300
_TIMED_ROWS = 200


def run(environment: Mapping[str, str]) -> int:
    """Run the evaluation that an environment describes; return the exit code."""
    paths = MlPaths.from_environment(environment)
    try:
        message, stops = _evaluate(paths, environment)
    except ContainerError as error:
        message, stops = f"the evaluation failed: {error}", True
    except Exception as error:
        log.exception("the evaluation failed")
        message, stops = f"the evaluation failed: {type(error).__name__}: {error}", True
    message = one_line(message)[:_MESSAGE_CHARACTERS]
    paths.message.parent.mkdir(parents=True, exist_ok=True)
    write_whole(paths.message, message.encode())
    (log.error if stops else log.info)("%s", message)
    return 1 if stops else 0


def _evaluate(paths: MlPaths, environment: Mapping[str, str]) -> tuple[str, bool]:
    """Evaluate and write the report; return the message, and whether to stop the pipeline."""
    given = hyperparameters_of(environment)
    gate, limit = _gate(given.pop(_GATE, BLOCK)), _share(given.pop(_REGRESSION, "0"))
    started_by = _started_by(given.pop(_STARTED_BY, _DATASET))
    hyperparameters = parse_hyperparameters(given)
    dataset = _dataset(paths, hyperparameters)
    table = dataset.validation
    assert table is not None  # noqa: S101 - hold_out made it
    candidate = read_model(paths.processing / "candidate")
    champion, why = _champion(paths, dataset, table)
    found = compare(
        _truth(table, candidate),
        _answers(candidate, table),
        None if champion is None else _answers(champion, table),
        {name: table.cells(at) for at, name in enumerate(dataset.features)},
        seed=hyperparameters.seed,
        dates=[dataset.features[at] for at in table.date_columns],
    )
    directory = paths.processing / "report"
    directory.mkdir(parents=True, exist_ok=True)
    reference = _reference(paths, dataset, table, candidate, champion, hyperparameters.seed)
    no_better = started_by in _RETRAINING and _no_better(found.score)
    stops = (gate == BLOCK and found.score.loss_for_sure > limit) or no_better
    message = _message(found, why, limit, gate)
    if no_better:
        message += f"; retrained on {started_by}, so it must be better: not promoted"
    message += _of_reference(reference)
    report = {
        "version": VERSION,
        "verdict": "worse" if found.score.loss_for_sure > limit else "not worse",
        "stops": stops,
        "message": message,
        "gate": gate,
        "started_by": started_by,
        "maximum_regression": limit,
        "rows": found.rows,
        "champion": None if champion is None else _about(champion),
        "candidate": _about(candidate),
        "no_champion_because": why,
        "metrics": [metric.as_json() for metric in found.metrics],
        "mcnemar_p_value": found.p_value,
        "calibration": dict(found.calibration),
        "slices": [one.as_json() for one in found.slices],
        "reference": reference,
    }
    write_whole(directory / "evaluation.html", draw_page(report).encode())
    write_whole(directory / "evaluation.json", json_bytes(report))
    return message, stops


def _gate(text: str) -> str:
    if text not in (BLOCK, WARN):
        raise HyperparameterError(f"{_GATE} is {quote(text)}; it must be {BLOCK} or {WARN}")
    return text


def _started_by(text: str) -> str:
    allowed = (_DATASET, *_RETRAINING)
    if text not in allowed:
        raise HyperparameterError(
            f"{_STARTED_BY} is {quote(text)}; it must be {', '.join(allowed[:-1])} or {allowed[-1]}"
        )
    return text


def _no_better(score: Difference) -> bool:
    return score.gain is not None and score.gain <= 0


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise HyperparameterError(f"{_REGRESSION} is {quote(text)}; it must be 0 to 1")
    return value


def _dataset(paths: MlPaths, hyperparameters: Hyperparameters) -> Dataset:
    """Return the dataset with the validation rows that training uses."""
    dataset = read_zip(paths.processing / "dataset", hyperparameters.read_options)
    return hold_out(dataset, hyperparameters.validation_fraction, hyperparameters.seed)


def _champion(paths: MlPaths, dataset: Dataset, table: Table) -> tuple[Model | None, str]:
    """Return the champion, or None and why it cannot be compared."""
    directory = paths.processing / "champion"
    if not directory.is_dir() or not any(directory.iterdir()):
        return None, "there is no approved model yet"
    champion = read_model(directory)
    if champion.columns.names != dataset.features:
        return None, "the approved model has other columns"
    if bool(champion.predictor.classes) != bool(dataset.classes):
        return None, "the approved model predicts something else"
    if not _fits(champion, table):
        return None, "the approved model has columns of other types"
    return champion, ""


def _fits(model: Model, table: Table) -> bool:
    """Return True if a model can answer the rows of a table, whose columns have its names."""
    if model.columns.dates != table.date_columns.keys():
        return False
    try:
        model.columns.encode_columns([cells[:1] for cells in table.columns])
    except (TypeError, ValueError):
        return False
    return True


def _reference(
    paths: MlPaths,
    dataset: Dataset,
    table: Table,
    candidate: Model,
    champion: Model | None,
    seed: int,
) -> dict[str, Any]:
    """Compare the models on the frozen reference set, or begin one with the validation rows.

    Args:
        paths: the job's directories.
        dataset: the dataset.
        table: its validation rows.
        candidate: the new model.
        champion: the approved model; None if there is none to compare with.
        seed: decides the bootstrap's draws.

    Returns: the section of the report; `state` is `kept`, `begun` or `unreadable`.
    """
    files = sorted((paths.processing / "reference").rglob("*.json"))
    if files:
        try:
            frozen = read_reference(files[0])
        except ReferenceSetError as error:
            return {"state": UNREADABLE, "why": str(error)}
        if frozen.table.names == dataset.features and _fits(candidate, frozen.table):
            found = compare(
                _truth(frozen.table, candidate),
                _answers(candidate, frozen.table),
                None if champion is None else _answers(champion, frozen.table),
                {},
                seed=seed,
            )
            return {
                "state": KEPT,
                "rows": found.rows,
                "sha256": frozen.sha256,
                "metrics": [metric.as_json() for metric in found.metrics],
            }
    why = "the frozen rows have other columns" if files else "there is no reference set yet"
    body = reference_bytes(table, dataset.features, seed)
    write_whole(paths.processing / "report" / REFERENCE_FILE, body)
    return {"state": BEGUN, "why": why, "sha256": hashlib.sha256(body).hexdigest()}


def _of_reference(reference: Mapping[str, Any]) -> str:
    """Return the message's part about the reference set; empty if nothing was compared."""
    if reference["state"] != KEPT:
        return ""
    score = reference["metrics"][0]
    text = f"; frozen reference: {score['candidate']:.4f}"
    return text if score["champion"] is None else f"{text}, champion {score['champion']:.4f}"


def _truth(table: Table, model: Model) -> NDArray[Any]:
    if model.predictor.classes:
        return np.array(table.labels)
    return np.array([float(label) for label in table.labels])


def _answers(model: Model, table: Table) -> Answers:
    """Return a model's answers; a class that it does not know has no probability."""
    numbers, values = model.predictor.run(model.columns.encode_columns(table.columns))
    classes = model.predictor.classes
    if not classes:
        return Answers(values[:, 0].astype(np.float64))
    shares = values.astype(np.float64)
    place = {name: at for at, name in enumerate(classes)}
    of_truth = [
        shares[row, place[label]] if label in place else 0.0
        for row, label in enumerate(table.labels)
    ]
    return Answers(
        np.array(classes)[numbers],
        np.array(of_truth),
        shares[np.arange(len(numbers)), numbers],
    )


def _about(model: Model) -> dict[str, Any]:
    """Return a model's lineage, size, and time of one row."""
    return {
        "training_job": model.training_job,
        "created": model.metadata.get("created", ""),
        "onnx_bytes": model.onnx_bytes,
        "one_row_microseconds": _one_row_microseconds(model),
    }


def _one_row_microseconds(model: Model) -> float:
    """Return the median time in which the model scores one row, without its server."""
    row = np.zeros((1, model.predictor.width), np.float32)
    times = []
    for _ in range(_TIMED_ROWS):
        began = time.perf_counter()
        model.predictor.run(row)
        times.append(time.perf_counter() - began)
    return float(np.median(times) * 1e6)


def _message(found: Comparison, why: str, limit: float, gate: str) -> str:
    score = found.score
    rows = f"on {found.rows} rows"
    if score.champion is None:
        return f"{score.metric} {score.candidate:.4f}{_range(score)} {rows}; {why}"
    worse = [one.name for one in found.slices if one.worse]
    text = (
        f"{score.metric} {score.candidate:.4f}, champion {score.champion:.4f}, "
        f"difference{_range(score)} {rows}: "
    )
    if score.loss_for_sure > limit:
        text += "worse for sure" + (f", by more than {limit:g}" if limit else "")
        text += "" if gate == BLOCK else " (gate: warn)"
    elif score.gain_for_sure > 0:
        text += "better for sure"
    else:
        text += "not worse"
    return text + (f"; worse in {', '.join(worse[:3])}" if worse else "")


def _range(score: Difference) -> str:
    if score.low is None or score.high is None:
        return ""
    sign = "+" if score.champion is not None else ""
    return f" ({score.low:{sign}.4f} to {score.high:{sign}.4f})"
