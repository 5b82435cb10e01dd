"""The settings that PutMetricAlarm requires, and their limits. Pure.

moto stores any alarm, also one that cannot be evaluated. Must not: know how a state is found.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

# A period is one of these, or a multiple of a minute; seconds.
_SHORT_PERIODS = (10, 20, 30)
_LONG_PERIOD_SECONDS = 3600
_DAY_SECONDS = 86_400
_MOST_QUERIES = 20
_MISSING_DATA = ("breaching", "notBreaching", "ignore", "missing")
_PERCENTILE = re.compile(r"p(\d{1,2}(\.\d{1,10})?|100(\.0{1,10})?)", re.ASCII)


def problem_of(settings: Mapping[str, Any]) -> str | None:
    """Return why CloudWatch would refuse the settings of a metric alarm, or None.

    Args:
        settings: the parameters of PutMetricAlarm in snake case; `metric_data_queries` are moto's.
    """
    return next(_problems(settings), None)


def _problems(settings: Mapping[str, Any]) -> Iterator[str]:
    for name in ("evaluation_periods", "comparison_operator"):
        if settings.get(name) is None:
            yield (
                f"1 validation error detected: Value null at '{_camel(name)}' failed to satisfy "
                "constraint: Member must not be null"
            )
    periods = settings["evaluation_periods"]
    if not _is_whole(periods) or periods < 1:
        yield f"EvaluationPeriods is {periods}; it must be a whole number of at least 1."
    threshold = settings.get("threshold")
    if settings.get("threshold_metric_id") is None and threshold is None:
        yield "The parameter Threshold is required for alarms based on static thresholds."
    if threshold is not None and not (_is_number(threshold) and math.isfinite(threshold)):
        yield f"Threshold is {threshold}; it must be a finite number."
    yield from _problems_of_metric(settings)
    points = settings.get("datapoints_to_alarm")
    if points is not None and not (_is_whole(points) and 1 <= points <= periods):
        yield f"DatapointsToAlarm is {points}; it must be from 1 to EvaluationPeriods ({periods})."
    missing = settings.get("treat_missing_data")
    if missing is not None and missing not in _MISSING_DATA:
        yield f"TreatMissingData is {missing}; it must be one of {', '.join(_MISSING_DATA)}."


def _problems_of_metric(settings: Mapping[str, Any]) -> Iterator[str]:
    queries: Sequence[Any] = settings.get("metric_data_queries") or ()
    if bool(queries) == bool(settings.get("metric_name")):
        yield "Exactly one of MetricName and Metrics must be specified."
    if queries:
        yield from _problems_of_queries(queries, settings["evaluation_periods"])
        return
    for name in ("namespace", "period"):
        if settings.get(name) is None:
            yield f"The parameter {_camel(name).title()} is required if MetricName is specified."
    statistic, extended = settings.get("statistic"), settings.get("extended_statistic")
    if (statistic is None) == (extended is None):
        yield "Exactly one of Statistic and ExtendedStatistic must be specified."
    yield from _problems_of_period(settings["period"], settings["evaluation_periods"])
    if extended is not None and extended.startswith("p") and not _PERCENTILE.fullmatch(extended):
        yield f"ExtendedStatistic is {extended}; a percentile is from p0.0 to p100."


def _problems_of_queries(queries: Sequence[Any], evaluation_periods: int) -> Iterator[str]:
    if len(queries) > _MOST_QUERIES:
        yield f"Metrics has {len(queries)} entries; at most {_MOST_QUERIES} are allowed."
    for query in queries:
        if not query.id:
            yield "Each entry of Metrics must have an Id."
        if (query.metric_stat is None) == (not query.expression):
            yield f"The metric {query.id} must have either MetricStat or Expression."
        if query.metric_stat is None:
            continue
        stat = query.metric_stat.stat
        if not query.metric_stat.metric.namespace or not stat:
            yield f"The MetricStat of {query.id} must have a Namespace and a Stat."
        if stat.startswith("p") and not _PERCENTILE.fullmatch(stat):
            yield f"The Stat of {query.id} is {stat}; a percentile is from p0.0 to p100."
        yield from _problems_of_period(query.metric_stat.period, evaluation_periods)


def _problems_of_period(period: Any, evaluation_periods: int) -> Iterator[str]:
    if not _is_whole(period) or period < 1 or (period not in _SHORT_PERIODS and period % 60):
        yield f"Period is {period}; it must be 10, 20, 30 or a multiple of 60 seconds."
    longest = _DAY_SECONDS * (7 if period >= _LONG_PERIOD_SECONDS else 1)
    if period * evaluation_periods > longest:
        yield (
            f"Metrics cannot be checked across more than {longest} seconds: "
            f"EvaluationPeriods * Period is {period * evaluation_periods}."
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return _is_number(value) and math.isfinite(value) and value == int(value)


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.title() for other in others)
