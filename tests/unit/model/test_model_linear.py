"""Linear regression on columns that depend on each other answers as scikit-learn with 64 bits."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from model.asked_rows import rows_of_columns
from model.columns import Column, Columns, learn_columns
from model.errors import ExportError
from model.estimator import fit
from model.export import Equivalence, to_onnx_bytes
from model.hyperparameters import parse_hyperparameters
from model.onnx_predictor import OnnxPredictor
from model.payload import decode
from model.table import Table

LINEAR = parse_hyperparameters({"algorithm": "linear-regression"})


@dataclass(frozen=True)
class Case:
    table: Table
    columns: Columns
    truth: NDArray[np.float64]


def case(seed: int) -> Case:
    """Return a table of few rows and many categories, with numbers of any offset and scale."""
    chance = np.random.default_rng(seed)
    rows = int(chance.integers(6, 60))
    cells: list[list[float] | list[str]] = []
    for _ in range(chance.integers(1, 5)):
        categories = chance.integers(0, int(chance.integers(2, rows)), rows)
        missing = chance.random(rows) < (0.1 if chance.random() < 0.3 else 0)
        texts = ["" if gone else f"c{one}" for one, gone in zip(categories, missing, strict=True)]
        cells.append(["c0", *texts[1:]])
    categorical = frozenset(range(len(cells)))
    for _ in range(chance.integers(0, 3)):
        scale = 10.0 ** chance.integers(-3, 6)
        offset = 10.0 ** chance.integers(0, 6) * chance.integers(0, 2)
        cells.append((chance.normal(size=rows) * scale + offset).tolist())
    truth = chance.normal(size=rows) * 10 + 1000 * chance.integers(0, 2)
    table = Table.of_rows(
        tuple(map(repr, truth.tolist())), zip(*cells, strict=True), (), categorical
    )
    names = [f"f{at}" for at in range(len(cells))]
    return Case(table, learn_columns(table, names, accept_missing=True, fill=True), truth)


@given(st.integers(0, 10_000))
def test_each_category_and_missing_value_is_answered_as_scikit_learn_answers_it(seed: int) -> None:
    made = case(seed)
    rows = made.columns.encode_columns(made.table.columns)
    estimator = fit(LINEAR, rows, made.truth, regression=True)
    predictor = OnnxPredictor(to_onnx_bytes(estimator, rows.shape[1]), rows.shape[1], ())
    own = make_pipeline(StandardScaler(), LinearRegression()).fit(rows.astype(float), made.truth)
    asked = rows_of_columns(made.columns, rows)
    expected = own.predict(asked.astype(float))
    allowed = 2e-6 * max(made.truth.std(), np.abs(made.truth).mean(), np.abs(expected).max())
    assert np.abs(predictor.run(asked)[1][:, 0] - expected).max() < allowed
    compared = Equivalence(estimator, rows, columns=made.columns).check(predictor)
    assert compared.worst < compared.tolerance / 10
    # The coefficients do not cancel each other: scikit-learn's solution has the smallest norm.
    assert np.abs(estimator[-1].coef_).max() < 100 * np.abs(made.truth).max()


def test_the_comparison_sees_an_answer_that_only_an_unknown_category_shows() -> None:
    columns = Columns((Column("c", ("a", "b")), Column("x", fill=0.0)), accept_missing=True)
    rows = columns.encode([("a", 0.5), ("b", -1.0), ("a", 2.0), ("b", 0.25), ("b", 1.0)])
    estimator = fit(LINEAR, rows, np.array([1.0, 2, 3, 4, 5]), regression=True)
    model = onnx.load_from_string(to_onnx_bytes(estimator, 3))
    parts = {one.name: one for one in model.graph.initializer}
    numbers = {name: onnx.numpy_helper.to_array(part) for name, part in parts.items()}
    # One of both is always 1 in rows of known categories.
    wrong = np.add(numbers["coefficients"], [[1.0], [1.0], [0.0]])
    right = numbers["intercept"] - 1
    parts["coefficients"].CopyFrom(onnx.numpy_helper.from_array(wrong, "coefficients"))
    parts["intercept"].CopyFrom(onnx.numpy_helper.from_array(right, "intercept"))
    predictor = OnnxPredictor(model.SerializeToString(), 3, ())
    assert Equivalence(estimator, rows).check(predictor).worst < 1e-6
    with pytest.raises(ExportError, match=r"differ .* rows of each category and missing value: "):
        Equivalence(estimator, rows, columns=columns).check(predictor)


def test_rows_hold_each_category_and_missing_value_once_for_each_base() -> None:
    columns = Columns((Column("c", ("a", "b")), Column("x", fill=7.0)), accept_missing=True)
    rows = columns.encode([("a", 1.0), ("b", 2.0)])
    made = rows_of_columns(columns, rows)
    expected = decode(b",1\n,2\na,1\na,2\nb,1\nb,2\na,\nb,\n,\n", "text/csv", columns)
    assert sorted(made.tolist()) == sorted(expected.tolist())
    coded = Columns((Column("c", ("a", "b"), coded=True), Column("x")), accept_missing=True)
    coded_rows = coded.encode([("a", 1.0)])
    body = b",1\na,1\nb,1\na,\n,\n"
    found, wanted = rows_of_columns(coded, coded_rows), decode(body, "text/csv", coded)
    assert sorted(map(str, found.tolist())) == sorted(map(str, wanted.tolist()))
    assert len(rows_of_columns(Columns.of_numbers(("x", "y")), rows[:, :2])) == 0


def test_of_more_categories_than_the_limit_some_are_taken_evenly() -> None:
    many = tuple(f"{number:04}" for number in range(1000))
    columns = Columns(tuple(Column(f"c{at}", many) for at in range(9)))
    rows = np.zeros((3, 9000), np.float32)
    rows[:, ::1000] = 1
    made = rows_of_columns(columns, rows)
    assert made.size <= 8_000_000
    assert (made[:, -1000:].argmax(axis=1) > 900).any()


def test_columns_that_nearly_repeat_another_are_answered_as_scikit_learn_answers_them() -> None:
    chance = np.random.default_rng(0)
    one = chance.normal(size=300)
    rows = np.column_stack([one, one + 1e-5 * chance.normal(size=300), one + 1e6])
    narrow = rows.astype(np.float32)
    truth = one * 3 + chance.normal(size=300)
    estimator = fit(LINEAR, narrow, truth, regression=True)
    predictor = OnnxPredictor(to_onnx_bytes(estimator, 3), 3, ())
    lines = io.StringIO()
    np.savetxt(lines, narrow, delimiter=",", fmt="%.9g")
    asked = decode(lines.getvalue().encode(), "text/csv", Columns.of_numbers(("x", "y", "z")))
    own = make_pipeline(StandardScaler(), LinearRegression()).fit(narrow.astype(float), truth)
    expected = own.predict(narrow.astype(float))
    assert np.abs(own[-1].coef_).max() > 1000
    assert np.abs(predictor.run(asked)[1][:, 0] - expected).max() < 1e-5


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("offset", [0.0, 2024.0, 20_000.0, 1e6, 1.7e9])
def test_classes_by_a_column_of_a_large_offset_are_those_of_64_bits(
    offset: float, classes: int
) -> None:
    chance = np.random.default_rng(0)
    rows = (chance.normal(size=(400, 2)) * [0.3, 1] + [offset, 0]).astype(np.float32)
    scores = rows[:, 0].astype(float) - offset + rows[:, 1] * 0.2 + chance.normal(size=400) * 0.3
    truth = np.digitize(scores, [0.0, 0.4][: classes - 1])
    hyperparameters = parse_hyperparameters({"algorithm": "logistic-regression"})
    estimator = fit(hyperparameters, rows, truth)
    names = tuple("abc"[:classes])
    predictor = OnnxPredictor(to_onnx_bytes(estimator, 2), 2, names)
    own = make_pipeline(StandardScaler(), estimator[-1])
    own.steps[0][1].fit(rows.astype(float))
    numbers, shares = predictor.run(rows)
    assert np.abs(shares - own.predict_proba(rows.astype(float))).max() < 1e-6
    assert np.array_equal(numbers, own.predict(rows.astype(float)))
    assert Equivalence(estimator, rows).check(predictor).worst < 1e-6
