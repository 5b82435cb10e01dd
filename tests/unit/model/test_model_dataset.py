"""The command that makes a dataset zip."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from model import dataset
from model.archive import read_archive, write_archive
from model.errors import DatasetError
from model.rows import ReadOptions
from tests.unit.model.container import child_environment

WILD = '"rose, wild"'
FLOWERS = "id,height,width,species\n" + "".join(
    f"{n},{n}.50,{n % 3},{'tulip' if n % 2 else WILD}\n" for n in range(20)
)


def run(tmp_path: Path, text: str | bytes, *options: str) -> tuple[int, Path]:
    source, target = tmp_path / "flowers.csv", tmp_path / "flowers.zip"
    source.write_bytes(text if isinstance(text, bytes) else text.encode())
    return dataset.main(["--csv", str(source), "--out", str(target), *options]), target


def test_a_csv_file_becomes_a_stratified_dataset(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, path = run(tmp_path, FLOWERS, "--label", "species", "--drop", "id")
    assert code == 0
    found = read_archive(path.read_bytes(), path.name)
    assert found.validation is not None
    assert found.features == ("height", "width")
    assert found.train.counts() == {"rose, wild": 8, "tulip": 8}
    assert found.validation.counts() == {"rose, wild": 2, "tulip": 2}
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert "20 rows (16 to train on, 4 to validate with), 2 features, 2 classes" in printed


def test_cells_and_labels_are_copied_verbatim(tmp_path: Path) -> None:
    _, path = run(tmp_path, FLOWERS, "--label", "species", "--drop", "id")
    with zipfile.ZipFile(path) as archive:
        lines = archive.read("train.csv").decode() + archive.read("validation.csv").decode()
        described = json.loads(archive.read("dataset.json"))
    assert '"rose, wild",2.50,2\n' in lines
    assert described["rows"] == {"train": 16, "validation": 4}
    assert (described["label"], described["source"]) == ("species", "flowers.csv")


def test_the_same_table_makes_the_same_bytes_and_another_seed_another_split(tmp_path: Path) -> None:
    options = ("--label", "species", "--drop", "id")
    first = run(tmp_path, FLOWERS, *options)[1].read_bytes()
    assert run(tmp_path, FLOWERS, *options)[1].read_bytes() == first
    assert run(tmp_path, FLOWERS, *options, "--seed", "1")[1].read_bytes() != first


def test_semicolons_are_read_with_the_delimiter_option(tmp_path: Path) -> None:
    text = "a;kind\n1;x\n2;y\n3;x\n4;y\n"
    assert run(tmp_path, text, "--label", "kind", "--delimiter", "semicolon")[0] == 0


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (FLOWERS, ("--label", "kind"), "has no column 'kind'; its columns are 'id', 'height', "),
        (FLOWERS, (), "--csv needs --label COLUMN"),
        (FLOWERS, ("--label", "height"), "row 2, column 'species' holds 'rose, wild', which is"),
        (FLOWERS, ("--label", "species", "--validation-fraction", "1"), "must be above 0 and"),
        ("a;kind\n1;x\n", ("--label", "kind", "--delimiter", "tab"), "try another --delimiter"),
        ("", ("--label", "kind"), "is empty; it needs a header line"),
        ("a,kind\n", ("--label", "kind"), "has a header and 0 rows"),
        ("a,a,kind\n1,2,x\n", ("--label", "kind"), "names the column 'a' twice"),
        ("a,,kind\n1,2,x\n", ("--label", "kind"), "column 2 of the header has no name"),
        ("kind\nx\n", ("--label", "kind"), "has no column besides the label"),
        ("a,kind\n1,x\n2,x\n", ("--label", "kind"), "at least two classes"),
        ("a,kind\n1,x\n2,x\n3,y\n", ("--label", "kind"), "single row of 'y'"),
        ("a,kind\n1,x\n2\n", ("--label", "kind"), "row 3: 1 columns, but the header has 2"),
        ("a,kind\n1,\n", ("--label", "kind"), "row 2: the label column 'kind' is empty"),
        ("a,kind\n,x\n", ("--label", "kind"), "row 2, column 'a' is empty"),
        (b"a,kind\n\xff,x\n", ("--label", "kind"), "byte 7 is not UTF-8"),
        (FLOWERS, ("--label", "species", "--drop", "species"), "cannot be dropped"),
    ],
)
def test_an_error_is_reported_in_one_line(
    text: str | bytes,
    options: tuple[str, ...],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, path = run(tmp_path, text, *options)
    error = capsys.readouterr().err
    assert code == 1
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert message in error
    assert not path.exists()


def test_a_missing_file_and_an_unwritable_target_are_reported_without_a_traceback(
    program: Path, tmp_path: Path
) -> None:
    def command(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "model.dataset", "--label", "kind", *options],
            cwd=program,
            env=child_environment(),
            capture_output=True,
            text=True,
            check=False,
        )

    missing = command("--csv", "nowhere.csv", "--out", str(tmp_path / "a.zip"))
    expected = "error: cannot read nowhere.csv: No such file or directory\n"
    assert (missing.returncode, missing.stderr) == (1, expected)
    table = tmp_path / "t.csv"
    table.write_text("a,kind\n1,x\n2,y\n3,x\n4,y\n")
    unwritable = command("--csv", str(table), "--out", str(tmp_path / "no" / "a.zip"))
    assert unwritable.returncode == 1
    assert unwritable.stderr.startswith("error: cannot write ")


@pytest.mark.parametrize(
    ("name", "rows", "features", "classes"),
    [
        ("iris", 150, 4, 3),
        ("wine", 178, 13, 3),
        ("breast_cancer", 569, 30, 2),
        ("digits", 1797, 64, 10),
    ],
)
def test_the_shipped_tables_are_complete(
    name: str, rows: int, features: int, classes: int, tmp_path: Path
) -> None:
    path = tmp_path / f"{name}.zip"
    assert dataset.main(["--table", name, "--out", str(path)]) == 0
    found = read_archive(path.read_bytes(), path.name)
    assert found.validation is not None
    assert len(found.train.labels) + len(found.validation.labels) == rows
    assert (len(found.features), len(found.classes)) == (features, classes)


PEOPLE = "outcome,age,colour\n" + "".join(
    f"{'yes' if n % 3 else 'no'},{'' if n % 5 == 0 else n},{'nan' if n % 7 == 0 else 'red'}\n"
    for n in range(1, 41)
)
ACCEPTED = ("--label", "outcome", "--categorical", "auto", "--missing-values", "accept")


def test_categories_and_missing_cells_are_stored_and_described_for_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, path = run(tmp_path, PEOPLE, *ACCEPTED)
    assert code == 0
    assert "2 features (1 categorical), 2 classes" in capsys.readouterr().out
    found = read_archive(path.read_bytes(), path.name)
    assert (found.accept_missing, found.train.categorical_columns) == (True, frozenset({1}))
    assert {row[1] for row in found.train.rows} == {"red", ""}
    assert found.label == "outcome"


def test_a_regression_has_no_classes(tmp_path: Path) -> None:
    text = "price,size\n" + "".join(f"{n * 1.5},{n}\n" for n in range(1, 30))
    code, path = run(tmp_path, text, "--label", "price", "--regression")
    assert code == 0
    with zipfile.ZipFile(path) as archive:
        description = json.loads(archive.read("dataset.json"))
    assert "classes" not in description
    assert description["regression"] is True
    found = read_archive(path.read_bytes(), path.name, read_options=ReadOptions(regression=True))
    assert found.classes == ()
    assert found.validation is not None
    assert len(found.validation.labels) == 6
    with pytest.raises(DatasetError, match="set the hyperparameter algorithm to linear-regression"):
        read_archive(path.read_bytes(), path.name)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--label", "outcome"), "column 'colour' is empty|column 'colour' holds 'red'"),
        (("--label", "outcome", "--categorical", "auto"), "is empty; fill it, drop the row, or"),
        (("--label", "outcome", "--categorical", "size"), "names 'size', which is not a feature"),
        (("--label", "outcome", "--missing-values", "accept"), "or use --categorical auto"),
        (("--label", "outcome", "--regression"), "the label of a regression must be a number"),
    ],
)
def test_a_refused_column_names_the_option_that_would_accept_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], message: str
) -> None:
    code, path = run(tmp_path, PEOPLE, *options)
    assert (code, path.exists()) == (1, False)
    assert re.search(message, capsys.readouterr().err)


def test_the_shipped_regression_table_can_be_read(tmp_path: Path) -> None:
    target = tmp_path / "d.zip"
    assert dataset.main(["--table", "diabetes", "--out", str(target)]) == 0
    found = read_archive(target.read_bytes(), "d.zip", read_options=ReadOptions(regression=True))
    assert (found.label, len(found.features), found.classes) == ("progression", 10, ())


@pytest.mark.parametrize(
    ("described", "message"),
    [
        ({"missing_values": "maybe"}, "missing_values is 'maybe'; it must be refuse or accept"),
        ({"categorical": "all"}, "categorical must be a list of strings"),
        ({"categorical": ["size"]}, "has no column 'size'"),
    ],
)
def test_the_column_options_in_dataset_json_are_validated(
    described: dict[str, object], message: str
) -> None:
    rows = [["yes", "1"], ["no", "2"]]
    with pytest.raises(DatasetError, match=message):
        read_archive(write_archive(rows, rows, described), "d.zip")


def test_repeated_rows_and_a_rare_class_are_noted_and_spellings_are_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ["label,size", *(f"no,{at % 50}" for at in range(98)), "yes,1", "yes,NA"]
    source, out = tmp_path / "t.csv", tmp_path / "t.zip"
    source.write_text("\n".join(lines))
    arguments = ["--csv", str(source), "--label", "label", "--na", "NA,?", "--out", str(out)]
    assert dataset.main([*arguments, "--missing-values", "accept"]) == 0
    printed = capsys.readouterr().out
    assert "note: 48 rows (48.00%) repeat an earlier row" in printed
    assert "note: class 'yes' has 2 of 100 rows (2.00%)" in printed
    assert read_archive(out.read_bytes(), "t.zip").missing_spellings == {"na", "?"}
