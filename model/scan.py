"""One pass over a table's rows: statistics of each column, in a bounded size.

The bounds are these, whatever the number of rows: `MAX_CATEGORIES` categories a column,
`MAX_CLASSES` classes, `MAX_SKETCHED` distinct numbers in all columns together, `MAX_COLUMNS`
columns, and `sketches.RowSample`'s hashes for equal rows.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import cast

import numpy as np
from numpy.typing import NDArray

from model.cells import NotANumberError, parse_number
from model.columns import MAX_CATEGORIES
from model.contract import CATEGORY, DATE, NUMBER, ColumnRule
from model.dates import Order, days_of, have_times
from model.errors import DatasetError
from model.rows import Cell, LabelCounts, RowReader
from model.sketches import QuantileSketch, RowHasher, RowSample

MAX_CLASSES = 10_000
# Distinct numbers that the sketches keep: of a column, and of all columns together.
_SKETCHED, MAX_SKETCHED, _LEAST_SKETCHED = 4096, 2_000_000, 256
# Distinct values of all columns together whose uniqueness is declared.
_MAX_UNIQUE = 2**20
# Cells that are looked at together, and rows at most.
_BATCH_CELLS, _BATCH_ROWS = 400_000, 4096
MAX_COLUMNS = 20_000
_DAY = 86_400
# A column with more values than this does not stand for the classes one to one.
_MAX_PAIRED = 1000


class NumberColumn:
    """The statistics of a column of numbers.

    Class attributes:
        kind: the column's type in a baseline.

    Args:
        sketched: number of distinct values to keep.
        rule: the contract's rules of the column.
        unique: distinct values to keep for the check of uniqueness; 0 keeps none.

    Attributes:
        missing: rows without a value.
        minimum: the smallest value; infinite before the first.
        maximum: the largest value; minus infinity before the first.
        mean: mean of the values.
        outside: rows whose value is outside the contract's range.
        sketch: the distribution of the values.
        sample: the values' hashes, or None.
    """

    kind = NUMBER

    def __init__(self, sketched: int, rule: ColumnRule, unique: int) -> None:
        self.missing = 0
        self.minimum, self.maximum = math.inf, -math.inf
        self.mean = 0.0
        self.outside = 0
        self.sketch = QuantileSketch(sketched)
        self.sample = RowSample(unique) if unique else None
        self._low = -math.inf if rule.minimum is None else rule.minimum
        self._high = math.inf if rule.maximum is None else rule.maximum
        self._squares = 0.0

    @property
    def rows(self) -> int:
        """Return the number of rows that have a value."""
        return self.sketch.rows

    @property
    def std(self) -> float:
        """Return the standard deviation of the values, as of a whole population."""
        return math.sqrt(self._squares / self.rows) if self.rows else 0.0

    def add(self, values: NDArray[np.float64], hasher: RowHasher) -> None:
        """Add the values of some rows, NaN for a missing one."""
        present = values[~np.isnan(values)]
        self.missing += len(values) - len(present)
        if not len(present):
            return
        self.minimum = min(self.minimum, float(present.min()))
        self.maximum = max(self.maximum, float(present.max()))
        self.outside += int(((present < self._low) | (present > self._high)).sum())
        # Source: Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing
        # sample variances", 1979.
        mean, before = float(present.mean()), self.rows
        after = before + len(present)
        difference = mean - self.mean
        self._squares += float(np.square(present - mean).sum())
        self._squares += difference**2 * before * len(present) / after
        self.mean += difference * len(present) / after
        self.sketch.add(present.astype(np.float32))
        self._add_to_sample(present, hasher)

    def hashed(self, values: NDArray[np.float64]) -> list[NDArray[np.float32]]:
        """Return what tells values apart, as 32-bit floats."""
        return [values.astype(np.float32)]

    def _add_to_sample(self, values: NDArray[np.float64], hasher: RowHasher) -> None:
        if self.sample is not None and len(values):
            self.sample.add(hasher.hashes(self.hashed(values)))


class DateColumn(NumberColumn):
    """The statistics of a column of dates, in days since 1970-01-01.

    Args:
        sketched: number of distinct days to keep.
        rule: the contract's rules of the column.
        unique: distinct dates to keep for the check of uniqueness; 0 keeps none.
        order: how the column writes a date whose year comes last.

    Attributes:
        order: see above.
        times: a date is not at midnight in UTC.
    """

    kind = DATE

    def __init__(self, sketched: int, rule: ColumnRule, unique: int, order: Order) -> None:
        super().__init__(sketched, rule, unique)
        self.order = order
        self.times = False
        self._low = -math.inf if rule.earliest is None else rule.earliest
        self._high = math.inf if rule.latest is None else rule.latest

    def add(self, values: NDArray[np.float64], hasher: RowHasher) -> None:
        """Add the dates of some rows in seconds, NaN for a missing one."""
        self.times = self.times or have_times(values)
        sample, self.sample = self.sample, None
        super().add(days_of(values), hasher)
        self.sample = sample
        self._add_to_sample(values[~np.isnan(values)], hasher)

    def hashed(self, values: NDArray[np.float64]) -> list[NDArray[np.float32]]:
        """Return what tells dates apart: the day and the second of the day."""
        days = days_of(values)
        return [days.astype(np.float32), (values - days * _DAY).astype(np.float32)]


class CategoryColumn:
    """The statistics of a column of categories.

    Class attributes:
        kind: the column's type in a baseline.

    Args:
        unique: distinct values to keep for the check of uniqueness; 0 keeps none.

    Attributes:
        missing: rows without a value.
        counts: rows by category, of at most MAX_CATEGORIES categories.
        other: rows whose category is not in `counts`.
        sample: the values' hashes, or None.
    """

    kind = CATEGORY

    def __init__(self, unique: int) -> None:
        self.missing = 0
        self.counts: Counter[str] = Counter()
        self.other = 0
        self.sample = RowSample(unique) if unique else None

    @property
    def rows(self) -> int:
        """Return the number of rows that have a value."""
        return self.counts.total() + self.other

    def add(self, values: Sequence[str], hasher: RowHasher) -> None:
        """Add the categories of some rows, "" for a missing one."""
        if self.sample is not None:
            self.sample.add(hasher.hashes([[value for value in values if value]]))
        for value, rows in Counter(values).items():
            if not value:
                self.missing += rows
            elif value in self.counts or len(self.counts) < MAX_CATEGORIES:
                self.counts[value] += rows
            else:
                self.other += rows


class TableScan:
    """The statistics of a table.

    Args:
        names: the feature columns' names.
        categorical_columns: indexes of the categorical columns, from 0.
        rules: the contract's rules by column name.
        regression: the label is a number to predict.
        dates: the order of each column of dates, by its index from 0.

    Attributes:
        columns: the columns' statistics, in order.
        labels: rows by label; a regression's labels are counted up to a few.
        values: the statistics of a regression's label, or None.
        sample: the rows' hashes.
        rows: number of rows.
    """

    def __init__(
        self,
        names: Sequence[str],
        categorical_columns: frozenset[int],
        rules: dict[str, ColumnRule],
        *,
        regression: bool,
        dates: Mapping[int, Order] = MappingProxyType({}),
    ) -> None:
        self.names = tuple(names)
        numbers = max(1, len(names) - len(categorical_columns))
        sketched = min(_SKETCHED, max(_LEAST_SKETCHED, MAX_SKETCHED // numbers))
        unique = _MAX_UNIQUE // max(1, sum(rule.unique for rule in rules.values()))
        self.columns: tuple[NumberColumn | CategoryColumn, ...] = tuple(
            _column(
                *(rules.get(name, ColumnRule()), at in categorical_columns, dates.get(at)),
                *(sketched, unique),
            )
            for at, name in enumerate(names)
        )
        self.labels = LabelCounts(MAX_CLASSES)
        self.values = NumberColumn(_SKETCHED, ColumnRule(), 0) if regression else None
        self.sample = RowSample()
        self.rows = 0
        self._hasher = RowHasher()
        # The columns that are like the label so far: the label of each value, and the reverse.
        self._alike: dict[int, tuple[dict[Cell, str], dict[str, Cell]]] = {
            at: ({}, {}) for at in range(len(self.names))
        }

    def read(
        self,
        reader: RowReader,
        refused: Callable[[DatasetError], None],
        batch: Callable[[Sequence[str], Sequence[tuple[Cell, ...]]], None] | None = None,
    ) -> None:
        """Read every row of a table.

        Args:
            reader: the table.
            refused: gets the error of each row that is not allowed, which is then left out.
            batch: gets the labels and the cells of some rows at a time.

        Raises:
            DatasetError: the text cannot be read.
        """
        rows = reader.rows(refused)
        size = max(1, min(_BATCH_ROWS, _BATCH_CELLS // max(1, len(self.names))))
        while some := list(islice(rows, size)):
            labels = [label for label, _ in some]
            cells = [row for _, row in some]
            self._add(labels, cells)
            if batch is not None:
                batch(labels, cells)

    def like_the_label(self) -> Iterator[tuple[int, bool]]:
        """Yield (index of the column, True if its values are equal) for each column like the label.

        Such a column has one value for each class, and another for another class. For a
        regression, it has the label's own values.
        """
        for at, (labels, _) in self._alike.items():
            if self.rows and self.values is not None:
                yield at, True
            elif len(labels) > 1:
                yield at, all(_equal(value, label) for value, label in labels.items())

    def _add(self, labels: list[str], cells: list[tuple[Cell, ...]]) -> None:
        self.rows += len(labels)
        self.labels.add(labels)
        hashed: list[NDArray[np.float32] | Sequence[str]] = [labels]
        numbers = None
        if self.values is not None:
            numbers = np.array(labels, np.float64)
            self.values.add(numbers, self._hasher)
            hashed = [numbers.astype(np.float32)]
        for at, values in enumerate(zip(*cells, strict=True)):
            column = self.columns[at]
            array = None
            if isinstance(column, NumberColumn):
                array = np.array(values, np.float64)
                column.add(array, self._hasher)
                hashed += column.hashed(array)
            else:
                texts = cast(tuple[str, ...], values)
                column.add(texts, self._hasher)
                hashed.append(texts)
            if at in self._alike:
                if numbers is None:
                    alike = self._pairs(at, values, labels)
                else:
                    alike = array is not None and np.array_equal(array, numbers)
                if not alike:
                    del self._alike[at]
        self.sample.add(self._hasher.hashes(hashed))

    def _pairs(self, at: int, values: Sequence[Cell], labels: list[str]) -> bool:
        """Remember the label of each value; return False if it is not one to one."""
        by_value, by_label = self._alike[at]
        for value, label in set(zip(values, labels, strict=True)):
            # A missing value stands for no class; NaN has no label twice.
            if value == "" or by_value.setdefault(value, label) != label:
                return False
            if by_label.setdefault(label, value) != value:
                return False
        return len(by_value) <= _MAX_PAIRED


def _column(
    rule: ColumnRule, categorical: bool, order: Order | None, sketched: int, unique: int
) -> NumberColumn | CategoryColumn:
    kept = unique if rule.unique else 0
    if order is not None:
        return DateColumn(sketched, rule, kept, order)
    return CategoryColumn(kept) if categorical else NumberColumn(sketched, rule, kept)


def _equal(value: Cell, label: str) -> bool:
    if isinstance(value, str):
        return value == label.strip()
    try:
        return value == parse_number(label)
    except NotANumberError:
        return False
