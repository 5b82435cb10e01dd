"""Statistics of the metrics that moto stores, and metric math over them.

    values(…)      one statistic of one metric: a value per period, None for a period without data
    evaluate(…)    an expression such as `requests / per_instance` over such values

A statistic set has no percentiles. The local cloud's own metrics therefore carry a `Distribution`
beside it, which gives percentiles with an error of at most 2.5 percent.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
Differs: an expression has numbers, ids, + - * / and brackets, but no functions.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

# Neighbouring buckets differ by 5 percent.
_LOG_STEP = math.log(1.05)

# Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDataQuery.html
_LONGEST_EXPRESSION = 2048
# How much of an expression an error shows, in characters.
_SHOWN = 60

# How late a datapoint may arrive and still count.
_LATE_SECONDS = 900

_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


class ExpressionError(ValueError):
    """An expression that is not supported; the message says which part."""


@dataclass(slots=True)
class Distribution:
    """Counts of positive values in logarithmic buckets."""

    counts: dict[int, int] = field(default_factory=dict)

    def add(self, value: float) -> None:
        """Count a value; zero and negative values count in the lowest bucket."""
        bucket = math.floor(math.log(value) / _LOG_STEP) if value > 0 else -(10**6)
        self.counts[bucket] = self.counts.get(bucket, 0) + 1


def percentile(distributions: Iterable[Distribution], percent: float) -> float | None:
    """Return a percentile of several distributions together, or None if they are empty.

    Args:
        distributions: the distributions of one period.
        percent: 0 to 100.
    """
    merged: dict[int, int] = {}
    for distribution in distributions:
        for bucket, count in distribution.counts.items():
            merged[bucket] = merged.get(bucket, 0) + count
    wanted = math.ceil(sum(merged.values()) * percent / 100)
    seen = 0
    for bucket in sorted(merged):
        seen += merged[bucket]
        if seen >= max(wanted, 1):
            return 0.0 if bucket <= -(10**6) else math.exp((bucket + 0.5) * _LOG_STEP)
    return None


def statistic(data: Sequence[Any], name: str) -> float | None:
    """Return a statistic of the data of one period, as moto stores it, or None without data."""
    if not data:
        return None
    if name.startswith("p"):
        return percentile((_distribution(datum) for datum in data), float(name[1:]))
    counts = [getattr(d, "sample_count", 1.0) for d in data]
    sums = [d.sum if hasattr(d, "sum") else d.value for d in data]
    match name:
        case "Sum":
            return float(sum(sums))
        case "SampleCount":
            return float(sum(counts))
        case "Average":
            return float(sum(sums)) / max(sum(counts), 1.0)
        case "Minimum":
            return float(min(getattr(d, "min", getattr(d, "value", 0.0)) for d in data))
        case _:
            return float(max(getattr(d, "max", getattr(d, "value", 0.0)) for d in data))


def _distribution(datum: Any) -> Distribution:
    kept = getattr(datum, "distribution", None)
    if kept is not None:
        return kept  # type: ignore[no-any-return]
    single = Distribution()
    if hasattr(datum, "value"):
        single.add(datum.value)
    return single


def values(
    cloudwatch: Any,
    metric: tuple[str, str],
    dimensions: Iterable[tuple[str, str]],
    name: str,
    *,
    period: int,
    count: int,
    now: datetime,
) -> list[float | None]:
    """Return a statistic of the last complete periods, oldest first.

    Args:
        cloudwatch: moto's backend, in moto's thread.
        metric: namespace and name.
        dimensions: pairs of name and value.
        name: the statistic, for example Sum or p99.
        period: in seconds.
        count: the number of periods.
        now: the current AWS time.
    """
    end = math.floor(now.timestamp() / period) * period
    oldest = end - count * period - _LATE_SECONDS
    buckets: list[list[Any]] = [[] for _ in range(count)]
    wanted = set(dimensions)
    for datum in reversed(cloudwatch.metric_data):
        stamp = datum.timestamp
        stamp = stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)
        if stamp.timestamp() < oldest:
            break  # older data follows; the history grows, but the range does not
        if (datum.namespace, datum.name) != metric:
            continue
        index = count - 1 - math.floor((end - 1e-6 - stamp.timestamp()) / period)
        if 0 <= index < count and {(d.name, d.value) for d in datum.dimensions} == wanted:
            buckets[index].append(datum)
    return [statistic(bucket, name) for bucket in buckets]


def evaluate(expression: str, given: Mapping[str, float | None]) -> float | None:
    """Return the value of metric math at one time.

    A missing value or a division by zero makes the result missing, as in CloudWatch. So does a
    number that is too large.

    Raises:
        ExpressionError: the expression has anything but numbers, ids, + - * / and brackets, or more
            than 2,048 characters.
    """
    if len(expression) > _LONGEST_EXPRESSION:
        raise ExpressionError(
            f"an expression has at most {_LONGEST_EXPRESSION} characters, not {len(expression)}"
        )
    try:
        tree = ast.parse(expression, mode="eval").body
    except (SyntaxError, ValueError):
        raise ExpressionError(f"'{expression}' is not an expression") from None
    except (RecursionError, MemoryError):  # the latter from the parser's own stack
        raise ExpressionError(f"'{expression[:_SHOWN]}…' is nested too deeply") from None
    try:
        value = _evaluate(tree, given)
    except (ZeroDivisionError, OverflowError):
        return None
    except RecursionError:
        raise ExpressionError(f"'{expression[:_SHOWN]}…' is nested too deeply") from None
    return value if value is not None and math.isfinite(value) else None


def _evaluate(node: ast.expr, given: Mapping[str, float | None]) -> float | None:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name):
            if name not in given:
                raise ExpressionError(f"there is no metric with the id {name}")
            return given[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            value = _evaluate(operand, given)
            return None if value is None else -value
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            first, second = _evaluate(left, given), _evaluate(right, given)
            if first is None or second is None:
                return None
            return _OPERATORS[type(op)](first, second)
    raise ExpressionError(f"'{ast.unparse(node)}' is not supported in metric math here")
