"""The checks of a request before anything parses it: its size, its region, its signature. Pure.

A service parses a body in a time that grows with it, so that what is larger than AWS allows is
refused first. A request that names no service and is not one to S3 has no one to answer it.

Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
Source: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
Differs: where AWS states no limit of the whole request, it is a few times the limits of its parts.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any
from urllib.parse import parse_qsl
from xml.parsers import expat

import botocore.session

from localcloud.aws.errors import (
    AwsError,
    MissingCredentials,
    TooLarge,
    UnknownRegion,
    ValidationError,
)
from localcloud.aws.routing import Request

_MEGABYTE = 1024 * 1024
# The longest body of a request to each service, in bytes. A query service sends a form, in which a
# character may take three bytes; a blob in JSON takes four bytes for three.
LIMITS = {
    "budgets": _MEGABYTE,
    "cloudformation": 4 * _MEGABYTE,
    "cloudwatch": 4 * _MEGABYTE,
    "codebuild": _MEGABYTE,
    "codecommit": 28 * _MEGABYTE,  # a file of 6 MB, and a commit of 20 MB, in base64
    "codeconnections": _MEGABYTE,
    "codepipeline": _MEGABYTE,
    "ecr": 28 * _MEGABYTE,  # a part of a layer of 20 MB, in base64
    "events": 4 * _MEGABYTE,
    "iam": 4 * _MEGABYTE,
    "kms": _MEGABYTE,
    "logs": 2 * _MEGABYTE,
    "sagemaker": _MEGABYTE,
    "application-autoscaling": _MEGABYTE,
    "secretsmanager": _MEGABYTE,
    "sns": 4 * _MEGABYTE,
    "sqs": 4 * _MEGABYTE,
    "ssm": _MEGABYTE,
    "sts": _MEGABYTE,
}
# Lambda's limits and errors are documented.
_INVOKE_BYTES = {"Event": 1024 * 1024}
_INVOKE_SYNCHRONOUSLY_BYTES = 6_291_456
_FUNCTION_BYTES = 70_167_211
_INVOKE = re.compile(r"/20\d\d-\d\d-\d\d/functions/[^/]+/invocations", re.ASCII)

_MOST_FIELDS = 100_000
_MOST_CONTAINERS = 200_000
_TEMPLATE_BYTES = 51_200
_TEMPLATE = re.compile(rb"(?:^|&)TemplateBody=([^&]*)")

# Documents of S3, by the key of the query that selects them, and their longest size in bytes.
_DOCUMENTS = {
    "acl": 256 * 1024,
    "accelerate": 64 * 1024,
    "analytics": 64 * 1024,
    "cors": 64 * 1024,
    "delete": 4 * _MEGABYTE,  # a thousand keys of 1,024 bytes, escaped
    "encryption": 64 * 1024,
    "intelligent-tiering": 64 * 1024,
    "inventory": 64 * 1024,
    "legal-hold": 64 * 1024,
    "lifecycle": _MEGABYTE,
    "logging": 256 * 1024,
    "metrics": 64 * 1024,
    "notification": 256 * 1024,
    "object-lock": 64 * 1024,
    "ownershipControls": 64 * 1024,
    "publicAccessBlock": 64 * 1024,
    "replication": _MEGABYTE,
    "requestPayment": 64 * 1024,
    "restore": 64 * 1024,
    "retention": 64 * 1024,
    "select": 512 * 1024,
    "tagging": 256 * 1024,
    "uploadId": 4 * _MEGABYTE,  # ten thousand parts with their checksums
    "versioning": 64 * 1024,
    "website": 64 * 1024,
}
# A policy is JSON.
_POLICY_BYTES = 20 * 1024
_DEEPEST_XML = 32
_CREATE_BUCKET_BYTES = 64 * 1024
# An invocation is answered without a signature, too.
_INVOCATION = re.compile(r"/endpoints/[^/]+/(async-)?invocations\Z")
# A POST to an object that has none of these is nothing that S3 does.
_POSTS_OF_OBJECTS = frozenset({"uploads", "uploadId", "select", "restore"})


def check(request: Request) -> None:
    """Refuse a request that AWS refuses before it reads it.

    Raises:
        AwsError: the request is too large, is for an unknown region, or names no service.
    """
    if request.path.startswith("/_localcloud/"):
        return
    if not request.access_key and request.service == "s3" and not _INVOCATION.match(request.path):
        _check_anonymous(request)
    if request.access_key and not is_region(request.scope.region):
        raise UnknownRegion(request.scope.region)
    size = len(request.body)
    match request.service:
        case "s3":
            _check_s3(request)
        case "lambda":
            if _INVOKE.fullmatch(request.path) is not None:
                _check_event(request)
            elif size > _FUNCTION_BYTES:
                raise TooLarge(
                    "RequestEntityTooLargeException",
                    f"Request must be smaller than {_FUNCTION_BYTES} bytes for the CreateFunction "
                    "operation",
                    413,
                )
        case "cloudformation":
            _check_template(request)
    is_form = (
        request.service in LIMITS
        and "x-amz-target" not in request.headers
        and not request.path.startswith("/service/")  # CBOR
    )
    if is_form and not _is_utf_8(request):
        raise AwsError("MalformedQueryString", "The request is not UTF-8.")
    if is_form and request.body.count(b"&") > _MOST_FIELDS:
        raise AwsError("MalformedQueryString", f"The request has over {_MOST_FIELDS} fields.")
    limit = LIMITS.get(request.service, 0)
    # Lines of a log may have any brackets.
    is_json = limit and not is_form and request.service != "logs"
    if is_json and request.body.count(b"[") + request.body.count(b"{") > _MOST_CONTAINERS:
        raise AwsError(
            "SerializationException", f"The request has over {_MOST_CONTAINERS} lists and objects."
        )
    if limit and size > limit:
        raise TooLarge(
            "RequestEntityTooLarge",
            f"The request has {size} bytes; at most {limit} are allowed for {request.service}.",
            413,
        )


def _check_event(request: Request) -> None:
    """Refuse an event of Lambda's Invoke that is too large for its kind of invocation."""
    kind = request.headers.get("x-amz-invocation-type") or "RequestResponse"
    limit = _INVOKE_BYTES.get(kind, _INVOKE_SYNCHRONOUSLY_BYTES)
    if len(request.body) > limit:
        raise TooLarge(
            "RequestTooLargeException",
            f"{len(request.body)} byte payload is too large for the {kind} invocation type "
            f"(limit {limit} bytes)",
            413,
        )


def is_region(name: str) -> bool:
    """Return whether AWS has a region of this name."""
    return name in _regions()


@cache
def _regions() -> frozenset[str]:
    loader = botocore.session.get_session().get_component("data_loader")
    partitions: dict[str, Any] = loader.load_data("partitions")
    return frozenset(name for found in partitions["partitions"] for name in found["regions"])


def _check_anonymous(request: Request) -> None:
    """Refuse a request that names no service, unless it is one that S3 answers to anyone."""
    keys = {name for name, _ in parse_qsl(request.query, keep_blank_values=True)}
    content_type = request.headers.get("content-type", "")
    bucket, _, key = request.path.lstrip("/").partition("/")
    if (
        not bucket
        or "smithy-protocol" in request.headers
        or "x-amz-target" in request.headers
        or content_type.startswith(("application/x-amz-", "application/cbor"))
        or "Action" in keys
    ):
        raise MissingCredentials
    if request.method == "POST":
        if not _is_post(request, key, keys):
            raise MissingCredentials
    elif request.method not in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS"):
        raise MissingCredentials


def _is_post(request: Request, key: str, keys: set[str]) -> bool:
    """Return whether S3 has an operation for a POST."""
    if key:
        return bool(_POSTS_OF_OBJECTS & keys)
    form = request.headers.get("content-type", "").startswith("multipart/form-data")
    return form or "delete" in keys


def _check_template(request: Request) -> None:
    found = _TEMPLATE.search(request.body)
    # A form writes a byte in at most three.
    if found is not None and found.end() - found.start(1) > 3 * _TEMPLATE_BYTES:
        raise ValidationError(
            "1 validation error detected: Value at 'templateBody' failed to satisfy constraint: "
            f"Member must have length less than or equal to {_TEMPLATE_BYTES}",
            "ValidationError",
        )


def _check_s3(request: Request) -> None:
    bucket, _, key = request.path.lstrip("/").partition("/")
    not_allowed = AwsError(
        "MethodNotAllowed", "The specified method is not allowed against this resource.", 405
    )
    if not bucket and request.method not in ("GET", "OPTIONS"):
        raise not_allowed
    if request.method not in ("PUT", "POST"):
        return
    keys = [name for name, _ in parse_qsl(request.query, keep_blank_values=True)]
    if _INVOCATION.match(request.path):
        return
    if request.method == "POST" and not _is_post(request, key, set(keys)):
        raise not_allowed
    if "policy" in keys:
        if len(request.body) > _POLICY_BYTES:
            raise TooLarge("MalformedPolicy", "Policies may have at most 20 KB.", 400)
        if not _is_object(request.body):
            raise AwsError(
                "MalformedPolicy", "Policies must be valid JSON and the first byte must be '{'"
            )
        return
    document = next((name for name in keys if name in _DOCUMENTS), None)
    if document == "uploadId" and request.method == "PUT":
        return  # a part
    if document is not None and request.method == "PUT" and not request.body:
        if document != "acl":  # which may be in headers
            raise AwsError("MissingRequestBodyError", "Request Body is empty")
    elif document is not None and request.body:
        _check_xml(request.body, _DOCUMENTS[document])
    elif bucket and not key and request.method == "PUT" and not keys and request.body:
        _check_xml(request.body, _CREATE_BUCKET_BYTES)


def _is_utf_8(request: Request) -> bool:
    if "content-encoding" in request.headers:
        return True
    try:
        request.body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_object(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body), dict)
    except (ValueError, RecursionError):
        return False


def _check_xml(body: bytes, limit: int) -> None:
    """Refuse a document that is too large, is nested too deeply, or is not XML."""
    if len(body) > limit:
        raise TooLarge("MaxMessageLengthExceeded", "Your request was too big.", 400)
    malformed = AwsError(
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published schema",
    )
    depth = 0

    def start(name: str, attributes: Any) -> None:
        nonlocal depth
        del name, attributes
        depth += 1
        if depth > _DEEPEST_XML:
            raise malformed

    def end(name: str) -> None:
        nonlocal depth
        del name
        depth -= 1

    def declare(*rest: Any) -> None:
        # An entity may stand for many others.
        del rest
        raise malformed

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.EntityDeclHandler = declare
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, ValueError):
        raise malformed from None
