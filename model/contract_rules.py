"""Pure: the checks of a dataset against its contract, from the statistics of its tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from model.contract import CATEGORY, DATE, NUMBER, REFUSE, ColumnRule, Contract, LabelRule
from model.dates import show_day
from model.findings import Finding, Kind, Severity, plain
from model.own_rules import about, leaked_share, repeated_share
from model.rows import LabelCounts
from model.scan import CategoryColumn, NumberColumn, TableScan

_SHOWN = 5


def check_contract(
    contract: Contract, train: TableScan, validation: TableScan | None, label: str
) -> Iterator[Finding]:
    """Yield a finding for each rule that the dataset breaks.

    The rules of columns and of the label's values hold for both tables, the shares of the label
    and the number of rows for the training rows.

    Args:
        contract: the rules.
        train: the rows of train.csv.
        validation: the rows of validation.csv, or None.
        label: the label column's name.
    """
    for name in contract.columns:
        if name not in train.names and name == label:
            yield _broken(
                f"column {plain(name)}, which the contract names, is the label; its rules stand "
                "under [label]",
                short=f"{plain(name)} is the label, whose rules stand under [label]",
            )
        elif name not in train.names:
            yield _broken(
                f"the dataset has no column {plain(name)}, which the contract names; "
                f"its columns are {_list(train.names)}",
                name,
                short=f"no column {plain(name)}",
            )
    if contract.other_columns == REFUSE:
        for name in train.names:
            if name not in contract.columns:
                yield _broken(
                    f"the contract names no column {plain(name)}, and other columns are refused",
                    name,
                    short=f"{plain(name)} is not in the contract",
                )
    if contract.minimum_rows is not None and train.rows < contract.minimum_rows:
        yield _broken(
            f"train.csv has {train.rows} rows; the contract asks for at least "
            f"{contract.minimum_rows}",
            value=train.rows,
            limit=contract.minimum_rows,
        )
    tables = {"train.csv": train} | ({} if validation is None else {"validation.csv": validation})
    for file, table in tables.items():
        for name, column in zip(table.names, table.columns, strict=True):
            if name in contract.columns:
                yield from _check_column(contract.columns[name], name, column, file)
        yield from _check_label_values(contract.label, table, file)
    yield from _check_balance(contract.label, train)
    yield from _check_equal_rows(contract, train, validation)


def _check_column(
    rule: ColumnRule, name: str, column: NumberColumn | CategoryColumn, file: str
) -> Iterator[Finding]:
    expected = rule.type or (CATEGORY if rule.categories else None)
    if rule.minimum is not None or rule.maximum is not None:
        expected = NUMBER
    if rule.earliest is not None or rule.latest is not None:
        expected = DATE
    found = column.kind
    if expected is not None and found != expected:
        yield _broken(
            f"{file}: column {plain(name)} is a {found}, and the contract says {expected}",
            name,
            short=f"{plain(name)} is a {found}, not a {expected}",
        )
        return
    rows = column.rows + column.missing
    limit = rule.maximum_missing_share
    if limit is not None and rows and column.missing / rows > limit:
        share = column.missing / rows
        yield _broken(
            f"{file}: {share:.2%} of the rows of column {plain(name)} have no value; the contract "
            f"allows {limit:.2%}",
            name,
            share,
            limit,
            f"{plain(name)} has no value in {share:.1%} of the rows",
        )
    if isinstance(column, NumberColumn):
        if column.outside:
            low, high = rule.minimum, rule.maximum
            if column.kind == DATE:
                low, high = rule.earliest, rule.latest
            yield from _outside(low, high, f"column {plain(name)}", column, file, name)
    elif rule.categories is not None:
        yield from _unknown(column.counts, column.other, rule.categories, name, file)
    if rule.unique and column.sample is not None:
        share = column.sample.repeated_share()
        if share:
            yield _broken(
                f"{file}: {share:.2%} of the values of column {plain(name)} occur earlier; the "
                "contract says that they are unique",
                name,
                share,
                0.0,
                f"{plain(name)} is not unique",
            )


def _outside(
    low: float | None, high: float | None, what: str, column: NumberColumn, file: str, name: str
) -> Iterator[Finding]:
    dates = column.kind == DATE
    words = ("before", "earliest", "after", "latest") if dates else ()
    under, least, over, most = words or ("below", "minimum", "above", "maximum")
    for bound, value, beyond, noun in (
        (low, column.minimum, under, least),
        (high, column.maximum, over, most),
    ):
        if bound is None or not (value < bound if beyond == under else value > bound):
            continue
        found, limit = (show_day(x) if dates else f"{x:g}" for x in (value, bound))
        rows = f" ({column.outside} rows are out of range)" if column.outside else ""
        yield _broken(
            f"{file}: {what} holds {found}, {beyond} the contract's {noun}, {limit}{rows}",
            name,
            value,
            bound,
            f"{what.removeprefix('column ')} holds {found}, {beyond} {limit}",
        )


def _unknown(
    counts: Mapping[str, int], other: int, allowed: Sequence[str], name: str, file: str
) -> Iterator[Finding]:
    known = set(allowed)
    unknown = {value: rows for value, rows in counts.items() if value not in known}
    rows = sum(unknown.values()) + other
    if rows:
        shown = _list(sorted(unknown))
        yield _broken(
            f"{file}: {rows} rows of {plain(name)} hold {shown}, which the contract does not name; "
            f"it names {_list(allowed)}",
            name,
            rows,
            0,
            f"{plain(name)} holds {shown}",
        )


def _check_label_values(rule: LabelRule, table: TableScan, file: str) -> Iterator[Finding]:
    if rule.classes is not None:
        labels = table.labels
        yield from _unknown(labels.counts, labels.other, rule.classes, "the label", file)
    if table.values is not None:
        yield from _outside(rule.minimum, rule.maximum, "the label", table.values, file, "")
    elif rule.minimum is not None or rule.maximum is not None:
        yield _broken(f"{file}: the contract gives the label a range, but it is a class")


def _check_balance(rule: LabelRule, train: TableScan) -> Iterator[Finding]:
    labels: LabelCounts = train.labels
    if train.values is not None or not labels.rows:
        return
    shares = {label: rows / labels.rows for label, rows in labels.counts.items()}
    if rule.classes is not None:
        shares = {label: shares.get(label, 0.0) for label in rule.classes} | shares
    for label, share in shares.items():
        if rule.minimum_share is not None and share < rule.minimum_share:
            limit, beyond = rule.minimum_share, "at least"
        elif rule.maximum_share is not None and share > rule.maximum_share:
            limit, beyond = rule.maximum_share, "at most"
        else:
            continue
        yield _broken(
            f"train.csv: the class {plain(label)} has {share:.2%} of the rows; the contract asks "
            f"for {beyond} {limit:.2%}",
            value=share,
            limit=limit,
            short=f"the class {plain(label)} has {share:.1%} of the rows",
        )


def _check_equal_rows(
    contract: Contract, train: TableScan, validation: TableScan | None
) -> Iterator[Finding]:
    limit = contract.maximum_repeated_share
    if limit is not None and repeated_share(train) > limit:
        share = repeated_share(train)
        yield _broken(
            f"{share:.2%} of the training rows repeat an earlier row{about(train)}; the contract "
            f"allows {limit:.2%}",
            value=share,
            limit=limit,
        )
    limit = contract.maximum_leaked_share
    if limit is None or validation is None:
        return
    share = leaked_share(train, validation)
    if share > limit:
        yield _broken(
            f"{share:.2%} of the validation rows are training rows, too"
            f"{about(train, validation)}; the contract allows {limit:.2%}",
            value=share,
            limit=limit,
        )


def _broken(
    message: str,
    column: str = "",
    value: float | None = None,
    limit: float | None = None,
    short: str = "",
) -> Finding:
    return Finding(Severity.BROKEN, Kind.CONTRACT, message, column, value, limit, short)


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(plain(name) for name in names[:_SHOWN])
    return shown + (", …" if len(names) > _SHOWN else "")
