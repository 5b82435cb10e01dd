"""The ONNX model: loads it and scores rows.

Each session uses one thread: many instances share a laptop, and one row is too little work to
divide. Single rows go through buffers that are bound once, which halves the time of a row.
"""

from __future__ import annotations

import json
import math
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
METADATA_FILE = "metadata.json"
# The name of the same file in artifacts of earlier versions.
LEGACY_METADATA_FILE = "card.json"
METADATA_FORMAT = 1
# Rows that fit into the bound buffer.
BATCH_ROWS = 64
# Key in the ONNX model's own properties: the feature by which rows are sorted for fast scoring.
SORT_BY = "sort_by"
# From this many rows on, sorting costs less than it saves.
_MIN_SORTED_ROWS = 128


class Predictor:
    """An ONNX model: a classifier, or a regression if `classes` is empty.

    Args:
        onnx_bytes: the serialized model; its input is float32, shape (rows, width).
        width: numbers per row.
        classes: the class names, in the order of the outputs.

    Attributes:
        may_overflow: a row of finite numbers can have outputs that are not finite.

    Raises:
        ArtifactError: the model does not load, or does not have this width and these classes.
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
        if shapes[1] != (1, outputs):
            raise ArtifactError(
                f"{MODEL_FILE} has {shapes[1][-1]} classes, but the model metadata lists "
                f"{len(self.classes)}"
            )
        self._sort_by = self._feature_to_sort_by()
        # Trees only compare the numbers of a row. A model of trees has a feature to sort by.
        self.may_overflow = self._sort_by is None
        self._row_bytes = 4 * width
        self._pack = struct.Struct(f"<{width}f").pack_into
        self._rows = bytearray(BATCH_ROWS * self._row_bytes)
        self._numbers = np.zeros(BATCH_ROWS, np.int64)
        self._values = np.zeros((BATCH_ROWS, outputs), np.float32)
        self._bindings: dict[int, Any] = {}

    def run(self, rows: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return class numbers, shape (rows,), and probabilities, shape (rows, classes).

        A regression returns zeros, and values of shape (rows, 1). Several threads may call this
        at the same time.

        Args:
            rows: encoded rows, shape (rows, width).
        """
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

    def write_row(self, index: int, row: Sequence[float]) -> None:
        """Write a row into the bound buffer.

        Only one thread may call this and `run_buffered`.

        Args:
            index: place in the buffer, 0 to BATCH_ROWS - 1.
            row: `width` numbers.

        Raises:
            struct.error: the row has the wrong number of values, or they are not numbers.
            OverflowError: a value is too large for 32 bits.
        """
        self._pack(self._rows, index * self._row_bytes, *row)

    def run_buffered(self, rows: int) -> list[int]:
        """Return the class numbers of the first `rows` rows (1 to BATCH_ROWS) of the buffer.

        A row whose probabilities are not finite gets -1.
        """
        binding = self._bindings.get(rows)
        if binding is None:
            binding = self._bindings[rows] = self._bind(rows)
        self._session.run_with_iobinding(binding)
        if self.may_overflow:
            values = self._values[:rows]
            # The sum of probabilities is finite if all of them are.
            if not math.isfinite(np.add.reduce(values, axis=None)):
                self._numbers[:rows][~np.isfinite(values).all(axis=1)] = -1
        if rows == 1:
            return [self._numbers.item(0)]
        numbers: list[int] = self._numbers[:rows].tolist()
        return numbers

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


def read_metadata(directory: Path) -> dict[str, Any]:
    """Return the model metadata of a model directory.

    Artifacts of earlier versions have it in card.json.

    Raises:
        ArtifactError: the file is missing, or its content is not model metadata.
    """
    path = directory / METADATA_FILE
    legacy = directory / LEGACY_METADATA_FILE
    if legacy.exists() and not path.exists():
        path = legacy
    try:
        metadata = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ArtifactError(
            f"cannot read {path} ({error.strerror}); "
            "the model directory must hold the files that a training job of this container saved"
        ) from None
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{path.name} is not JSON: {error}") from None
    if not isinstance(metadata, dict) or metadata.get("format") != METADATA_FORMAT:
        raise ArtifactError(
            f"{path.name} does not have format {METADATA_FORMAT}; train the model again"
        )
    for name, is_list in (("classes", True), ("lineage", False)):
        value = metadata.get(name, None if is_list else {})
        if not (_is_texts(value) if is_list else isinstance(value, dict)):
            kind = "a list of strings" if is_list else "an object"
            raise ArtifactError(f"{path.name}: {name} must be {kind}; train the model again")
    return metadata


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def load(directory: Path) -> tuple[Predictor, Columns, dict[str, Any]]:
    """Return the predictor, its columns and the metadata of a model directory.

    Raises:
        ArtifactError: a file is missing, or the files do not fit together.
    """
    metadata = read_metadata(directory)
    try:
        onnx_bytes = (directory / MODEL_FILE).read_bytes()
    except OSError as error:
        raise ArtifactError(f"cannot read {directory / MODEL_FILE} ({error.strerror})") from None
    try:
        columns = Columns.from_metadata(metadata)
        width = columns.width
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ArtifactError(f"{METADATA_FILE} describes no columns: {error!r}") from None
    if not width:
        raise ArtifactError(f"{METADATA_FILE} describes no columns")
    return Predictor(onnx_bytes, columns.width, metadata["classes"]), columns, metadata
