"""Pure: reads a dataset zip from bytes and writes one to bytes.

    train.csv        required: no header, the label first
    validation.csv   optional
    dataset.json     optional: name, label, features, classes, source, rows; and options for
                     reading the tables: categorical (column names), missing_values ("accept"),
                     regression (true: the label is a number to predict)

Nothing is ever extracted to disk, and at most a fixed number of bytes is read, whatever sizes the
zip's own headers claim. The same dataset always gives the same bytes, because every entry has the
same fixed time.
"""

from __future__ import annotations

import io
import json
import stat
import struct
import zipfile
import zlib
from dataclasses import dataclass, replace
from typing import Any

from model.cells import quote
from model.errors import DatasetError
from model.table import (
    ACCEPT,
    REFUSE,
    ReadOptions,
    Table,
    check_tables,
    csv_line,
    decode_text,
    parse_table,
)

MAX_UNPACKED_BYTES = 256 * 1024 * 1024
MAX_ENTRIES = 1000
_TRAIN, _VALIDATION, _DESCRIPTION = "train.csv", "validation.csv", "dataset.json"
# Besides BadZipFile, zipfile raises these for damaged bytes and for features that it lacks.
_UNREADABLE = (
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    OverflowError,
    RuntimeError,
    NotImplementedError,
    OSError,
)
_PLAIN = ReadOptions()
# The label column's name, if neither dataset.json nor a header gives one.
DEFAULT_LABEL = "label"
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Dataset:
    """The data that a model is trained and validated on.

    Attributes:
        train: the rows to learn from.
        validation: the rows to compute the metrics on; None if the dataset has none.
        name: the dataset's display name.
        label: the label column's name.
        features: the feature columns' names, in order.
        classes: the classes, in the order of the model's outputs; empty for a regression.
        source: the origin of the table, for display.
        sha256: hex digest of the files that were read; empty for a dataset made in memory.
        accept_missing: cells may be missing.
    """

    train: Table
    validation: Table | None
    name: str = "dataset"
    label: str = DEFAULT_LABEL
    features: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    source: str = ""
    sha256: str = ""
    accept_missing: bool = False


@dataclass(frozen=True, slots=True)
class _Description:
    name: str = "dataset"
    label: str = ""
    features: tuple[str, ...] | None = None
    classes: tuple[str, ...] | None = None
    source: str = ""
    categorical: tuple[str, ...] = ()
    accept_missing: bool = False
    regression: bool = False


def read_archive(
    data: bytes,
    where: str,
    *,
    sha256: str = "",
    max_bytes: int = MAX_UNPACKED_BYTES,
    read_options: ReadOptions = _PLAIN,
) -> Dataset:
    """Read a dataset zip.

    Args:
        data: the zip's bytes.
        where: the file's name, for messages.
        sha256: hex digest of the bytes, stored in the dataset.
        max_bytes: limit for the unpacked size of all files together.
        read_options: the job's options; dataset.json can add to them.

    Raises:
        DatasetError: the bytes are not a zip, the zip is unsafe, or the dataset cannot be used
            for training.
    """
    files = _read_entries(data, where, max_bytes)
    description = _parse_description(files.get(_DESCRIPTION), f"{where}/{_DESCRIPTION}")
    train_file, validation_file = f"{where}/{_TRAIN}", f"{where}/{_VALIDATION}"
    if description.regression and not read_options.regression:
        raise DatasetError(
            f"{where} is a dataset for a regression, and this algorithm predicts classes; "
            "set the hyperparameter algorithm to linear-regression"
        )
    features = description.features
    read_options = replace(
        read_options,
        categorical=read_options.categorical or description.categorical,
        accept_missing=read_options.accept_missing or description.accept_missing,
    )
    train = parse_table(decode_text(files[_TRAIN], train_file), train_file, features, read_options)
    validation = None
    if _VALIDATION in files:
        text = decode_text(files[_VALIDATION], validation_file)
        validation = parse_table(text, validation_file, features, read_options, like=train)
    check_tables(
        train, validation, (train_file, validation_file), regression=read_options.regression
    )
    return Dataset(
        train,
        validation,
        name=description.name,
        label=description.label or train.label or DEFAULT_LABEL,
        features=features or train.names or numbered_features(train.width),
        classes=()
        if read_options.regression
        else _class_order(description.classes, train, train_file),
        source=description.source,
        sha256=sha256,
        accept_missing=read_options.accept_missing,
    )


def write_archive(
    train: list[list[str]],
    validation: list[list[str]],
    description: dict[str, Any],
) -> bytes:
    """Return a dataset zip; the same arguments always give the same bytes.

    Args:
        train: rows of cells, the label first in each.
        validation: rows of cells, the label first in each.
        description: the content of dataset.json, without the row counts.
    """
    document = description | {"rows": {"train": len(train), "validation": len(validation)}}
    contents = {
        _TRAIN: "".join(map(csv_line, train)),
        _VALIDATION: "".join(map(csv_line, validation)),
        _DESCRIPTION: json.dumps(document, indent=2, ensure_ascii=False) + "\n",
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in contents.items():
            entry = zipfile.ZipInfo(name, _FIXED_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            entry.create_system = 3  # the same bytes on every system
            archive.writestr(entry, text.encode())
    return out.getvalue()


def numbered_features(width: int) -> tuple[str, ...]:
    """Return feature_1, feature_2, …: names for columns without a header."""
    return tuple(f"feature_{number}" for number in range(1, width + 1))


def _read_entries(data: bytes, where: str, max_bytes: int) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = _check_entries(archive.infolist(), where)
            contents: dict[str, bytes] = {}
            room = max_bytes
            for name in (_TRAIN, _VALIDATION, _DESCRIPTION):
                if name in names:
                    with archive.open(name) as entry:
                        contents[name] = entry.read(room + 1)
                    room -= len(contents[name])
                    if room < 0:
                        raise DatasetError(
                            f"{where} unpacks to more than {max_bytes} bytes, which is the limit; "
                            "use fewer rows, or the train and validation channels"
                        )
            return contents
    except zipfile.BadZipFile as error:
        raise DatasetError(
            f"{where} is not a zip file ({_summarize_bytes(data)}; {error}); "
            "make one with: python -m model.dataset"
        ) from None
    except _UNREADABLE as error:
        raise DatasetError(
            f"{where} cannot be unpacked ({error}); "
            "use a plain zip, neither encrypted nor damaged, with store or deflate compression"
        ) from None


def _check_entries(entries: list[zipfile.ZipInfo], where: str) -> set[str]:
    if not entries:
        raise DatasetError(f"{where} is an empty zip; it must hold {_TRAIN}")
    if len(entries) > MAX_ENTRIES:
        raise DatasetError(f"{where} holds {len(entries)} entries; at most {MAX_ENTRIES} are read")
    names: set[str] = set()
    for entry in entries:
        name = entry.filename
        if (
            name.startswith("/")
            or "\\" in entry.orig_filename
            or ":" in name
            or ".." in name.split("/")
            or stat.S_ISLNK(entry.external_attr >> 16)
        ):
            raise DatasetError(
                f"{where} holds the unsafe entry {quote(entry.orig_filename)}; entries must be "
                "plain files inside the zip"
            )
        if name in names:
            raise DatasetError(f"{where} holds {quote(name)} twice; keep one")
        names.add(name)
    if _TRAIN not in names:
        nested = sorted(name for name in names if name.endswith("/" + _TRAIN))
        hint = (
            f"found {quote(nested[0])}: zip the files themselves, not their folder"
            if nested
            else "found " + ", ".join(quote(name) for name in sorted(names)[:5])
        )
        raise DatasetError(f"{where} has no {_TRAIN} at its top level; {hint}")
    return names


def _summarize_bytes(data: bytes) -> str:
    if not data:
        return "it has 0 bytes"
    return f"{len(data)} bytes, beginning with {quote(data[:12].decode('latin-1'))}"


def _parse_description(data: bytes | None, where: str) -> _Description:
    if data is None:
        return _Description()
    try:
        document = json.loads(decode_text(data, where))
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{where} is not JSON ({error}); fix it or leave it out") from None
    if not isinstance(document, dict):
        raise DatasetError(f"{where} must hold a JSON object with name, label, features, classes")
    missing = _string(document, "missing_values", REFUSE, where)
    if missing not in (REFUSE, ACCEPT):
        raise DatasetError(
            f"{where}: missing_values is {quote(missing)}; it must be {REFUSE} or {ACCEPT}"
        )
    return _Description(
        name=_string(document, "name", "dataset", where),
        label=_string(document, "label", "", where),
        features=_string_list(document, "features", where),
        classes=_string_list(document, "classes", where),
        source=_string(document, "source", "", where),
        categorical=_string_list(document, "categorical", where) or (),
        accept_missing=missing == ACCEPT,
        regression=document.get("regression") is True,
    )


def _string(document: dict[str, Any], key: str, default: str, where: str) -> str:
    value = document.get(key, default)
    if not isinstance(value, str):
        raise DatasetError(f"{where}: {key} must be a string")
    return value


def _string_list(document: dict[str, Any], key: str, where: str) -> tuple[str, ...] | None:
    value = document.get(key)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise DatasetError(f"{where}: {key} must be a list of strings")
    if len(set(value)) != len(value):
        raise DatasetError(f"{where}: {key} has a name twice")
    return tuple(value)


def _class_order(declared: tuple[str, ...] | None, train: Table, where: str) -> tuple[str, ...]:
    seen = train.counts()
    if declared is None:
        return tuple(sorted(seen))
    for label in seen:
        if label not in declared:
            raise DatasetError(
                f"{where} has the class {quote(label)}, which dataset.json does not list in "
                "classes; add it there or fix the row"
            )
    for label in declared:
        if label not in seen:
            raise DatasetError(
                f"{where} has no row of the class {quote(label)}, which dataset.json lists in "
                "classes; add examples or remove it from the list"
            )
    return declared
