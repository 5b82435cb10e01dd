"""Requests that are refused before anything parses them."""

from __future__ import annotations

import pytest

from localcloud.aws.errors import AwsError
from localcloud.aws.request_limits import LIMITS, check, is_region
from localcloud.aws.routing import Request, route

pytestmark = pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html"
)

CREDENTIAL = "AWS4-HMAC-SHA256 Credential=000000000000/20260101/{}/{}/aws4_request, Signature=0"


def request(
    service: str,
    body: bytes = b"",
    *,
    method: str = "POST",
    path: str = "/",
    query: str = "",
    region: str = "us-east-1",
    **headers: str,
) -> Request:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    if service:
        given["authorization"] = CREDENTIAL.format(region, service)
    made = Request(method, path, path, query, given, body)
    route(made)
    return made


def code_of(made: Request) -> str:
    """Return the code of the error, or an empty string."""
    try:
        check(made)
    except AwsError as error:
        return error.code
    return ""


@pytest.mark.parametrize("service", sorted(LIMITS))
def test_a_body_of_the_longest_size_is_read_and_a_longer_one_is_not(service: str) -> None:
    longest = b"x" * LIMITS[service]
    assert code_of(request(service, longest)) == ""
    assert code_of(request(service, longest + b"x")) == "RequestEntityTooLarge"


def test_a_template_of_over_51200_bytes_is_refused_in_aws_words() -> None:
    body = b"Action=ValidateTemplate&TemplateBody=" + b"%7B" * 51_201 + b"&Version=2010-05-15"
    with pytest.raises(AwsError) as caught:
        check(request("cloudformation", body))
    assert caught.value.code == "ValidationError"
    assert "Member must have length less than or equal to 51200" in caught.value.message


@pytest.mark.parametrize(
    ("path", "size", "code"),
    [
        ("/2015-03-31/functions/f/invocations", 6_291_456, ""),
        ("/2015-03-31/functions/f/invocations", 6_291_457, "RequestTooLargeException"),
        ("/2015-03-31/functions", 6_291_457, ""),
        ("/2015-03-31/functions", 70_167_212, "RequestEntityTooLargeException"),
        ("/2015-03-31/functions/f/code", 70_167_212, "RequestEntityTooLargeException"),
    ],
)
def test_lambda_has_its_documented_limits(path: str, size: int, code: str) -> None:
    assert code_of(request("lambda", bytes(size), path=path)) == code


def test_a_form_of_very_many_fields_is_refused() -> None:
    assert (
        code_of(request("iam", b"Action=ListRoles" + b"&a=1" * 200_000)) == "MalformedQueryString"
    )


def test_a_document_of_very_many_lists_is_refused() -> None:
    target = {"x_amz_target": "SageMaker.AddTags"}
    assert code_of(request("sagemaker", b"[" * 200_001, **target)) == "SerializationException"
    assert code_of(request("sagemaker", b"{" * 200_000, **target)) == ""
    assert code_of(request("logs", b"{" * 200_001, x_amz_target="Logs_20140328.X")) == ""


TAGGING = b"<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (TAGGING, ""),
        (b"", "MissingRequestBodyError"),
        (b"<Tagging>" + b"<a>" * 100_000, "MaxMessageLengthExceeded"),
        (b"<Tagging>" + b"<a>" * 50 + b"</a>" * 50 + b"</Tagging>", "MalformedXML"),
        (b"<Tagging>" + b"<a>" * 40_000, "MalformedXML"),
        (b"<Tagging>", "MalformedXML"),
        (b"not xml", "MalformedXML"),
        (b"\xff\xfe", "MalformedXML"),
        (
            b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><Tagging>&b;</Tagging>',
            "MalformedXML",
        ),
    ],
)
@pytest.mark.parametrize("path", ["/bucket", "/bucket/key"])
def test_a_document_of_s3_is_checked_before_it_is_parsed(path: str, body: bytes, code: str) -> None:
    assert code_of(request("s3", body, method="PUT", path=path, query="tagging")) == code
    assert code_of(request("s3", body, method="PUT", path=path, query="tagging=")) == code


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("/bucket/key", "", "MethodNotAllowed"),
        ("/bucket/key", "tagging", "MethodNotAllowed"),
        ("/bucket", "", "MethodNotAllowed"),
        ("/", "", "MethodNotAllowed"),
        ("/endpoints/iris/other", "", "MethodNotAllowed"),
        ("/bucket/key", "uploads", ""),
        ("/endpoints/iris/invocations", "", ""),
    ],
)
def test_a_post_that_s3_does_not_have_is_refused(path: str, query: str, code: str) -> None:
    assert code_of(request("s3", b"x", path=path, query=query)) == code


def test_an_object_may_have_any_content() -> None:
    content = b"<a>" * 200_000
    assert code_of(request("s3", content, method="PUT", path="/bucket/key")) == ""
    part = {"method": "PUT", "path": "/bucket/key", "query": "partNumber=1&uploadId=x"}
    assert code_of(request("s3", content, **part)) == ""
    complete = {"path": "/bucket/key", "query": "uploadId=x"}
    assert code_of(request("s3", content, **complete)) == "MalformedXML"


def test_a_bucket_policy_has_at_most_20_kb() -> None:
    made = request("s3", b" " * 20_481, method="PUT", path="/bucket", query="policy")
    assert code_of(made) == "MalformedPolicy"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"Statement": []}', ""),
        (b"", "MalformedPolicy"),
        (b"fuzz", "MalformedPolicy"),
        (b"[]", "MalformedPolicy"),
        (b"[" * 10_000, "MalformedPolicy"),
        (b"\xff", "MalformedPolicy"),
    ],
)
def test_a_bucket_policy_is_json(body: bytes, code: str) -> None:
    assert code_of(request("s3", body, method="PUT", path="/bucket", query="policy")) == code


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1", "us-gov-west-1", "cn-north-1"])
def test_a_region_of_aws_is_known(region: str) -> None:
    assert is_region(region)
    assert code_of(request("sagemaker", region=region)) == ""


@pytest.mark.parametrize("region", ["xx-nowhere-9", "us-east-99", "a" * 500, "%00"])
@pytest.mark.parametrize("service", ["lambda", "codecommit", "codebuild", "sagemaker", "s3"])
def test_a_region_that_is_none_is_refused(service: str, region: str) -> None:
    with pytest.raises(AwsError, match="Credential should be scoped to a valid region") as caught:
        check(request(service, region=region))
    assert caught.value.status == 403


@pytest.mark.parametrize(
    "made",
    [
        request("", path="/service/CodePipeline_20150709/operation/ListPipelines"),
        request("", path="/service/X/operation/Y", smithy_protocol="rpc-v2-cbor"),
        request("", method="GET", path="/"),
        request("", b"Action=ListUsers&Version=2010-05-08"),
        request("", method="GET", path="/x", query="Action=ListUsers"),
        request("", b"{}", x_amz_target="Unknown.Thing"),
        request("", b"{}", path="/x", content_type="application/x-amz-json-1.1"),
        request("", path="/bucket/key"),
        request("", path="/bucket"),
        request("", method="PATCH", path="/bucket/key"),
    ],
)
def test_a_request_without_a_signature_that_is_for_no_service_is_refused(made: Request) -> None:
    with pytest.raises(AwsError) as caught:
        check(made)
    assert (caught.value.code, caught.value.status) == ("MissingAuthenticationToken", 403)


@pytest.mark.parametrize(
    "made",
    [
        request("", method="GET", path="/bucket/key"),
        request("", method="HEAD", path="/bucket/key"),
        request("", b"content", method="PUT", path="/bucket/key"),
        request("", method="GET", path="/bucket", query="list-type=2"),
        request("", method="OPTIONS", path="/bucket/key"),
        request("", path="/bucket", content_type="multipart/form-data; boundary=x"),
        request("", TAGGING, path="/bucket", query="delete"),
        request("", path="/bucket/key", query="uploads"),
        request("", b"1,2", path="/endpoints/iris/invocations"),
        request("", path="/_localcloud/git/000000000000/us-east-1/r/git-upload-pack"),
        request("", path="/2015-03-31/functions/f/invocations"),
        request("", b"{}", x_amz_target="SageMaker.ListModels"),
    ],
)
def test_a_request_without_a_signature_that_has_a_place_is_read(made: Request) -> None:
    assert code_of(made) == ""
