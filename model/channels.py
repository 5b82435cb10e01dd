"""What SageMaker mounted for a training job: its configuration, and the channels' dataset.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

from model.archive import DEFAULT_LABEL, Dataset, numbered_features, read_archive
from model.cells import quote
from model.errors import ContainerError, DatasetError
from model.paths import MlPaths
from model.split import stratified
from model.table import Reading, Table, check_tables, decode_text, parse_table

_DATASET, _TRAIN, _VALIDATION = "dataset", "train", "validation"
_ALLOWED = (
    f"either '{_DATASET}' (one dataset zip) or '{_TRAIN}' and, if there is one, '{_VALIDATION}' "
    "(CSV files)"
)


def read_json_object(path: Path) -> dict[str, object]:
    """Return a configuration file's object; empty if there is no such file.

    Raises:
        ContainerError: it is not a JSON object.
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


def read_channels(paths: MlPaths, reading: Reading) -> Dataset:
    """Read the dataset from the channels that the job was given.

    Args:
        paths: of the job.
        reading: what the tables may hold.

    Raises:
        DatasetError: wrong channels, or a dataset that cannot be trained on.
    """
    configured = read_json_object(paths.config / "inputdataconfig.json")
    present = {path.name for path in paths.data.iterdir()} if paths.data.is_dir() else set()
    names = set(configured) or present
    for name, channel in configured.items():
        if isinstance(channel, dict) and channel.get("TrainingInputMode") == "Pipe":
            raise DatasetError(f"channel '{name}' is in Pipe mode; use File or FastFile")
    unknown = sorted(names - {_DATASET, _TRAIN, _VALIDATION})
    if unknown:
        raise DatasetError(f"channel {quote(unknown[0])} is not read here; give {_ALLOWED}")
    if _DATASET in names and len(names) > 1:
        raise DatasetError(f"channels {', '.join(sorted(names))} are too many; give {_ALLOWED}")
    if _DATASET in names:
        return _read_zip(paths.data / _DATASET, reading)
    if _TRAIN not in names:
        given = ", ".join(sorted(names)) or "none"
        raise DatasetError(f"no channel to train on (given: {given}); give {_ALLOWED}")
    return _read_csv(paths.data, names, reading)


def hold_out(dataset: Dataset, fraction: float, seed: int) -> Dataset:
    """Return the dataset with validation rows: its own, or a stratified part of the train rows.

    Raises:
        DatasetError: a class has a single row.
    """
    if dataset.validation is not None:
        return dataset
    table = dataset.train
    # The values of a regression are no classes to be divided each.
    labels = table.labels if dataset.classes else ("any",) * len(table.labels)
    kept, held = stratified(labels, fraction, seed, "the training data")
    return replace(dataset, train=table.select(kept), validation=table.select(held))


def _read_zip(directory: Path, reading: Reading) -> Dataset:
    files = _files(directory)
    if len(files) != 1:
        found = ", ".join(path.name for path in files[:5]) or "none"
        raise DatasetError(
            f"channel '{_DATASET}' holds {len(files)} files ({found}); it must hold exactly one, "
            "the dataset zip: give its whole S3 key as the prefix"
        )
    data = files[0].read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    return read_archive(data, files[0].name, sha256=digest, reading=reading)


def _read_csv(data: Path, names: set[str], reading: Reading) -> Dataset:
    digest = hashlib.sha256()
    tables: dict[str, Table] = {}
    for name in (_TRAIN, _VALIDATION):
        if name not in names:
            continue
        files = _files(data / name)
        if not files:
            raise DatasetError(f"channel '{name}' holds no file; it needs at least one CSV file")
        table: Table | None = None
        for path in files:
            content = path.read_bytes()
            digest.update(content)
            where = f"{name}/{path.name}"
            like = table or tables.get(_TRAIN)
            part = parse_table(decode_text(content, where), where, None, reading, like)
            if table is not None and part.width != table.width:
                raise DatasetError(
                    f"{where} has {part.width} numbers a row where the files before it have "
                    f"{table.width}; every file of a channel needs the same columns"
                )
            table = part if table is None else table + part
        if table is not None:
            tables[name] = table
    train, validation = tables[_TRAIN], tables.get(_VALIDATION)
    channels = (f"channel '{_TRAIN}'", f"channel '{_VALIDATION}'")
    check_tables(train, validation, channels, regression=reading.regression)
    return Dataset(
        train,
        validation,
        label=train.label or DEFAULT_LABEL,
        features=train.names or numbered_features(train.width),
        classes=() if reading.regression else tuple(sorted(train.counts())),
        sha256=digest.hexdigest(),
        accept_missing=reading.accept_missing,
    )


def _files(directory: Path) -> list[Path]:
    return sorted(
        path
        for path in directory.rglob("*")
        if path.is_file() and not path.name.startswith((".", "_SUCCESS"))
    )
