"""Properties of number parsing, hyperparameters, splits, metrics and request bodies."""

from __future__ import annotations

import json
import math
from collections import Counter
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.cells import FLOAT32_LIMIT, NotANumberError, parse_number
from model.columns import Columns
from model.errors import BadPayloadError, DatasetError, HyperparameterError, NotAcceptableError
from model.hyperparameters import SPECIFICATIONS, Algorithm, parse_hyperparameters
from model.media import CSV, JSON, MEDIA_TYPES, negotiate
from model.metrics import evaluate
from model.payload import decode_rows
from model.split import stratified_split

COLUMNS = Columns.of_numbers(("a", "b", "c"))
FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(FINITE)
def test_every_32_bit_number_is_read_back(number: float) -> None:
    assert parse_number(repr(number)) == number


@given(st.text(max_size=12))
def test_a_string_is_a_finite_number_or_is_refused_with_a_reason(text: str) -> None:
    try:
        number = parse_number(text)
    except NotANumberError:
        return
    assert math.isfinite(number)
    assert abs(number) <= FLOAT32_LIMIT


@pytest.mark.parametrize("text", ["1_000", "٣", "nan", "inf", "-Infinity", "1e39", "0x10", "", " "])
def test_numbers_that_only_python_would_accept_are_refused(text: str) -> None:
    with pytest.raises(NotANumberError):
        parse_number(text)


def test_the_default_is_a_random_forest_with_its_default_hyperparameters() -> None:
    found = parse_hyperparameters({})
    assert found.as_json() == {
        "algorithm": "random-forest",
        "n_estimators": 100,
        "max_depth": None,
        "min_samples_leaf": 1,
        "class_weight": None,
        "calibration": None,
        "decision_threshold": None,
        "positive_class": None,
        "cross_validation": None,
        "regression": "no",
        "header": "no",
        "categorical_columns": None,
        "date_columns": None,
        "max_categories": None,
        "missing_values": "refuse",
        "missing_spellings": None,
        "validation_fraction": 0.2,
        "seed": 0,
    }


def test_values_wrapped_in_json_quotes_and_platform_keys_are_understood() -> None:
    raw = {"algorithm": '"logistic-regression"', "C": "0.5", "sagemaker_program": '"train.py"'}
    raw["_tuning_objective_metric"] = "validation:accuracy"
    found = parse_hyperparameters(raw)
    assert (found.algorithm, found.values["C"]) == (Algorithm.LOGISTIC_REGRESSION, 0.5)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [("max_depth", "none", None), ("max_depth", "7", 7), ("class_weight", "balanced", "balanced")],
)
def test_a_hyperparameter_is_read(name: str, text: str, value: object) -> None:
    assert parse_hyperparameters({name: text}).values[name] == value


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"algorithm": "svm"}, "algorithm is 'svm'; it must be random-forest or gradient-boosting"),
        ({"n_estimators": "0"}, "a whole number from 1 to 2000"),
        ({"n_estimators": "1_0"}, "a whole number from 1 to 2000"),
        ({"n_estimators": "2.0"}, "a whole number"),
        ({"max_depth": "65"}, "from 1 to 64 or none"),
        ({"algorithm": "gradient-boosting", "learning_rate": "0"}, "a number above 0 to 1"),
        ({"algorithm": "gradient-boosting", "learning_rate": "nan"}, "a number above 0 to 1"),
        ({"class_weight": "heavy"}, "none or balanced"),
        ({"C": "1"}, "C does not apply to random-forest; its hyperparameters are n_estimators"),
    ],
)
def test_an_invalid_hyperparameter_is_refused_with_the_allowed_values(
    raw: dict[str, str], message: str
) -> None:
    with pytest.raises(HyperparameterError, match=message):
        parse_hyperparameters(raw)


@given(
    st.dictionaries(
        st.sampled_from(["algorithm", *SPECIFICATIONS]) | st.text(max_size=5),
        st.text(max_size=8) | st.integers().map(str) | st.floats().map(str),
        max_size=6,
    )
)
def test_hyperparameters_are_all_in_range_or_refused(raw: dict[str, str]) -> None:
    try:
        found = parse_hyperparameters(raw)
    except HyperparameterError:
        return
    for name, value in found.values.items():
        specification = SPECIFICATIONS[name]
        if isinstance(value, int | float):
            assert specification.low <= value <= specification.high


LABELS = st.lists(st.sampled_from("abc"), min_size=2, max_size=60)


@given(LABELS, st.floats(0.05, 0.95), st.integers(0, 9))
def test_a_split_is_a_partition_with_every_class_on_both_sides(
    labels: list[str], fraction: float, seed: int
) -> None:
    counts = Counter(labels)
    if min(counts.values()) < 2:
        with pytest.raises(DatasetError, match="single row"):
            stratified_split(labels, fraction, seed, "t")
        return
    kept, held = stratified_split(labels, fraction, seed, "t")
    assert sorted(kept + held) == list(range(len(labels)))
    for label, count in counts.items():
        part = sum(labels[number] == label for number in held)
        assert 1 <= part < count
        assert abs(part - fraction * count) <= 1
    assert stratified_split(labels, fraction, seed, "t") == (kept, held)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=40))
def test_the_metrics_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    from sklearn import metrics

    truth, predicted = (np.array(column, dtype=np.int64) for column in zip(*pairs, strict=True))
    # Exact in binary, so their sum is exactly 1 in 32 bits.
    probabilities = np.full((len(pairs), 3), 0.25, dtype=np.float32)
    probabilities[np.arange(len(pairs)), predicted] = 0.5
    found = evaluate(truth, predicted, probabilities)
    there = sorted(set(truth) | set(predicted))
    f1 = metrics.f1_score(truth, predicted, average="macro", labels=there, zero_division=0.0)
    assert found.accuracy == pytest.approx(metrics.accuracy_score(truth, predicted))
    assert found.f1_macro == pytest.approx(f1)
    expected = metrics.log_loss(truth, probabilities.astype(np.float64), labels=[0, 1, 2])
    assert found.log_loss == pytest.approx(expected, rel=1e-5)
    assert (
        found.confusion.tolist()
        == metrics.confusion_matrix(truth, predicted, labels=[0, 1, 2]).tolist()
    )


ROWS = st.lists(st.lists(FINITE, min_size=3, max_size=3), min_size=1, max_size=5)


@given(ROWS, st.booleans())
def test_rows_are_read_as_they_were_written(rows: list[list[float]], wrapped: bool) -> None:
    csv_body = "\n".join(",".join(map(repr, row)) for row in rows)
    document: Any = {"instances": rows} if wrapped else rows
    assert decode_rows(csv_body.encode(), CSV, COLUMNS) == rows
    assert decode_rows(json.dumps(document).encode(), JSON, COLUMNS) == rows


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=12,
)


@given(JSON_VALUES)
def test_any_json_is_rows_of_the_right_width_or_a_client_error(document: object) -> None:
    for body in (document, {"instances": document}):
        try:
            rows = decode_rows(json.dumps(body).encode(), JSON, COLUMNS)
        except BadPayloadError:
            continue
        assert all(
            len(row) == 3 and all(math.isfinite(float(cell)) for cell in row) for row in rows
        )


@given(st.text("*/, ;=q01.abcdefghijklmnopqrstuvwxyz", max_size=40))
def test_any_accept_header_chooses_a_type_or_is_not_acceptable(header: str) -> None:
    with suppress(NotAcceptableError):
        assert negotiate(header, CSV).media_type in MEDIA_TYPES


@pytest.mark.parametrize(
    ("header", "chosen"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("text/*", CSV),
        ("application/json;q=0.1, text/csv;q=0.2", CSV),
        ("text/csv;q=0, */*", JSON),
        ("Application/JSON; charset=utf-8", JSON),
    ],
)
def test_the_preferred_type_is_chosen_and_the_requests_own_among_equals(
    header: str, chosen: str
) -> None:
    assert negotiate(header, JSON).media_type == chosen
