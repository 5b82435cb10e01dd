"""Pure: summaries of a stream of values, of a bounded size, that do not depend on its order.

    QuantileSketch   the distribution of a column of numbers
    RowSample        equal rows, in one table and between two

Source: the idea of both is to raise the resolution's step, or the share of rows that is left out,
just so far that the summary fits. The smallest step that fits depends on the values only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SIGN = np.uint32(0x8000_0000)
_GOLDEN = np.uint64(0x9E37_79B9_7F4A_7C15)
_FIRST, _SECOND = np.uint64(0xBF58_476D_1CE4_E5B9), np.uint64(0x94D0_49BB_1331_11EB)
# Hashes of strings that are remembered.
_REMEMBERED = 10_000


class QuantileSketch:
    """The distribution of a column of 32-bit floats.

    Args:
        limit: number of distinct values that are kept at most. Up to it, the sketch is exact.
            Beyond it, values that share their leading bits are one, and the sketch keeps as many
            of a value's 32 bits as fit.

    Attributes:
        rows: number of values.
    """

    def __init__(self, limit: int = 4096) -> None:
        self.rows = 0
        self._limit = limit
        self._dropped = np.uint32(0)
        self._keys = np.empty(0, np.uint32)
        self._counts = np.empty(0, np.int64)
        self._pending: list[NDArray[np.float32]] = []
        self._waiting = 0

    @property
    def dropped_bits(self) -> int:
        """Return the number of low bits of a 32-bit float that are not kept, 0 if it is exact."""
        self._merge()
        return int(self._dropped)

    def add(self, values: NDArray[np.float32]) -> None:
        """Count values, none of which is NaN."""
        self.rows += len(values)
        self._pending.append(values)
        self._waiting += len(values)
        if self._waiting >= 4 * self._limit:
            self._merge()

    def distribution(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return the distinct values in order, and the number of rows of each.

        A value that stands for several is the one in the middle of their range.
        """
        self._merge()
        half = np.uint32((1 << int(self._dropped)) >> 1)
        ordered = (self._keys << self._dropped) + half
        bits = np.where(ordered & _SIGN, ordered ^ _SIGN, ~ordered)
        return bits.view(np.float32).astype(np.float64), self._counts

    def _merge(self) -> None:
        if not self._pending:
            return
        # 0.0 is added because -0.0 is equal to 0.0, and its bits are not.
        bits = (np.concatenate(self._pending) + np.float32(0)).view(np.uint32)
        ordered = np.where(bits & _SIGN, ~bits, bits | _SIGN) >> self._dropped
        keys, counts = np.unique(ordered, return_counts=True)
        self._pending, self._waiting = [], 0
        self._keys, self._counts = _sum_up(
            np.concatenate((self._keys, keys)), np.concatenate((self._counts, counts))
        )
        while len(self._keys) > self._limit:
            self._dropped += np.uint32(1)
            self._keys, self._counts = _sum_up(self._keys >> np.uint32(1), self._counts)


class RowSample:
    """The hashes of rows, exact up to a limit, and beyond it of a share of them.

    Beyond the limit, the rows are kept whose hash begins with enough zero bits. Equal rows have
    equal hashes, so all of them are kept, or none, and in another table as well.

    Args:
        limit: number of distinct hashes that are kept at most, 16 bytes each.

    Attributes:
        rows: number of rows.
    """

    def __init__(self, limit: int = 2**19) -> None:
        self.rows = 0
        self._limit = limit
        self._zeros = 0
        self._hashes = np.empty(0, np.uint64)
        self._counts = np.empty(0, np.int64)
        self._pending: list[NDArray[np.uint64]] = []
        self._waiting = 0

    @property
    def exact(self) -> bool:
        """Return True if every row is in the sample."""
        self._merge()
        return self._zeros == 0

    def add(self, hashes: NDArray[np.uint64]) -> None:
        """Count rows by their hashes."""
        self.rows += len(hashes)
        kept = hashes[self._begin_with_zeros(hashes, self._zeros)]
        self._pending.append(kept)
        self._waiting += len(kept)
        if 4 * self._waiting >= self._limit:
            self._merge()

    def repeated_share(self) -> float:
        """Return the share of the rows that repeat an earlier one, 0 to 1."""
        self._merge()
        total = int(self._counts.sum())
        return (total - len(self._counts)) / total if total else 0.0

    def share_in(self, other: RowSample) -> float:
        """Return the share of these rows that the other table has, too, 0 to 1."""
        self._merge()
        other._merge()
        zeros = max(self._zeros, other._zeros)
        mine = self._begin_with_zeros(self._hashes, zeros)
        total = int(self._counts[mine].sum())
        if not total:
            return 0.0
        common = np.isin(self._hashes[mine], other._hashes, assume_unique=True)
        return int(self._counts[mine][common].sum()) / total

    @staticmethod
    def _begin_with_zeros(hashes: NDArray[np.uint64], zeros: int) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = hashes <= np.uint64((1 << (64 - zeros)) - 1)
        return found

    def _merge(self) -> None:
        if not self._pending:
            return
        hashes, counts = np.unique(np.concatenate(self._pending), return_counts=True)
        self._pending, self._waiting = [], 0
        self._hashes, self._counts = _sum_up(
            np.concatenate((self._hashes, hashes)), np.concatenate((self._counts, counts))
        )
        while len(self._hashes) > self._limit:
            self._zeros += 1
            kept = self._begin_with_zeros(self._hashes, self._zeros)
            self._hashes, self._counts = self._hashes[kept], self._counts[kept]


class RowHasher:
    """The hashes of rows as the model sees them: numbers of 32 bits, and strings."""

    def __init__(self) -> None:
        self._strings: dict[str, int] = {}

    def hashes(self, columns: Sequence[NDArray[np.float32] | Sequence[str]]) -> NDArray[np.uint64]:
        """Return the hash of each row.

        Args:
            columns: the table's columns, of the same length each.
        """
        found = np.zeros(len(columns[0]), np.uint64)
        with np.errstate(over="ignore"):
            for number, column in enumerate(columns, 1):
                found = _mix((found ^ self._bits(column)) + _GOLDEN * np.uint64(number))
        return found

    def _bits(self, column: NDArray[np.float32] | Sequence[str]) -> NDArray[np.uint64]:
        if isinstance(column, np.ndarray):
            numbers = column + np.float32(0)
            numbers[np.isnan(numbers)] = np.nan  # one NaN of the many
            return numbers.view(np.uint32).astype(np.uint64)
        return np.array([self._of_string(text) for text in column], np.uint64)

    def _of_string(self, text: str) -> int:
        found = self._strings.get(text)
        if found is None:
            digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8)
            found = int.from_bytes(digest.digest())
            if len(self._strings) >= _REMEMBERED:
                self._strings.clear()
            self._strings[text] = found
        return found


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return well spread bits for each value.

    Source: splitmix64, https://prng.di.unimi.it/splitmix64.c
    """
    values = (values ^ (values >> np.uint64(30))) * _FIRST
    values = (values ^ (values >> np.uint64(27))) * _SECOND
    mixed: NDArray[np.uint64] = values ^ (values >> np.uint64(31))
    return mixed


def _sum_up(
    keys: NDArray[Any], counts: NDArray[np.int64]
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the distinct keys in order, and the sum of the counts of each."""
    distinct, at = np.unique(keys, return_inverse=True)
    sums = np.zeros(len(distinct), np.int64)
    np.add.at(sums, at, counts)
    return distinct, sums
