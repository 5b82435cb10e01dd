"""Models of random data, and the server's answers on and beside their thresholds."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.application import Application
from model.archive import Dataset
from model.channels import hold_out
from model.columns import Column, Columns
from model.connection import Connection
from model.dates import show_date
from model.decision import Decided, Decision
from model.errors import ExportError
from model.estimator import fit
from model.fitting import fit_and_measure
from model.hyperparameters import Algorithm, Hyperparameters, parse_hyperparameters
from model.predictor import METADATA_FILE, MODEL_FILE, TABLE_FILE, load
from model.rows import Cell, ReadOptions
from model.table import parse_table
from model.thresholds import rows_on_thresholds
from model.train import json_bytes
from model.tree_predictor import AVAILABLE

_CATEGORIES = ("red", "a,b", 'say "hi"', "größe", "日本", "x y")
_MOST_ROWS = 300
_NEAR = 1e-6
_FOLDS = 5
_LINEAR = (Algorithm.LOGISTIC_REGRESSION, Algorithm.LINEAR_REGRESSION)


@dataclass
class Differences:
    """The differences between the answers of the server and of scikit-learn, over all models.

    Attributes:
        models: models that were served; those of trees twice, also by the table of their trees.
        refused: models that the training job refused, each with the reason.
        rows: rows that were compared.
        labels: the seed of the model of each row whose label differs.
        near_ties: rows whose label differs because the scores of two classes differ by less than
            32 bits hold; they are not in `labels`. Equal scores of two classes, and equal votes of
            a forest, are no such reason; of three classes and more, 64 bits and 32 bits round
            differently.
        worst: the largest difference of a probability, or of a regression's value as a share of
            the size of the values.
    """

    models: int = 0
    refused: list[str] = field(default_factory=list)
    rows: int = 0
    labels: list[int] = field(default_factory=list)
    near_ties: int = 0
    worst: float = 0.0


def compare(seed: int, directory: Path, found: Differences) -> None:
    """Train the model of a seed, serve it, and compare its answers with scikit-learn's."""
    chance = np.random.default_rng(seed)
    hyperparameters = _hyperparameters(chance, list(Algorithm)[seed % len(Algorithm)])
    dataset = hold_out(_dataset(chance, hyperparameters), 0.2, seed)
    if len(dataset.classes) == 2 and min(dataset.train.counts().values()) >= _FOLDS:
        hyperparameters = _with_decision(chance, hyperparameters)
    try:
        artifacts = fit_and_measure(dataset, hyperparameters)
    except ExportError as error:
        found.refused.append(f"{seed}, {hyperparameters.algorithm}: {error}")
        return
    (directory / MODEL_FILE).write_bytes(artifacts.onnx_bytes)
    (directory / METADATA_FILE).write_bytes(json_bytes(artifacts.metadata))
    (directory / TABLE_FILE).unlink(missing_ok=True)
    predictor, columns, _ = load(directory)
    engines = [predictor]
    if artifacts.tree_table is not None:
        (directory / TABLE_FILE).write_bytes(artifacts.tree_table)
        engines.append(load(directory)[0])
    assert [engine.engine for engine in engines] == (
        ["ONNX Runtime"]
        if hyperparameters.algorithm in _LINEAR or not AVAILABLE
        else ["ONNX Runtime", "its table of trees"]
    )
    # The fit is repeatable, so this is the estimator that was exported.
    train = columns.encode(dataset.train.rows)
    numbers = {name: number for number, name in enumerate(dataset.classes)}
    truth = np.array([numbers.get(name, name) for name in dataset.train.labels])
    truth = truth.astype(np.int64 if numbers else np.float64)
    estimator = fit(
        hyperparameters,
        train,
        truth,
        dataset.classes,
        regression=not dataset.classes,
        categorical=columns.coded_places,
    )
    answering = estimator
    if decision := artifacts.metadata.get("decision"):
        answering = Decided(estimator, _decision(decision, dataset.classes))
    rows = np.concatenate([rows_on_thresholds(estimator, train), train])
    rows = chance.permutation(rows)[:_MOST_ROWS]
    cells = [
        cells for at, row in enumerate(rows) if (cells := _cells(columns, row, at)) is not None
    ]
    rows = columns.encode(
        [
            [
                columns.parse_cell(str(c), at) if at in columns.dates else c
                for at, c in enumerate(row)
            ]
            for row in cells
        ]
    )
    for engine in engines:
        found.models += 1
        found.rows += len(rows)
        application = Application(engine, columns)
        _compare(application, dataset.classes, estimator, answering, rows, cells, seed, found)


def _compare(
    application: Application,
    classes: tuple[str, ...],
    estimator: Any,
    answering: Any,
    rows: NDArray[np.float32],
    cells: list[list[Cell]],
    seed: int,
    found: Differences,
) -> None:
    text = [_csv(row) for row in cells]
    instances = [[None if _is_missing(cell) else cell for cell in row] for row in cells]
    questions = [
        ("text/csv", "".join(text)),
        ("application/json", json.dumps({"instances": instances})),
        *(("text/csv", line) for line in text[:4]),
    ]
    batch, document, *single = asyncio.run(_answers(application, questions))
    answers = json.loads(document)["predictions"]
    if not classes:
        expected = answering.predict(rows)
        values = np.array([answer["value"] for answer in answers])
        assert values.tolist() == [float(line) for line in batch.splitlines()]
        size = max(float(expected.std()), float(np.abs(expected).mean()))
        found.worst = max(found.worst, float(np.abs(values - expected).max() / size))
        alone = np.array(list(map(float, single)))
        found.worst = max(found.worst, float(np.abs(alone - expected[:4]).max() / size))
        return
    assert single == batch.splitlines(keepends=True)[:4]
    labels = [answer["label"] for answer in answers]
    assert labels == [row[0] for row in csv.reader(io.StringIO(batch))]
    expected_labels = [classes[number] for number in answering.predict(rows)]
    differ = np.array(labels) != np.array(expected_labels)
    gaps = _gaps(answering, rows, [classes.index(label) for label in labels])
    # Of a calibration or a threshold, a rounding error may decide about equal scores, too.
    decided = answering is not estimator
    boosted = hasattr(estimator, "decision_function")
    near = (gaps < _NEAR) & ((gaps > 0) | (boosted and len(classes) > 2) | decided)
    found.near_ties += int((differ & near).sum())
    found.labels += [seed] * int((differ & ~near).sum())
    shares = np.array([list(answer["probabilities"].values()) for answer in answers])
    found.worst = max(found.worst, float(np.abs(shares - answering.predict_proba(rows)).max()))


def _gaps(estimator: Any, rows: NDArray[np.float32], answered: list[int]) -> NDArray[np.float64]:
    """Return how much more the best class of each row scores than the one that was answered."""
    if isinstance(estimator, Decided) and (threshold := estimator.decision.threshold):
        positive = estimator.predict_proba(rows)[:, estimator.decision.positive]
        return np.asarray(np.abs(positive - threshold))
    if not hasattr(estimator, "decision_function"):
        scores = estimator.predict_proba(rows)
    else:
        scores = estimator.decision_function(rows)
    if scores.ndim == 1:
        return np.asarray(np.abs(scores))
    return np.asarray(scores.max(axis=1) - scores[np.arange(len(scores)), answered])


def _hyperparameters(chance: np.random.Generator, algorithm: Algorithm) -> Hyperparameters:
    def pick(*values: object) -> str:
        return str(values[chance.integers(len(values))])

    chosen = {"seed": pick(0, 1, 2), "missing_values": pick("refuse", "accept")}
    if algorithm in (Algorithm.RANDOM_FOREST, Algorithm.EXTRA_TREES, Algorithm.GRADIENT_BOOSTING):
        chosen["n_estimators"] = pick(1, 2, 5, 20)
    if algorithm is Algorithm.HIST_GRADIENT_BOOSTING:
        chosen |= {"max_iter": pick(1, 5, 30), "max_leaf_nodes": pick(2, 7, 31, "none")}
        chosen["categorical_encoding"] = pick("native", "native", "one-hot")
    if algorithm not in _LINEAR:
        chosen |= {"max_depth": pick(1, 3, 8), "min_samples_leaf": pick(1, 3, 10)}
    if algorithm in (Algorithm.GRADIENT_BOOSTING, Algorithm.HIST_GRADIENT_BOOSTING):
        chosen["learning_rate"] = pick(0.05, 0.1, 0.5)
    if algorithm not in _LINEAR:
        chosen["regression"] = pick("no", "yes")
    if "learning_rate" in chosen and chosen["regression"] == "yes":
        chosen["n_iter_no_change"] = pick("none", 3)
    linear = algorithm is Algorithm.LINEAR_REGRESSION
    if (
        algorithm is not Algorithm.GRADIENT_BOOSTING
        and not linear
        and chosen.get("regression") != "yes"
    ):
        chosen["class_weight"] = pick("none", "balanced")
    return parse_hyperparameters({"algorithm": algorithm, **chosen})


def _with_decision(
    chance: np.random.Generator, hyperparameters: Hyperparameters
) -> Hyperparameters:
    """Return hyperparameters that may calibrate, or decide by a threshold."""
    threshold = (None, 0.3, "f1", "balanced_accuracy")[chance.integers(4)]
    calibration = (None, "sigmoid", "isotonic")[chance.integers(3)]
    values = {"decision_threshold": threshold, "calibration": calibration}
    return replace(hyperparameters, values={**hyperparameters.values, **values})


def _decision(described: dict[str, Any], classes: tuple[str, ...]) -> Decision:
    calibration = described["calibration"] or {}
    points = calibration.get("points")
    return Decision(
        classes.index(described["positive_class"]),
        described["threshold"],
        calibration.get("slope"),
        calibration.get("offset", 0.0),
        None if points is None else np.array(points),
    )


def _dataset(chance: np.random.Generator, hyperparameters: Hyperparameters) -> Dataset:
    rows = int(chance.integers(60, 250))
    accept = hyperparameters.values["missing_values"] == "accept"
    trees = hyperparameters.algorithm not in _LINEAR
    columns = [
        _column(chance, rows, wide=trees, many=trees and accept)
        for _ in range(chance.integers(1, 7))
    ]
    hidden = sum(np.unique(column, return_inverse=True)[1] / rows for column in columns)
    hidden = hidden + chance.normal(0, 0.2, rows)
    regression = hyperparameters.regression
    classes = int(chance.choice([2, 2, 3, 5, 12]))
    ranks = hidden.argsort().argsort() * classes // rows
    labels = [repr(float(x)) for x in hidden] if regression else [f"class {x}" for x in ranks]
    missing = 0.1 if accept else 0.0
    lines = []
    for label, *cells in zip(labels, *columns, strict=True):
        shown = ["" if chance.random() < missing else str(cell) for cell in cells]
        if len(shown) == 1 and not shown[0]:
            shown = [str(cells[0])]
        lines.append(_csv([label, *shown]))
    options = ReadOptions(categorical=("auto",), accept_missing=missing > 0, regression=regression)
    table = parse_table("".join(lines), "t", read_options=options)
    names = tuple(f"feature_{number}" for number in range(1, len(columns) + 1))
    named = () if regression else tuple(sorted(set(labels)))
    return Dataset(
        table, None, features=names, classes=named, accept_missing=options.accept_missing
    )


def _column(chance: np.random.Generator, rows: int, *, wide: bool, many: bool) -> NDArray[Any]:
    """Return a column of the kinds that data have.

    Args:
        chance: the source of randomness.
        rows: cells of the column.
        wide: also numbers that do not fit 32 bits well.
        many: also so many categories that the rows held out may have others.
    """
    kinds = [
        chance.normal(0, 1, rows),
        chance.normal(0, 1, rows).round(1),
        chance.integers(0, 5, rows),
        chance.integers(0, 2, rows) * 1.5,
        np.full(rows, 2.5),
        chance.choice(_CATEGORIES, rows),
        chance.integers(15_000, 20_000, rows).astype("datetime64[D]").astype(str),
        chance.integers(1_600_000_000, 1_700_000_000, rows).astype("datetime64[s]").astype(str),
    ]
    if wide:
        kinds += [
            chance.integers(1_700_000_000, 1_700_021_600, rows),  # unix seconds of six hours
            chance.choice(chance.integers(10_000_000, 99_999_999, 200), rows),  # ids
            chance.normal(8.5, 0.01, rows).round(7),  # longitudes
            chance.normal(0, 1e-38, rows),
            chance.normal(0, 1e30, rows),
        ]
    if many:
        towns = [f"town {number}" for number in range(chance.integers(30, 200))]
        kinds.append(chance.choice(towns, rows))
    return kinds[chance.integers(len(kinds))]


def _cells(columns: Columns, row: NDArray[np.float32], at: int) -> list[Cell] | None:
    """Return the cells that are encoded as a row; None if no cells are."""
    cells: list[Cell] = []
    start = 0
    for column in columns.columns:
        part = row[start : start + column.width]
        start += column.width
        if column.date is not None:
            cell = _date(column, part)
            if cell is None:
                return None
            cells.append(cell)
        elif column.categories is None:
            cells.append(float(part[0]))
        elif column.coded:
            # Of unknown and missing categories, both are asked.
            known = not np.isnan(part[0])
            if not known and not columns.accept_missing:
                return None
            cells.append(column.categories[int(part[0]) - 1] if known else ("", "new")[at % 2])
        elif set(part.tolist()) <= {0.0, 1.0} and part.sum() <= 1:
            if not part.any() and not columns.accept_missing:
                return None
            cells.append(column.categories[int(part.argmax())] if part.any() else "")
        else:
            return None
    return cells


def _date(column: Column, part: NDArray[np.float32]) -> str | None:
    """Return the date whose parts these are, empty if it is missing; None if there is none."""
    if np.isnan(part).all():
        return ""
    if np.isnan(part).any() or not -719_162 <= part[0] <= 2_932_896:
        return None
    hours = float(part[-1]) if column.date is not None and column.date.hour else 0.0
    seconds = math.floor(float(part[0])) * 86_400.0 + round(hours * 3600)
    found = Columns((column,)).encode_columns([np.array([seconds])])
    return show_date(seconds) if np.array_equal(found[0], part) else None


def _csv(cells: Sequence[Cell]) -> str:
    out = io.StringIO()
    shown = ["" if _is_missing(cell) else cell for cell in cells]
    csv.writer(out, lineterminator="\n").writerow(shown)
    return out.getvalue()


def _is_missing(cell: Cell) -> bool:
    return not cell if isinstance(cell, str) else math.isnan(cell)


async def _answers(application: Application, questions: list[tuple[str, str]]) -> list[str]:
    """Return the bodies of the answers, over one connection to a server on loopback."""
    connections: set[Connection] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(application, connections), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    bodies = []
    for media_type, text in questions:
        body = text.encode()
        writer.write(
            f"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-type: {media_type}\r\n"
            f"accept: {media_type}\r\ncontent-length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        size = int(head.split("content-length: ")[1].split("\r\n")[0])
        answer = (await reader.readexactly(size)).decode()
        assert " 200 " in head.split("\r\n")[0], answer
        bodies.append(answer)
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()
    return bodies
