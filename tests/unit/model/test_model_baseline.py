"""The baseline's file, and its distances: by hand, by definition, and by properties."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from model.baseline import (
    Baseline,
    ColumnBaseline,
    Histogram,
    LabelBaseline,
    chi_squared,
    count_values,
    fold,
    jensen_shannon,
    parse_baseline,
    psi,
    read_baseline,
    wasserstein,
)
from model.errors import BaselineError

BASELINE = Baseline(
    rows=10,
    label=LabelBaseline("species", counts={"a": 4, "b": 6}),
    columns=(
        ColumnBaseline("petal", 0.0, Histogram((0.0, 1.0, 3.0), (4, 6)), 0.0, 3.0, 1.4, 0.8),
        ColumnBaseline("site", 0.1, counts={"north": 7}, other=2),
        ColumnBaseline("empty", 1.0),
    ),
)
COUNTS = st.lists(st.integers(0, 10_000), min_size=2, max_size=12).filter(any)


def document(**changes: Any) -> dict[str, Any]:
    return json.loads(json.dumps(BASELINE.as_json())) | changes  # type: ignore[no-any-return]


def column(**changes: Any) -> dict[str, Any]:
    return document(columns=[BASELINE.columns[0].as_json() | changes])


def test_a_written_baseline_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    path.write_text(json.dumps(BASELINE.as_json()))
    assert read_baseline(path) == BASELINE


def test_members_that_are_not_known_are_ignored() -> None:
    assert parse_baseline(document(made_by="check")) == BASELINE


def test_a_missing_file_has_its_sentence(tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match=r"cannot read .*No such file.*model check"):
        read_baseline(tmp_path / "baseline.json")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_file_that_is_cut_off_has_its_sentence(tmp_path: Path, share: float) -> None:
    text = json.dumps(BASELINE.as_json())
    path = tmp_path / "baseline.json"
    path.write_text(text[: int(share * len(text))])
    with pytest.raises(BaselineError, match=r"baseline\.json is not JSON, or is cut off"):
        read_baseline(path)


def test_a_file_that_is_not_text_has_its_sentence(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    path.write_bytes(b'{"version": "\xff"}')
    with pytest.raises(BaselineError, match=r"byte 13 is not UTF-8"):
        read_baseline(path)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], r"has no version"),
        ({}, r"has no version"),
        ({"version": 2}, r"has version 2; this image reads version 1"),
        ({"version": True}, r"has version true"),
        ({"version": 1}, r"has no member 'label'"),
        (document(rows=-1), r"rows is -1; it must be a whole number"),
        (document(label=[]), r"baseline\.json: "),
        (document(label={"name": 3}), r"label: name is 3"),
        (document(columns=[7]), r"baseline\.json: "),
        (
            column(type="text"),
            r"'petal': type is 'text'; it must be number, category or date",
        ),
        (column(type="category"), r"no member 'counts'"),
        (column(type="category", counts=None), r"counts is null"),
        (column(missing=1.5), r"missing is 1\.5; it must be a share, 0 to 1"),
        (column(mean="1"), r"mean is '1'; it must be a finite number"),
        (column(histogram={"edges": [0], "counts": []}), r"1 edges and 0 counts"),
        (column(histogram={"edges": [0, None], "counts": [1]}), r"2 edges and 1 counts"),
        (column(histogram={"edges": [0, 0, 1], "counts": [1, 1]}), r"the edges do not rise"),
        (column(histogram={"edges": [1, 0], "counts": [1]}), r"the edges do not rise"),
        (column(histogram={"edges": 3, "counts": [1]}), r"lists edges and counts"),
    ],
)
def test_what_is_no_baseline_has_one_sentence(given: object, message: str) -> None:
    with pytest.raises(BaselineError, match=message) as caught:
        parse_baseline(given)
    assert "\n" not in str(caught.value)


def test_bins_hold_their_lower_edge_and_the_last_its_upper_one() -> None:
    values = np.array([-1, 0, 0.5, 1, 2.9, 3, 3.1, 9], dtype=np.float32)
    assert count_values((0, 1, 3), values).tolist() == [1, 2, 3, 2]
    assert fold(count_values((0, 1, 3), values)).tolist() == [3, 5]


def test_a_column_of_one_value_has_one_bin() -> None:
    values = np.array([2, 2, 1, 3], dtype=np.float32)
    assert count_values((2, 2), values).tolist() == [1, 2, 1]


def test_an_edge_that_is_no_32_bit_number_holds_its_own_value() -> None:
    assert count_values((2.55, 2.65), np.array([2.55, 2.65], np.float32)).tolist() == [0, 2, 0]


def test_psi_is_the_sum_that_the_textbook_gives() -> None:
    expected = (0.6 - 0.5) * math.log(0.6 / 0.5) + (0.4 - 0.5) * math.log(0.4 / 0.5)
    assert psi([50, 50], [6, 4]) == pytest.approx(expected)
    assert psi([1, 1], [1, 0]) == pytest.approx(
        0.5 * math.log(2) + (0.0001 - 0.5) * math.log(0.0001 / 0.5)
    )


@given(COUNTS, st.integers(1, 9))
def test_equal_shares_have_no_distance(counts: list[int], times: int) -> None:
    more = [times * count for count in counts]
    assert psi(counts, more) == pytest.approx(0, abs=1e-9)
    assert jensen_shannon(counts, more) == pytest.approx(0, abs=1e-7)
    assert chi_squared(counts, more)[1] == pytest.approx(1)


@given(COUNTS, st.randoms(use_true_random=False))
def test_distances_have_their_ranges(counts: list[int], random: Any) -> None:
    other = counts[:]
    random.shuffle(other)
    assert psi(counts, other) >= 0
    assert 0 <= jensen_shannon(counts, other) <= math.sqrt(math.log(2)) + 1e-9
    statistic, p_value = chi_squared(counts, other)
    assert statistic >= 0
    assert 0 <= p_value <= 1


def test_a_new_category_makes_chi_squared_infinite() -> None:
    assert chi_squared([5, 0], [4, 1]) == (math.inf, 0.0)
    assert chi_squared([5, 0], [4, 0]) == (0.0, 1.0)


@given(st.lists(st.integers(0, 9), min_size=2, max_size=50), st.integers(-30, 30))
def test_wasserstein_of_whole_numbers_is_scipys_over_the_values(
    numbers: list[int], shift: int
) -> None:
    """Each bin's middle is a whole number, so nothing is lost by the bins."""
    edges = tuple(at - 0.5 for at in range(11))
    values = np.array(numbers, dtype=np.float32)
    moved = values + shift
    histogram = Histogram(edges, tuple(count_values(edges, values)[1:-1].tolist()))
    low, high = moved[moved < edges[0]], moved[moved > edges[-1]]
    found = wasserstein(
        histogram,
        count_values(edges, moved),
        2.0,
        float(low.mean()) if len(low) else None,
        float(high.mean()) if len(high) else None,
    )
    if not shift:
        assert found == 0
    elif not len(low) and not len(high):
        assert found == pytest.approx(wasserstein_distance(values, moved) / 2)
    assert found == pytest.approx(abs(shift) / 2, rel=0.35, abs=4.5)
