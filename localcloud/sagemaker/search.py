"""The evaluation of a SearchExpression on a document. Pure.

A property is named by its path: `TrainingJobStatus`, `HyperParameters.x`, `Metrics.accuracy`,
`Tags.team`, `InputDataConfig.DataSource.S3DataSource.S3Uri`.

Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_SearchExpression.html
Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Filter.html
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from localcloud.aws.errors import ValidationError
from localcloud.sagemaker.listing import Key, utc

_COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "GreaterThan": operator.gt,
    "GreaterThanOrEqualTo": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqualTo": operator.le,
}
_DEEPEST = 50


def fits(document: dict[str, Any], expression: dict[str, Any], depth: int = 0) -> bool:
    """Return whether a document matches an expression; an empty expression matches all.

    Raises:
        ValidationError: a filter is not valid.
    """
    if depth > _DEEPEST:
        raise ValidationError(f"SubExpressions are nested more than {_DEEPEST} levels deep.")
    found = [_filter(values_of(document, f["Name"]), f) for f in expression.get("Filters", [])]
    found += [_nested(document, nested) for nested in expression.get("NestedFilters", [])]
    found += [fits(document, sub, depth + 1) for sub in expression.get("SubExpressions", [])]
    if not found:
        return True
    return any(found) if expression.get("Operator") == "Or" else all(found)


def values_of(document: Any, path: str) -> list[Any]:
    """Return the values at a path; a list contributes those of each member."""
    if path == "":
        return [] if document is None else [document]
    if isinstance(document, list):
        return [value for member in document for value in values_of(member, path)]
    if not isinstance(document, dict):
        return []
    name, _, rest = path.partition(".")
    if name == "Tags" and rest:
        return [tag["Value"] for tag in document.get("Tags", []) if tag["Key"] == rest]
    if name == "Metrics" and rest:
        metrics = document.get("FinalMetricDataList", [])
        return [metric["Value"] for metric in metrics if metric["MetricName"] == rest]
    value = document.get(name)
    # The names of hyperparameters and metadata may contain dots.
    if isinstance(value, dict) and rest in value:
        return values_of(value[rest], "")
    return values_of(value, rest)


def sort_key(document: dict[str, Any], path: str) -> Key | None:
    """Return the sort key of a document: numbers as numbers, anything else as strings."""
    found = values_of(document, path)
    if not found or isinstance(found[0], dict | list):
        return None
    value = found[0]
    if isinstance(value, datetime):
        return utc(value).astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return str(value)


def _nested(document: dict[str, Any], nested: dict[str, Any]) -> bool:
    """Return whether one member of a list matches all filters."""
    prefix = nested["NestedPropertyName"]
    members = [
        member
        for value in values_of(document, prefix)
        for member in (value if isinstance(value, list) else [value])
    ]
    return any(
        all(
            _filter(values_of(member, f["Name"].removeprefix(f"{prefix}.")), f)
            for f in nested["Filters"]
        )
        for member in members
    )


def _filter(values: list[Any], given: dict[str, Any]) -> bool:
    kind: str = given.get("Operator", "Equals")
    wanted: str | None = given.get("Value")
    if kind in ("Exists", "NotExists"):
        if wanted is not None:
            raise ValidationError(f"{given['Name']}: {kind} does not take a Value.")
        return bool(values) == (kind == "Exists")
    if wanted is None:
        raise ValidationError(f"{given['Name']}: {kind} requires a Value.")
    if kind == "NotEquals":
        return bool(values) and not any(_equal(value, wanted) for value in values)
    return any(_holds(kind, value, wanted, given["Name"]) for value in values)


def _holds(kind: str, value: Any, wanted: str, name: str) -> bool:
    match kind:
        case "Equals":
            return _equal(value, wanted)
        case "In":
            return any(_equal(value, each.strip()) for each in wanted.split(","))
        case "Contains":
            if not isinstance(value, str):
                raise ValidationError(f"{name}: Contains requires a string property.")
            return wanted in value
    pair = _pair(value, wanted)
    if pair is None:
        raise ValidationError(f"{name}: {kind} compares numbers and times, not '{wanted}'.")
    compare = _COMPARED[kind]
    return compare(*pair)


def _equal(value: Any, wanted: str) -> bool:
    if isinstance(value, bool):
        return str(value).lower() == wanted.lower()
    if isinstance(value, str):
        return str(value) == wanted
    pair = _pair(value, wanted)
    return pair is not None and bool(pair[0] == pair[1])


def _pair(value: Any, wanted: str) -> tuple[Any, Any] | None:
    """Return a number or a time and the value to compare with, or None if types differ."""
    try:
        if isinstance(value, datetime):
            return utc(value), utc(datetime.fromisoformat(wanted))
        return float(value), float(wanted)
    except (ValueError, TypeError):
        return None
