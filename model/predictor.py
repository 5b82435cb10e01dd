"""The ONNX model: load it, answer rows.

One thread a session: many instances share a laptop, and one row is too little work to divide. A
single row goes through buffers that are bound once, which saves half of its time.
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
            numbers, values = self.run(np.zeros((1, width), np.float32))
        except Exception as error:  # onnxruntime's exceptions share no base but Exception
            raise ArtifactError(f"{MODEL_FILE} does not load: {error}") from error
        if numbers.shape != (1,) or values.shape != (1, outputs):
            raise ArtifactError(
                f"{MODEL_FILE} answers {values.shape[-1]} classes where {CARD_FILE} names "
                f"{len(self.classes)}"
            )
        self._bind(outputs)

    def run(self, rows: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return class numbers, shape (rows,), and probabilities, shape (rows, classes).

        For a regression: zeros, and values of shape (rows, 1). Threads may share it.
        """
        found = self._session.run(None, {"input": rows})
        if not self.classes:
            return np.zeros(len(rows), np.int64), found[0].reshape(len(rows), 1)
        return found[0], found[1]

    def run_one(self, row: Sequence[float]) -> int:
        """Answer one row; return its class number, and leave the rest in `one`.

        For one thread alone: it reuses its buffers.

        Raises:
            struct.error: another number of values than the width, or not numbers.
            OverflowError: a value is too large for 32 bits.
        """
        self._pack(self._row, 0, *row)
        self._session.run_with_iobinding(self._binding)
        return self._number.item()

    def _bind(self, outputs: int) -> None:
        self._row = bytearray(4 * self.width)
        self._pack = struct.Struct(f"<{self.width}f").pack_into
        row = np.frombuffer(self._row, dtype=np.float32).reshape(1, self.width)
        self._number = np.zeros(1, np.int64)
        values = np.zeros((1, outputs), np.float32)
        # What `one` holds after run_one: the class number and the probabilities.
        self.one = (self._number, values)
        self._binding = self._session.io_binding()
        self._binding.bind_input("input", "cpu", 0, np.float32, row.shape, row.ctypes.data)
        targets: list[NDArray[Any]] = [values] if not self.classes else [self._number, values]
        for output, target in zip(self._session.get_outputs(), targets, strict=True):
            self._binding.bind_output(
                output.name, "cpu", 0, target.dtype.type, target.shape, target.ctypes.data
            )


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
