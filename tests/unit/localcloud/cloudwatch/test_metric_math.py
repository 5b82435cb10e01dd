"""Statistics and metric math over what CloudWatch keeps."""

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.cloudwatch.metric_math import (
    Distribution,
    ExpressionError,
    evaluate,
    percentile,
    statistic,
    values,
)

pytestmark = pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html"
)

NOW = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("requests / per_instance", 4.0),
        ("(requests - 100) * 2 + 1", 1001.0),
        ("-requests", -600.0),
        ("7", 7.0),
        ("requests / 0", None),
        ("requests / nothing", None),
    ],
)
def test_arithmetic_of_metrics_is_evaluated(expression: str, expected: float | None) -> None:
    given = {"requests": 600.0, "per_instance": 150.0, "nothing": None}
    assert evaluate(expression, given) == expected


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("SUM(METRICS())", "not supported in metric math here"),
        ("requests +", "is not an expression"),
        ("other / 2", "no metric with the id other"),
        ("requests ** 2", "not supported"),
        ("__import__('os')", "not supported"),
        ("'a'", "not supported"),
    ],
)
def test_what_is_not_arithmetic_is_refused(expression: str, said: str) -> None:
    with pytest.raises(ExpressionError, match=said):
        evaluate(expression, {"requests": 1.0})


@given(st.lists(st.floats(1, 1e7), min_size=1, max_size=200), st.sampled_from([50.0, 90.0, 99.0]))
def test_a_percentile_is_within_a_bucket_of_the_true_one(
    found: list[float], percent: float
) -> None:
    halves = Distribution(), Distribution()
    for index, value in enumerate(found):
        halves[index % 2].add(value)
    true = sorted(found)[max(math.ceil(len(found) * percent / 100), 1) - 1]
    estimate = percentile(halves, percent)
    assert estimate is not None
    assert estimate == pytest.approx(true, rel=0.026)


def test_a_percentile_of_nothing_is_nothing() -> None:
    assert percentile([], 99) is None
    zero = Distribution()
    zero.add(0.0)
    assert percentile([zero], 99) == 0.0


@dataclass
class Datum:
    name: str
    value: float
    timestamp: datetime
    namespace: str = "N"
    dimensions: list[Any] = field(default_factory=list)


def read(data: list[Datum], name: str = "Sum", count: int = 3) -> list[float | None]:
    cloudwatch = SimpleNamespace(metric_data=data)
    return values(cloudwatch, ("N", "m"), [], name, period=60, count=count, now=NOW)


def test_each_complete_period_has_its_statistic_and_an_empty_one_none() -> None:
    minute = NOW.replace(second=0)
    data = [
        Datum("m", 5.0, minute - timedelta(seconds=150)),
        Datum("m", 1.0, minute - timedelta(seconds=50)),
        Datum("other", 9.0, minute - timedelta(seconds=50)),
        Datum("m", 2.0, minute - timedelta(seconds=1)),
        # This minute is not over.
        Datum("m", 100.0, NOW),
    ]
    assert read(data) == [5.0, None, 3.0]
    assert read(data, "Maximum") == [5.0, None, 2.0]
    assert read(data, "Average") == [5.0, None, 1.5]


def test_history_is_not_read_beyond_the_range() -> None:
    class Counted(list[Datum]):
        read = 0

        def __reversed__(self) -> Any:
            for datum in super().__reversed__():
                self.read += 1
                yield datum

    start = NOW - timedelta(days=2)
    data = Counted(Datum("m", 1.0, start + timedelta(minutes=m)) for m in range(2880))
    assert read(data) == [1.0, 1.0, 1.0]
    assert data.read < 30


def test_single_values_have_percentiles_too() -> None:
    data = [Datum("m", value, NOW) for value in (10.0, 10.0, 10.0, 1000.0)]
    assert statistic(data, "p50") == pytest.approx(10, rel=0.026)
    assert statistic(data, "p99") == pytest.approx(1000, rel=0.026)
