"""Reads a training job's configuration files and the dataset in its channels.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from model.archive import DEFAULT_LABEL, Dataset, numbered_features, read_archive
from model.cells import quote
from model.errors import ContainerError, DatasetError
from model.paths import MlPaths
from model.rows import ReadOptions, decode_text
from model.split import stratified_split
from model.table import Table, check_size, check_tables, parse_table

_DATASET, _TRAIN, _VALIDATION = "dataset", "train", "validation"
_PART_BYTES = 1024 * 1024
_ALLOWED = (
    f"either '{_DATASET}' (one dataset zip) or '{_TRAIN}' and, if there is one, '{_VALIDATION}' "
    "(CSV files)"
)


def read_json_object(path: Path) -> dict[str, object]:
    """Return the object in a configuration file; an empty one if the file does not exist.

    Raises:
        ContainerError: the file is not a JSON object.
    """
    try:
        document = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError) as error:
        raise ContainerError(f"{path.name} is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise ContainerError(f"{path.name} must hold a JSON object")
    return document


def read_channels(paths: MlPaths, read_options: ReadOptions) -> Dataset:
    """Read the dataset from the job's channels.

    Args:
        paths: the job's directories.
        read_options: options for reading the tables.

    Raises:
        DatasetError: the channels are not the expected ones, or the dataset cannot be used for
            training.
    """
    configured = read_json_object(paths.config / "inputdataconfig.json")
    present = {path.name for path in paths.data.iterdir()} if paths.data.is_dir() else set()
    names = set(configured) or present
    for name, channel in configured.items():
        if isinstance(channel, dict) and channel.get("TrainingInputMode") == "Pipe":
            raise DatasetError(f"channel '{name}' is in Pipe mode; use File or FastFile")
    unknown = sorted(names - {_DATASET, _TRAIN, _VALIDATION})
    if unknown:
        raise DatasetError(f"channel {quote(unknown[0])} is not used here; give {_ALLOWED}")
    if _DATASET in names and len(names) > 1:
        raise DatasetError(f"channels {', '.join(sorted(names))} are too many; give {_ALLOWED}")
    if _DATASET in names:
        return read_zip(paths.data / _DATASET, read_options)
    if _TRAIN not in names:
        given = ", ".join(sorted(names)) or "none"
        raise DatasetError(f"no channel to train on (given: {given}); give {_ALLOWED}")
    return _read_csv(paths.data, names, read_options)


def hold_out(dataset: Dataset, fraction: float, seed: int) -> Dataset:
    """Return the dataset with validation rows: its own, or a stratified part of the train rows.

    Args:
        dataset: the dataset as it was read.
        fraction: share of the train rows to hold out, above 0 and below 1.
        seed: seed of the split.

    Raises:
        DatasetError: a class has a single row.
    """
    if dataset.validation is not None:
        return dataset
    table = dataset.train
    # The labels of a regression are not classes, so the split treats them as one class.
    labels = table.labels if dataset.classes else ("any",) * len(table.labels)
    kept, held = stratified_split(labels, fraction, seed, "the training data")
    return replace(dataset, train=table.select(kept), validation=table.select(held))


def read_zip(directory: Path, read_options: ReadOptions) -> Dataset:
    """Read the dataset of a directory whose only file is its zip.

    Raises:
        DatasetError: there is another number of files, or the dataset cannot be used for training.
    """
    files = files_of(directory)
    if len(files) != 1:
        found = ", ".join(path.name for path in files[:5]) or "none"
        raise DatasetError(
            f"channel '{_DATASET}' holds {len(files)} files ({found}); it must hold exactly one, "
            "the dataset zip: use its whole S3 key as the prefix"
        )
    with files[0].open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return read_archive(file, files[0].name, sha256=digest, read_options=read_options)


def _read_csv(data: Path, names: set[str], read_options: ReadOptions) -> Dataset:
    digest = hashlib.sha256()
    tables: dict[str, Table] = {}
    for name in (_TRAIN, _VALIDATION):
        if name not in names:
            continue
        files = files_of(data / name)
        if not files:
            raise DatasetError(f"channel '{name}' holds no file; it needs at least one CSV file")
        table: Table | None = None
        for path in files:
            where = f"{name}/{path.name}"
            with path.open("rb") as file:
                while some := file.read(_PART_BYTES):
                    digest.update(some)
            like = table or tables.get(_TRAIN)
            part = parse_table(partial(_lines, path, where), where, None, read_options, like)
            if table is not None and part.width != table.width:
                raise DatasetError(
                    f"{where} has {part.width} numbers per row, but the files before it have "
                    f"{table.width}; every file of a channel needs the same columns"
                )
            table = part if table is None else table + part
            check_size(len(table.labels), table.width, f"channel '{name}'")
        if table is not None:
            tables[name] = table
    train, validation = tables[_TRAIN], tables.get(_VALIDATION)
    channels = (f"channel '{_TRAIN}'", f"channel '{_VALIDATION}'")
    check_tables(train, validation, channels, regression=read_options.regression)
    return Dataset(
        train,
        validation,
        label=train.label or DEFAULT_LABEL,
        features=train.names or numbered_features(train.width),
        classes=() if read_options.regression else tuple(sorted(train.counts())),
        sha256=digest.hexdigest(),
        accept_missing=read_options.accept_missing,
        missing_spellings=read_options.missing_spellings,
    )


def _lines(path: Path, where: str) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from file
    except UnicodeDecodeError:
        decode_text(path.read_bytes(), where)  # says which byte it is
        raise


def files_of(directory: Path) -> list[Path]:
    """Return a directory's files at any depth, in order, without hidden and marker files."""
    return sorted(
        path
        for path in directory.rglob("*")
        if path.is_file() and not path.name.startswith((".", "_SUCCESS"))
    )
