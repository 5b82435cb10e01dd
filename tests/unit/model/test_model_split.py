"""A stratified_split split: how many rows of each class are held out, and which ones."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import DatasetError
from model.split import stratified_split

CLASSES = st.dictionaries(st.sampled_from("abcd"), st.integers(2, 60), min_size=1)
FRACTIONS = st.floats(0.01, 0.99)


def held_of(counts: dict[str, int], fraction: float, seed: int = 0) -> Counter[str]:
    """Return how many rows of each class are held out."""
    labels = [label for label, count in counts.items() for _ in range(count)]
    _, held = stratified_split(labels, fraction, seed, "t")
    return Counter(labels[number] for number in held)


@pytest.mark.parametrize(
    ("rows", "fraction", "held"),
    [
        (50, 0.2, 10),
        (10, 0.2, 2),
        (100, 0.3, 30),
        (8, 0.3, 2),  # 2.4
        (9, 0.3, 3),  # 2.7
        (10, 0.01, 1),  # one at least is held out
        (2, 0.01, 1),
        (2, 0.99, 1),  # and one at least is kept
        (10, 0.99, 9),
    ],
)
def test_a_class_gives_its_share_rounded_to_whole_rows(
    rows: int, fraction: float, held: int
) -> None:
    assert {"a": held} == held_of({"a": rows}, fraction)


@given(CLASSES, FRACTIONS, st.integers(0, 9))
def test_each_class_gives_its_own_share(counts: dict[str, int], fraction: float, seed: int) -> None:
    held = held_of(counts, fraction, seed)
    for label, count in counts.items():
        share = min(max(count * fraction, 1), count - 1)
        assert abs(held[label] - share) <= 0.5


@given(CLASSES, FRACTIONS, st.integers(0, 9), st.randoms(use_true_random=False))
def test_both_parts_are_in_the_order_of_the_table_and_make_it_up(
    counts: dict[str, int], fraction: float, seed: int, dice: Random
) -> None:
    labels = [label for label, count in counts.items() for _ in range(count)]
    dice.shuffle(labels)
    kept, held = stratified_split(labels, fraction, seed, "t")
    assert sorted(kept) == kept
    assert sorted(held) == held
    assert sorted(kept + held) == list(range(len(labels)))
    assert (kept, held) == stratified_split(labels, fraction, seed, "t")


def test_another_seed_holds_out_other_rows_as_many_of_each_class() -> None:
    labels = ["a"] * 40 + ["b"] * 20
    drawn = {tuple(stratified_split(labels, 0.25, seed, "t")[1]) for seed in range(10)}
    assert len(drawn) == 10
    assert {(10, 5)} == {(sum(n < 40 for n in held), sum(n >= 40 for n in held)) for held in drawn}


def test_the_rows_held_out_are_from_all_over_a_class() -> None:
    held = stratified_split(["a"] * 100, 0.2, 0, "t")[1]
    assert held != list(range(20))
    assert held != list(range(80, 100))


def test_classes_of_a_single_row_are_named_five_of_them_at_most() -> None:
    with pytest.raises(DatasetError) as caught:
        stratified_split([*"gfedcba", "z", "z"], 0.2, 0, "the table t")
    assert str(caught.value) == (
        "the table t has a single row of 'a', 'b', 'c', 'd', 'e'; a class needs at least two rows, "
        "one to train on and one to validate with: add rows of this class or remove it"
    )
