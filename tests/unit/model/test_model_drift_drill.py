"""The drill of the monitor: changed rows, false alarms, and options that cannot work."""

from __future__ import annotations

import json
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.archive import Dataset
from model.baseline import Baseline, ColumnBaseline, Histogram, LabelBaseline
from model.drift_drill import LIMITS, Change, grown_dataset, main, simulate, traffic
from model.monitor_judge import Thresholds
from model.table import Table
from tests.archives import zip_of

EDGES = tuple(float(edge) for edge in range(11))
BASELINE = Baseline(
    rows=1000,
    label=LabelBaseline("kind", {"a": 500, "b": 500}),
    columns=(
        ColumnBaseline("size", 0.0, Histogram(EDGES, (100,) * 10), 0.0, 10.0, 5.0, 2.9),
        ColumnBaseline("site", 0.0, counts={"north": 500, "south": 500}),
    ),
)
ROWS = tuple((n % 10 + 0.5, ("north", "south")[n // 10 % 2]) for n in range(1000))
LABELS = tuple("ab"[n % 2] for n in range(1000))
DATASET = Dataset(
    Table.of_rows(LABELS, ROWS, categorical_columns=frozenset({1})), None, features=("size", "site")
)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    rows = "".join(f"{k},{size},{site}\n" for k, (size, site) in zip(LABELS, ROWS, strict=True))
    described = json.dumps({"features": ["size", "site"], "categorical": ["site"]})
    content = zip_of({"train.csv": rows, "dataset.json": described})
    (tmp_path / "d.zip").write_bytes(content)
    (tmp_path / "baseline.json").write_text(json.dumps(BASELINE.as_json()))
    return tmp_path


def run(place: Path, command: str, *more: str) -> int:
    return main([command, "--dataset", str(place / "d.zip"), "--rows", "300", *more])


def rows_of(place: Path, *change: str) -> list[dict[str, str]]:
    assert run(place, "traffic", "--out", str(place / "rows"), *change) == 0
    return [json.loads(line) for line in (place / "rows").read_text().splitlines()]


def columns(lines: list[dict[str, str]]) -> tuple[list[str], list[str]]:
    sizes, sites = zip(*(line["row"].split(",") for line in lines), strict=True)
    return list(sizes), list(sites)


def test_unchanged_rows_are_rows_of_the_dataset_with_their_labels(place: Path) -> None:
    known = {(f"{size:g},{site}", k) for k, (size, site) in zip(LABELS, ROWS, strict=True)}
    lines = rows_of(place)
    assert len(lines) == 300
    assert {(line["row"], line["label"]) for line in lines} <= known
    assert rows_of(place) == lines
    assert rows_of(place, "--seed", "2") != lines


def test_a_shift_counts_standard_deviations_or_the_columns_unit(place: Path) -> None:
    before = [float(size) for size in columns(rows_of(place))[0]]
    plain = [float(size) for size in columns(rows_of(place, "--column=size", "--shift=-2.5"))[0]]
    assert plain == pytest.approx([size - 2.5 for size in before])
    twice = [float(size) for size in columns(rows_of(place, "--column=size", "--shift=2sd"))[0]]
    expected = [size + 2 * statistics.pstdev(before) for size in before]
    assert twice == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("column", "at"), [("size", 0), ("site", 1)])
def test_a_share_of_the_cells_is_left_out(place: Path, column: str, at: int) -> None:
    cells = columns(rows_of(place, f"--column={column}", "--missing", "0.4"))[at]
    assert 0.3 < cells.count("") / len(cells) < 0.5


def test_a_share_of_the_cells_gets_a_category(place: Path) -> None:
    sites = columns(rows_of(place, "--column=site", "--category=west", "--share=0.5"))[1]
    assert 0.4 < sites.count("west") / len(sites) < 0.6


def test_a_share_of_the_labels_is_of_another_class(place: Path) -> None:
    right, flipped = rows_of(place), rows_of(place, "--label-flip=0.3")
    assert [line["row"] for line in flipped] == [line["row"] for line in right]
    wrong = sum(a["label"] != b["label"] for a, b in zip(right, flipped, strict=True))
    assert 0.2 < wrong / len(right) < 0.4


def test_a_large_shift_is_noticed_at_once_and_days_without_it_raise_no_alarm() -> None:
    change = Change(column="size", shift=2.0, in_deviations=True)
    found = simulated(change, days=5)
    assert [entry["psi_drift"] for entry in found] == list(LIMITS)
    for entry in found:
        assert (entry["false_alarm_days"], entry["noticed_days"]) == (0, 5)
        assert entry["noticed_after_runs"] == entry["noticed_after_runs_at_most"] == 1


def test_a_strict_limit_notices_what_a_loose_one_does_not() -> None:
    # 70 % and 30 % in place of halves: a PSI of 0.17.
    found = simulated(Change(column="site", category="north", share=0.4), days=20)
    days = [entry["noticed_days"] for entry in found]
    assert days == sorted(days, reverse=True)
    assert (days[0], days[-1]) == (20, 0)


def test_several_runs_in_a_row_take_as_many_runs() -> None:
    change = Change(column="site", category="west", share=0.5)
    found = simulated(change, days=3, alarm_runs=4)
    assert {entry["noticed_after_runs"] for entry in found} == {4}


def test_without_a_change_only_false_alarms_are_counted() -> None:
    for entry in simulated(Change(), days=3):
        assert (entry["noticed_days"], entry["noticed_after_runs"]) == (0, None)


def test_answers_that_change_are_noticed_too() -> None:
    def constant(rows: Any) -> list[str]:
        return ["a"] * len(rows)

    found = simulated(Change(), days=2, predict=constant)
    assert found[0]["false_alarm_days"] == 2


def simulated(change: Change, **options: Any) -> list[dict[str, Any]]:
    return simulate(
        DATASET,
        BASELINE,
        change,
        **{
            "rows": 200,
            "runs": 6,
            "days": 5,
            "alarm_runs": 1,
            "seed": 1,
            "limits": Thresholds(),
            **options,
        },
    )


def test_the_command_prints_the_thresholds(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = ("--baseline", str(place / "baseline.json"), "--days=2", "--runs=2", "--seed=3")
    assert run(place, "simulate", *more, "--column=size", "--shift=3sd") == 0
    (first, *_) = json.loads(capsys.readouterr().out)["thresholds"]
    assert first == {
        "psi_drift": 0.1,
        "false_alarm_days": 0,
        "days": 2,
        "noticed_days": 2,
        "noticed_after_runs": 1,
        "noticed_after_runs_at_most": 1,
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--column=nope", "--shift=1"], "--column is 'nope'; the dataset's columns are 'size'"),
        (["--shift=1"], "--shift needs --column"),
        (["--column=size"], "--column needs --shift, --missing or --category"),
        (["--column=size", "--shift=lots"], "--shift is 'lots'; it must be a number"),
        (["--column=size", "--shift=0sd"], "--shift is '0sd'; it must be a number other than 0"),
        (["--column=site", "--shift=1"], "--shift needs a column of numbers"),
        (["--column=size", "--category=x"], "--category needs a column of categories"),
        (["--column=size", "--missing=1.5"], "--missing is 1.5; it must be above 0, up to 1"),
        (["--label-flip=0"], "--label-flip is 0; it must be above 0, up to 1"),
        (["--label-flip=0.1", "--missing=0.1"], "--missing and --label-flip are given"),
        (["--rows=0"], "--rows is 0; it must be 1 to 1000000"),
        (["--dataset=missing.zip"], "cannot read missing.zip (No such file or directory)"),
    ],
)
def test_a_drill_that_cannot_work_says_why(
    place: Path, capsys: pytest.CaptureFixture[str], change: list[str], said: str
) -> None:
    assert run(place, "traffic", "--out", str(place / "rows"), *change) == 1
    error = capsys.readouterr().err
    assert error.startswith(said)
    assert error.count("\n") == 1
    assert not (place / "rows").exists()


def test_a_dataset_of_other_columns_is_refused() -> None:
    other = Dataset(Table.of_rows(("a",), ((1.0,),)), None, features=("width",))
    with pytest.raises(Exception, match="columns are not those of the baseline: size, site"):
        simulate(
            other,
            BASELINE,
            Change(),
            rows=1,
            runs=1,
            days=1,
            alarm_runs=1,
            limits=Thresholds(),
            seed=1,
        )


def test_one_class_has_no_other_label() -> None:
    one = Dataset(Table.of_rows(("a",) * 3, ((1.0,),) * 3), None, features=("size",))
    with pytest.raises(Exception, match="needs a dataset of two classes"):
        traffic(one, Change(label_flip=0.5), 3, 1)


def test_a_missing_number_stays_missing() -> None:
    table = Table.of_rows(("a", "b"), ((np.nan,), (1.0,)))
    shifted = Change(column="size", shift=1.0).of(
        Dataset(table, None, features=("size",)), table, np.random.default_rng(1)
    )
    assert np.isnan(shifted.rows[0][0])
    assert shifted.rows[1][0] == 2.0


def test_a_grown_dataset_has_its_rows_and_the_same_rows_shifted_where_it_hurts() -> None:
    def predict(rows: Any) -> list[str]:
        return ["a" if row[0] < 5 else "b" for row in rows]

    labels = tuple(predict(ROWS))
    dataset = replace(
        DATASET, train=replace(DATASET.train, labels=labels), validation=None, classes=("a", "b")
    )
    grown, found = grown_dataset(dataset, Change(shift=2.0, in_deviations=True), predict)
    assert found["column"] == "size"
    assert found["score"] == 1.0
    assert found["shifted_score"] < 0.7
    assert grown.train.labels == labels * 2
    assert grown.train.rows[:1000] == ROWS
    assert float(grown.train.rows[1000][0]) > ROWS[0][0]
    assert grown.train.rows[1000][1] == ROWS[0][1]


def test_a_dataset_without_numbers_cannot_be_shifted() -> None:
    texts = Dataset(
        Table.of_rows(("a",), (("x",),), categorical_columns=frozenset({0})),
        None,
        features=("site",),
    )
    with pytest.raises(Exception, match="has no column of numbers to shift"):
        grown_dataset(texts, Change(shift=1.0), lambda rows: ["a"] * len(rows))
