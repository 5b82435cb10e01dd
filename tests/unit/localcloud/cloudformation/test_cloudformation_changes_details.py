"""The change list in full: each member of a change, and each reason for it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from localcloud.cloudformation.changes import (
    KNOWN_AFTER_APPLY,
    Change,
    CurrentStack,
    DesiredStack,
    changes,
)
from localcloud.cloudformation.model import StackResource
from localcloud.cloudformation.template import Template, parse

pytestmark = pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ResourceChangeDetail.html"
)

TYPE = "AWS::Test::Thing"
Resources = dict[str, dict[str, Any]]


def thing(**properties: Any) -> dict[str, Any]:
    return {"Type": TYPE, "Properties": properties}


def template(resources: Resources, **sections: Any) -> Template:
    return parse(json.dumps({"Resources": resources, **sections}))


def made(name: str, properties: dict[str, Any], kind: str = TYPE) -> StackResource:
    """Return a resource of a stack, as it was made."""
    return StackResource(
        name, kind, properties, physical_id=f"{name}-1", attributes={"Arn": f"arn:{name}"}
    )


def listed(
    before: Template | None,
    there: list[StackResource],
    after: Template,
    parameters: dict[str, str] | None = None,
    previous: dict[str, str] | None = None,
    **more: Any,
) -> list[Change]:
    current = CurrentStack(before, previous or {}, {each.logical_id: each for each in there})
    wanted = DesiredStack(after, parameters or {}, parameters or {}, **more)
    return changes(current, wanted, lambda _, name: name == "Key")


def change_of(old: dict[str, Any], new: dict[str, Any]) -> Change:
    """Return the one change that a resource of such properties has."""
    before, after = template({"A": thing(**old)}), template({"A": thing(**new)})
    (change,) = listed(before, [made("A", old)], after)
    return change


def causes(change: Change) -> list[tuple[str, str, str | None]]:
    return [(d["Evaluation"], d["ChangeSource"], d["CausingEntity"]) for d in change["Details"]]


def test_each_action_has_its_members() -> None:
    before = template({"Gone": thing(), "Kept": thing(Plain="a")})
    there = [made("Gone", {}, "AWS::Test::Other"), made("Kept", {"Plain": "a"})]
    found = listed(before, there, template({"Kept": thing(Plain="b"), "New": thing()}))
    assert found == [
        {
            "Action": "Modify",
            "LogicalResourceId": "Kept",
            "PhysicalResourceId": "Kept-1",
            "ResourceType": TYPE,
            "Replacement": "False",
            "Scope": ["Properties"],
            "Details": [
                {
                    "Target": {
                        "Attribute": "Properties",
                        "Name": "Plain",
                        "Path": "/Properties/Plain",
                        "BeforeValue": "a",
                        "AfterValue": "b",
                        "AttributeChangeType": "Modify",
                        "RequiresRecreation": "Never",
                    },
                    "Evaluation": "Static",
                    "ChangeSource": "DirectModification",
                    "CausingEntity": None,
                }
            ],
        },
        {
            "Action": "Add",
            "LogicalResourceId": "New",
            "PhysicalResourceId": None,
            "ResourceType": TYPE,
            "Scope": [],
            "Details": [],
        },
        {
            "Action": "Remove",
            "LogicalResourceId": "Gone",
            "PhysicalResourceId": "Gone-1",
            "ResourceType": "AWS::Test::Other",
            "Scope": [],
            "Details": [],
            "PolicyAction": "Delete",
        },
    ]


@pytest.mark.parametrize(
    ("old", "new", "before", "after", "kind"),
    [
        ({}, {"Plain": "b"}, None, "b", "Add"),
        ({"Plain": "a"}, {}, "a", None, "Remove"),
        ({"Plain": "a"}, {"Plain": "b"}, "a", "b", "Modify"),
        ({"Plain": 1}, {"Plain": [1, 2]}, "1", "[1, 2]", "Modify"),
        (
            {"Plain": {"b": 1, "a": True}},
            {"Plain": {"d": 1, "c": {}}},
            '{"a": true, "b": 1}',
            '{"c": {}, "d": 1}',
            "Modify",
        ),
    ],
)
def test_a_value_is_shown_before_and_after(
    old: dict[str, Any], new: dict[str, Any], before: str | None, after: str | None, kind: str
) -> None:
    (detail,) = change_of(old, new)["Details"]
    target = detail["Target"]
    shown = (target["BeforeValue"], target["AfterValue"], target["AttributeChangeType"])
    assert (before, after, kind) == shown


def test_tags_are_no_property_and_have_no_name() -> None:
    (detail,) = change_of({"Tags": []}, {"Tags": [{"Key": "a", "Value": "1"}]})["Details"]
    target = detail["Target"]
    assert (target["Attribute"], target["Name"]) == ("Tags", None)
    assert (target["Path"], target["RequiresRecreation"]) == ("/Properties/Tags", "Never")


@pytest.mark.parametrize(
    ("old", "new"),
    [({"Key": 1}, {"Key": 2}), ({}, {"Key": 2}), ({"Key": 1}, {})],
)
def test_a_property_that_recreates_replaces_however_it_changes(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    change = change_of(old, new)
    assert (change["Replacement"], change["PolicyAction"]) == ("True", "ReplaceAndDelete")
    assert change["Details"][0]["Target"]["RequiresRecreation"] == "Always"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CreationPolicy", {"ResourceSignal": {"Count": 1}}),
        ("DeletionPolicy", "Retain"),
        ("Metadata", {"a": 1}),
        ("UpdatePolicy", {"AutoScalingReplacingUpdate": {"WillReplace": True}}),
        ("UpdateReplacePolicy", "Retain"),
    ],
)
@pytest.mark.parametrize("added", [True, False])
def test_an_attribute_of_a_resource_changes_it_and_never_replaces_it(
    name: str, value: Any, added: bool
) -> None:
    plain, more = template({"A": thing()}), template({"A": {**thing(), name: value}})
    before, after = (plain, more) if added else (more, plain)
    (change,) = listed(before, [made("A", {})], after)
    assert (change["Replacement"], change["Scope"]) == ("False", [name])
    assert "PolicyAction" not in change
    assert change["Details"] == [
        {
            "Target": {"Attribute": name, "RequiresRecreation": "Never"},
            "Evaluation": "Static",
            "ChangeSource": "DirectModification",
            "CausingEntity": None,
        }
    ]


def test_a_resource_without_properties_stays_as_it_is() -> None:
    bare = template({"A": {"Type": TYPE}})
    assert listed(bare, [made("A", {})], bare) == []
    (change,) = listed(bare, [made("A", {})], template({"A": thing(Plain=1)}))
    assert causes(change) == [("Static", "DirectModification", None)]


def test_resources_are_removed_in_the_opposite_order_and_others_stay() -> None:
    before = template({name: thing() for name in "ABC"})
    there = [made(name, {}) for name in "ABC"]
    found = listed(before, there, template({"B": thing()}))
    assert [change["LogicalResourceId"] for change in found] == ["C", "A"]


def test_a_resource_whose_condition_fails_hides_none_that_follow() -> None:
    conditions = {"No": {"Fn::Equals": ["a", "b"]}}
    resources = {"A": {**thing(), "Condition": "No"}, "B": thing(), "C": thing()}
    found = listed(None, [], template(resources, Conditions=conditions))
    assert [change["LogicalResourceId"] for change in found] == ["B", "C"]


def test_what_was_never_made_is_added_and_not_known_to_what_refers_to_it() -> None:
    resources = {"A": thing(), "B": thing(Plain={"Ref": "A"})}
    half_made = StackResource("A", TYPE, {}, physical_id="")
    there = [half_made, made("B", {"Plain": "A-0"})]
    first, second = listed(template(resources), there, template(resources))
    assert (first["Action"], first["PhysicalResourceId"]) == ("Add", None)
    assert causes(second) == [("Dynamic", "ResourceReference", "A")]
    assert second["Details"][0]["Target"]["AfterValue"] == KNOWN_AFTER_APPLY


def test_a_stack_may_hold_what_its_template_does_not() -> None:
    after = template({"A": thing(Plain=2)})
    for before in (None, template({"B": thing()})):
        (change, *_) = listed(before, [made("A", {"Plain": 1})], after)
        assert (change["Action"], change["LogicalResourceId"]) == ("Modify", "A")
        assert causes(change) == [("Static", "DirectModification", None)]


def test_a_value_that_hangs_on_a_replaced_resource_and_is_written_otherwise_has_both_reasons() -> (
    None
):
    before = template({"A": thing(Key=1), "B": thing(Plain="x")})
    after = template({"A": thing(Key=2), "B": thing(Plain={"Fn::Sub": "${A}-${A.Arn}"})})
    _, change = listed(before, [made("A", {"Key": 1}), made("B", {"Plain": "x"})], after)
    assert causes(change) == [
        ("Dynamic", "DirectModification", None),
        ("Dynamic", "ResourceReference", "A"),
        ("Dynamic", "ResourceAttribute", "A.Arn"),
    ]


def test_only_parameters_that_change_and_that_a_value_refers_to_are_reasons() -> None:
    value = {"Fn::Join": ["-", [{"Ref": "One"}, {"Ref": "Two"}]]}
    parameters = {name: {"Type": "String"} for name in ("One", "Two", "Three")}
    stack = template({"A": thing(Plain=value)}, Parameters=parameters)
    (change,) = listed(
        stack,
        [made("A", {"Plain": "1-2"})],
        stack,
        {"One": "1", "Two": "9", "Three": "9"},
        {"One": "1", "Two": "2", "Three": "3"},
    )
    assert causes(change) == [("Static", "ParameterReference", "Two")]


def test_the_parameters_of_every_condition_of_a_value_are_reasons() -> None:
    names = ("First", "Second", "Third", "Fourth", "Other")
    conditions = {
        "Outer": {"Fn::And": [{"Condition": "Inner"}, {"Fn::Equals": [{"Ref": "First"}, "1"]}]},
        "Inner": {"Fn::Equals": [{"Ref": "Second"}, "1"]},
        "Nested": {"Fn::Equals": [{"Ref": "Third"}, "1"]},
        "Unused": {"Fn::Equals": [{"Ref": "Other"}, "1"]},
    }
    value = {"Fn::If": ["Outer", {"Fn::If": ["Nested", "a", "b"]}, {"Ref": "Fourth"}]}
    stack = template(
        {"A": thing(Plain=[value])},
        Parameters={name: {"Type": "String"} for name in names},
        Conditions=conditions,
    )
    there = [made("A", {"Plain": ["z"]})]
    (change,) = listed(stack, there, stack, dict.fromkeys(names, "1"), dict.fromkeys(names, "0"))
    assert causes(change) == [
        ("Static", "ParameterReference", name) for name in ("First", "Fourth", "Second", "Third")
    ]


def test_a_text_that_is_also_a_conditions_name_is_a_text() -> None:
    parameters = {name: {"Type": "String"} for name in ("Size", "Name")}
    conditions = {"Large": {"Fn::Equals": [{"Ref": "Size"}, "large"]}}
    values = {"Fn::Join": ["Large", ["a", {"Ref": "Name"}]]}, {"a": "Large", "b": {"Ref": "Name"}}
    for value in values:
        stack = template({"A": thing(Plain=value)}, Parameters=parameters, Conditions=conditions)
        (change,) = listed(
            stack,
            [made("A", {"Plain": "old"})],
            stack,
            {"Size": "large", "Name": "new"},
            {"Size": "small", "Name": "old"},
        )
        assert causes(change) == [("Static", "ParameterReference", "Name")]


def test_a_property_that_is_called_condition_names_none() -> None:
    change = change_of({"Plain": {"Condition": "a", "b": 1}}, {"Plain": {"Condition": "c", "b": 1}})
    assert causes(change) == [("Static", "DirectModification", None)]


def test_a_mapping_that_says_something_else_is_a_modification_of_its_own() -> None:
    resources = {"A": thing(Key={"Fn::FindInMap": ["M", "a", "b"]})}
    old, new = (template(resources, Mappings={"M": {"a": {"b": value}}}) for value in ("1", "2"))
    (change,) = listed(old, [made("A", {"Key": "1"})], new)
    assert causes(change) == [("Static", "DirectModification", None)]
    assert (change["Replacement"], change["Details"][0]["Target"]["AfterValue"]) == ("True", "2")


def test_an_imported_value_is_read_from_the_exports() -> None:
    stack = template({"A": thing(Plain={"Fn::ImportValue": "shared"})})
    there = [made("A", {"Plain": "old"})]
    (change,) = listed(stack, there, stack, imported={"shared": "new"}.__getitem__)
    assert change["Details"][0]["Target"]["AfterValue"] == "new"
    assert listed(stack, there, stack, imported={"shared": "old"}.__getitem__) == []
