"""The command that makes a dataset zip: `python -m model.dataset`.

    --table iris|wine|breast_cancer|digits|diabetes --out FILE.zip
    --csv FILE --label COLUMN --out FILE.zip
          [--categorical auto|NAME,NAME] [--dates auto|off|NAME:day-first,NAME]
          [--missing-values accept] [--regression]

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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path

import numpy as np

from model.archive import write_lines
from model.batches import categories_of, numbers_of, plain_rows
from model.cells import NotANumberError, is_missing, parse_number, quote, spellings_of
from model.csv_cells import (
    notation_of,
    one_spelling,
    refuse_mixed,
    survey,
    translated,
)
from model.csv_source import DELIMITERS, CsvSource, open_file, open_text
from model.dates import HOUR, PARTS, NotADateError, Order, dates_of, is_date, parse_date
from model.errors import DatasetError
from model.parquet_source import is_parquet, open_parquet
from model.rows import (
    ACCEPT,
    AUTO,
    BATCH,
    PLAIN,
    REFUSE,
    ReadOptions,
    column_names,
    in_batches,
    read_records,
)
from model.split import rare_class, rarest_class, stratified_split
from model.table import csv_line

TABLES = ("iris", "wine", "breast_cancer", "digits", "diabetes")
# The label of this table is a measurement, so it trains a regression.
_REGRESSION_TABLE = "diabetes"
# Names of columns that have none; a name is trimmed, so that no column has one of these.
_INDEX, _TRAILING = " index", " end"


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
        notes: a sentence for each thing that was recognised in the file.
    """

    name: str
    source: str
    label: str
    features: tuple[str, ...]
    labels: list[str]
    lines: list[str]
    read_options: ReadOptions = PLAIN
    notes: tuple[str, ...] = ()


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
    delimiter: str | None = None,
    read_options: ReadOptions = PLAIN,
    na: Sequence[str] = (),
) -> NamedTable:
    """Read a CSV text with a header.

    Args:
        text: the file's content.
        where: the file's name, for messages.
        label: the column that holds the class.
        drop: columns to leave out.
        delimiter: the character between two cells; None finds it.
        read_options: options for reading the cells; a header is required in any case.
        na: spellings of missing cells, besides empty ones and nan.

    Raises:
        DatasetError: a named column does not exist, a column name occurs twice, a cell is not
            allowed, or the file has no rows.
    """
    return _table_of(open_text(text, where, delimiter), label, drop, read_options, na)


def _table_of(
    source: CsvSource,
    label: str,
    drop: Sequence[str],
    read_options: ReadOptions,
    na: Sequence[str],
) -> NamedTable:
    where, delimiter = source.where, source.delimiter
    notes = list(source.notes)
    rest = source.lines()
    first = next(read_records(rest, where, delimiter, source.before), None)
    if first is None:
        raise DatasetError(f"{where} is empty; it needs a header line and rows")
    header = _named([cell.strip() for cell in first[1]], label, notes)
    left_out = {*drop, _INDEX, _TRAILING} & {*header}
    _check_header(header, where, label, drop)
    label_at = header.index(label)
    feature_at = [i for i, name in enumerate(header) if i != label_at and name not in left_out]
    if not feature_at:
        raise DatasetError(f"{where} has no column besides the label ({', '.join(header)})")
    features = tuple(header[i] for i in feature_at)
    for name in read_options.categorical:
        if name not in features and read_options.categorical != (AUTO,):
            known = ", ".join(map(quote, features))
            raise DatasetError(
                f"--categorical names {quote(name)}, which is not a feature column of {where}; "
                f"the feature columns are {known}"
            )
    for name, _ in read_options.dates:
        if name not in features:
            raise DatasetError(
                f"--dates names {quote(name)}, which is not a feature column of {where}; "
                f"the feature columns are {', '.join(map(quote, features))}"
            )
        if name in read_options.categorical:
            raise DatasetError(
                f"--dates and --categorical name {quote(name)}; a column is one or the other"
            )
    missing = spellings_of(na)
    read_options = replace(read_options, missing_spellings=missing)
    places = _Places(header, label_at, feature_at, missing)
    labels: list[str] = []
    written: list[str] = []
    before = first[0]
    last = label_at == len(header) - 1
    if delimiter == "," and not left_out and not missing and (last or not label_at):
        # Whether a column holds categories shows in the cells that are not numbers.
        simple = read_options.categorical in ((), (AUTO,)) and not read_options.dates
        while simple and (chunk := list(islice(rest, BATCH))):
            plain = plain_rows(chunk, len(features), label_last=last)
            if plain is None or not _are_labels(plain[0], read_options):
                # The rest is read with more care, and half as fast.
                rest = chain(chunk, rest)
                break
            labels += plain[0]
            written += _plain_lines(chunk, plain[0], label_last=last)
            before += len(chunk)
    unknown = not all(order for _, order in read_options.dates)
    look = read_options.categorical == (AUTO,) or read_options.finds_dates or unknown
    surveyed = False
    for batch in in_batches(read_records(rest, where, delimiter, before)):
        if not surveyed and (look or _whole(batch, places, read_options) is None):
            places, read_options = _surveyed(source, places, read_options, notes)
        surveyed = True
        cells = _checked(batch, places, where, read_options)
        labels += [row[0] for row in cells]
        written += _lines(cells)
    if not labels:
        raise DatasetError(f"{where} has a header and 0 rows")
    if read_options.categorical == (AUTO,):
        read_options = replace(read_options, categorical=())
    if not read_options.regression and (same := one_spelling(labels)):
        shown = ", ".join(f"{old} as {new}" for old, new in sorted(same.items()) if old != new)
        notes.append(f"labels of the same number are one class: {shown}")
        written = [
            csv_line([same.get(old, old), *next(csv.reader([line]))[1:]])
            for old, line in zip(labels, written, strict=True)
        ]
        labels = [same.get(old, old) for old in labels]
    return NamedTable(
        Path(where).stem,
        Path(where).name,
        label,
        features,
        labels,
        written,
        read_options,
        tuple(notes),
    )


def _are_labels(labels: list[str], read_options: ReadOptions) -> bool:
    """Return False if a label needs trimming, is missing, or is not the number it must be."""
    if read_options.regression and numbers_of(labels) is None:
        return False
    return all(label == label.strip() and not is_missing(label) for label in set(labels))


def _named(header: list[str], label: str, notes: list[str]) -> list[str]:
    """Return a header in which columns without a name, first or last, have one; note them."""
    if len(header) > 2 and not header[0]:
        header = [_INDEX, *header[1:]]
        notes.append("column 1 has no name and is left out: the index that a data frame writes")
    if len(header) > 2 and not header[-1]:
        header = [*header[:-1], _TRAILING]
        notes.append(f"column {len(header)} has no name and is left out")
    return header


def _surveyed(
    source: CsvSource, places: _Places, read_options: ReadOptions, notes: list[str]
) -> tuple[_Places, ReadOptions]:
    """Return the notations, the dates and the categorical columns that the whole file shows.

    Raises:
        DatasetError: a column of numbers or dates has some cells that are none, or it holds dates
            of which the day or the month may come first.
    """
    records = read_records(source.lines(), source.where, source.delimiter, source.before)
    next(records)
    try:
        found = survey(records, places.features, places.missing)
    except DatasetError:
        # The text is no CSV somewhere; the reader that follows says which row is wrong first.
        chosen = tuple((name, order or Order.YEAR_FIRST) for name, order in read_options.dates)
        return places, replace(read_options, dates=chosen)
    auto = read_options.categorical == (AUTO,)
    notations: dict[int, str] = {}
    categorical: list[str] = []
    named = dict(read_options.dates)
    dates: dict[str, Order] = {}
    for at, column in found.items():
        name = places.header[at]
        order = named.get(name)
        if order is not None:
            dates[name] = order
            continue
        if name in named or (column.of_dates and read_options.finds_dates):
            if name in read_options.categorical:
                continue
            if column.dates.ambiguous:
                raise DatasetError(f"{source.where}: {column.dates.ambiguity(name, '--dates')}")
            dates[name] = column.dates.orders[0]
            if column.of_dates:
                notes.append(f"the column {quote(name)} is of dates, {column.dates.note}")
            continue
        if not column.non_numeric or name in read_options.categorical:
            continue
        if notation := notation_of(column, source.delimiter):
            notations[at] = notation
            example = next(iter(column.others))
            shown = translated(example, notation)
            notes.append(f"the column {quote(name)} is of numbers: {example} is read as {shown}")
        elif auto:
            refuse_mixed(column, name, source.where)
            categorical.append(name)
            notes.append(
                f"the column {quote(name)} is categorical: row {column.first} holds "
                f"{quote(column.example)}"
            )
    if auto:
        read_options = replace(read_options, categorical=tuple(categorical), find_dates=False)
    read_options = replace(read_options, dates=tuple(dates.items()))
    if dates:
        parts = f"{', '.join(PARTS)}, and {HOUR} where there are times"
        notes.append(f"dates become numbers, in UTC: {parts}")
    return replace(places, notations=notations), read_options


@dataclass(frozen=True, slots=True)
class _Places:
    """The places of the columns of a CSV file: its header, and indexes from 0."""

    header: list[str]
    label: int
    features: list[int]
    # Spellings of missing cells besides the usual ones, and the notation of numbers by column.
    missing: frozenset[str] = frozenset()
    notations: Mapping[int, str] = field(default_factory=dict)

    def text(self, cell: str, at: int) -> str:
        """Return a cell of a column in the usual notation, "" if it is missing."""
        if self.missing and is_missing(cell, self.missing):
            return ""
        notation = self.notations.get(at)
        return cell if notation is None else translated(cell, notation)


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
    labels = list(map(str.strip, columns[places.label]))
    if any(is_missing(label, places.missing) for label in set(labels)):
        return None
    if places.header[-1] == _TRAILING and any(map(str.strip, columns[-1])):
        return None
    if read_options.regression and numbers_of(labels) is None:
        return None
    accept = read_options.accept_missing
    dates = dict(read_options.dates)
    found: list[Sequence[str]] = [labels]
    for at in places.features:
        cells: Sequence[str] = columns[at]
        if places.missing or at in places.notations:
            cells = [places.text(cell, at) for cell in cells]
        if places.header[at] in read_options.categorical:
            categories = categories_of(cells, accept_missing=accept)
            if categories is None:
                return None
            found.append(categories)
            continue
        order = dates.get(places.header[at])
        if order is None:
            numbers = numbers_of(cells, accept_missing=accept)
        else:
            numbers = dates_of(cells, order, accept_missing=accept)
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
    if is_missing(cells[places.label], places.missing):
        shown = quote(cells[places.label].strip())
        raise DatasetError(
            f"{where}, row {line}: the label column {quote(label)} holds {shown}, a missing "
            "value; fill it or drop the row"
        )
    if header[-1] == _TRAILING and cells[-1].strip():
        raise DatasetError(
            f"{where}, row {line}: column {len(header)} holds {quote(cells[-1])}, but the header "
            "gives it no name; name it in the header"
        )
    if read_options.regression:
        advice = "the label of a regression must be a number"
        _number(cells[places.label], where, line, label, advice)
    others = [
        _cell(places.text(cells[i], i), where, line, header[i], read_options)
        for i in places.features
    ]
    return [cells[places.label].strip(), *others]


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
    if table.read_options.dates:
        description["dates"] = dict(table.read_options.dates)
    if table.read_options.accept_missing:
        description["missing_values"] = ACCEPT
        if table.read_options.missing_spellings:
            # The cells themselves are empty; these are for the rows that the model is asked later.
            description["missing_spellings"] = sorted(table.read_options.missing_spellings)
    description["source"] = table.source
    content = write_lines(parts[0], parts[1], description)
    shown = ", ".join(f"{name} {classes[name]}" for name in sorted(classes)[:10])
    shown = f"{len(classes)} classes ({shown}{', …' if len(classes) > 10 else ''})"
    kinds = {
        "categorical": len(table.read_options.categorical),
        "of dates": len(table.read_options.dates),
    }
    features = f"{len(table.features)} features"
    if any(kinds.values()):
        features += f" ({', '.join(f'{n} {kind}' for kind, n in kinds.items() if n)})"
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
    for note in (*table.notes, *_notes_of(table)):
        sys.stdout.write(f"note: {note}\n")
    sys.stdout.write(f"wrote {options.out}: {summary}\n")
    return 0


def _notes_of(table: NamedTable) -> Iterator[str]:
    """Yield a sentence about repeated rows, and one about a rare class."""
    repeated = len(table.lines) - len(set(table.lines))
    if repeated:
        share = repeated / len(table.lines)
        yield f"{repeated} rows ({share:.2%}) repeat an earlier row"
    counts = Counter(table.labels)
    rare = None if table.read_options.regression else rarest_class(counts)
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


def _read(options: argparse.Namespace) -> NamedTable:
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
    return _table_of(source, options.label, options.drop, read_options, na)


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
            hint = "; try another --delimiter" if len(header) == 1 else ""
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
    order = dict(read_options.dates).get(column)
    if order is not None:
        try:
            parse_date(cell, order)
        except NotADateError as reason:
            raise DatasetError(f"{where}, row {line}, column {quote(column)} {reason}") from None
        return cell.strip()
    advice = "fix the cell, --drop the column, or use --categorical auto: features must be numbers"
    if is_date(cell):
        advice = (
            f"if the column holds dates, use --dates {quote(column)}, so that the year, the month "
            "and so on become numbers, or --drop it"
        )
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
