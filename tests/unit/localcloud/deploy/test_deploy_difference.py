"""Differences in a preview, and the paths of Pulumi's options."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.deploy.difference import UNKNOWN, differences
from localcloud.deploy.paths import parts, restore, value_at

pytestmark = pytest.mark.emulator_only


def shown(before: dict[str, Any], after: dict[str, Any], *secrets: str) -> list[str]:
    found = differences(before, after, frozenset(secrets))
    return [f"{d.path}: {d.before} > {d.after}" for d in found]


def test_only_what_differs_is_shown_by_its_path() -> None:
    before = {"a": 1.0, "tags": {"x": "1", "y": "2"}, "list": [{"n": 1}, {"n": 2}]}
    after = {"a": 1.0, "tags": {"x": "1", "z": "3"}, "list": [{"n": 1}, {"n": 3.0}, {"n": 4}]}
    assert [
        "list[1].n: 2 > 3",
        'list[2]: None > {"n": 4}',
        "tags.y: 2 > None",
        "tags.z: None > 3",
    ] == shown(before, after)


def test_a_document_is_compared_inside() -> None:
    def policy(action: str) -> str:
        return json.dumps({"Statement": [{"Effect": "Allow", "Action": action}]})

    before, after = {"policy": policy("s3:Get")}, {"policy": policy("s3:Put")}
    assert ["policy.Statement[0].Action: s3:Get > s3:Put"] == shown(before, after)


def test_a_document_that_is_only_written_differently_still_differs() -> None:
    assert ['d: {"a":1} > { "a": 1 }'] == shown({"d": '{"a":1}'}, {"d": '{ "a": 1 }'})


def test_what_is_not_known_yet_is_computed() -> None:
    after = {"arn": UNKNOWN, "text": f"prefix-{UNKNOWN}"}
    expected = ["arn: None > <computed>", "text: None > prefix-<computed>"]
    assert expected == shown({}, after)


def test_a_secret_is_not_shown() -> None:
    assert ["value: <secret> > <secret>"] == shown({"value": "a"}, {"value": "b"}, "value")
    assert ["value.x: <secret> > <secret>"] == shown(
        {"value": {"x": 1}}, {"value": {"x": 2}}, "value"
    )


def test_an_archive_is_shown_by_its_hash() -> None:
    before, after = {"code": {"sha256": "a" * 64}}, {"code": {"sha256": "b" * 64}}
    assert [f"code: sha256:{'a' * 12} > sha256:{'b' * 12}"] == shown(before, after)


def test_a_long_text_is_shortened_and_stays_on_one_line() -> None:
    (difference,) = differences({}, {"text": "word\n" * 100})
    assert difference.after is not None
    assert (len(difference.after), difference.after[-1]) == (72, "…")
    assert "\n" not in difference.after


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from("abc"), JSON), st.dictionaries(st.sampled_from("abc"), JSON))
def test_there_is_a_difference_exactly_when_the_inputs_differ(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    assert (before != after) == bool(differences(before, after))


@given(values=st.lists(st.integers(), max_size=5, unique=True), data=st.data())
def test_an_element_that_comes_in_moves_no_other(values: list[int], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(values)))
    more = [*values[:at], "new", *values[at:]]
    assert [(d.path, d.before, d.after) for d in differences({"a": values}, {"a": more})] == [
        (f"a[{at}]", None, "new")
    ]
    assert [(d.path, d.before, d.after) for d in differences({"a": more}, {"a": values})] == [
        (f"a[{at}]", "new", None)
    ]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("value", ["value"]),
        ("tags.owner", ["tags", "owner"]),
        ('tags["a.b"]', ["tags", "a.b"]),
        ("stages[0].name", ["stages", 0, "name"]),
        ("rules[*].days", ["rules", "*", "days"]),
        ("*", ["*"]),
    ],
)
def test_a_path_has_names_and_positions(path: str, expected: list[str | int]) -> None:
    assert expected == parts(path)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("value", {"value": 1, "tags": {"x": 2, "z": 2}, "list": [{"n": 2}]}),
        ("tags.x", {"value": 2, "tags": {"x": 1, "z": 2}, "list": [{"n": 2}]}),
        ("tags.y", {"value": 2, "tags": {"x": 2, "y": 1, "z": 2}, "list": [{"n": 2}]}),
        ("tags.z", {"value": 2, "tags": {"x": 2}, "list": [{"n": 2}]}),
        ("list[0].n", {"value": 2, "tags": {"x": 2, "z": 2}, "list": [{"n": 1}]}),
        ("list[*].n", {"value": 2, "tags": {"x": 2, "z": 2}, "list": [{"n": 1}]}),
        ("no.such[3]", {"value": 2, "tags": {"x": 2, "z": 2}, "list": [{"n": 2}]}),
        ("*", {"value": 1, "tags": {"x": 1, "y": 1}, "list": [{"n": 1}]}),
    ],
)
def test_what_is_ignored_stays_as_it_was(path: str, expected: dict[str, Any]) -> None:
    before = {"value": 1, "tags": {"x": 1, "y": 1}, "list": [{"n": 1}]}
    after = {"value": 2, "tags": {"x": 2, "z": 2}, "list": [{"n": 2}]}
    assert expected == restore(after, before, [path])
    assert {"value": 2, "tags": {"x": 2, "z": 2}, "list": [{"n": 2}]} == after


def test_a_path_holds_what_lies_there() -> None:
    values = {"a": {"b": [1, 2]}}
    assert [2, None, values] == [value_at(values, path) for path in ("a.b[1]", "a.c.d", "*")]
