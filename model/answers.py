"""Pure: predictions to response bodies.

    text/csv               the label, one a line; or the probabilities, in the classes' order
    application/json       {"predictions": [{"label": …, "probabilities": {class: share, …}}, …]}
    application/jsonlines  {"label": …, "probabilities": {…}}, one a line
    application/x-npy      the labels as texts; or the probabilities, shape (rows, classes)

A regression has values in their place: {"value": …}, one number a line, shape (rows,).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from model.media import CSV, JSON, LABELS, NPY, Answer
from model.table import csv_line

# Beyond the sixth digit a share is the rounding of 32 bits.
_DIGITS = 6


class Encoder:
    """Writes one model's answers."""

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        self._csv_labels = [csv_line([name]).encode() for name in classes]

    def encode(
        self, answer: Answer, numbers: NDArray[np.int64], values: NDArray[np.float32]
    ) -> bytes:
        """Return the response body.

        Args:
            answer: what the client wants.
            numbers: class numbers, shape (rows,); not read for a regression.
            values: probabilities, shape (rows, classes), or a regression's values, (rows, 1).
        """
        if answer.media_type == CSV:
            return self._csv(answer, numbers, values)
        if answer.media_type == NPY:
            return self._npy(answer, numbers, values)
        documents = self._documents(numbers, values)
        if answer.media_type == JSON:
            return orjson.dumps({"predictions": documents})
        return b"".join(orjson.dumps(item, option=orjson.OPT_APPEND_NEWLINE) for item in documents)

    def _csv(
        self, answer: Answer, numbers: NDArray[np.int64], values: NDArray[np.float32]
    ) -> bytes:
        if self.classes and answer.output == LABELS:
            labels = self._csv_labels
            return b"".join([labels[number] for number in numbers.tolist()])
        rows = _rounded(values) if self.classes else _shortest(values)
        return "".join(",".join(map(repr, row)) + "\n" for row in rows).encode()

    def _npy(
        self, answer: Answer, numbers: NDArray[np.int64], values: NDArray[np.float32]
    ) -> bytes:
        array: NDArray[Any] = values
        if not self.classes:
            array = values[:, 0]
        elif answer.output == LABELS:
            array = np.array(self.classes)[numbers]
        out = io.BytesIO()
        np.lib.format.write_array(out, array, allow_pickle=False)
        return out.getvalue()

    def _documents(
        self, numbers: NDArray[np.int64], values: NDArray[np.float32]
    ) -> list[dict[str, Any]]:
        if not self.classes:
            return [{"value": row[0]} for row in _shortest(values)]
        classes = self.classes
        return [
            {
                "label": classes[number],
                "probabilities": dict(zip(classes, shares, strict=True)),
            }
            for number, shares in zip(numbers.tolist(), _rounded(values), strict=True)
        ]


def _rounded(values: NDArray[np.float32]) -> list[list[float]]:
    return [[round(share, _DIGITS) for share in row] for row in values.tolist()]


def _shortest(values: NDArray[np.float32]) -> list[list[float]]:
    """Return the shortest decimal numbers that are these 32-bit floats."""
    return [[float(str(value)) for value in row] for row in values]
