"""Scores rows by a table of trees (`model.tree_table`), without ONNX Runtime.

The extension `tree_walk` is optional: it is built where a C compiler is, and in the image always.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model.predictor import Predictor

try:
    from tree_walk import Trees
except ImportError:
    Trees = None

AVAILABLE = Trees is not None
_MODEL = slice(8, 40)
_COUNTS = struct.Struct("<3I")


class TreePredictor(Predictor):
    """A table of trees: a classifier, or a regression if `classes` is empty.

    Args:
        table: the bytes of the table.
        width: numbers per row.
        classes: the class names, in the order of the outputs.

    Raises:
        ValueError: the table is damaged, or does not have this width and these classes.
    """

    engine = "its table of trees"

    def __init__(self, table: bytes, width: int, classes: Sequence[str]) -> None:
        super().__init__(width, classes)
        self._score = Trees(table).score
        found, _, of_classes = _COUNTS.unpack_from(table, _MODEL.stop)
        if (found, of_classes) != (width, len(self.classes)):
            raise ValueError(
                f"it has {found} numbers per row and {of_classes} classes, but the model metadata "
                f"has {width} and {len(self.classes)}"
            )

    def run(self, rows: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Score rows; see `Predictor.run`."""
        rows = np.ascontiguousarray(rows, np.float32)
        numbers = np.empty(len(rows), np.int64)
        values = np.empty((len(rows), self.outputs), np.float32)
        self._score(len(rows), rows, numbers, values)
        return numbers, values

    def run_buffered(self, rows: int) -> list[int]:
        """Score the rows of the buffer; see `Predictor.run_buffered`."""
        self._score(rows, self._rows, self._numbers, self._values)
        return self._first(rows)


def model_of(table: bytes) -> bytes:
    """Return the SHA-256 of the ONNX model that a table was made with."""
    return table[_MODEL]
