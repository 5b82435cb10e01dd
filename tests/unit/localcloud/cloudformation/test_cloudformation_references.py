"""Names in a template that lead nowhere, refused in AWS's words before anything is created."""

from __future__ import annotations

import json
from typing import Any

import pytest

from localcloud.aws.errors import AwsError
from localcloud.aws.routing import Scope
from localcloud.cloudformation.evaluation import pseudo_parameters
from localcloud.cloudformation.parameters import typed
from localcloud.cloudformation.request_validation import parsed
from localcloud.cloudformation.template import TemplateError
from localcloud.cloudformation.template_checks import check_values

pytestmark = pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/troubleshooting.html"
)
TOPIC = {"Type": "AWS::SNS::Topic"}
BLOCK = (
    "Template format error: Unresolved resource dependencies [{}] in the {} block of the template"
)


def problem(**sections: Any) -> str:
    """Return the error of a template, or an empty text if there is none."""
    body = json.dumps({"Resources": {"A": TOPIC}, **sections})
    id_ = Scope().arn("cloudformation", "stack/s/00000000-0000-0000-0000-000000000000")
    try:
        template, parameters = parsed(body, None, {})
        check_values(template, pseudo_parameters(id_, "s", []) | typed(template, parameters))
    except AwsError as error:
        return error.message
    except TemplateError as error:
        return str(error)
    return ""


def topic(name: Any, **more: Any) -> dict[str, Any]:
    return {"A": {**TOPIC, "Properties": {"TopicName": name}, **more}}


@pytest.mark.parametrize(
    "name",
    [
        {"Ref": "X"},
        {"Fn::GetAtt": ["X", "Arn"]},
        {"Fn::GetAtt": "X.Arn"},
        {"Fn::Sub": "${X}-${AWS::Region}-${!Literal}"},
        {"Fn::Join": ["", ["a", {"Fn::Sub": ["${own}${X.Arn}", {"own": "b"}]}]]},
    ],
)
def test_a_name_that_leads_nowhere_is_refused(name: Any) -> None:
    assert problem(Resources=topic(name)) == BLOCK.format("X", "Resources")
    assert problem(Outputs={"O": {"Value": name}}) == BLOCK.format("X", "Outputs")


def test_a_dependency_that_leads_nowhere_is_refused() -> None:
    assert problem(Resources=topic("t", DependsOn=["X", "Y"])) == BLOCK.format("X, Y", "Resources")


def test_names_that_lead_somewhere_are_taken() -> None:
    parameters = {"P": {"Type": "String", "Default": "p"}}
    resources = topic({"Fn::Sub": "${P}-${AWS::StackName}"}) | {"B": {**TOPIC, "DependsOn": "A"}}
    outputs = {"O": {"Value": {"Fn::GetAtt": ["A", "TopicName"]}}}
    assert problem(Parameters=parameters, Resources=resources, Outputs=outputs) == ""


def test_metadata_may_have_any_names() -> None:
    assert problem(Resources=topic("t", Metadata={"Ref": "X"})) == ""


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"Resource": {}}, "Invalid template property or properties [Resource]"),
        ({"Resources": topic("t", Propertys={})}, "Invalid template resource property 'Propertys'"),
        (
            {"Resources": topic("t", Condition="No")},
            "Template format error: Unresolved condition dependency No in the Resources block of "
            "the template",
        ),
        (
            {"Outputs": {"O": {"Value": {"Fn::If": ["No", "a", "b"]}}}},
            "Template format error: Unresolved condition dependency No in the Outputs block of the "
            "template",
        ),
        (
            {"Conditions": {"C": {"Fn::Equals": [{"Ref": "A"}, "a"]}}},
            "Template format error: Unresolved dependencies [A]. Cannot reference resources in the "
            "Conditions block of the template",
        ),
        (
            {"Resources": topic({"Fn::FindInMap": ["M", "a", "b"]})},
            "Template validation error: Template error: Mapping named 'M' is not present in the "
            "'Mappings' section of template.",
        ),
    ],
)
def test_what_a_template_does_not_have_is_refused(sections: dict[str, Any], message: str) -> None:
    assert problem(**sections) == message


CONDITIONS = {"Yes": {"Fn::Equals": ["a", "a"]}, "No": {"Fn::Equals": ["a", "b"]}}


@pytest.mark.parametrize(
    ("resources", "outputs", "message"),
    [
        ({"B": {**TOPIC, "Properties": {"TopicName": {"Ref": "A"}}}}, {}, "Resources"),
        ({}, {"O": {"Value": {"Ref": "A"}}}, "Outputs"),
        ({}, {"O": {"Value": {"Ref": "A"}, "Condition": "No"}}, ""),
        ({}, {"O": {"Value": {"Fn::If": ["No", {"Ref": "A"}, "b"]}}}, ""),
        ({}, {"O": {"Value": {"Fn::If": ["Yes", {"Ref": "A"}, "b"]}}}, "Outputs"),
        (
            {"B": {**TOPIC, "Condition": "No", "Properties": {"TopicName": {"Ref": "A"}}}},
            {},
            "",
        ),
    ],
)
def test_a_resource_that_a_condition_leaves_out_cannot_be_used(
    resources: dict[str, Any], outputs: dict[str, Any], message: str
) -> None:
    found = problem(
        Conditions=CONDITIONS,
        Resources={"A": {**TOPIC, "Condition": "No"}, "Kept": TOPIC, **resources},
        Outputs=outputs,
    )
    assert found == (BLOCK.format("A", message) if message else "")


def test_a_condition_on_the_stack_is_left_to_its_creation() -> None:
    conditions = {"No": {"Fn::Equals": [{"Ref": "AWS::StackName"}, "x"]}}
    resources = {"A": {**TOPIC, "Condition": "No"}, "Kept": TOPIC}
    assert problem(Conditions=conditions, Resources=resources) == ""
