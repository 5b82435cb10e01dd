"""The settings of an alarm that CloudWatch would refuse."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.cloudwatch.alarm_settings import problem_of

pytestmark = pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html"
)

ALARM: dict[str, Any] = {
    "namespace": "Test",
    "metric_name": "Depth",
    "statistic": "Sum",
    "period": 60,
    "evaluation_periods": 3,
    "threshold": 1.0,
    "comparison_operator": "GreaterThanThreshold",
}


def query(**settings: Any) -> SimpleNamespace:
    metric = SimpleNamespace(namespace="Test", metric_name="Depth", dimensions=[])
    stat = SimpleNamespace(metric=metric, period=60, stat="Sum")
    return SimpleNamespace(**{"id": "m1", "expression": None, "metric_stat": stat} | settings)


def of_queries(*queries: SimpleNamespace) -> dict[str, Any]:
    rest = {"metric_name": None, "namespace": None, "period": None, "statistic": None}
    return ALARM | rest | {"metric_data_queries": list(queries)}


def test_a_complete_alarm_is_valid() -> None:
    assert problem_of(ALARM) is None
    assert problem_of(of_queries(query(), query(id="e1", expression="m1*2", metric_stat=None))) is (
        None
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"evaluation_periods": None}, "Value null at 'evaluationPeriods'"),
        ({"comparison_operator": None}, "Value null at 'comparisonOperator'"),
        ({"threshold": None}, "The parameter Threshold is required"),
        ({"period": None}, "The parameter Period is required"),
        ({"namespace": None}, "The parameter Namespace is required"),
        ({"metric_name": None}, "Exactly one of MetricName and Metrics"),
        ({"metric_data_queries": [query()]}, "Exactly one of MetricName and Metrics"),
        ({"statistic": None}, "Exactly one of Statistic and ExtendedStatistic"),
        ({"extended_statistic": "p99"}, "Exactly one of Statistic and ExtendedStatistic"),
        ({"statistic": None, "extended_statistic": "pxx"}, "a percentile is from p0.0 to p100"),
        ({"statistic": None, "extended_statistic": "p101"}, "a percentile is from p0.0 to p100"),
        ({"evaluation_periods": 0}, "at least 1"),
        ({"evaluation_periods": 10**9}, "EvaluationPeriods * Period is 60000000000"),
        ({"period": 0}, "it must be 10, 20, 30 or a multiple of 60"),
        ({"period": 61}, "it must be 10, 20, 30 or a multiple of 60"),
        ({"period": math.nan}, "it must be 10, 20, 30 or a multiple of 60"),
        ({"period": 3600, "evaluation_periods": 169}, "more than 604800 seconds"),
        ({"threshold": math.nan}, "it must be a finite number"),
        ({"threshold": math.inf}, "it must be a finite number"),
        ({"datapoints_to_alarm": 4}, "from 1 to EvaluationPeriods (3)"),
        ({"treat_missing_data": "never"}, "it must be one of breaching"),
    ],
)
def test_an_alarm_that_cannot_be_evaluated_is_refused(change: dict[str, Any], reason: str) -> None:
    assert reason in (problem_of(ALARM | change) or "")


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (query(id=""), "must have an Id"),
        (query(metric_stat=None), "either MetricStat or Expression"),
        (query(expression="m1"), "either MetricStat or Expression"),
    ],
)
def test_a_metric_of_an_alarm_is_checked(bad: SimpleNamespace, reason: str) -> None:
    assert reason in (problem_of(of_queries(query(), bad)) or "")


@given(
    st.fixed_dictionaries(
        {},
        optional={
            name: st.none()
            | st.integers()
            | st.floats()
            | st.text(max_size=3)
            | st.sampled_from([60, "p9"])
            for name in (*ALARM, "datapoints_to_alarm", "extended_statistic")
        },
    )
)
def test_any_settings_are_valid_or_have_a_reason(settings: dict[str, Any]) -> None:
    whole = {name: settings.get(name) for name in ALARM} | settings
    # The model gives the types of texts.
    for name in ("extended_statistic", "metric_name", "namespace", "statistic"):
        if not isinstance(whole.get(name), str):
            whole[name] = None
    assert problem_of(whole) is None or problem_of(whole)
