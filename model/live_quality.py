"""Pure: the accuracy of predictions whose labels are known, compared with the validation's.

Wilson's interval is scipy's; that of the difference is Newcombe's hybrid of two of them.
Source: R. G. Newcombe, Statistics in Medicine 17 (1998), method 10.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.stats import binomtest, norm

from model.kept_predictions import KeptPredictions
from model.monitor_judge import Thresholds, Verdict

_CONFIDENCE = 0.95


def live_quality(
    kept: KeptPredictions,
    validation: Mapping[str, Any] | None,
    limits: Thresholds,
    *,
    regression: bool,
) -> dict[str, Any]:
    """Return the section of the report, with the verdict `drift` if the model got worse.

    Args:
        kept: the predictions, some of them with labels.
        validation: the validation's metrics of the model's metadata; None if they are not known.
        limits: the thresholds.
        regression: the labels are numbers.
    """
    # Sorted, so that the sums do not depend on the split of the captures.
    entries = sorted(kept.entries.items(), key=lambda item: item[0])
    pairs = [(answer, label) for _, (_, answer, label) in entries if label is not None]
    document: dict[str, Any] = {"rows": len(pairs), "verdict": Verdict.FEW_ROWS, "reasons": []}
    if not pairs:
        return document
    if regression:
        _add_error(document, np.array(pairs, np.float64), validation)
    else:
        _add_accuracy(document, sum(answer == label for answer, label in pairs), validation)
    if len(pairs) < limits.minimum_rows:
        return document | {"reasons": []}
    verdict = Verdict.DRIFT if document["reasons"] else Verdict.STABLE
    return document | {"verdict": verdict}


def _add_accuracy(
    document: dict[str, Any], correct: int, validation: Mapping[str, Any] | None
) -> None:
    rows = document["rows"]
    live, (low, high) = correct / rows, _wilson(correct, rows)
    document |= {"metric": "accuracy", "value": live, "interval": [low, high]}
    if validation is None or not validation.get("rows") or "accuracy" not in validation:
        return
    expected, of = float(validation["accuracy"]), int(validation["rows"])
    bottom, top = _wilson(round(expected * of), of)
    difference = live - expected
    interval = [
        difference - math.hypot(live - low, top - expected),
        difference + math.hypot(high - live, expected - bottom),
    ]
    document["validation"] = {"rows": of, "value": expected, "interval": [bottom, top]}
    document["difference"] = {"value": difference, "interval": interval}
    if interval[1] < 0:
        document["reasons"].append(f"accuracy {live:.3f} (validation: {expected:.3f})")


def _add_error(
    document: dict[str, Any], pairs: np.ndarray[Any, Any], validation: Mapping[str, Any] | None
) -> None:
    errors = np.abs(pairs[:, 0] - pairs[:, 1])
    mean = float(errors.mean())
    spread = float(errors.std() / math.sqrt(len(errors)) * norm.ppf((1 + _CONFIDENCE) / 2))
    document |= {"metric": "mae", "value": mean, "interval": [mean - spread, mean + spread]}
    if validation is None or not validation.get("rows") or "mae" not in validation:
        return
    expected = float(validation["mae"])
    document["validation"] = {"rows": int(validation["rows"]), "value": expected}
    document["difference"] = {"value": mean - expected}
    if mean - spread > expected:
        document["reasons"].append(f"mean absolute error {mean:.4g} (validation: {expected:.4g})")


def _wilson(count: int, rows: int) -> tuple[float, float]:
    interval = binomtest(count, rows).proportion_ci(_CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)
