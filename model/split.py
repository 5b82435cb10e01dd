"""Pure: a stratified split, always the same for the same labels and seed."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from model.cells import quote
from model.errors import DatasetError

# A class is rare below this share of the rows that it would have if all had as many.
_RARE = 0.2


def stratified_split(
    labels: Sequence[str], fraction: float, seed: int, where: str
) -> tuple[list[int], list[int]]:
    """Return the row numbers (from 0, ascending) to train on and those to hold out.

    `fraction` of the rows of each class are held out, but at least one and never all of them.

    Args:
        labels: one per row.
        fraction: share to hold out, above 0 and below 1.
        seed: seed of the random choice.
        where: the table's name, for messages.

    Raises:
        DatasetError: a class has only one row.
    """
    names = sorted(set(labels))
    places = {label: place for place, label in enumerate(names)}
    codes = np.fromiter(map(places.__getitem__, labels), np.int32, len(labels))
    held = held_out_rows(codes, names, fraction, seed, where)
    return np.flatnonzero(~held).tolist(), np.flatnonzero(held).tolist()


def held_out_rows(
    codes: NDArray[np.int32], names: Sequence[str], fraction: float, seed: int, where: str
) -> NDArray[np.bool_]:
    """Return which rows are held out, as `stratified_split` chooses them, shape (rows,).

    Args:
        codes: the place of each row's label in `names`, shape (rows,).
        names: the labels, each once.
        fraction: share to hold out, above 0 and below 1.
        seed: seed of the random choice.
        where: the table's name, for messages.

    Raises:
        DatasetError: a class has only one row.
    """
    order = np.argsort(codes, kind="stable")
    counts = np.bincount(codes, minlength=len(names)).tolist()
    ends = np.cumsum(counts).tolist()
    refuse_single_rows(
        {name: rows for name, rows in zip(names, counts, strict=True) if rows}, where
    )
    random_source = random.Random(seed)  # noqa: S311 - a reproducible split, no secret
    held = np.zeros(len(codes), np.bool_)
    for place in sorted(range(len(names)), key=names.__getitem__):
        rows = counts[place]
        if rows:
            chosen = random_source.sample(range(rows), held_out_of(rows, fraction))
            held[order[ends[place] - rows : ends[place]][chosen]] = True
    return held


def held_out_of(rows: int, fraction: float) -> int:
    """Return how many rows of a class are held out: a share of them, at least one, never all."""
    return min(max(1, round(rows * fraction)), rows - 1)


def refuse_single_rows(counts: Mapping[str, int], where: str) -> None:
    """Check that each class has a row to train on and one to hold out.

    Args:
        counts: rows by class.
        where: the table's name, for messages.

    Raises:
        DatasetError: a class has only one row.
    """
    singleton_classes = sorted(label for label, rows in counts.items() if rows < 2)
    if singleton_classes:
        names = ", ".join(map(quote, singleton_classes[:5]))
        raise DatasetError(
            f"{where} has a single row of {names}; a class needs at least two rows, one to train "
            "on and one to validate with: add rows of this class or remove it"
        )


def rarest_class(counts: Mapping[str, int]) -> tuple[str, float] | None:
    """Return the rarest class and its share of the rows, 0 to 1, if it is rare.

    It is, if it has less than a fifth of the rows that it would have if all had as many: of two
    classes, less than a tenth of the rows.

    Args:
        counts: rows by class.
    """
    total = sum(counts.values())
    if len(counts) < 2:
        return None
    name = min(counts, key=lambda one: (counts[one], one))
    share = counts[name] / total
    return (name, share) if share * len(counts) < _RARE else None


def rare_class(name: str, counts: Mapping[str, int]) -> str:
    """Return a sentence about a class that is rare."""
    total = sum(counts.values())
    return (
        f"class {quote(name)} has {counts[name]} of {total} rows ({counts[name] / total:.2%}), so "
        "that accuracy says little about it; look at its recall, and consider class_weight, "
        "decision_threshold and minimumMetric"
    )
