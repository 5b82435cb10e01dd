"""Pure: the statistics of captured rows, of bounded size, which can be merged.

Any split of the same captures over instances and batches gives equal statistics: counts and exact
sums are added, and where only some of many values are kept, they are those whose hash is smallest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.baseline import (
    Baseline,
    ColumnBaseline,
    Counts,
    Histogram,
    category_key,
    count_values,
)
from model.captures import TEXT_CHARACTERS, Batch, Note
from model.cells import FLOAT32_LIMIT, NotANumberError, check_number, is_missing, parse_number
from model.dates import Order, dates_of, days_of, readable
from model.exact_sum import exact_sum, mean_of, std_of
from model.kept_predictions import KeptPredictions

# Unknown categories that are remembered by name.
MOST_UNKNOWN = 50
# Widths and hours that are remembered.
_MOST_WIDTHS = 20
_MOST_HOURS = 1000
CONFIDENCE_EDGES = tuple(i / 20 for i in range(21))


def hash_of(text: str) -> int:
    """Return a number of 64 bits that is the same in every process."""
    return int.from_bytes(blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "big")


@dataclass(slots=True)
class SmallestHashes:
    """Counts of texts, exact for the `most` texts whose hash is smallest; others are dropped."""

    most: int
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, counts: Mapping[str, int]) -> None:
        """Add counts by text."""
        self.counts.update(counts)
        if len(self.counts) > self.most:
            kept = sorted(self.counts, key=lambda text: (hash_of(text), text))[: self.most]
            self.counts = Counter({text: self.counts[text] for text in kept})


class NumberStatistics:
    """Counts, sums and range of a column of numbers.

    Args:
        histogram: the baseline's histogram; None if it has no values to compare with.
        spellings: missing cells besides empty ones and `nan`, in small letters.

    Attributes:
        missing: rows without a value.
        invalid: rows whose value is no number.
        counts: numbers of values as of `count_values`, shape (k + 2,); empty without a histogram.
        total: exact sum of the values, as of `exact_sum`.
        squares: exact sum of their squares.
        below: exact sum of the values below the first edge.
        above: exact sum of the values above the last edge.
        minimum: smallest value; infinite if there is none.
        maximum: largest value; minus infinity if there is none.
        values: number of values.
    """

    def __init__(
        self, histogram: Histogram | None, spellings: frozenset[str] = frozenset()
    ) -> None:
        self._spellings = spellings
        self._edges = None if histogram is None else histogram.edges
        self.missing = self.invalid = self.values = 0
        self.total = self.squares = self.below = self.above = 0
        self.counts: Counts = np.zeros(0 if self._edges is None else len(self._edges) + 1, np.int64)
        self.minimum, self.maximum = np.inf, -np.inf

    def add_cells(self, cells: Sequence[object]) -> None:
        """Add cells of CSV or JSON payloads."""
        found, missing, invalid = self._read(cells)
        self.missing += missing
        self.invalid += invalid
        self.add(found)

    def _read(self, cells: Sequence[object]) -> tuple[NDArray[np.float32], int, int]:
        """Return the numbers of cells, and how many are missing and how many are no numbers."""
        return _numbers(cells, self._spellings)

    def add(self, values: NDArray[np.float32]) -> None:
        """Add finite values, shape (rows,)."""
        if not len(values):
            return
        exact = values.astype(np.float64)
        self.values += len(values)
        self.total += exact_sum(exact)
        self.squares += exact_sum(exact * exact)
        low, high = float(exact.min()), float(exact.max())
        self.minimum, self.maximum = min(self.minimum, low), max(self.maximum, high)
        if self._edges is None:
            return
        self.counts += count_values(self._edges, values)
        first, last = np.float32(self._edges[0]), np.float32(self._edges[-1])
        if low < first:
            self.below += exact_sum(exact[values < first])
        if high > last:
            self.above += exact_sum(exact[values > last])

    @property
    def mean(self) -> float | None:
        """Return the mean; None without values."""
        return mean_of(self.total, self.values) if self.values else None

    @property
    def std(self) -> float | None:
        """Return the population's standard deviation; None without values."""
        return std_of(self.total, self.squares, self.values) if self.values else None

    def outside(self) -> tuple[float | None, float | None]:
        """Return the means of the values below the first and above the last edge."""
        low, high = (int(self.counts[0]), int(self.counts[-1])) if len(self.counts) else (0, 0)
        return (
            mean_of(self.below, low) if low else None,
            mean_of(self.above, high) if high else None,
        )

    _SUMS = ("missing", "invalid", "values", "total", "squares", "below", "above")

    def merge(self, other: NumberStatistics) -> None:
        """Add the statistics of other rows of the same column."""
        for name in self._SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.counts += other.counts
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)

    def as_json(self) -> dict[str, Any]:
        """Return the object that `read_json` reads; exact sums are hexadecimal numbers."""
        document: dict[str, Any] = {name: hex(getattr(self, name)) for name in self._SUMS}
        document["counts"] = self.counts.tolist()
        if self.values:
            document |= {"minimum": self.minimum, "maximum": self.maximum}
        return document

    def read_json(self, document: Mapping[str, Any]) -> None:
        """Set the statistics to those that `as_json` returned."""
        for name in self._SUMS:
            setattr(self, name, int(document[name], 16))
        counts = np.array(document["counts"], np.int64)
        if counts.shape != self.counts.shape:
            raise ValueError(f"{len(counts)} counts instead of {len(self.counts)}")
        self.counts = counts
        self.minimum = float(document.get("minimum", np.inf))
        self.maximum = float(document.get("maximum", -np.inf))


class DateStatistics(NumberStatistics):
    """Counts, sums and range of a column of dates, in whole days since 1970-01-01.

    Args:
        histogram: the baseline's histogram; None if it has no values to compare with.
        spellings: missing cells besides empty ones and `nan`, in small letters.
        order: how the column writes a date whose year comes last.
    """

    def __init__(
        self, histogram: Histogram | None, spellings: frozenset[str], order: Order
    ) -> None:
        super().__init__(histogram, spellings)
        self._order = order

    def _read(self, cells: Sequence[object]) -> tuple[NDArray[np.float32], int, int]:
        # A JSON number is no date.
        texts = [cell if isinstance(cell, str) else "" for cell in cells if not _is_number(cell)]
        numbers = len(cells) - len(texts)
        found = dates_of(texts, self._order, accept_missing=True, spellings=self._spellings)
        if found is not None:
            values = found[~np.isnan(found)]
            missing, invalid = len(texts) - len(values), numbers
        else:
            present = [text for text in texts if not is_missing(text, self._spellings)]
            values = np.array(list(readable(present, self._order)), np.float64)
            missing = len(texts) - len(present)
            invalid = numbers + len(present) - len(values)
        return days_of(values).astype(np.float32), missing, invalid


class CategoryStatistics:
    """Counts of a column of categories.

    Args:
        known: the baseline's categories, in order.
        spellings: missing cells besides empty ones and `nan`, in small letters.

    Attributes:
        missing: rows without a value.
        invalid: rows whose value is neither text nor a whole number.
        counts: rows by known category.
        unknown: rows of categories that the baseline does not have.
        names: some of the unknown categories, with their rows.
    """

    def __init__(self, known: Iterable[str], spellings: frozenset[str] = frozenset()) -> None:
        self._spellings = spellings
        self.counts = dict.fromkeys(known, 0)
        self.missing = self.invalid = self.unknown = 0
        self.names = SmallestHashes(MOST_UNKNOWN)

    def add_cells(self, cells: Sequence[object]) -> None:
        """Add cells of CSV or JSON payloads."""
        texts = [cell if isinstance(cell, str) else _text(cell) for cell in cells]
        unknown: Counter[str] = Counter()
        for cell, rows in Counter(texts).items():
            if cell is None:
                self.invalid += rows
            elif (key := category_key(text := cell.strip())) in self.counts:
                self.counts[key] += rows
            elif is_missing(text, self._spellings):
                self.missing += rows
            else:
                self.unknown += rows
                unknown[text[:TEXT_CHARACTERS]] += rows
        if unknown:
            self.names.add(unknown)

    @property
    def values(self) -> int:
        """Return the rows that have a category."""
        return sum(self.counts.values()) + self.unknown

    def merge(self, other: CategoryStatistics) -> None:
        """Add the statistics of other rows of the same column."""
        for name, rows in other.counts.items():
            self.counts[name] += rows
        self.missing += other.missing
        self.invalid += other.invalid
        self.unknown += other.unknown
        self.names.add(other.names.counts)

    def as_json(self) -> dict[str, Any]:
        """Return the object that `read_json` reads."""
        return {
            "missing": self.missing,
            "invalid": self.invalid,
            "counts": self.counts,
            "unknown": self.unknown,
            "names": dict(self.names.counts),
        }

    def read_json(self, document: Mapping[str, Any]) -> None:
        """Set the statistics to those that `as_json` returned."""
        if document["counts"].keys() != self.counts.keys():
            raise ValueError("other categories")
        self.counts = {name: int(document["counts"][name]) for name in self.counts}
        self.missing, self.invalid, self.unknown = (
            int(document[name]) for name in ("missing", "invalid", "unknown")
        )
        self.names = SmallestHashes(MOST_UNKNOWN, Counter(document["names"]))


ColumnStatistics = NumberStatistics | CategoryStatistics


def statistics_of(
    column: ColumnBaseline, spellings: frozenset[str] = frozenset()
) -> ColumnStatistics:
    """Return empty statistics for a column of the baseline.

    Args:
        column: the baseline.
        spellings: missing cells besides empty ones and `nan`, in small letters.
    """
    if column.counts is not None:
        return CategoryStatistics(column.counts, spellings)
    if column.order is not None:
        return DateStatistics(column.histogram, spellings, column.order)
    return NumberStatistics(column.histogram, spellings)


class Statistics:
    """The statistics of captures.

    Args:
        baseline: the baseline, which gives the columns, the classes and the edges.

    Attributes:
        columns: one for each of the baseline's columns.
        prediction: the answers: classes, or a regression's values.
        confidence: probabilities of the most probable class.
        captures: number of captures.
        rows: number of rows that the columns count.
        notes: captures, rows, files or labels by `Note`.
        examples: for a note, the example that comes first in alphabetical order.
        widths: rows of another width, by width.
        hours: captures by hour of the file, as `yyyy/mm/dd/hh`; empty for a file without an hour.
        kept: the predictions that wait for labels.
    """

    def __init__(self, baseline: Baseline) -> None:
        spellings = baseline.missing_spellings
        self.columns = [statistics_of(column, spellings) for column in baseline.columns]
        self.prediction = statistics_of(prediction_of(baseline))
        self.confidence = NumberStatistics(Histogram(CONFIDENCE_EDGES, (0,) * 20))
        self.captures = self.rows = 0
        self.notes: Counter[Note] = Counter()
        self.examples: dict[Note, str] = {}
        self.widths = SmallestHashes(_MOST_WIDTHS)
        self.hours = SmallestHashes(_MOST_HOURS)
        self.kept = KeptPredictions()

    def note(self, note: Note, example: str, count: int = 1) -> None:
        """Count something under a note.

        Args:
            note: the kind.
            example: a file or an id.
            count: how often it occurred; nothing is noted for 0.
        """
        if count:
            self.notes[note] += count
            example = example[:TEXT_CHARACTERS]
            self.examples[note] = min(example, self.examples.get(note, example))

    def add(self, batch: Batch, file: str, hour: str) -> None:
        """Add a batch.

        Args:
            batch: rows and predictions.
            file: the file's name, for notes.
            hour: the file's hour.
        """
        self.captures += batch.captures
        self.hours.add({hour: batch.captures})
        for note, count in batch.notes.items():
            self.note(note, file, count)
        if batch.widths:
            self.widths.add({str(width): rows for width, rows in batch.widths.items()})
        self._add_rows(batch)
        answers = [answer for _, _, answer in batch.predictions]
        self.prediction.add_cells(answers)
        self.confidence.add(np.array(batch.confidences, np.float32))
        for name, time, answer in batch.predictions:
            self.kept.add(hash_of(name), time, answer)

    def _add_rows(self, batch: Batch) -> None:
        self.rows += len(batch.texts) + len(batch.rows)
        width = len(self.columns)
        if batch.texts:
            cells = ",".join(batch.texts).split(",")
            for at, column in enumerate(self.columns):
                column.add_cells(cells[at::width])
        if batch.rows:
            for column, of_column in zip(self.columns, zip(*batch.rows, strict=True), strict=True):
                column.add_cells(of_column)

    def merge(self, other: Statistics) -> None:
        """Add the statistics of other captures, compared with the same baseline."""
        pairs = zip(self._parts(), other._parts(), strict=True)
        for mine, its in pairs:
            mine.merge(its)  # type: ignore[arg-type]  # both are of the same column
        self.captures += other.captures
        self.rows += other.rows
        for note, count in other.notes.items():
            self.note(note, other.examples[note], count)
        self.widths.add(other.widths.counts)
        self.hours.add(other.hours.counts)
        self.kept.merge(other.kept)

    def _parts(self) -> list[ColumnStatistics]:
        return [*self.columns, self.prediction, self.confidence]

    def as_json(self) -> dict[str, Any]:
        """Return the object that `read_json` reads."""
        return {
            "captures": self.captures,
            "rows": self.rows,
            "parts": [part.as_json() for part in self._parts()],
            "notes": {note: [self.notes[note], self.examples[note]] for note in sorted(self.notes)},
            "widths": dict(self.widths.counts),
            "hours": dict(self.hours.counts),
            "kept": self.kept.as_json(),
        }

    def read_json(self, document: Mapping[str, Any]) -> None:
        """Set the statistics to those that `as_json` returned.

        Raises:
            KeyError, TypeError, ValueError: the object is not such statistics.
        """
        self.captures, self.rows = int(document["captures"]), int(document["rows"])
        for part, of_part in zip(self._parts(), document["parts"], strict=True):
            part.read_json(of_part)
        for note, (count, example) in document["notes"].items():
            self.note(Note(note), example, count)
        self.widths.add(document["widths"])
        self.hours.add(document["hours"])
        self.kept = KeptPredictions.from_json(document["kept"])


def prediction_of(baseline: Baseline) -> ColumnBaseline:
    """Return the label's baseline as that of a column named `prediction`."""
    label = baseline.label
    return ColumnBaseline("prediction", 0.0, label.histogram, counts=label.counts)


def _numbers(
    cells: Sequence[object], spellings: frozenset[str]
) -> tuple[NDArray[np.float32], int, int]:
    """Return the numbers of cells, and how many cells are missing and how many are no numbers."""
    try:
        found = np.array(list(map(float, cells)), np.float64)  # type: ignore[arg-type]
        # `float` reads more than `parse_number`, which then decides.
        if np.abs(found).max(initial=0.0) <= FLOAT32_LIMIT and _is_plain(cells):
            return found.astype(np.float32), 0, 0
    except (ValueError, TypeError, OverflowError):
        pass
    values, missing, invalid = [], 0, 0
    for cell in cells:
        if is_missing(cell, spellings) if isinstance(cell, str) else _text(cell) == "":
            missing += 1
        else:
            try:
                values.append(_number(cell))
            except (NotANumberError, OverflowError):
                invalid += 1
    return np.array(values, np.float64).astype(np.float32), missing, invalid


def _is_plain(cells: Sequence[object]) -> bool:
    """Return True if `float` reads the cells as `parse_number` does; none of them is a bool."""
    types = set(map(type, cells))
    if types == {str}:
        text = "".join(cells)  # type: ignore[arg-type]  # all are strings
        return text.isascii() and "_" not in text
    return types <= {int, float}


def _is_number(cell: object) -> bool:
    """Return True for a JSON value that is neither a string nor missing."""
    return not isinstance(cell, str) and _text(cell) != ""


def _text(cell: object) -> str | None:
    """Return a JSON value as a category: empty if it is missing, None if it is none."""
    if cell is None or (isinstance(cell, float) and cell != cell):
        return ""
    return str(cell) if isinstance(cell, int) and not isinstance(cell, bool) else None


def _number(cell: object) -> float:
    if isinstance(cell, str):
        return parse_number(cell)
    if isinstance(cell, bool) or not isinstance(cell, int | float):
        raise NotANumberError("is not a number")
    return check_number(float(cell), "a number")
