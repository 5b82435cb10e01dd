"""Pure: encodes predictions as response bodies.

    text/csv               one label per line; or the probabilities, in the order of the classes
    application/json       {"predictions": [{"label": …, "probabilities": {class: share, …}}, …]}
    application/jsonlines  {"label": …, "probabilities": {…}}, one per line
    application/x-npy      the labels as strings; or the probabilities, shape (rows, classes)

A regression writes its values instead: {"value": …}, one number per line, shape (rows,).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from model.media import CSV, JSON, LABELS, NPY, ResponseFormat
from model.table import csv_line

# Beyond the sixth decimal, a probability shows only the rounding of 32-bit floats.
_DIGITS = 6


class ResponseEncoder:
    """Encodes the predictions of one model.

    Args:
        classes: the class names, in the order of the model's outputs; empty for a regression.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        self._csv_labels = [csv_line([name]).encode() for name in classes]

    def encode(
        self,
        response_format: ResponseFormat,
        numbers: NDArray[np.int64],
        values: NDArray[np.float32],
    ) -> bytes:
        """Return the response body.

        Args:
            response_format: the negotiated format.
            numbers: class numbers, shape (rows,); not read for a regression.
            values: probabilities, shape (rows, classes), or a regression's values, (rows, 1).
        """
        if response_format.media_type == CSV:
            return self._csv(response_format, numbers, values)
        if response_format.media_type == NPY:
            return self._npy(response_format, numbers, values)
        documents = self._documents(numbers, values)
        if response_format.media_type == JSON:
            return orjson.dumps({"predictions": documents})
        return b"".join(orjson.dumps(item, option=orjson.OPT_APPEND_NEWLINE) for item in documents)

    def _csv(
        self,
        response_format: ResponseFormat,
        numbers: NDArray[np.int64],
        values: NDArray[np.float32],
    ) -> bytes:
        if self.classes and response_format.output == LABELS:
            labels = self._csv_labels
            return b"".join([labels[number] for number in numbers.tolist()])
        rows = _rounded(values) if self.classes else _shortest(values)
        return "".join(",".join(map(repr, row)) + "\n" for row in rows).encode()

    def _npy(
        self,
        response_format: ResponseFormat,
        numbers: NDArray[np.int64],
        values: NDArray[np.float32],
    ) -> bytes:
        array: NDArray[Any] = values
        if not self.classes:
            array = values[:, 0]
        elif response_format.output == LABELS:
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
    """Return the shortest decimal numbers that read back as these 32-bit floats."""
    return [[float(str(value)) for value in row] for row in values]
