"""The form of intrinsic functions, and what is evaluated before anything is created."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localcloud.cloudformation.evaluation import pseudo_parameters
from localcloud.cloudformation.parameters import typed
from localcloud.cloudformation.template import TemplateError, parse
from localcloud.cloudformation.template_checks import check_template, check_types, check_values
from tests.examples import examples

REFERENCE = (
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/"
    "intrinsic-function-reference.html"
)
pytestmark = pytest.mark.aws_documented(REFERENCE)
ID = "arn:aws:cloudformation:us-east-1:000000000000:stack/s/00000000-0000-0000-0000-000000000000"
TOPIC = {"Type": "AWS::SNS::Topic"}


def problem(parameters: dict[str, str] | None = None, **sections: Any) -> str:
    """Return what is wrong with a template before anything is created, or an empty text."""
    try:
        template = parse(json.dumps({"Resources": {"A": TOPIC}, **sections}))
        check_template(template)
        values = pseudo_parameters(ID, "s", []) | typed(template, parameters or {})
        check_values(template, values)
        check_types(template, values)
    except TemplateError as error:
        return str(error)
    return ""


def of(value: Any, **sections: Any) -> str:
    resources = {"A": TOPIC, "B": {**TOPIC, "Properties": {"DisplayName": value}}}
    return problem(Resources=resources, **sections)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"Ref": ["A"]}, "every Ref object must have a single String value."),
        ({"Fn::GetAtt": "A"}, "every Fn::GetAtt object requires two non-empty parameters"),
        ({"Fn::GetAtt": ["A", ""]}, "every Fn::GetAtt object requires two non-empty parameters"),
        ({"Fn::GetAtt": ["A"]}, "every Fn::GetAtt object requires two non-empty parameters"),
        ({"Fn::Join": "x"}, "every Fn::Join object requires two parameters"),
        ({"Fn::Join": ["-", "x"]}, "every Fn::Join object requires two parameters"),
        ({"Fn::Join": [{"Ref": "A"}, ["x"]]}, "every Fn::Join object requires two parameters"),
        ({"Fn::Split": ["-"]}, "every Fn::Split object requires two parameters"),
        ({"Fn::Split": ["", "x"]}, "every Fn::Split object requires two parameters"),
        ({"Fn::Select": ["0"]}, "Fn::Select requires a list argument with two elements"),
        ({"Fn::Select": ["x", ["a"]]}, "Fn::Select requires a list argument with a valid index"),
        ({"Fn::Select": [-1, ["a"]]}, "Fn::Select requires a list argument with a valid index"),
        ({"Fn::Sub": ["${A}", "x"]}, "One or more Fn::Sub intrinsic functions don't specify"),
        ({"Fn::Sub": {"a": "b"}}, "One or more Fn::Sub intrinsic functions don't specify"),
        ({"Fn::Sub": "${A b}"}, "variable names in Fn::Sub syntax must contain only"),
        ({"Fn::Sub": "${}"}, "variable names in Fn::Sub syntax must contain only"),
        ({"Fn::FindInMap": ["M", "a"]}, "every Fn::FindInMap object requires three parameters"),
        ({"Fn::Base64": ["x"]}, "every Fn::Base64 object must have a String-typed value."),
        ({"Fn::GetAZs": ["x"]}, "every Fn::GetAZs object must have a String-typed value."),
        ({"Fn::Cidr": "10.0.0.0/8"}, "every Fn::Cidr object requires"),
        ({"Fn::If": ["C", "a"]}, "Fn::If requires a list argument with three elements"),
        ({"Fn::If": "C"}, "Fn::If requires a list argument with the first element"),
        ({"Fn::ImportValue": ["x"]}, "the attribute in Fn::ImportValue must be a string"),
        (
            {"Fn::ImportValue": {"Fn::Sub": "${A.TopicName}"}},
            "the attribute in Fn::ImportValue must not depend on any resources",
        ),
        (
            {"Fn::ImportValue": {"Fn::GetAtt": ["A", "TopicName"]}},
            "the attribute in Fn::ImportValue must not depend on any resources",
        ),
        ({"Fn::Equals": ["a"]}, "every Fn::Equals object requires a list of 2 string parameters."),
        ({"Fn::And": [{"Condition": "C"}]}, "every Fn::And object requires a list of at least 2"),
        ({"Fn::Or": ["a", "b"]}, "every Fn::Or object requires a list of at least 2"),
        ({"Fn::Not": []}, "Fn::Not requires a list argument with one element"),
        ({"Fn::Not": ["a"]}, "Fn::Not requires a list argument with one function token"),
    ],
)
@pytest.mark.parametrize("nested", [False, True])
def test_a_malformed_function_is_refused(value: Any, text: str, nested: bool) -> None:
    conditions = {"C": {"Fn::Equals": ["a", "a"]}}
    found = of({"Fn::Join": ["", ["a", value]]} if nested else value, Conditions=conditions)
    assert found.startswith(f"Template error: {text}"), found


def test_a_function_that_does_not_exist_is_refused_and_the_others_are_named() -> None:
    found = of({"Fn::Upper": "x"})
    assert found.startswith(
        "Template Error: Encountered unsupported function: Fn::Upper Supported functions are: ["
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (
            {"Fn::Select": [2, ["a", "b"]]},
            "Template error: Fn::Select cannot select nonexistent value at index 2",
        ),
        (
            {"Fn::Select": ["3", {"Fn::GetAZs": ""}]},
            "Template error: Fn::Select cannot select nonexistent value at index 3",
        ),
        (
            {"Fn::Sub": ["${x}-${A}", {"x": {"Fn::Select": [1, ["a"]]}}]},
            "Template error: Fn::Select cannot select nonexistent value at index 1",
        ),
        (
            {"Fn::FindInMap": ["M", "b", "k"]},
            "Template error: Unable to get mapping for M::b::k",
        ),
        (
            {"Fn::FindInMap": ["M", {"Ref": "AWS::Region"}, "k"]},
            "Template error: Unable to get mapping for M::us-east-1::k",
        ),
        (
            {"Fn::GetAtt": ["A", "Arn"]},
            "Template error: resource A does not support attribute type Arn in Fn::GetAtt",
        ),
        (
            {"Fn::Sub": "${A.Arn}"},
            "Template error: resource A does not support attribute type Arn in Fn::GetAtt",
        ),
        (
            {"Fn::GetAtt": ["P", "Arn"]},
            "Template error: instance of Fn::GetAtt references undefined resource P",
        ),
        (
            {"Fn::Equals": [{"Ref": "L"}, "a"]},
            "Template error: every Fn::Equals object requires a list of 2 string parameters.",
        ),
        (
            {"Ref": "AWS::Nothing"},
            "Template format error: Unresolved resource dependencies [AWS::Nothing] in the "
            "Resources block of the template",
        ),
    ],
)
def test_what_cannot_have_a_value_is_refused_before_anything_is_created(
    value: Any, text: str
) -> None:
    resources = {"A": TOPIC, "B": {**TOPIC, "Properties": {"DisplayName": value}}}
    declared = {"P": {"Type": "String"}, "L": {"Type": "CommaDelimitedList"}}
    found = problem(
        {"P": "p", "L": "a,b"},
        Resources=resources,
        Parameters=declared,
        Mappings={"M": {"a": {"k": "v"}}},
    )
    assert found == text


@pytest.mark.parametrize(
    "value",
    [
        {"Fn::Select": [4, {"Fn::Split": ["-", {"Ref": "AWS::StackId"}]}]},
        {"Fn::Select": [5, {"Fn::Split": [":", {"Ref": "A"}]}]},
        {"Fn::If": ["No", {"Fn::Select": [9, ["a"]]}, "b"]},
        {"Fn::Sub": "${A.TopicName} ${!Literal} ${AWS::StackName}"},
        {"Fn::ImportValue": {"Fn::Sub": "${AWS::StackName}-x"}},
    ],
)
def test_what_is_known_later_is_left_to_the_creation(value: Any) -> None:
    assert of(value, Conditions={"No": {"Fn::Equals": ["a", "b"]}}) == ""


@pytest.mark.parametrize(
    ("conditions", "text"),
    [
        ({"C": {"Condition": "D"}}, "Unresolved condition dependency D in the Conditions block"),
        ({"C": {"Ref": "AWS::Region"}}, "Conditions can only be boolean operations"),
        ({"C": "yes"}, "Conditions can only be boolean operations"),
        ({"C": {"Fn::Not": [{"Condition": "C"}]}}, "circular dependency of the condition C"),
        (
            {"C": {"Fn::Equals": [{"Fn::Select": [1, ["a"]]}, "a"]}},
            "Fn::Select cannot select nonexistent value at index 1",
        ),
    ],
)
def test_a_condition_that_nobody_uses_is_checked_too(conditions: Any, text: str) -> None:
    assert text in problem(Conditions=conditions)


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ({"Value": ["a"]}, "The Value field of every Outputs member must evaluate to a String"),
        ({"Value": {"Fn::GetAZs": ""}}, "The Value field of every Outputs member must evaluate"),
        ({"Value": "a", "Export": {"Name": "a b"}}, "Output O is malformed. The Name field"),
        (
            {"Value": "a", "Export": {"Name": {"Fn::Sub": "${AWS::StackName}/x"}}},
            "Output O is malformed. The Name field",
        ),
        ({"Value": "a", "Export": {"Name": {"Ref": "A"}}}, "must not depend on any resources"),
    ],
)
def test_an_output_that_cannot_be_is_refused(output: Any, text: str) -> None:
    assert text in problem(Outputs={"O": output})


@pytest.mark.parametrize("attribute", ["CreationPolicy", "UpdatePolicy"])
def test_a_policy_that_no_type_here_has_is_refused_by_name(attribute: str) -> None:
    found = problem(Resources={"A": {**TOPIC, attribute: {}}})
    assert found == f"Template error: resource type AWS::SNS::Topic does not support {attribute}"


def test_a_resource_that_is_left_out_may_be_of_any_type() -> None:
    left_out = {"Type": "AWS::Test::Nothing", "Condition": "No"}
    resources = {"A": TOPIC, "B": left_out}
    assert problem(Resources=resources, Conditions={"No": {"Fn::Equals": ["a", "b"]}}) == ""


def test_a_type_that_is_not_there_is_refused_by_name() -> None:
    found = problem(Resources={"A": TOPIC, "B": {"Type": "AWS::Test::Nothing"}})
    assert found.startswith(
        "Template format error: Unrecognized resource types: [AWS::Test::Nothing]. The local cloud "
        "supports: AWS::ApplicationAutoScaling::ScalableTarget, "
    )


def arguments() -> st.SearchStrategy[Any]:
    names = st.sampled_from(["A", "B", "C", "M", "k", "P", "L", "AWS::Region", "", "0", "9", "A.X"])
    functions = st.sampled_from(
        [
            *("Ref", "Fn::GetAtt", "Fn::Sub", "Fn::Join", "Fn::Select", "Fn::Split", "Fn::If"),
            *("Fn::FindInMap", "Fn::Base64", "Fn::Cidr", "Fn::GetAZs", "Fn::ImportValue"),
            *("Fn::Equals", "Fn::And", "Fn::Or", "Fn::Not", "Condition", "Fn::Nothing"),
        ]
    )
    scalars = names | st.integers(-1, 3) | st.booleans() | st.sampled_from(["${A}", "${A.X}", "${"])
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(functions, inner, max_size=2),
        max_leaves=10,
    )


@settings(max_examples=examples(300))
@given(arguments(), arguments(), arguments(), st.dictionaries(st.sampled_from("CD"), arguments()))
def test_whatever_functions_are_given_the_answer_is_a_template_error_or_nothing(
    value: Any, output: Any, export: Any, conditions: Any
) -> None:
    properties = {"DisplayName": value, "Tags": [value]}
    problem(
        {"P": "p", "L": "a,b"},
        Resources={"A": TOPIC, "B": {**TOPIC, "Properties": properties, "Condition": "C"}},
        Parameters={"P": {"Type": "String"}, "L": {"Type": "CommaDelimitedList"}},
        Mappings={"M": {"k": {"k": "v"}}},
        Conditions={"C": {"Fn::Equals": ["a", "a"]}, **conditions},
        Outputs={"O": {"Value": output, "Export": {"Name": export}}},
    )
