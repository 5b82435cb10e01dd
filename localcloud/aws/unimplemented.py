"""The refusal of an operation that the local cloud does not have, by its name and in its protocol.

A request names its operation in a header, in its path or in its body, or by its method and path.
The last needs the models of all services that sign with the name in the request: Amazon's SDKs sign
requests to `sesv2` and to `ses` alike, and they speak different protocols.

Source: https://smithy.io/2.0/aws/protocols/index.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import botocore.session

from localcloud.aws.errors import NotImplementedByCloud
from localcloud.aws.protocol import operation_name, serialise_error
from localcloud.aws.routing import Request, Response
from localcloud.aws.signing_names import SIGNED_AS

_SMITHY = re.compile(r"/service/[^/]+/operation/(\w+)")
_CBOR = "rpc-v2-cbor"
_LABEL = re.compile(r"\{([^}+]+)(\+?)\}")
_NAME = re.compile(r"\w+")
_Path = tuple[str, re.Pattern[str], frozenset[str], int, str]


def refusal(request: Request, operation: str = "") -> Response:
    """Return the response 501 to a request for an operation that is not implemented.

    Args:
        request: the request.
        operation: its operation, if it is known.
    """
    service, name = (request.service, operation) if operation else named(request)
    error = NotImplementedByCloud(service, name)
    response = serialise_error(service, error)
    if request.headers.get("smithy-protocol") == _CBOR:
        headers = {**response.headers, "content-type": "application/cbor", "smithy-protocol": _CBOR}
        body = _cbor({"__type": error.code, "message": error.message})
        return Response(error.status, headers, body)
    return response


def named(request: Request) -> tuple[str, str]:
    """Return botocore's name of a request's service and the name of its operation.

    The operation is the method and the path if no model has it.
    """
    smithy = _SMITHY.search(request.path)
    told = smithy[1] if smithy else operation_name(request)
    if told and _NAME.fullmatch(told):
        return _service_with(request.service, told), told
    for service in (request.service, *_services_of(request.service)):
        found = _by_path(service, request)
        if found:
            return service, found
    return request.service, f"{request.method} {request.path[:200]}"


def _service_with(signing_name: str, operation: str) -> str:
    for service in (signing_name, *_services_of(signing_name)):
        model = _model(service)
        if model is not None and operation in model.operations:
            return service
    return signing_name


def _by_path(service: str, request: Request) -> str:
    """Return the operation of a REST service whose path fits most closely, or an empty string."""
    model = _model(service)
    if model is None or not model.protocol.startswith("rest"):
        return ""
    given = set(request.query.split("&"))
    names = {part.partition("=")[0] for part in given}
    found = [
        (literal, name)
        for method, pattern, query, literal, name in _paths(service)
        if method == request.method
        and query <= given | names
        and pattern.fullmatch(request.path.rstrip("/"))
    ]
    return max(found, default=(0, ""))[1]


@cache
def _paths(service: str) -> list[_Path]:
    """Return the method, path, query, number of literal characters and name of each operation."""
    return list(_read_paths(service))


def _read_paths(service: str) -> Iterator[_Path]:
    model = _model(service)
    for name, (method, uri) in model.operations.items() if model is not None else ():
        path, _, query = uri.partition("?")
        parts = _LABEL.split(path.rstrip("/"))
        pattern = ""
        for index in range(0, len(parts), 3):
            pattern += re.escape(parts[index])
            if index + 1 < len(parts):
                pattern += ".+" if parts[index + 2] else "[^/]+"
        literal = sum(map(len, parts[::3])) + len(query)
        yield method, re.compile(pattern), frozenset(filter(None, query.split("&"))), literal, name


def _services_of(signing_name: str) -> tuple[str, ...]:
    """Return the services that sign with a name and have another one themselves."""
    return SIGNED_AS.get(signing_name, ())


@dataclass(frozen=True, slots=True)
class _Model:
    """The part of a service's model that names operations."""

    protocol: str
    # Operation → method and path.
    operations: dict[str, tuple[str, str]]


@cache
def _model(service: str) -> _Model | None:
    """Return the model of a service, or None if botocore has none."""
    # A loader of its own, because a loader keeps every model that it has read.
    loader = botocore.session.get_session().get_component("data_loader")
    if service not in loader.list_available_services("service-2"):
        return None
    model = loader.load_service_model(service, "service-2")
    operations = {
        name: (operation["http"]["method"], _uri(operation, model["shapes"]))
        for name, operation in model["operations"].items()
    }
    return _Model(model["metadata"]["protocol"], operations)


def _uri(operation: dict[str, Any], shapes: dict[str, Any]) -> str:
    """Return an operation's path, with the parameters that its query must have."""
    path, _, query = operation["http"]["requestUri"].partition("?")
    shape = shapes[operation["input"]["shape"]] if "input" in operation else {}
    members = [shape["members"][name] for name in shape.get("required", [])]
    names = [m["locationName"] for m in members if m.get("location") == "querystring"]
    return f"{path}?{'&'.join(filter(None, (query, *names)))}"


def _cbor(members: dict[str, str]) -> bytes:
    """Return a map of texts in CBOR.

    Source: https://www.rfc-editor.org/rfc/rfc8949.html#section-3
    """
    content = b"".join(_text(part) for pair in members.items() for part in pair)
    return bytes([0xA0 + len(members)]) + content


def _text(text: str) -> bytes:
    body = text.encode()
    return bytes([0x79]) + len(body).to_bytes(2, "big") + body
