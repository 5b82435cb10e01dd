"""Pure: the checks of a dataset by itself, from the statistics of its tables."""

from __future__ import annotations

from collections.abc import Iterator

from model.columns import MAX_CODES, no_value, too_many_categories
from model.errors import DatasetError
from model.findings import Finding, Kind, Severity, plain
from model.scan import CategoryColumn, DateColumn, NumberColumn, TableScan
from model.split import rare_class, rarest_class

# With fewer rows, a column can be like the label by chance.
_LEAST_ROWS_LIKE_LABEL = 30


def refusal(error: Exception, short: str = "") -> Finding:
    """Return the finding that training would refuse the dataset, with training's message."""
    return Finding(Severity.BROKEN, Kind.REFUSED, str(error), short=short)


def refused_columns(
    train: TableScan, *, coded: bool = False, capped: bool = False
) -> Iterator[DatasetError]:
    """Yield training's error of each column that it would refuse.

    Args:
        train: the rows of train.csv.
        coded: categories are splits of histogram boosting.
        capped: the rarest categories of a column become one.
    """
    for name, column in zip(train.names, train.columns, strict=True):
        if not column.rows:
            yield no_value(name)
        elif isinstance(column, CategoryColumn):
            many = column.other or (coded and len(column.counts) > MAX_CODES)
            if many and not capped:
                yield too_many_categories(name, column.counts, coded=coded)


def check_by_itself(train: TableScan, validation: TableScan | None) -> Iterator[Finding]:
    """Yield the findings about the label, equal rows and constant columns.

    Args:
        train: the rows of train.csv.
        validation: the rows of validation.csv, or None.
    """
    yield from _like_the_label(train)
    for at, column in enumerate(train.columns):
        if _constant(column):
            name = train.names[at]
            yield Finding(
                Severity.WARNING,
                Kind.CONSTANT_COLUMN,
                f"column {plain(name)} has the same value in every training row, so that nothing "
                "can be learnt from it; drop it",
                column=name,
            )
    yield from _rare_class(train)
    share = repeated_share(train)
    if share:
        yield Finding(
            Severity.WARNING,
            Kind.REPEATED_ROWS,
            f"{share:.2%} of the training rows repeat an earlier row{about(train)}",
            value=share,
        )
    if validation is not None and validation.rows:
        share = leaked_share(train, validation)
        if share:
            yield Finding(
                Severity.WARNING,
                Kind.LEAKAGE,
                f"{share:.2%} of the validation rows are training rows, too"
                f"{about(train, validation)}; metrics on them say nothing about new data",
                value=share,
            )


def repeated_share(train: TableScan) -> float:
    """Return the share of training rows that repeat an earlier one, 0 to 1."""
    return train.sample.repeated_share()


def leaked_share(train: TableScan, validation: TableScan) -> float:
    """Return the share of validation rows that are training rows, 0 to 1."""
    return validation.sample.share_in(train.sample)


def about(*tables: TableScan) -> str:
    """Return a remark for a share that was estimated, and nothing for an exact one."""
    exact = all(table.sample.exact for table in tables)
    return "" if exact else " (estimated from a sample of the rows)"


def _rare_class(train: TableScan) -> Iterator[Finding]:
    if train.values is not None or train.labels.other:
        return
    rare = rarest_class(train.labels.counts)
    if rare:
        name, share = rare
        yield Finding(
            Severity.WARNING,
            Kind.RARE_CLASS,
            rare_class(name, train.labels.counts),
            value=share,
        )


def _like_the_label(train: TableScan) -> Iterator[Finding]:
    if train.rows < _LEAST_ROWS_LIKE_LABEL:
        return
    for at, equal in train.like_the_label():
        name = train.names[at]
        if equal:
            yield Finding(
                Severity.BROKEN,
                Kind.LABEL_IS_FEATURE,
                f"column {plain(name)} holds the label in each of the {train.rows} training rows; "
                "drop it, or the model learns to copy it",
                column=name,
                short=f"{plain(name)} holds the label",
            )
        else:
            yield Finding(
                Severity.WARNING,
                Kind.LABEL_IS_FEATURE,
                f"column {plain(name)} has one value for each class in all {train.rows} training "
                "rows, as if it were the label in other words",
                column=name,
            )


def _constant(column: NumberColumn | CategoryColumn) -> bool:
    if column.missing or not column.rows:
        return False
    if isinstance(column, DateColumn) and column.times:
        return False
    if isinstance(column, NumberColumn):
        return column.minimum == column.maximum
    return len(column.counts) == 1 and not column.other
