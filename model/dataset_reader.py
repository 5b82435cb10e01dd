"""Reads a CSV file as people have it into a table, a batch of rows at a time.

Batches of plain numbers are taken as they are. The others are read column by column, or row by row
if a cell may be wrong, so that the row, the column and the cell can be named. Where something has
to be recognised (dates, decimal commas, categories), the file is read once more before.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

import numpy as np

from model.batches import categories_of, numbers_of
from model.cells import NotANumberError, is_missing, parse_number, quote, spellings_of
from model.csv_cells import (
    ColumnSurvey,
    notation_of,
    one_spelling,
    refuse_mixed,
    survey,
    translated,
)
from model.csv_source import CsvSource
from model.dates import HOUR, PARTS, NotADateError, Order, dates_of, is_date, parse_date
from model.errors import DatasetError
from model.row_spool import RowSpool
from model.rows import AUTO, PLAIN, ReadOptions, read_records, record_batches
from model.table import csv_line

# Characters for which csv may quote a cell, besides commas and newlines.
_QUOTED = re.compile(r"[\"\r\0]")
# Names of columns that have none; a name is trimmed, so that no column has one of these.
_INDEX, _TRAILING = " index", " end"


@dataclass(frozen=True, slots=True)
class NamedTable:
    """A table with named columns.

    Attributes:
        name: the dataset's name.
        source: the origin of the table, for display.
        label: the label column's name.
        features: the names of the other columns, in order.
        spool: the rows.
        read_options: options for reading the cells, with "auto" resolved to column names.
        notes: a sentence for each thing that was recognised in the file.
    """

    name: str
    source: str
    label: str
    features: tuple[str, ...]
    spool: RowSpool
    read_options: ReadOptions = PLAIN
    notes: tuple[str, ...] = ()


def read_table(
    source: CsvSource,
    label: str,
    drop: Sequence[str],
    read_options: ReadOptions,
    na: Sequence[str],
    spool: RowSpool,
) -> NamedTable:
    """Read a table with a header, as a stream.

    Args:
        source: the lines.
        label: the column that holds the class.
        drop: columns to leave out.
        read_options: options for reading the cells; a header is required in any case.
        na: spellings of missing cells, besides empty ones and nan.
        spool: gets the rows; an empty one.

    Raises:
        DatasetError: a named column does not exist, a column name occurs twice, a cell is not
            allowed, or the file has no rows.
        OSError: the spool cannot be written.
    """
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
    before = first[0]
    last = label_at == len(header) - 1
    simple = delimiter == "," and not left_out and not missing and (last or not label_at)
    # Whether a column holds categories shows in the cells that are not numbers.
    if simple and read_options.categorical in ((), (AUTO,)) and not read_options.dates:
        before, rest = _add_blocks(source, places, read_options, spool, before)
    unknown = not all(order for _, order in read_options.dates)
    look = read_options.categorical == (AUTO,) or read_options.finds_dates or unknown
    batches = record_batches(rest, where, delimiter, before)
    begin = next(batches, None)
    if begin is not None:
        if look or _whole(begin, places, read_options) is None:
            places, read_options = _surveyed(source, places, read_options, notes, simple=simple)
        batches = chain([begin], batches)
        if simple and not places.notations:
            # The rest is read with more care, and half as fast.
            before, rest = _add_blocks(source, places, read_options, spool, before)
            batches = record_batches(rest, where, delimiter, before)
    for batch in batches:
        cells = _checked(batch, places, where, read_options)
        spool.add([row[0] for row in cells], _lines(cells))
    if not spool.rows:
        raise DatasetError(f"{where} has a header and 0 rows")
    if read_options.categorical == (AUTO,):
        read_options = replace(read_options, categorical=())
    if not read_options.regression and (same := one_spelling(spool.labels)):
        shown = ", ".join(f"{old} as {new}" for old, new in sorted(same.items()) if old != new)
        notes.append(f"labels of the same number are one class: {shown}")
        spool.write_as(same)
    return NamedTable(
        Path(where).stem,
        Path(where).name,
        label,
        features,
        spool,
        read_options,
        tuple(notes),
    )


def _add_blocks(
    source: CsvSource, places: _Places, read_options: ReadOptions, spool: RowSpool, before: int
) -> tuple[int, Iterator[str]]:
    """Add rows to the spool as long as they can be read by blocks, and as they are.

    Args:
        source: the file, with commas; the label is its first or last column.
        places: its columns, each of which is a feature or the label.
        read_options: options for reading the cells.
        spool: gets the rows.
        before: number of lines of the file before these rows.

    Returns:
        The number of lines that were read, and the lines that are left.
    """
    columns = [places.header[at] for at in places.features]
    dates = dict(read_options.dates)
    others = [
        at for at, name in enumerate(columns) if name in dates or name in read_options.categorical
    ]
    last = places.label > 0
    for block in source.blocks(before, len(columns), others, label_last=last):
        whole = all(
            _as_they_are(cells, dates.get(columns[at]))
            for at, cells in zip(others, block.others, strict=True)
        )
        if not whole or not _are_labels(block.labels, read_options):
            break
        spool.add_bytes(block.labels, block.data, block.sizes)
        before += len(block.labels)
        if block.last:
            return before, iter(())
    return before, source.lines_after(before)


def _as_they_are(cells: list[str], order: Order | None) -> bool:
    """Return True if categories or dates need no trimming, and none is missing or wrong."""
    if order is None:
        return all(cell == cell.strip() and not is_missing(cell) for cell in set(cells))
    return dates_of(cells, order) is not None and list(map(str.strip, cells)) == cells


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


def _survey_of(source: CsvSource, places: _Places, *, simple: bool) -> Mapping[int, ColumnSurvey]:
    """Return what the cells of each feature column are, by its place in the header.

    Raises:
        DatasetError: the text is not CSV.
    """
    found = {at: ColumnSurvey() for at in places.features}
    lines = source.lines()
    before, _ = next(read_records(lines, source.where, source.delimiter, source.before))
    if simple:
        begin = next(record_batches(lines, source.where, source.delimiter, before), [])
        columns = list(zip(*(cells for _, cells in begin), strict=False))
        others = [
            number
            for number, at in enumerate(places.features)
            if at < len(columns) and numbers_of(columns[at]) is None
        ]
        blocks = source.blocks(before, len(found), others, label_last=places.label > 0)
        for block in blocks:
            rows = range(before + 1, before + len(block.labels) + 1)
            cells_of = dict(zip(others, block.others, strict=True))
            for number, column in enumerate(found.values()):
                if number in cells_of:
                    column.add_column(cells_of[number], rows, places.missing)
                else:
                    column.numbers += len(rows)
            before += len(rows)
        lines = source.lines_after(before)
    batches = record_batches(lines, source.where, source.delimiter, before)
    survey(batches, found, places.missing)
    return found


def _surveyed(
    source: CsvSource,
    places: _Places,
    read_options: ReadOptions,
    notes: list[str],
    *,
    simple: bool,
) -> tuple[_Places, ReadOptions]:
    """Return the notations, the dates and the categorical columns that the whole file shows.

    Raises:
        DatasetError: a column of numbers or dates has some cells that are none, or it holds dates
            of which the day or the month may come first.
    """
    try:
        found = _survey_of(source, places, simple=simple)
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
        trimmed = list(map(str.strip, cells))
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


def _lines(rows: list[Sequence[str]]) -> list[str]:
    """Return each row as CSV, with a newline at its end."""
    lines = list(map(",".join, rows))
    text = "\n".join(lines)
    commas = len(rows) * (len(rows[0]) - 1) if rows else 0
    if text.count(",") == commas and not _QUOTED.search(text) and text.count("\n") < len(rows):
        return [line + "\n" for line in lines]
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    text = out.getvalue()
    # A quoted cell may hold a line end.
    if '"' in text:
        return list(map(csv_line, rows))
    return [line + "\n" for line in text.split("\n")[:-1]]


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
