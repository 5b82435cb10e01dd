"""Pure: compares statistics with the baseline and gives each column a verdict.

A column drifts if its PSI is at least 0.25 and the difference is more than chance; from 0.1 on it
has a warning. If n and m rows of k bins have one distribution, PSI times n·m / (n + m) follows a
chi-squared distribution with k - 1 degrees of freedom. More than chance is what it exceeds with a
probability of 0.1 %, divided by the number of columns. A share (missing, out of range, unknown, not
valid) is too high if the 99 % Wilson interval of its rows lies more than 0.05 above the baseline's
share. Dates are newer by themselves as time passes: their PSI and their share out of range warn and
are no drift.

Sources: the limits of PSI: N. Siddiqi, Credit Risk Scorecards (Wiley, 2006), and Evidently's
default, 0.1; its distribution: B. Yurdakul, Statistical Properties of Population Stability Index
(Western Michigan University, 2018).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from scipy.stats import binomtest, chi2

from model.baseline import (
    DATE,
    ColumnBaseline,
    Counts,
    chi_squared,
    fold,
    jensen_shannon,
    psi,
    wasserstein,
)
from model.errors import MonitorError
from model.monitor_statistics import CategoryStatistics, ColumnStatistics, NumberStatistics

# The probability that chance alone makes any column of a run differ.
_CHANCE = 0.001
_SHARE_CONFIDENCE = 0.99


class Verdict(StrEnum):
    """The verdict on a column or on a run."""

    STABLE = "stable"
    FEW_ROWS = "few-rows"
    WARNING = "warning"
    DRIFT = "drift"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The limits of the verdicts.

    Attributes:
        psi_warning: PSI from which on a column has a warning.
        psi_drift: PSI from which on it drifts.
        share: rise of a share, 0 to 1, from which on it drifts.
        minimum_rows: with fewer rows there is no verdict.
    """

    psi_warning: float = 0.1
    psi_drift: float = 0.25
    share: float = 0.05
    minimum_rows: int = 100

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Thresholds:
        """Return the limits that MONITOR_PSI_WARNING and the like set.

        Raises:
            MonitorError: a value is not in its range, or the warning's PSI is above the drift's.
        """
        given: dict[str, Any] = {}
        for name, (kind, low, high) in _RANGES.items():
            text = environment.get(f"MONITOR_{name.upper()}")
            if not text:
                continue
            try:
                value = kind(text)
            except ValueError:
                value = math.nan
            if not low <= value <= high:
                raise MonitorError(
                    f"MONITOR_{name.upper()} is '{text[:40]}'; it must be "
                    f"{'a whole number' if kind is int else 'a number'}, {low} to {high}"
                )
            given[name] = value
        limits = cls(**given)
        if limits.psi_warning > limits.psi_drift:
            raise MonitorError(
                f"MONITOR_PSI_WARNING is {limits.psi_warning:g}; it must be at most "
                f"MONITOR_PSI_DRIFT, {limits.psi_drift:g}"
            )
        return limits

    def as_json(self) -> dict[str, Any]:
        """Return the object that the report holds."""
        return asdict(self)


_RANGES: dict[str, tuple[type[int] | type[float], float, float]] = {
    "psi_warning": (float, 0.001, 100),
    "psi_drift": (float, 0.001, 100),
    "share": (float, 0.0001, 1),
    "minimum_rows": (int, 1, 1_000_000_000),
}


def judge(
    column: ColumnBaseline,
    found: ColumnStatistics,
    limits: Thresholds,
    columns: int = 1,
) -> dict[str, Any]:
    """Return a column's statistics, its verdict and the reasons, as the report holds them.

    Args:
        column: the baseline.
        found: the statistics of the captured rows.
        limits: the thresholds.
        columns: number of columns that are compared in the run, at least 1.
    """
    values = found.values
    seen = values + found.missing + found.invalid
    document: dict[str, Any] = {
        "name": column.name,
        "type": column.type,
        "rows": seen,
        "missing": _share(found.missing, seen) | {"baseline": column.missing},
        "invalid": _share(found.invalid, seen),
    }
    reasons: list[str] = []
    _judge_share(reasons, "missing", found.missing, seen, column.missing, limits)
    _judge_share(reasons, "not valid", found.invalid, seen, 0.0, limits)
    severe = bool(reasons)
    if isinstance(found, CategoryStatistics):
        expected, observed = _categories(column, found)
        names = sorted(found.names.counts.items(), key=lambda item: (-item[1], item[0]))
        document["unknown"] = _share(found.unknown, seen) | {"examples": dict(names[:10])}
        known = sum(column.counts.values()) if column.counts else 0
        other = column.other / (known + column.other) if column.other else 0.0
        _judge_share(reasons, "of unknown categories", found.unknown, seen, other, limits)
        document["categories"] = [*found.counts, "other"]
    else:
        expected, observed = _numbers(document, column, found)
        outside = values - int(found.counts[1:-1].sum()) if len(found.counts) else 0
        document["out_of_range"] = _share(outside, seen)
        _judge_share(reasons, "out of the training range", outside, seen, 0.0, limits)
    dates = column.type == DATE
    severe = severe if dates else bool(reasons)
    document["baseline"], document["observed"] = expected.tolist(), observed.tolist()
    moderate = _compare(document, reasons, column, expected, observed, found, limits, columns)
    if dates:
        moderate = Verdict.WARNING if reasons else moderate
    severe = severe or moderate is Verdict.DRIFT
    if seen < limits.minimum_rows:
        verdict, reasons = Verdict.FEW_ROWS, []
    else:
        verdict = Verdict.DRIFT if severe else moderate
    return document | {"verdict": verdict, "reasons": reasons}


def _compare(
    document: dict[str, Any],
    reasons: list[str],
    column: ColumnBaseline,
    expected: Counts,
    observed: Counts,
    found: ColumnStatistics,
    limits: Thresholds,
    columns: int,
) -> Verdict:
    """Add the distances, if there is anything to compare, and return the verdict of the PSI."""
    n, m = int(observed.sum()), int(expected.sum())
    if not n or not m:
        return Verdict.STABLE
    distance = psi(expected, observed)
    bins = int(np.count_nonzero(expected + observed))
    chance = float(chi2.isf(_CHANCE / columns, bins - 1)) * (1 / n + 1 / m) if bins > 1 else 0.0
    document["psi"], document["psi_by_chance"] = distance, chance
    document["jensen_shannon"] = jensen_shannon(expected, observed)
    if isinstance(found, NumberStatistics):
        if column.histogram is not None and column.std is not None:
            low, high = found.outside()
            document["wasserstein"] = wasserstein(
                column.histogram, found.counts, column.std, low, high
            )
    else:
        statistic, p_value = chi_squared(expected, observed)
        # JSON has no infinity.
        shown = statistic if math.isfinite(statistic) else None
        document["chi_squared"] = {"statistic": shown, "p_value": p_value}
    if distance < limits.psi_warning or distance <= chance:
        return Verdict.STABLE
    reasons.append(f"PSI {distance:.3g}")
    return Verdict.DRIFT if distance >= limits.psi_drift else Verdict.WARNING


def _categories(column: ColumnBaseline, found: CategoryStatistics) -> tuple[Counts, Counts]:
    known = column.counts or {}
    expected = np.array([*known.values(), column.other], np.int64)
    observed = np.array([*found.counts.values(), found.unknown], np.int64)
    return expected, observed


def _numbers(
    document: dict[str, Any], column: ColumnBaseline, found: NumberStatistics
) -> tuple[Counts, Counts]:
    empty = not found.values
    document["statistics"] = {
        "mean": found.mean,
        "std": found.std,
        "minimum": None if empty else found.minimum,
        "maximum": None if empty else found.maximum,
    }
    if column.histogram is None:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    document["statistics"]["baseline"] = {
        "mean": column.mean,
        "std": column.std,
        "minimum": column.minimum,
        "maximum": column.maximum,
    }
    document["edges"] = list(column.histogram.edges)
    return np.array(column.histogram.counts, np.int64), fold(found.counts)


def _share(rows: int, of: int) -> dict[str, Any]:
    return {"rows": rows, "share": rows / of if of else 0.0}


def _judge_share(
    reasons: list[str], name: str, rows: int, of: int, expected: float, limits: Thresholds
) -> None:
    if not rows or rows / of <= expected + limits.share:
        return
    interval = binomtest(rows, of).proportion_ci(_SHARE_CONFIDENCE, method="wilson")
    if interval.low > expected + limits.share:
        reasons.append(f"{rows / of:.1%} {name} (training: {expected:.1%})")
