"""The errors for exceptions of moto: the request's own fault, or InternalFailure."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from xml.parsers.expat import ExpatError

from localcloud.aws.errors import AwsError, NotImplementedByCloud, UnknownOperation
from localcloud.aws.protocol import operation_name, parse, protocol_of, service_model
from localcloud.aws.routing import Request

log = logging.getLogger("localcloud.moto_backend")

_REST = frozenset({"lambda", "s3"})
# The names of errors for what does not exist.
_ABSENT = re.compile("NotFound|NoSuch|NotExist|NonExistent|DoesNotExist")


def operation_or_path(request: Request) -> str:
    """Return the operation that a request names, or else its method and path."""
    name = operation_name(request) if request.service not in _REST else ""
    return name or f"{request.method} {request.path[:200]}"


def failure_of(
    request: Request, error: Exception, check_region: Callable[[Request], None]
) -> AwsError:
    """Return the error for an exception of moto: the request's own fault, or InternalFailure.

    Args:
        request: the request.
        error: the exception.
        check_region: raises an AwsError if the service does not have the request's region.
    """
    if isinstance(error, RecursionError):
        return AwsError("SerializationException", "The request is nested too deeply.")
    if isinstance(error, UnicodeDecodeError):
        return AwsError("SerializationException", f"The request is not UTF-8: {error}.")
    if isinstance(error, ExpatError):
        return AwsError("MalformedXML", "The XML you provided was not well-formed.")
    if request.service == "lambda" and not _is_json(request.body):
        return AwsError("InvalidRequestContentException", "Could not parse request body into json.")
    problem = _problem_of(request, check_region)
    if problem is not None:
        return problem
    missing = _missing(request, error)
    if missing is not None:
        return missing
    name = operation_or_path(request)
    log.warning("moto failed on %s %s: %r", request.service, name, error)
    log.debug("moto's traceback", exc_info=error)
    return AwsError(
        "InternalFailure",
        f"moto failed on {request.service}:{name} ({type(error).__name__}); "
        "the reason is in the local cloud's log.",
        500,
    )


def _missing(request: Request, error: Exception) -> AwsError | None:
    """Return the error for a name that moto looked up without a check, or None.

    The name must be in the request, and the operation must have one error for what does not exist.
    """
    if not isinstance(error, KeyError) or request.service in _REST or len(error.args) != 1:
        return None
    key = str(error.args[0])
    if not key or key.encode() not in request.body:
        return None
    try:
        operation = service_model(request.service).operation_model(operation_name(request))
    except Exception:
        return None
    shapes = [shape for shape in operation.error_shapes if _ABSENT.search(shape.name)]
    if not shapes:
        return None
    about = shapes[0].metadata.get("error", {})
    code = about.get("code", shapes[0].name)
    return AwsError(code, f"{key[:200]} does not exist.", about.get("httpStatusCode", 400))


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body or b"{}")
    except ValueError:
        return False
    return True


def _problem_of(request: Request, check_region: Callable[[Request], None]) -> AwsError | None:
    """Return the error of a request that does not fit botocore's model, or None if it does."""
    try:
        check_region(request)
        if request.service not in _REST:
            name = operation_name(request)
            if name not in service_model(request.service).operation_names:
                return UnknownOperation(request.service, name, protocol_of(request.service))
            parse(request, name)
    except AwsError as error:
        return None if isinstance(error, NotImplementedByCloud) else error
    except Exception:
        return None
    return None
