"""Pure: a stratified split, always the same for the same labels and seed."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

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
    by_class: dict[str, list[int]] = {}
    for number, label in enumerate(labels):
        by_class.setdefault(label, []).append(number)
    refuse_single_rows({label: len(numbers) for label, numbers in by_class.items()}, where)
    random_source = random.Random(seed)  # noqa: S311 - a reproducible split, no secret
    held_out: set[int] = set()
    for label in sorted(by_class):
        numbers = by_class[label]
        held_out.update(random_source.sample(numbers, held_out_of(len(numbers), fraction)))
    kept = [number for number in range(len(labels)) if number not in held_out]
    return kept, sorted(held_out)


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
