"""The data check: its findings, its files, and what it says about datasets that it cannot read."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model import check, scan
from model.archive import read_archive
from model.baseline import Baseline
from model.channels import hold_out
from model.check import Outcome, judge
from model.columns import check_known, learn_columns
from model.errors import ContainerError
from model.findings import Finding, Kind, Severity, summarize
from model.fitting import fit_and_measure
from model.hyperparameters import parse_hyperparameters
from model.inspection import inspect_dataset
from model.sketches import RowSample
from tests.archives import zip_of
from tests.unit.model.container import child_environment

HEADER = "kind,width,height,colour\n"
OPTIONS = {"header": "yes", "categorical_columns": "auto"}
Rows = list[tuple[str, float, float, str]]


def rows_of(number: int, seed: int = 0, shift: float = 0.0, colours: str = "rgb") -> Rows:
    random = np.random.default_rng(seed)
    columns = (
        random.choice(["yes", "no"], number),
        random.normal(shift, size=number).round(4),
        random.exponential(size=number).round(4),
        random.choice(list(colours), number),
    )
    return list(zip(*(column.tolist() for column in columns), strict=True))


def text_of(rows: Rows) -> str:
    return HEADER + "".join(",".join(map(str, row)) + "\n" for row in rows)


def outcome_of(
    files: Mapping[str, str | bytes],
    options: Mapping[str, str] = OPTIONS,
    champion: Baseline | None = None,
    *,
    stop: bool = False,
) -> Outcome:
    content = io.BytesIO(zip_of(files))
    inspection = inspect_dataset(content, "x.zip", parse_hyperparameters(dict(options)))
    return judge(inspection, "", champion, stop=stop)


def baseline_of(rows: Rows) -> Baseline:
    found = outcome_of({"train.csv": text_of(rows)}).baseline
    assert found is not None
    return found


def messages(outcome: Outcome, kind: Kind) -> list[str]:
    return [finding.message for finding in outcome.findings if finding.kind is kind]


CELLS = st.tuples(
    st.sampled_from(["yes", "no"]),
    st.floats(-10, 10, width=16),
    st.integers(-3, 3).map(float),
    st.sampled_from("rgb"),
)
TABLES = st.lists(CELLS, min_size=2, max_size=40)


@given(TABLES)
def test_equal_data_has_no_shift(rows: Rows) -> None:
    found = outcome_of({"train.csv": text_of(rows)}, champion=baseline_of(rows))
    assert [one.psi for one in found.compared] == [0.0] * 4
    assert [one.jensen_shannon for one in found.compared] == [0.0] * 4
    assert messages(found, Kind.SHIFT) == []
    assert messages(found, Kind.SCHEMA) == []


@given(TABLES, st.randoms(use_true_random=False))
def test_permuted_rows_give_the_same_baseline(rows: Rows, random: Any) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    first, second = baseline_of(rows).as_json(), baseline_of(shuffled).as_json()
    for one, other in zip(first["columns"], second["columns"], strict=True):
        for figure in ("mean", "std"):
            assert one.pop(figure, 0.0) == pytest.approx(other.pop(figure, 0.0), abs=1e-9)
    assert first == second


@given(TABLES)
def test_each_row_is_in_one_bin_of_each_column(rows: Rows) -> None:
    baseline = baseline_of(rows)
    assert baseline.rows == len(rows)
    for column in baseline.columns:
        if column.counts is None:
            assert column.histogram is not None
            assert sum(column.histogram.counts) == len(rows)
        else:
            assert sum(column.counts.values()) + column.other == len(rows)


@given(st.integers(0, 10_000), st.sampled_from([-1.0, 1.0]))
def test_a_shifted_column_is_found_and_the_others_are_not(seed: int, shift: float) -> None:
    champion = baseline_of(rows_of(500, 1))
    found = outcome_of({"train.csv": text_of(rows_of(500, seed + 2, shift))}, champion=champion)
    shifts = [finding for finding in found.findings if finding.kind is Kind.SHIFT]
    assert [finding.column for finding in shifts] == ["width"]
    assert [finding.severity for finding in shifts] == [Severity.WARNING]
    assert found.message.startswith("3 columns, 500 rows: nothing broken")
    assert "1 shift (width, PSI" in found.message


@pytest.mark.parametrize("size", [60, 1000])
def test_false_alarms_over_100_resamples_are_at_most_those_that_are_promised(size: int) -> None:
    champion = baseline_of(rows_of(size, 1))
    alarms = sum(
        bool(
            messages(
                outcome_of({"train.csv": text_of(rows_of(size, seed))}, champion=champion),
                Kind.SHIFT,
            )
        )
        for seed in range(2, 102)
    )
    # One is expected. More than five have a probability of 0.06 %, and the seeds are fixed.
    assert alarms <= 5, f"{alarms} false alarms in 100 datasets"


def test_a_shift_stops_the_pipeline_if_the_setting_says_so() -> None:
    files = {"train.csv": text_of(rows_of(1000, 5, 2.0))}
    found = outcome_of(files, champion=baseline_of(rows_of(1000, 1)), stop=True)
    assert found.broken
    assert "width, PSI" in found.message


def test_new_categories_missing_values_and_classes_are_shifts() -> None:
    champion = baseline_of(rows_of(500, 1))
    rows = [("maybe" if n % 3 else "yes", *row[1:3], "x") for n, row in enumerate(rows_of(500, 2))]
    text = text_of(rows)
    found = outcome_of({"train.csv": text}, champion=champion)
    shown = " ".join(messages(found, Kind.SHIFT))
    assert "the class maybe is new" in shown
    assert "no training row has the class no of" in shown
    assert "the distribution of colour has shifted" in shown
    assert "the distribution of the label kind has shifted" in shown
    empty = HEADER + "".join(
        f"{label},{'' if n % 2 else width},{height},{colour}\n"
        for n, (label, width, height, colour) in enumerate(rows_of(500, 3))
    )
    found = outcome_of(
        {"train.csv": empty}, OPTIONS | {"missing_values": "accept"}, champion=champion
    )
    assert [finding.column for finding in found.findings if finding.kind is Kind.SHIFT] == ["width"]


def test_columns_that_came_went_or_changed_type_are_broken_unless_the_contract_allows_it() -> None:
    champion = baseline_of(rows_of(50, 1))
    text = "kind,height,width,size\n" + "yes,1,wide,2\nno,3,slim,4\n" * 2
    found = outcome_of({"train.csv": text}, champion=champion)
    schema = [finding for finding in found.findings if finding.kind is Kind.SCHEMA]
    assert [(finding.column, finding.severity) for finding in schema] == [
        ("colour", Severity.BROKEN),
        ("width", Severity.BROKEN),
        ("size", Severity.BROKEN),
        ("", Severity.WARNING),
    ]
    assert found.message == (
        "3 columns, 4 rows: colour is gone; width is a category, and was a number; size is new"
    )
    allowed = {"train.csv": text, "data-contract.toml": 'schema_change = "allow"'}
    assert not outcome_of(allowed, champion=champion).broken


def test_a_regression_is_compared_by_its_values() -> None:
    def table(seed: int, shift: float) -> str:
        random = np.random.default_rng(seed)
        return "".join(f"{random.normal() + shift},{random.normal()}\n" for _ in range(500))

    options = {"algorithm": "linear-regression"}
    champion = outcome_of({"train.csv": table(0, 0)}, options).baseline
    same = outcome_of({"train.csv": table(1, 0)}, options, champion)
    assert messages(same, Kind.SHIFT) == []
    moved = outcome_of({"train.csv": table(1, 1)}, options, champion)
    assert "the distribution of the label label has shifted" in messages(moved, Kind.SHIFT)[0]
    classes = outcome_of({"train.csv": text_of(rows_of(50))}, champion=champion)
    assert any("the label is a class, and was not" in m for m in messages(classes, Kind.SCHEMA))


def test_equal_rows_constant_columns_and_a_copied_label_are_found() -> None:
    rows = rows_of(40)
    text = "kind,copy,code,same,width\n" + "".join(
        f"{label},{label},{1 if label == 'yes' else 2},7,{width}\n" for label, width, *_ in rows
    )
    lines = text.splitlines(keepends=True)
    files = {"train.csv": text + lines[1] * 10, "validation.csv": "".join(lines[:5])}
    found = outcome_of(files)
    by_kind = {kind: messages(found, kind) for kind in Kind}
    assert by_kind[Kind.REPEATED_ROWS] == ["20.00% of the training rows repeat an earlier row"]
    assert by_kind[Kind.LEAKAGE] == [
        "100.00% of the validation rows are training rows, too; metrics on them say nothing about "
        "new data"
    ]
    assert [m.split(" in ")[0] for m in by_kind[Kind.LABEL_IS_FEATURE]] == [
        "column copy holds the label",
        "column code has one value for each class",
    ]
    assert "column same has the same value" in by_kind[Kind.CONSTANT_COLUMN][0]
    assert found.message == "4 columns, 50 + 4 rows: copy holds the label"


def test_equal_numbers_that_are_written_differently_make_equal_rows() -> None:
    found = outcome_of({"train.csv": "a,1.0,-0\nb,2,3\na,1,0.0\n"}, {})
    assert messages(found, Kind.REPEATED_ROWS) == [
        "33.33% of the training rows repeat an earlier row"
    ]


@pytest.mark.parametrize(
    ("contract", "message"),
    [
        ("minimum_rows = 50", "train.csv has 40 rows; the contract asks for at least 50"),
        ("columns.age = {}", "no column age"),
        ("columns.kind = {}", "kind is the label, whose rules stand under [label]"),
        ("other_columns = 'refuse'\ncolumns = {width = {}, height = {}}", "colour is not in the"),
        ("columns.width.type = 'category'", "width is a number, not a category"),
        ("columns.colour.minimum = 1", "colour is a category, not a number"),
        ("columns.height.maximum = 0.5", "height holds "),
        ("columns.width.minimum = 0", "width holds -"),
        ("columns.colour.categories = ['r', 'g']", "colour holds b"),
        ("columns.colour.unique = true", "colour is not unique"),
        ("label.classes = ['yes']", "the label holds no"),
        ("label.minimum_share = 0.9", "the class "),
        ("label.maximum_share = 0.1", "the class "),
        ("label.minimum = 1", "the contract gives the label a range, but it is a class"),
        ("maximum_repeated_share = 0.0", "of the training rows repeat an earlier row"),
        ("maximum_leaked_share = 0.0", "of the validation rows are training rows"),
        ("columns.width.maximum_missing_share = 0.0", "width has no value in 2.5% of the rows"),
    ],
)
def test_each_rule_of_the_contract_is_checked(contract: str, message: str) -> None:
    rows = rows_of(38)
    text = text_of([*rows, rows[0]]) + "no,,1,r\n"
    files = {"train.csv": text, "validation.csv": text_of(rows[:3]), "data-contract.toml": contract}
    found = outcome_of(files, OPTIONS | {"missing_values": "accept"})
    assert found.broken
    assert message in found.message
    files["data-contract.toml"] = LENIENT
    assert not outcome_of(files, OPTIONS | {"missing_values": "accept"}).broken


LENIENT = """
version = 1
minimum_rows = 40
other_columns = "refuse"
maximum_repeated_share = 0.5
maximum_leaked_share = 1
[label]
classes = ["yes", "no"]
minimum_share = 0.1
maximum_share = 0.9
[columns.width]
type = "number"
maximum_missing_share = 0.5
unique = false
[columns.height]
minimum = 0
maximum = 100
[columns.colour]
categories = ["r", "g", "b"]
"""


@pytest.mark.parametrize(
    ("files", "options"),
    [
        ({"train.csv": "a,1,2\nb,x,3\n"}, {}),
        ({"train.csv": "a,1\nb,2,3\n"}, {}),
        ({"train.csv": "a,1\na,2\n"}, {}),
        ({"train.csv": "a,1\nb,2\n", "validation.csv": "c,2\n"}, {}),
        ({"train.csv": "a,1\nb,2\n", "validation.csv": "a,2,3\n"}, {}),
        ({"train.csv": ""}, {}),
        ({"train.csv": "a,1\nb,2\n", "dataset.json": '{"classes": ["a"]}'}, {}),
        ({"train.csv": "".join(f"{n / 7},1\n" for n in range(20))}, {}),
        ({"train.csv": "a,1\na,2\nb,3\n"}, {}),
        ({"train.csv": "a,1\nb,2\n", "validation.csv": "b,2\n"}, {"class_weight": '{"a": 1}'}),
        ({"train.csv": "a,1,\nb,2,\n", "validation.csv": "a,1,\n"}, {"missing_values": "accept"}),
        (
            {"train.csv": "a,r\nb,g\n", "validation.csv": "a,r\na,x\n"},
            {"categorical_columns": "auto"},
        ),
        (
            {
                "train.csv": "".join(f"{'ab'[n % 2]},v{n}\n" for n in range(1001)),
                "validation.csv": "a,v1\n",
            },
            {"categorical_columns": "auto"},
        ),
    ],
)
def test_training_says_the_same_about_a_dataset_that_it_refuses(
    program: Path, tmp_path: Path, files: dict[str, str], options: dict[str, str]
) -> None:
    found = outcome_of(files, options)
    hyperparameters = parse_hyperparameters(dict(options))

    def train() -> None:
        dataset = read_archive(zip_of(files), "x.zip", read_options=hyperparameters.read_options)
        fit_and_measure(hold_out(dataset, 0.2, 0), hyperparameters)

    with pytest.raises(ContainerError) as caught:
        train()
    assert messages(found, Kind.REFUSED)[0] == str(caught.value)
    assert found.broken


ODD = st.text(st.sampled_from("ab1.,-e\n\"'x \0\ufeff"), max_size=40)


# Cells of more than one character: dates, of which the day or the month may come first.
WRITTEN = {"-": "", "n": "nan", "d": "2024-01-02", "s": "01/02/2024", "t": "13/02/2024"}


def tables(width: int, cells: str) -> st.SearchStrategy[str]:
    """Return CSV texts of rows with a label and as many cells."""
    cell = st.sampled_from(cells).map(lambda one: WRITTEN.get(one, one))
    row = st.tuples(st.sampled_from("aaabbb1"), *[cell] * width)
    rows = st.lists(row, min_size=5, max_size=12)
    return rows.map(lambda found: "".join(",".join(one) + "\n" for one in found))


# The content of train.csv, and of validation.csv or None.
FILES = st.tuples(
    st.integers(1, 3),
    st.sampled_from(["12", "12", "12a", "1-é", "1n", "d", "ds", "dst", "d-", "d1"]),
).flatmap(lambda drawn: st.tuples(tables(*drawn), st.none() | tables(*drawn))) | st.tuples(
    ODD, st.none() | ODD
)


def training_refuses(files: Mapping[str, str], options: Mapping[str, str]) -> str | None:
    """Return what training says about a dataset that it refuses before the fit, or None."""
    read_options = parse_hyperparameters(dict(options)).read_options
    try:
        dataset = read_archive(zip_of(files), "x.zip", read_options=read_options)
        # The rows that are held out may take a category's only row with them; the check does not
        # know which rows these are.
        table = dataset.train if dataset.validation is None else None
        dataset = hold_out(dataset, 0.2, 0)
        columns = learn_columns(
            table or dataset.train,
            dataset.features,
            accept_missing=dataset.accept_missing,
            fill=True,
        )
        rows = dataset.validation
        assert rows is not None
        check_known(columns, rows.rows, rows.categorical_columns, "the validation rows")
    except ContainerError as error:
        return str(error)
    return None


@given(
    FILES,
    st.sampled_from([{}, {"missing_values": "accept"}]),
    st.sampled_from([{}, {"categorical_columns": "auto"}]),
    st.sampled_from([{}, {"header": "yes"}, {"algorithm": "linear-regression"}]),
)
def test_the_check_refuses_what_training_refuses_and_nothing_else(
    texts: tuple[str, str | None],
    missing: dict[str, str],
    categorical: dict[str, str],
    options: dict[str, str],
) -> None:
    train, validation = texts
    files = {"train.csv": train} | ({} if validation is None else {"validation.csv": validation})
    options = missing | categorical | options
    expected = training_refuses(files, options)
    try:
        found = messages(outcome_of(files, options), Kind.REFUSED)
    except ContainerError as error:
        found = [str(error)]
    assert bool(found) == (expected is not None), (found, expected)
    if validation is None and expected is not None:
        assert found[0] == expected


def test_a_row_that_is_refused_is_named_before_the_end_of_the_csv_text() -> None:
    found = messages(outcome_of({"train.csv": 'a,\nb,"'}, {}), Kind.REFUSED)
    assert found[0].startswith("x.zip/train.csv, row 1, column 2 is empty")
    assert found[1] == "x.zip/train.csv, row 2: not CSV text (unexpected end of data)"


def test_every_refused_row_is_counted_and_the_first_are_named() -> None:
    text = "a,1\nb,2\n" + "a,x\n" * 9
    found = outcome_of({"train.csv": text}, {})
    assert len(messages(found, Kind.REFUSED)) == 6
    assert messages(found, Kind.REFUSED)[-1] == "x.zip/train.csv: 4 more rows are not allowed"
    assert found.message.startswith(
        "1 column, 2 rows: train.csv, row 3, column 2 holds 'x', which is not a number; train.csv, "
    )
    assert len(found.message) <= 300


@pytest.mark.parametrize("rows", [20_000, 80_000])
def test_the_memory_does_not_grow_with_the_rows(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "RowSample", lambda *_: RowSample(2000))
    monkeypatch.setattr(scan, "_SKETCHED", 256)
    monkeypatch.setattr(scan, "_BATCH_ROWS", 500)
    random = np.random.default_rng(0)
    text = "".join(f"{'ab'[n % 2]},{random.normal()},{random.normal()}\n" for n in range(rows))
    content = io.BytesIO(zip_of({"train.csv": text}))
    tracemalloc.start()
    try:
        found = inspect_dataset(content, "x.zip", parse_hyperparameters({}))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.train.rows == rows
    # The smaller text has 0.9 MB, the larger one 3.4 MB.
    assert peak < 700_000, f"{peak} bytes for {len(text)} bytes of text"


@given(
    st.text(max_size=20),
    st.lists(
        st.tuples(st.sampled_from(Severity), st.sampled_from(Kind), st.text(max_size=400)),
        max_size=30,
    ),
)
def test_a_message_is_one_line_of_at_most_300_characters(
    size: str, found: list[tuple[Severity, Kind, str]]
) -> None:
    message = summarize(size, [Finding(severity, kind, text) for severity, kind, text in found])
    assert len(message) <= 300
    assert message.isprintable()


# The job, as SageMaker runs it.


def run_job(
    program: Path, base: Path, dataset: bytes, champion: str | bytes | None = None, **variables: str
) -> tuple[int, str, str]:
    """Run the container's command; return the exit code, the log and the message."""
    (base / "processing" / "dataset").mkdir(parents=True, exist_ok=True)
    (base / "processing" / "dataset" / "AbC12").write_bytes(dataset)
    if champion is not None:
        (base / "processing" / "champion").mkdir(exist_ok=True)
        data = champion if isinstance(champion, bytes) else champion.encode()
        (base / "processing" / "champion" / "baseline.json").write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-m", "model", "check"],
        cwd=program,
        env=child_environment(SAGEMAKER_BASE_DIR=str(base), **variables),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    message = (base / "output" / "message").read_text("utf-8")
    return done.returncode, done.stdout + done.stderr, message


def test_the_job_writes_its_report_and_the_next_job_compares_with_it(
    program: Path, tmp_path: Path
) -> None:
    hostile = "<script>alert(1)</script>"
    variables = {"SM_HP_HEADER": "yes", "SM_HP_CATEGORICAL_COLUMNS": "auto"}
    text = text_of(rows_of(500, 1)).replace("height", hostile)
    code, log, message = run_job(
        program, tmp_path / "first", zip_of({"train.csv": text}), **variables
    )
    report = tmp_path / "first" / "processing" / "report"
    assert (code, message) == (0, "3 columns, 500 rows: nothing broken")
    assert log.splitlines()[-1] == message
    assert {path.name for path in report.iterdir()} == {
        "baseline.json",
        "check.html",
        "check.json",
    }
    shifted = text_of(rows_of(500, 2, 1.5)).replace("height", hostile)
    champion = (report / "baseline.json").read_text("utf-8")
    code, log, message = run_job(
        program, tmp_path / "second", zip_of({"train.csv": shifted}), champion, **variables
    )
    assert code == 0
    assert message.startswith("3 columns, 500 rows: nothing broken, 1 shift (width, PSI ")
    report = tmp_path / "second" / "processing" / "report"
    page = (report / "check.html").read_text("utf-8")
    assert hostile not in page
    assert "&lt;script&gt;alert(1)" in page
    assert page.index("<svg") < page.index("<table")
    assert "http" not in page.replace("http-equiv", "")
    document = json.loads((report / "check.json").read_text("utf-8"))
    assert document["verdict"] == "passed"
    assert [column["name"] for column in document["columns"]] == [
        "width",
        hostile,
        "colour",
        "kind",
    ]
    code, log, message = run_job(
        program,
        tmp_path / "third",
        zip_of({"train.csv": shifted}),
        champion,
        **variables,
        SM_HP_DATA_SHIFT="stop",
    )
    assert (code, log.splitlines()[-1]) == (1, message)
    assert message.startswith("3 columns, 500 rows: width, PSI ")


EMPTY_CHAMPION = json.dumps(
    {
        "version": 1,
        "rows": 0,
        "label": {"name": "label", "counts": {}, "histogram": None},
        "columns": [
            {"name": "feature_1", "type": "category", "missing": 0, "counts": {}, "other": 0},
            {
                "name": "feature_2",
                "type": "number",
                "missing": 1.0,
                "histogram": None,
                "minimum": None,
                "maximum": None,
                "mean": None,
                "std": None,
            },
        ],
    }
)
GOOD = "a,1\nb,2\na,3\nb,4\n"


@pytest.mark.parametrize(
    ("files", "champion", "variables", "message"),
    [
        ({"other.csv": GOOD}, None, {}, "AbC12 has no train.csv at its top level"),
        ({"train.csv": GOOD}, "{", {}, "baseline.json is not JSON, or is cut off"),
        ({"train.csv": GOOD}, '{"version": 7}', {}, "baseline.json has version 7; this image"),
        ({"train.csv": GOOD}, '{"version": 1}', {}, "baseline.json has no member 'label'"),
        (
            {"train.csv": GOOD, "data-contract.json": '{"columns": {"x": {"typ": 1}}}'},
            None,
            {},
            "data-contract.json: 'columns.x' has the unknown key 'typ'",
        ),
        (
            {"train.csv": GOOD, "data-contract.toml": "columns.age.minimum = 0"},
            None,
            {},
            "no column age",
        ),
        ({"train.csv": GOOD}, None, {"SM_HP_DATA_SHIFT": "no"}, "data_shift is 'no'; it must be"),
        ({"train.csv": GOOD}, None, {"SM_HP_DEPTH": "3"}, "'depth' is not a hyperparameter"),
        ({"train.csv": "a,1\nb\n"}, None, {}, "train.csv, row 2: only one column"),
    ],
)
def test_an_input_that_cannot_be_used_has_its_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    files: dict[str, str],
    champion: str | None,
    variables: dict[str, str],
    message: str,
) -> None:
    directory = tmp_path / "processing" / "dataset"
    directory.mkdir(parents=True)
    (directory / "AbC12").write_bytes(zip_of(files))
    if champion is not None:
        (tmp_path / "processing" / "champion").mkdir()
        (tmp_path / "processing" / "champion" / "baseline.json").write_text(champion)
    assert check.run({"SAGEMAKER_BASE_DIR": str(tmp_path)} | variables) == 1
    said = (tmp_path / "output" / "message").read_text("utf-8")
    assert message in said
    document = json.loads((tmp_path / "processing" / "report" / "check.json").read_text("utf-8"))
    assert (document["verdict"], document["message"]) == ("broken", said)
    assert (tmp_path / "processing" / "report" / "check.html").exists()


@given(
    FILES,
    st.sampled_from([{}, {"SM_HP_MISSING_VALUES": "accept", "SM_HP_CATEGORICAL_COLUMNS": "auto"}]),
    st.sampled_from([{}, {"SM_HP_HEADER": "yes"}, {"SM_HP_ALGORITHM": "linear-regression"}]),
    st.sampled_from(["", EMPTY_CHAMPION]),
)
def test_any_text_is_judged_in_one_line_without_a_traceback(
    texts: tuple[str, str | None],
    reading: dict[str, str],
    options: dict[str, str],
    champion: str,
) -> None:
    train, validation = texts
    files = {"train.csv": train} | ({} if validation is None else {"validation.csv": validation})
    with tempfile.TemporaryDirectory() as base:
        processing = Path(base) / "processing"
        (processing / "dataset").mkdir(parents=True)
        (processing / "dataset" / "x").write_bytes(zip_of(files))
        if champion:
            (processing / "champion").mkdir()
            (processing / "champion" / "baseline.json").write_text(champion)
        code = check.run({"SAGEMAKER_BASE_DIR": base} | reading | options)
        said = (Path(base) / "output" / "message").read_text("utf-8")
        report = json.loads((processing / "report" / "check.json").read_text("utf-8"))
    assert report["verdict"] == ("broken" if code else "passed")
    assert report["message"] == said
    assert said.isprintable()
    assert "traceback" not in said


def test_the_directory_of_the_dataset_holds_one_file(tmp_path: Path) -> None:
    assert check.run({"SAGEMAKER_BASE_DIR": str(tmp_path)}) == 1
    assert "holds 0 files (none); it must hold exactly one" in (
        tmp_path / "output" / "message"
    ).read_text("utf-8")


def test_a_failure_of_the_check_itself_has_a_message_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(check, "check_dataset", fail)
    assert check.run({"SAGEMAKER_BASE_DIR": str(tmp_path)}) == 1
    said = (tmp_path / "output" / "message").read_text("utf-8")
    assert said == "RuntimeError: unforeseen (the traceback is in the log)"


def test_a_rare_class_is_a_warning() -> None:
    def kinds(rare: int) -> list[str]:
        text = "".join(f"{'yes' if at < rare else 'no'},{at}\n" for at in range(100))
        file = io.BytesIO(zip_of({"train.csv": text}))
        found = inspect_dataset(file, "d.zip", parse_hyperparameters({}))
        outcome = judge(found, "", None, stop=False)
        return [one.message for one in outcome.findings if one.kind == Kind.RARE_CLASS]

    assert kinds(10) == []
    assert kinds(9)[0].startswith("class 'yes' has 9 of 100 rows (9.00%)")
