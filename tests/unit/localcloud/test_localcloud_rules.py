"""Small rules of the edge: errors, policy conditions, local pages."""

from typing import Any

import pytest

from localcloud.aws.errors import (
    AwsError,
    NotImplementedByCloud,
    ResourceInUse,
    ResourceNotFound,
    ValidationError,
)
from localcloud.edge.web_pages import is_local
from localcloud.moto_backend.patches.s3 import _condition_holds


@pytest.mark.emulator_only
@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (AwsError("Teapot", "m", 418), "Teapot", 418),
        (AwsError("Plain", "m"), "Plain", 400),
        (ValidationError("m"), "ValidationException", 400),
        (ValidationError("m", "ValidationError"), "ValidationError", 400),
        (ResourceNotFound("m"), "ResourceNotFoundException", 400),
        (ResourceInUse("m"), "ResourceInUse", 400),
        (NotImplementedByCloud("s3", "Fly"), "NotImplemented", 501),
    ],
)
def test_each_error_has_its_code_and_status(error: AwsError, code: str, status: int) -> None:
    assert (code, status) == (error.code, error.status)
    assert f"{code}: {error.message}" == str(error)


TLS_ONLY = {"Bool": {"aws:SecureTransport": "false"}}


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html"
)
@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({}, True),
        (TLS_ONLY, False),
        ({"Bool": {"aws:SecureTransport": True}}, True),
        ({"StringEquals": {"aws:SourceAccount": ["1", "2"]}}, True),
        ({"StringEquals": {"aws:SourceAccount": "3"}}, False),
        ({"StringEquals": {"aws:Absent": "1"}}, False),
        ({"StringNotEquals": {"aws:SourceAccount": "3"}}, True),
        ({"StringNotEquals": {"aws:SourceAccount": "2"}}, False),
        ({"StringNotEquals": {"aws:Absent": "2"}}, True),
        ({**TLS_ONLY, "StringEquals": {"aws:SourceAccount": "2"}}, False),
    ],
)
def test_a_policys_condition_is_every_one_of_its_keys(
    condition: dict[str, dict[str, Any]], expected: bool
) -> None:
    values = {"aws:SecureTransport": "true", "aws:SourceAccount": "2"}
    assert expected is _condition_holds(condition, values)


@pytest.mark.emulator_only
@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, True),
        ({"origin": "http://localhost:3000"}, True),
        ({"origin": "http://127.0.0.1:4566"}, True),
        ({"origin": "http://[::1]:8080"}, True),
        ({"origin": "https://evil.example"}, False),
        ({"origin": "https://localhost.evil.example"}, False),
        ({"origin": "http://localhost@evil.example"}, False),
        ({"origin": "null"}, False),
        ({"origin": "http://["}, False),
        ({"host": "["}, False),
        ({"origin": ""}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "cross-site", "origin": "http://localhost:3000"}, True),
    ],
)
def test_only_local_pages_are_answered(headers: dict[str, str], expected: bool) -> None:
    host = headers.get("host", "localhost")
    assert expected is is_local(host, headers.get("origin"), headers.get("sec-fetch-site"))
