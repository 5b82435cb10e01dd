"""The ONNX model: load it, answer rows.

One thread a session: many instances share a laptop, and one row is too little work to divide.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from model.errors import ArtifactError

MODEL_FILE = "model.onnx"
CARD_FILE = "card.json"
CARD_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer to one row.

    Attributes:
        label: the most probable class.
        probabilities: by class, in the model's order.
    """

    label: str
    probabilities: dict[str, float]


class Predictor:
    """An ONNX classifier and the names of what goes in and comes out."""

    def __init__(self, onnx_bytes: bytes, features: Sequence[str], classes: Sequence[str]) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.features = tuple(features)
        self.classes = tuple(classes)
        try:
            self._session = onnxruntime.InferenceSession(
                onnx_bytes, options, providers=["CPUExecutionProvider"]
            )
            # The first run allocates, and shows that the model answers at all.
            numbers, probabilities = self.run(np.zeros((1, len(self.features)), np.float32))
        except Exception as error:  # onnxruntime's exceptions share no base but Exception
            raise ArtifactError(f"{MODEL_FILE} does not load: {error}") from error
        if numbers.shape != (1,) or probabilities.shape != (1, len(self.classes)):
            raise ArtifactError(
                f"{MODEL_FILE} answers {probabilities.shape[-1]} classes where {CARD_FILE} names "
                f"{len(self.classes)}"
            )

    def run(self, rows: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return class numbers, shape (rows,), and probabilities, shape (rows, classes)."""
        numbers, probabilities = self._session.run(None, {"input": rows})
        return numbers, probabilities

    def predict(self, rows: Sequence[Sequence[float]]) -> list[Prediction]:
        """Answer rows, each as wide as `features`."""
        numbers, probabilities = self.run(np.asarray(rows, dtype=np.float32))
        return [
            Prediction(
                self.classes[number],
                dict(zip(self.classes, (round(share, 6) for share in shares), strict=True)),
            )
            for number, shares in zip(numbers.tolist(), probabilities.tolist(), strict=True)
        ]


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


def load(directory: Path) -> tuple[Predictor, dict[str, Any]]:
    """Return the predictor and the card of a model directory.

    Raises:
        ArtifactError: something is missing or does not fit together.
    """
    card = read_card(directory)
    try:
        onnx_bytes = (directory / MODEL_FILE).read_bytes()
    except OSError as error:
        raise ArtifactError(f"cannot read {directory / MODEL_FILE} ({error.strerror})") from None
    return Predictor(onnx_bytes, card["features"], card["classes"]), card
