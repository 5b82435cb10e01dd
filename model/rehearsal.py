"""Pure: compares the answers of two models to the requests that production got.

Every request is read by each model on its own, so that one may refuse what the other answers. Rows
that both answer are compared: by label, or for a regression by value, where a change counts from
one hundredth of the range of the training labels on. What is kept of the requests are counts, in
the bins of the training data's baseline, and no row.

    request ─► rows of the champion  ─► answer ┐
            └► rows of the candidate ─► answer ┴► equal, or different: flows, bins

Source: E. B. Wilson, Probable Inference (1927): the interval of a share
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from model.baseline import (
    Baseline,
    ColumnBaseline,
    Counts,
    Histogram,
    category_key,
    psi,
)
from model.columns import Column, Columns
from model.dates import show_day

CONFIDENCE = 0.95
# A change of a regression's value counts from this share of the training labels' range on.
TOLERANCE = 0.01
_MOST_FLOWS, _MOST_SLICES, _MIN_SLICE_ROWS = 50, 12, 10
_MOST_GROUPS = 10
_MISSING_OR_UNKNOWN = "(missing or unknown)"

Rows = NDArray[np.float32]


def wilson(count: int, rows: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of at least one row."""
    interval = binomtest(count, rows).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


@dataclass(frozen=True, slots=True)
class Answered:
    """A model's answers to the rows of some requests.

    Attributes:
        numbers: class numbers, shape (rows,).
        values: a regression's values, shape (rows,); not read for a classifier.
    """

    numbers: NDArray[np.int64]
    values: NDArray[np.float64]


class AnswerComparison:
    """Compares the answers of both models row by row.

    Args:
        champion, candidate: the class names of each, in the order of the outputs; both are empty
            for a regression.
        label: the histogram of the training labels of a regression; None if it is not known.
    """

    def __init__(
        self, champion: Sequence[str], candidate: Sequence[str], label: Histogram | None
    ) -> None:
        self.rows = self.different = 0
        self._groups = _groups(label)
        names = self._groups or [""]
        self._champion, self._candidate = (list(c) or names for c in (champion, candidate))
        self._same = np.array([[a == b for b in self._candidate] for a in self._champion])
        self._regression = not champion
        self._edges = np.array([] if label is None else _group_edges(label))
        self._tolerance = None if label is None else TOLERANCE * (label.edges[-1] - label.edges[0])
        self._flows: Counter[tuple[int, int]] = Counter()

    def add(self, champion: Answered, candidate: Answered) -> NDArray[np.bool_]:
        """Count the answers to the same rows; return which are different, shape (rows,)."""
        if self._regression:
            before, now = champion.values, candidate.values
            limit = TOLERANCE * np.abs(before) if self._tolerance is None else self._tolerance
            different: NDArray[np.bool_] = np.abs(now - before) > limit
            old, new = (np.searchsorted(self._edges, v, side="right") for v in (before, now))
        else:
            old, new = champion.numbers, candidate.numbers
            different = ~self._same[old, new]
        self.rows += len(different)
        self.different += int(different.sum())
        pairs, rows = np.unique(
            old[different] * len(self._candidate) + new[different], return_counts=True
        )
        for pair, count in zip(pairs.tolist(), rows.tolist(), strict=True):
            self._flows[divmod(pair, len(self._candidate))] += count
        return different

    def as_json(self) -> dict[str, Any]:
        """Return the section of the report."""
        # Sorted by name too, so that equal counts have one order.
        flows = sorted(
            ((self._champion[a], self._candidate[b], n) for (a, b), n in self._flows.items()),
            key=lambda flow: (-flow[2], flow[0], flow[1]),
        )
        return {
            "rows": self.rows,
            "different": self.different,
            "share": self.different / self.rows if self.rows else None,
            "interval": list(wilson(self.different, self.rows)) if self.rows else None,
            "tolerance": self._tolerance if self._regression else None,
            "flows": [
                {"champion": a, "candidate": b, "rows": n} for a, b, n in flows[:_MOST_FLOWS]
            ],
            "flows_left_out": max(0, len(flows) - _MOST_FLOWS),
        }


def _group_edges(label: Histogram) -> list[float]:
    """Return the inner borders of at most ten groups of about equally many training labels."""
    total = np.cumsum(label.counts)
    steps = total[-1] * np.arange(1, _MOST_GROUPS) / _MOST_GROUPS
    places = np.unique(np.searchsorted(total, steps) + 1)
    return [label.edges[at] for at in places.tolist() if at < len(label.counts)]


def _groups(label: Histogram | None) -> list[str]:
    if label is None:
        return []
    edges = [f"{edge:.4g}" for edge in _group_edges(label)]
    if not edges:
        return ["any value"]
    inner = [f"{low} to {high}" for low, high in itertools.pairwise(edges)]
    return [f"below {edges[0]}", *inner, f"from {edges[-1]}"]


@dataclass(slots=True)
class _Bins:
    """One column's counts: of all rows, and of those whose answers differ."""

    name: str
    labels: list[str]
    expected: Counts
    start: int
    column: Column
    histogram: Histogram | None
    rows: Counts = field(init=False)
    different: Counts = field(init=False)

    def __post_init__(self) -> None:
        self.rows = np.zeros(len(self.labels), np.int64)
        self.different = np.zeros(len(self.labels), np.int64)

    def add(self, encoded: Rows, different: NDArray[np.bool_]) -> None:
        places = self._places(encoded)
        size = len(self.labels)
        self.rows += np.bincount(places, minlength=size)
        self.different += np.bincount(places[different], minlength=size)

    def _places(self, encoded: Rows) -> NDArray[np.int64]:
        """Return the number of each row's bin; the last one is for what is missing or unknown."""
        if self.histogram is None:
            part = encoded[:, self.start : self.start + self.column.width]
            found = self.column.places_of(part)
            return np.where(found >= 0, found, len(self.labels) - 1)
        values = encoded[:, self.start]
        borders = np.asarray(self.histogram.edges, np.float32)
        places = np.searchsorted(borders, values, side="right")
        places[values == borders[-1]] = len(borders) - 1
        return np.where(np.isnan(values), len(self.labels) - 1, places).astype(np.int64)


class InputComparison:
    """Counts the inputs of all rows and of those whose answers differ, beside the training data.

    A missing number counts as the value that the model fills in.

    Args:
        columns: the candidate's columns, by which the rows are encoded.
        baseline: the baseline of the candidate's training data.
    """

    def __init__(self, columns: Columns, baseline: Baseline) -> None:
        known = {column.name: column for column in baseline.columns}
        self._bins = list(_bins_of(columns, known, baseline.rows))

    def add(self, encoded: Rows, different: NDArray[np.bool_]) -> None:
        """Count rows.

        Args:
            encoded: the candidate's input, shape (rows, width).
            different: which of the rows are answered differently, shape (rows,).
        """
        for bins in self._bins:
            bins.add(encoded, different)

    def columns_as_json(self) -> list[dict[str, Any]]:
        """Return the distances of each column from the training data, the largest first."""

        def distance(one: dict[str, Any]) -> float:
            return -max(one["different_psi"] or 0.0, one["traffic_psi"] or 0.0)

        found: list[dict[str, Any]] = [
            {
                "name": bins.name,
                "traffic_psi": _psi(bins.expected, bins.rows),
                "different_psi": _psi(bins.expected, bins.different),
                "outside_share": _share(_outside(bins, bins.rows), bins.rows),
                "different_outside_share": _share(_outside(bins, bins.different), bins.different),
            }
            for bins in self._bins
        ]
        return sorted(found, key=distance)

    def slices_as_json(self) -> list[dict[str, Any]]:
        """Return the inputs with the largest shares of different answers, those first."""
        found: list[dict[str, Any]] = []
        for bins in self._bins:
            rows, expected = int(bins.rows.sum()), int(bins.expected.sum())
            for at, label in enumerate(bins.labels):
                of, different = int(bins.rows[at]), int(bins.different[at])
                if of < _MIN_SLICE_ROWS or not different:
                    continue
                found.append(
                    {
                        "name": f"{bins.name} {label}",
                        "rows": of,
                        "different": different,
                        "share": different / of,
                        "interval": list(wilson(different, of)),
                        "traffic_share": of / rows,
                        "training_share": int(bins.expected[at]) / expected if expected else None,
                    }
                )
        found.sort(key=lambda one: (-one["interval"][0], one["name"]))
        return found[:_MOST_SLICES]


def _bins_of(columns: Columns, known: dict[str, ColumnBaseline], rows: int) -> Iterator[_Bins]:
    start = 0
    for column in columns.columns:
        expected = known.get(column.name)
        if expected is not None:
            missing = round(expected.missing * rows)
            if column.categories is not None and expected.counts is not None:
                counts = [expected.counts.get(category_key(c), 0) for c in column.categories]
                rest = sum(expected.counts.values()) + expected.other - sum(counts)
                if column.other:
                    counts[-1] += rest
                    rest = 0
                rest += missing
                labels = [*map(_named, column.categories), _MISSING_OR_UNKNOWN]
                yield _Bins(column.name, labels, np.array([*counts, rest]), start, column, None)
            elif _is_same_kind(column, expected) and expected.histogram is not None:
                edges = expected.histogram.edges
                # The first part of a date is its day.
                shown = [f"{x:.4g}" if column.date is None else show_day(x) for x in edges]
                inner = [f"{a} to {b}" for a, b in itertools.pairwise(shown)]
                labels = [f"below {shown[0]}", *inner, f"above {shown[-1]}", "(missing)"]
                counts = [0, *expected.histogram.counts, 0, missing]
                histogram = expected.histogram
                yield _Bins(column.name, labels, np.array(counts), start, column, histogram)
        start += column.width


def _is_same_kind(column: Column, expected: ColumnBaseline) -> bool:
    """Return True if both are of numbers, or both of dates."""
    return column.categories is None and (column.date is None) == (expected.order is None)


def _named(category: str) -> str:
    return category if len(category) <= 60 else category[:59] + "…"


def _outside(bins: _Bins, counts: Counts) -> int:
    """Return the rows beyond the training data's range, or of no category that is known."""
    return int(counts[-1] if bins.histogram is None else counts[0] + counts[-2])


def _psi(expected: Counts, observed: Counts) -> float | None:
    return psi(expected, observed) if expected.sum() and observed.sum() else None


def _share(part: int, counts: Counts) -> float | None:
    total = int(counts.sum())
    return part / total if total else None
