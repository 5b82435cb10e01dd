"""Columns of dates in the jobs: the data gate, the monitor, the evaluation and the drill."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.archive import read_archive
from model.baseline import Baseline, ColumnBaseline, Histogram, parse_baseline
from model.check_page import draw_page
from model.columns import Columns, learn_columns
from model.dates import Order, days_of, is_date, parse_date
from model.drift_drill import main as drill
from model.evaluate import _fits
from model.evaluation import Answers, compare
from model.findings import Kind, Severity
from model.fitting import fit_and_measure
from model.hyperparameters import parse_hyperparameters
from model.importances import permutation_importances
from model.loaded_model import Model
from model.monitor_judge import Thresholds, Verdict, judge
from model.monitor_page import page_of
from model.monitor_statistics import DateStatistics, Statistics, statistics_of
from model.reference_set import read_reference, reference_bytes
from model.rehearsal import InputComparison
from model.rows import ReadOptions
from model.table import Table, parse_table
from tests.archives import zip_of
from tests.unit.model.container import Server, train
from tests.unit.model.monitoring import BASELINE, PLACE, Job, capture, csv
from tests.unit.model.test_model_check import messages, outcome_of

YEAR, DAY, MONTH = Order
AUTO = {"header": "yes", "categorical_columns": "auto"}


def text_of(dates: Sequence[object]) -> str:
    rows = (f"{'ab'[n % 2]},{day},{n % 7}\n" for n, day in enumerate(dates))
    return "kind,seen,x\n" + "".join(rows)


def days(first: str, count: int) -> list[str]:
    return [str(day) for day in np.datetime64(first) + np.arange(count)]


def test_the_gate_describes_a_column_of_dates_by_its_days() -> None:
    found = outcome_of({"train.csv": text_of(days("2024-01-01", 60))}, AUTO)
    assert found.baseline is not None
    column = found.baseline.columns[0]
    assert (column.type, column.order) == ("date", YEAR)
    assert (column.minimum, column.maximum) == (19723.0, 19782.0)
    assert column.histogram is not None
    assert sum(column.histogram.counts) == 60
    document = found.baseline.as_json()
    assert document["columns"][0]["type"] == "date"
    assert parse_baseline(json.loads(json.dumps(document))) == found.baseline
    page = draw_page(found.as_json(), document, None)
    assert "2024-01-01" in page
    assert "2024-02-29" in page


def test_newer_dates_are_a_warning_also_where_a_shift_stops_the_pipeline() -> None:
    champion = outcome_of({"train.csv": text_of(days("2023-01-01", 200))}, AUTO).baseline
    newer = {"train.csv": text_of(days("2024-01-01", 200))}
    found = outcome_of(newer, AUTO, champion, stop=True)
    shifts = [finding for finding in found.findings if finding.kind is Kind.SHIFT]
    assert [(one.column, one.severity) for one in shifts] == [("seen", Severity.WARNING)]
    assert not found.broken


def test_a_date_that_became_a_category_is_another_schema() -> None:
    champion = outcome_of({"train.csv": text_of(days("2024-01-01", 60))}, AUTO).baseline
    changed = outcome_of({"train.csv": text_of(["x", "y"] * 30)}, AUTO, champion)
    assert messages(changed, Kind.SCHEMA)[0].startswith("column seen is a category, and was a d")
    numbers = outcome_of({"train.csv": text_of(range(60))}, AUTO, champion)
    assert messages(numbers, Kind.SCHEMA)[0].startswith("column seen is a number, and was a date")
    assert {one.name for one in numbers.compared} == {"x", "kind"}


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("type = 'number'", "column seen is a date, and the contract says number"),
        ("minimum = 3", "column seen is a date, and the contract says number"),
        ("categories = ['a']", "column seen is a date, and the contract says category"),
        (
            "earliest = 2024-01-05",
            "holds 2024-01-01, before the contract's earliest, 2024-01-05 (4 rows are out of",
        ),
        ('latest = "2024-02-20"', "holds 2024-02-29, after the contract's latest, 2024-02-20 (9 r"),
    ],
)
def test_a_contract_limits_dates(rule: str, message: str) -> None:
    contract = f"[columns.seen]\n{rule}\n"
    files = {"train.csv": text_of(days("2024-01-01", 60)), "data-contract.toml": contract}
    assert message in messages(outcome_of(files, AUTO), Kind.CONTRACT)[0]
    kept = contract.replace(rule, "type = 'date'\nearliest = 2024-01-01\nlatest = '2024/02/29'")
    assert messages(outcome_of(files | {"data-contract.toml": kept}, AUTO), Kind.CONTRACT) == []


def test_moments_of_one_day_are_different_values_and_rows() -> None:
    moments = [f"2024-01-01T00:00:{second:02}" for second in range(60)]
    contract = "[columns.seen]\nunique = true\n"
    text = "kind,seen\n" + "".join(f"{'ab'[n % 2]},{one}\n" for n, one in enumerate(moments))
    found = outcome_of({"train.csv": text, "data-contract.toml": contract}, AUTO)
    assert [finding.kind for finding in found.findings] == []
    same = outcome_of({"train.csv": text + "a,2024-01-01T01:00:00+01:00\n"}, AUTO)
    assert [finding.kind for finding in same.findings] == [Kind.REPEATED_ROWS]
    constant = outcome_of({"train.csv": text_of(["2024-01-01"] * 40)}, AUTO)
    assert Kind.CONSTANT_COLUMN in [finding.kind for finding in constant.findings]


def test_the_gate_refuses_what_training_refuses_of_dates() -> None:
    for text, reason in (
        (text_of(["01/02/2024"] * 40), "the column 'seen' holds dates such as '01/02/2024'"),
        (text_of(["2024-01-01", "2023-02-29"] * 20), "row 3, column 2 (seen) holds '2023-02-29'"),
    ):
        options = {"header": "yes", "date_columns": "seen"}
        try:
            refused = messages(outcome_of({"train.csv": text}, options), Kind.REFUSED)[0]
        except Exception as error:
            refused = str(error)
        assert reason in refused
        with pytest.raises(Exception, match="seen") as raised:
            read_archive(
                zip_of({"train.csv": text}),
                "x.zip",
                read_options=parse_hyperparameters(options).read_options,
            )
        assert str(raised.value) in (refused, f"x.zip/{refused}")


CELLS = st.sampled_from(
    [
        *("2024-01-02", "2024-01-02T23:30-01:00", "01/02/2024", "31/01/2024", "2023-02-29", ""),
        *("nan", "NA", "x", 5, 2.5, None, float("nan"), True, [1]),
    ]
)


@given(st.lists(CELLS, max_size=20), st.integers(0, 20))
def test_captured_dates_count_the_same_in_every_split_and_as_the_server_reads_them(
    cells: list[object], at: int
) -> None:
    def make() -> DateStatistics:
        return DateStatistics(Histogram((19723.0, 19724.0), (1,)), frozenset({"na"}), DAY)

    whole, parts = make(), (make(), make())
    whole.add_cells(cells)
    for part, some in zip(parts, (cells[:at], cells[at:]), strict=True):
        part.add_cells(some)
    parts[0].merge(parts[1])
    assert whole.as_json() == parts[0].as_json()
    table = parse_table(
        "a,2024-01-01\nb,2024-01-02T10:00\n",
        "t",
        read_options=ReadOptions(dates=(("feature_1", DAY),)),
    )
    spellings = frozenset({"na"})
    columns = learn_columns(
        *(table, ("seen",)), accept_missing=True, fill=False, missing_spellings=spellings
    )
    read = []
    for cell in cells:
        try:
            read.append(columns.parse_json_value(cell, 0, "it"))
        except ValueError:
            continue
    seconds = np.array(read, float)
    assert whole.missing == np.isnan(seconds).sum()
    assert whole.invalid == len(cells) - len(read)
    known = days_of(seconds[~np.isnan(seconds)])
    assert whole.values == len(known)
    if len(known):
        assert (whole.minimum, whole.maximum) == (known.min(), known.max())


DATED = replace(
    BASELINE,
    columns=(
        ColumnBaseline(
            "seen", 0.0, Histogram((19723.0, 19753.0, 19783.0), (500, 500)), 19723.0, 19783.0,
            19753.0, 17.0, order=YEAR,
        ),
        BASELINE.columns[1],
    ),
)  # fmt: skip


def judged(cells: Sequence[object], baseline: Baseline = DATED) -> dict[str, object]:
    found = statistics_of(baseline.columns[0], baseline.missing_spellings)
    found.add_cells(cells)
    return judge(baseline.columns[0], found, Thresholds(), 2)


def test_dates_that_are_newer_warn_and_those_that_are_missing_or_wrong_drift() -> None:
    same = judged(days("2024-01-01", 60) * 5)
    assert (same["verdict"], same["type"], same["reasons"]) == (Verdict.STABLE, "date", [])
    newer = judged(days("2025-01-01", 60) * 5)
    assert newer["verdict"] == Verdict.WARNING
    assert str(newer["reasons"]).startswith("['100.0% out of the training range")
    wrong = judged([*days("2024-01-01", 60) * 5, *["soon"] * 60])
    assert (wrong["verdict"], wrong["invalid"]) == (
        Verdict.DRIFT,
        {"rows": 60, "share": 60 / 360},
    )
    gone = judged([*days("2024-01-01", 60) * 5, *[""] * 60])
    assert gone["verdict"] == Verdict.DRIFT


def test_the_monitor_counts_spellings_of_missing_values_as_the_server_does() -> None:
    spelled = replace(DATED, missing_spellings=frozenset({"na", "?"}))
    cells = [*days("2024-01-01", 60) * 5, *["NA", " ? "] * 30]
    assert judged(cells, spelled)["missing"] == {"rows": 60, "share": 60 / 360, "baseline": 0.0}
    assert judged(cells)["invalid"] == {"rows": 60, "share": 60 / 360}
    numbers = Statistics(replace(BASELINE, missing_spellings=frozenset({"na"})))
    numbers.columns[0].add_cells(["1", "Na", None, "x"])
    assert (numbers.columns[0].missing, numbers.columns[0].invalid) == (2, 1)
    numbers.columns[1].add_cells(["north", "na", "unknown"])
    assert (numbers.columns[1].missing, numbers.columns[1].values) == (1, 2)


def test_the_gate_hands_the_spellings_to_the_monitor() -> None:
    options = {"missing_values": "accept", "missing_spellings": "NA,?", "header": "yes"}
    text = "kind,x\n" + "a,1\nb,?\na,NA\nb,2\n" * 10
    found = outcome_of({"train.csv": text}, options).baseline
    assert found is not None
    assert found.missing_spellings == {"na", "?"}
    assert parse_baseline(json.loads(json.dumps(found.as_json()))) == found
    plain = outcome_of({"train.csv": text_of([1, 2] * 20)}, {"header": "yes"}).baseline
    assert plain is not None
    assert "missing_spellings" not in plain.as_json()


def test_the_monitors_page_shows_days(tmp_path: Path) -> None:
    job = Job(tmp_path, DATED)
    lines = [
        capture(csv(f"{day},north\n"), csv("a\n"), f"event-{at}")
        for at, day in enumerate(days("2024-01-01", 60) * 3)
    ]
    job.captures(f"{PLACE}/a.jsonl", lines)
    report = job.run()
    assert report["columns"][0]["verdict"] == Verdict.STABLE
    assert "2024-01-01 to 2024-01-31" in page_of(report)


def test_slices_of_dates_are_named_by_their_ends() -> None:
    truth = np.array(["a", "b"] * 50)
    right = Answers(truth, np.full(100, 0.9), np.full(100, 0.9))
    wrong = Answers(np.array(["a"] * 100), np.full(100, 0.5), np.full(100, 0.5))
    seconds = [parse_date(day, YEAR) for day in days("2024-01-01", 100)]
    found = compare(truth, wrong, right, {"seen": seconds}, seed=0, dates=["seen"])
    names = [one.name for one in found.slices if one.name.startswith("seen ")]
    assert names
    assert all(is_date(end) for name in names for end in name.split()[1::2])


def table_of(text: str, options: dict[str, str]) -> Table:
    read_options = parse_hyperparameters({"header": "yes", **options}).read_options
    return parse_table(text, "t", read_options=read_options)


def test_the_reference_set_keeps_dates_and_fits_only_a_model_with_dates(tmp_path: Path) -> None:
    dated = table_of(text_of(days("2024-01-01", 20)), {"date_columns": "seen"})
    path = tmp_path / "reference.json"
    path.write_bytes(reference_bytes(dated, ("seen", "x"), 0))
    read = read_reference(path).table
    assert read.date_columns == dated.date_columns
    assert read.rows == dated.rows
    of_dates = learn_columns(dated, ("seen", "x"), accept_missing=False, fill=True)
    texts = table_of(text_of(days("2024-01-01", 20)), {"categorical_columns": "seen"})
    of_texts = learn_columns(texts, ("seen", "x"), accept_missing=True, fill=True)

    def model(columns: Columns) -> Model:
        return Model(None, columns, {}, 0)  # type: ignore[arg-type]  # nothing is asked

    fits = [_fits(model(c), table) for c in (of_dates, of_texts) for table in (read, texts)]
    assert fits == [True, False, False, True]
    path.write_text(path.read_text().replace('"dates": {"seen"', '"dates": {"other"'))
    with pytest.raises(Exception, match="is no reference set"):
        read_reference(path)


def test_a_rehearsal_shows_the_days_of_the_traffic() -> None:
    table = table_of(text_of(days("2024-01-01", 60)), {"date_columns": "seen"})
    columns = learn_columns(table, ("seen", "x"), accept_missing=False, fill=True)
    baseline = outcome_of({"train.csv": text_of(days("2024-01-01", 60))}, AUTO).baseline
    assert baseline is not None
    compared = InputComparison(columns, baseline)
    encoded = columns.encode_columns(table.columns)
    compared.add(encoded, np.arange(60) < 20)
    shown = {one["name"]: one for one in compared.columns_as_json()}
    assert shown["seen"]["traffic_psi"] == 0.0
    assert shown["seen"]["outside_share"] == 0.0
    compared.add(np.repeat(encoded, 3, axis=0), np.ones(180, bool))
    assert any("2024-01-0" in one["name"] for one in compared.slices_as_json())


def test_importances_count_a_date_as_one_column() -> None:
    table = table_of(text_of(days("2024-01-01", 60)), {"date_columns": "seen"})
    columns = learn_columns(table, ("seen", "x"), accept_missing=False, fill=True)
    rows = columns.encode_columns(table.columns)
    truth = rows[:, 3].astype(np.float64)  # the day of the month
    found = permutation_importances(
        columns, rows, truth, lambda some, right: -float(np.abs(some[:, 3] - right).mean()), 0
    )
    assert list(found) == ["seen", "x"]
    assert found["seen"].mean > 0 == found["x"].mean


def test_the_drill_shifts_dates_by_days_and_writes_them_as_dates(tmp_path: Path) -> None:
    described = json.dumps({"features": ["seen", "x"], "dates": {"seen": "day-first"}})
    rows = "".join(f"{'ab'[n % 2]},{n % 28 + 1}/1/2024,{n % 7}\n" for n in range(200))
    (tmp_path / "d.zip").write_bytes(zip_of({"train.csv": rows, "dataset.json": described}))
    common = ["traffic", "--dataset", str(tmp_path / "d.zip"), "--rows", "50"]
    out = ["--out", str(tmp_path / "rows")]
    assert drill([*common, *out, "--column", "seen", "--shift", "366"]) == 0
    shown = [json.loads(line)["row"] for line in (tmp_path / "rows").read_text().splitlines()]
    assert {row.split(",")[0][:8] for row in shown} == {"2025-01-"}
    assert drill([*common, *out, "--column", "seen", "--missing", "0.5"]) == 0
    assert '",6"' in (tmp_path / "rows").read_text()
    assert drill([*common, *out, "--column", "seen", "--category", "x"]) == 1


def test_a_job_trains_on_dates_and_its_server_answers_them(program: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    moments = np.datetime64("2024-01-01T00:00:00") + rng.integers(0, 300 * 86_400, 300)
    night = [str(moment)[11:13] < "06" for moment in moments]
    lines = [
        f"{'yes' if is_night else 'no'},{moment}Z,{at % 28 + 1:02}/{at % 12 + 1:02}/1990"
        for at, (moment, is_night) in enumerate(zip(moments, night, strict=True))
    ]
    described = {"features": ["seen", "born"], "dates": {"seen": "year-first", "born": "day-first"}}
    content = zip_of(
        {"train.csv": "\n".join(lines[:240]), "validation.csv": "\n".join(lines[240:])}
        | {"dataset.json": json.dumps(described)}
    )
    done = train(program, tmp_path, {"dataset": {"d.zip": content}}, {"n_estimators": "20"})
    assert done.code == 0, done.log
    assert "column seen: dates (year-first), of which the model gets days, year, month" in done.log
    assert "column born: dates (day-first), of which" in done.log
    assert done.metadata["metrics"]["validation"]["accuracy"] > 0.95
    with Server(program, tmp_path) as server:
        for seen, label in (("2024-03-04T02:00:00Z", "yes"), ("2024-03-04T02:00-08:00", "no")):
            assert server.invoke(f"{seen},05/06/1990\n").body == f"{label}\n"
        document = {"columns": {"born": ["1990-06-05"], "seen": ["2024-03-04 03:00"]}}
        answered = server.invoke(json.dumps(document), "application/json", "text/csv")
        assert answered.body == "yes\n"
        refused = server.invoke("2024-03-04,06/13/1990\n")
        assert refused.status == 400
        assert refused.message == (
            "row 1, column 2 (born) holds '06/13/1990', which is not a date: month must be in "
            "1..12; write YYYY-MM-DD or DD/MM/YYYY, with a time or without: "
            "2024-03-04T10:15:00+01:00"
        )


def test_each_algorithm_trains_on_dates_with_missing_values() -> None:
    text = text_of([*days("2024-01-01", 80), *[""] * 8])
    options = {"header": "yes", "date_columns": "seen", "missing_values": "accept"}
    for algorithm in ("random-forest", "hist-gradient-boosting", "logistic-regression"):
        hyperparameters = parse_hyperparameters(options | {"algorithm": algorithm})
        dataset = read_archive(
            zip_of({"train.csv": text, "validation.csv": text}),
            "d.zip",
            read_options=hyperparameters.read_options,
        )
        made = fit_and_measure(dataset, hyperparameters)
        described = made.metadata["columns"]["columns"][0]
        assert described["kind"] == "date"
        assert (described["fill"] is None) == (algorithm == "hist-gradient-boosting")
