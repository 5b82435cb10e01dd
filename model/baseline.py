"""Pure but for `read_baseline`: the baseline, and the distances between it and other rows.

A baseline holds the statistics of the rows that a model was trained on, without the rows:

    {"version": 1, "rows": 120,
     "label": {"name": "species", "counts": {"setosa": 40, …} or null, "histogram": {…} or null},
     "columns": [
       {"name": "petal", "type": "number", "missing": 0.0,
        "minimum": 1.0, "maximum": 6.9, "mean": 3.7, "std": 1.7,
        "histogram": {"edges": [1.0, …, 6.9], "counts": [12, …]}},
       {"name": "site", "type": "category", "missing": 0.1,
        "counts": {"north": 70, …}, "other": 0},
       {"name": "born", "type": "date", "order": "day-first", "missing": 0.0,
        "minimum": 7305.0, …, "histogram": {…}}],
     "missing_spellings": ["na", "?"]}

`missing` is a share of the rows, 0 to 1. `edges` rise, and may be quantiles. Bin i holds edge i ≤
value < edge i + 1; the last bin holds its upper edge, too. A column of one value has one bin, whose
two edges are that value. A column without any value has null for the histogram and the four
numbers. Values and edges are compared as 32-bit floats, as the model sees them (`count_values`).
`std` is the population's. `other` counts the rows of categories that `counts` leaves out. A date is
a number of whole days since 1970-01-01 in UTC, and `order` says how the column writes one whose
year comes last. `missing_spellings` are missing cells besides empty ones and `nan`, in small
letters; without any, the member is absent. A classifier's label has `counts`, a regression's
`histogram`. Unknown members are ignored.

PSI, Jensen-Shannon and Wasserstein distance and the chi-squared test are those of Evidently.
Source: https://docs.evidentlyai.com/metrics/customize_data_drift
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import jensenshannon
from scipy.stats import chisquare, wasserstein_distance

from model.cells import quote, spellings_of
from model.dates import Order
from model.errors import BaselineError

VERSION = 1
NUMBER, CATEGORY, DATE = "number", "category", "date"
# The share that stands for an empty bin in PSI, whose logarithm would be infinite. Evidently's.
_EMPTY_SHARE = 0.0001

# A category's name in a baseline has at most so many characters.
_CATEGORY_CHARACTERS = 200

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of numbers.

    Attributes:
        edges: k + 1 finite numbers, rising; two equal ones if k is 1 and all values are equal.
        counts: k numbers of rows; bin i holds edges[i] ≤ value < edges[i + 1], and the last bin its
            upper edge, too.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the object that the baseline holds."""
        return {"edges": list(self.edges), "counts": list(self.counts)}


@dataclass(frozen=True, slots=True)
class ColumnBaseline:
    """The statistics of one column.

    Attributes:
        name: the column's name.
        missing: share of the rows without a value, 0 to 1.
        histogram: the counts of a column of numbers; None if no row has a value.
        minimum, maximum, mean, std: None for categories, and if no row has a value.
        counts: rows by category; None for a column of numbers or dates.
        other: rows of the categories that `counts` leaves out.
        order: how a column of dates writes one whose year comes last; None for other columns.
    """

    name: str
    missing: float = 0.0
    histogram: Histogram | None = None
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    std: float | None = None
    counts: Mapping[str, int] | None = None
    other: int = 0
    order: Order | None = None

    @property
    def type(self) -> str:
        """Return `number`, `category` or `date`."""
        if self.order is not None:
            return DATE
        return NUMBER if self.counts is None else CATEGORY

    def as_json(self) -> dict[str, Any]:
        """Return the object that the baseline holds."""
        common: dict[str, Any] = {"name": self.name, "type": self.type, "missing": self.missing}
        if self.counts is not None:
            return common | {"counts": dict(self.counts), "other": self.other}
        if self.order is not None:
            common["order"] = str(self.order)
        return common | {
            "histogram": None if self.histogram is None else self.histogram.as_json(),
            "minimum": self.minimum,
            "maximum": self.maximum,
            "mean": self.mean,
            "std": self.std,
        }


@dataclass(frozen=True, slots=True)
class LabelBaseline:
    """The statistics of the label.

    Attributes:
        name: the label column's name; empty if it has none.
        counts: rows by class; None for a regression.
        histogram: the counts of a regression's values; None for a classifier.
    """

    name: str = ""
    counts: Mapping[str, int] | None = None
    histogram: Histogram | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the object that the baseline holds."""
        return {
            "name": self.name,
            "counts": None if self.counts is None else dict(self.counts),
            "histogram": None if self.histogram is None else self.histogram.as_json(),
        }


@dataclass(frozen=True, slots=True)
class Baseline:
    """The statistics of the training rows.

    Attributes:
        rows: number of rows.
        label: the label's statistics.
        columns: the columns' statistics, in the order of the model's rows, without the label.
        missing_spellings: cells that are missing besides empty ones and `nan`, in small letters.
    """

    rows: int
    label: LabelBaseline = field(default_factory=LabelBaseline)
    columns: tuple[ColumnBaseline, ...] = ()
    missing_spellings: frozenset[str] = frozenset()

    def as_json(self) -> dict[str, Any]:
        """Return the document that baseline.json holds."""
        document: dict[str, Any] = {
            "version": VERSION,
            "rows": self.rows,
            "label": self.label.as_json(),
            "columns": [column.as_json() for column in self.columns],
        }
        # Without spellings, the document and its digest are those of earlier versions.
        if self.missing_spellings:
            document["missing_spellings"] = sorted(self.missing_spellings)
        return document


def category_key(category: str) -> str:
    """Return a category's name in a baseline: itself, or a long one's beginning and digest."""
    if len(category) <= _CATEGORY_CHARACTERS:
        return category
    digest = hashlib.sha256(category.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{category[: _CATEGORY_CHARACTERS - 20]}…{digest[:16]}"


def read_baseline(path: Path) -> Baseline:
    """Return the baseline of a file.

    Raises:
        BaselineError: the file is missing, cut off, of another version, or not a baseline.
    """
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise BaselineError(
            f"cannot read {path} ({error.strerror}); `python -m model check` writes it"
        ) from None
    except UnicodeDecodeError as error:
        raise BaselineError(f"{path.name}: byte {error.start} is not UTF-8 text") from None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BaselineError(
            f"{path.name} is not JSON, or is cut off ({error}); write it again by `python -m model "
            "check`"
        ) from None
    return parse_baseline(document, path.name)


def parse_baseline(document: object, where: str = "baseline.json") -> Baseline:
    """Return the baseline that a decoded document describes.

    Args:
        document: the decoded JSON.
        where: the file's name, for messages.

    Raises:
        BaselineError: the document has another version, or is not a baseline.
    """
    version = document.get("version") if isinstance(document, dict) else None
    if not isinstance(document, dict) or version != VERSION or isinstance(version, bool):
        shown = f"version {json.dumps(version)}" if version is not None else "no version"
        raise BaselineError(
            f"{where} has {shown}; this image reads version {VERSION}: write the baseline "
            "again by `python -m model check` of the same image"
        )
    try:
        label = document["label"]
        return Baseline(
            rows=_count(document["rows"], "rows"),
            label=LabelBaseline(
                _text(label["name"], "label: name"),
                _counts_of(label.get("counts"), "label: counts"),
                _histogram(label.get("histogram"), "label: histogram"),
            ),
            columns=tuple(
                _column(item, f"columns[{i}]") for i, item in enumerate(document["columns"])
            ),
            missing_spellings=spellings_of(
                _text(spelling, "missing_spellings")
                for spelling in document.get("missing_spellings", [])
            ),
        )
    except KeyError as error:
        raise BaselineError(f"{where} has no member {error}; it is not a baseline") from None
    except (TypeError, AttributeError, ValueError, OverflowError) as error:
        raise BaselineError(f"{where}: {error}") from None


def _column(item: Any, where: str) -> ColumnBaseline:
    name = _text(item["name"], f"{where}: name")
    where = f"column {quote(name)}"
    missing = _number(item["missing"], f"{where}: missing")
    if missing is None or not 0 <= missing <= 1:
        raise ValueError(f"{where}: missing is {missing}; it must be a share, 0 to 1")
    if item["type"] == CATEGORY:
        counts = _counts_of(item["counts"], f"{where}: counts")
        if counts is None:
            raise ValueError(f"{where}: counts is null; a category has counts")
        other = _count(item.get("other", 0), f"{where}: other")
        return ColumnBaseline(name, missing, counts=counts, other=other)
    if item["type"] not in (NUMBER, DATE):
        raise ValueError(
            f"{where}: type is {quote(str(item['type']))}; it must be {NUMBER}, {CATEGORY} or "
            f"{DATE}"
        )
    order = Order(item["order"]) if item["type"] == DATE else None
    minimum, maximum, mean, std = (
        _number(item[key], f"{where}: {key}") for key in ("minimum", "maximum", "mean", "std")
    )
    histogram = _histogram(item["histogram"], f"{where}: histogram")
    return ColumnBaseline(name, missing, histogram, minimum, maximum, mean, std, order=order)


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{where} is {value!r}; it must be a string")
    return value


def _count(value: object, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError(f"{where} is {value!r}; it must be a whole number from 0")
    return value


def _number(value: object, where: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(f"{where} is {value!r}; it must be a finite number")
    return float(value)


def _counts_of(value: object, where: str) -> dict[str, int] | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise TypeError(f"{where} must be an object of whole numbers")
    return {name: _count(rows, f"{where}: {quote(name)}") for name, rows in value.items()}


def _histogram(value: Any, where: str) -> Histogram | None:
    if value is None:
        return None
    if not isinstance(value, dict) or not all(
        isinstance(value[key], list) for key in ("edges", "counts")
    ):
        raise TypeError(f"{where} must be an object with the lists edges and counts")
    edges = [_number(edge, f"{where}: edges") for edge in value["edges"]]
    counts = tuple(_count(rows, f"{where}: counts") for rows in value["counts"])
    known = [edge for edge in edges if edge is not None]
    if not counts or len(known) != len(counts) + 1 or len(known) != len(edges):
        raise ValueError(
            f"{where} has {len(edges)} edges and {len(counts)} counts; there must be one more edge "
            "than counts"
        )
    rising = all(a < b for a, b in itertools.pairwise(known))
    if not rising and not (len(counts) == 1 and known[0] == known[1]):
        raise ValueError(f"{where}: the edges do not rise")
    return Histogram(tuple(known), counts)


def count_values(
    edges: Sequence[float], values: NDArray[np.float32], rows: Counts | None = None
) -> Counts:
    """Return the numbers of values below the first edge, in each bin, and above the last edge.

    Args:
        edges: k + 1 edges as in `Histogram`.
        values: numbers without NaN, shape (rows,).
        rows: the number of rows that have each value; by default one.

    Returns:
        Shape (k + 2,).
    """
    borders = np.asarray(edges, dtype=np.float32)
    places = np.searchsorted(borders, values, side="right")
    # The last bin holds its upper edge.
    places[values == borders[-1]] = len(borders) - 1
    return np.bincount(places, rows, len(borders) + 1).astype(np.int64)


def fold(counts: Counts) -> Counts:
    """Return counts of k bins from those of `count_values`: the outer bins are open."""
    inner = counts[1:-1].copy()
    inner[0] += counts[0]
    inner[-1] += counts[-1]
    return inner


def psi(expected: Sequence[float] | Counts, observed: Sequence[float] | Counts) -> float:
    """Return the population stability index, 0 or more: Σ (o - e) · ln(o / e) over shares.

    An empty bin has the share 0.0001, as in Evidently (which takes a millionth of the smallest
    share if another bin has 0.0001 or less).

    Args:
        expected: the baseline's counts, shape (k,), with a sum above 0.
        observed: counts of the same bins, shape (k,), with a sum above 0.
    """
    shares = [np.asarray(counts, dtype=np.float64) for counts in (expected, observed)]
    e, o = (counts / counts.sum() for counts in shares)
    e, o = np.where(e == 0, _EMPTY_SHARE, e), np.where(o == 0, _EMPTY_SHARE, o)
    return float(np.sum((o - e) * np.log(o / e)))


def jensen_shannon(expected: Sequence[float] | Counts, observed: Sequence[float] | Counts) -> float:
    """Return the Jensen-Shannon distance, 0 to √ln 2 (0.83), by natural logarithms.

    Args:
        expected: the baseline's counts, shape (k,), with a sum above 0.
        observed: counts of the same bins, shape (k,), with a sum above 0.
    """
    e, o = (np.asarray(counts, dtype=np.float64) for counts in (expected, observed))
    # Rounding can make the divergence of equal shares a negative zero, whose root is NaN.
    return 0.0 if np.array_equal(e * o.sum(), o * e.sum()) else float(jensenshannon(e, o))


def wasserstein(
    histogram: Histogram,
    observed: Counts,
    std: float,
    below: float | None = None,
    above: float | None = None,
) -> float:
    """Return the Wasserstein distance in standard deviations of the baseline, 0 or more.

    The values of a bin count as its middle, so the distance is exact to the width of a bin.

    Args:
        histogram: the baseline.
        observed: counts as of `count_values`, shape (k + 2,), with a sum above 0.
        std: the baseline's standard deviation; below 0.001, 0.001 is used, as in Evidently.
        below: mean of the values below the first edge; by default that edge.
        above: mean of the values above the last edge; by default that edge.
    """
    edges = np.asarray(histogram.edges, dtype=np.float64)
    middles = (edges[1:] + edges[:-1]) / 2
    low = edges[0] if below is None else below
    high = edges[-1] if above is None else above
    places = np.concatenate(([low], middles, [high]))
    distance = wasserstein_distance(middles, places, histogram.counts, observed)
    return float(distance / max(std, 0.001))


def chi_squared(
    expected: Sequence[float] | Counts, observed: Sequence[float] | Counts
) -> tuple[float, float]:
    """Return Pearson's statistic and its p-value, of observed rows from the baseline's shares.

    A bin that the baseline leaves empty and the rows fill makes the statistic infinite.

    Args:
        expected: the baseline's counts, shape (k,), with a sum above 0.
        observed: counts of the same bins, shape (k,), with a sum above 0.
    """
    e, o = (np.asarray(counts, dtype=np.float64) for counts in (expected, observed))
    if np.any((e == 0) & (o > 0)):
        return math.inf, 0.0
    e, o = e[e > 0], o[e > 0]
    if len(e) < 2:
        return 0.0, 1.0
    found = chisquare(o, e * (o.sum() / e.sum()))
    return float(found.statistic), float(found.pvalue)
