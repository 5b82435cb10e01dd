"""The data contract: its format, and the rules that a dataset breaks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.contract import ColumnRule, Contract, LabelRule, contract_file, parse_contract
from model.errors import ContractError

TOML = """
version = 1
minimum_rows = 100
other_columns = "refuse"
maximum_leaked_share = 0.0

[label]
classes = ["yes", "no"]
minimum_share = 0.2

[columns.age]
type = "number"
minimum = 0
maximum = 120

[columns."home town"]
categories = ["A", "B"]
maximum_missing_share = 0.05

[columns.id]
unique = true
"""


def test_a_contract_is_read_from_toml_and_from_json() -> None:
    expected = Contract(
        columns={
            "age": ColumnRule(type="number", minimum=0, maximum=120),
            "home town": ColumnRule(categories=("A", "B"), maximum_missing_share=0.05),
            "id": ColumnRule(unique=True),
        },
        label=LabelRule(classes=("yes", "no"), minimum_share=0.2),
        other_columns="refuse",
        minimum_rows=100,
        maximum_leaked_share=0.0,
    )
    document = {
        "minimum_rows": 100,
        "other_columns": "refuse",
        "maximum_leaked_share": 0,
        "label": {"classes": ["yes", "no"], "minimum_share": 0.2},
        "columns": {
            "age": {"type": "number", "minimum": 0, "maximum": 120.0},
            "home town": {"categories": ["A", "B"], "maximum_missing_share": 0.05},
            "id": {"unique": True},
        },
    }
    assert parse_contract(TOML.encode(), "data-contract.toml") == expected
    assert parse_contract(json.dumps(document).encode(), "data-contract.json") == expected
    assert parse_contract(b"", "data-contract.toml") == Contract()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("minimum_row = 1", "unknown key 'minimum_row'; the keys are version, minimum_rows, "),
        ("[columns.age]\nmin = 1", "'columns.age' has the unknown key 'min'; the keys are type, "),
        ("version = 2", "version is '2'; it must be 1"),
        ("minimum_rows = true", "minimum_rows is 'true'; it must be a whole number of at least 1"),
        ("minimum_rows = 0", "minimum_rows is '0'; it must be a whole number"),
        ("maximum_leaked_share = 2", "it must be a number from 0 to 1"),
        ("other_columns = 'no'", "other_columns is '\"no\"'; it must be 'refuse' or 'allow'"),
        ("label = 3", "label is '3'; it must be a table of keys"),
        ("columns.age = 3", "columns.age must be a table of keys"),
        ("columns.age.minimum = inf", "it must be a finite number"),
        ("columns.age.unique = 1", "it must be true or false"),
        ("columns.age.categories = ['a', 'a']", "it must be a list of different strings"),
        ("columns.age = {minimum = 2, maximum = 1}", "minimum is 2, which is above columns.age"),
        ("columns.age = {type = 'category', minimum = 2}", "columns.age is a category, which has"),
        ("columns.age = {type = 'number', categories = ['a']}", "is a number, which has no categ"),
        ("columns.age = {earliest = 'soon'}", "it must be a date, such as 2024-03-04"),
        ("columns.age = {earliest = '2024-01-01T10:00'}", "it must be a date, such as 2024-03-04"),
        ("columns.age = {latest = 5}", "columns.age.latest is '5'; it must be a date, such as"),
        (
            "columns.age = {earliest = 2024-01-02, latest = '2024-01-01'}",
            "columns.age.earliest is after columns.age.latest",
        ),
        (
            "columns.age = {type = 'number', earliest = 2024-01-01}",
            "columns.age is a number, which has no earliest and no latest",
        ),
        (
            "columns.age = {earliest = 2024-01-01, minimum = 3}",
            "columns.age is a date, which has no minimum, maximum or categories",
        ),
        (
            "columns.age = {type = 'date', categories = ['a']}",
            "columns.age is a date, which has no minimum, maximum or categories",
        ),
        ("[label]\nminimum_share = 0.5\nmaximum_share = 0.1", "label.minimum_share is 0.5, which"),
        ("a = ", "data-contract.toml is not TOML: "),
    ],
)
def test_a_contract_that_cannot_be_read_is_refused(text: str, message: str) -> None:
    with pytest.raises(ContractError) as caught:
        parse_contract(text.encode(), "data-contract.toml")
    assert message in str(caught.value)


def test_all_problems_are_reported_together_and_their_number_is_bounded() -> None:
    text = "".join(f"key_{number} = 1\n" for number in range(13))
    with pytest.raises(ContractError, match=r"'key_0'.*'key_9'.*; and 3 more$"):
        parse_contract(text.encode(), "data-contract.toml")
    with pytest.raises(ContractError, match="at most 1048576 are read"):
        parse_contract(b" " * (1024 * 1024 + 1), "data-contract.toml")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"data-contract.yaml"}, "data-contract.yaml is not read; write the contract as data-con"),
        ({"data-contract.yml", "train.csv"}, "data-contract.yml is not read"),
        ({"data-contract.toml", "data-contract.json"}, "keep one"),
    ],
)
def test_a_contract_in_another_format_and_a_second_one_are_refused(
    names: set[str], message: str
) -> None:
    with pytest.raises(ContractError, match=message):
        contract_file(names)
    assert contract_file({"train.csv"}) is None
    assert contract_file({"data-contract.json", "train.csv"}) == "data-contract.json"


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["columns", "label", "a", "minimum", "classes", "unique", "version"])
            | st.text(max_size=3),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(JSON_VALUES)
def test_any_json_is_a_contract_or_is_refused_with_one_line(document: Any) -> None:
    message = ""
    try:
        parse_contract(json.dumps(document).encode(), "data-contract.json")
    except ContractError as error:
        message = str(error)
    assert message.isprintable()
