"""Summaries of streams: exact up to their limit, bounded beyond it, the same in every order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.sketches import QuantileSketch, RowHasher, RowSample

NUMBERS = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=60)


def sketch_of(
    numbers: list[float] | np.ndarray, limit: int = 4096, parts: int = 1
) -> QuantileSketch:
    sketch = QuantileSketch(limit)
    for part in np.array_split(np.array(numbers, np.float32), parts):
        sketch.add(part)
    return sketch


@given(NUMBERS)
def test_a_sketch_with_room_is_exact(numbers: list[float]) -> None:
    values, counts = sketch_of(numbers).distribution()
    expected, rows = np.unique(np.array(numbers, np.float32) + np.float32(0), return_counts=True)
    assert values.tolist() == expected.tolist()
    assert counts.tolist() == rows.tolist()


@given(NUMBERS, st.integers(1, 5), st.randoms(use_true_random=False))
def test_a_full_sketch_is_the_same_in_every_order(
    numbers: list[float], parts: int, random: np.random.Generator
) -> None:
    shuffled = list(numbers)
    random.shuffle(shuffled)
    first, second = sketch_of(numbers, 8), sketch_of(shuffled, 8, parts)
    assert first.dropped_bits == second.dropped_bits
    for one, other in zip(first.distribution(), second.distribution(), strict=True):
        assert one.tolist() == other.tolist()
    assert len(first.distribution()[0]) <= 8
    assert first.distribution()[1].sum() == len(numbers)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_a_full_sketch_keeps_quantiles_within_a_thousandth(scale: float) -> None:
    numbers = np.random.default_rng(0).lognormal(size=100_000) * scale
    values, counts = sketch_of(numbers, parts=20).distribution()
    at = np.searchsorted(counts.cumsum(), np.arange(1, 100) / 100 * len(numbers))
    expected = np.quantile(numbers, np.arange(1, 100) / 100)
    assert np.abs(values[at] / expected - 1).max() < 0.005


ROWS = st.lists(st.tuples(st.integers(0, 3), st.sampled_from("abc")), max_size=40)


def sample_of(rows: list[tuple[int, str]], limit: int = 2**19) -> RowSample:
    sample, hasher = RowSample(limit), RowHasher()
    if rows:
        numbers, texts = zip(*rows, strict=True)
        sample.add(hasher.hashes([np.array(numbers, np.float32), texts]))
    return sample


@given(ROWS, ROWS)
def test_equal_rows_are_counted_exactly_with_room(
    rows: list[tuple[int, str]], others: list[tuple[int, str]]
) -> None:
    sample, other = sample_of(rows), sample_of(others)
    repeated = len(rows) - len(set(rows))
    common = sum(row in set(others) for row in rows)
    assert sample.repeated_share() == (repeated / len(rows) if rows else 0)
    assert sample.share_in(other) == (common / len(rows) if rows else 0)
    assert sample.exact


def test_beyond_its_limit_the_shares_are_estimated_from_a_bounded_sample() -> None:
    hasher = RowHasher()
    train, validation = RowSample(1000), RowSample(1000)
    numbers = np.arange(50_000, dtype=np.float32)
    for part in np.array_split(numbers, 50):
        train.add(hasher.hashes([part]))
        train.add(hasher.hashes([part]))
    validation.add(hasher.hashes([np.arange(40_000, 60_000, dtype=np.float32)]))
    assert not train.exact
    assert len(train._hashes) <= 1000
    assert train.repeated_share() == 0.5
    assert validation.share_in(train) == pytest.approx(0.5, abs=0.1)


def test_the_order_of_the_columns_and_the_sign_of_zero() -> None:
    hasher = RowHasher()
    ones, twos = np.array([1, 0], np.float32), np.array([2, -0.0], np.float32)
    first, second = hasher.hashes([ones, twos]), hasher.hashes([twos, ones])
    assert first[0] != second[0]
    assert first[1] == second[1]
    missing = np.array([np.nan, -np.float32(np.nan)], np.float32)
    assert len(set(hasher.hashes([missing]).tolist())) == 1
