"""Pure: the checks of a dataset against the baseline of the approved model.

A distribution has shifted if PSI is at least `PSI_LIMIT` and chance does not explain it. Source of
the limit: N. Siddiqi, "Credit Risk Scorecards", 2006: below 0.1 nothing changed, and from 0.25 the
population did; 0.2 is the value in common use between them. PSI of few rows is large by chance (B.
Yurdakul, "Statistical properties of population stability index", 2018), so that the two-sample
chi-squared test must reject equality as well. Its level is divided by the number of columns: of a
hundred datasets without a shift, at most one is expected to have a false alarm.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2_contingency

from model.baseline import (
    DATE,
    Baseline,
    ColumnBaseline,
    count_values,
    jensen_shannon,
    psi,
    wasserstein,
)
from model.findings import Finding, Kind, Severity, plain
from model.scan import CategoryColumn, NumberColumn, TableScan
from model.statistics import by_key, count_column

PSI_LIMIT = 0.2
# The probability of a false alarm for a dataset without a shift.
FALSE_ALARM = 0.01

_Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The distance of a column, or of the label, from the approved model's.

    Attributes:
        name: the column's name.
        is_label: it is the label.
        psi: population stability index, 0 or more, with the missing values as a bin.
        jensen_shannon: Jensen-Shannon distance, 0 to 0.83.
        wasserstein: Wasserstein distance in standard deviations of the baseline; None for
            categories.
        p_value: result of the two-sample chi-squared test, 0 to 1.
        shifted: PSI is at least the limit, and the test rejects equality.
    """

    name: str
    is_label: bool
    psi: float
    jensen_shannon: float
    wasserstein: float | None
    p_value: float
    shifted: bool

    def as_json(self) -> dict[str, Any]:
        """Return the comparison as a JSON object."""
        return {
            "name": self.name,
            "label": self.is_label,
            "psi": self.psi,
            "jensen_shannon": self.jensen_shannon,
            "wasserstein": self.wasserstein,
            "p_value": self.p_value,
            "shifted": self.shifted,
        }


def check_schema(
    champion: Baseline, train: TableScan, *, regression: bool, allowed: bool
) -> Iterator[Finding]:
    """Yield a finding for each column that came, went, changed its type or its place.

    Args:
        champion: the approved model's baseline.
        train: the training rows.
        regression: the label is a number to predict.
        allowed: the contract allows changes, which are then warnings.
    """
    severity = Severity.WARNING if allowed else Severity.BROKEN
    before = {column.name: column for column in champion.columns}
    advice = "" if allowed else "; if that is meant, set schema_change to allow in the contract"
    for name in before:
        if name not in train.names:
            message = f"column {plain(name)} of the approved model's training data is gone{advice}"
            yield Finding(severity, Kind.SCHEMA, message, name, short=f"{plain(name)} is gone")
    for name, column in zip(train.names, train.columns, strict=True):
        if name not in before:
            message = (
                f"column {plain(name)} is new; the approved model was trained without it{advice}"
            )
            yield Finding(severity, Kind.SCHEMA, message, name, short=f"{plain(name)} is new")
            continue
        found = column.kind
        if found != before[name].type:
            was = before[name].type
            message = (
                f"column {plain(name)} is a {found}, and was a {was} in the approved model's "
                f"training data{advice}"
            )
            short = f"{plain(name)} is a {found}, and was a {was}"
            yield Finding(severity, Kind.SCHEMA, message, name, short=short)
    order = [name for name in train.names if name in before]
    if order != [name for name in before if name in train.names]:
        yield Finding(
            Severity.WARNING,
            Kind.SCHEMA,
            "the columns are in another order than for the approved model; clients that send rows "
            "without names must change theirs",
        )
    if regression == (champion.label.counts is not None):
        was = "a number" if regression else "a class"
        message = f"the label is {was}, and was not in the approved model's training data{advice}"
        yield Finding(severity, Kind.SCHEMA, message, short=f"the label is {was} now")


def compare_with(champion: Baseline, train: TableScan, label: str) -> list[Comparison]:
    """Return the distance of each column that both have, and of the label.

    Args:
        champion: the approved model's baseline.
        train: the training rows, at least one.
        label: the label column's name.
    """
    before = {column.name: column for column in champion.columns}
    pairs: list[tuple[str, bool, _Counts, _Counts, float | None]] = []
    for name, column in zip(train.names, train.columns, strict=True):
        found = before.get(name)
        if found is not None:
            counts = _column_counts(found, column, champion.rows)
            if counts is not None:
                pairs.append((name, False, *counts, _distance(found, column)))
    of_label = _label_counts(champion, train)
    if of_label is not None:
        pairs.append((label, True, *of_label, None))
    # Without rows there is no distribution to compare.
    pairs = [pair for pair in pairs if pair[2].any() and pair[3].any()]
    level = FALSE_ALARM / max(1, len(pairs))
    compared = []
    for name, is_label, old, new, distance in pairs:
        size, p_value = psi(old, new), _two_sample(old, new)
        shifted = size >= PSI_LIMIT and p_value < level
        compared.append(
            Comparison(name, is_label, size, jensen_shannon(old, new), distance, p_value, shifted)
        )
    return compared


def check_shifts(
    champion: Baseline, train: TableScan, compared: list[Comparison], *, stop: bool
) -> Iterator[Finding]:
    """Yield a finding for each shift, the largest first, and for classes that came or went.

    Args:
        champion: the approved model's baseline.
        train: the training rows.
        compared: the distances of the columns and of the label.
        stop: a shift stops the pipeline.
    """
    severity = Severity.BROKEN if stop else Severity.WARNING
    # Newer dates are newer by themselves.
    dates = {
        name for name, column in zip(train.names, train.columns, strict=True) if column.kind == DATE
    }
    if champion.label.counts is not None and train.values is None:
        for label in train.labels.counts:
            if label not in champion.label.counts:
                message = f"the class {plain(label)} is new; the approved model does not know it"
                short = f"class {plain(label)} is new"
                yield Finding(severity, Kind.SHIFT, message, short=short)
        for label in champion.label.counts:
            if label not in train.labels.counts:
                message = f"no training row has the class {plain(label)} of the approved model"
                short = f"class {plain(label)} is gone"
                yield Finding(severity, Kind.SHIFT, message, short=short)
    for found in sorted(compared, key=lambda one: -one.psi):
        if found.shifted:
            what = f"the label {plain(found.name)}" if found.is_label else plain(found.name)
            message = (
                f"the distribution of {what} has shifted: PSI {found.psi:.2f} (limit "
                f"{PSI_LIMIT:g}), p-value {found.p_value:.2g}"
            )
            passing = not found.is_label and found.name in dates
            yield Finding(
                Severity.WARNING if passing else severity,
                Kind.SHIFT,
                message,
                "" if found.is_label else found.name,
                found.psi,
                PSI_LIMIT,
                f"{what}, PSI {found.psi:.2f}",
            )


def _column_counts(
    before: ColumnBaseline, column: NumberColumn | CategoryColumn, rows: int
) -> tuple[_Counts, _Counts] | None:
    """Return both counts of each bin, the last of which is for missing values."""
    missing = round(before.missing * rows)
    if before.counts is not None and isinstance(column, CategoryColumn):
        now = by_key(column.counts)
        names = list(before.counts)
        if not before.other:
            # Without other categories in the baseline, a new one is new.
            names += [name for name in now if name not in before.counts]
        known = [now.get(name, 0) for name in names]
        old = [*(before.counts.get(name, 0) for name in names), before.other]
        new = [*known, column.rows - sum(known)]
    elif (
        before.histogram is not None
        and isinstance(column, NumberColumn)
        and before.type == column.kind
    ):
        old = list(before.histogram.counts)
        new = count_column(column, before.histogram.edges).tolist()
        new += [0] if not column.rows else []
        new = new[: len(old)]
    else:
        return None
    return np.array([*old, missing], np.int64), np.array([*new, column.missing], np.int64)


def _label_counts(champion: Baseline, train: TableScan) -> tuple[_Counts, _Counts] | None:
    label = champion.label
    if label.counts is not None and train.values is None:
        now = train.labels.counts
        names = list(label.counts) + [name for name in now if name not in label.counts]
        old = [label.counts.get(name, 0) for name in names]
        return np.array(old, np.int64), np.array([now.get(name, 0) for name in names], np.int64)
    if label.histogram is not None and train.values is not None:
        return (
            np.array(label.histogram.counts, np.int64),
            count_column(train.values, label.histogram.edges),
        )
    return None


def _distance(before: ColumnBaseline, column: NumberColumn | CategoryColumn) -> float | None:
    if not isinstance(column, NumberColumn) or before.type != column.kind or not column.rows:
        return None
    if before.histogram is None:
        return None
    values, rows = column.sketch.distribution()
    counts = count_values(before.histogram.edges, values.astype(np.float32), rows)
    outside = (values < before.histogram.edges[0], values > before.histogram.edges[-1])
    means = [
        float(np.average(values[side], weights=rows[side])) if side.any() else None
        for side in outside
    ]
    return wasserstein(before.histogram, counts, before.std or 0.0, *means)


def _two_sample(old: _Counts, new: _Counts) -> float:
    """Return the p-value of the chi-squared test that both samples have one distribution."""
    table = np.array([old, new])
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2 or not table.sum(axis=1).all():
        return 1.0
    return float(chi2_contingency(table, correction=False).pvalue)
