"""The monitor's statistics are those of Evidently on the same data, in the same bins."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.baseline import ColumnBaseline, Histogram, count_values
from model.monitor_judge import Thresholds, judge
from model.monitor_statistics import CategoryStatistics, NumberStatistics

HERE = Path(__file__).parent
PYTHON = HERE / ".venv" / "bin" / "python"
RANDOM = np.random.default_rng(7)


def numbers(shift: float, spread: float) -> tuple[list[float], list[float]]:
    """Return multiples of 1/64, which are exact as 32-bit floats."""
    reference = RANDOM.normal(0, 1, 2000)
    current = RANDOM.normal(shift, spread, 3000)
    exact = (np.round(values * 64) / 64 for values in (reference, current))
    first, second = (values.tolist() for values in exact)
    return first, second


def whole(shift: int) -> tuple[list[float], list[float]]:
    """Return whole numbers, of which more than 20 are different."""
    first, second = (RANDOM.integers(0, 40, rows) for rows in (2000, 3000))
    return first.astype(float).tolist(), (second + shift).astype(float).tolist()


def categories(shares: list[float]) -> tuple[list[str], list[str]]:
    names = ["north", "south", "east", "west"]
    return RANDOM.choice(names, 2000).tolist(), RANDOM.choice(names, 3000, p=shares).tolist()


CASES: dict[str, tuple[str, list[Any], list[Any]]] = {
    "equal": ("num", *numbers(0, 1)),
    "shifted": ("num", *numbers(0.5, 1)),
    "far": ("num", *numbers(9, 1)),
    "wider": ("num", *numbers(0, 3)),
    "whole": ("num", *whole(0)),
    "whole, shifted": ("num", *whole(9)),
    "categories": ("cat", *categories([0.25] * 4)),
    "other shares": ("cat", *categories([0.7, 0.1, 0.1, 0.1])),
    "one is gone": ("cat", *categories([0.5, 0.5, 0.0, 0.0])),
}


@pytest.fixture(scope="module")
def theirs() -> dict[str, dict[str, float]]:
    if not PYTHON.exists():
        pytest.skip("Evidently is not there: run `make test-peers`")
    done = subprocess.run(
        [str(PYTHON), "-W", "ignore", str(HERE / "program.py")],
        input=json.dumps(list(CASES.values())),
        env={"DO_NOT_TRACK": "1", "HOME": str(HERE / ".venv")},
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(zip(CASES, json.loads(done.stdout), strict=True))


def baseline(kind: str, reference: list[Any], current: list[Any], bins: str) -> ColumnBaseline:
    if kind == "cat":
        counts = Counter(reference)
        return ColumnBaseline("c", counts=dict(counts))
    both = np.array(reference + current)
    edges = (
        np.histogram_bin_edges(both, bins="sturges")
        if bins == "sturges"
        # The middle of each bin is a value.
        else np.arange(2 * both.min() - 1, 2 * both.max() + 2, 2) / 2
    )
    inner = count_values(tuple(edges), np.array(reference, np.float32))[1:-1]
    histogram = Histogram(tuple(edges.tolist()), tuple(inner.tolist()))
    low, high, mean, std = (f(reference) for f in (np.min, np.max, np.mean, np.std))
    return ColumnBaseline("n", 0.0, histogram, float(low), float(high), float(mean), float(std))


def ours(case: str, bins: str = "sturges") -> dict[str, Any]:
    kind, reference, current = CASES[case]
    column = baseline(kind, reference, current, bins)
    found = (
        CategoryStatistics(column.counts or ())
        if kind == "cat"
        else NumberStatistics(column.histogram)
    )
    found.add_cells([str(cell) for cell in current])
    return judge(column, found, Thresholds())


@pytest.mark.parametrize("case", CASES)
def test_psi_is_evidentlys(theirs: dict[str, dict[str, float]], case: str) -> None:
    assert ours(case)["psi"] == pytest.approx(theirs[case]["psi"], rel=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_the_jensen_shannon_distance_is_evidentlys(
    theirs: dict[str, dict[str, float]], case: str
) -> None:
    expected = theirs[case]["jensenshannon"]
    assert ours(case)["jensen_shannon"] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("case", ["whole", "whole, shifted"])
def test_the_wasserstein_distance_of_whole_numbers_is_evidentlys(
    theirs: dict[str, dict[str, float]], case: str
) -> None:
    expected = theirs[case]["wasserstein"]
    assert ours(case, "whole")["wasserstein"] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("case", ["equal", "shifted", "far", "wider"])
def test_the_wasserstein_distance_of_other_numbers_is_evidentlys_to_a_bin(
    theirs: dict[str, dict[str, float]], case: str
) -> None:
    found = ours(case)
    width = (found["edges"][1] - found["edges"][0]) / found["statistics"]["baseline"]["std"]
    assert found["wasserstein"] == pytest.approx(theirs[case]["wasserstein"], abs=width / 2)


@pytest.mark.parametrize("case", [name for name, (kind, *_) in CASES.items() if kind == "cat"])
def test_the_p_value_of_chi_squared_is_evidentlys(
    theirs: dict[str, dict[str, float]], case: str
) -> None:
    expected = theirs[case]["chisquare"]
    assert ours(case)["chi_squared"]["p_value"] == pytest.approx(expected, rel=1e-9)
