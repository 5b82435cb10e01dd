"""Requests checked against botocore's models in AWS's words, and responses in its formats."""

import json
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

import pytest

from localcloud.aws.errors import AwsError, NotImplementedByCloud, ResourceNotFound, ValidationError
from localcloud.aws.protocol import operation_name, parse, protocol_of, serialise, serialise_error
from localcloud.aws.routing import Request

pytestmark = pytest.mark.botocore_modelled

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ARN = "arn:aws:sagemaker:us-east-1:000000000000:model/x"
CLOUDFORMATION = "{http://cloudformation.amazonaws.com/doc/2010-05-15/}"


def json_request(service: str, operation: str, body: bytes) -> Request:
    headers = {"x-amz-target": f"Any.{operation}", "content-type": "application/x-amz-json-1.1"}
    return Request("POST", "/", "/", "", headers, body, service=service)


def parsed(service: str, operation: str, document: Any) -> dict[str, Any]:
    return parse(json_request(service, operation, json.dumps(document).encode()), operation)


def query(body: str) -> Request:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    return Request("POST", "/", "/", "", headers, body.encode(), service="cloudformation")


def problems_of(service: str, operation: str, document: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        parsed(service, operation, document)
    assert ("ValidationException", 400) == (caught.value.code, caught.value.status)
    return caught.value.message


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (
            {},
            "Value null at 'endpointName' failed to satisfy constraint: Member must not be null",
        ),
        (
            {"EndpointName": None},
            "Value null at 'endpointName' failed to satisfy constraint: Member must not be null",
        ),
        (
            {"EndpointName": "a_b"},
            "Value 'a_b' at 'endpointName' failed to satisfy constraint: Member must satisfy "
            "regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}",
        ),
    ],
)
def test_one_problem_is_reported_in_awss_words(document: Any, expected: str) -> None:
    message = problems_of("sagemaker", "DescribeEndpoint", document)
    assert f"1 validation error detected: {expected}" == message


def test_every_problem_is_reported_at_once() -> None:
    name = "x" * 64
    message = problems_of("sagemaker", "DescribeEndpoint", {"EndpointName": name})
    expected = (
        f"2 validation errors detected: Value '{name}' at 'endpointName' failed to satisfy "
        "constraint: Member must have length less than or equal to 63; "
        f"Value '{name}' at 'endpointName' failed to satisfy constraint: Member must satisfy "
        "regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
    )
    assert expected == message


@pytest.mark.parametrize(
    ("service", "operation", "document", "expected"),
    [
        (
            "sagemaker",
            "AddTags",
            {"ResourceArn": ARN, "Tags": [{"Key": "a", "Value": "b"}, {"Key": "", "Value": "b"}]},
            "Value '' at 'tags.2.member.key' failed to satisfy constraint: "
            "Member must have length greater than or equal to 1",
        ),
        (
            "sagemaker",
            "AddTags",
            {"ResourceArn": ARN, "Tags": [{"Key": "a"}]},
            "Value null at 'tags.1.member.value' failed to satisfy constraint: "
            "Member must not be null",
        ),
        (
            "sagemaker",
            "ListEndpoints",
            {"SortOrder": "Up"},
            "Value 'Up' at 'sortOrder' failed to satisfy constraint: "
            "Member must satisfy enum value set: [Ascending, Descending]",
        ),
        (
            "sagemaker",
            "ListEndpoints",
            {"MaxResults": 0},
            "Value '0' at 'maxResults' failed to satisfy constraint: "
            "Member must have value greater than or equal to 1",
        ),
        (
            "sagemaker",
            "ListEndpoints",
            {"MaxResults": 101},
            "Value '101' at 'maxResults' failed to satisfy constraint: "
            "Member must have value less than or equal to 100",
        ),
        (
            "codepipeline",
            "GetPipelineExecution",
            {"pipelineName": "p", "pipelineExecutionId": "1"},
            "Value '1' at 'pipelineExecutionId' failed to satisfy constraint: Member must satisfy "
            "regular expression pattern: [0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-"
            "[0-9a-f]{12}",
        ),
    ],
)
def test_each_constraint_has_its_text(
    service: str, operation: str, document: Any, expected: str
) -> None:
    message = problems_of(service, operation, document)
    assert f"1 validation error detected: {expected}" == message


def test_a_request_that_fits_comes_through_unchanged() -> None:
    document = {"ResourceArn": ARN, "Tags": [{"Key": "a", "Value": ""}]}
    assert document == parsed("sagemaker", "AddTags", document)


@pytest.mark.parametrize(
    ("operation", "document"),
    [
        ("DescribeEndpoint", {"EndpointName": 5}),
        ("DescribeEndpoint", {"EndpointName": ["a"]}),
        ("DescribeEndpoint", {"EndpointName": {"a": "b"}}),
        ("AddTags", {"ResourceArn": ARN, "Tags": "x"}),
        ("AddTags", {"ResourceArn": ARN, "Tags": {"Key": "a"}}),
        ("AddTags", {"ResourceArn": ARN, "Tags": [{"Key": "a", "Value": 1}]}),
        ("CreateTrainingJob", {"HyperParameters": ["a"]}),
        ("CreateTrainingJob", {"HyperParameters": {"a": 1}}),
        ("ListEndpoints", {"MaxResults": "many"}),
    ],
)
def test_a_member_of_the_wrong_type_is_a_serialization_error(operation: str, document: Any) -> None:
    with pytest.raises(AwsError) as caught:
        parsed("sagemaker", operation, document)
    assert ("SerializationException", 400) == (caught.value.code, caught.value.status)


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"\xff"])
def test_a_body_that_is_no_json_object_is_a_serialization_error(body: bytes) -> None:
    with pytest.raises(AwsError) as caught:
        parse(json_request("sagemaker", "ListEndpoints", body), "ListEndpoints")
    assert "SerializationException" == caught.value.code


def test_an_operation_that_the_model_does_not_have_is_a_501_that_names_it() -> None:
    with pytest.raises(NotImplementedByCloud) as caught:
        parsed("sagemaker", "MakeCoffee", {})
    assert 501 == caught.value.status
    assert "sagemaker:MakeCoffee" in caught.value.message


def test_the_query_protocol_reads_nested_members() -> None:
    request = query(
        "Action=CreateStack&StackName=s&TemplateBody=%7B%7D"
        "&Parameters.member.1.ParameterKey=a&Parameters.member.1.ParameterValue="
        "&Capabilities.member.1=CAPABILITY_IAM"
    )
    assert "CreateStack" == operation_name(request)
    expected = {
        "StackName": "s",
        "TemplateBody": "{}",
        "Parameters": [{"ParameterKey": "a", "ParameterValue": ""}],
        "Capabilities": ["CAPABILITY_IAM"],
    }
    assert expected == parse(request, "CreateStack")


def test_cloudformation_calls_its_validation_error_by_another_code() -> None:
    with pytest.raises(ValidationError) as caught:
        parse(query("Action=CreateStack&TemplateBody=x"), "CreateStack")
    assert "ValidationError" == caught.value.code
    assert "'stackName'" in caught.value.message


@pytest.mark.parametrize(
    ("headers", "query_string", "body", "expected"),
    [
        ({"x-amz-target": "SageMaker.ListModels"}, "", b"", "ListModels"),
        ({"x-amz-target": "CodePipeline_20150709.GetPipeline"}, "", b"", "GetPipeline"),
        ({}, "", b"StackName=s&Action=DescribeStacks", "DescribeStacks"),
        ({}, "Action=ListStacks", b"", "ListStacks"),
        ({}, "", b"", ""),
    ],
)
def test_the_operation_is_named_by_target_or_action(
    headers: dict[str, str], query_string: str, body: bytes, expected: str
) -> None:
    assert expected == operation_name(Request("POST", "/", "/", query_string, headers, body))


def test_json_timestamps_are_epoch_numbers_and_absent_members_stay_absent() -> None:
    result = {"pipeline": {"name": "p", "version": 1}, "metadata": {"created": WHEN}}
    response = serialise("codepipeline", "GetPipeline", result)
    expected = {
        "pipeline": {"name": "p", "version": 1},
        "metadata": {"created": int(WHEN.timestamp())},
    }
    assert (200, expected) == (response.status, json.loads(response.body))


def test_falsy_members_that_were_set_are_kept() -> None:
    result = {"EndpointName": "e", "ProductionVariants": [{"DesiredInstanceCount": 0}]}
    response = serialise("sagemaker", "DescribeEndpoint", result)
    assert result == json.loads(response.body)


def test_query_responses_are_xml_with_iso_timestamps() -> None:
    stack = {"StackName": "a<b", "CreationTime": WHEN, "StackStatus": "CREATE_COMPLETE"}
    response = serialise("cloudformation", "DescribeStacks", {"Stacks": [stack]})
    member = ElementTree.fromstring(response.body).find(f".//{CLOUDFORMATION}member")  # noqa: S314 - our own response
    assert member is not None
    found = {child.tag.removeprefix(CLOUDFORMATION): child.text for child in member}
    assert {**stack, "CreationTime": "2026-01-02T03:04:05Z"} == found


def test_a_json_error_carries_its_code_in_header_and_body() -> None:
    response = serialise_error("sagemaker", ResourceNotFound("There is no endpoint e."))
    document = json.loads(response.body)
    assert 400 == response.status
    assert "ResourceNotFoundException" == response.headers["x-amzn-errortype"]
    assert "ResourceNotFoundException" == document["__type"]
    assert "There is no endpoint e." == document["message"]


@pytest.mark.parametrize(
    ("service", "status", "path", "kind"),
    [
        ("cloudformation", 400, "Error", "Sender"),
        ("cloudformation", 500, "Error", "Receiver"),
        ("s3", 400, ".", None),
    ],
)
def test_an_xml_error_is_escaped(service: str, status: int, path: str, kind: str | None) -> None:
    response = serialise_error(service, AwsError("ValidationError", "a <b> & c", status))
    root = ElementTree.fromstring(response.body)  # noqa: S314 - our own response
    error = root.find(path)
    assert error is not None
    found = (response.status, error.findtext("Type"), error.findtext("Code"))
    assert (status, kind, "ValidationError") == found
    assert "a <b> & c" == error.findtext("Message")
    assert "text/xml" == response.headers["content-type"]


def test_an_unknown_service_still_gets_a_readable_501() -> None:
    response = serialise_error("coffee", NotImplementedByCloud("coffee", "Make"))
    assert 501 == response.status
    assert "coffee:Make" in json.loads(response.body)["message"]


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        ("sagemaker", "json"),
        ("codepipeline", "json"),
        ("application-autoscaling", "json"),
        ("cloudformation", "query"),
        ("s3", "rest-xml"),
        ("lambda", "rest-json"),
    ],
)
def test_a_service_speaks_a_protocol_of_its_model(service: str, expected: str) -> None:
    assert expected == protocol_of(service)
