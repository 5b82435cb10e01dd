"""The statistics of a period, of single values and of statistic sets, as moto keeps them."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto.cloudwatch.models import MetricAggregatedDatum, MetricDatum

from localcloud.cloudwatch.metric_math import Distribution, evaluate, percentile, statistic

MONITORING = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring"
definitions = pytest.mark.aws_documented(f"{MONITORING}/Statistics-definitions.html")
arithmetic = pytest.mark.aws_documented(f"{MONITORING}/using-metric-math.html")
# AWS does not say how a percentile is found among the values.
percentiles = pytest.mark.emulator_only

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NUMBERS = st.integers(-1000, 1000).map(float)


def single(value: float) -> Any:
    return MetricDatum("N", "m", value, [], NOW)


def together(*values: float) -> Any:
    """Return the statistic set of some values."""
    return MetricAggregatedDatum(
        "N", "m", min(values), max(values), float(len(values)), sum(values), [], NOW
    )


@definitions
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Sum", 18.0),
        ("SampleCount", 4.0),
        ("Average", 4.5),
        ("Minimum", 1.0),
        ("Maximum", 9.0),
    ],
)
def test_a_statistic_counts_each_value_of_a_statistic_set(name: str, expected: float) -> None:
    assert expected == statistic([together(1.0, 2.0, 6.0), single(9.0)], name)
    assert expected == statistic([single(9.0), together(1.0, 6.0), single(2.0)], name)


@definitions
def test_negative_values_have_their_own_extremes() -> None:
    assert -3.0 == statistic([single(-3.0), single(-1.0)], "Minimum")
    assert -1.0 == statistic([single(-3.0), single(-1.0)], "Maximum")
    assert -3.0 == statistic([together(-3.0, -2.0), single(-1.0)], "Minimum")
    assert -1.0 == statistic([together(-3.0, -1.0), single(-2.0)], "Maximum")


@definitions
@given(st.lists(st.lists(NUMBERS, min_size=1, max_size=4), min_size=1, max_size=5))
def test_it_does_not_matter_how_values_are_put_together(parts: list[list[float]]) -> None:
    flat = [single(value) for part in parts for value in part]
    sets = [together(*part) for part in parts]
    for name in ("Sum", "SampleCount", "Average", "Minimum", "Maximum"):
        assert statistic(flat, name) == pytest.approx(statistic(sets, name))


@definitions
@pytest.mark.parametrize("name", ["Sum", "SampleCount", "Average", "Minimum", "Maximum", "p99"])
def test_a_period_without_data_has_no_statistic(name: str) -> None:
    assert statistic([], name) is None


def distributed(*values: float) -> Any:
    """Return the statistic set of some values, with their distribution beside it."""
    datum = together(*values)
    datum.distribution = Distribution()
    for value in values:
        datum.distribution.add(value)
    return datum


@percentiles
def test_a_percentile_is_read_from_the_distribution_of_a_set_and_from_single_values() -> None:
    assert statistic([distributed(*[10.0] * 9, 500.0)], "p90") == pytest.approx(10, rel=0.026)
    assert statistic([distributed(*[10.0] * 9, 500.0)], "p91") == pytest.approx(500, rel=0.026)
    mixed = [distributed(10.0, 10.0), single(500.0)]
    assert statistic(mixed, "p50") == pytest.approx(10, rel=0.026)
    assert statistic(mixed, "p100") == pytest.approx(500, rel=0.026)


@percentiles
def test_a_statistic_set_without_a_distribution_has_no_percentile() -> None:
    assert statistic([together(1.0, 2.0)], "p50") is None
    assert statistic([together(1.0, 2.0), single(5.0)], "p50") == pytest.approx(5, rel=0.026)


@percentiles
@pytest.mark.parametrize(
    ("percent", "rank"),
    [(0, 1), (0.5, 1), (1, 1), (1.5, 2), (50, 50), (50.5, 51), (99, 99), (99.5, 100), (100, 100)],
)
def test_a_percentile_is_the_smallest_value_that_so_many_are_not_above(
    percent: float, rank: int
) -> None:
    # Powers of two are in buckets of their own.
    found = Distribution()
    for exponent in range(1, 101):
        found.add(2.0**exponent)
    estimate = percentile([found], percent)
    assert estimate is not None
    assert round(math.log2(estimate)) == rank


@percentiles
@given(st.lists(st.sampled_from([0.0, -1.0, 1e-9, 1.0, 1e9]), min_size=1, max_size=9))
def test_what_is_not_positive_is_less_than_the_smallest_positive_value(found: list[float]) -> None:
    distribution = Distribution()
    for value in found:
        distribution.add(value)
    none = sum(value <= 0 for value in found)
    for rank, value in enumerate(sorted(found), 1):
        estimate = percentile([distribution], 100 * (rank - 0.5) / len(found))
        expected = 0.0 if rank <= none else value
        assert estimate == pytest.approx(expected, rel=0.026)


@percentiles
def test_values_of_one_bucket_are_counted_together() -> None:
    found = Distribution()
    for value in (1.0, 1.001, 1.5, 0.0):
        found.add(value)
    assert sorted(found.counts.values()) == [1, 1, 2]
    assert percentile([found, found], 100) == pytest.approx(1.5, rel=0.026)


@arithmetic
@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("-nothing", None),
        ("-(1 + nothing)", None),
        ("nothing + 1", None),
        ("1 - nothing", None),
        ("--two", 2.0),
        ("2 - 3 - 4", -5.0),
        ("2 + 3 * 4", 14.0),
        ("(2 + 3) * 4", 20.0),
        ("12 / 3 / 2", 2.0),
        ("two - 0.5", 1.5),
        ("-two * -3", 6.0),
        ("1 / (two - 2)", None),
    ],
)
def test_arithmetic_goes_by_the_usual_rules_and_what_is_missing_stays_missing(
    expression: str, expected: float | None
) -> None:
    assert evaluate(expression, {"two": 2.0, "nothing": None}) == expected


OPERATIONS: dict[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
}


@arithmetic
@given(NUMBERS, NUMBERS.filter(bool), st.sampled_from(list(OPERATIONS)))
def test_each_operator_is_that_of_arithmetic(a: float, b: float, sign: str) -> None:
    assert evaluate(f"a {sign} b", {"a": a, "b": b}) == OPERATIONS[sign](a, b)
