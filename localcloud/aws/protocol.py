"""Requests and responses of our own services, parsed and validated by botocore's models.

moto parses and serialises them, because its code derives from botocore's shapes. Neither of the two
checks patterns, enums and lengths, so this module does, and refuses what AWS refuses. A service
never sees HTTP: it receives a dictionary that fits the model and returns one.

moto is imported at its first use. That takes half a second, during which the edge already answers.
"""

from __future__ import annotations

import json
import logging
import math
import re
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote_plus
from xml.sax.saxutils import escape

from botocore import xform_name

from localcloud.aws.errors import AwsError, NotImplementedByCloud, ValidationError
from localcloud.aws.routing import Request, Response, Scope

log = logging.getLogger("localcloud")

Operation = Callable[[Scope, dict[str, Any]], Any]

# The beginnings of the names of operations that change nothing.
READING = (
    "Describe",
    "Get",
    "List",
    "Head",
    "BatchGet",
    "Lookup",
    "Validate",
    "Simulate",
    "Filter",
)

# moto's modules import one another in circles: of two threads that import it at once, one would
# see a half-initialised module.
IMPORT_OF_MOTO = threading.Lock()

# The operation of a query request; its other fields may be long.
_ACTION = re.compile(rb"(?:^|&)Action=([^&]+)")
_VALIDATION_CODE = {"cloudformation": "ValidationError"}
# A longer value is not matched against its pattern, so that matching stays bounded.
_MAX_PATTERN_INPUT = 10_000
_SHORT_PATTERN_INPUT = 1000
_NOT_IN_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_LARGEST = {"integer": 2**31 - 1, "long": 2**63 - 1}
_JSON_TYPES: dict[str, tuple[type, ...]] = {
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int, float),
    "long": (int, float),
    "float": (int, float),
    "double": (int, float),
}


def operation(name: str) -> Callable[[Any], Any]:
    """Mark a method as the implementation of an AWS operation, by its name in the model."""

    def mark(method: Any) -> Any:
        method.aws_operation = name
        return method

    return mark


def operations_of(*services: object) -> dict[str, Operation]:
    """Return the operations that service objects implement, by name."""
    return {
        name: getattr(service, attribute)
        for service in services
        for attribute, name in implemented_by(type(service)).items()
    }


def implemented_by(service: type) -> dict[str, str]:
    """Return the operations of a service class: method name → operation name."""
    marked = {a: getattr(getattr(service, a), "aws_operation", None) for a in dir(service)}
    return {attribute: name for attribute, name in marked.items() if name is not None}


@dataclass(frozen=True, slots=True)
class _Moto:
    """The parts of moto that this module uses."""

    service_model: Callable[[str], Any]
    parsers: dict[str, Any]
    serializer: Callable[[str, str], Any]


@cache
def _moto() -> _Moto:
    """Import moto; called at the first request that needs it."""
    with IMPORT_OF_MOTO:
        from moto.core.parse import PROTOCOL_PARSERS
        from moto.core.serialize import get_serializer_class
        from moto.core.utils import get_service_model

    return _Moto(get_service_model, PROTOCOL_PARSERS, get_serializer_class)


@cache
def service_model(service: str) -> Any:
    """Return botocore's model of a service (in moto's wrapper)."""
    return _moto().service_model(service)


@cache
def protocol_of(service: str) -> str:
    """Return the protocol of a service here: one that botocore speaks, too."""
    model = service_model(service)
    offered = model.metadata.get("protocols", [model.protocol])
    return next((p for p in ("json", "query", "rest-json", "rest-xml") if p in offered), "json")


@cache
def input_shape(service: str, method: str) -> Any:
    """Return the input shape of an operation by its boto3 method name."""
    model = service_model(service)
    names = {xform_name(name): name for name in model.operation_names}
    return model.operation_model(names[method]).input_shape


def operation_name(request: Request) -> str:
    """Return the operation that a JSON or query request names, or "" if it names no operation."""
    target = request.headers.get("x-amz-target", "")
    if target:
        return target.rpartition(".")[2]
    found = _ACTION.search(request.body) or _ACTION.search(request.query.encode())
    return "" if found is None else unquote_plus(found[1].decode("utf-8", "replace"))


def parse(request: Request, name: str) -> dict[str, Any]:
    """Return the request's parameters, checked against the model.

    Raises:
        NotImplementedByCloud: the model has no such operation.
        ValidationError: the parameters do not fit the model.
    """
    model = service_model(request.service)
    if name not in model.operation_names:
        raise NotImplementedByCloud(request.service, name or "(no operation named)")
    parameters = read(request, name, protocol_of(request.service))
    problems = violations(request.service, name, parameters)
    if problems:
        raise ValidationError(
            detected(problems), code=_VALIDATION_CODE.get(request.service, "ValidationException")
        )
    return parameters


def read(
    request: Request, name: str, protocol: str, in_path: dict[str, str] | None = None
) -> dict[str, Any]:
    """Return the parameters of a request as it gives them.

    Args:
        request: the request.
        name: its operation, which the model has.
        protocol: the protocol that it is written in.
        in_path: the parameters that a REST request has in its path.

    Raises:
        AwsError: SerializationException, if it is not written in this protocol.
    """
    operation_model = service_model(request.service).operation_model(name)
    body = request.body
    if protocol == "json":
        try:
            document = json.loads(body or b"{}", parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise AwsError("SerializationException", f"The body is not JSON: {error}") from None
        if not isinstance(document, dict):
            raise AwsError("SerializationException", "The body must be a JSON object.")
    parser = _moto().parsers[protocol](operation_model)
    if protocol == "query":
        text = body.decode("utf-8", "replace") or request.query
        values: Any = dict(parse_qsl(text, keep_blank_values=True))
    else:
        from werkzeug.datastructures import MultiDict  # a dependency of moto, slow to import

        values = MultiDict(parse_qs(request.query, keep_blank_values=True))
    try:
        parsed = parser.parse(
            {
                "method": request.method,
                "values": values,
                "headers": request.headers,
                "body": body or b"{}",
                "url_path": request.path,
                "url_params": in_path or {},
            }
        )
    except (
        *(ValueError, TypeError, AttributeError, KeyError, IndexError),
        *(OverflowError, RecursionError, RuntimeError, OSError),  # such as a time in year 10^9
    ) as error:
        raise AwsError(
            "SerializationException", f"A member has the wrong type for {name}: {error}"
        ) from None
    return dict(parsed or {})


def violations(service: str, name: str, parameters: dict[str, Any]) -> list[str]:
    """Return a sentence in AWS's words for each constraint of the model that is violated."""
    shape = service_model(service).operation_model(name).input_shape
    problems: list[str] = []
    if shape is not None:
        _check(shape, parameters, "", problems)
    return problems


def detected(problems: list[str]) -> str:
    """Return AWS's message for violated constraints."""
    plural = "s" if len(problems) > 1 else ""
    return f"{len(problems)} validation error{plural} detected: " + "; ".join(problems)


def serialise(service: str, name: str, result: dict[str, Any]) -> Response:
    """Return the HTTP response for an operation's result."""
    model = service_model(service)
    operation_model = model.operation_model(name)
    serializer = _moto().serializer(service, protocol_of(service))(operation_model)
    serialised = serializer.serialize(result)
    headers = {str(k): str(v) for k, v in serialised["headers"].items()}
    headers["x-amzn-requestid"] = str(uuid.uuid4())
    body = serialised["body"]
    return Response(
        serialised["status_code"], headers, body.encode() if isinstance(body, str) else body
    )


def serialise_error(service: str, error: AwsError) -> Response:
    """Return an error in the protocol of the service that was called."""
    try:
        protocol = protocol_of(service)
    except Exception:
        protocol = "json"
    request_id = str(uuid.uuid4())
    headers = {"x-amzn-requestid": request_id}
    if _is_ec2(service):
        headers["content-type"] = "text/xml"
        code, message = _xml(error.code), _xml(error.message)
        body = (
            f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error>"
            f"</Errors><RequestID>{request_id}</RequestID></Response>"
        )
        return Response(error.status, headers, body.encode())
    if protocol in ("query", "rest-xml"):
        headers["content-type"] = "text/xml"
        kind = "Sender" if error.status < 500 else "Receiver"
        inner = f"<Code>{_xml(error.code)}</Code><Message>{_xml(error.message)}</Message>"
        body = (
            f"<Error>{inner}<RequestId>{request_id}</RequestId></Error>"
            if service == "s3"
            else f"<ErrorResponse><Error><Type>{kind}</Type>{inner}</Error>"
            f"<RequestId>{request_id}</RequestId></ErrorResponse>"
        )
        return Response(error.status, headers, body.encode())
    headers["content-type"] = "application/x-amz-json-1.1"
    headers["x-amzn-errortype"] = error.code
    document = {"__type": error.code, "message": error.message, "Message": error.message}
    return Response(error.status, headers, json.dumps(document).encode())


@cache
def _is_ec2(service: str) -> bool:
    try:
        return str(service_model(service).protocol) == "ec2"
    except Exception:
        return False


def _xml(text: str) -> str:
    """Return a text for XML, which cannot have control characters and lone surrogates."""
    return escape(_NOT_IN_XML.sub("?", text))


def failure(request: Request) -> Response:
    """Log the exception being handled, a bug in this program, and return a 500 response."""
    log.exception("%s %s %s", request.service, request.method, request.path)
    reason = "The local cloud failed on this request; the reason is in its log."
    return serialise_error(request.service, AwsError("InternalFailure", reason, 500))


@cache
def _pattern(text: str) -> re.Pattern[str] | None:
    """Compile a pattern of a model, in Java's syntax; return None if Python cannot read it."""
    for java, python in (
        (r"\p{Alpha}", "a-zA-Z"),
        (r"\p{Alnum}", "a-zA-Z0-9"),
        (r"[\p{L}\p{Z}\p{N}", r"[\w\s"),
        (r"\p{L}", r"\w"),
        (r"\p{Z}", r"\s"),
        (r"\p{N}", r"\d"),
    ):
        text = text.replace(java, python)
    try:
        return re.compile(text)
    except re.error:
        return None


def _lower_first(name: str) -> str:
    return name[:1].lower() + name[1:]


def _refuse_constant(name: str) -> None:
    """Refuse NaN and the infinities, which JSON does not have."""
    raise ValueError(f"{name} is not a number in JSON")


def _check_unicode(text: str, path: str) -> None:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise AwsError(
                "SerializationException", f"The member {path} is not valid Unicode."
            ) from None


def _check(shape: Any, value: Any, path: str, problems: list[str]) -> None:
    """Append to `problems` every constraint that `value` violates, in AWS's words."""
    kind = shape.type_name
    expected = _JSON_TYPES.get(kind)
    if expected is not None and not isinstance(value, expected):
        raise AwsError(
            "SerializationException",
            f"The member {path} must be a {kind}; it is {json.dumps(value, default=str)[:200]}.",
        )
    if kind == "structure":
        for required in shape.required_members:
            if value.get(required) is None:
                where = f"{path}.{_lower_first(required)}" if path else _lower_first(required)
                problems.append(
                    f"Value null at '{where}' failed to satisfy constraint: Member must not be null"
                )
        for name, member in value.items():
            if name in shape.members and member is not None:
                where = f"{path}.{_lower_first(name)}" if path else _lower_first(name)
                _check(shape.members[name], member, where, problems)
        return
    if kind == "list":
        _check_range(shape, len(value), value, path, "length", problems)
        for index, member in enumerate(value):
            _check(shape.member, member, f"{path}.{index + 1}.member", problems)
        return
    if kind == "map":
        _check_range(shape, len(value), value, path, "length", problems)
        for key, member in value.items():
            _check(shape.key, key, path, problems)
            _check(shape.value, member, f"{path}.{key}.member", problems)
        return
    if kind == "string":
        _check_unicode(value, path)
        _check_string(shape, value, path, problems)
    elif kind in ("integer", "long", "float", "double"):
        _check_number(kind, value, path)
        _check_range(shape, value, value, path, "value", problems)


def _check_number(kind: str, value: float, path: str) -> None:
    largest = _LARGEST.get(kind, math.inf)
    # A query request may have Infinity, and an exponent may be too large.
    finite = isinstance(value, int) or math.isfinite(value)
    if not finite or (largest < math.inf and (abs(value) > largest or value != int(value))):
        raise AwsError(
            "SerializationException",
            f"The member {path} is not of the type {kind}, or it is out of range.",
        )


def _check_string(shape: Any, value: str, path: str, problems: list[str]) -> None:
    enum = shape.metadata.get("enum")
    if enum and value not in enum:
        problems.append(
            f"Value '{value}' at '{path}' failed to satisfy constraint: "
            f"Member must satisfy enum value set: [{', '.join(enum)}]"
        )
        return
    _check_range(shape, len(value), value, path, "length", problems)
    pattern = shape.metadata.get("pattern")
    # A value that is far too long is refused already, and some patterns take quadratic time.
    longest = max(2 * shape.metadata.get("max", _MAX_PATTERN_INPUT), _SHORT_PATTERN_INPUT)
    if pattern and len(value) <= min(longest, _MAX_PATTERN_INPUT):
        compiled = _pattern(pattern)
        if compiled is not None and compiled.fullmatch(value) is None:
            problems.append(
                f"Value '{value}' at '{path}' failed to satisfy constraint: "
                f"Member must satisfy regular expression pattern: {pattern}"
            )


def _check_range(
    shape: Any, measure: float, value: Any, path: str, noun: str, problems: list[str]
) -> None:
    for bound, word, bad in (
        ("min", "greater", lambda limit: measure < limit),
        ("max", "less", lambda limit: measure > limit),
    ):
        limit = shape.metadata.get(bound)
        if limit is not None and bad(limit):  # type: ignore[no-untyped-call]
            problems.append(
                f"Value '{str(value)[:200]}' at '{path}' failed to satisfy constraint: "
                f"Member must have {noun} {word} than or equal to {limit}"
            )
