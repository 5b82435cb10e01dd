"""Rules, exports, the functions that make lists, and where a template is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from localcloud.cloudformation.exports import check_exports, importers, value_of
from localcloud.cloudformation.intrinsics import Renderer
from localcloud.cloudformation.model import Stack
from localcloud.cloudformation.parameter_rules import check_rules
from localcloud.cloudformation.parameters import parameter_values
from localcloud.cloudformation.request_validation import needed_capabilities
from localcloud.cloudformation.template import Template, TemplateError, parse
from localcloud.cloudformation.template_source import place_of

GUIDE = "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide"
NOTHING = {"R": {"Type": "AWS::SNS::Topic"}}


def render(value: Any, **exports: str) -> Any:
    def imported(name: str) -> str:
        return exports[name]

    parameters = {"AWS::Region": "eu-west-1", "Stage": "prd", "Zones": ["a", "b"]}
    return Renderer(Template({"Resources": NOTHING}), parameters, lambda *_: "", imported).render(
        value
    )


@pytest.mark.aws_documented(f"{GUIDE}/intrinsic-function-reference-cidr.html")
@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        (["10.0.0.0/24", 2, 5], ["10.0.0.0/27", "10.0.0.32/27"]),
        (["10.0.0.0/16", "3", "8"], ["10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24"]),
        (["2001:db8::/56", 1, 64], ["2001:db8::/64"]),
    ],
)
def test_cidr_divides_a_block(argument: list[Any], expected: list[str]) -> None:
    assert expected == render({"Fn::Cidr": argument})
    assert expected[0] == render({"Fn::Select": [0, {"Fn::Cidr": argument}]})


@pytest.mark.aws_documented(f"{GUIDE}/intrinsic-function-reference-cidr.html")
@pytest.mark.parametrize(
    "argument", [["10.0.0.0/24", 9, 5], ["10.0.0.0/30", 1, 8], ["10.0.0.0/24", 0, 5], ["x", 1, 1]]
)
def test_cidr_refuses_what_a_block_does_not_hold(argument: list[Any]) -> None:
    with pytest.raises(TemplateError, match="Fn::Cidr"):
        render({"Fn::Cidr": argument})


@pytest.mark.aws_documented(f"{GUIDE}/intrinsic-function-reference-getavailabilityzones.html")
def test_getazs_lists_the_zones_of_a_region_its_own_by_default() -> None:
    assert ["eu-west-1a", "eu-west-1b", "eu-west-1c"] == render({"Fn::GetAZs": ""})
    assert "us-east-1a" == render({"Fn::Select": ["0", {"Fn::GetAZs": "us-east-1"}]})


@pytest.mark.aws_documented(f"{GUIDE}/intrinsic-function-reference-importvalue.html")
def test_importvalue_is_an_exports_value_by_a_name_that_is_made_up() -> None:
    name = {"Fn::ImportValue": {"Fn::Sub": "${Stage}-topic"}}
    assert "arn" == render(name, **{"prd-topic": "arn"})


@pytest.mark.aws_documented(f"{GUIDE}/intrinsic-function-reference.html")
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Fn::Base64": {"Ref": "Stage"}}, "cHJk"),
        ({"Fn::Join": ["-", ["x", {"Ref": "Stage"}, True, 1]]}, "x-prd-true-1"),
        ({"Fn::Join": [",", {"Ref": "Zones"}]}, "a,b"),
        ({"Fn::Select": ["1", {"Fn::Split": ["/", "a/b/c"]}]}, "b"),
        ({"Fn::Sub": "${Stage}-${!Stage}-${AWS::Region}"}, "prd-${Stage}-eu-west-1"),
        ({"Fn::Sub": ["${A}/${Stage}", {"A": {"Ref": "AWS::Region"}}]}, "eu-west-1/prd"),
    ],
)
def test_the_functions_of_text(value: Any, expected: str) -> None:
    assert expected == render(value)


@pytest.mark.emulator_only
def test_what_is_not_evaluated_is_refused_by_name() -> None:
    for function in ("Fn::Transform", "Fn::Length", "Fn::ToJsonString"):
        with pytest.raises(TemplateError, match=function):
            render({function: []})
    with pytest.raises(TemplateError, match="Fn::ForEach"):
        parse('{"Resources": {"Fn::ForEach::Topics": ["T", ["a"], {}]}}')
    with pytest.raises(TemplateError, match="Hooks"):
        parse('{"Hooks": {}, "Resources": {"R": {"Type": "T"}}}')
    with pytest.raises(TemplateError, match="Transform"):
        parse('{"Transform": "AWS::Serverless-2016-10-31", "Resources": {"R": {"Type": "T"}}}')
    kind = "AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>"
    declared = Template({"Parameters": {"Image": {"Type": kind}}, "Resources": NOTHING})
    with pytest.raises(TemplateError, match=kind):
        parameter_values(declared, {"Image": "/a"})


def rules(condition: Any, *assertions: Any) -> Template:
    rule: dict[str, Any] = {
        "Assertions": [
            {"Assert": a, "AssertDescription": f"number {i}"} for i, a in enumerate(assertions)
        ]
    }
    if condition is not None:
        rule["RuleCondition"] = condition
    return Template({"Rules": {"Sizes": rule}, "Resources": NOTHING})


STAGE, ZONES = {"Ref": "Stage"}, {"Ref": "Zones"}


@pytest.mark.aws_documented(f"{GUIDE}/rules-section-structure.html")
@pytest.mark.parametrize(
    ("condition", "assertion", "holds"),
    [
        (None, {"Fn::Contains": [["dev", "prd"], STAGE]}, True),
        (None, {"Fn::Contains": [["dev"], STAGE]}, False),
        ({"Fn::Equals": [STAGE, "dev"]}, {"Fn::Contains": [["dev"], STAGE]}, True),
        (None, {"Fn::EachMemberIn": [ZONES, ["a", "b", "c"]]}, True),
        (None, {"Fn::EachMemberIn": [ZONES, ["a"]]}, False),
        (None, {"Fn::EachMemberEquals": [["prd", "prd"], STAGE]}, True),
        (None, {"Fn::Not": [{"Fn::EachMemberEquals": [ZONES, "a"]}]}, True),
        (None, {"Fn::And": [{"Fn::Equals": [STAGE, "prd"]}, {"Fn::Equals": [1, "1"]}]}, True),
        (None, {"Fn::Or": [{"Fn::Equals": [STAGE, "x"]}, {"Fn::Equals": [1, 2]}]}, False),
    ],
)
def test_a_rule_holds_parameters_against_its_assertions(
    condition: Any, assertion: Any, holds: bool
) -> None:
    template = rules(condition, assertion)
    renderer = Renderer(template, {"Stage": "prd", "Zones": ["a", "b"]}, lambda *_: "")
    if holds:
        check_rules(template, renderer)
    else:
        with pytest.raises(TemplateError, match="Rule Sizes failed: number 0"):
            check_rules(template, renderer)


@pytest.mark.emulator_only
def test_a_rule_about_aws_types_is_refused_by_name() -> None:
    template = rules(None, {"Fn::Contains": [{"Fn::RefAll": "AWS::EC2::VPC::Id"}, "x"]})
    with pytest.raises(TemplateError, match="Fn::RefAll"):
        check_rules(template, Renderer(template, {}, lambda *_: ""))


def stack(name: str, exports: dict[str, str], *imports: str) -> Stack:
    outputs = [{"OutputKey": k, "OutputValue": v, "ExportName": k} for k, v in exports.items()]
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return Stack(
        name, name, "", {}, {}, now, "CREATE_COMPLETE", outputs=outputs, imports=list(imports)
    )


@pytest.mark.aws_documented(f"{GUIDE}/using-cfn-stack-exports.html")
@pytest.mark.parametrize(
    ("outputs", "reason"),
    [
        ({"topic": "1"}, None),
        ({"topic": "1", "other": "2"}, None),
        ({"topic": "2"}, "Export topic cannot be updated as it is in use by user"),
        ({}, "Export topic cannot be deleted as it is in use by user"),
        ({"topic": "1", "taken": "3"}, "already exported by stack user"),
    ],
)
def test_an_export_in_use_stays_as_it_is_and_a_name_is_exported_once(
    outputs: dict[str, str], reason: str | None
) -> None:
    owner, user = stack("owner", {"topic": "1"}), stack("user", {"taken": "x"}, "topic")
    wanted = stack("owner", outputs).outputs
    assert importers([owner, user], "topic") == ["user"]
    assert value_of([owner, user], "topic") == "1"
    if reason is None:
        check_exports(owner, wanted, [owner, user])
    else:
        with pytest.raises(TemplateError, match=reason):
            check_exports(owner, wanted, [owner, user])


@pytest.mark.aws_documented(f"{GUIDE}/control-access-with-iam.html")
@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ({"Type": "AWS::SNS::Topic"}, []),
        ({"Type": "AWS::IAM::Role", "Properties": {"Path": "/"}}, ["CAPABILITY_IAM"]),
        ({"Type": "AWS::IAM::Role", "Properties": {"RoleName": "r"}}, ["CAPABILITY_NAMED_IAM"]),
    ],
)
def test_resources_of_iam_need_a_capability(resource: Any, expected: list[str]) -> None:
    assert expected == needed_capabilities(Template({"Resources": {"R": resource}}))


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html"
)
@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://s3.amazonaws.com/b/k/t.json", ("b", "k/t.json")),
        ("https://s3.eu-west-1.amazonaws.com/b/t.json", ("b", "t.json")),
        ("https://b.s3.amazonaws.com/k/t.json", ("b", "k/t.json")),
        ("https://my.b.s3.eu-west-1.amazonaws.com/t%20.json", ("my.b", "t .json")),
        ("https://b.s3-eu-west-1.amazonaws.com/t.json", ("b", "t.json")),
        ("http://127.0.0.1:4566/b/t.json", ("b", "t.json")),
        ("ftp://s3.amazonaws.com/b/t.json", None),
        ("https://s3.amazonaws.com/b", None),
        ("nonsense", None),
    ],
)
def test_a_template_url_names_a_bucket_and_a_key(
    url: str, expected: tuple[str, str] | None
) -> None:
    assert expected == place_of(url)
