"""Properties against the schemas of AWS's registry: types, ranges, and where each of them goes."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localcloud.cloudformation.property_checks import problems
from localcloud.cloudformation.resource_types import HANDLERS
from localcloud.cloudformation.resource_types.base import ResourceFailed
from tests.examples import examples

pytestmark = pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html"
)
SCHEMA = {
    "type": "object",
    "definitions": {
        "Part": {
            "type": "object",
            "properties": {"Name": {"type": "string", "minLength": 2, "maxLength": 3}},
            "required": ["Name"],
            "additionalProperties": False,
        }
    },
    "properties": {
        "Days": {"type": "integer", "enum": [1, 3, 5]},
        "Share": {"type": "number", "minimum": 0, "maximum": 1},
        "On": {"type": "boolean"},
        "Text": {"type": "string", "pattern": "^[a-z]*$"},
        "Policy": {"type": ["object", "string"]},
        "Parts": {
            "type": "array",
            "items": {"$ref": "#/definitions/Part"},
            "minItems": 1,
            "maxItems": 2,
            "uniqueItems": True,
        },
        "Map": {"type": "object", "patternProperties": {"^[a-z]+$": {"type": "integer"}}},
        "Open": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"Days": "x"}, ["#/Days: expected type: Integer, found: String"]),
        ({"Days": True}, ["#/Days: expected type: Integer, found: Boolean"]),
        ({"Days": 1.5}, ["#/Days: expected type: Integer, found: Double"]),
        ({"Days": 2}, ["#/Days: failed validation constraint for keyword [enum]"]),
        ({"Share": "nan"}, ["#/Share: expected type: Number, found: String"]),
        ({"Share": 1.1}, ["#/Share: failed validation constraint for keyword [maximum]"]),
        ({"Share": "-1"}, ["#/Share: failed validation constraint for keyword [minimum]"]),
        ({"On": "yes"}, ["#/On: expected type: Boolean, found: String"]),
        ({"Text": ["a"]}, ["#/Text: expected type: String, found: JSONArray"]),
        ({"Text": {"a": 1}}, ["#/Text: expected type: String, found: JSONObject"]),
        ({"Text": "A"}, ["#/Text: failed validation constraint for keyword [pattern]"]),
        ({"Policy": []}, ["#/Policy: expected type: JSONObject or String, found: JSONArray"]),
        ({"Parts": {"Name": "ab"}}, ["#/Parts: expected type: JSONArray, found: JSONObject"]),
        ({"Parts": []}, ["#/Parts: expected minimum item count: 1, found: 0"]),
        (
            {"Parts": [{"Name": "ab"}, {"Name": "abc"}, {"Name": "ac"}]},
            ["#/Parts: expected maximum item count: 2, found: 3"],
        ),
        ({"Parts": [{"Name": "ab"}, {"Name": "ab"}]}, ["#/Parts: array items are not unique"]),
        (
            {"Parts": [{"Nme": "ab"}]},
            [
                "#/Parts/0: extraneous key [Nme] is not permitted",
                "#/Parts/0: required key [Name] not found",
            ],
        ),
        ({"Parts": [{"Name": "a"}]}, ["#/Parts/0/Name: expected minLength: 2, actual: 1"]),
        ({"Parts": [{"Name": "abcd"}]}, ["#/Parts/0/Name: expected maxLength: 3, actual: 4"]),
        ({"Map": {"a": "x"}}, ["#/Map/a: expected type: Integer, found: String"]),
        ({"Open": {"a": ["x"]}}, ["#/Open/a: expected type: String, found: JSONArray"]),
        ({"No": 1}, ["#: extraneous key [No] is not permitted"]),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(
    properties: dict[str, Any], expected: list[str]
) -> None:
    assert expected == problems(SCHEMA, properties)


def test_texts_numbers_and_booleans_are_converted() -> None:
    properties = {
        "Days": "3",
        "Share": "0.5",
        "On": "true",
        "Text": "7a" * 0,
        "Policy": "{}",
        "Parts": [{"Name": 12}],
        "Map": {"a": "1"},
        "Open": {"a": True},
    }
    assert [] == problems(SCHEMA, properties)


def test_a_message_never_has_the_value_and_there_are_only_so_many() -> None:
    found = problems(SCHEMA, {"Text": "SECRET", **{f"Secret{n}": n for n in range(50)}})
    assert len(found) == 20
    assert "SECRET" not in "".join(problems(SCHEMA, {"Text": "SECRET", "Days": "SECRET"}))


@pytest.mark.parametrize("handler", HANDLERS.values(), ids=lambda handler: handler.type)
def test_what_a_handler_assumes_and_returns_is_awss(handler: Any) -> None:
    schema = handler.schema
    assert set(handler.attributes) <= schema.attributes
    assumed = dict(handler.assumed)
    checked = [p for p in problems(schema.document, assumed) if "required key" not in p]
    assert checked == []


@pytest.mark.parametrize("handler", HANDLERS.values(), ids=lambda handler: handler.type)
def test_each_property_of_a_type_is_carried_out_or_refused_by_name(handler: Any) -> None:
    schema = handler.schema
    for name in sorted(schema.properties - handler.carried_out):
        value = _example(schema.document, schema.document["properties"][name])
        properties = _least(schema.document) | {name: value}
        with pytest.raises(ResourceFailed) as caught:
            handler.check("R", properties)
        assert name in str(caught.value)


def test_a_pattern_of_unicode_classes_is_checked() -> None:
    document = HANDLERS["AWS::SageMaker::ModelPackageGroup"].schema.document
    properties = {"ModelPackageGroupName": "g", "Tags": [{"Key": "ä", "Value": "a;b"}]}
    assert problems(document, properties) == [
        "#/Tags/0/Value: failed validation constraint for keyword [pattern]"
    ]


JSON = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.mark.parametrize("handler", HANDLERS.values(), ids=lambda handler: handler.type)
@settings(max_examples=examples(50))
@given(data=st.data())
def test_whatever_the_properties_are_they_are_taken_or_refused(
    handler: Any, data: st.DataObject
) -> None:
    names = st.sampled_from(sorted(handler.schema.properties))
    with contextlib.suppress(ResourceFailed):
        handler.check("R", data.draw(st.dictionaries(names, JSON, max_size=4)))


def _least(document: dict[str, Any]) -> dict[str, Any]:
    known = document["properties"]
    return {name: _example(document, known[name]) for name in document.get("required", [])}


def _example(document: dict[str, Any], schema: dict[str, Any]) -> Any:
    """Return a value that a schema takes and that nothing assumes."""
    while "$ref" in schema:
        schema = document["definitions"][schema["$ref"].rpartition("/")[2]]
    if "enum" in schema:
        return schema["enum"][-1]
    kind = schema.get("type", "object")
    match kind if isinstance(kind, str) else kind[0]:
        case "object":
            known = schema.get("properties", {})
            needed = schema.get("required", [])
            return {name: _example(document, known[name]) for name in needed if name in known}
        case "array":
            return [_example(document, schema.get("items", {}))] * schema.get("minItems", 1)
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
    return "x" * max(1, schema.get("minLength", 1))
