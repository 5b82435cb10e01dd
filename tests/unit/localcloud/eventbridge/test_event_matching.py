"""Matching events with patterns: leaves, arrays, absence, and each operator."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.eventbridge.event_matching import matches
from localcloud.eventbridge.event_pattern import EventPatternError, parse

pytestmark = pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html"
)

PEOPLE = {
    "people": [
        {"name": "Ada", "city": "London"},
        {"name": "Bob", "city": "Paris", "age": 7, "tags": ["x", "y"]},
    ]
}


def matched(pattern: Any, event: Any) -> bool:
    return matches(parse(json.dumps({"detail": pattern})), {"detail": event})


@pytest.mark.parametrize(
    ("values", "leaf", "expected"),
    [
        (["x"], "x", True),
        (["x"], "X", False),
        (["x", "y"], ["a", "y"], True),
        ([""], "", True),
        ([None], None, True),
        ([None], "", False),
        ([1], 1.0, True),
        ([1], True, False),
        ([True], 1, False),
        ([0], False, False),
        ([False], False, True),
        (["1"], 1, False),
        ([300], 3.0e2, True),
        ([{"exists": True}], 0, True),
        ([{"exists": True}], None, True),
        ([{"exists": True}], [], False),
        ([{"exists": True}], {}, False),
        ([{"exists": True}], [{"b": 1}], False),
        ([{"exists": True}], [{"b": 1}, 2], True),
        ([{"exists": False}], [], True),
        ([{"exists": False}], [{"b": 1}], True),
        ([{"exists": False}], "x", False),
        ([{"prefix": "eu-"}], "eu-west-1", True),
        ([{"prefix": "eu-"}], ["us", "eu-west-1"], True),
        ([{"prefix": "eu-"}], 5, False),
        ([{"prefix": {"equals-ignore-case": "EU-"}}], "eU-west-1", True),
        ([{"suffix": ".png"}], "a.png", True),
        ([{"suffix": {"equals-ignore-case": ".PNG"}}], "a.pnG", True),
        ([{"equals-ignore-case": "Alice"}], "aLICE", True),
        ([{"equals-ignore-case": "1"}], 1, False),
        ([{"exactly": "x"}], "x", True),
        ([{"numeric": [">", 0, "<=", 5]}], 5, True),
        ([{"numeric": [">", 0, "<=", 5]}], 0, False),
        ([{"numeric": ["=", 1]}], True, False),
        ([{"numeric": ["=", 3.018e2]}], 301.8, True),
        ([{"numeric": ["<", 10]}], "9", False),
        ([{"numeric": ["<", 10]}], [50, 9], True),
        ([{"cidr": "10.0.0.0/24"}], "10.0.0.255", True),
        ([{"cidr": "10.0.0.77/24"}], "10.0.1.0", False),
        ([{"cidr": "2001:db8::/32"}], "2001:db8::1", True),
        ([{"cidr": "10.0.0.0/24"}], "no address", False),
        ([{"anything-but": "x"}], "y", True),
        ([{"anything-but": "x"}], "x", False),
        ([{"anything-but": ["x", "y"]}], ["x", "y"], False),
        ([{"anything-but": ["x", "y"]}], ["x", "z"], True),
        ([{"anything-but": ["x"]}], None, True),
        ([{"anything-but": ["x"]}], [{"b": "z"}], False),
        ([{"anything-but": ["x"]}], [], False),
        ([{"anything-but": [1]}], True, True),
        ([{"anything-but": [1, 2]}], 2.0, False),
        ([{"anything-but": {"prefix": "init"}}], "initialised", False),
        ([{"anything-but": {"prefix": ["a", "b"]}}], "cb", True),
        ([{"anything-but": {"suffix": [".txt", ".rtf"]}}], "a.rtf", False),
        ([{"anything-but": {"wildcard": ["*/lib/*", "a*"]}}], "x/lib/y", False),
        ([{"anything-but": {"equals-ignore-case": ["X", "Y"]}}], "x", False),
        ([{"anything-but": {"prefix": "init"}}], 5, True),
        ([{"wildcard": "dir/*.png"}], "dir/a/b.png", True),
        ([{"exists": False}, "x"], "x", True),
        ([{"exists": False}, "x"], "y", False),
    ],
)
def test_a_value_matches_a_leaf(values: list[Any], leaf: Any, expected: bool) -> None:
    assert matched({"a": values}, {"a": leaf, "other": 1}) is expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ({"people": {"name": ["Ada"], "city": ["London"]}}, True),
        # Both are there, but not of one person.
        ({"people": {"name": ["Ada"], "city": ["Paris"]}}, False),
        ({"people": {"city": ["London"], "tags": [{"exists": False}]}}, True),
        ({"people": {"city": ["Paris"], "tags": [{"exists": False}]}}, False),
        # Somebody has one, and the fields are looked at in the order of their names.
        ({"people": {"age": [{"exists": False}]}}, False),
        ({"people": {"city": ["London"], "age": [{"exists": False}]}}, False),
        ({"people": {"tags": ["y"], "name": ["Bob"]}}, True),
        ({"people": {"tags": ["y"], "name": ["Ada"]}}, False),
        ({"nobody": [{"exists": False}]}, True),
        ({"nobody": [{"anything-but": "x"}]}, False),
    ],
)
def test_the_fields_of_an_array_hold_for_one_entry(pattern: Any, expected: bool) -> None:
    assert matched(pattern, PEOPLE) is expected


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"a": "1", "b": "2"}, True),
        ({"a": "1", "c": "3"}, True),
        ({"a": "1"}, False),
        ({"b": "2", "c": "3"}, False),
    ],
)
def test_or_multiplies_what_stands_beside_it(event: Any, expected: bool) -> None:
    assert matched({"a": ["1"], "$or": [{"b": ["2"]}, {"c": ["3"]}]}, event) is expected


def test_the_later_of_a_field_beside_or_and_inside_it_counts() -> None:
    inside_last = {"a": ["1"], "$or": [{"a": ["2"]}, {"b": ["3"]}]}
    assert [matched(inside_last, {"a": a}) for a in ("1", "2")] == [False, True]
    assert matched(inside_last, {"a": "1", "b": "3"})
    beside_last = {"$or": [{"a": ["2"]}, {"b": ["3"]}], "a": ["1"]}
    assert [matched(beside_last, {"a": a}) for a in ("1", "2")] == [True, False]


def test_an_or_inside_another_has_all_combinations() -> None:
    pattern = {"$or": [{"a": ["1"], "$or": [{"b": ["1"]}, {"c": ["1"]}]}, {"d": ["1"]}]}
    assert matched(pattern, {"a": "1", "c": "1"})
    assert matched(pattern, {"d": "1"})
    assert not matched(pattern, {"a": "1"})


def test_too_many_alternatives_are_refused() -> None:
    pairs = [{"$or": [{f"a{n}": ["1"]}, {f"b{n}": ["1"]}]} for n in range(10)]
    nested: dict[str, Any] = {f"f{n}": pair for n, pair in enumerate(pairs)}
    with pytest.raises(EventPatternError, match="over 1000 combinations"):
        parse(json.dumps(nested))
    del nested["f9"]
    assert parse(json.dumps(nested)) == nested


def test_a_name_with_a_dot_is_a_path() -> None:
    assert matched({"a.b": ["x"]}, {"a": {"b": "x"}})
    assert matched({"a": {"b": ["x"]}}, {"a.b": "x"})
    assert not matched({"a": {"b": ["x"]}}, {"a": {"c": "x"}})


LEAF = st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["a", "b"])


@given(
    st.dictionaries(st.sampled_from("xyz"), st.lists(LEAF, min_size=1, max_size=3), min_size=1),
    st.dictionaries(st.sampled_from("xyz"), LEAF | st.lists(LEAF, max_size=3)),
)
def test_plain_values_match_if_each_field_has_one_of_them(
    pattern: dict[str, list[Any]], event: dict[str, Any]
) -> None:
    def has(name: str, values: list[Any]) -> bool:
        leaves = event.get(name, [])
        leaves = leaves if isinstance(leaves, list) else [leaves]
        return any((type(v), v) == (type(leaf), leaf) for v in values for leaf in leaves)

    expected = all(has(name, values) for name, values in pattern.items())
    assert matched(pattern, event) is expected


def test_a_long_array_is_matched_in_a_bounded_time() -> None:
    entries = [{"a": "1", "b": "2", "c": str(n)} for n in range(20_000)]
    pattern = {"list": {"a": ["1"], "b": ["2"], "c": ["none"]}}
    assert not matched(pattern, {"list": entries})
    assert matched({**pattern, "list": {**pattern["list"], "c": ["19999"]}}, {"list": entries})
