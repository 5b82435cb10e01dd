"""CSV files as people have them: what is recognised is said, what cannot be meant is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from model.archive import Dataset, read_archive
from tests.cloud import ROOT

ROWS = "".join(
    f"{number}.5;{'red' if number % 3 else 'blue'};{number % 2}\n" for number in range(40)
)


def made(directory: Path, content: str | bytes, *options: str) -> tuple[Dataset, str]:
    """Return the dataset of a file, and what the command said."""
    source, target = directory / "table.csv", directory / "table.zip"
    source.write_bytes(content if isinstance(content, bytes) else content.encode())
    done = command(source, target, *options)
    assert done.returncode == 0, done.stderr
    return read_archive(target.read_bytes(), "table.zip"), done.stdout


def refused(directory: Path, content: str | bytes, *options: str) -> str:
    """Return the error of a file."""
    source = directory / "table.csv"
    source.write_bytes(content if isinstance(content, bytes) else content.encode())
    done = command(source, directory / "refused.zip", *options)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert not (directory / "refused.zip").exists()
    return done.stderr


def command(source: Path, target: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-m", "model.dataset", "--csv", str(source), "--label", "kind"),
            *("--out", str(target), *options),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("before", "delimiter", "note"),
    [
        ("", ";", "note: the delimiter is semicolon\n"),
        ("", "\t", "note: the delimiter is tab\n"),
        ("", "|", "note: the delimiter is bar\n"),
        ("sep=;\n", ";", "note: 1 lines before the header are left out\n"),
        ("# exported\n# by a tool\n", ";", "note: 2 lines before the header are left out\n"),
    ],
)
def test_the_delimiter_and_lines_before_the_header_are_found(
    tmp_path: Path, before: str, delimiter: str, note: str
) -> None:
    text = before + ("size;colour;kind\n" + ROWS).replace(";", delimiter)
    if before.startswith("sep"):
        text = text.replace("\t", ";")
    dataset, said = made(tmp_path, text, "--categorical", "auto")
    assert note in said
    assert dataset.features == ("size", "colour")
    assert dataset.train.categorical_columns == {1}
    assert "note: the column 'colour' is categorical: row " in said


@pytest.mark.parametrize(
    ("encoding", "options", "note"),
    [
        ("utf-16", (), "the encoding is utf-16"),
        ("cp1252", ("--encoding", "cp1252"), "the encoding is cp1252"),
        ("utf-8-sig", (), ""),
    ],
)
def test_other_encodings_are_read(
    tmp_path: Path, encoding: str, options: tuple[str, ...], note: str
) -> None:
    text = "größe,kind\n" + "".join(f"{n},{'süß' if n % 2 else 'herb'}\n" for n in range(20))
    dataset, said = made(tmp_path, text.encode(encoding), *options)
    assert dataset.features == ("größe",)
    assert dataset.classes == ("herb", "süß")
    assert note in said


def test_an_encoding_that_does_not_fit_is_named_with_the_option(tmp_path: Path) -> None:
    text = "size,kind\n1,süß\n2,herb\n"
    error = refused(tmp_path, text.encode("cp1252"))
    assert "byte 13 is not UTF-8 text" in error
    assert "--encoding cp1252" in error
    assert "which Python does not know" in refused(tmp_path, text, "--encoding", "klingon")


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_the_index_of_a_data_frame_and_a_trailing_delimiter_are_left_out(
    tmp_path: Path, ends: str
) -> None:
    lines = [",size,kind,", *(f"{n},{n}.5,{'a' if n % 2 else 'b'}," for n in range(20))]
    dataset, said = made(tmp_path, ends.join(lines) + ends)
    assert dataset.features == ("size",)
    assert "column 1 has no name and is left out: the index that a data frame writes" in said
    assert "column 4 has no name and is left out" in said
    lines[5] += "oops"
    assert "row 6: column 4 holds 'oops', but the header gives it no name" in refused(
        tmp_path, ends.join(lines) + ends
    )


def test_decimal_commas_and_thousands_are_recognised_and_said(tmp_path: Path) -> None:
    rows = "".join(f"1.2{n % 10}0,5;{n},25;{'a' if n % 2 else 'b'}\n" for n in range(20))
    dataset, said = made(tmp_path, "price;size;kind\n" + rows)
    assert "the column 'price' is of numbers: 1.200,5 is read as 1200.5" in said
    assert sorted(row[0] for row in dataset.train.rows)[0] == 1200.5
    assert {float(row[1]) % 1 for row in dataset.train.rows} == {0.25}
    quoted = "".join(f'"1,2{n % 10}0.5",{"a" if n % 2 else "b"}\n' for n in range(20))
    dataset, said = made(tmp_path, "price,kind\n" + quoted)
    assert "1,200.5 is read as 1200.5" in said
    assert sorted(row[0] for row in dataset.train.rows)[0] == 1200.5


def test_a_column_of_numbers_with_wrong_cells_is_no_category(tmp_path: Path) -> None:
    rows = [f"{n},{'a' if n % 2 else 'b'}" for n in range(100)]
    rows[41] = "?,a"
    rows[77] = "oops,a"
    text = "size,kind\n" + "\n".join(rows) + "\n"
    error = refused(tmp_path, text, "--categorical", "auto")
    assert "row 43: the column 'size' holds numbers in 98 % of its rows, but also '?', " in error
    assert "use --na '?,oops'" in error
    named, _ = made(tmp_path, text, "--categorical", "size")
    assert named.train.categorical_columns == {0}
    dataset, _ = made(tmp_path, text, "--na", "?,OOPS", "--missing-values", "accept")
    assert not dataset.train.categorical_columns
    assert dataset.accept_missing
    assert "row 43, column 'size' is empty" in refused(tmp_path, text, "--na", "?,oops")


def test_a_category_that_appears_late_is_found(tmp_path: Path) -> None:
    rows = [f"{n},{n % 7},{'a' if n % 2 else 'b'}" for n in range(10_000)]
    for late in range(4_000, 10_000):
        rows[late] = f"{late},site {late % 7},{'a' if late % 2 else 'b'}"
    text = "size,site,kind\n" + "\n".join(rows) + "\n"
    dataset, said = made(tmp_path, text, "--categorical", "auto")
    assert dataset.train.categorical_columns == {1}
    assert "the column 'site' is categorical: row 4002 holds 'site 3'" in said


def test_labels_are_trimmed_and_equal_numbers_are_one_class(tmp_path: Path) -> None:
    rows = "".join(f"{n},{('1', ' 1.0', '2', '2 ')[n % 4]}\n" for n in range(40))
    dataset, said = made(tmp_path, "size,kind\n" + rows)
    assert dataset.classes == ("1", "2")
    assert "labels of the same number are one class: 1.0 as 1" in said


@pytest.mark.parametrize(("label", "options"), [("nan", ()), ("NA", ("--na", "NA"))])
def test_a_missing_label_is_refused(tmp_path: Path, label: str, options: tuple[str, ...]) -> None:
    text = f"size,kind\n1,a\n2,b\n3,{label}\n4,a\n5,b\n"
    error = refused(tmp_path, text, *options)
    assert f"row 4: the label column 'kind' holds '{label}', a missing value" in error
