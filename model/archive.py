"""Pure: reads a dataset zip from bytes and writes one to bytes.

    train.csv        required: no header, the label first
    validation.csv   optional
    dataset.json     optional: name, label, features, classes, source, rows; and options for
                     reading the tables: categorical (column names), dates (such as
                     {"born": "day-first"}), missing_values ("accept"),
                     missing_spellings (such as ["na", "?"]),
                     regression (true: the label is a number to predict)

The same dataset always gives the same bytes, because every entry has the
same fixed time.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import IO, Any

from model.cells import quote, spellings_of
from model.dates import DateChoice, Order
from model.entries import DESCRIPTION, MAX_UNPACKED_BYTES, TRAIN, VALIDATION, ZipEntries
from model.errors import DatasetError
from model.rows import ACCEPT, PLAIN, REFUSE, ReadOptions, decode_text
from model.table import Table, check_tables, csv_line, parse_table

# The label column's name, if neither dataset.json nor a header gives one.
DEFAULT_LABEL = "label"
# Compressing more than this well takes longer than everything else together.
_LARGE_BYTES, _FAST = 10_000_000, 1


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
        missing_spellings: cells that are missing besides empty ones and `nan`, in small letters.
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
    missing_spellings: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Description:
    """The content of dataset.json; the defaults are those of a dataset without it."""

    name: str = "dataset"
    label: str = ""
    features: tuple[str, ...] | None = None
    classes: tuple[str, ...] | None = None
    source: str = ""
    categorical: tuple[str, ...] = ()
    dates: tuple[DateChoice, ...] = ()
    accept_missing: bool = False
    regression: bool = False
    missing_spellings: frozenset[str] = frozenset()

    def add_to(self, read_options: ReadOptions, where: str) -> ReadOptions:
        """Return the job's options for reading the tables, with those of the dataset.

        Args:
            read_options: the job's options.
            where: the zip's name, for messages.

        Raises:
            DatasetError: the dataset is for a regression and the job is not.
        """
        if self.regression and not (read_options.regression or read_options.may_regress):
            raise DatasetError(
                f"{where} is a dataset for a regression, and this algorithm predicts classes; "
                "set the hyperparameter algorithm to linear-regression, or to one of trees"
            )
        return replace(
            read_options,
            categorical=read_options.categorical or self.categorical,
            dates=read_options.dates or self.dates,
            accept_missing=read_options.accept_missing or self.accept_missing,
            regression=read_options.regression or self.regression,
            missing_spellings=read_options.missing_spellings | self.missing_spellings,
        )


def read_archive(
    data: bytes | IO[bytes],
    where: str,
    *,
    sha256: str = "",
    max_bytes: int = MAX_UNPACKED_BYTES,
    read_options: ReadOptions = PLAIN,
) -> Dataset:
    """Read a dataset zip, row by row: its text is never whole in memory.

    Args:
        data: the zip's bytes, or the zip, open for reading.
        where: the file's name, for messages.
        sha256: hex digest of the bytes, stored in the dataset.
        max_bytes: limit for the unpacked size of all files together.
        read_options: the job's options; dataset.json can add to them.

    Raises:
        DatasetError: the bytes are not a zip, the zip is unsafe, or the dataset cannot be used
            for training.
    """
    file = io.BytesIO(data) if isinstance(data, bytes) else data
    train_file, validation_file = f"{where}/{TRAIN}", f"{where}/{VALIDATION}"
    with ZipEntries(file, where, max_bytes) as entries:
        described = entries.read(DESCRIPTION) if DESCRIPTION in entries.names else None
        description = parse_description(described, f"{where}/{DESCRIPTION}")
        read_options = description.add_to(read_options, where)
        features = description.features
        train = parse_table(lambda: entries.lines(TRAIN), train_file, features, read_options)
        validation = None
        if VALIDATION in entries.names:
            validation = parse_table(
                lambda: entries.lines(VALIDATION),
                validation_file,
                features,
                read_options,
                like=train,
            )
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
        else class_order(description.classes, train.counts(), train_file),
        source=description.source,
        sha256=sha256,
        accept_missing=read_options.accept_missing,
        missing_spellings=read_options.missing_spellings,
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
    return write_lines(list(map(csv_line, train)), list(map(csv_line, validation)), description)


def write_lines(train: list[str], validation: list[str], description: dict[str, Any]) -> bytes:
    """Return a dataset zip of rows that are CSV already, each with a newline at its end."""
    out = io.BytesIO()
    parts = [("".join(lines)).encode() for lines in (train, validation)]
    first, second = [(len(part), [part]) for part in parts]
    write_zip(out, first, second, description, (len(train), len(validation)))
    return out.getvalue()


def write_zip(
    out: IO[bytes],
    train: tuple[int, Iterable[bytes]],
    validation: tuple[int, Iterable[bytes]],
    description: dict[str, Any],
    rows: tuple[int, int],
) -> None:
    """Write a dataset zip; the same rows always give the same bytes, however they are divided.

    Args:
        out: a file that can be sought in.
        train: the size of train.csv in bytes, and its parts.
        validation: the same of validation.csv.
        description: the content of dataset.json, without the row counts.
        rows: the numbers of rows of both.

    Raises:
        OSError: the file cannot be written.
    """
    document = description | {"rows": {"train": rows[0], "validation": rows[1]}}
    described = (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()
    contents = {
        TRAIN: train,
        VALIDATION: validation,
        DESCRIPTION: (len(described), [described]),
    }
    # Entries that are opened by their names have the time 1980-01-01.
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, (size, parts) in contents.items():
            archive.compresslevel = _FAST if size > _LARGE_BYTES else None
            with archive.open(name, "w", force_zip64=size * 1.05 > zipfile.ZIP64_LIMIT) as entry:
                for part in parts:
                    entry.write(part)
            info = archive.getinfo(name)
            info.external_attr = 0o644 << 16
            info.create_system = 3  # the same bytes on every system


def numbered_features(width: int) -> tuple[str, ...]:
    """Return feature_1, feature_2, …: names for columns without a header."""
    return tuple(f"feature_{number}" for number in range(1, width + 1))


def parse_description(data: bytes | None, where: str) -> Description:
    """Return the content of dataset.json.

    Args:
        data: the file's bytes; None if there is none.
        where: the file's name, for messages.

    Raises:
        DatasetError: the file is not JSON, or a value is not allowed.
    """
    if data is None:
        return Description()
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
    return Description(
        name=_string(document, "name", "dataset", where),
        label=_string(document, "label", "", where),
        features=_string_list(document, "features", where),
        classes=_string_list(document, "classes", where),
        source=_string(document, "source", "", where),
        categorical=_string_list(document, "categorical", where) or (),
        dates=_dates(document, where),
        accept_missing=missing == ACCEPT,
        regression=document.get("regression") is True,
        missing_spellings=spellings_of(_string_list(document, "missing_spellings", where) or ()),
    )


def _dates(document: dict[str, Any], where: str) -> tuple[DateChoice, ...]:
    found = document.get("dates", {})
    if not isinstance(found, dict) or not all(order in [*Order] for order in found.values()):
        orders = ", ".join(map(quote, Order))
        raise DatasetError(
            f"{where}: dates must be an object that gives each column of dates one of {orders}"
        )
    return tuple((name, Order(order)) for name, order in found.items())


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


def class_order(
    declared: tuple[str, ...] | None, seen: Mapping[str, int], where: str
) -> tuple[str, ...]:
    """Return the classes in the order of the model's outputs.

    Args:
        declared: the classes that dataset.json lists, or None.
        seen: train rows by class.
        where: the table's name, for messages.

    Raises:
        DatasetError: dataset.json lists other classes than the rows have.
    """
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
