"""The verdicts on columns and on live accuracy, at their limits."""

from __future__ import annotations

import numpy as np
import pytest

from model.baseline import ColumnBaseline, Histogram
from model.errors import MonitorError
from model.kept_predictions import KeptPredictions
from model.live_quality import live_quality
from model.monitor_judge import Thresholds, Verdict, judge
from model.monitor_statistics import CategoryStatistics, NumberStatistics

LIMITS = Thresholds()
NUMBER = ColumnBaseline("n", 0.0, Histogram((0.0, 1.0, 2.0), (500, 500)), 0.0, 2.0, 1.0, 0.5)
CATEGORY = ColumnBaseline("c", 0.0, counts={"x": 500, "y": 500})


def numbers(low: int, high: int, *, missing: int = 0, outside: int = 0) -> NumberStatistics:
    found = NumberStatistics(NUMBER.histogram)
    found.add(np.array([0.5] * low + [1.5] * high + [9.0] * outside, np.float32))
    found.missing = missing
    return found


def verdict(found: NumberStatistics | CategoryStatistics) -> str:
    column = NUMBER if isinstance(found, NumberStatistics) else CATEGORY
    return str(judge(column, found, LIMITS)["verdict"])


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (500, 500, Verdict.STABLE),
        (600, 400, Verdict.STABLE),
        (650, 350, Verdict.STABLE),  # PSI 0.093
        (670, 330, Verdict.WARNING),  # PSI 0.120
        (740, 260, Verdict.DRIFT),  # PSI 0.251
        (49, 50, Verdict.FEW_ROWS),
        (99, 0, Verdict.FEW_ROWS),
        (100, 0, Verdict.DRIFT),
    ],
)
def test_psi_decides_about_a_shift(low: int, high: int, expected: Verdict) -> None:
    assert verdict(numbers(low, high)) == expected


def test_a_large_psi_that_chance_explains_is_stable() -> None:
    """PSI is 0.12 in both cases; between 100 rows and 60, chance makes up to 0.29."""
    column = ColumnBaseline("n", 0.0, Histogram((0.0, 1.0, 2.0), (30, 30)), 0.0, 2.0, 1.0, 0.5)
    few = judge(column, numbers(67, 33), LIMITS)
    assert few["psi"] == pytest.approx(0.12, abs=0.01)
    assert few["psi_by_chance"] == pytest.approx(10.83 * (1 / 100 + 1 / 60), rel=0.01)
    assert few["verdict"] == Verdict.STABLE
    of_ten = judge(column, numbers(67, 33), LIMITS, 10)
    assert of_ten["psi_by_chance"] == pytest.approx(15.14 * (1 / 100 + 1 / 60), rel=0.01)
    assert verdict(numbers(670, 330)) == Verdict.WARNING


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (numbers(400, 400, missing=200), "20.0% missing (training: 0.0%)"),
        (numbers(450, 450, outside=100), "10.0% out of the training range (training: 0.0%)"),
    ],
)
def test_a_share_that_rises_is_drift_with_its_reason(found: NumberStatistics, reason: str) -> None:
    judged = judge(NUMBER, found, LIMITS)
    assert judged["verdict"] == Verdict.DRIFT
    assert judged["reasons"] == [reason]


def test_a_share_that_rises_within_the_limit_is_stable() -> None:
    assert verdict(numbers(480, 480, missing=40)) == Verdict.STABLE
    assert verdict(numbers(48, 48, missing=9)) == Verdict.STABLE


def test_an_unknown_category_is_drift_and_named() -> None:
    found = CategoryStatistics(("x", "y"))
    found.add_cells(["x"] * 400 + ["y"] * 400 + ["z"] * 200)
    judged = judge(CATEGORY, found, LIMITS)
    assert judged["verdict"] == Verdict.DRIFT
    assert judged["unknown"] == {"rows": 200, "share": 0.2, "examples": {"z": 200}}
    assert judged["chi_squared"] == {"statistic": None, "p_value": 0.0}
    assert "20.0% of unknown categories (training: 0.0%)" in judged["reasons"]


def test_a_column_without_values_in_training_is_not_compared() -> None:
    found = NumberStatistics(None)
    found.add_cells([1.0] * 200)
    judged = judge(ColumnBaseline("n", 1.0), found, LIMITS)
    assert judged["verdict"] == Verdict.STABLE
    assert "psi" not in judged


@pytest.mark.parametrize("rows", [100, 300, 2000])
def test_a_hundred_days_of_the_training_distribution_hardly_alarm(rows: int) -> None:
    random = np.random.default_rng(1)
    training = random.normal(size=1000).astype(np.float32)
    edges = tuple(np.quantile(training, np.linspace(0, 1, 11)).tolist())
    column = ColumnBaseline("n", 0.0, Histogram(edges, (100,) * 10), -3, 3, 0, 1)
    verdicts = []
    for _ in range(100):
        found = NumberStatistics(column.histogram)
        found.add(random.normal(size=rows).astype(np.float32))
        verdicts.append(judge(column, found, LIMITS)["verdict"])
    assert verdicts.count(Verdict.DRIFT) <= 1
    assert verdicts.count(Verdict.STABLE) >= 98


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"MONITOR_PSI_DRIFT": "many"}, "MONITOR_PSI_DRIFT is 'many'; it must be a number, 0.001"),
        ({"MONITOR_SHARE": "2"}, "MONITOR_SHARE is '2'; it must be a number, 0.0001 to 1"),
        ({"MONITOR_SHARE": "nan"}, "MONITOR_SHARE is 'nan'"),
        ({"MONITOR_MINIMUM_ROWS": "1.5"}, "MONITOR_MINIMUM_ROWS is '1.5'; it must be a whole"),
        ({"MONITOR_MINIMUM_ROWS": "0"}, "MONITOR_MINIMUM_ROWS is '0'"),
        ({"MONITOR_PSI_WARNING": "0.5"}, "MONITOR_PSI_WARNING is 0.5; it must be at most"),
    ],
)
def test_a_threshold_out_of_its_range_has_its_sentence(
    environment: dict[str, str], message: str
) -> None:
    with pytest.raises(MonitorError, match=message):
        Thresholds.from_environment(environment)


def test_thresholds_are_set_by_the_environment() -> None:
    given = {"MONITOR_PSI_DRIFT": "0.2", "MONITOR_MINIMUM_ROWS": "7", "MONITOR_SHARE": ""}
    assert Thresholds.from_environment(given) == Thresholds(psi_drift=0.2, minimum_rows=7)


def labelled(right: int, wrong: int) -> KeptPredictions:
    kept = KeptPredictions()
    for key in range(right + wrong):
        kept.add(key, "2026-01-01T00", "a", "a" if key < right else "b")
    kept.add(1 << 40, "2026-01-01T00", "a")
    return kept


@pytest.mark.parametrize(
    ("right", "wrong", "expected"),
    [
        (90, 10, Verdict.STABLE),
        (84, 16, Verdict.STABLE),
        (70, 30, Verdict.DRIFT),
        (50, 49, Verdict.FEW_ROWS),
    ],
)
def test_accuracy_drifts_when_it_is_worse_by_more_than_chance(
    right: int, wrong: int, expected: Verdict
) -> None:
    validation = {"rows": 200, "accuracy": 0.9}
    found = live_quality(labelled(right, wrong), validation, LIMITS, regression=False)
    assert found["verdict"] == expected
    assert found["value"] == right / (right + wrong)
    low, high = found["interval"]
    assert low < found["value"] < high


def test_the_interval_of_the_difference_is_newcombes() -> None:
    """Newcombe's example: 56 of 70 against 48 of 80 differ by 0.2, from 0.0524 to 0.3339."""
    found = live_quality(labelled(56, 14), {"rows": 80, "accuracy": 0.6}, LIMITS, regression=False)
    assert found["difference"]["value"] == pytest.approx(0.2)
    assert found["difference"]["interval"] == pytest.approx([0.0524, 0.3339], abs=5e-5)


def test_without_a_validation_accuracy_has_an_interval_only() -> None:
    found = live_quality(labelled(10, 190), None, LIMITS, regression=False)
    assert found["verdict"] == Verdict.STABLE
    assert "validation" not in found


@pytest.mark.parametrize(("mae", "expected"), [(1.0, Verdict.STABLE), (0.9, Verdict.DRIFT)])
def test_a_regressions_error_is_compared(mae: float, expected: Verdict) -> None:
    kept = KeptPredictions()
    for key in range(200):
        kept.add(key, "2026-01-01T00", 3.0, 2.0 if key % 2 else 4.0)
    found = live_quality(kept, {"rows": 50, "mae": mae}, LIMITS, regression=True)
    assert (found["value"], found["verdict"]) == (1.0, expected)
