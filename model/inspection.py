"""Reads a dataset zip in one pass, and collects what training would refuse in it.

Training's own functions read and check the rows, so that both agree on every cell and say the same
about it. Where training stops at the first problem, this goes on to the next row, column or table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from model.archive import (
    DEFAULT_LABEL,
    Description,
    class_order,
    numbered_features,
    parse_description,
)
from model.columns import Column, Columns, check_known
from model.contract import Contract, contract_file, parse_contract
from model.enough_rows import check_enough_rows
from model.entries import DESCRIPTION, MAX_UNPACKED_BYTES, TRAIN, VALIDATION, ZipEntries
from model.errors import ContainerError, DatasetError
from model.findings import Finding
from model.hyperparameters import Hyperparameters, check_class_weight, check_decision
from model.own_rules import refusal, refused_columns
from model.rows import Cell, ReadOptions, RowReader, no_rows
from model.scan import MAX_CLASSES, MAX_COLUMNS, CategoryColumn, TableScan
from model.split import held_out_of, refuse_single_rows
from model.table import check_known_classes, check_several_labels, check_size, check_width

# Refused rows of a table that are listed.
_LISTED_ROWS = 5


@dataclass(frozen=True, slots=True)
class Inspection:
    """A dataset's statistics and refusals.

    Attributes:
        name: the dataset's display name.
        label: the label column's name.
        regression: the label is a number to predict.
        train: the statistics of train.csv.
        validation: the statistics of validation.csv, or None.
        contract: the dataset's contract; one without rules if it has none.
        has_contract: the dataset has a contract.
        findings: what training would refuse.
        missing_spellings: cells that are missing besides empty ones and `nan`, in small letters.
    """

    name: str
    label: str
    regression: bool
    train: TableScan
    validation: TableScan | None
    contract: Contract
    has_contract: bool
    findings: tuple[Finding, ...]
    missing_spellings: frozenset[str] = frozenset()


def inspect_dataset(
    file: IO[bytes],
    where: str,
    hyperparameters: Hyperparameters,
    max_bytes: int = MAX_UNPACKED_BYTES,
) -> Inspection:
    """Read a dataset zip in bounded memory.

    Args:
        file: the zip, open for reading.
        where: the file's name, for messages.
        hyperparameters: those of the training job.
        max_bytes: limit for the unpacked size of all files together.

    Raises:
        ContainerError: the zip, its description or its contract cannot be read.
    """
    with ZipEntries(file, where, max_bytes) as entries:
        described = entries.read(DESCRIPTION) if DESCRIPTION in entries.names else None
        description = parse_description(described, f"{where}/{DESCRIPTION}")
        read_options = description.add_to(hyperparameters.read_options, where)
        found = contract_file(entries.names)
        contract = Contract() if found is None else parse_contract(entries.read(found), found)
        return _Inspector(
            entries, where, hyperparameters, description, read_options, contract
        ).inspect(has_contract=found is not None)


class _Inspector:
    def __init__(
        self,
        entries: ZipEntries,
        where: str,
        hyperparameters: Hyperparameters,
        description: Description,
        read_options: ReadOptions,
        contract: Contract,
    ) -> None:
        self._entries, self._where = entries, where
        self._hyperparameters = hyperparameters
        self._description, self._read_options = description, read_options
        self._contract = contract
        self._files = (f"{where}/{TRAIN}", f"{where}/{VALIDATION}")
        self._findings: list[Finding] = []

    def inspect(self, *, has_contract: bool) -> Inspection:
        reader = self._reader(TRAIN)
        width = reader.width or 0
        if width > MAX_COLUMNS:
            raise DatasetError(
                f"{self._files[0]} has {width} columns; the data check reads at most {MAX_COLUMNS}"
            )
        features = self._description.features or reader.names or numbered_features(width)
        train = self._scan(reader, features)
        self._attempt(check_size, train.rows, max(1, width), self._files[0])
        # Without the rows that were refused, the counts of the others say little.
        whole = not self._findings
        if whole:
            self._check_train(train)
        validation = None
        if VALIDATION in self._entries.names:
            validation = self._validate(train, reader)
        elif whole and train.rows:
            whole = self._attempt(self._check_split, train)
        if whole and train.rows and not train.labels.other:
            holds_out = VALIDATION not in self._entries.names
            self._attempt(self._check_enough, train, holds_out=holds_out)
        return Inspection(
            self._description.name,
            self._description.label or reader.label or DEFAULT_LABEL,
            self._read_options.regression,
            train,
            validation,
            self._contract,
            has_contract,
            tuple(self._findings),
            self._read_options.missing_spellings,
        )

    def _reader(self, name: str, like: RowReader | None = None) -> RowReader:
        return RowReader(
            lambda: self._entries.lines(name),
            f"{self._where}/{name}",
            self._description.features,
            self._read_options,
            like,
        )

    def _scan(
        self,
        reader: RowReader,
        names: Sequence[str],
        batch: Callable[[Sequence[str], Sequence[tuple[Cell, ...]]], None] | None = None,
    ) -> TableScan:
        scan = TableScan(
            names,
            reader.categorical_columns,
            dict(self._contract.columns),
            regression=self._read_options.regression,
            dates=reader.date_columns,
        )
        errors: list[DatasetError] = []
        refused = 0

        def refuse(error: DatasetError) -> None:
            nonlocal refused
            refused += 1
            if len(errors) < _LISTED_ROWS:
                errors.append(error)

        try:
            scan.read(reader, refuse, batch)
        except DatasetError as not_csv:
            # The text is no CSV from here on. Training stops at the first row that it refuses.
            if not refused:
                raise
            refuse(not_csv)
        for error in errors:
            self._refuse(error)
        if refused > len(errors):
            more = f"{reader.where}: {refused - len(errors)} more rows are not allowed"
            self._refuse(DatasetError(more))
        if not scan.rows and not refused:
            self._refuse(no_rows(reader.where))
        if not self._read_options.regression:
            self._attempt(scan.labels.refuse_measurements, reader.where)
        return scan

    def _check_train(self, train: TableScan) -> None:
        if not train.rows:
            return
        counts = train.labels.counts
        self._attempt(
            check_several_labels, counts, self._files[0], regression=self._read_options.regression
        )
        if not self._read_options.regression:
            if train.labels.other:
                self._refuse(
                    DatasetError(
                        f"{self._files[0]}: the label has more than {MAX_CLASSES} classes, which "
                        "the data check does not count. Is it an identifier?"
                    )
                )
            else:
                self._attempt(self._check_classes, counts)
        for error in refused_columns(
            train,
            coded=self._hyperparameters.coded_categories,
            capped=self._hyperparameters.max_categories is not None,
        ):
            self._refuse(error)

    def _validate(self, train: TableScan, like: RowReader) -> TableScan | None:
        reader = self._reader(VALIDATION, like)
        if reader.width is not None and not self._attempt(
            check_width, len(train.names), reader.width, self._files
        ):
            return None
        if not train.rows:
            return None
        capped = self._hyperparameters.max_categories
        columns = Columns(
            tuple(
                Column(
                    name,
                    tuple(sorted(column.counts)),
                    other=bool(capped and len(column.counts) > capped),
                )
                if isinstance(column, CategoryColumn)
                else Column(name)
                for name, column in zip(train.names, train.columns, strict=True)
            ),
            self._read_options.accept_missing,
            self._read_options.missing_spellings,
        )
        # Each is dropped after its first error.
        checks: list[Callable[[Sequence[str], Sequence[tuple[Cell, ...]], int], None]] = []
        if not self._read_options.regression and not train.labels.other:
            checks.append(
                lambda labels, _, first: check_known_classes(
                    labels, train.labels.counts, self._files, first
                )
            )
        if like.categorical_columns and not self._read_options.accept_missing:
            checks.append(
                lambda _, rows, first: check_known(
                    columns, rows, like.categorical_columns, "the validation rows", first
                )
            )
        done = 0

        def batch(labels: Sequence[str], rows: Sequence[tuple[Cell, ...]]) -> None:
            nonlocal done
            for check in list(checks):
                if not self._attempt(check, labels, rows, done + 1):
                    checks.remove(check)
            done += len(labels)

        return self._scan(reader, train.names, batch)

    def _check_classes(self, counts: Mapping[str, int]) -> None:
        classes = class_order(self._description.classes, counts, self._files[0])
        check_class_weight(self._hyperparameters.values.get("class_weight"), classes)
        check_decision(self._hyperparameters, classes)

    def _check_split(self, train: TableScan) -> None:
        regression = self._read_options.regression
        counts = {"any": train.rows} if regression else train.labels.counts
        refuse_single_rows(counts, "the training data")

    def _check_enough(self, train: TableScan, *, holds_out: bool) -> None:
        """Check that the rows that training fits are enough for its folds and its early stop."""
        regression = self._read_options.regression
        counts = {"": train.rows} if regression else dict(train.labels.counts)
        if holds_out:
            fraction = self._hyperparameters.validation_fraction
            counts = {name: rows - held_out_of(rows, fraction) for name, rows in counts.items()}
        check_enough_rows(self._hyperparameters, counts, regression=regression)

    def _attempt(self, check: Callable[..., object], *arguments: object, **named: object) -> bool:
        """Make a check of training's; return False if it refused the dataset."""
        try:
            check(*arguments, **named)
        except ContainerError as error:
            self._refuse(error)
            return False
        return True

    def _refuse(self, error: ContainerError) -> None:
        # The message of the job leaves out the zip's name, which CodePipeline made, and the advice.
        short = str(error).removeprefix(f"{self._where}/").split("; ")[0]
        self._findings.append(refusal(error, short))
