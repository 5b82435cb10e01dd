from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from model import dataset
from tests.unit.model.container import Server, TrainingResult, train

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the image's /opt/program: the package without the rest of the project."""
    directory = tmp_path_factory.mktemp("program")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "model", directory / "model", ignore=ignored)
    return directory


@pytest.fixture(scope="session")
def iris_zip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("dataset") / "iris.zip"
    assert dataset.main(["--table", "iris", "--out", str(path)]) == 0
    return path.read_bytes()


@pytest.fixture(scope="session")
def iris(
    program: Path, iris_zip: bytes, tmp_path_factory: pytest.TempPathFactory
) -> TrainingResult:
    base = tmp_path_factory.mktemp("iris")
    channels = {"dataset": {"iris-2026.zip": iris_zip}}
    return train(program, base, channels, {"n_estimators": "40", "sagemaker_region": "us-east-1"})


@pytest.fixture(scope="session")
def server(program: Path, iris: TrainingResult) -> Iterator[Server]:
    with Server(program, iris.base) as started:
        yield started
