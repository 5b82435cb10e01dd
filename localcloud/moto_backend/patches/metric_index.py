"""The index of distinct metrics, so that ListMetrics costs what it returns."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Key = tuple[str, str, frozenset[tuple[str, str]]]


@dataclass(slots=True)
class _Index:
    """The distinct metrics of a backend.

    Attributes:
        count: how many of its data are indexed.
        last: the last of them; another one at its place means that the list was replaced.
        metrics: the first datum of each metric.
    """

    count: int = 0
    last: Any = None
    metrics: dict[Key, Any] = field(default_factory=dict)


_indexes: weakref.WeakKeyDictionary[Any, _Index] = weakref.WeakKeyDictionary()


def patch() -> None:
    """Apply the patches."""
    _patch_lists()


def _patch_lists() -> None:
    """ListMetrics: moto compares each datum with each metric that it has found.

    That takes minutes in a lab that ran for an hour, in the only thread that answers for S3, too.
    """
    from moto.cloudwatch.models import CloudWatchBackend

    def get_filtered_metrics(
        self: Any, metric_name: str, namespace: str, dimensions: list[dict[str, str]]
    ) -> list[Any]:
        metrics = distinct(self, self.metric_data)
        metrics |= _keyed(self.aws_metric_data)
        wanted = [(d["Name"], d.get("Value")) for d in dimensions or []]
        return [
            datum
            for (space, name, pairs), datum in metrics.items()
            if namespace in (None, "", space)
            and metric_name in (None, "", name)
            and all(_has(pairs, dimension, value) for dimension, value in wanted)
        ]

    CloudWatchBackend.get_filtered_metrics = get_filtered_metrics


def distinct(owner: Any, data: list[Any]) -> dict[Key, Any]:
    """Return the first datum of each metric; only data that are new since the last call are read.

    Args:
        owner: the backend, to which the index belongs.
        data: its data, a list that only grows unless it is replaced.
    """
    index = _indexes.setdefault(owner, _Index())
    if index.count > len(data) or (index.count and data[index.count - 1] is not index.last):
        index = _indexes[owner] = _Index()
    for key, datum in _keyed(data[index.count :]).items():
        index.metrics.setdefault(key, datum)
    index.count, index.last = len(data), data[-1] if data else None
    return dict(index.metrics)


def _keyed(data: Iterable[Any]) -> dict[Key, Any]:
    found: dict[Key, Any] = {}
    for datum in data:
        pairs = frozenset((d.name, d.value) for d in datum.dimensions)
        found.setdefault((datum.namespace, datum.name, pairs), datum)
    return found


def _has(pairs: frozenset[tuple[str, str]], name: str, value: str | None) -> bool:
    return (name, value) in pairs if value else any(name == known for known, _ in pairs)
