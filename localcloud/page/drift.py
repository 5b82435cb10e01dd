"""The section `drift`: the metrics of the model's monitor, run after run.

moto keeps the data of all metrics in one list, and the monitor's are few among many. The list is
therefore read once, and then only what was added to it. Call it in moto's thread.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from localcloud.aws.routing import Scope
from localcloud.moto_backend.dispatcher import known_backend
from localcloud.page.alarms import aware

NAMESPACE = "MlopsLab/Monitor"
_MOST_POINTS = 60
_MOST_COLUMNS = 50

# Name of a metric → its newest points, oldest first.
Series = dict[str, deque[list[Any]]]


@dataclass(slots=True)
class _Endpoint:
    """The series of one endpoint, and those of each column."""

    metrics: Series = field(default_factory=dict)
    columns: dict[str, Series] = field(default_factory=dict)


@dataclass(slots=True)
class _Index:
    """The part of a backend's list that was read.

    Attributes:
        count: how many of its data were read.
        last: the last of them; another one at its place means that the list was replaced.
    """

    count: int = 0
    last: Any = None
    endpoints: dict[str, _Endpoint] = field(default_factory=dict)


class Drift:
    """The monitor's metrics by endpoint, in every account and region."""

    def __init__(self) -> None:
        self._indexes: dict[Scope, _Index] = {}

    def section(self, scope: Scope) -> dict[str, Any]:
        """Return the newest values of each metric of the monitor, by endpoint."""
        cloudwatch = known_backend("cloudwatch", scope)
        if cloudwatch is None:
            return {"count": 0, "items": []}
        endpoints = self._read(scope, cloudwatch.metric_data).endpoints
        return {
            "count": len(endpoints),
            "items": [
                {
                    "endpoint": name,
                    "metrics": _lists(found.metrics),
                    "columns": {column: _lists(kept) for column, kept in found.columns.items()},
                }
                for name, found in sorted(endpoints.items())
            ],
        }

    def _read(self, scope: Scope, data: list[Any]) -> _Index:
        index = self._indexes.setdefault(scope, _Index())
        if index.count and (len(data) < index.count or data[index.count - 1] is not index.last):
            index = self._indexes[scope] = _Index()
        for datum in data[index.count :]:
            if datum.namespace == NAMESPACE:
                _add(index.endpoints, datum)
        index.count = len(data)
        index.last = data[-1] if data else None
        return index


def _add(endpoints: dict[str, _Endpoint], datum: Any) -> None:
    named = {d.name: d.value for d in datum.dimensions}
    value = getattr(datum, "value", None)
    if value is None or not math.isfinite(value) or "Endpoint" not in named:
        return
    endpoint = endpoints.setdefault(named["Endpoint"], _Endpoint())
    series, column = endpoint.metrics, named.get("Column")
    if column is not None:
        if column not in endpoint.columns and len(endpoint.columns) >= _MOST_COLUMNS:
            return
        series = endpoint.columns.setdefault(column, {})
    points = series.setdefault(datum.name, deque(maxlen=_MOST_POINTS))
    points.append([aware(datum.timestamp), float(value)])


def _lists(series: Series) -> dict[str, list[Any]]:
    return {name: list(points) for name, points in series.items()}
