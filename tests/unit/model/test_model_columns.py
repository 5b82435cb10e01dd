"""Columns of numbers and categories, missing values and headers: parsed, learnt and encoded."""

from __future__ import annotations

import math

import numpy as np
import pytest

from model.cells import NotANumberError
from model.columns import Column, Columns, check_known, learn_columns
from model.errors import DatasetError
from model.rows import ReadOptions
from model.table import parse_table

OPEN = ReadOptions(header=True, categorical=("colour",), accept_missing=True)
TEXT = "label,size,colour\nyes,1,red\nno,,blue\nyes,4,\nno,3,red\n"


def test_a_header_names_the_columns_and_categories_stay_text() -> None:
    table = parse_table(TEXT, "t.csv", read_options=OPEN)
    assert (table.label, table.names) == ("label", ("size", "colour"))
    assert table.categorical_columns == {1}
    assert [row[1] for row in table.rows] == ["red", "blue", "", "red"]
    assert math.isnan(float(table.rows[1][0]))


def test_auto_finds_the_columns_that_are_not_numbers() -> None:
    read_options = ReadOptions(categorical=("auto",))
    assert parse_table(
        "yes,1,red\nno,2,3\n", "t", read_options=read_options
    ).categorical_columns == {1}
    missing = ReadOptions(categorical=("auto",), accept_missing=True)
    assert parse_table("yes,nan,red\nno,2,\n", "t", read_options=missing).categorical_columns == {1}


def test_categories_are_one_hot_encoded_and_missing_numbers_become_the_median() -> None:
    table = parse_table(TEXT, "t.csv", read_options=OPEN)
    columns = learn_columns(table, table.names, accept_missing=True, fill=True)
    assert columns.columns == (Column("size", fill=3.0), Column("colour", ("blue", "red")))
    assert columns.encode(table.rows).tolist() == [[1, 0, 1], [3, 1, 0], [4, 0, 0], [3, 0, 1]]
    assert Columns.from_metadata({"columns": columns.as_json()}) == columns


def test_an_algorithm_that_learns_from_nan_is_given_nan() -> None:
    table = parse_table(TEXT, "t.csv", read_options=OPEN)
    columns = learn_columns(table, table.names, accept_missing=True, fill=False)
    assert np.isnan(columns.encode(table.rows)[1, 0])


def test_metadata_without_columns_describes_numbers_only() -> None:
    columns = Columns.from_metadata({"features": ["a", "b"]})
    assert (columns.names, columns.plain, columns.width) == (("a", "b"), True, 2)


@pytest.mark.parametrize(
    ("text", "read_options", "reason"),
    [
        ("label,a,a\nx,1,2\n", ReadOptions(header=True), "names the column 'a' twice"),
        ("label,a,\nx,1,2\n", ReadOptions(header=True), "column 3 of the header has no name"),
        ("", ReadOptions(header=True), "needs a header line"),
        (
            "x,1\n",
            ReadOptions(categorical=("b",)),
            "no column 'b', which categorical_columns names",
        ),
        ("x,\n", ReadOptions(categorical=("auto",)), "column 2 is empty; fill .* missing_values"),
        ("x,1\n", ReadOptions(regression=True), "value to predict .* holds 'x'"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused_with_the_reason(
    text: str, read_options: ReadOptions, reason: str
) -> None:
    with pytest.raises(DatasetError, match=reason):
        parse_table(text, "t.csv", read_options=read_options)


def test_a_validation_file_must_have_the_header_of_the_training_file() -> None:
    train = parse_table(TEXT, "t.csv", read_options=OPEN)
    with pytest.raises(DatasetError, match="names colour, size, but size, colour are expected"):
        parse_table("label,colour,size\nyes,red,1\n", "v.csv", read_options=OPEN, like=train)


def test_an_unknown_category_is_refused_unless_missing_values_are_accepted() -> None:
    read_options = ReadOptions(categorical=("auto",))
    train = parse_table("yes,red\nno,blue\n", "t", read_options=read_options)
    other = parse_table("yes,green\n", "v", read_options=read_options, like=train)
    strict = learn_columns(train, ("colour",), accept_missing=False, fill=True)
    with pytest.raises(DatasetError, match="'colour' holds 'green', which is not one of 'blue', "):
        check_known(strict, other.rows, other.categorical_columns, "v")
    accepting = learn_columns(train, ("colour",), accept_missing=True, fill=True)
    check_known(accepting, other.rows, other.categorical_columns, "v")


def test_a_column_without_a_value_cannot_be_learnt() -> None:
    table = parse_table("yes,\nno,nan\n", "t", read_options=ReadOptions(accept_missing=True))
    with pytest.raises(DatasetError, match="'a' has no value in the training rows"):
        learn_columns(table, ("a",), accept_missing=True, fill=True)


def test_an_identifier_is_refused_as_a_category() -> None:
    text = "".join(f"yes,id{number}\n" for number in range(1001))
    table = parse_table(text, "t", read_options=ReadOptions(categorical=("auto",)))
    with pytest.raises(DatasetError, match="has more than 1000 categories"):
        learn_columns(table, ("id",), accept_missing=False, fill=True)


def test_coded_categories_are_their_places_and_nan_if_missing_or_unknown() -> None:
    table = parse_table(TEXT, "t.csv", read_options=OPEN)
    columns = learn_columns(table, table.names, accept_missing=True, fill=False, coded=True)
    rows = columns.encode([(1.0, "red"), (2.0, "blue"), (3.0, ""), (4.0, "new")])
    assert rows[:2].tolist() == [[1, 2], [2, 1]]
    assert np.isnan(rows[2:, 1]).all()
    assert columns.coded_places == (1,)
    assert columns.columns[1].places_of(rows[:, 1:]).tolist() == [1, 0, -1, -1]
    assert Columns.from_metadata({"columns": columns.as_json()}) == columns


@pytest.mark.parametrize("coded", [False, True])
def test_categories_beyond_the_limit_are_refused_with_a_way_on(*, coded: bool) -> None:
    read_options = ReadOptions(categorical=("feature_1",))
    limit = 255 if coded else 1000
    advice = "set categorical_encoding to one-hot" if coded else "an identifier"

    def learnt(categories: int) -> Columns:
        text = "".join(f"yes,c{number}\n" for number in range(categories))
        table = parse_table(text, "t", read_options=read_options)
        return learn_columns(table, ["kind"], accept_missing=False, fill=False, coded=coded)

    assert learnt(limit).width == (1 if coded else limit)
    with pytest.raises(DatasetError, match=f"'kind' has more than {limit} categories.*{advice}"):
        learnt(limit + 1)


def test_the_rarest_categories_become_one_and_so_do_unknown_ones() -> None:
    text = "".join(f"yes,{town}\n" for town in "aaabbbccdde")
    table = parse_table(text, "t", read_options=ReadOptions(categorical=("feature_1",)))
    columns = learn_columns(table, ["town"], accept_missing=False, fill=False, max_categories=3)
    assert columns.columns == (Column("town", ("a", "b", "(other)"), other=True),)
    rows = [[columns.parse_cell(town, 0)] for town in ("a", "d", "new", "(other)")]
    assert columns.encode(rows).tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 1], [0, 0, 1]]
    with pytest.raises(NotANumberError, match="is empty"):
        columns.parse_cell("", 0)
    assert Columns.from_metadata({"columns": columns.as_json()}) == columns
    few = learn_columns(table, ["town"], accept_missing=False, fill=False, max_categories=5)
    assert few.columns == (Column("town", ("a", "b", "c", "d", "e")),)


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("the nest of pair {0} was empty", "It holds free text, such as 'the nest of pair"),
        ("{1}/01/01", "It holds dates, such as '1000/01/01': name it in date_columns"),
    ],
)
def test_free_text_and_dates_are_refused_with_what_to_do(cell: str, reason: str) -> None:
    text = "".join(f"yes,{cell.format(at, 1000 + at)}\n" for at in range(1001))
    table = parse_table(text, "t", read_options=ReadOptions(categorical=("feature_1",)))
    reason = f"'comments' has more than 1000 categories.* {reason}"
    with pytest.raises(DatasetError, match=reason):
        learn_columns(table, ["comments"], accept_missing=False, fill=False)


def test_spellings_of_missing_cells_are_the_same_in_training_and_in_serving() -> None:
    spellings = frozenset({"na", "?"})
    options = ReadOptions(categorical=("auto",), accept_missing=True, missing_spellings=spellings)
    for odd in ("", "no,5,red\n"):
        table = parse_table(f"yes,1,red\nno,NA,?\nyes, ? ,na\n{odd}", "t", read_options=options)
        assert table.categorical_columns == {1}
        assert table.columns[1][:3] == ["red", "", ""]
        assert np.isnan(table.columns[0][1:3]).all()
    columns = learn_columns(
        table, ["size", "colour"], accept_missing=True, fill=False, missing_spellings=spellings
    )
    assert Columns.from_metadata({"columns": columns.as_json()}) == columns
    for cell in ("NA", " ? ", "na", "", "NaN"):
        assert math.isnan(float(columns.parse_cell(cell, 0)))
        assert math.isnan(float(columns.parse_json_value(cell, 0, "x")))
        assert columns.parse_cell(cell, 1) == columns.parse_json_value(cell, 1, "x") == ""


def test_json_may_hold_numbers_as_strings_and_categories_as_booleans() -> None:
    columns = Columns((Column("size"), Column("member", ("FALSE", "TRUE"))))
    assert columns.parse_json_value("3.5", 0, "") == 3.5
    assert columns.parse_json_value(value=True, at=1, shown="true") == "TRUE"
    for wrong in ("3,5", "1_0", "", "inf"):
        with pytest.raises(NotANumberError):
            columns.parse_json_value(wrong, 0, wrong)
    with pytest.raises(NotANumberError, match="holds true, which is not a number"):
        columns.parse_json_value(value=True, at=0, shown="true")
