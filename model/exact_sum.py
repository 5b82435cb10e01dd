"""Pure: sums of floats without rounding, so that the order and the split of the rows do not matter.

A sum is a whole number of units of 2⁻⁵⁰⁰. All 32-bit floats and their squares are whole numbers of
this unit.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

_UNIT_BITS = 500
_MANTISSA_BITS = 53
_LOW_BITS = 27


def exact_sum(values: NDArray[np.float64]) -> int:
    """Return the sum in units of 2⁻⁵⁰⁰.

    Args:
        values: 32-bit floats or their squares, finite, shape (rows,) with rows at most 2²⁶.
    """
    if not len(values):
        return 0
    mantissas, exponents = np.frexp(values)
    whole = (mantissas * 2.0**_MANTISSA_BITS).astype(np.int64)
    lowest = int(exponents.min())
    places = exponents - lowest
    # Each half of a mantissa has at most 27 bits, so a 64-bit float sums 2²⁶ of them exactly.
    high = np.bincount(places, weights=whole >> _LOW_BITS)
    low = np.bincount(places, weights=whole & ((1 << _LOW_BITS) - 1))
    total = 0
    for place in np.flatnonzero((high != 0) | (low != 0)).tolist():
        found = (int(high[place]) << _LOW_BITS) + int(low[place])
        total += found << (lowest + place + _UNIT_BITS - _MANTISSA_BITS)
    return total


def mean_of(total: int, count: int) -> float:
    """Return the mean of `count` (at least 1) values whose exact sum is `total`."""
    return float(Fraction(total, count << _UNIT_BITS))


def std_of(total: int, squares: int, count: int) -> float:
    """Return the population's standard deviation.

    Args:
        total: the exact sum of the values.
        squares: the exact sum of their squares.
        count: number of values, at least 1.
    """
    mean = Fraction(total, count << _UNIT_BITS)
    return math.sqrt(Fraction(squares, count << _UNIT_BITS) - mean * mean)
