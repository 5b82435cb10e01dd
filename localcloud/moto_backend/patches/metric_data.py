"""Patches of CloudWatch's metric data: percentiles, and metric math."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from localcloud.cloudwatch.metric_math import ExpressionError, evaluate, statistic

_LARGEST_VALUE = 2.0**360
_MOST_VALUES = 150
_MOST_COPIES = 1_000
_MOST_DATA = 100_800
_MOST_STATISTICS = 1_440
_MOST_WORK = 20_000_000
_PERCENTILE = re.compile(r"p(100|\d{1,2}(\.\d{1,10})?)")


def patch(now: Callable[[], datetime]) -> None:
    """Apply the patches; `now` returns the AWS time."""
    _patch_percentiles()
    _patch_arithmetic()
    _patch_ranges(now)
    _patch_counts()


def _patch_percentiles() -> None:
    """GetMetricStatistics: moto lacks ExtendedStatistics. GetMetricData: it lacks percentiles."""
    from moto.cloudwatch.models import Statistics
    from moto.cloudwatch.responses import CloudWatchResponse

    original = Statistics.get_statistics_for_type
    read = CloudWatchResponse.get_metric_statistics

    def get_statistics_for_type(self: Any, stat: str) -> Any:
        if _PERCENTILE.fullmatch(stat):
            return statistic(self.metric_data, stat)
        return original(self, stat)

    def get_metric_statistics(self: Any) -> Any:
        from moto.cloudwatch.exceptions import InvalidParameterValue

        wanted = self._get_param("ExtendedStatistics") or []
        unknown = [name for name in wanted if not _PERCENTILE.fullmatch(name)]
        if unknown:
            raise InvalidParameterValue(
                f"ExtendedStatistics {', '.join(unknown)} is not supported; use percentiles, "
                "for example p99."
            )
        answer = read(self)
        for point in answer.result["Datapoints"] if wanted else ():
            found = {name: statistic(point.metric_data, name) for name in wanted}
            # moto's serialiser finds an attribute by its name in snake case.
            point.extended_statistics = {k: v for k, v in found.items() if v is not None}
        return answer

    Statistics.get_statistics_for_type = get_statistics_for_type
    CloudWatchResponse.get_metric_statistics = get_metric_statistics


def _patch_ranges(now: Callable[[], datetime]) -> None:
    """GetMetricData and GetMetricStatistics: moto computes any number of periods, one by one.

    AWS refuses more than 100,800 and 1,440 datapoints. GetMetricStatistics begins its periods at
    whole minutes, and keeps values of different units apart; moto does neither.

    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricStatistics.html
    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
    Differs: GetMetricData also refuses a range whose periods times the stored datapoints are over
    20 million.
    """
    from moto.cloudwatch.exceptions import InvalidParameterCombination, ValidationError
    from moto.cloudwatch.models import CloudWatchBackend, Statistics

    data, statistics = CloudWatchBackend.get_metric_data, CloudWatchBackend.get_metric_statistics

    def get_metric_data(
        self: Any, queries: list[dict[str, Any]], start_time: Any, end_time: Any, **rest: Any
    ) -> Any:
        periods = [_period_of(query) for query in queries]
        if any(period < 1 for period in periods):
            raise ValidationError("A Period must be at least 1 second.")
        seconds = max((_utc(end_time) - _utc(start_time)).total_seconds(), 0)
        points = sum(seconds / period for period in periods)
        if points > _MOST_DATA or points * len(self.metric_data) > _MOST_WORK:
            raise ValidationError(
                f"The request asks for {points:.0f} datapoints; at most {_MOST_DATA} are allowed. "
                "Reduce the time range or increase the periods."
            )
        return data(self, queries, start_time, end_time, **rest)

    def get_metric_statistics(
        self: Any,
        namespace: str,
        name: str,
        start: Any,
        end: Any,
        period: int,
        *rest: Any,
        **named: Any,
    ) -> Any:
        if period < 1:
            raise ValidationError(f"Period is {period}; it must be at least 1 second.")
        points = (_utc(end) - _utc(start)).total_seconds() / period
        if points > _MOST_STATISTICS:
            raise InvalidParameterCombination(
                f"You have requested up to {points:.0f} datapoints, which exceeds the limit of "
                f"{_MOST_STATISTICS:,}. You may reduce the datapoints requested by increasing "
                "Period, or decreasing the time range."
            )
        found: dict[tuple[Any, Any], Any] = {}
        statistics(self, namespace, name, start, end, period, *rest, **named)  # checks the times
        stats, dimensions, unit = _rest(*rest, **named)
        first = _aligned(_utc(start), period, now())
        for datum in self.get_all_metrics():
            at = _utc(datum.timestamp)
            if (
                (datum.namespace, datum.name) != (namespace, name)
                or not first <= at < _utc(end)
                or (unit and datum.unit != unit)
                or (dimensions and not datum.filter(None, None, dimensions))
            ):
                continue
            bucket = first + timedelta(seconds=(at - first).total_seconds() // period * period)
            key = bucket, datum.unit
            if key not in found:
                found[key] = Statistics(stats, bucket.replace(tzinfo=None))
                found[key].unit = datum.unit
            found[key].metric_data.append(datum)
        return [found[key] for key in sorted(found, key=lambda key: (key[0], str(key[1])))]

    CloudWatchBackend.get_metric_data = get_metric_data
    CloudWatchBackend.get_metric_statistics = get_metric_statistics


def _rest(stats: Any, dimensions: Any = None, unit: Any = None, **_: Any) -> tuple[Any, Any, Any]:
    return stats, dimensions, unit


def _aligned(start: datetime, period: int, now: datetime) -> datetime:
    """Return the start of the first period, rounded down as AWS rounds it.

    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricStatistics.html
    """
    days = (now - start).total_seconds() / 86_400
    step = 3_600 if days > 63 else 300 if days > 15 else min(period, 60)
    return datetime.fromtimestamp(start.timestamp() // step * step, UTC)


def _patch_counts() -> None:
    """PutMetricData: moto stores a value as often as its count says, and takes NaN for a value.

    AWS refuses numbers that are not finite, lists of unequal length and over 150 values. Values
    that are counted over a thousand times become one statistic set here, without percentiles.

    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html
    """
    from moto.cloudwatch.exceptions import InvalidParameterValue
    from moto.cloudwatch.models import CloudWatchBackend

    original = CloudWatchBackend.put_metric_data

    def put_metric_data(self: Any, namespace: str, metric_data: list[dict[str, Any]]) -> Any:
        found = []
        for number, datum in enumerate(metric_data, 1):
            try:
                found.append(_bounded(datum))
            except (TypeError, ValueError, KeyError) as error:
                raise InvalidParameterValue(
                    f"The parameter MetricData.member.{number} is not valid: {error}."
                ) from None
        return original(self, namespace, found)

    CloudWatchBackend.put_metric_data = put_metric_data


def _bounded(datum: dict[str, Any]) -> dict[str, Any]:
    """Return a datum that moto stores as one entry, or as a thousand at most.

    Raises:
        ValueError: a number is not finite, or there are too many or too few.
    """
    if datum.get("Value") is not None:
        _finite(datum["Value"])
    for name in ("Sum", "Minimum", "Maximum", "SampleCount"):
        if datum.get("StatisticValues"):
            _finite(datum["StatisticValues"][name])
    if not datum.get("Values"):
        return datum
    values = [_finite(value) for value in datum["Values"]]
    counts = [_finite(count) for count in datum.get("Counts") or [1] * len(values)]
    if len(values) != len(counts):
        raise ValueError(f"it has {len(values)} Values and {len(counts)} Counts")
    if len(values) > _MOST_VALUES:
        raise ValueError(f"it has {len(values)} Values; at most {_MOST_VALUES} are allowed")
    if any(count < 0 for count in counts):
        raise ValueError("a count is negative")
    if sum(counts) <= _MOST_COPIES:
        return datum
    rest = {key: value for key, value in datum.items() if key not in ("Values", "Counts")}
    total = sum(value * count for value, count in zip(values, counts, strict=True))
    return rest | {
        "StatisticValues": {
            "Sum": _finite(total),
            "Minimum": min(values),
            "Maximum": max(values),
            "SampleCount": sum(counts),
        }
    }


def _finite(value: Any) -> float:
    number = float(value)
    if not abs(number) <= _LARGEST_VALUE:
        raise ValueError(f"{value} is not in the range of -2^360 to 2^360")
    return number


def _period_of(query: Mapping[str, Any]) -> float:
    given = (query.get("MetricStat") or query).get("Period")
    return 60.0 if given is None else float(given)


def _utc(time: datetime) -> datetime:
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _patch_arithmetic() -> None:
    """GetMetricData: moto returns an empty series for an expression; AWS evaluates it.

    Differs: an expression has + - * / only.
    """
    from moto.cloudwatch.exceptions import ValidationError
    from moto.cloudwatch.models import CloudWatchBackend

    original = CloudWatchBackend.get_metric_data

    def get_metric_data(
        self: Any,
        queries: list[dict[str, Any]],
        start_time: datetime,
        end_time: datetime,
        scan_by: str = "TimestampAscending",
    ) -> Any:
        plain = [{**q, "ReturnData": True} for q in queries if "MetricStat" in q]
        found = original(self, plain, start_time, end_time, scan_by)
        metrics = [q["MetricStat"]["Metric"].get("MetricName") for q in plain]
        for query, result in zip(plain, found, strict=True):
            name = query["MetricStat"]["Metric"].get("MetricName")
            if not query.get("Label") and metrics.count(name) == 1:
                result["label"] = name  # which tells it from the others
        for result in found:  # leave out the times that have no percentile
            pairs = zip(result["timestamps"], result["values"], strict=True)
            known = [(at, value) for at, value in pairs if value is not None]
            result["timestamps"] = [at for at, _ in known]
            result["values"] = [value for _, value in known]
        series = {r["id"]: dict(zip(r["timestamps"], r["values"], strict=True)) for r in found}
        by_id = {result["id"]: result for result in found}
        for query in queries:
            if "MetricStat" in query:
                continue
            try:
                values = series[query["Id"]] = _computed(query["Expression"], queries, series)
            except ExpressionError as error:
                raise ValidationError(f"Error in expression '{query['Id']}': {error}.") from None
            at = sorted(values, reverse=scan_by == "TimestampDescending")
            by_id[query["Id"]] = {
                "id": query["Id"],
                "label": query.get("Label") or query["Id"],
                "values": [values[time] for time in at],
                "timestamps": at,
                "status_code": "Complete",
            }
        return [
            by_id[query["Id"]]
            for query in queries
            if str(query.get("ReturnData", True)).lower() != "false"
        ]

    CloudWatchBackend.get_metric_data = get_metric_data


def _computed(
    expression: str,
    queries: list[dict[str, Any]],
    series: Mapping[str, Mapping[datetime, float]],
    depth: int = 0,
) -> dict[datetime, float]:
    """Return the values of an expression by time, after those of the expressions it refers to."""
    if depth > len(queries):
        raise ExpressionError("it depends on itself")
    known = dict(series)
    for query in queries:
        names = re.findall(r"[A-Za-z_]\w*", expression)
        if "Expression" in query and query["Id"] in names and query["Id"] not in known:
            known[query["Id"]] = _computed(query["Expression"], queries, known, depth + 1)
    times = {time for values in known.values() for time in values}
    found = {
        time: evaluate(expression, {id_: values.get(time) for id_, values in known.items()})
        for time in times
    }
    if not times:
        evaluate(
            expression, dict.fromkeys(known)
        )  # so that an invalid expression is reported without data, too
    return {time: value for time, value in found.items() if value is not None}
