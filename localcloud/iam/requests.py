"""The operation of a request, with the parameters that its permissions depend on. Pure.

This module reads requests for authorisation only. It validates nothing, and leaves out what it
cannot read. A request to S3, to Lambda's Invoke or to an endpoint names its operation by method,
path and query.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations.html
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qs, unquote

from localcloud.aws.errors import AwsError
from localcloud.aws.protocol import operation_name, parse
from localcloud.aws.rest_paths import rest_operation
from localcloud.aws.routing import Request

_ENDPOINT = re.compile(r"/endpoints/([^/]+)/(invocations|async-invocations)")
_SMITHY = re.compile(r"/service/[^/]+/operation/(\w+)")

# A query key that selects a part of a bucket or object → the end of the operation's name.
_ENCRYPTION = {
    "x-amz-server-side-encryption": "ServerSideEncryption",
    "x-amz-server-side-encryption-aws-kms-key-id": "SSEKMSKeyId",
}
_PARTS_OF_BUCKET = {
    "acl": "Acl",
    "encryption": "Encryption",
    "lifecycle": "LifecycleConfiguration",
    "location": "Location",
    "notification": "NotificationConfiguration",
    "policy": "Policy",
    "tagging": "Tagging",
    "versioning": "Versioning",
}
_PARTS_OF_OBJECT = {"acl": "Acl", "tagging": "Tagging"}
_VERBS = {"GET": "Get", "HEAD": "Head", "PUT": "Put", "DELETE": "Delete"}


def operation_of(request: Request) -> tuple[str, dict[str, Any]]:
    """Return the operation of a request and its parameters; the name is empty if it has none."""
    match request.service:
        case "s3":
            return _s3(request)
        case "sagemaker-runtime":
            found = _ENDPOINT.fullmatch(request.path)
            return ("InvokeEndpoint", {"EndpointName": found[1]}) if found else ("", {})
        case "lambda":
            return _lambda(request)
    smithy = _SMITHY.fullmatch(request.path)
    name = smithy[1] if smithy else operation_name(request)
    try:
        return name, parse(request, name)
    except AwsError:
        # Our own services refuse it, too; moto reads what it can.
        return name, {}


def _lambda(request: Request) -> tuple[str, dict[str, Any]]:
    name, found = rest_operation(request)
    parameters: dict[str, Any] = dict(found)
    query = parse_qs(request.query)
    if "Qualifier" in query:
        parameters["Qualifier"] = query["Qualifier"][0]
    if name in ("CreateFunction", "UpdateFunctionConfiguration"):
        try:
            document = json.loads(request.body or b"{}")
        except (ValueError, RecursionError):
            document = None
        if isinstance(document, dict):
            parameters |= {k: document[k] for k in ("FunctionName", "Role") if k in document}
    return name, parameters


def _s3(request: Request) -> tuple[str, dict[str, Any]]:
    bucket, _, key = request.path.lstrip("/").partition("/")
    found = parse_qs(request.query, keep_blank_values=True)
    query = {name: values[0] for name, values in found.items()}
    if not bucket:
        return "ListBuckets", {}
    if not key:
        return _bucket_operation(request.method, query), {"Bucket": bucket}
    parameters: dict[str, Any] = {"Bucket": bucket, "Key": key}
    if query.get("versionId"):
        parameters["VersionId"] = query["versionId"]
    if "x-amz-tagging" in request.headers:
        parameters["Tagging"] = request.headers["x-amz-tagging"]
    for header, member in _ENCRYPTION.items():
        if header in request.headers:
            parameters[member] = request.headers[header]
    source = request.headers.get("x-amz-copy-source")
    if source and request.method == "PUT":
        return "CopyObject", parameters | {"CopySource": _copy_source(source)}
    return _object_operation(request.method, query), parameters


def _bucket_operation(method: str, query: dict[str, str]) -> str:
    for part, noun in _PARTS_OF_BUCKET.items():
        if part in query:
            return f"{_VERBS.get(method, 'Put')}Bucket{noun}"
    if method == "GET":
        other = {"versions": "ListObjectVersions", "uploads": "ListMultipartUploads"}
        return next((name for part, name in other.items() if part in query), "ListObjects")
    if method == "POST" and "delete" in query:
        return "DeleteObjects"
    return {"PUT": "CreateBucket", "DELETE": "DeleteBucket", "HEAD": "HeadBucket"}.get(
        method, "PostObject"
    )


def _object_operation(method: str, query: dict[str, str]) -> str:
    for part, noun in _PARTS_OF_OBJECT.items():
        if part in query:
            return f"{_VERBS.get(method, 'Put')}Object{noun}"
    if method in ("GET", "HEAD"):
        return "GetObject"
    if method == "DELETE":
        return "AbortMultipartUpload" if "uploadId" in query else "DeleteObject"
    # A new object, a part of one, or the start or the end of a multipart upload.
    return "PutObject"


def _copy_source(header: str) -> dict[str, str]:
    path, _, query = header.partition("?")
    bucket, _, key = unquote(path).lstrip("/").partition("/")
    version = parse_qs(query).get("versionId")
    return {"Bucket": bucket, "Key": key} | ({"VersionId": version[0]} if version else {})
