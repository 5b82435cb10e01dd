"""A model that a job got as an input, loaded as the server loads it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.columns import Columns
from model.errors import ArtifactError
from model.model_archive import extract_members
from model.predictor import MODEL_FILE, MODEL_FILES, Predictor, load


@dataclass(frozen=True, slots=True)
class Model:
    """A model and what is known of it.

    Attributes:
        onnx_bytes: size of the ONNX file.
    """

    predictor: Predictor
    columns: Columns
    metadata: Mapping[str, Any]
    onnx_bytes: int

    @property
    def training_job(self) -> str:
        """Return the name of the training job that made it; empty if it is not known."""
        return str(self.metadata.get("lineage", {}).get("training_job_name", ""))


def read_model(directory: Path) -> Model:
    """Return the model of the only archive in a directory.

    Raises:
        ArtifactError: there is no archive, or it holds no model.
    """
    archives = sorted(path for path in directory.rglob("*") if path.is_file())
    if len(archives) != 1:
        raise ArtifactError(
            f"input '{directory.name}' holds {len(archives)} files; it must hold one model.tar.gz"
        )
    with tempfile.TemporaryDirectory() as place:
        try:
            extract_members(archives[0], MODEL_FILES, Path(place))
        except ArtifactError as error:
            raise ArtifactError(f"input '{directory.name}': {error}") from None
        predictor, columns, metadata = load(Path(place))
        return Model(predictor, columns, metadata, (Path(place) / MODEL_FILE).stat().st_size)
