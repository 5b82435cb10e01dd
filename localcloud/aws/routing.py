"""Routing: the service, region and account that a request is for. Pure.

A request names its service in the credential scope of its signature, otherwise in X-Amz-Target,
otherwise in its path or its host name. A request that names no service is for S3, as on AWS, where
anonymous object requests look like that. S3's bucket may be in the host name; everything behind
this module finds it in the path.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qs

from localcloud.aws.hosts import place_of

DEFAULT_ACCOUNT = "000000000000"
DEFAULT_REGION = "us-east-1"

_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request")
_ACCOUNT = re.compile(r"\d{12}")
# S3's operations on accounts have a model, and so a name, of their own.
_S3_CONTROL_PATH = "/v20180820/"
_LAMBDA_PATH = re.compile(r"/20\d\d-\d\d-\d\d/(functions|layers|event-source-mappings|tags)")

# botocore's service name where the signing name differs.
_SERVICE_OF_SIGNING_NAME = {"monitoring": "cloudwatch", "eventbridge": "events"}
_SERVICE_OF_TARGET = {
    "SageMaker": "sagemaker",
    "CodePipeline_20150709": "codepipeline",
    "AnyScaleFrontendService": "application-autoscaling",
    "AWSEvents": "events",
    "CodeBuild_20161006": "codebuild",
    "CodeCommit_20150413": "codecommit",
    "Logs_20140328": "logs",
    "AmazonEC2ContainerRegistry_V20150921": "ecr",
    "AmazonSSM": "ssm",
    "TrentService": "kms",
    "AmazonSQS": "sqs",
    "GraniteServiceVersion20100801": "cloudwatch",
}


@dataclass(frozen=True, slots=True)
class Scope:
    """An account and a region. Most names are unique within one scope."""

    account: str = DEFAULT_ACCOUNT
    region: str = DEFAULT_REGION

    def arn(self, service: str, resource: str) -> str:
        """Return `arn:aws:<service>:<region>:<account>:<resource>`."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"


def scope_of_arn(arn: str) -> Scope:
    """Return the scope of an ARN."""
    parts = arn.split(":")
    return Scope(account=parts[4] or DEFAULT_ACCOUNT, region=parts[3] or DEFAULT_REGION)


_DEFAULT_SCOPE = Scope()


@dataclass(slots=True)
class Request:
    """One HTTP request, with header names in lower case.

    Attributes:
        service: botocore's name of the service; `route` sets it, the scope and the access key.
        principal: ARN of the calling role; empty if the account itself calls.
    """

    method: str
    path: str
    raw_path: str
    query: str
    headers: dict[str, str]
    body: bytes
    service: str = ""
    scope: Scope = _DEFAULT_SCOPE
    access_key: str = ""
    principal: str = ""


@dataclass(slots=True)
class Response:
    """One HTTP response."""

    status: int
    headers: dict[str, str]
    body: bytes


class StreamedResponse(Response):
    """An HTTP response whose body becomes known while it is sent.

    Args:
        status: the HTTP status.
        headers: by name.
        chunks: the parts of the body. It is closed if the client goes away.
    """

    __slots__ = ("chunks",)

    def __init__(self, status: int, headers: dict[str, str], chunks: AsyncGenerator[bytes]) -> None:
        super().__init__(status, headers, b"")
        self.chunks = chunks


def headers_of(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return headers as strings with lower-case names; the last of several equal names counts."""
    return {_name(name): value.decode("latin-1") for name, value in pairs}


@lru_cache(maxsize=1024)
def _name(name: bytes) -> str:
    return name.decode("latin-1").lower()


def account_of_access_key(access_key: str) -> str:
    """Return the account of an access key: the key itself if it has 12 digits, as in LocalStack."""
    return access_key if _ACCOUNT.fullmatch(access_key) else DEFAULT_ACCOUNT


@lru_cache(maxsize=1024)
def _scope(access_key: str, region: str) -> Scope:
    return Scope(account_of_access_key(access_key), region)


def route(request: Request) -> None:
    """Fill in the request's service, scope and access key."""
    region = DEFAULT_REGION
    signing_name = ""
    authorization = request.headers.get("authorization", "")
    match = _CREDENTIAL.search(authorization)
    if match is None and "X-Amz-Credential=" in request.query:
        credential = parse_qs(request.query).get("X-Amz-Credential", [""])[0]
        match = _CREDENTIAL.search(f"Credential={credential}")
    if match is not None:
        request.access_key, _, region, signing_name = match.groups()
    if not signing_name:
        target = request.headers.get("x-amz-target", "")
        signing_name = _SERVICE_OF_TARGET.get(target.partition(".")[0], "")
    if not signing_name and _LAMBDA_PATH.match(request.path):
        signing_name = "lambda"
    service = _SERVICE_OF_SIGNING_NAME.get(signing_name, signing_name) or "s3"
    if service == "sagemaker" and request.path.startswith("/endpoints/"):
        service = "sagemaker-runtime"
    request.service = service
    if service == "s3":
        region = _read_host(request, region, signed=bool(signing_name))
    request.scope = _scope(request.access_key, region)


def _read_host(request: Request, region: str, *, signed: bool) -> str:
    """Move S3's bucket from the host name into the path; return the region.

    The host of a request without a signature may name another service, which is then filled in.
    """
    if request.path.startswith(_S3_CONTROL_PATH):
        request.service = "s3control"
        return region
    place = place_of(request.headers.get("host", ""))
    if place.bucket and place.service in ("", "s3"):
        rest = request.path != "/"
        request.path = f"/{place.bucket}{request.path * rest}"
        request.raw_path = f"/{place.bucket}{request.raw_path * rest}"
        # A request can be routed again, by what injects faults.
        request.headers["host"] = place.domain
    elif place.service and (not signed or place.service == "s3-website"):
        request.service = place.service
    return region if signed else place.region or region
