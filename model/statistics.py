"""Pure: the baseline of a dataset, from the statistics of its training rows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from model.baseline import (
    Baseline,
    ColumnBaseline,
    Histogram,
    LabelBaseline,
    category_key,
    count_values,
    fold,
)
from model.scan import CategoryColumn, DateColumn, NumberColumn, TableScan

# A bin for each decile, as is usual for PSI.
_BINS = 10
# The most categories of a column that are counted by name.
MAX_COUNTED = 200


def baseline_of(
    train: TableScan, label: str, missing_spellings: frozenset[str] = frozenset()
) -> Baseline:
    """Return the baseline of a dataset.

    Args:
        train: the training rows, at least one.
        label: the label column's name.
        missing_spellings: cells that are missing besides empty ones and `nan`, in small letters.
    """
    columns = tuple(
        _number(name, column, train.rows)
        if isinstance(column, NumberColumn)
        else _category(name, column, train.rows)
        for name, column in zip(train.names, train.columns, strict=True)
    )
    if train.values is None:
        classes = LabelBaseline(label, counts=dict(sorted(train.labels.counts.items())))
    else:
        classes = LabelBaseline(label, histogram=histogram_of(train.values))
    return Baseline(train.rows, classes, columns, missing_spellings)


def histogram_of(column: NumberColumn) -> Histogram | None:
    """Return a histogram whose bins hold about a tenth of the values each; None without values.

    A value that is more frequent has a bin of its own. So a column of few values, such as 0 and 1,
    has a bin for each of them.
    """
    values, rows = column.sketch.distribution()
    if not len(values):
        return None
    low, high = np.float32(column.minimum), np.float32(column.maximum)
    if low == high:
        return Histogram((float(low), float(high)), (column.rows,))
    at = np.searchsorted(rows.cumsum(), np.arange(1, _BINS) * column.rows / _BINS)
    # A cut after position n separates values n and n + 1.
    frequent = at[rows[at] * _BINS >= column.rows]
    after = np.unique(np.concatenate((at, frequent - 1)))
    after = after[(after >= 0) & (after < len(values) - 1)]
    cuts = (values[after] / 2 + values[after + 1] / 2).astype(np.float32)
    # Between neighbours there is no other 32-bit float; a bin holds its lower edge.
    cuts = np.where(cuts <= values[after].astype(np.float32), values[after + 1], cuts)
    cuts = np.unique(cuts.astype(np.float32))
    cuts = cuts[(cuts > low) & (cuts < high)]
    edges = (float(low), *map(float, cuts), float(high))
    return Histogram(edges, tuple(count_column(column, edges).tolist()))


def count_column(column: NumberColumn, edges: tuple[float, ...]) -> NDArray[np.int64]:
    """Return the rows of a column in each bin; the outer bins are open.

    Args:
        column: the column.
        edges: k + 1 edges as in `Histogram`.

    Returns:
        Shape (k,).
    """
    values, rows = column.sketch.distribution()
    return fold(count_values(edges, values.astype(np.float32), rows))


def by_key(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the rows of each category by its key."""
    return {category_key(name): rows for name, rows in counts.items()}


def _number(name: str, column: NumberColumn, rows: int) -> ColumnBaseline:
    missing = column.missing / rows
    histogram = histogram_of(column)
    order = column.order if isinstance(column, DateColumn) else None
    if histogram is None:
        return ColumnBaseline(name, missing, order=order)
    range_ = (column.minimum, column.maximum, column.mean, column.std)
    return ColumnBaseline(name, missing, histogram, *range_, order=order)


def _category(name: str, column: CategoryColumn, rows: int) -> ColumnBaseline:
    order = sorted(column.counts, key=lambda category: (-column.counts[category], category))
    counts = by_key({category: column.counts[category] for category in order[:MAX_COUNTED]})
    other = column.other + sum(column.counts[category] for category in order[MAX_COUNTED:])
    return ColumnBaseline(name, column.missing / rows, counts=counts, other=other)
