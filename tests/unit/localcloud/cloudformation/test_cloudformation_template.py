"""Templates: parsing, parameters, conditions, intrinsic functions, order."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localcloud.cloudformation.evaluation import outputs_of
from localcloud.cloudformation.intrinsics import Renderer
from localcloud.cloudformation.parameter_rules import check_rules
from localcloud.cloudformation.parameters import parameter_values, typed
from localcloud.cloudformation.template import (
    Template,
    TemplateError,
    creation_order,
    parse,
    references,
)
from tests.examples import examples

pytestmark = pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/"
    "intrinsic-function-reference.html"
)

BUCKET = {"Type": "AWS::S3::Bucket"}


def template(**sections: Any) -> Template:
    return parse(json.dumps({"Resources": {"Bucket": BUCKET}, **sections}))


def lookup(logical_id: str, attribute: str | None) -> Any:
    return f"{logical_id.lower()}-{attribute or 'id'}"


def render(value: Any, parameters: dict[str, Any] | None = None, **sections: Any) -> Any:
    return Renderer(template(**sections), parameters or {}, lookup).render(value)


def rendered_yaml(text: str) -> Any:
    body = f"Resources:\n  Bucket:\n    Type: AWS::S3::Bucket\n    Properties:\n      P: {text}\n"
    parsed = parse(body)
    value = parsed.resources["Bucket"]["Properties"]["P"]
    return Renderer(parsed, {"Name": "n", "AWS::Region": "eu-west-1"}, lookup).render(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("!Ref Bucket", "bucket-id"),
        ("!GetAtt Bucket.Arn", "bucket-Arn"),
        ("!GetAtt Bucket.Outputs.Url", "bucket-Outputs.Url"),
        ("!GetAtt [Bucket, Arn]", "bucket-Arn"),
        ("!Sub '${Name}-${AWS::Region}'", "n-eu-west-1"),
        ("!Sub ['${Name}-${X}', {X: !Ref Bucket}]", "n-bucket-id"),
        ("!Join ['-', [a, !Ref Name]]", "a-n"),
        ("!Select [1, !Split [',', 'a,b,c']]", "b"),
        ("!Base64 hello", "aGVsbG8="),
        ("2010-09-09", "2010-09-09"),
    ],
)
def test_yamls_short_forms_mean_the_functions(text: str, expected: Any) -> None:
    assert expected == rendered_yaml(text)


def test_json_and_yaml_give_the_same_template() -> None:
    body = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Conditions": {"C": {"Fn::Equals": ["a", {"Ref": "AWS::Region"}]}},
        "Resources": {"B": {"Type": "T", "Condition": "C", "Properties": {"N": 1, "L": [True]}}},
    }
    text = """
AWSTemplateFormatVersion: 2010-09-09
Conditions:
  C: !Equals [a, !Ref "AWS::Region"]
Resources:
  B:
    Type: T
    Condition: C
    Properties: {N: 1, L: [true]}
"""
    assert parse(json.dumps(body)) == parse(text)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Ref": "Name"}, "n"),
        ({"Ref": "Bucket"}, "bucket-id"),
        ({"Fn::GetAtt": ["Bucket", "Arn"]}, "bucket-Arn"),
        ({"Fn::GetAtt": "Bucket.Arn"}, "bucket-Arn"),
        ({"Fn::Join": ["", ["a", True, 1, {"Ref": "AWS::NoValue"}]]}, "atrue1"),
        ({"Fn::Sub": "${!Name} ${Name} ${Bucket.Arn} ${Flag}"}, "${Name} n bucket-Arn true"),
        ({"Fn::Select": ["0", ["a", "b"]]}, "a"),
        ({"Fn::Select": [0, {"Ref": "List"}]}, "x"),
        ({"Fn::Split": ["|", {"Fn::Join": ["|", ["a", "b"]]}]}, ["a", "b"]),
        ({"Fn::If": ["Yes", 1, 2]}, 1),
        ({"Fn::If": ["No", 1, 2]}, 2),
        ({"Fn::FindInMap": ["Size", {"Ref": "Name"}, "Count"]}, 3),
        ({"Fn::Base64": {"Ref": "Name"}}, "bg=="),
        ({"A": {"Ref": "AWS::NoValue"}, "B": [{"Ref": "AWS::NoValue"}, 1]}, {"B": [1]}),
        ({"A": {"Fn::If": ["No", 1, {"Ref": "AWS::NoValue"}]}}, {}),
        ({"Ref": "AWS::NoValue"}, None),
        ({"Ref": "Name", "Other": 1}, {"Ref": "Name", "Other": 1}),
    ],
)
def test_each_function_has_its_value(value: Any, expected: Any) -> None:
    parameters = {"Name": "n", "List": ["x", "y"], "Flag": True}
    sections = {
        "Conditions": {"Yes": {"Fn::Equals": [1, 1]}, "No": {"Fn::Not": [{"Condition": "Yes"}]}},
        "Mappings": {"Size": {"n": {"Count": 3}}},
    }
    assert expected == render(value, parameters, **sections)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"Fn::Equals": [{"Ref": "Env"}, "prd"]}, True),
        ({"Fn::Equals": [{"Ref": "Flag"}, True]}, True),
        ({"Fn::Equals": ["1", 1]}, True),
        ({"Fn::And": [{"Condition": "T"}, {"Condition": "F"}]}, False),
        ({"Fn::Or": [{"Condition": "T"}, {"Condition": "F"}]}, True),
        ({"Fn::Not": [{"Condition": "F"}]}, True),
    ],
)
def test_conditions_are_evaluated(condition: Any, expected: bool) -> None:
    conditions = {
        "T": {"Fn::Equals": ["a", "a"]},
        "F": {"Fn::Equals": ["a", "b"]},
        "C": condition,
    }
    resources = {"Bucket": BUCKET, "Maybe": {**BUCKET, "Condition": "C"}}
    parsed = template(Conditions=conditions, Resources=resources)
    renderer = Renderer(parsed, {"Env": "prd", "Flag": "true"}, lookup)
    assert expected is renderer.condition("C")
    assert expected is renderer.included("Maybe")
    assert renderer.included("Bucket")


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ({"Ref": "Nope"}, "Nope"),
        ({"Fn::GetAtt": ["Nope", "Arn"]}, "Nope"),
        ({"Fn::Sub": "${Nope}"}, "Nope"),
        ({"Fn::If": ["Nope", 1, 2]}, "Nope"),
        ({"Fn::FindInMap": ["A", "B", "C"]}, "A::B::C"),
        ({"Fn::ImportValue": "x"}, "No export named x"),
        ({"Fn::Cidr": []}, "Fn::Cidr"),
        ({"Fn::Equals": ["a"]}, "Fn::Equals"),
        ({"Fn::Select": [5, ["a"]]}, "Fn::Select"),
        ({"Fn::Join": "x"}, "Fn::Join"),
        ({"Fn::Join": ["-", 5]}, "Fn::Join"),
        ({"Fn::Sub": ["${A}"]}, "Fn::Sub"),
        ({"Fn::GetAtt": "Bucket"}, "Fn::GetAtt"),
        ({"Fn::Not": []}, "Fn::Not"),
        ({"Fn::If": ["Round", 1, 2]}, "Round"),
    ],
)
def test_a_bad_function_is_a_template_error_that_names_it(value: Any, names: str) -> None:
    conditions = {"Round": {"Fn::Not": [{"Condition": "Round"}]}}
    with pytest.raises(TemplateError, match=names):
        render({"Nested": [value]}, Conditions=conditions)


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ("{", "Template format error"),
        ("a: [", "Template format error"),
        ("just text", "unsupported structure"),
        ("", "unsupported structure"),
        ("{}", "At least one Resources member"),
        ('{"Resources": {}}', "At least one Resources member"),
        (
            '{"Resources": {"A": {}}}',
            r"\[/Resources/A\] Every Resources object must contain a Type",
        ),
        ('{"Resources": {"A": {"Type": "T"}}, "Transform": "X"}', "Transform"),
    ],
)
def test_what_is_no_template_is_refused(body: str, names: str) -> None:
    with pytest.raises(TemplateError, match=names):
        parse(body)


ONE = "Resources: {A: {Type: AWS::Logs::LogGroup}}\n"
ALIASES = "a0: &a0 [x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
)


@pytest.mark.parametrize(
    "body",
    [
        ONE + ALIASES,
        ONE + "Metadata: &m {a: *m}",
        ONE + "Metadata: {a: &a {b: c}, d: *a}",
        "Resources: {A: &a {Type: AWS::Logs::LogGroup, Metadata: *a}}",
    ],
)
def test_aliases_are_refused_in_aws_words(body: str) -> None:
    with pytest.raises(TemplateError) as caught:
        parse(body)
    assert str(caught.value) == (
        "Template error: YAML aliases are not allowed in CloudFormation templates"
    )


@pytest.mark.parametrize(
    "body",
    [
        "[" * 20_000,
        "- " * 20_000,
        "{a: " * 20_000,
        '{"a":' * 20_000,
        '{"Resources":' + "[" * 20_000,
        ONE + "Metadata: {a: " + "[" * 150 + "]" * 150 + "}",
        '{"Resources": {"A": {"Type": "T", "Properties": {"a": ' + "[" * 150 + "]" * 150 + "}}}}",
        ONE + "1: {}",
        ONE + "Parameters: [1]",
        ONE + "Parameters: {P: {Default: x}}",
        ONE + "Parameters: {P: {Type: Text}}",
        ONE + "Parameters: {'P-1': {Type: String}}",
        ONE + "Parameters: {P: {Type: String, Default: '{{resolve:ssm:/a}}'}}",
        ONE + "Outputs: {'O-1': {Value: x}}",
        ONE + "Outputs: {O: {Value: x, Export: {Name: 'a b'}}}",
        ONE + "Outputs: {O: {Value: x, Values: y}}",
        ONE + "Mappings: {M: {A: b}}",
        ONE + "Mappings: {M: {A: {b-c: d}}}",
        ONE + "Mappings: {M: {A: {b: {c: d}}}}",
        ONE + "AWSTemplateFormatVersion: 2010-09-10",
        ONE + "Description: [x]",
        ONE + "Description: " + "x" * 1025,
        "Resources: text",
        "Resources: {A-1: {Type: AWS::Logs::LogGroup}}",
        "Resources: {A: text}",
        ONE + "Parameters: {1: {Type: String}}",
        ONE + "Parameters: {P: String}",
        ONE + "Parameters: {P: {Type: String, AllowedValues: x}}",
        ONE + "Parameters: {P: {Type: String, Default: [x]}}",
        ONE + "Parameters: {P: {Type: Number, MinValue: low}}",
        ONE + "Outputs: {O: text}",
        ONE + "Outputs: {O: {Description: x}}",
        ONE + "Outputs: {O: {Value: x, Export: y}}",
        ONE + "Conditions: text",
        ONE + "Mappings: [x]",
        ONE + "? [a]\n: b",
        ONE + "Metadata: {? {a: b} : c}",
        ONE + "Metadata: {a: .inf}",
        ONE + "Metadata: {a: 0x" + "f" * 20_000 + "}",
        ONE + "Metadata: {a: !!binary aGk=}",
        ONE + "Metadata: {a: !!set {b}}",
        ONE + "Metadata: {a: !!omap [b: c]}",
        ONE + "Metadata: {a: !!python/object:os.system x}",
        '{"Resources": {"A": {"Type": "T"}}, "Metadata": {"a": NaN}}',
        '{"Resources": {"A": {"Type": "T"}}, "Metadata": {"a": Infinity}}',
        '{"Resources": {"A": {"Type": "T"}}, "Description": "\\ud800"}',
        '{"Resources": {"A": {"Type": "T"}}, "Metadata": {"\\udfff": 1}}',
        "Resources: {1: {Type: AWS::Logs::LogGroup}}",
        "Resources: {A: {Type: 1}}",
        "Resources: {A: {Type: T, Properties: text}}",
        "Resources: {A: {Type: T, DependsOn: {B: 1}}}",
        "Resources: {A: {Type: T, DependsOn: [[B]]}}",
        "Resources: {A: {Type: T, Condition: [x]}}",
        "Resources: {A: {Type: T, DeletionPolicy: [Retain]}}",
        "Resources: {A: {Type: T, DeletionPolicy: {}}}",
    ],
)
def test_a_malformed_template_is_a_template_error(body: str) -> None:
    with pytest.raises(TemplateError, match=r"^Template (format )?error: "):
        creation_order(parse(body))


@pytest.mark.parametrize(
    ("section", "most"),
    [("Parameters", 200), ("Mappings", 200), ("Resources", 500), ("Outputs", 200)],
)
def test_a_section_has_a_largest_number_of_entries(section: str, most: int) -> None:
    minimal: dict[str, dict[str, Any]] = {
        "Parameters": {"Type": "String"},
        "Mappings": {"A": {"b": "c"}},
        "Resources": {"Type": "AWS::Logs::LogGroup"},
        "Outputs": {"Value": "x"},
    }
    entry = minimal[section]
    entries = {f"A{number}": entry for number in range(most)}
    document: dict[str, Any] = {"Resources": {"A": BUCKET}} | {section: entries}
    parse(json.dumps(document))
    entries["B"] = entry
    message = f"Number of {section.lower()}, {most + 1}, is greater than maximum allowed, {most}"
    with pytest.raises(TemplateError, match=message):
        parse(json.dumps(document))


def test_a_key_that_is_a_number_becomes_a_string_as_in_json() -> None:
    parsed = parse(ONE + "Mappings: {M: {123: {15: x, true: y}}}")
    assert parsed.document["Mappings"] == {"M": {"123": {"15": "x", "true": "y"}}}


WORDS = [
    *("Type", "Value", "Ref", "Condition", "Default", "AllowedValues", "Assertions", "Assert"),
    *("Export", "a", "Fn::Sub", "Fn::GetAtt", "Fn::If", "Fn::Equals", "Fn::And"),
]
PARTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text("aB$ {}:.\ud800", max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "Type",
                    "Value",
                    "Ref",
                    "Condition",
                    "Default",
                    "AllowedValues",
                    "Assertions",
                    "Assert",
                    "Export",
                    "a",
                    "Fn::Sub",
                    "Fn::GetAtt",
                    "Fn::If",
                    "Fn::Equals",
                    "Fn::And",
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@settings(max_examples=examples(300))
@given(
    st.dictionaries(
        st.sampled_from(["Parameters", "Conditions", "Rules", "Mappings", "Outputs", "Metadata"]),
        PARTS | st.dictionaries(st.sampled_from("AB"), PARTS, max_size=2),
        max_size=3,
    ),
    st.dictionaries(st.sampled_from(["Properties", "DependsOn", "Condition", "Type"]), PARTS),
)
def test_any_document_is_a_template_or_a_template_error(
    sections: dict[str, Any], resource: dict[str, Any]
) -> None:
    document = sections | {"Resources": {"A": {"Type": "T"} | resource, "B": {"Type": "T"}}}
    with contextlib.suppress(TemplateError):
        parsed = parse(json.dumps(document))
        creation_order(parsed)
        values = parameter_values(parsed, {})
        renderer = Renderer(parsed, dict(values), lookup)
        check_rules(parsed, renderer)
        for name in parsed.resources:
            renderer.included(name)
            renderer.render(parsed.resources[name].get("Properties", {}))
        outputs_of(parsed, renderer)


def test_a_chain_of_conditions_is_evaluated_once_each() -> None:
    chain = {
        f"C{n}": {"Fn::And": [{"Condition": f"C{n - 1}"}, {"Condition": f"C{n - 1}"}]}
        for n in range(1, 60)
    }
    conditions = {"C0": {"Fn::Equals": ["a", "a"]}} | chain
    assert render({"Fn::If": ["C59", "yes", "no"]}, Conditions=conditions) == "yes"


def test_functions_that_multiply_a_text_are_refused() -> None:
    nested: Any = "x" * 10
    for _ in range(12):
        nested = {"Fn::Sub": ["${a}" * 10, {"a": nested}]}
    with pytest.raises(TemplateError, match="the functions yield over 20000000 characters"):
        render(nested)
    with pytest.raises(TemplateError, match="the functions yield over 20000000 characters"):
        render({"Fn::Join": ["x" * 25_000, [""] * 8_000]})


@pytest.mark.parametrize("pattern", ["(", "(a|a)*c"])
def test_a_pattern_that_cannot_be_matched_is_refused(pattern: str) -> None:
    declared = {"P": {"Type": "String", "AllowedPattern": pattern}}
    with pytest.raises(TemplateError, match="Parameter 'P' has an invalid AllowedPattern"):
        parameter_values(template(Parameters=declared), {"P": "a" * 100 + "dc"})


def test_parameters_come_from_the_caller_or_their_default() -> None:
    declared = {
        "Given": {"Type": "String"},
        "Count": {"Type": "Number", "Default": 2, "MinValue": 1, "MaxValue": 4},
        "Flag": {"Type": "String", "Default": True, "AllowedValues": [True, False]},
    }
    values = parameter_values(template(Parameters=declared), {"Given": "g"})
    assert {"Given": "g", "Count": "2", "Flag": "true"} == values


@pytest.mark.parametrize(
    ("declared", "given_", "message"),
    [
        ({}, {"X": "1"}, r"Parameters: \[X\] do not exist in the template"),
        ({"P": {}, "Q": {}}, {}, r"Parameters: \[P, Q\] must have values"),
        ({"P": {"AllowedValues": ["a", "b"]}}, {"P": "x"}, "'P' must be one of AllowedValues$"),
        ({"P": {"AllowedPattern": "[a-z]+"}}, {"P": "a1"}, r"must match pattern \[a-z\]\+$"),
        (
            {"P": {"AllowedPattern": "[a-z]+", "ConstraintDescription": "must be small."}},
            {"P": "A"},
            r"Parameter P failed to satisfy constraint: must be small\.$",
        ),
        ({"P": {"MinLength": 2}}, {"P": "a"}, "at least 2 characters$"),
        ({"P": {"MaxLength": 2}}, {"P": "abc"}, "at most 2 characters$"),
        (
            {"P": {"Type": "CommaDelimitedList", "AllowedValues": ["a", "b"]}},
            {"P": "a, c"},
            "one of AllowedValues",
        ),
        (
            {"P": {"Type": "CommaDelimitedList", "AllowedPattern": "[ab]"}},
            {"P": "a, c"},
            "must match pattern",
        ),
        ({"P": {"Type": "List<Number>"}}, {"P": "1, two"}, "must be a number"),
        ({"P": {"Type": "Number"}}, {"P": "two"}, "must be a number"),
        ({"P": {"Type": "Number"}}, {"P": "nan"}, "must be a number"),
        ({"P": {"Type": "Number"}}, {"P": "1_0"}, "must be a number"),
        ({"P": {"Type": "AWS::EC2::VPC::Id"}}, {"P": "v"}, "not support the type AWS::EC2::VPC"),
        (
            {"P": {"Type": "AWS::SSM::Parameter::Value<String>"}},
            {},
            "Parameter P should either have input value or default value",
        ),
        ({"P": {"Type": "Number", "MinValue": 1}}, {"P": "0"}, "not less than 1"),
        ({"P": {"Type": "Number", "MaxValue": 1}}, {"P": "2"}, "not greater than 1"),
    ],
)
def test_a_parameter_that_does_not_fit_is_refused_by_name(
    declared: dict[str, Any], given_: dict[str, str], message: str
) -> None:
    typed_ = {name: {"Type": "String", **entry} for name, entry in declared.items()}
    with pytest.raises(TemplateError, match=message):
        parameter_values(template(Parameters=typed_), given_)


def test_the_members_of_a_list_have_no_blanks_around_them() -> None:
    declared = {
        "Names": {"Type": "CommaDelimitedList", "Default": "a, b ,c", "AllowedValues": list("abc")},
        "Sizes": {"Type": "List<Number>", "Default": "1, 2"},
    }
    parsed = template(Parameters=declared)
    assert {"Names": ["a", "b", "c"], "Sizes": ["1", "2"]} == typed(
        parsed, parameter_values(parsed, {})
    )


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ('{"this is no JSON"}', "JSON not well-formed. (line 1, column 20)"),
        ("{", "JSON not well-formed. (line 1, column 2)"),
        ('{"a": 1,\n "b" 2}', "JSON not well-formed. (line 2, column 7)"),
        ("a: [", "YAML not well-formed. (line 1, column 5)"),
        ("a: b: c", "YAML not well-formed. (line 1, column 5)"),
        ("a:\n\tb: c", "YAML not well-formed. (line 2, column 1)"),
        ("a: !!python/object:os.system x", "YAML not well-formed. (line 1, column 4)"),
    ],
)
def test_a_text_that_is_no_json_or_yaml_is_refused_with_its_place(body: str, text: str) -> None:
    with pytest.raises(TemplateError) as caught:
        parse(body)
    assert str(caught.value) == f"Template format error: {text}"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (ONE + "Parameters:", "/Parameters"),
        (ONE + "Outputs: {O: {Value: }}", "/Outputs/O/Value"),
        (ONE + "Mappings: {M: {A: {b: }}}", "/Mappings/M/A/b"),
        ("Resources: {A: {Type: T, Properties: }}", "/Resources/A/Properties"),
        ("Resources: {A: {Type: T, DependsOn: [B, null]}}", "/Resources/A/DependsOn/1"),
        ("Resources: {A: {Type: T, Properties: {B: {C: ~}}}}", "/Resources/A/Properties/B/C"),
    ],
)
def test_a_null_is_refused_with_its_place(body: str, path: str) -> None:
    with pytest.raises(TemplateError) as caught:
        parse(body)
    assert str(caught.value) == f"[{path}] 'null' values are not allowed in templates"


def test_references_are_found_wherever_they_stand() -> None:
    value = {
        "A": [{"Ref": "One"}, {"Fn::GetAtt": ["Two", "Arn"]}, {"Fn::GetAtt": "Three.Arn"}],
        "B": {"Fn::Sub": "${Four} ${Five.Arn} ${!Literal}"},
        "C": {"Fn::Sub": ["${Own} ${Six}", {"Own": {"Ref": "Seven"}}]},
        "D": {"Fn::If": ["Condition", {"Ref": "Eight"}, {"Ref": "AWS::NoValue"}]},
    }
    expected = {"One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "AWS::NoValue"}
    assert expected == references(value)


def test_an_unknown_dependency_is_refused() -> None:
    resources = {"A": {"Type": "T", "DependsOn": ["B", "C"]}, "C": {"Type": "T"}}
    with pytest.raises(TemplateError, match=r"Unresolved resource dependencies \[B\]"):
        creation_order(template(Resources=resources))


def _link(name: str, kind: int) -> dict[str, Any]:
    links: list[dict[str, Any]] = [
        {"Ref": name},
        {"Fn::GetAtt": [name, "Arn"]},
        {"Fn::Sub": f"x-${{{name}}}"},
        {"Fn::If": ["C", {"Ref": name}, 1]},
    ]
    return links[kind]


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, Any]:
    """Resources in any order, each of which needs some of those with a smaller number."""
    size = draw(st.integers(1, 9))
    resources: dict[str, Any] = {}
    for index in range(size):
        needs = draw(st.sets(st.integers(0, index - 1))) if index else set()
        resource: dict[str, Any] = {"Type": "T", "Properties": {}}
        for need in sorted(needs):
            kind = draw(st.integers(0, 4))
            if kind == 4:
                resource.setdefault("DependsOn", []).append(f"R{need}")
            else:
                resource["Properties"][f"P{need}"] = _link(f"R{need}", kind)
        resource["Metadata"] = [f"R{need}" for need in sorted(needs)]
        resources[f"R{index}"] = resource
    order = draw(st.permutations(sorted(resources)))
    return {name: resources[name] for name in order}


@settings(max_examples=examples(100))
@given(graphs())
def test_each_resource_comes_after_all_it_needs(resources: dict[str, Any]) -> None:
    order = creation_order(template(Resources=resources))
    assert sorted(resources) == sorted(order)
    for name, resource in resources.items():
        assert all(order.index(need) < order.index(name) for need in resource["Metadata"])


@given(graphs(), st.data())
def test_a_circle_is_refused(resources: dict[str, Any], data: st.DataObject) -> None:
    chain = data.draw(st.lists(st.sampled_from(sorted(resources)), unique=True, min_size=1))
    for name, need in zip(chain, chain[1:] + chain[:1], strict=True):
        resources[name]["Properties"]["Circle"] = {"Ref": need}
    with pytest.raises(TemplateError, match="Circular dependency between resources"):
        creation_order(template(Resources=resources))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=6).filter(lambda key: key != "Ref" and not key.startswith("Fn::")),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=examples(100))
@given(json_values)
def test_a_value_without_functions_renders_to_itself(value: Any) -> None:
    assert value == render(value)
    assert set() == references(value)
