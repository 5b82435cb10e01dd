"""The command that makes a dataset zip: `python -m model.dataset`.

    --table iris|wine|breast_cancer|digits|diabetes --out FILE.zip
    --csv FILE --label COLUMN --out FILE.zip
          [--categorical auto|NAME,NAME] [--missing-values accept] [--regression]

It prints one line: a summary of the zip, with exit code 0, or an error, with exit code 1.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from model.archive import write_archive
from model.cells import NotANumberError, parse_number, quote
from model.errors import DatasetError
from model.rows import (
    ACCEPT,
    AUTO,
    PLAIN,
    REFUSE,
    ReadOptions,
    column_names,
    decode_text,
    is_missing,
    is_non_numeric,
    read_records,
)
from model.split import stratified_split

TABLES = ("iris", "wine", "breast_cancer", "digits", "diabetes")
# The label of this table is a measurement, so it trains a regression.
_REGRESSION_TABLE = "diabetes"
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
        rows: the cells of the feature columns, one list per row.
        read_options: options for reading the cells, with "auto" resolved to column names.
    """

    name: str
    source: str
    label: str
    features: tuple[str, ...]
    labels: list[str]
    rows: list[list[str]]
    read_options: ReadOptions = PLAIN


def shipped_table(name: str) -> NamedTable:
    """Return one of the TABLES, which scikit-learn ships."""
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")()
    regression = name == _REGRESSION_TABLE
    return NamedTable(
        name,
        f"sklearn.datasets.load_{name}",
        "progression" if regression else "class",
        tuple(str(feature) for feature in bunch.feature_names),
        [
            _short(number) if regression else str(bunch.target_names[number])
            for number in bunch.target.tolist()
        ],
        [[_short(number) for number in row] for row in bunch.data.tolist()],
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
    records = read_records(io.StringIO(text, newline=""), where, delimiter)
    first = next(records, None)
    if first is None:
        raise DatasetError(f"{where} is empty; it needs a header line and rows")
    header = [cell.strip() for cell in first[1]]
    _check_header(header, where, label, drop)
    label_at = header.index(label)
    feature_at = [i for i, name in enumerate(header) if i != label_at and name not in drop]
    found: list[tuple[int, list[str]]] = []
    for line, cells in records:
        if len(cells) != len(header):
            raise DatasetError(
                f"{where}, row {line}: {len(cells)} columns, but the header has {len(header)}"
            )
        if not cells[label_at].strip():
            raise DatasetError(f"{where}, row {line}: the label column {quote(label)} is empty")
        if read_options.regression:
            _number(
                cells[label_at], where, line, label, "the label of a regression must be a number"
            )
        found.append((line, cells))
    if not found:
        raise DatasetError(f"{where} has a header and 0 rows")
    features = tuple(header[i] for i in feature_at)
    if read_options.categorical == (AUTO,):
        columns = {
            header[i] for i in feature_at if any(is_non_numeric(cells[i]) for _, cells in found)
        }
        read_options = replace(read_options, categorical=tuple(n for n in features if n in columns))
    for name in read_options.categorical:
        if name not in features:
            known = ", ".join(map(quote, features))
            raise DatasetError(
                f"--categorical names {quote(name)}, which is not a feature column of {where}; "
                f"the feature columns are {known}"
            )
    rows = [
        [_cell(cells[i], where, line, header[i], read_options) for i in feature_at]
        for line, cells in found
    ]
    labels = [cells[label_at] for _, cells in found]
    return NamedTable(
        Path(where).stem, Path(where).name, label, features, labels, rows, read_options
    )


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
    parts = [[[table.labels[i], *table.rows[i]] for i in numbers] for numbers in (kept, held)]
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
    content = write_archive(parts[0], parts[1], description)
    shown = ", ".join(f"{name} {classes[name]}" for name in sorted(classes)[:10])
    shown = f"{len(classes)} classes ({shown}{', …' if len(classes) > 10 else ''})"
    categorical = len(table.read_options.categorical)
    features = f"{len(table.features)} features"
    if categorical:
        features += f" ({categorical} categorical)"
    summary = (
        f"{len(table.rows)} rows ({len(kept)} to train on, {len(held)} to validate with), "
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
    try:
        text = decode_text(path.read_bytes(), str(path))
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error.strerror}") from None
    delimiter = _DELIMITERS[options.delimiter]
    read_options = ReadOptions(
        categorical=column_names(options.categorical or ""),
        accept_missing=options.missing_values == ACCEPT,
        regression=options.regression,
    )
    return table_from_csv(
        text,
        str(path),
        options.label,
        drop=options.drop,
        delimiter=delimiter,
        read_options=read_options,
    )


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
