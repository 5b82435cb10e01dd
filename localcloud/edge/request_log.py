"""The log's line for each request, such as `s3.PutObject 200 3 ms`.

A plain invocation is answered before it comes here (fast_path.py); at log level DEBUG it is not, so
that it has its line. Must not: read a body, except for the name of an operation.
"""

from __future__ import annotations

import logging

from localcloud.aws.protocol import operation_name
from localcloud.aws.routing import Request
from localcloud.iam.requests import operation_of

log = logging.getLogger("localcloud.request")

# Services whose requests name their operation by method and path; reading them reads no body.
_BY_PATH = frozenset({"s3", "lambda", "sagemaker-runtime"})
# The local cloud's own routes, which are no calls of AWS.
_OWN = ("/_localcloud/", "/_localstack/")
_MOST_CHARACTERS = 200


def note(request: Request, status: int, seconds: float) -> None:
    """Log an answered request: own routes and invocations at DEBUG, all else at INFO."""
    own = request.path.startswith(_OWN)
    level = logging.DEBUG if own or request.service == "sagemaker-runtime" else logging.INFO
    if log.isEnabledFor(level):
        log.log(level, "%s %d %.0f ms", _named(request, own=own), status, seconds * 1000)


def _named(request: Request, *, own: bool) -> str:
    name = ""
    if request.service in _BY_PATH:
        name = operation_of(request)[0]
    elif request.service:
        name = operation_name(request)
    if own or not name:
        # A path may hold a line break, and the log one request a line.
        path = request.path[:_MOST_CHARACTERS].encode("unicode_escape").decode()
        return f"{request.method} {path}"
    return f"{request.service}.{name}"
