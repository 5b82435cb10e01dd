"""The paths of the container contract under /opt/ml.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class MlPaths:
    """The directories of the container contract.

    Attributes:
        base: /opt/ml, or SAGEMAKER_BASE_DIR.
    """

    base: Path

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> MlPaths:
        """Return the paths under SAGEMAKER_BASE_DIR, or under /opt/ml if it is not set."""
        return cls(Path(environment.get("SAGEMAKER_BASE_DIR") or "/opt/ml"))

    @property
    def config(self) -> Path:
        """Return the directory of the JSON configuration files."""
        return self.base / "input" / "config"

    @property
    def data(self) -> Path:
        """Return the directory of the channels."""
        return self.base / "input" / "data"

    @property
    def model(self) -> Path:
        """Return the directory that is packed into, or was unpacked from, model.tar.gz."""
        return self.base / "model"

    @property
    def output(self) -> Path:
        """Return the directory that is packed into output.tar.gz."""
        return self.base / "output" / "data"

    @property
    def failure(self) -> Path:
        """Return the file that holds the reason of a failed job."""
        return self.base / "output" / "failure"

    @property
    def processing(self) -> Path:
        """Return the directory of a processing job's inputs and outputs."""
        return self.base / "processing"

    @property
    def message(self) -> Path:
        """Return the file that holds a processing job's exit message."""
        return self.base / "output" / "message"
