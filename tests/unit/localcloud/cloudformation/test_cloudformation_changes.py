"""The change list: what an update would do, and why."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.cloudformation.changes import (
    KNOWN_AFTER_APPLY,
    Change,
    CurrentStack,
    DesiredStack,
    changes,
)
from localcloud.cloudformation.model import StackResource
from localcloud.cloudformation.template import Template, TemplateError, parse

pytestmark = pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ResourceChange.html"
)

Resources = dict[str, dict[str, Any]]


def template(resources: Resources, **sections: Any) -> Template:
    return parse(json.dumps({"Resources": resources, **sections}))


def resource(**properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::Test::Thing", "Properties": properties}


def recreates(kind: str, name: str) -> bool:
    """Say that a property called Key, or Key and a number, replaces what has it."""
    return kind == "AWS::Test::Thing" and name.startswith("Key")


def deployed(
    resources: Resources, rendered: Resources | None = None, **sections: Any
) -> tuple[Template, dict[str, StackResource]]:
    """Return a stack that is there, each resource with its properties as rendered."""
    found = template(resources, **sections)
    return found, {
        name: StackResource(
            name,
            declared["Type"],
            (rendered or {}).get(name, declared.get("Properties", {})),
            physical_id=f"{name}-1",
            attributes={"Arn": f"arn:{name}"},
        )
        for name, declared in found.resources.items()
    }


def listed(
    before: tuple[Template, dict[str, StackResource]],
    after: Template,
    parameters: dict[str, str] | None = None,
    previous: dict[str, str] | None = None,
) -> list[Change]:
    wanted = DesiredStack(after, parameters or {}, parameters or {})
    return changes(CurrentStack(before[0], previous or {}, before[1]), wanted, recreates)


def replacements(found: list[Change]) -> dict[str, str]:
    return {c["LogicalResourceId"]: str(c.get("Replacement", c["Action"])) for c in found}


def details(change: Change) -> list[tuple[str | None, ...]]:
    return [
        (d["Target"]["Name"], d["Evaluation"], d["ChangeSource"], d["CausingEntity"])
        for d in change["Details"]
    ]


def test_what_a_new_stack_has_is_added_without_details() -> None:
    wanted = DesiredStack(template({"A": resource(Key=1), "B": resource(Of={"Ref": "A"})}), {}, {})
    found = changes(CurrentStack(), wanted, recreates)
    assert replacements(found) == {"A": "Add", "B": "Add"}
    assert [(c["PhysicalResourceId"], c["Scope"], c["Details"]) for c in found] == [
        (None, [], []),
        (None, [], []),
    ]


def test_a_replacement_makes_what_refers_to_it_conditional_and_so_on() -> None:
    def of(key: int) -> Resources:
        return {
            "A": resource(Key=key),
            "B": resource(Key={"Ref": "A"}),
            "C": resource(Plain={"Fn::GetAtt": ["B", "Arn"]}),
            "D": resource(Plain={"Ref": "C"}),
        }

    rendered: Resources = {
        "A": {"Key": 1},
        "B": {"Key": "A-1"},
        "C": {"Plain": "arn:B"},
        "D": {"Plain": "C-1"},
    }
    found = listed(deployed(of(1), rendered), template(of(2)))
    assert replacements(found) == {"A": "True", "B": "Conditional", "C": "False"}
    assert [details(change) for change in found] == [
        [("Key", "Static", "DirectModification", None)],
        [("Key", "Dynamic", "ResourceReference", "A")],
        [("Plain", "Dynamic", "ResourceAttribute", "B.Arn")],
    ]
    assert [change.get("PolicyAction") for change in found] == [
        "ReplaceAndDelete",
        "ReplaceAndDelete",
        None,
    ]
    assert found[1]["Details"][0]["Target"]["AfterValue"] == KNOWN_AFTER_APPLY


def test_a_parameter_changes_a_property_through_a_condition_too() -> None:
    resources = {
        "A": resource(Plain={"Fn::If": ["Large", 2, 1]}, Key={"Fn::Sub": "${Size}!"}),
        "B": resource(Plain="constant"),
    }
    sections: Resources = {
        "Parameters": {"Size": {"Type": "String"}},
        "Conditions": {
            "Large": {"Fn::Not": [{"Condition": "Small"}]},
            "Small": {"Fn::Equals": [{"Ref": "Size"}, "small"]},
        },
    }
    before = deployed(
        resources, {"A": {"Plain": 1, "Key": "small!"}, "B": {"Plain": "constant"}}, **sections
    )
    found = listed(
        before, template(resources, **sections), {"Size": "large"}, previous={"Size": "small"}
    )
    assert replacements(found) == {"A": "True"}
    assert details(found[0]) == [
        ("Plain", "Static", "ParameterReference", "Size"),
        ("Key", "Static", "ParameterReference", "Size"),
    ]


def test_tags_and_what_is_not_a_property_are_scopes_of_their_own() -> None:
    before = deployed({"A": resource(Tags=[{"Key": "a", "Value": "1"}])})
    after = resource(Tags=[{"Key": "a", "Value": "2"}], Plain=1)
    found = listed(before, template({"A": {**after, "Metadata": {"x": 1}}}))
    assert found[0]["Scope"] == ["Metadata", "Properties", "Tags"]
    assert replacements(found) == {"A": "False"}


def test_a_resource_of_another_type_is_replaced() -> None:
    before = deployed({"A": resource(Plain=1)})
    other = {"A": {"Type": "AWS::Test::Other", "Properties": {"Plain": 1}}}
    (change,) = listed(before, template(other))
    assert (change["Replacement"], change["ResourceType"]) == ("True", "AWS::Test::Other")


def test_a_resource_whose_condition_fails_now_is_removed() -> None:
    resources = {"A": resource(Plain=1), "B": {**resource(Plain=1), "Condition": "No"}}
    conditions = {"No": {"Fn::Equals": ["a", "b"]}}
    found = listed(deployed(resources), template(resources, Conditions=conditions))
    assert [(c["Action"], c["PhysicalResourceId"], c["PolicyAction"]) for c in found] == [
        ("Remove", "B-1", "Delete")
    ]


@pytest.mark.parametrize(
    ("deletion_policy", "expected"),
    [
        ("Delete", "Delete"),
        ("Retain", "Retain"),
        # It is like Retain for all but the operation that made the resource.
        ("RetainExceptOnCreate", "Retain"),
    ],
)
def test_what_becomes_of_a_removed_resource_is_its_deletion_policys_to_say(
    deletion_policy: str, expected: str
) -> None:
    before = deployed({"A": resource(Plain=1), "B": resource(Plain=1)})
    before[1]["B"].deletion_policy = deletion_policy
    (change,) = listed(before, template({"A": resource(Plain=1)}))
    assert (change["Action"], change["PolicyAction"]) == ("Remove", expected)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({}, "ReplaceAndDelete"),
        ({"UpdateReplacePolicy": "Delete"}, "ReplaceAndDelete"),
        ({"UpdateReplacePolicy": "Retain"}, "ReplaceAndRetain"),
        # A deletion policy says nothing of what a replacement leaves behind.
        ({"DeletionPolicy": "Retain"}, "ReplaceAndDelete"),
    ],
)
def test_what_becomes_of_a_replaced_resource_is_its_update_replace_policys_to_say(
    policy: dict[str, str], expected: str
) -> None:
    before = deployed({"A": {**resource(Key=1), **policy}})
    (change,) = listed(before, template({"A": {**resource(Key=2), **policy}}))
    assert (change["Replacement"], change["PolicyAction"]) == ("True", expected)


def test_an_unknown_value_is_an_error_only_if_no_new_resource_can_supply_it() -> None:
    before = deployed({"A": resource(Key=1), "B": resource(Plain="x")})
    second = {"Fn::Select": [1, {"Fn::Split": [":", {"Ref": "A"}]}]}
    found = listed(before, template({"A": resource(Key=2), "B": resource(Plain=second)}))
    assert replacements(found) == {"A": "True", "B": "False"}
    with pytest.raises(TemplateError):
        listed(before, template({"A": resource(Key=1), "B": resource(Plain=second)}))
    missing = {"Fn::GetAtt": ["A", "Colour"]}
    with pytest.raises(TemplateError, match="does not support attribute type Colour"):
        listed(before, template({"A": resource(Key=1), "B": resource(Plain=missing)}))


properties = st.dictionaries(
    st.sampled_from(["Key", "Plain", "Other", "Tags"]), st.integers(0, 2), max_size=4
)
stacks = st.dictionaries(st.sampled_from("ABCDE"), properties, min_size=1)


def stack_of(found: dict[str, dict[str, int]]) -> Resources:
    return {name: resource(**own) for name, own in found.items()}


@given(stacks)
def test_nothing_changes_when_the_template_does_not(found: dict[str, dict[str, int]]) -> None:
    assert listed(deployed(stack_of(found)), template(stack_of(found))) == []


@given(stacks, stacks)
def test_the_list_is_the_difference_of_two_stacks(
    before: dict[str, dict[str, int]], after: dict[str, dict[str, int]]
) -> None:
    found = listed(deployed(stack_of(before)), template(stack_of(after)))
    expected = dict.fromkeys(after.keys() - before.keys(), "Add")
    expected |= dict.fromkeys(before.keys() - after.keys(), "Remove")
    for name in before.keys() & after.keys():
        if before[name] != after[name]:
            expected[name] = str(before[name].get("Key") != after[name].get("Key"))
    assert replacements(found) == expected
    for change in found:
        old = before.get(change["LogicalResourceId"], {})
        new = after.get(change["LogicalResourceId"], {})
        different = {name for name in {*old, *new} if old.get(name) != new.get(name)}
        if change["Action"] == "Modify":
            named = [d["Target"]["Path"].rpartition("/")[2] for d in change["Details"]]
            assert sorted(named) == sorted(different)


def test_a_nested_stack_may_have_changed_at_its_url() -> None:
    nested = {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": "u"}}
    (found,) = listed(deployed({"Nested": nested}), template({"Nested": nested}))
    assert found == {
        "Action": "Modify",
        "LogicalResourceId": "Nested",
        "PhysicalResourceId": "Nested-1",
        "ResourceType": "AWS::CloudFormation::Stack",
        "Replacement": "False",
        "Scope": ["Properties"],
        "Details": [
            {
                "Target": {"Attribute": "Properties", "RequiresRecreation": "Never"},
                "Evaluation": "Dynamic",
                "ChangeSource": "Automatic",
                "CausingEntity": None,
            }
        ],
    }


def test_what_a_resource_will_have_may_be_more_than_its_template_says() -> None:
    resources = {"A": resource(Plain="a")}
    before = deployed(resources)

    def adapted(kind: str, name: str, value: Any) -> Any:
        assert kind == "AWS::Test::Thing"
        return ["tag"] if name == "Tags" else value

    wanted = DesiredStack(template(resources), {}, {}, adapted=adapted)
    (found,) = changes(CurrentStack(before[0], {}, before[1]), wanted, recreates)
    assert (found["Scope"], found["Replacement"]) == (["Tags"], "False")
    assert details(found) == [(None, "Static", "DirectModification", None)]


def test_an_import_of_nothing_is_an_error_for_a_new_resource_too() -> None:
    def imported(name: str) -> str:
        raise TemplateError(f"No export named {name} found.")

    added = template({"A": resource(Plain={"Fn::ImportValue": "x"})})
    with pytest.raises(TemplateError, match="No export named x found"):
        changes(CurrentStack(), DesiredStack(added, {}, {}, imported), recreates)
