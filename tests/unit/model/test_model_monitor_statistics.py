"""The monitor's statistics: exact, and the same for every split of the captures."""

from __future__ import annotations

import json
import math
import statistics as by_hand
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.baseline import Baseline, ColumnBaseline, Histogram, LabelBaseline, category_key
from model.captures import CaptureReader, Note
from model.exact_sum import exact_sum, mean_of, std_of
from model.kept_predictions import KeptPredictions
from model.monitor_statistics import (
    MOST_UNKNOWN,
    CategoryStatistics,
    NumberStatistics,
    SmallestHashes,
    Statistics,
)
from tests.unit.model.monitoring import BASELINE, as_json, capture, csv

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
HISTOGRAM = Histogram((0.0, 1.0, 2.0), (1, 1))


@given(st.lists(FLOATS, max_size=30))
def test_sums_are_exact(numbers: list[float]) -> None:
    values = np.array(numbers, np.float64)
    assert Fraction(exact_sum(values), 1 << 500) == sum(map(Fraction, numbers))
    squares = sum(Fraction(number) ** 2 for number in numbers)
    assert Fraction(exact_sum(values * values), 1 << 500) == squares


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=30))
def test_mean_and_deviation_are_those_of_the_values(numbers: list[float]) -> None:
    values = np.array(numbers, np.float64)
    total, squares = exact_sum(values), exact_sum(values * values)
    assert mean_of(total, len(numbers)) == float(by_hand.mean(map(Fraction, numbers)))
    expected = math.sqrt(by_hand.pvariance(list(map(Fraction, numbers))))
    assert std_of(total, squares, len(numbers)) == pytest.approx(expected)


CELLS = st.sampled_from(
    [
        *("1", " 2.5 ", "-3", "1e30", "1_0", "٣", "nan", "NaN", "", "inf", "1e39", "x", "9"),
        *(1, 2.5, 0, True, None, math.nan, math.inf, 10**400, [1], {"a": 1}),
    ]
)


@given(st.lists(CELLS, max_size=20), st.integers(0, 20))
def test_cells_count_the_same_in_every_split(cells: list[Any], at: int) -> None:
    for make in (lambda: NumberStatistics(HISTOGRAM), lambda: CategoryStatistics(("1", "x"))):
        whole, parts = make(), (make(), make())
        whole.add_cells(cells)
        for part, some in zip(parts, (cells[:at], cells[at:]), strict=True):
            part.add_cells(some)
        parts[0].merge(parts[1])  # type: ignore[arg-type]
        assert whole.as_json() == parts[0].as_json()
        assert whole.values + whole.missing + whole.invalid == len(cells)


@pytest.mark.parametrize(
    ("cell", "counts"),
    [
        ("1", (1, 0, 0)),
        (" 1.5 ", (1, 0, 0)),
        (1, (1, 0, 0)),
        ("", (0, 1, 0)),
        ("NaN", (0, 1, 0)),
        (None, (0, 1, 0)),
        (math.nan, (0, 1, 0)),
        ("1_0", (0, 0, 1)),
        ("٣", (0, 0, 1)),
        ("inf", (0, 0, 1)),
        ("1e39", (0, 0, 1)),
        (10**400, (0, 0, 1)),
        (True, (0, 0, 1)),
        ([], (0, 0, 1)),
    ],
)
def test_a_cell_of_a_number_is_a_value_or_missing_or_invalid(
    cell: object, counts: tuple[int, int, int]
) -> None:
    for others in ([], ["1"], [1]):
        found = NumberStatistics(HISTOGRAM)
        found.add_cells([*others, cell])
        assert (found.values - len(others), found.missing, found.invalid) == counts


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("x", {"counts": {"x": 1, "1": 0}}),
        (" x ", {"counts": {"x": 1, "1": 0}}),
        (1, {"counts": {"x": 0, "1": 1}}),
        ("y", {"unknown": 1, "names": {"y": 1}}),
        ("", {"missing": 1}),
        (None, {"missing": 1}),
        (math.nan, {"missing": 1}),
        (True, {"invalid": 1}),
        (1.5, {"invalid": 1}),
        ([], {"invalid": 1}),
    ],
)
def test_a_cell_of_a_category_is_known_or_unknown_or_missing_or_invalid(
    cell: object, expected: dict[str, Any]
) -> None:
    found = CategoryStatistics(("x", "1"))
    found.add_cells([cell])
    assert found.as_json() == CategoryStatistics(("x", "1")).as_json() | expected


def test_values_outside_the_edges_have_means_of_their_own() -> None:
    found = NumberStatistics(HISTOGRAM)
    found.add(np.array([-3, -1, 0, 2, 5], np.float32))
    assert found.counts.tolist() == [2, 1, 1, 1]
    assert found.outside() == (-2.0, 5.0)
    assert (found.minimum, found.maximum, found.mean) == (-3.0, 5.0, 0.6)


@given(st.lists(st.text(max_size=3), max_size=60), st.integers(0, 60))
def test_the_remembered_texts_do_not_depend_on_the_order(texts: list[str], at: int) -> None:
    whole, parts = SmallestHashes(5), (SmallestHashes(5), SmallestHashes(5))
    for text in texts:
        whole.add({text: 1})
    for text in reversed(texts[:at]):
        parts[0].add({text: 1})
    for text in texts[at:]:
        parts[1].add({text: 1})
    parts[0].add(parts[1].counts)
    assert whole.counts == parts[0].counts
    assert len(whole.counts) <= 5
    assert all(texts.count(text) == count for text, count in whole.counts.items())


def test_unknown_categories_take_bounded_memory() -> None:
    found = CategoryStatistics(("x",))
    found.add_cells([f"{number:0200}" for number in range(1000)])
    assert found.unknown == 1000
    assert len(found.names.counts) <= MOST_UNKNOWN
    assert max(map(len, found.names.counts)) == 80


KEYS = st.lists(st.integers(0, 30), max_size=60)


@given(KEYS, st.integers(0, 60))
def test_the_kept_predictions_do_not_depend_on_the_split(keys: list[int], at: int) -> None:
    whole, parts = KeptPredictions(7), (KeptPredictions(7), KeptPredictions(7))
    for number, key in enumerate(keys):
        whole.add(key, f"2026-01-01T{number % 24:02}", "a")
        parts[number < at].add(key, f"2026-01-01T{number % 24:02}", "a")
    parts[0].merge(parts[1])
    assert whole.as_json() == parts[0].as_json()
    assert sorted(whole.entries) == sorted(set(keys))[:7]
    assert whole.sampled == (len(set(keys)) > 7)


def test_predictions_are_forgotten_after_a_week() -> None:
    kept = KeptPredictions()
    for key, hour in enumerate(("2026-01-01T09", "2026-01-01T10", "2026-01-08T10", "soon")):
        kept.add(key, hour, "a")
    kept.forget_old()
    assert sorted(kept.entries) == [1, 2]


def test_the_label_of_a_prediction_stays_when_its_id_comes_again() -> None:
    kept = KeptPredictions()
    kept.add(1, "2026-01-02T00", "a", "b")
    kept.add(1, "2026-01-01T00", "a")
    assert kept.entries == {1: ("2026-01-02T00", "a", "b")}


REGRESSION = Baseline(
    10,
    LabelBaseline("price", histogram=HISTOGRAM),
    (ColumnBaseline("size", 0.0, HISTOGRAM), ColumnBaseline("empty", 1.0)),
)
LINES = st.lists(
    st.one_of(
        st.builds(
            lambda a, b, label, key: capture(csv(f"{a},{b}\n"), csv(f"{label}\n"), f"event-{key}"),
            st.sampled_from([0.5, 3, -7.25, 1e30, "", "x"]),
            st.sampled_from(["north", "south", "east", "", 3]),
            st.sampled_from(["a", "b", "c", 1.5, "0.25,0.75"]),
            st.integers(0, 9),
        ),
        st.just(capture(as_json([[1, "north"], [2]]), as_json({"predictions": []}))),
        st.just(capture(None, None)),
        st.just("{"),
    ),
    max_size=25,
)


def gather(baseline: Baseline, files: list[tuple[str, list[str]]], batch: int) -> Statistics:
    found = Statistics(baseline)
    reader = CaptureReader(
        [column.name for column in baseline.columns], sorted(baseline.label.counts or ())
    )
    for name, lines in files:
        for line in lines:
            if not reader.add(line.encode()):
                found.note(Note.NOT_A_CAPTURE, name)
            if len(reader.batch) >= batch:
                found.add(reader.take(), name, "2026/01/01/00")
        found.add(reader.take(), name, "2026/01/01/00")
    return found


@pytest.mark.parametrize("baseline", [BASELINE, REGRESSION])
@given(LINES, st.lists(st.integers(0, 3), min_size=25, max_size=25), st.integers(1, 9))
def test_every_split_over_instances_gives_equal_statistics(
    baseline: Baseline, lines: list[str], places: list[int], batch: int
) -> None:
    files = [(f"file-{number}", [line]) for number, line in enumerate(lines)]
    whole = gather(baseline, files, 4096).as_json()
    total = Statistics(baseline)
    for shard in range(4):
        mine = [file for file, place in zip(files, places, strict=False) if place == shard]
        # As it goes through the file of an instance.
        document = json.loads(json.dumps(gather(baseline, mine, batch).as_json()))
        part = Statistics(baseline)
        part.read_json(document)
        assert part.as_json() == document
        total.merge(part)
    assert total.as_json() == whole


def test_statistics_of_another_baseline_are_refused() -> None:
    document = Statistics(BASELINE).as_json()
    with pytest.raises(ValueError, match="12 counts instead of 0"):
        Statistics(Baseline(1)).read_json(document)
    with pytest.raises(ValueError, match="zip"):
        Statistics(BASELINE).read_json(document | {"parts": document["parts"][:1]})
    document["parts"][0]["counts"] = [1]
    with pytest.raises(ValueError, match="1 counts instead of 12"):
        Statistics(BASELINE).read_json(document)
    document = Statistics(BASELINE).as_json()
    document["parts"][1]["counts"] = {"other": 1}
    with pytest.raises(ValueError, match="other categories"):
        Statistics(BASELINE).read_json(document)


def test_a_long_category_is_known_by_the_name_that_the_baseline_gives_it() -> None:
    long = "x" * 500
    statistics = CategoryStatistics([category_key(long), "short"])
    statistics.add_cells([long, f" {long} ", "short", "y" * 500])
    assert statistics.counts == {category_key(long): 2, "short": 1}
    assert statistics.unknown == 1
