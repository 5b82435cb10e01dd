"""The command that makes a dataset zip: `python -m model.dataset`.

    --table iris|wine|breast_cancer|digits|diabetes --out FILE.zip
    --csv FILE --label COLUMN --out FILE.zip
          [--categorical auto|NAME,NAME] [--missing-values accept] [--regression]

It prints one line: a summary of the zip, with exit code 0, or an error, with exit code 1.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path

import numpy as np

from model.archive import write_lines
from model.batches import categories_of, numbers_of, plain_rows
from model.cells import NotANumberError, is_missing, parse_number, quote
from model.errors import DatasetError
from model.rows import (
    ACCEPT,
    AUTO,
    PLAIN,
    REFUSE,
    ReadOptions,
    column_names,
    decode_text,
    non_numeric_columns,
    read_records,
)
from model.split import stratified_split
from model.table import csv_line

TABLES = ("iris", "wine", "breast_cancer", "digits", "diabetes")
# The label of this table is a measurement, so it trains a regression.
_REGRESSION_TABLE = "diabetes"
# Rows that are checked together.
_BATCH = 4096
_DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t"}


@dataclass(frozen=True, slots=True)
class NamedTable:
    """A table of strings with named columns.

    Attributes:
        name: the dataset's name.
        source: the origin of the table, for display.
        label: the label column's name.
        features: the names of the other columns, in order.
        labels: one per row, verbatim.
        lines: the rows as CSV, the label first, each with a newline at its end.
        read_options: options for reading the cells, with "auto" resolved to column names.
    """

    name: str
    source: str
    label: str
    features: tuple[str, ...]
    labels: list[str]
    lines: list[str]
    read_options: ReadOptions = PLAIN


def shipped_table(name: str) -> NamedTable:
    """Return one of the TABLES, which scikit-learn ships."""
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")()
    regression = name == _REGRESSION_TABLE
    labels = [
        _short(number) if regression else str(bunch.target_names[number])
        for number in bunch.target.tolist()
    ]
    rows = [
        [label, *map(_short, row)] for label, row in zip(labels, bunch.data.tolist(), strict=True)
    ]
    return NamedTable(
        name,
        f"sklearn.datasets.load_{name}",
        "progression" if regression else "class",
        tuple(str(feature) for feature in bunch.feature_names),
        labels,
        list(map(csv_line, rows)),
        ReadOptions(regression=regression),
    )


def table_from_csv(
    text: str,
    where: str,
    label: str,
    *,
    drop: Sequence[str] = (),
    delimiter: str = ",",
    read_options: ReadOptions = PLAIN,
) -> NamedTable:
    """Read a CSV text with a header.

    Args:
        text: the file's content.
        where: the file's name, for messages.
        label: the column that holds the class.
        drop: columns to leave out.
        delimiter: the character between two cells.
        read_options: options for reading the cells; a header is required in any case.

    Raises:
        DatasetError: a named column does not exist, a column name occurs twice, a cell is not
            allowed, or the file has no rows.
    """
    return _table_of(
        lambda: io.StringIO(text, newline=""), where, label, drop, delimiter, read_options
    )


def _table_of(
    lines: Callable[[], Iterable[str]],
    where: str,
    label: str,
    drop: Sequence[str],
    delimiter: str,
    read_options: ReadOptions,
) -> NamedTable:
    rest = iter(lines())
    first = next(read_records(rest, where, delimiter), None)
    if first is None:
        raise DatasetError(f"{where} is empty; it needs a header line and rows")
    header = [cell.strip() for cell in first[1]]
    _check_header(header, where, label, drop)
    label_at = header.index(label)
    feature_at = [i for i, name in enumerate(header) if i != label_at and name not in drop]
    features = tuple(header[i] for i in feature_at)
    if read_options.categorical == (AUTO,):
        again = read_records(lines(), where, delimiter)
        next(again)
        found = non_numeric_columns(again, feature_at)
        read_options = replace(
            read_options, categorical=tuple(header[at] for at in feature_at if at in found)
        )
    for name in read_options.categorical:
        if name not in features:
            known = ", ".join(map(quote, features))
            raise DatasetError(
                f"--categorical names {quote(name)}, which is not a feature column of {where}; "
                f"the feature columns are {known}"
            )
    places = _Places(header, label_at, feature_at)
    labels: list[str] = []
    written: list[str] = []
    before = first[0]
    last = label_at == len(header) - 1
    if delimiter == "," and not drop and not read_options.categorical and (last or not label_at):
        while chunk := list(islice(rest, _BATCH)):
            plain = plain_rows(chunk, len(features), label_last=last)
            if plain is None or (read_options.regression and numbers_of(plain[0]) is None):
                # The rest is read with more care, and half as fast.
                rest = chain(chunk, rest)
                break
            labels += plain[0]
            written += _plain_lines(chunk, plain[0], label_last=last)
            before += len(chunk)
    records = read_records(rest, where, delimiter, before)
    while True:
        batch: list[tuple[int, list[str]]] = []
        not_csv: DatasetError | None = None
        try:
            batch.extend(islice(records, _BATCH))
        except DatasetError as error:
            # The rows before it are looked at first, so that the first error is reported.
            not_csv = error
        cells = _checked(batch, places, where, read_options)
        labels += [row[0] for row in cells]
        written += _lines(cells)
        if not_csv is not None:
            raise not_csv
        if len(batch) < _BATCH:
            break
    if not labels:
        raise DatasetError(f"{where} has a header and 0 rows")
    return NamedTable(
        Path(where).stem, Path(where).name, label, features, labels, written, read_options
    )


@dataclass(frozen=True, slots=True)
class _Places:
    """The places of the columns of a CSV file: its header, and indexes from 0."""

    header: list[str]
    label: int
    features: list[int]


def _checked(
    batch: list[tuple[int, list[str]]], places: _Places, where: str, read_options: ReadOptions
) -> list[Sequence[str]]:
    """Return the rows of a batch, the label first and the other cells trimmed.

    Raises:
        DatasetError: a cell is not allowed.
    """
    return _whole(batch, places, read_options) or [
        _row(line, cells, places, where, read_options) for line, cells in batch
    ]


def _whole(
    batch: list[tuple[int, list[str]]], places: _Places, read_options: ReadOptions
) -> list[Sequence[str]] | None:
    """Return the rows of a batch by columns, or None if a cell may be wrong."""
    if {len(cells) for _, cells in batch} != {len(places.header)}:
        return None
    columns = list(zip(*(cells for _, cells in batch), strict=True))
    labels = columns[places.label]
    if not all(map(str.strip, labels)):
        return None
    if read_options.regression and numbers_of(labels) is None:
        return None
    accept = read_options.accept_missing
    found: list[Sequence[str]] = [labels]
    for at in places.features:
        cells = columns[at]
        if places.header[at] in read_options.categorical:
            categories = categories_of(cells, accept_missing=accept)
            if categories is None:
                return None
            found.append(categories)
            continue
        numbers = numbers_of(cells, accept_missing=accept)
        if numbers is None:
            return None
        trimmed = [cell.strip() for cell in cells]
        for missing in np.flatnonzero(np.isnan(numbers)).tolist():
            trimmed[missing] = ""
        found.append(trimmed)
    return list(zip(*found, strict=True))


def _row(
    line: int, cells: list[str], places: _Places, where: str, read_options: ReadOptions
) -> Sequence[str]:
    header = places.header
    label = header[places.label]
    if len(cells) != len(header):
        raise DatasetError(
            f"{where}, row {line}: {len(cells)} columns, but the header has {len(header)}"
        )
    if not cells[places.label].strip():
        raise DatasetError(f"{where}, row {line}: the label column {quote(label)} is empty")
    if read_options.regression:
        advice = "the label of a regression must be a number"
        _number(cells[places.label], where, line, label, advice)
    others = [_cell(cells[i], where, line, header[i], read_options) for i in places.features]
    return [cells[places.label], *others]


def _plain_lines(lines: list[str], labels: list[str], *, label_last: bool) -> list[str]:
    """Return lines with the label first, each with a newline at its end."""
    ends = [line.rstrip("\r\n") for line in lines]
    if label_last:
        ends = [
            f"{label},{line[: -len(label) - 1]}" for label, line in zip(labels, ends, strict=True)
        ]
    return [line + "\n" for line in ends]


def _lines(rows: list[Sequence[str]]) -> list[str]:
    """Return each row as CSV, with a newline at its end."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    text = out.getvalue()
    # A quoted cell may hold a line end.
    if '"' in text:
        return list(map(csv_line, rows))
    return [line + "\n" for line in text.split("\n")[:-1]]


def build(table: NamedTable, validation_fraction: float, seed: int) -> tuple[bytes, str]:
    """Return the dataset zip of a table and a one-line summary.

    Args:
        table: the rows.
        validation_fraction: share of the rows to hold out, above 0 and below 1.
        seed: seed of the split.

    Raises:
        DatasetError: the table has a single class, or a class with a single row.
    """
    classes = Counter(table.labels)
    regression = table.read_options.regression
    if len(classes) < 2:
        raise DatasetError(
            f"{table.source}: every row of the label column {quote(table.label)} is "
            f"{quote(table.labels[0])}; a classifier needs at least two classes"
        )
    # The labels of a regression are not classes, so the split treats them as one class.
    strata = ["any"] * len(table.labels) if regression else table.labels
    kept, held = stratified_split(strata, validation_fraction, seed, table.source)
    parts = [[table.lines[i] for i in numbers] for numbers in (kept, held)]
    description: dict[str, object] = {
        "name": table.name,
        "label": table.label,
        "features": list(table.features),
    }
    if regression:
        description["regression"] = True
    else:
        description["classes"] = sorted(classes)
    if table.read_options.categorical:
        description["categorical"] = list(table.read_options.categorical)
    if table.read_options.accept_missing:
        description["missing_values"] = ACCEPT
    description["source"] = table.source
    content = write_lines(parts[0], parts[1], description)
    shown = ", ".join(f"{name} {classes[name]}" for name in sorted(classes)[:10])
    shown = f"{len(classes)} classes ({shown}{', …' if len(classes) > 10 else ''})"
    categorical = len(table.read_options.categorical)
    features = f"{len(table.features)} features"
    if categorical:
        features += f" ({categorical} categorical)"
    summary = (
        f"{len(table.lines)} rows ({len(kept)} to train on, {len(held)} to validate with), "
        f"{features}, {'a value to predict' if regression else shown}, "
        f"sha256 {hashlib.sha256(content).hexdigest()[:12]}"
    )
    return content, summary


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        if options.csv is not None and options.label is None:
            raise DatasetError("--csv needs --label COLUMN, the column that holds the class")
        if not 0 < options.validation_fraction < 1:
            raise DatasetError(
                f"--validation-fraction is {options.validation_fraction:g}; "
                "it must be above 0 and below 1, for example 0.2"
            )
        table = shipped_table(options.table) if options.table else _read(options)
        content, summary = build(table, options.validation_fraction, options.seed)
        _write(options.out, content)
    except DatasetError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(f"wrote {options.out}: {summary}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m model.dataset", description="Make a dataset zip for a training job."
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--table", choices=TABLES, help="a real table that scikit-learn ships")
    source.add_argument("--csv", type=Path, help="a CSV file with a header line")
    parser.add_argument("--label", help="the CSV column that holds the class")
    parser.add_argument(
        "--drop", action="append", default=[], help="a CSV column to leave out, such as an id"
    )
    parser.add_argument(
        "--categorical",
        metavar="NAMES",
        help="categorical CSV columns, separated by commas; auto: columns that are not all numbers",
    )
    parser.add_argument(
        "--missing-values",
        choices=(REFUSE, ACCEPT),
        default=REFUSE,
        help="accept or refuse CSV cells that are empty or nan; default refuse",
    )
    parser.add_argument(
        "--regression", action="store_true", help="the CSV label is a number to predict"
    )
    parser.add_argument("--delimiter", choices=tuple(_DELIMITERS), default="comma")
    parser.add_argument("--out", type=Path, required=True, help="the zip to write")
    parser.add_argument("--validation-fraction", type=float, default=0.2, help="default 0.2")
    parser.add_argument("--seed", type=int, default=0, help="seed of the split, default 0")
    return parser


def _read(options: argparse.Namespace) -> NamedTable:
    path: Path = options.csv
    delimiter = _DELIMITERS[options.delimiter]
    read_options = ReadOptions(
        categorical=column_names(options.categorical or ""),
        accept_missing=options.missing_values == ACCEPT,
        regression=options.regression,
    )
    # The file is read line by line: it may be as large as a dataset's limit.
    with ExitStack() as opened:

        def lines() -> Iterable[str]:
            return opened.enter_context(path.open(encoding="utf-8-sig", newline=""))

        try:
            return _table_of(lines, str(path), options.label, options.drop, delimiter, read_options)
        except OSError as error:
            raise DatasetError(f"cannot read {path}: {error.strerror}") from None
        except UnicodeDecodeError:
            # Reading it whole finds the byte.
            decode_text(path.read_bytes(), str(path))
            raise


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    except OSError as error:
        raise DatasetError(f"cannot write {path}: {error.strerror}") from None


def _check_header(header: list[str], where: str, label: str, drop: Sequence[str]) -> None:
    columns = ", ".join(map(quote, header))
    for number, name in enumerate(header, 1):
        if not name:
            raise DatasetError(f"{where}: column {number} of the header has no name")
    repeated = [name for name, count in Counter(header).items() if count > 1]
    if repeated:
        raise DatasetError(f"{where}: the header names the column {quote(repeated[0])} twice")
    for name in (label, *drop):
        if name not in header:
            hint = "; try --delimiter semicolon or tab" if len(header) == 1 else ""
            raise DatasetError(
                f"{where} has no column {quote(name)}; its columns are {columns}{hint}"
            )
    if label in drop:
        raise DatasetError(f"the label column {quote(label)} cannot be dropped")
    if len(header) - len(set(drop)) < 2:
        raise DatasetError(f"{where} has no column besides the label ({columns})")


def _cell(cell: str, where: str, line: int, column: str, read_options: ReadOptions) -> str:
    if is_missing(cell):
        if read_options.accept_missing:
            return ""
        raise DatasetError(
            f"{where}, row {line}, column {quote(column)} is empty; fill it, drop the row, or use "
            "--missing-values accept"
        )
    if column in read_options.categorical:
        return cell.strip()
    advice = "fix the cell, --drop the column, or use --categorical auto: features must be numbers"
    return _number(cell, where, line, column, advice)


def _number(cell: str, where: str, line: int, column: str, advice: str) -> str:
    try:
        parse_number(cell)
    except NotANumberError as reason:
        raise DatasetError(
            f"{where}, row {line}, column {quote(column)} {reason}; {advice}"
        ) from None
    return cell.strip()


def _short(number: float) -> str:
    return repr(number).removesuffix(".0")


if __name__ == "__main__":
    sys.exit(main())
