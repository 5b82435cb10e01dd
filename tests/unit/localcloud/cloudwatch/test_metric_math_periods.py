"""The period to which a datapoint belongs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.cloudwatch.metric_math import values

# StartTime and the beginning of a period are inclusive, EndTime is exclusive.
pytestmark = pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricStatistics.html"
)

MINUTE = datetime(2026, 1, 1, 12, tzinfo=UTC)
NOW = MINUTE + timedelta(seconds=30)
TIMES = st.integers(0, 600_000_000).map(lambda micros: MINUTE - timedelta(microseconds=micros))


@dataclass
class Datum:
    timestamp: datetime
    value: float = 1.0
    name: str = "Invocations"
    namespace: str = "AWS/SageMaker"
    dimensions: list[SimpleNamespace] = field(default_factory=list)


def read(
    *data: Datum,
    now: datetime = NOW,
    period: int = 60,
    count: int = 3,
    dimensions: tuple[tuple[str, str], ...] = (),
) -> list[float | None]:
    kept = SimpleNamespace(metric_data=list(data))
    metric = ("AWS/SageMaker", "Invocations")
    return values(kept, metric, dimensions, "Sum", period=period, count=count, now=now)


def before(seconds: float) -> Datum:
    """Return a datapoint so long before the last whole minute."""
    return Datum(MINUTE - timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, [None, None, None]),  # the first moment of the minute that still runs
        (0.000_001, [None, None, 1.0]),
        (59.999_999, [None, None, 1.0]),
        (60, [None, None, 1.0]),  # the first moment of the last minute
        (60.000_001, [None, 1.0, None]),
        (120, [None, 1.0, None]),
        (180, [1.0, None, None]),
        (180.000_001, [None, None, None]),  # before the range
    ],
)
def test_a_period_has_its_first_moment_and_not_that_of_the_next(
    seconds: float, expected: list[float | None]
) -> None:
    assert expected == read(before(seconds))


@given(st.lists(TIMES, max_size=8), st.sampled_from([10, 60, 300]), st.integers(1, 4))
def test_each_datapoint_is_in_the_period_that_its_time_falls_in(
    times: list[datetime], period: int, count: int
) -> None:
    end = int(NOW.timestamp()) // period * period
    starts = [end - period * back for back in range(count, 0, -1)]
    expected = [
        sum(start <= time.timestamp() < start + period for time in times) or None
        for start in starts
    ]
    assert expected == read(*map(Datum, sorted(times)), period=period, count=count)


@pytest.mark.parametrize(("second", "expected"), [(0, 1.0), (59, 1.0), (60, None)])
def test_a_minute_is_read_once_it_is_over(second: int, expected: float | None) -> None:
    assert [expected] == read(before(1), now=MINUTE + timedelta(seconds=second), count=1)


@pytest.fixture
def tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose own time is nine hours ahead of UTC."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("tokyo")
def test_a_time_without_a_zone_is_utc_and_any_zone_counts() -> None:
    plain = Datum((MINUTE - timedelta(seconds=30)).replace(tzinfo=None))
    far = Datum((MINUTE - timedelta(seconds=90)).astimezone(timezone(timedelta(hours=9))))
    assert [None, 1.0, 1.0] == read(far, plain)


@pytest.mark.parametrize(
    ("late_seconds", "expected"),
    [(15 * 60, [1.0, 1.0]), (15 * 60 + 1, [None, 1.0])],
)
def test_a_datapoint_that_is_put_late_hides_none_for_a_quarter_of_an_hour(
    late_seconds: int, expected: list[float | None]
) -> None:
    # The older one was put after the newer one; what was put before it is read still.
    late = before(120 + late_seconds)
    assert expected == read(before(90), late, before(30), count=2)


def test_only_the_metric_of_all_these_dimensions_is_read() -> None:
    def with_dimensions(**named: str) -> Datum:
        pairs = [SimpleNamespace(name=name, value=value) for name, value in named.items()]
        return Datum(MINUTE - timedelta(seconds=1), dimensions=pairs)

    data = [
        with_dimensions(EndpointName="a", VariantName="v"),
        with_dimensions(EndpointName="a"),
        with_dimensions(EndpointName="b", VariantName="v"),
        Datum(MINUTE - timedelta(seconds=1), namespace="/aws/sagemaker/Endpoints"),
        Datum(MINUTE - timedelta(seconds=1), name="Invocation4XXErrors"),
    ]
    asked = (("VariantName", "v"), ("EndpointName", "a"))
    assert [1.0] == read(*data, count=1, dimensions=asked)
    assert [None] == read(*data, count=1)
