"""The command that makes a dataset zip: `python -m model.dataset`.

    --table iris|wine|breast_cancer|digits --out FILE.zip
    --csv FILE --label COLUMN --out FILE.zip

Exit code 0 with one line on what was written, or 2 with one line on what is wrong.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from model.archive import write_archive
from model.cells import NotANumberError, parse_number, quote
from model.errors import DatasetError
from model.split import stratified
from model.table import decode_text, read_records

TABLES = ("iris", "wine", "breast_cancer", "digits")
_DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t"}


@dataclass(frozen=True, slots=True)
class NamedTable:
    """A table of text with a header.

    Attributes:
        features: names of the number columns.
        labels: one a row, verbatim.
        rows: the number columns' text.
    """

    name: str
    source: str
    label: str
    features: tuple[str, ...]
    labels: list[str]
    rows: list[list[str]]


def shipped_table(name: str) -> NamedTable:
    """Return a table that scikit-learn ships."""
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")()
    names = tuple(str(feature) for feature in bunch.feature_names)
    return NamedTable(
        name,
        f"sklearn.datasets.load_{name}",
        "class",
        names,
        [str(bunch.target_names[number]) for number in bunch.target],
        [[repr(number).removesuffix(".0") for number in row] for row in bunch.data.tolist()],
    )


def table_from_csv(
    text: str, where: str, label: str, *, drop: Sequence[str] = (), delimiter: str = ","
) -> NamedTable:
    """Read a CSV text with a header.

    Args:
        text: the file's text.
        where: the file's name, for messages.
        label: the column that holds the class.
        drop: columns to leave out.
        delimiter: between the cells.

    Raises:
        DatasetError: no such column, a column twice, a cell that is not a number, or no rows.
    """
    records = read_records(text, where, delimiter)
    first = next(records, None)
    if first is None:
        raise DatasetError(f"{where} is empty; it needs a header line and rows")
    header = [cell.strip() for cell in first[1]]
    _check_header(header, where, label, drop)
    label_at = header.index(label)
    feature_at = [i for i, name in enumerate(header) if i != label_at and name not in drop]
    labels, rows = [], []
    for line, cells in records:
        if len(cells) != len(header):
            raise DatasetError(
                f"{where}, row {line}: {len(cells)} columns where the header has {len(header)}"
            )
        if not cells[label_at].strip():
            raise DatasetError(f"{where}, row {line}: the label column {quote(label)} is empty")
        labels.append(cells[label_at])
        rows.append([_number(cells[i], where, line, header[i]) for i in feature_at])
    if not rows:
        raise DatasetError(f"{where} has a header and 0 rows")
    features = tuple(header[i] for i in feature_at)
    return NamedTable(Path(where).stem, Path(where).name, label, features, labels, rows)


def build(table: NamedTable, validation_fraction: float, seed: int) -> tuple[bytes, str]:
    """Return the dataset zip of a table and one line about it.

    Raises:
        DatasetError: one class only, or a class with a single row.
    """
    classes = Counter(table.labels)
    if len(classes) < 2:
        raise DatasetError(
            f"{table.source}: every row of the label column {quote(table.label)} is "
            f"{quote(table.labels[0])}; a classifier needs at least two classes"
        )
    kept, held = stratified(table.labels, validation_fraction, seed, table.source)
    parts = [[[table.labels[i], *table.rows[i]] for i in numbers] for numbers in (kept, held)]
    description = {
        "name": table.name,
        "label": table.label,
        "features": list(table.features),
        "classes": sorted(classes),
        "source": table.source,
    }
    content = write_archive(parts[0], parts[1], description)
    shown = ", ".join(f"{name} {classes[name]}" for name in sorted(classes)[:10])
    summary = (
        f"{len(table.rows)} rows ({len(kept)} to train on, {len(held)} to validate with), "
        f"{len(table.features)} features, {len(classes)} classes "
        f"({shown}{', …' if len(classes) > 10 else ''}), "
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
                "it must be above 0 and below 1, as 0.2"
            )
        table = shipped_table(options.table) if options.table else _read(options)
        content, summary = build(table, options.validation_fraction, options.seed)
        _write(options.out, content)
    except DatasetError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
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
        "--drop", action="append", default=[], help="a CSV column to leave out, as an id"
    )
    parser.add_argument("--delimiter", choices=tuple(_DELIMITERS), default="comma")
    parser.add_argument("--out", type=Path, required=True, help="the zip to write")
    parser.add_argument("--validation-fraction", type=float, default=0.2, help="default 0.2")
    parser.add_argument("--seed", type=int, default=0, help="of the split, default 0")
    return parser


def _read(options: argparse.Namespace) -> NamedTable:
    path: Path = options.csv
    try:
        text = decode_text(path.read_bytes(), str(path))
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error.strerror}") from None
    delimiter = _DELIMITERS[options.delimiter]
    return table_from_csv(text, str(path), options.label, drop=options.drop, delimiter=delimiter)


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
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:
        raise DatasetError(f"{where}: the header names the column {quote(twice[0])} twice")
    for name in (label, *drop):
        if name not in header:
            hint = "; try --delimiter semicolon or tab" if len(header) == 1 else ""
            raise DatasetError(
                f"{where} has no column {quote(name)}; its columns are {columns}{hint}"
            )
    if label in drop:
        raise DatasetError(f"the label column {quote(label)} cannot be dropped")
    if len(header) - len(set(drop)) < 2:
        raise DatasetError(f"{where} has no column of numbers beside the label ({columns})")


def _number(cell: str, where: str, line: int, column: str) -> str:
    try:
        parse_number(cell)
    except NotANumberError as reason:
        raise DatasetError(
            f"{where}, row {line}, column {quote(column)} {reason}; "
            "features must be numbers: mend the cell, encode the column, or --drop it"
        ) from None
    return cell.strip()


if __name__ == "__main__":
    sys.exit(main())
