"""The command that makes a dataset zip: `python -m model.dataset`.

    --table iris|wine|breast_cancer|digits|diabetes --out FILE.zip
    --csv FILE --label COLUMN --out FILE.zip
          [--categorical auto|NAME,NAME] [--dates auto|off|NAME:day-first,NAME]
          [--missing-values accept] [--regression]

It prints one line: a summary of the zip, with exit code 0, or an error, with exit code 1.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from model.archive import write_zip
from model.cells import quote
from model.csv_source import DELIMITERS, open_file
from model.dataset_reader import NamedTable, read_table
from model.errors import DatasetError
from model.parquet_source import is_parquet, open_parquet
from model.row_spool import RowSpool
from model.rows import ACCEPT, REFUSE, ReadOptions, column_names
from model.split import held_out_rows, rare_class, rarest_class
from model.table import csv_line

TABLES = ("iris", "wine", "breast_cancer", "digits", "diabetes")
# The label of this table is a measurement, so it trains a regression.
_REGRESSION_TABLE = "diabetes"


def shipped_table(name: str, spool: RowSpool) -> NamedTable:
    """Read one of the TABLES, which scikit-learn ships, into a spool."""
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
    spool.add(labels, list(map(csv_line, rows)))
    return NamedTable(
        name,
        f"sklearn.datasets.load_{name}",
        "progression" if regression else "class",
        tuple(str(feature) for feature in bunch.feature_names),
        spool,
        ReadOptions(regression=regression),
    )


def write_dataset(path: Path, table: NamedTable, validation_fraction: float, seed: int) -> str:
    """Write the dataset zip of a table, whole or not at all; return a one-line summary.

    Args:
        path: the zip.
        table: the rows.
        validation_fraction: share of the rows to hold out, above 0 and below 1.
        seed: seed of the split.

    Raises:
        DatasetError: the table has a single class, or a class with a single row.
        OSError: the zip cannot be written.
    """
    spool, regression = table.spool, table.read_options.regression
    if len(spool.labels) < 2 or (not regression and len(spool.counts()) < 2):
        raise DatasetError(
            f"{table.source}: every row of the label column {quote(table.label)} is "
            f"{quote(spool.labels[0])}; a classifier needs at least two classes"
        )
    # The labels of a regression are not classes, so the split treats them as one class.
    names = ["any"] if regression else list(spool.labels)
    held = held_out_rows(spool.codes, names, validation_fraction, seed, table.source)
    description = _description(table)
    partial = path.with_name(path.name + ".partial")
    rows = (int((~held).sum()), int(held.sum()))
    train, validation = [(spool.size_of(some), _ahead(spool.read(some))) for some in (~held, held)]
    try:
        with partial.open("wb") as out:
            write_zip(out, train, validation, description, rows)
        with partial.open("rb") as out:
            digest = hashlib.file_digest(out, "sha256").hexdigest()
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return f"{_summary(table, rows)}, sha256 {digest[:12]}"


def _ahead(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Yield parts, of which the next is read while the last one is compressed."""
    with ThreadPoolExecutor(1) as executor:
        reading = executor.submit(next, parts, None)
        while (part := reading.result()) is not None:
            reading = executor.submit(next, parts, None)
            yield part


def _description(table: NamedTable) -> dict[str, object]:
    """Return the content of dataset.json, without the row counts."""
    description: dict[str, object] = {
        "name": table.name,
        "label": table.label,
        "features": list(table.features),
    }
    if table.read_options.regression:
        description["regression"] = True
    else:
        description["classes"] = sorted(table.spool.counts())
    if table.read_options.categorical:
        description["categorical"] = list(table.read_options.categorical)
    if table.read_options.dates:
        description["dates"] = dict(table.read_options.dates)
    if table.read_options.accept_missing:
        description["missing_values"] = ACCEPT
        if table.read_options.missing_spellings:
            # The cells themselves are empty; these are for the rows that the model is asked later.
            description["missing_spellings"] = sorted(table.read_options.missing_spellings)
    description["source"] = table.source
    return description


def _summary(table: NamedTable, rows: tuple[int, int]) -> str:
    """Return a sentence part about the rows, the features and the classes.

    Args:
        table: the table.
        rows: the numbers of rows to train on and to validate with.
    """
    kinds = {
        "categorical": len(table.read_options.categorical),
        "of dates": len(table.read_options.dates),
    }
    features = f"{len(table.features)} features"
    if any(kinds.values()):
        features += f" ({', '.join(f'{n} {kind}' for kind, n in kinds.items() if n)})"
    label = "a value to predict"
    if not table.read_options.regression:
        classes = table.spool.counts()
        shown = ", ".join(f"{name} {classes[name]}" for name in sorted(classes)[:10])
        label = f"{len(classes)} classes ({shown}{', …' if len(classes) > 10 else ''})"
    return (
        f"{sum(rows)} rows ({rows[0]} to train on, {rows[1]} to validate with), {features}, {label}"
    )


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
        notes, summary = _make(options)
    except DatasetError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    for note in notes:
        sys.stdout.write(f"note: {note}\n")
    sys.stdout.write(f"wrote {options.out}: {summary}\n")
    return 0


def _make(options: argparse.Namespace) -> tuple[list[str], str]:
    """Make the zip; return the notes, and a summary."""
    regression = options.regression or options.table == _REGRESSION_TABLE
    try:
        with RowSpool(options.out.parent, regression=regression) as spool:
            table = shipped_table(options.table, spool) if options.table else _read(options, spool)
            summary = write_dataset(options.out, table, options.validation_fraction, options.seed)
            return [*table.notes, *_notes_of(table)], summary
    except OSError as error:
        raise DatasetError(f"cannot write {options.out}: {error.strerror}") from None


def _notes_of(table: NamedTable) -> Iterator[str]:
    """Yield a sentence about repeated rows, and one about a rare class."""
    spool = table.spool
    repeated = spool.repeated()
    if repeated:
        yield f"{repeated} rows ({repeated / spool.rows:.2%}) repeat an earlier row"
    counts = {} if table.read_options.regression else spool.counts()
    rare = rarest_class(counts)
    if rare:
        yield rare_class(rare[0], counts)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m model.dataset", description="Make a dataset zip for a training job."
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--table", choices=TABLES, help="a real table that scikit-learn ships")
    source.add_argument("--csv", type=Path, help="a CSV file with a header line, or a Parquet file")
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
        "--dates",
        metavar="NAMES",
        help="CSV columns of dates, separated by commas, with :day-first or :month-first where the "
        "year comes last; auto: those in which each cell is a date (as --categorical auto does); "
        "off: none",
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
    parser.add_argument(
        "--na",
        metavar="SPELLINGS",
        help="spellings of missing CSV cells, besides empty ones and nan, such as NA,?,NULL",
    )
    parser.add_argument(
        "--delimiter", choices=tuple(DELIMITERS), help="default: as the header has it"
    )
    parser.add_argument(
        "--encoding", help="of the CSV file; default: UTF-8, or UTF-16 by its byte order mark"
    )
    parser.add_argument("--out", type=Path, required=True, help="the zip to write")
    parser.add_argument("--validation-fraction", type=float, default=0.2, help="default 0.2")
    parser.add_argument("--seed", type=int, default=0, help="seed of the split, default 0")
    return parser


def _read(options: argparse.Namespace, spool: RowSpool) -> NamedTable:
    delimiter = DELIMITERS[options.delimiter] if options.delimiter else None
    read_options = ReadOptions(
        categorical=column_names(options.categorical or ""),
        accept_missing=options.missing_values == ACCEPT,
        regression=options.regression,
    ).with_dates(options.dates or "", lambda message: DatasetError(f"--dates {message}"))
    if is_parquet(options.csv):
        source = open_parquet(options.csv, options.drop)
    else:
        source = open_file(options.csv, options.encoding, delimiter)
    na = tuple(filter(None, (options.na or "").split(",")))
    return read_table(source, options.label, options.drop, read_options, na, spool)


def _short(number: float) -> str:
    return repr(number).removesuffix(".0")


if __name__ == "__main__":
    sys.exit(main())
