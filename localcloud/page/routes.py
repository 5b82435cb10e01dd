"""The page's own routes.

    GET  /_localcloud/                    the page (GET / of a browser leads here)
    GET  /_localcloud/page/FILE           its modules, style and icon
    GET  /_localcloud/overview            the overview as one JSON document
    GET  /_localcloud/stream              its changes, as Server-Sent Events (answered by server.py)
    POST /_localcloud/call/SERVICE/NAME   one of AWS's operations, with its parameters as JSON
    PUT  /_localcloud/upload?bucket=&key= an object for S3
    POST /_localcloud/loadtests           the summary of a load test

account= and region= choose what is shown; the defaults are 000000000000 and us-east-1. Whatever the
page changes, it changes by an operation of AWS, which is answered like that of any other client.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote

from localcloud.aws.request_limits import is_region
from localcloud.aws.routing import (
    DEFAULT_REGION,
    Request,
    Response,
    Scope,
    account_of_access_key,
)
from localcloud.core.store import UnreadableRecord
from localcloud.page.loadtests import MOST_BYTES, LoadTests
from localcloud.page.overview import Overview

ROOT = "/_localcloud/"
STREAM = "/_localcloud/stream"
_FILES = "/_localcloud/page/"
_CALL = "/_localcloud/call/"
_STATIC = Path(__file__).with_name("static")
_NAME = re.compile(r"[a-z][a-z0-9-]*\.(js|css|svg)")
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
SAFE = {
    "content-security-policy": (
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
}
# The operations that the page uses, by service: the prefix of X-Amz-Target, and their names.
OPERATIONS: dict[str, tuple[str, frozenset[str]]] = {
    "codepipeline": (
        "CodePipeline_20150709",
        frozenset(
            {
                "DisableStageTransition",
                "EnableStageTransition",
                "ListActionExecutions",
                "PutApprovalResult",
                "RetryStageExecution",
                "StartPipelineExecution",
                "StopPipelineExecution",
            }
        ),
    ),
    "logs": ("Logs_20140328", frozenset({"FilterLogEvents"})),
    "sagemaker": ("SageMaker", frozenset({"StopTrainingJob", "StopProcessingJob"})),
}

Answer = Callable[[Request], Awaitable[Response]]


class PageRoutes:
    """Answers the page's routes.

    Args:
        overview: the overview.
        load_tests: the load tests that are kept.
        now: returns the AWS time.
        answer: answers a request like that of any client.
    """

    def __init__(
        self, overview: Overview, load_tests: LoadTests, now: Callable[[], Any], answer: Answer
    ) -> None:
        self._overview = overview
        self._load_tests = load_tests
        self._now = now
        self._answer = answer

    async def handle(self, request: Request) -> Response | None:
        """Answer a route of the page; return None for any other request."""
        path = request.path
        if path == "/":
            return _redirect() if _is_browsing(request) else None
        if not path.startswith(ROOT):
            return None
        if request.method in ("GET", "HEAD"):
            if path == ROOT or path == ROOT.rstrip("/"):
                return _file(request, "index.html")
            if path.startswith(_FILES):
                return _file(request, path.removeprefix(_FILES))
            if path == "/_localcloud/overview":
                scope = scope_of(request.query)
                if scope is None:
                    return _refused(400, "account= must have 12 digits, and region= be one of AWS")
                return _json(200, await self._overview.document(scope))
            return None
        if request.method == "POST" and path.startswith(_CALL):
            return await self._call(request)
        if request.method == "PUT" and path == "/_localcloud/upload":
            return await self._upload(request)
        if request.method == "POST" and path == "/_localcloud/loadtests":
            return self._add_load_test(request)
        return None

    async def _call(self, request: Request) -> Response:
        service, _, name = request.path.removeprefix(_CALL).partition("/")
        prefix, names = OPERATIONS.get(service, ("", frozenset[str]()))
        scope = scope_of(request.query)
        if name not in names or scope is None:
            known = ", ".join(f"{s}/{n}" for s, (_, ns) in OPERATIONS.items() for n in sorted(ns))
            return _refused(404, f"'{service}/{name}' is not one of the page's calls: {known}")
        headers = {
            "host": "localhost",
            "content-type": "application/x-amz-json-1.1",
            "x-amz-target": f"{prefix}.{name}",
            "authorization": _authorization(scope, service),
        }
        found = await self._answer(Request("POST", "/", "/", "", headers, request.body or b"{}"))
        return _json(found.status, found.body)

    async def _upload(self, request: Request) -> Response:
        query = parse_qs(request.query)
        bucket, key = query.get("bucket", [""])[0], query.get("key", [""])[0]
        scope = scope_of(request.query)
        if not bucket or not key or scope is None:
            return _refused(400, "bucket= and key= must be given")
        headers = {
            "host": "localhost",
            "content-type": "application/zip",
            "content-length": str(len(request.body)),
            "authorization": _authorization(scope, "s3"),
        }
        path = f"/{bucket}/{key}"
        found = await self._answer(Request("PUT", path, quote(path), "", headers, request.body))
        if found.status >= 400:
            text = found.body.decode("utf-8", "replace")
            message = re.search(r"<Message>(.*?)</Message>", text, re.DOTALL)
            return _refused(found.status, message[1] if message else text[:300])
        version = found.headers.get("x-amz-version-id", "")
        return _json(200, json.dumps({"version": version}).encode())

    def _add_load_test(self, request: Request) -> Response:
        if len(request.body) > MOST_BYTES:
            return _refused(413, f"a summary has at most {MOST_BYTES} bytes")
        try:
            summary = json.loads(request.body, parse_constant=_refuse_constant)
            if not isinstance(summary, dict):
                raise ValueError("it is not an object")
            self._load_tests.add(self._now(), summary)
        except (ValueError, RecursionError, UnreadableRecord) as error:
            return _refused(400, f"the summary cannot be read: {error}")
        return _json(200, b"{}")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number in JSON")


def scope_of(query: str) -> Scope | None:
    """Return the scope that a query names, or None if there is no such one."""
    given = parse_qs(query)
    account, region = given.get("account", [""])[0], given.get("region", [DEFAULT_REGION])[0]
    if account and account_of_access_key(account) != account:
        return None
    return Scope(account_of_access_key(account), region) if is_region(region) else None


def _authorization(scope: Scope, service: str) -> str:
    credential = f"{scope.account}/20260101/{scope.region}/{service}/aws4_request"
    return f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=localcloud"


def _is_browsing(request: Request) -> bool:
    """Return whether a person asks for the address itself, and no client of S3."""
    host = request.headers.get("host", "").rpartition(":")[0] or request.headers.get("host", "")
    return (
        request.method == "GET"
        and not request.query
        and "authorization" not in request.headers
        and "text/html" in request.headers.get("accept", "")
        and host in ("localhost", "127.0.0.1", "[::1]", "localhost.localstack.cloud")
    )


def _redirect() -> Response:
    return Response(302, {"location": ROOT, "cache-control": "no-store"}, b"")


def _file(request: Request, name: str) -> Response:
    if name != "index.html" and _NAME.fullmatch(name) is None:
        return _refused(404, f"the page has no file '{name}'")
    found = _content(name)
    if found is None:
        return _refused(404, f"the page has no file '{name}'")
    body, tag = found
    headers = {**SAFE, "cache-control": "no-cache", "etag": tag}
    if request.headers.get("if-none-match") == tag:
        return Response(304, headers, b"")
    return Response(200, {**headers, "content-type": _TYPES[Path(name).suffix]}, body)


@lru_cache(maxsize=64)
def _content(name: str) -> tuple[bytes, str] | None:
    """Return a file of the page and its tag; None if it has no such file."""
    try:
        body = (_STATIC / name).read_bytes()
    except FileNotFoundError:
        return None
    return body, f'"{hashlib.sha256(body).hexdigest()[:20]}"'


def _json(status: int, body: bytes) -> Response:
    headers = {**SAFE, "content-type": "application/json", "cache-control": "no-store"}
    return Response(status, headers, body)


def _refused(status: int, message: str) -> Response:
    return _json(status, json.dumps({"message": message}).encode() + b"\n")
