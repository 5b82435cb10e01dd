"""The pure parts of a rehearsal: comparison in parts, and requests that wait for one another."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.baseline import Baseline, ColumnBaseline, Histogram, LabelBaseline
from model.columns import Column, Columns
from model.rehearsal import AnswerComparison, Answered, InputComparison, wilson
from model.rehearsal_load import Serving, summary, under_load, with_waiting
from model.target_tracking import Tracking

CLASSES = ("a", "b", "c")
COLUMNS = Columns((Column("size"), Column("site", ("north", "south"))), accept_missing=True)
BASELINE = Baseline(
    rows=100,
    label=LabelBaseline("species", {"a": 50, "b": 50}),
    columns=(
        ColumnBaseline("size", 0.1, Histogram((0.0, 1.0, 2.0), (40, 50))),
        ColumnBaseline("site", 0.0, counts={"north": 60, "south": 40}),
    ),
)

rows = st.tuples(
    st.integers(0, 2),
    st.integers(0, 2),
    st.one_of(st.floats(-1, 3, width=32), st.just(float("nan"))),
    st.sampled_from([(1.0, 0.0), (0.0, 1.0), (0.0, 0.0)]),
)


def compared(parts: list[list[tuple[int, int, float, tuple[float, float]]]]) -> tuple[object, ...]:
    answers = AnswerComparison(CLASSES, CLASSES, None)
    inputs = InputComparison(COLUMNS, BASELINE)
    for part in parts:
        if part:
            old, new = ([row[at] for row in part] for at in (0, 1))
            encoded = np.array([(row[2], *row[3]) for row in part], np.float32)
            different = answers.add(*(Answered(np.array(n), np.zeros(len(n))) for n in (old, new)))
            inputs.add(encoded, different)
    return answers.as_json(), inputs.columns_as_json(), inputs.slices_as_json()


@given(st.lists(rows, max_size=60), st.integers(0, 60))
def test_the_comparison_does_not_depend_on_how_rows_are_gathered(
    found: list[tuple[int, int, float, tuple[float, float]]], cut: int
) -> None:
    assert compared([found]) == compared([found[:cut], found[cut:]])


@given(st.lists(rows, min_size=1, max_size=60))
def test_every_row_is_in_one_bin_of_each_column(
    found: list[tuple[int, int, float, tuple[float, float]]],
) -> None:
    answers = AnswerComparison(CLASSES, CLASSES, None)
    inputs = InputComparison(COLUMNS, BASELINE)
    old, new = (np.array([row[at] for row in found]) for at in (0, 1))
    different = answers.add(Answered(old, old * 0.0), Answered(new, new * 0.0))
    inputs.add(np.array([(row[2], *row[3]) for row in found], np.float32), different)
    expected = sum(a != b for a, b, *_ in found)
    assert answers.different == different.sum() == expected
    for bins in inputs._bins:
        assert (bins.rows.sum(), bins.different.sum()) == (len(found), expected)
        assert (bins.different <= bins.rows).all()


def test_the_bins_are_named_and_compared_with_the_training_data() -> None:
    far = [(0, 1, 5.0, (0.0, 0.0))] * 10
    near = [(0, 0, 0.5, (1.0, 0.0))] * 30
    answers, columns, slices = compared([far + near])
    assert isinstance(slices, list)
    assert isinstance(columns, list)
    assert [(one["name"], one["share"]) for one in slices] == [
        ("site (missing or unknown)", 1.0),
        ("size above 2", 1.0),
    ]
    assert {one["name"]: one["different_outside_share"] for one in columns} == {
        "size": 1.0,
        "site": 1.0,
    }
    assert isinstance(answers, dict)
    assert answers["flows"] == [{"champion": "a", "candidate": "b", "rows": 10}]


def test_a_class_that_only_one_model_knows_differs() -> None:
    answers = AnswerComparison(("a", "b"), ("b", "c"), None)
    old, new = np.array([0, 1, 1]), np.array([0, 0, 1])
    different = answers.add(Answered(old, old * 0.0), Answered(new, new * 0.0))
    assert different.tolist() == [True, False, True]


def test_the_interval_is_wilsons() -> None:
    # Source: Newcombe, Two-sided confidence intervals for the single proportion (1998), table I.
    assert [round(end, 4) for end in wilson(15, 148)] == [0.0624, 0.1605]
    assert [round(end, 4) for end in wilson(0, 20)] == [0.0, 0.1611]


@pytest.mark.parametrize("busy", [0.1, 0.5, 0.8])
def test_equal_requests_wait_as_a_queue_of_one_server_says(busy: float) -> None:
    # Pollaczek and Khinchine: the mean wait of M/D/1 is busy / (2 · (1 - busy)) services.
    found = with_waiting(busy / 0.01, np.full(10, 0.01))
    assert found is not None
    expected = 0.01 * (1 + busy / (2 * (1 - busy)))
    assert found.mean() == pytest.approx(expected, rel=0.05)
    assert found.min() >= 0.01


def test_more_requests_than_one_core_answers_have_no_latency() -> None:
    assert with_waiting(100.0, np.full(3, 0.01)) is None


def test_the_load_names_the_instances_of_target_tracking_and_their_price() -> None:
    minutes = [100] * 60
    serving = Serving("ml.m5.large", 1, Tracking(50, 1, 4, 0, 0), 100, 2.0)
    one, ten = under_load(minutes, serving, {"champion": np.full(5, 0.1)})
    assert (one["most_instances"], ten["most_instances"]) == (2, 4)
    assert one["instance_hours"] == pytest.approx(sum(one["instances"]) / 60)
    assert one["usd_per_hour"] == pytest.approx(2.0 * one["instance_hours"])
    # A core is busy for a sixth at 100 requests of a tenth of a second in a minute.
    model = one["models"]["champion"]
    assert model["busy"] == pytest.approx(1 / 6)
    assert model["core_usd_per_hour"] == pytest.approx(2.0 / 6)
    assert ten["models"]["champion"]["p99_ms"] is None


def test_an_endpoint_without_scaling_or_price_keeps_its_instances() -> None:
    serving = Serving("ml.other", 3, None, 100, None)
    one, ten = under_load([30, 0, 60], serving, {"candidate": np.array([0.001])})
    assert one["instances"] == ten["instances"] == [3, 3, 3]
    assert (one["usd_per_hour"], one["models"]["candidate"]["core_usd_per_hour"]) == (None, None)


def test_times_are_summarised_in_milliseconds() -> None:
    assert summary(np.arange(1, 102) / 1000.0) == pytest.approx(
        {"mean_ms": 51.0, "p50_ms": 51.0, "p99_ms": 100.0}
    )
