"""The data gate foresees that there are too few rows for folds and for an early stop."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.archive import read_archive
from model.channels import hold_out
from model.enough_rows import check_early_stop, check_enough_rows
from model.errors import HyperparameterError
from model.estimator import fit
from model.findings import Kind
from model.folds import answers_out_of_fold
from model.hyperparameters import parse_hyperparameters
from tests.archives import zip_of
from tests.examples import FITTED_FOLDS, examples
from tests.unit.model.test_model_check import messages, outcome_of


def rows_of(counts: dict[str, int]) -> str:
    labels = [label for label, rows in counts.items() for _ in range(rows)]
    numbers = np.random.default_rng(0).normal(size=len(labels)).round(3)
    return "".join(f"{label},{x}\n" for label, x in zip(labels, numbers, strict=True))


def training_refuses(files: dict[str, str], options: dict[str, str]) -> str | None:
    """Return why training cannot divide the rows, or None if it can."""
    hyperparameters = parse_hyperparameters(dict(options))
    dataset = read_archive(zip_of(files), "d.zip", read_options=hyperparameters.read_options)
    dataset = hold_out(dataset, hyperparameters.validation_fraction, 0)
    rows = np.column_stack(dataset.train.columns).astype(np.float32)
    if dataset.classes:
        truth = np.array([dataset.classes.index(label) for label in dataset.train.labels])
    else:
        truth = np.array([float(label) for label in dataset.train.labels])
    try:
        if hyperparameters.folds:
            answers_out_of_fold(
                hyperparameters, rows, truth, dataset.classes, hyperparameters.folds
            )
        fit(hyperparameters, rows, truth, dataset.classes, regression=not dataset.classes)
    except HyperparameterError as error:
        return str(error)
    return None


ALGORITHMS = {
    "logistic-regression": {},
    "gradient-boosting": {"n_estimators": "2"},
    "hist-gradient-boosting": {"max_iter": "2"},
}


@settings(max_examples=examples(FITTED_FOLDS))
@given(
    st.lists(st.integers(2, 24), min_size=2, max_size=3),
    st.sampled_from(list(ALGORITHMS)),
    st.sampled_from([{}, {"cross_validation": "2"}, {"cross_validation": "5"}]),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["0.05", "0.2", "0.5"]),
)
def test_the_gate_refuses_too_few_rows_where_training_does(
    sizes: list[int],
    algorithm: str,
    folds: dict[str, str],
    stops_early: bool,
    validates: bool,
    fraction: str,
) -> None:
    options = {"algorithm": algorithm, "validation_fraction": fraction}
    options |= ALGORITHMS[algorithm] | folds
    if stops_early and algorithm != "logistic-regression":
        options["n_iter_no_change"] = "2"
    text = rows_of(dict(zip("abc", sizes, strict=False)))
    files = {"train.csv": text} | ({"validation.csv": text} if validates else {})
    expected = training_refuses(files, options)
    found = messages(outcome_of(files, options), Kind.REFUSED)
    assert bool(found) == (expected is not None), (found, expected)
    if expected is not None:
        assert found[0].split(" training ")[0].rstrip("0123456789") == (
            expected.split(" training ")[0].rstrip("0123456789")
        )


@pytest.mark.parametrize(
    ("text", "options", "reason"),
    [
        (
            rows_of({"a": 90, "b": 5}),
            {"algorithm": "logistic-regression", "calibration": "sigmoid"},
            "hyperparameters: 5 folds need as many training rows of each class, and class 'b' has "
            "4; set a lower cross_validation, add rows of this class, or leave calibration",
        ),
        (
            rows_of({"a": 90, "b": 2}),
            {"decision_threshold": "f1"},
            "5 folds need as many training rows of each class, and class 'b' has 1",
        ),
        (
            rows_of({str(n): 1 for n in range(20)}),
            {"algorithm": "linear-regression", "cross_validation": "10"},
            "10 folds need 20 training rows, and there are 16",
        ),
        (
            rows_of({"a": 8, "b": 2}),
            {"algorithm": "gradient-boosting", "n_iter_no_change": "2"},
            "n_iter_no_change holds out a tenth of the 7 training rows, and that is too few for 2",
        ),
    ],
)
def test_too_few_rows_stop_the_pipeline_at_the_gate(
    text: str, options: dict[str, str], reason: str
) -> None:
    found = outcome_of({"train.csv": text}, options)
    assert found.broken
    assert reason in messages(found, Kind.REFUSED)[0]
    assert training_refuses({"train.csv": text}, options) == messages(found, Kind.REFUSED)[0]
    enough = text * 10
    assert messages(outcome_of({"train.csv": enough}, options), Kind.REFUSED) == []


def test_a_column_that_is_refused_is_named_besides_too_few_rows() -> None:
    found = outcome_of(
        {"train.csv": "a,\nb,\na,\nb,\n"}, {"missing_values": "accept", "cross_validation": "5"}
    )
    refused = messages(found, Kind.REFUSED)
    assert re.search("column 'feature_1' has no value", refused[0])
    assert "5 folds need" in refused[1]


def test_rows_that_are_just_enough_are_enough() -> None:
    hyperparameters = parse_hyperparameters(
        {"algorithm": "hist-gradient-boosting", "cross_validation": "2", "n_iter_no_change": "3"}
    )
    # Of 24 rows, 12 are fitted: a tenth is two, one for each class.
    check_enough_rows(hyperparameters, {"a": 12, "b": 12}, regression=False)
    with pytest.raises(HyperparameterError, match="a tenth of the 10 training rows"):
        check_enough_rows(hyperparameters, {"a": 10, "b": 10}, regression=False)
    check_enough_rows(hyperparameters, {"": 4}, regression=True)
    check_early_stop(11, [9, 2])
    for rows, of_class in ((10, [5, 5]), (40, [39, 1])):
        with pytest.raises(HyperparameterError, match="that is too few for 2 classes"):
            check_early_stop(rows, of_class)
