"""The ONNX model: load it, answer rows.

One thread a session: many instances share a laptop, and one row is too little work to divide.
Single rows go through buffers that are bound once, which saves half of a row's time.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from model.columns import Columns
from model.errors import ArtifactError

MODEL_FILE = "model.onnx"
CARD_FILE = "card.json"
CARD_FORMAT = 1
# Rows that fit into the bound buffer.
BATCH_ROWS = 64
# In the ONNX model's metadata: the feature in whose order many rows are scored fastest.
SORT_BY = "sort_by"
# From here on, ordering rows costs less than it saves.
_SORTED_ROWS = 128


class Predictor:
    """An ONNX model: a classifier, or a regression when there are no classes.

    Args:
        onnx_bytes: the model, float32 (rows, width) in.
        width: numbers a row.
        classes: their names, in the order of the outputs.

    Raises:
        ArtifactError: it does not load, or is not of this width and these classes.
    """

    def __init__(self, onnx_bytes: bytes, width: int, classes: Sequence[str]) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.width = width
        self.classes = tuple(classes)
        outputs = max(1, len(self.classes))
        try:
            self._session = onnxruntime.InferenceSession(
                onnx_bytes, options, providers=["CPUExecutionProvider"]
            )
            # The first run allocates, and shows that the model answers at all.
            numbers, values = self._run(np.zeros((1, width), np.float32))
        except Exception as error:  # onnxruntime's exceptions share no base but Exception
            raise ArtifactError(f"{MODEL_FILE} does not load: {error}") from error
        if numbers.shape != (1,) or values.shape != (1, outputs):
            raise ArtifactError(
                f"{MODEL_FILE} answers {values.shape[-1]} classes where {CARD_FILE} names "
                f"{len(self.classes)}"
            )
        self._sort_by = self._feature_to_sort_by()
        self._row_bytes = 4 * width
        self._pack = struct.Struct(f"<{width}f").pack_into
        self._rows = bytearray(BATCH_ROWS * self._row_bytes)
        self._numbers = np.zeros(BATCH_ROWS, np.int64)
        self._values = np.zeros((BATCH_ROWS, outputs), np.float32)
        self._bindings: dict[int, Any] = {}

    def run(self, rows: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return class numbers, shape (rows,), and probabilities, shape (rows, classes).

        For a regression: zeros, and values of shape (rows, 1). Threads may share it.
        """
        if self._sort_by is None or len(rows) < _SORTED_ROWS:
            return self._run(rows)
        order = rows[:, self._sort_by].argsort()
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        numbers, values = self._run(rows[order])
        return numbers[place], values[place]

    def _feature_to_sort_by(self) -> int | None:
        text: str | None = self._session.get_modelmeta().custom_metadata_map.get(SORT_BY)
        if text is None:
            return None
        if not text.isascii() or not text.isdecimal() or int(text) >= self.width:
            raise ArtifactError(
                f"{MODEL_FILE} says {SORT_BY} '{text}'; it must be a feature, 0 to {self.width - 1}"
            )
        return int(text)

    def _run(self, rows: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        found = self._session.run(None, {"input": rows})
        if not self.classes:
            return np.zeros(len(rows), np.int64), found[0].reshape(len(rows), 1)
        return found[0], found[1]

    def put(self, at: int, row: Sequence[float]) -> None:
        """Write a row into place `at` (below BATCH_ROWS) of the bound buffer.

        For one thread alone, as is `run_put`.

        Raises:
            struct.error: another number of values than the width, or not numbers.
            OverflowError: a value is too large for 32 bits.
        """
        self._pack(self._rows, at * self._row_bytes, *row)

    def run_put(self, rows: int) -> list[int]:
        """Return the class numbers of the first rows that were put."""
        binding = self._bindings.get(rows)
        if binding is None:
            binding = self._bindings[rows] = self._bind(rows)
        self._session.run_with_iobinding(binding)
        if rows == 1:
            return [self._numbers.item(0)]
        numbers: list[int] = self._numbers[:rows].tolist()
        return numbers

    def _bind(self, rows: int) -> Any:
        """Return a binding of the first rows of the buffers, which spares a run its copies."""
        binding = self._session.io_binding()
        shape = (rows, self.width)
        address = np.frombuffer(self._rows, dtype=np.float32).ctypes.data
        binding.bind_input("input", "cpu", 0, np.float32, shape, address)
        numbers, values = self._session.get_outputs()
        place = self._numbers.ctypes.data
        binding.bind_output(numbers.name, "cpu", 0, np.int64, (rows,), place)
        shares, place = (rows, len(self.classes)), self._values.ctypes.data
        binding.bind_output(values.name, "cpu", 0, np.float32, shares, place)
        return binding


def read_card(directory: Path) -> dict[str, Any]:
    """Return the card of a model directory.

    Raises:
        ArtifactError: there is none, or it is not a card.
    """
    try:
        card = json.loads((directory / CARD_FILE).read_text("utf-8"))
    except OSError as error:
        raise ArtifactError(
            f"cannot read {directory / CARD_FILE} ({error.strerror}); "
            "the model directory must hold what a training job of this container left"
        ) from None
    except ValueError as error:
        raise ArtifactError(f"{CARD_FILE} is not JSON: {error}") from None
    if not isinstance(card, dict) or card.get("format") != CARD_FORMAT:
        raise ArtifactError(f"{CARD_FILE} is not of format {CARD_FORMAT}; train the model again")
    return card


def load(directory: Path) -> tuple[Predictor, Columns, dict[str, Any]]:
    """Return the predictor, its columns and the card of a model directory.

    Raises:
        ArtifactError: something is missing or does not fit together.
    """
    card = read_card(directory)
    try:
        onnx_bytes = (directory / MODEL_FILE).read_bytes()
    except OSError as error:
        raise ArtifactError(f"cannot read {directory / MODEL_FILE} ({error.strerror})") from None
    columns = Columns.from_card(card)
    return Predictor(onnx_bytes, columns.width, card["classes"]), columns, card
