"""The state that datapoints mean: the examples of AWS's page, and properties."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localcloud.cloudwatch.alarm_evaluator import _values
from localcloud.cloudwatch.alarm_state import MetricAlarm, evaluate
from tests.examples import examples

pytestmark = pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html"
)

TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")
OK, ALARM, UNKNOWN, RETAIN = "OK", "ALARM", "INSUFFICIENT_DATA", None


def rule(m: int, n: int, treatment: str = "missing") -> MetricAlarm:
    return MetricAlarm("GreaterThanThreshold", 10.0, n, m, treatment)


def values(drawing: str) -> list[float | None]:
    """Read the page's notation: 0 is within the threshold, X breaches it, - is missing."""
    return [{"0": 1.0, "X": 11.0, "-": None}[point] for point in drawing.split()]


@pytest.mark.parametrize(
    ("drawing", "expected"),
    [
        ("0 - X - X", (OK, OK, OK, OK)),
        ("0 - - - -", (OK, OK, OK, OK)),
        ("- - - - -", (UNKNOWN, RETAIN, ALARM, OK)),
        ("0 X X - X", (ALARM, ALARM, ALARM, ALARM)),
        ("- - - - X", (UNKNOWN, RETAIN, ALARM, OK)),
        ("- - X - -", (ALARM, RETAIN, ALARM, OK)),
        ("X - - - -", (ALARM, RETAIN, ALARM, OK)),
    ],
)
def test_three_of_three_datapoints(drawing: str, expected: tuple[str | None, ...]) -> None:
    states = tuple(evaluate(rule(3, 3, treatment), values(drawing)) for treatment in TREATMENTS)
    assert expected == states


@pytest.mark.parametrize(
    ("drawing", "expected"),
    [
        ("0 - X - X", (ALARM, ALARM, ALARM, ALARM)),
        ("0 0 X 0 X", (ALARM, ALARM, ALARM, ALARM)),
        ("0 - X - -", (OK, OK, ALARM, OK)),
        ("- - - - 0", (OK, OK, ALARM, OK)),
        ("- - - - X", (UNKNOWN, RETAIN, ALARM, OK)),
    ],
)
def test_two_of_three_datapoints(drawing: str, expected: tuple[str | None, ...]) -> None:
    states = tuple(evaluate(rule(2, 3, treatment), values(drawing)) for treatment in TREATMENTS)
    assert expected == states


@pytest.mark.parametrize(
    ("comparison", "below", "at", "above"),
    [
        ("GreaterThanThreshold", OK, OK, ALARM),
        ("GreaterThanOrEqualToThreshold", OK, ALARM, ALARM),
        ("LessThanThreshold", ALARM, OK, OK),
        ("LessThanOrEqualToThreshold", ALARM, ALARM, OK),
    ],
)
def test_the_comparison_says_which_side_breaches(
    comparison: str, below: str, at: str, above: str
) -> None:
    one = MetricAlarm(comparison, 10.0, 1, 1)
    assert (below, at, above) == tuple(evaluate(one, [value]) for value in (9.0, 10.0, 11.0))


def test_missing_data_is_missing_unless_it_is_said() -> None:
    plain = MetricAlarm("GreaterThanThreshold", 10.0, 1, 1)
    assert (UNKNOWN, ALARM) == (evaluate(plain, [None]), evaluate(plain, [11.0]))


@pytest.mark.parametrize(("minutes", "expected"), [(2, OK), (3, ALARM)])
def test_scale_out_asks_after_three_minutes_above_the_target(minutes: int, expected: str) -> None:
    assert expected == evaluate(rule(3, 3), [1.0] * (5 - minutes) + [11.0] * minutes)


@pytest.mark.parametrize(("minutes", "expected"), [(14, OK), (15, ALARM)])
def test_scale_in_asks_after_fifteen_minutes_below_the_target(minutes: int, expected: str) -> None:
    low = MetricAlarm("LessThanThreshold", 108.0, 15, 15)
    assert expected == evaluate(low, [120.0] * (17 - minutes) + [0.0] * minutes)


@st.composite
def cases(draw: st.DrawFn) -> tuple[int, int, list[float | None]]:
    n = draw(st.integers(1, 6))
    point = st.one_of(st.none(), st.sampled_from([1.0, 11.0]))
    window = draw(st.lists(point, min_size=n + 2, max_size=n + 2))
    return draw(st.integers(1, n)), n, window


@settings(max_examples=examples(200))
@given(cases())
def test_when_nothing_is_missing_the_treatment_does_not_matter(
    case: tuple[int, int, list[float | None]],
) -> None:
    m, n, window = case
    full = [1.0 if value is None else value for value in window]
    expected = ALARM if sum(value > 10 for value in full[-n:]) >= m else OK
    assert {expected} == {evaluate(rule(m, n, treatment), full) for treatment in TREATMENTS}


@settings(max_examples=examples(200))
@given(cases())
def test_missing_data_as_breaching_alarms_whenever_notbreaching_does(
    case: tuple[int, int, list[float | None]],
) -> None:
    m, n, window = case
    mild, strict = (evaluate(rule(m, n, t), window) for t in ("notBreaching", "breaching"))
    assert (mild, strict) in {(OK, OK), (OK, ALARM), (ALARM, ALARM)}


@pytest.mark.parametrize(
    "drawing", ["- - - X X", "X - - - X", "- X - X -", "- - X 0 X", "X X X X X"]
)
def test_enough_breaching_datapoints_are_an_alarm_whatever_is_missing(drawing: str) -> None:
    assert {ALARM} == {evaluate(rule(2, 3, treatment), values(drawing)) for treatment in TREATMENTS}


@settings(max_examples=examples(200))
@given(cases(), st.sampled_from(TREATMENTS))
def test_enough_of_the_newest_datapoints_are_an_alarm_whatever_is_missing(
    case: tuple[int, int, list[float | None]], treatment: str
) -> None:
    m, n, window = case
    known = [value for value in window if value is not None][-n:]
    breaching = sum(value > 10 for value in known)
    state = evaluate(rule(m, n, treatment), window)
    if breaching >= m:
        assert state == ALARM
    if len(known) == n:
        assert (state == ALARM) == (breaching >= m)


@settings(max_examples=examples(200))
@given(cases(), st.sampled_from(TREATMENTS))
def test_a_state_is_one_of_awss_three_and_only_ignore_retains(
    case: tuple[int, int, list[float | None]], treatment: str
) -> None:
    m, n, window = case
    state = evaluate(rule(m, n, treatment), window)
    assert state in {OK, ALARM, UNKNOWN, RETAIN}
    if state is RETAIN:
        assert treatment == "ignore"
    if state == UNKNOWN:
        assert treatment == "missing"


def test_an_alarm_reads_complete_periods_and_two_beyond_its_own() -> None:
    now = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)
    alarm = SimpleNamespace(
        metric_name="M",
        namespace="N",
        dimensions=[SimpleNamespace(name="d", value="1")],
        period=60,
        evaluation_periods=1,
        statistic="Sum",
        extended_statistic=None,
        metric_data_queries=[],
    )

    def datum(seconds_ago: int, value: float, *, name: str = "M", dimension: str = "1") -> object:
        return SimpleNamespace(
            name=name,
            namespace="N",
            value=value,
            timestamp=now - timedelta(seconds=seconds_ago),
            dimensions=[SimpleNamespace(name="d", value=dimension)],
        )

    data = [
        datum(10, 1000.0),  # its minute still runs
        datum(31, 1.0),
        datum(80, 2.0),
        datum(200, 4.0),
        datum(211, 1000.0),  # before the range
        datum(31, 1000.0, name="other"),
        datum(31, 1000.0, dimension="2"),
    ]
    assert [4.0, None, 3.0] == _values(SimpleNamespace(metric_data=data), alarm, now)


def test_an_alarm_of_metric_math_reads_each_metric_and_a_division_by_nothing_is_missing() -> None:
    now = datetime(2026, 1, 1, 12, tzinfo=UTC)

    def query(id_: str, metric: str) -> SimpleNamespace:
        source = SimpleNamespace(namespace="N", metric_name=metric, dimensions=[])
        stat = SimpleNamespace(metric=source, period="60", stat="Sum")
        return SimpleNamespace(id=id_, expression=None, metric_stat=stat, return_data="false")

    def datum(name: str, seconds_ago: int, value: float) -> SimpleNamespace:
        stamp = now - timedelta(seconds=seconds_ago)
        return SimpleNamespace(
            name=name, namespace="N", value=value, timestamp=stamp, dimensions=[]
        )

    alarm = SimpleNamespace(
        evaluation_periods=1,
        metric_data_queries=[
            SimpleNamespace(
                id="instances", expression="all / each", metric_stat=None, return_data="true"
            ),
            query("all", "Invocations"),
            query("each", "InvocationsPerInstance"),
        ],
    )
    data = [
        datum("Invocations", 100, 600.0),
        datum("InvocationsPerInstance", 100, 150.0),
        datum("Invocations", 30, 0.0),
        datum("InvocationsPerInstance", 30, 0.0),
    ]
    assert _values(SimpleNamespace(metric_data=data), alarm, now) == [None, 4.0, None]
