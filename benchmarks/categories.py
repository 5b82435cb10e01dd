"""Categories in histogram boosting: splits on sets of them, beside one-hot columns.

    python -m benchmarks.categories [--rows 100000] [--categories 6,20,100,250] [--repeat 3]

Four columns of categories and eight of numbers; the label depends on all of them. For each number
of categories, both encodings are fitted in turns. The medians of the fits are printed, with the
accuracy on rows that were held out, the size of the ONNX model, and the time of one row and of
1,000 rows in one thread, by ONNX Runtime and by the table of trees.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.columns import Columns, learn_columns
from model.estimator import fit
from model.export import to_onnx_bytes
from model.hyperparameters import NATIVE, ONE_HOT, parse_hyperparameters
from model.onnx_predictor import OnnxPredictor
from model.predictor import Predictor
from model.table import Table
from model.tree_predictor import AVAILABLE, TreePredictor
from model.tree_table import tree_table

_NUMBERS, _CATEGORICAL = 8, 4
_RUNS = 2000


def table_of(rows: int, categories: int) -> Table:
    """Return rows whose label, a or b, depends on numbers and on categories."""
    random = np.random.default_rng(0)
    numbers = random.normal(size=(rows, _NUMBERS))
    places = random.integers(0, categories, (rows, _CATEGORICAL))
    effects = random.normal(size=(_CATEGORICAL, categories))
    score = numbers[:, 0] + numbers[:, 1] * numbers[:, 2] + random.normal(size=rows)
    score += sum(effects[at][places[:, at]] for at in range(_CATEGORICAL))
    columns = [*numbers.T, *([f"c{place}" for place in of] for of in places.T.tolist())]
    labels = tuple("b" if one > 0 else "a" for one in score.tolist())
    return Table(labels, tuple(columns), categorical_columns=frozenset(range(8, 12)))


def measure(rows: int, categories: int, repeat: int) -> list[list[str]]:
    """Return a row of figures for each encoding."""
    table = table_of(rows, categories)
    held = rows // 5
    train = table.select(range(held, rows))
    rest = table.select(range(held))
    names = [f"f{at}" for at in range(table.width)]
    truth = np.array([label == "b" for label in table.labels], np.int64)
    made: dict[str, tuple[Columns, Any, list[float]]] = {}
    for _ in range(repeat):
        for encoding in (ONE_HOT, NATIVE):
            raw = {"algorithm": "hist-gradient-boosting", "categorical_encoding": encoding}
            hyperparameters = parse_hyperparameters(raw)
            columns = learn_columns(
                train, names, accept_missing=True, fill=False, coded=encoding == NATIVE
            )
            encoded = columns.encode_columns(train.columns)
            started = perf_counter()
            places = columns.coded_places
            estimator = fit(hyperparameters, encoded, truth[held:], categorical=places)
            taken = made.setdefault(encoding, (columns, estimator, []))[2]
            taken.append(perf_counter() - started)
    held_truth = truth[:held]
    return [
        [
            f"{categories}",
            encoding,
            f"{median(taken):.2f} s",
            *_served(columns, estimator, columns.encode_columns(rest.columns), held_truth),
        ]
        for encoding, (columns, estimator, taken) in made.items()
    ]


def _served(
    columns: Columns, estimator: Any, rows: NDArray[np.float32], truth: NDArray[np.int64]
) -> list[str]:
    onnx_bytes = to_onnx_bytes(estimator, columns.width)
    table = tree_table(estimator, columns.width, onnx_bytes)
    predictors: list[Predictor] = [OnnxPredictor(onnx_bytes, columns.width, ("a", "b"))]
    if AVAILABLE and table is not None:
        predictors.append(TreePredictor(table, columns.width, ("a", "b")))
    numbers, _ = predictors[0].run(rows)
    for predictor in predictors:
        predictor.write_row(0, rows[0].tolist())
    one = [_microseconds(partial(of.run_buffered, 1), _RUNS) for of in predictors]
    many = [_microseconds(partial(of.run, rows[:1000]), 50) / 1000 for of in predictors]
    return [
        f"{(numbers == truth).mean():.4f}",
        f"{len(onnx_bytes) / 1000:,.0f} kB",
        " / ".join(f"{taken:.1f}" for taken in one),
        " / ".join(f"{taken:.2f}" for taken in many),
    ]


def _microseconds(call: Callable[[], object], times: int) -> float:
    taken = []
    for _ in range(times):
        started = perf_counter()
        call()
        taken.append(perf_counter() - started)
    return median(taken) * 1e6


def main() -> int:
    """Print the table; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--categories", default="6,20,100,250")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    heading = (
        "categories",
        "encoding",
        "fit",
        "accuracy",
        "model",
        "one row, us",
        "1,000 rows, ms",
    )
    sys.stdout.write("| " + " | ".join(heading) + " |\n" + "| --- " * len(heading) + "|\n")
    for categories in map(int, options.categories.split(",")):
        for row in measure(options.rows, categories, options.repeat):
            sys.stdout.write("| " + " | ".join(row) + " |\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
