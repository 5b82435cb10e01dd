"""Scores rows by ONNX Runtime.

Each session uses one thread: many instances share a laptop, and one row is too little work to
divide. Single rows go through buffers that are bound once, which halves the time of a row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from model.errors import ArtifactError
from model.predictor import MODEL_FILE, SORT_BY, Predictor

# From this many rows on, sorting costs less than it saves.
_MIN_SORTED_ROWS = 128


class OnnxPredictor(Predictor):
    """An ONNX model: a classifier, or a regression if `classes` is empty.

    Args:
        onnx_bytes: the serialized model; its input is float32, shape (rows, width).
        width: numbers per row.
        classes: the class names, in the order of the outputs.

    Raises:
        ArtifactError: the model does not load, or does not have this width and these classes.
    """

    engine = "ONNX Runtime"

    def __init__(self, onnx_bytes: bytes, width: int, classes: Sequence[str]) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        super().__init__(width, classes)
        try:
            self._session = onnxruntime.InferenceSession(
                onnx_bytes, options, providers=["CPUExecutionProvider"]
            )
            # The first run allocates memory and proves that the model can score a row.
            numbers, values = self._run(np.zeros((1, width), np.float32))
            shapes: tuple[tuple[int, ...], ...] = (numbers.shape, values.shape)
            types = [str(numbers.dtype), str(values.dtype)]
        except Exception as error:  # onnxruntime's exceptions have no other common base
            raise ArtifactError(f"{MODEL_FILE} does not load: {error}") from error
        if types != ["int64", "float32"]:
            raise ArtifactError(
                f"{MODEL_FILE} has outputs of the types {types[0]} and {types[1]}; they must be "
                "int64 and float32"
            )
        if shapes[0] != (1,) or len(shapes[1]) != 2:
            raise ArtifactError(
                f"{MODEL_FILE} has outputs of the shapes {shapes[0]} and {shapes[1]} for one row; "
                "they must be (1,) and (1, classes)"
            )
        if shapes[1] != (1, self.outputs):
            raise ArtifactError(
                f"{MODEL_FILE} has {shapes[1][-1]} classes, but the model metadata lists "
                f"{len(self.classes)}"
            )
        self._sort_by = self._feature_to_sort_by()
        # Trees only compare the numbers of a row. A model of trees has a feature to sort by.
        self.may_overflow = self._sort_by is None
        self._bindings: dict[int, Any] = {}

    def run(self, rows: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Score rows; see `Predictor.run`."""
        if self._sort_by is None or len(rows) < _MIN_SORTED_ROWS:
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
                f"{MODEL_FILE} has {SORT_BY} '{text}'; it must be a feature, 0 to {self.width - 1}"
            )
        return int(text)

    def _run(self, rows: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        found = self._session.run(None, {"input": rows})
        if not self.classes:
            return np.zeros(len(rows), np.int64), found[0].reshape(len(rows), 1)
        return found[0], found[1]

    def run_buffered(self, rows: int) -> list[int]:
        """Score the rows of the buffer; see `Predictor.run_buffered`."""
        binding = self._bindings.get(rows)
        if binding is None:
            binding = self._bindings[rows] = self._bind(rows)
        self._session.run_with_iobinding(binding)
        if self.may_overflow:
            values = self._values[:rows]
            # The sum of probabilities is finite if all of them are.
            if not math.isfinite(np.add.reduce(values, axis=None)):
                self._numbers[:rows][~np.isfinite(values).all(axis=1)] = -1
        return self._first(rows)

    def _bind(self, rows: int) -> Any:
        """Bind the first `rows` rows of the buffers, which avoids copies in every run."""
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
