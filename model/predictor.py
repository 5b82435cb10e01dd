"""A model that scores rows, and the files of a model directory.

A model of trees is scored by a table of them (`tree_predictor`), where the extension `tree_walk` is
installed; every other one, and one without a table, by ONNX Runtime (`onnx_predictor`), which is
imported only then: it takes half of a worker's memory.
"""

from __future__ import annotations

import hashlib
import json
import logging
import struct
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from model.columns import Columns
from model.errors import ArtifactError

MODEL_FILE = "model.onnx"
METADATA_FILE = "metadata.json"
# The table of trees, derived from the same estimator as the ONNX model.
TABLE_FILE = "trees.bin"
# The name of the metadata in artifacts of earlier versions.
LEGACY_METADATA_FILE = "card.json"
MODEL_FILES = frozenset({MODEL_FILE, METADATA_FILE, LEGACY_METADATA_FILE, TABLE_FILE})
METADATA_FORMAT = 1
# A larger table is neither written nor read.
MAX_TABLE_BYTES = 512 * 1024**2
# Rows that fit into the buffer of single rows.
BATCH_ROWS = 64
# Key in the ONNX model's own properties: the feature by which rows are sorted for fast scoring.
SORT_BY = "sort_by"

log = logging.getLogger("model.predictor")


class Predictor(ABC):
    """A classifier, or a regression if `classes` is empty.

    Args:
        width: numbers per row.
        classes: the class names, in the order of the outputs.

    Attributes:
        engine: what scores the rows, for the log.
        may_overflow: a row of finite numbers can have outputs that are not finite.
        outputs: probabilities of a row, or 1 for a regression's value.
    """

    engine: ClassVar[str]
    may_overflow = False

    def __init__(self, width: int, classes: Sequence[str]) -> None:
        self.width = width
        self.classes = tuple(classes)
        self.outputs = max(1, len(self.classes))
        self._row_bytes = 4 * width
        self._pack = struct.Struct(f"<{width}f").pack_into
        self._rows = bytearray(BATCH_ROWS * self._row_bytes)
        self._numbers = np.zeros(BATCH_ROWS, np.int64)
        self._values = np.zeros((BATCH_ROWS, self.outputs), np.float32)

    @abstractmethod
    def run(self, rows: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return class numbers, shape (rows,), and probabilities, shape (rows, classes).

        A regression returns zeros, and values of shape (rows, 1). Several threads may call this
        at the same time.

        Args:
            rows: encoded rows, shape (rows, width).
        """

    @abstractmethod
    def run_buffered(self, rows: int) -> list[int]:
        """Return the class numbers of the first `rows` rows (1 to BATCH_ROWS) of the buffer.

        A row whose probabilities are not finite gets -1.
        """

    def write_row(self, index: int, row: Sequence[float]) -> None:
        """Write a row into the buffer.

        Only one thread may call this and `run_buffered`.

        Args:
            index: place in the buffer, 0 to BATCH_ROWS - 1.
            row: `width` numbers.

        Raises:
            struct.error: the row has the wrong number of values, or they are not numbers.
            OverflowError: a value is too large for 32 bits.
        """
        self._pack(self._rows, index * self._row_bytes, *row)

    def _first(self, rows: int) -> list[int]:
        """Return the first class numbers of the buffer."""
        if rows == 1:
            return [self._numbers.item(0)]
        numbers: list[int] = self._numbers[:rows].tolist()
        return numbers


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
        columns = Columns.from_metadata(metadata)
        width = columns.width
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ArtifactError(f"{METADATA_FILE} describes no columns: {error!r}") from None
    if not width:
        raise ArtifactError(f"{METADATA_FILE} describes no columns")
    try:
        predictor = _of_table(directory, width, metadata["classes"])
        if predictor is None:
            onnx_bytes = (directory / MODEL_FILE).read_bytes()
    except OSError as error:
        raise ArtifactError(f"cannot read {error.filename} ({error.strerror})") from None
    if predictor is None:
        from model.onnx_predictor import OnnxPredictor

        predictor = OnnxPredictor(onnx_bytes, width, metadata["classes"])
    return predictor, columns, metadata


def _of_table(directory: Path, width: int, classes: Sequence[str]) -> Predictor | None:
    """Return the predictor of the table of trees; None where there is none to use.

    Raises:
        OSError: a file cannot be read.
    """
    from model.tree_predictor import AVAILABLE, TreePredictor, model_of

    path = directory / TABLE_FILE
    if not AVAILABLE or not path.exists():
        return None
    size = path.stat().st_size
    table = path.read_bytes() if size <= MAX_TABLE_BYTES else b""
    with (directory / MODEL_FILE).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
    try:
        if size > MAX_TABLE_BYTES:
            raise ValueError(f"it has {size} bytes; at most {MAX_TABLE_BYTES} are read")
        if model_of(table) != digest:
            raise ValueError(f"it was not made with this {MODEL_FILE}")
        return TreePredictor(table, width, classes)
    except ValueError as error:
        log.warning("%s is not used, and ONNX Runtime scores: %s", TABLE_FILE, error)
        return None
