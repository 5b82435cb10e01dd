"""Small datasets, and the models that are trained on them."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np

from tests.unit.model.container import train

ROOT = Path(__file__).resolve().parents[3]
HYPERPARAMETERS = {"algorithm": "logistic-regression"}


def rows(count: int, seed: int, *, noise: float = 0.3, flipped: float = 0.0) -> str:
    """Return rows of two classes, which the first of three numbers tells apart."""
    rng = np.random.default_rng(seed)
    lines = []
    for number in range(count):
        label = "ab"[number % 2]
        x = (1.0 if label == "a" else -1.0) + rng.normal(0, noise)
        shown = "ba"[number % 2] if rng.random() < flipped else label
        lines.append(f"{shown},{x:.4f},{rng.normal():.4f},{rng.normal():.4f}")
    return "\n".join(lines) + "\n"


def archive(train_rows: str, validation: str) -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as files:
        files.writestr("train.csv", train_rows)
        files.writestr("validation.csv", validation)
    return body.getvalue()


def model_of(directory: Path, train_rows: str, validation: str, **hyperparameters: str) -> bytes:
    """Train a model; return its model.tar.gz."""
    content = archive(train_rows, validation)
    done = train(
        ROOT, directory, {"dataset": {"d.zip": content}}, {**HYPERPARAMETERS, **hyperparameters}
    )
    assert done.code == 0, done.log
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz") as files:
        for path in sorted((directory / "model").iterdir()):
            files.add(path, arcname=path.name)
    return body.getvalue()
