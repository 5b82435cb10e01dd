"""The training job: reads the channels, writes model.onnx and metadata.json.

    read hyperparameters and channels → fit → export → compare with scikit-learn → measure → save

After any failure, output/failure holds the reason and the exit code is not 0. A child process does
the work, so that the reason is written even if that process is killed for its memory. `fitting`
does the steps between reading and saving.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-output.html
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.channels import hold_out, read_channels, read_json_object
from model.child import Ending, run_in_child
from model.errors import ContainerError
from model.hyperparameters import parse_hyperparameters
from model.paths import MlPaths
from model.predictor import METADATA_FILE, MODEL_FILE, TABLE_FILE
from model.progress import Progress

if TYPE_CHECKING:
    from model.fitting import TrainingArtifacts

log = logging.getLogger("model.train")

_FAILURE_CHARACTERS = 1024
_LISTED_CLASSES = 20
_MEMORY_ADVICE = (
    "Use an instance type with more memory, fewer rows or columns, or a smaller model: fewer "
    "trees, a lower max_depth or a higher min_samples_leaf"
)
_PACKAGES = ("numpy", "onnx", "onnxruntime", "scikit-learn", "skl2onnx")


def run(environment: Mapping[str, str]) -> int:
    """Run the training job that an environment describes; return the exit code.

    The exit code of a job that a signal ended is 128 + the signal's number.
    """
    paths = MlPaths.from_environment(environment)
    ending = run_in_child(lambda: _run(paths, environment))
    # SIGTERM and SIGINT stop a job, which is no failure.
    if ending.signal not in (None, signal.SIGTERM, signal.SIGINT):
        reason = killed_reason(ending)
        log.error("training failed: %s", reason)
        _write_failure(paths, reason)
    return ending.code


def killed_reason(ending: Ending) -> str:
    """Return the reason of a job that a signal ended, in words."""
    assert ending.signal is not None  # noqa: S101 - the caller checked it
    peak = f"it had {ending.peak_bytes / 2**20:,.0f} MiB of memory at most"
    if ending.signal is signal.SIGKILL:
        return (
            f"the training process was killed (SIGKILL), probably because memory ran out; {peak}. "
            f"{_MEMORY_ADVICE}"
        )
    return f"the training process was ended by {ending.signal.name}; {peak}"


def _run(paths: MlPaths, environment: Mapping[str, str]) -> int:
    try:
        _train(paths, environment)
    except ContainerError as error:
        log.error("training failed: %s", error)
        _write_failure(paths, str(error))
        return 1
    except MemoryError:
        log.exception("training failed")
        _write_failure(paths, f"memory ran out during training. {_MEMORY_ADVICE}")
        return 1
    except Exception as error:
        log.exception("training failed")
        _write_failure(paths, f"{type(error).__name__}: {error} (the traceback is in the log)")
        return 1
    return 0


def _train(paths: MlPaths, environment: Mapping[str, str]) -> None:
    hyperparameters = parse_hyperparameters(read_json_object(paths.config / "hyperparameters.json"))
    with Progress("reading the dataset"):
        dataset = read_channels(paths, hyperparameters.read_options)
        own_validation = dataset.validation is not None
        dataset = hold_out(dataset, hyperparameters.validation_fraction, hyperparameters.seed)
    assert dataset.validation is not None  # noqa: S101 - hold_out made it
    by_class = dataset.train.counts()
    counts = ", ".join(f"{name} {rows}" for name, rows in list(by_class.items())[:_LISTED_CLASSES])
    if len(by_class) > _LISTED_CLASSES:
        counts += f" and {len(by_class) - _LISTED_CLASSES} more"
    log.info(
        "dataset %s: %d rows to train on, %d to validate with%s, %d features, %s",
        dataset.name,
        len(dataset.train.labels),
        len(dataset.validation.labels),
        "" if own_validation else " (held out from the training rows)",
        len(dataset.features),
        f"classes {counts}" if dataset.classes else "a value to predict",
    )
    # Imported late: a bad dataset is refused before scikit-learn is loaded.
    from model.fitting import fit_and_measure

    artifacts = fit_and_measure(dataset, hyperparameters)
    metadata = artifacts.metadata
    metadata["lineage"] = {
        "training_job_name": environment.get("TRAINING_JOB_NAME", ""),
        "training_job_arn": environment.get("TRAINING_JOB_ARN", ""),
        "dataset": {
            "name": dataset.name,
            "source": dataset.source,
            "sha256": dataset.sha256,
            "rows": {
                "train": len(dataset.train.labels),
                "validation": len(dataset.validation.labels),
            },
        },
    }
    metadata["created"] = datetime.now(UTC).isoformat(timespec="seconds")
    metadata["packages"] = {"python": sys.version.split()[0]} | {n: version(n) for n in _PACKAGES}
    _save(paths, metadata, artifacts)


def _save(paths: MlPaths, metadata: dict[str, Any], artifacts: TrainingArtifacts) -> None:
    paths.model.mkdir(parents=True, exist_ok=True)
    paths.output.mkdir(parents=True, exist_ok=True)
    for name, content in artifacts.output.items():
        write_whole(
            paths.output / name, content if isinstance(content, bytes) else json_bytes(content)
        )
    write_whole(paths.model / MODEL_FILE, artifacts.onnx_bytes)
    if artifacts.tree_table is not None:
        write_whole(paths.model / TABLE_FILE, artifacts.tree_table)
    # Written last, so a model directory that has metadata is complete.
    write_whole(paths.model / METADATA_FILE, json_bytes(metadata))
    names = [path.name for path in sorted(paths.model.iterdir())]
    log.info("saved %s in %s", ", ".join(names), paths.model)


def json_bytes(document: object) -> bytes:
    """Return a document as indented JSON in UTF-8."""
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    os.replace(partial, path)


def _write_failure(paths: MlPaths, reason: str) -> None:
    if len(reason) > _FAILURE_CHARACTERS:
        reason = reason[: _FAILURE_CHARACTERS - 1] + "…"
    try:
        paths.failure.parent.mkdir(parents=True, exist_ok=True)
        paths.failure.write_text(reason, "utf-8")
    except OSError as error:
        log.error("cannot write %s: %s", paths.failure, error)
