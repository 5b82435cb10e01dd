"""Pure: a stratified split, always the same for the same labels and seed."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from model.cells import quote
from model.errors import DatasetError


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
        count = min(max(1, round(len(numbers) * fraction)), len(numbers) - 1)
        held_out.update(random_source.sample(numbers, count))
    kept = [number for number in range(len(labels)) if number not in held_out]
    return kept, sorted(held_out)


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
