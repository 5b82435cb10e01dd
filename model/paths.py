"""Where things are under /opt/ml.

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
        """Return the paths that an environment asks for."""
        return cls(Path(environment.get("SAGEMAKER_BASE_DIR") or "/opt/ml"))

    @property
    def config(self) -> Path:
        """Return the directory of the JSON configuration."""
        return self.base / "input" / "config"

    @property
    def data(self) -> Path:
        """Return the directory of the channels."""
        return self.base / "input" / "data"

    @property
    def model(self) -> Path:
        """Return what becomes model.tar.gz, or what was unpacked from it."""
        return self.base / "model"

    @property
    def output(self) -> Path:
        """Return what becomes output.tar.gz."""
        return self.base / "output" / "data"

    @property
    def failure(self) -> Path:
        """Return the file of the failure reason."""
        return self.base / "output" / "failure"
