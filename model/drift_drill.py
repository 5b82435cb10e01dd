"""A drill of the monitor: traffic that is changed on purpose, and the thresholds that notice it.

    python -m model.drift_drill traffic  --dataset D.zip --rows N --out ROWS.jsonl [a change]
    python -m model.drift_drill simulate --dataset D.zip --baseline baseline.json --rows N
                                         [--model model.tar.gz] [a change]
    python -m model.drift_drill dataset  --dataset D.zip --model model.tar.gz --out NEW.zip
                                         [--shift 2sd]

    a change: --column NAME --shift 2sd    add to a number, in standard deviations or in its unit;
                                           to a date, in standard deviations or in days
              --column NAME --missing 0.3  leave out a share of the cells
              --column NAME --category X   replace a share of the cells (--share, default 0.3)
              --label-flip 0.2             give a share of the rows the label of another class

`traffic` writes a line for each row: {"row": "5.1,3.5", "label": "setosa"}. `simulate` writes one
JSON object to standard output: for each threshold of the PSI, on how many of 100 unshifted days the
monitor would raise its alarm, and after how many runs it would notice the change. The days differ
by chance only: their rows are drawn from the dataset's, with replacement.

`dataset` writes a dataset of the rows and of the same rows with a shifted column: what a team has
after a change in the world, once labels have come. The column is the one whose shift makes the
model the worst. It prints {"column": …, "score": …, "shifted_score": …} of the model.

The exit code is 0, or 1 with one line that says what is wrong.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from model.archive import Dataset, read_archive, write_archive
from model.baseline import Baseline, ColumnBaseline, read_baseline
from model.cells import quote
from model.dates import clipped, show_date
from model.errors import ContainerError, MonitorError
from model.metrics import evaluate_regression
from model.monitor_judge import Thresholds, Verdict, judge
from model.monitor_statistics import prediction_of, statistics_of
from model.rows import ColumnCells, ReadOptions
from model.table import Table

_SHIFT = re.compile(r"([+-]?\d+(?:\.\d+)?)(sd)?")
_MOST_ROWS, _MOST_DAYS, _MOST_RUNS = 1_000_000, 1_000, 1_440
# The limits of PSI that are compared: those that the literature names, and their neighbours.
LIMITS = (0.1, 0.2, 0.25, 0.5, 1.0)
_POOL_ROWS = 2_000
_SECONDS_OF_DAY = 86_400.0
# Of the cells, so many get another category unless --share says otherwise.
_SHARE = 0.3

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the rows or of the labels; nothing by default.

    Attributes:
        column: the column's name.
        shift: what is added to its numbers.
        in_deviations: `shift` counts standard deviations of the dataset's column.
        missing: share of its cells that are left out, 0 to 1.
        category: the category that replaces `share` of its cells.
        share: share of the cells that get the category, 0 to 1.
        label_flip: share of the rows that get the label of another class, 0 to 1.
    """

    column: str | None = None
    shift: float = 0.0
    in_deviations: bool = False
    missing: float = 0.0
    category: str | None = None
    share: float = _SHARE
    label_flip: float = 0.0

    def __bool__(self) -> bool:
        """Return whether the rows are changed; labels are not part of what is captured."""
        return bool(self.shift or self.missing or self.category is not None)

    def of(self, dataset: Dataset, table: Table, rng: np.random.Generator) -> Table:
        """Return the table with the change.

        Raises:
            MonitorError: the column does not exist, or is of another type.
        """
        if self.label_flip:
            table = replace(table, labels=tuple(self._flipped(table.labels, rng)))
        if not self:
            return table
        at = self._at(dataset, table)
        cells = table.cells(at)
        if self.shift:
            unit = _SECONDS_OF_DAY if at in table.date_columns else 1.0
            deviation = float(np.nanstd(np.array(cells, float))) if self.in_deviations else unit
            cells = [float(cell) + self.shift * deviation for cell in cells]
            if at in table.date_columns:
                cells = clipped(np.array(cells)).tolist()
        chosen = rng.random(len(cells)) < (self.missing or self.share)
        nothing = "" if at in table.categorical_columns else math.nan
        new = self.category if self.category is not None else nothing
        if self.missing or self.category is not None:
            pairs = zip(cells, chosen, strict=True)
            cells = [new if is_chosen else cell for cell, is_chosen in pairs]
        changed: ColumnCells = (
            list(map(str, cells)) if at in table.categorical_columns else np.array(cells, float)
        )
        return replace(table, columns=(*table.columns[:at], changed, *table.columns[at + 1 :]))

    def _at(self, dataset: Dataset, table: Table) -> int:
        names = dataset.features
        if self.column not in names:
            known = ", ".join(quote(name) for name in names[:20])
            raise MonitorError(
                f"--column is {quote(self.column or '')}; the dataset's columns are {known}"
            )
        at = names.index(self.column)
        text = at in table.categorical_columns
        if self.shift and text:
            raise MonitorError(f"--shift needs a column of numbers; {self.column} has categories")
        if self.category is not None and not text:
            found = "dates" if at in table.date_columns else "numbers"
            raise MonitorError(
                f"--category needs a column of categories; {self.column} has {found}"
            )
        return at

    def _flipped(self, labels: Sequence[str], rng: np.random.Generator) -> list[str]:
        classes = sorted(set(labels))
        if len(classes) < 2:
            raise MonitorError("--label-flip needs a dataset of two classes or more")
        return [
            str(rng.choice([c for c in classes if c != label]))
            if rng.random() < self.label_flip
            else label
            for label in labels
        ]


def parse_change(options: argparse.Namespace) -> Change:
    """Return the change that the options describe.

    Raises:
        MonitorError: a value is not allowed, or two options do not go together.
    """
    given = [
        name
        for name in ("shift", "missing", "category", "label_flip")
        if getattr(options, name) is not None
    ]
    if len(given) > 1:
        names = " and ".join(f"--{name.replace('_', '-')}" for name in given)
        raise MonitorError(f"{names} are given; a drill changes one thing")
    if given and given != ["label_flip"] and options.column is None:
        raise MonitorError(f"--{given[0]} needs --column")
    if options.column is not None and given in ([], ["label_flip"]):
        raise MonitorError("--column needs --shift, --missing or --category")
    change = Change(column=options.column, category=options.category, share=options.share)
    if options.shift is not None:
        shift = _shift_of(options.shift)
        change = replace(change, shift=shift.shift, in_deviations=shift.in_deviations)
    for name in ("missing", "label_flip", "share"):
        value = getattr(options, name)
        if value is not None and not 0 < value <= 1:
            raise MonitorError(
                f"--{name.replace('_', '-')} is {value:g}; it must be above 0, up to 1"
            )
    return replace(change, missing=options.missing or 0.0, label_flip=options.label_flip or 0.0)


def _shift_of(text: str) -> Change:
    found = _SHIFT.fullmatch(text)
    if found is None or not float(found[1]):
        raise MonitorError(
            f"--shift is {quote(text)}; it must be a number other than 0, or one followed by sd, "
            "such as 2sd"
        )
    return Change(shift=float(found[1]), in_deviations=found[2] is not None)


def traffic(dataset: Dataset, change: Change, rows: int, seed: int) -> list[dict[str, str]]:
    """Return rows of the dataset, changed, each with its label.

    Args:
        dataset: its training rows are drawn with replacement.
        change: what is changed.
        rows: number of rows.
        seed: what the draws depend on.
    """
    rng = np.random.default_rng(seed)
    drawn = dataset.train.select(rng.integers(0, len(dataset.train.labels), rows).tolist())
    table = change.of(dataset, drawn, rng)
    return [
        {"row": ",".join(row), "label": label}
        for row, label in zip(_shown_rows(table), table.labels, strict=True)
    ]


def simulate(
    dataset: Dataset,
    baseline: Baseline,
    change: Change,
    *,
    rows: int,
    runs: int,
    days: int,
    alarm_runs: int,
    limits: Thresholds,
    seed: int,
    predict: Any = None,
) -> list[dict[str, Any]]:
    """Return, for each limit of the PSI, the false alarms and when the change is noticed.

    Args:
        dataset: its training rows are drawn with replacement.
        baseline: what the monitor compares with.
        change: what is changed; without one only false alarms are counted.
        rows: captured rows of a run.
        runs: runs of a day.
        days: days without, and days with the change.
        alarm_runs: runs in a row that must drift.
        limits: the other limits.
        seed: what the draws depend on.
        predict: returns the answers of rows; None judges no predictions.
    """
    names = [column.name for column in baseline.columns]
    if list(dataset.features) != names:
        raise MonitorError(
            f"the dataset's columns are not those of the baseline: {', '.join(names[:20])}"
        )
    rng = np.random.default_rng(seed)
    usual = _Traffic(dataset.train, baseline, predict)
    found: list[dict[str, Any]] = [
        {"psi_drift": limit, "false_alarm_days": 0, "noticed_after_runs": []} for limit in LIMITS
    ]
    every = [replace(limits, psi_drift=x, psi_warning=min(limits.psi_warning, x)) for x in LIMITS]
    for _ in range(days):
        alarms = usual.alarms(every, rows, runs, alarm_runs, rng)
        for entry, alarm in zip(found, alarms, strict=True):
            entry["false_alarm_days"] += alarm is not None
    if change:
        pool = max(1, math.ceil(_POOL_ROWS / len(dataset.train.labels)))
        many = list(range(len(dataset.train.labels))) * pool
        changed = _Traffic(change.of(dataset, dataset.train.select(many), rng), baseline, predict)
        for _ in range(days):
            alarms = changed.alarms(every, rows, runs, alarm_runs, rng)
            for entry, alarm in zip(found, alarms, strict=True):
                entry["noticed_after_runs"].append(alarm)
    return [_summary(entry, days) for entry in found]


def _summary(entry: dict[str, Any], days: int) -> dict[str, Any]:
    noticed = [runs for runs in entry.pop("noticed_after_runs") if runs is not None]
    return entry | {
        "days": days,
        "noticed_days": len(noticed),
        "noticed_after_runs": statistics.median_low(noticed) if noticed else None,
        "noticed_after_runs_at_most": max(noticed, default=None),
    }


def grown_dataset(dataset: Dataset, shift: Change, predict: Any) -> tuple[Dataset, dict[str, Any]]:
    """Return the dataset with its rows and the same rows shifted, and what that does to the model.

    Args:
        dataset: the dataset.
        shift: the shift; its column is chosen here.
        predict: returns the model's answers of rows.
    """
    rng = np.random.default_rng(0)
    numbers = [
        name
        for at, name in enumerate(dataset.features)
        if at not in dataset.train.categorical_columns and at not in dataset.train.date_columns
    ]
    if not numbers:
        raise MonitorError("the dataset has no column of numbers to shift")
    score = _score(dataset, dataset.train, predict)
    scores = {}
    for name in numbers:
        shifted = replace(shift, column=name).of(dataset, dataset.train, rng)
        scores[name] = _score(dataset, shifted, predict)
    column = min(scores, key=lambda name: scores[name])
    change = replace(shift, column=column)
    train = dataset.train + change.of(dataset, dataset.train, rng)
    validation = dataset.validation
    if validation is not None:
        validation += change.of(dataset, validation, rng)
    found = {"column": column, "score": score, "shifted_score": scores[column]}
    return replace(dataset, train=train, validation=validation), found


def _score(dataset: Dataset, table: Table, predict: Any) -> float:
    """Return the accuracy of the answers; for a regression R²."""
    answers = predict(table.rows)
    if dataset.classes:
        pairs = zip(answers, table.labels, strict=True)
        return statistics.fmean(answer == label for answer, label in pairs)
    truth = np.array([float(label) for label in table.labels])
    return evaluate_regression(truth, np.array(answers, np.float32)).r2


class _Traffic:
    """Days of rows that are drawn from a table."""

    def __init__(self, table: Table, baseline: Baseline, predict: Any) -> None:
        self._baseline = baseline
        self._columns = [
            np.array([show_date(cell) for cell in table.cells(at)], object)
            if at in table.date_columns
            else np.array(table.cells(at), object)
            for at in range(table.width)
        ]
        self._answers = None if predict is None else np.array(predict(table.rows), object)
        self._rows = len(table.labels)

    def alarms(
        self,
        limits: Sequence[Thresholds],
        rows: int,
        runs: int,
        alarm_runs: int,
        rng: np.random.Generator,
    ) -> list[int | None]:
        """Return after how many runs of a day each limit raises the alarm; None if none does."""
        in_a_row, found = [0] * len(limits), [None] * len(limits)  # type: list[int], list[Any]
        for run in range(1, runs + 1):
            parts = self._run(rng.integers(0, self._rows, rows))
            for at, one in enumerate(limits):
                in_a_row[at] = in_a_row[at] + 1 if self._drifts(parts, one) else 0
                if found[at] is None and in_a_row[at] >= alarm_runs:
                    found[at] = run
            if None not in found:
                break
        return found

    def _run(self, chosen: Any) -> list[tuple[ColumnBaseline, Any]]:
        parts = []
        for baseline, cells in zip(self._baseline.columns, self._columns, strict=True):
            part = statistics_of(baseline, self._baseline.missing_spellings)
            part.add_cells(cells[chosen].tolist())
            parts.append((baseline, part))
        if self._answers is not None:
            label = prediction_of(self._baseline)
            answered = statistics_of(label)
            answered.add_cells(self._answers[chosen].tolist())
            parts.append((label, answered))
        return parts

    def _drifts(self, parts: list[tuple[ColumnBaseline, Any]], limits: Thresholds) -> bool:
        columns = len(self._baseline.columns)
        return any(
            judge(baseline, part, limits, columns)["verdict"] == Verdict.DRIFT
            for baseline, part in parts
        )


def _predictor(path: Path) -> Any:
    """Return a function that answers rows as the model of an archive does."""
    from model.loaded_model import read_model

    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "model.tar.gz").write_bytes(path.read_bytes())
        model = read_model(Path(place))

    def predict(rows: Sequence[Row]) -> list[Any]:
        numbers, values = model.predictor.run(model.columns.encode(rows))
        classes = model.predictor.classes
        return [classes[n] for n in numbers] if classes else values[:, 0].tolist()

    return predict


def _shown(cell: Any) -> str:
    if isinstance(cell, str):
        return cell
    return "" if math.isnan(cell) else f"{cell:.7g}"


def _shown_rows(table: Table) -> list[tuple[str, ...]]:
    """Return the rows as CSV has them, one tuple for each."""
    columns = (
        [show_date(cell) if at in table.date_columns else _shown(cell) for cell in table.cells(at)]
        for at in range(table.width)
    )
    return list(zip(*columns, strict=True))


def _dataset(path: Path, *, header: bool) -> Dataset:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise MonitorError(f"cannot read {path} ({error.strerror})") from None
    options = ReadOptions(header=header, accept_missing=True)
    try:
        return read_archive(content, path.name, read_options=options)
    except ContainerError as error:
        if "regression" not in str(error):
            raise
        options = replace(options, regression=True)
        return read_archive(content, path.name, read_options=options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m model.drift_drill", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("traffic", "simulate", "dataset"):
        command = commands.add_parser(name)
        command.add_argument("--dataset", type=Path, required=True)
        command.add_argument("--header", action="store_true")
        command.add_argument("--shift")
    commands.choices["dataset"].add_argument("--model", type=Path, required=True)
    commands.choices["dataset"].add_argument("--out", type=Path, required=True)
    for name in ("traffic", "simulate"):
        command = commands.choices[name]
        command.add_argument("--rows", type=int, required=True)
        command.add_argument("--column")
        command.add_argument("--missing", type=float)
        command.add_argument("--category")
        command.add_argument("--share", type=float, default=_SHARE)
        command.add_argument("--label-flip", type=float)
        command.add_argument("--seed", type=int, default=1)
    commands.choices["traffic"].add_argument("--out", type=Path, required=True)
    simulated = commands.choices["simulate"]
    simulated.add_argument("--baseline", type=Path, required=True)
    simulated.add_argument("--model", type=Path)
    simulated.add_argument("--runs", type=int, default=24)
    simulated.add_argument("--days", type=int, default=100)
    simulated.add_argument("--alarm-runs", type=int, default=1)
    simulated.add_argument("--minimum-rows", type=int, default=100)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "dataset":
            return _grow(options)
        _bounded("--rows", options.rows, _MOST_ROWS)
        change, dataset = parse_change(options), _dataset(options.dataset, header=options.header)
        if options.command == "traffic":
            lines = traffic(dataset, change, options.rows, options.seed)
            text = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines)
            options.out.write_text(text, "utf-8")
            return 0
        _bounded("--runs", options.runs, _MOST_RUNS)
        _bounded("--days", options.days, _MOST_DAYS)
        _bounded("--alarm-runs", options.alarm_runs, _MOST_RUNS)
        found = simulate(
            dataset,
            read_baseline(options.baseline),
            change,
            rows=options.rows,
            runs=options.runs,
            days=options.days,
            alarm_runs=options.alarm_runs,
            limits=Thresholds(minimum_rows=options.minimum_rows),
            seed=options.seed,
            predict=_predictor(options.model) if options.model else None,
        )
    except (ContainerError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps({"thresholds": found}) + "\n")
    return 0


def _grow(options: argparse.Namespace) -> int:
    shift = _shift_of(options.shift or "2sd")
    dataset = _dataset(options.dataset, header=options.header)
    grown, found = grown_dataset(dataset, shift, _predictor(options.model))
    options.out.write_bytes(_archive(grown, header=options.header))
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


def _archive(dataset: Dataset, *, header: bool) -> bytes:
    """Return the zip of a dataset, which reads back as it is."""
    names = [[dataset.label, *dataset.features]] if header else []

    def lines(table: Table | None) -> list[list[str]]:
        if table is None:
            return []
        pairs = zip(table.labels, _shown_rows(table), strict=True)
        return names + [[label, *row] for label, row in pairs]

    at = sorted(dataset.train.categorical_columns)
    # The rows have ISO dates, which each order reads; requests may have the order's own.
    dates = {dataset.features[n]: str(o) for n, o in dataset.train.date_columns.items()}
    described = {
        "name": dataset.name,
        "label": dataset.label,
        "features": list(dataset.features),
        "source": dataset.source,
        **({"classes": list(dataset.classes)} if dataset.classes else {"regression": True}),
        **({"categorical": [dataset.features[n] for n in at]} if at else {}),
        **({"dates": dates} if dates else {}),
        **({"missing_values": "accept"} if _has_missing(dataset) else {}),
    }
    return write_archive(lines(dataset.train), lines(dataset.validation), described)


def _has_missing(dataset: Dataset) -> bool:
    tables = [table for table in (dataset.train, dataset.validation) if table is not None]
    return any("" in row for table in tables for row in _shown_rows(table))


def _bounded(name: str, value: int, most: int) -> None:
    if not 1 <= value <= most:
        raise MonitorError(f"{name} is {value}; it must be 1 to {most}")


if __name__ == "__main__":
    sys.exit(main())
