"""Requests derived from botocore's service models: what fits them, and what just does not."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any
from urllib.parse import urlencode, urlsplit
from xml.etree import ElementTree

import botocore.session
from botocore.exceptions import ParamValidationError
from botocore.model import OperationModel, ServiceModel, Shape, StructureShape
from botocore.serialize import create_serializer
from hypothesis import strategies as st

# Names that requests meet again, so that they reach what is behind the first look-up.
NAMES = ("fuzz", "other")
_LONGEST = 24
_UNLIMITED = 100_000
_DEEPEST = 5
# Java's classes of characters, as far as the models use them.
_JAVA = {
    r"[\p{L}\p{Z}\p{N}": r"[\w ",
    r"\p{L}": r"\w",
    r"\p{Z}": " ",
    r"\p{N}": r"\d",
    r"\p{Alpha}": "a-zA-Z",
    r"\p{Alnum}": "a-zA-Z0-9",
}


@cache
def model_of(service: str) -> ServiceModel:
    """Return botocore's model of a service."""
    session = botocore.session.get_session()
    return ServiceModel(session.get_service_data(service), service)


def valid(operation: OperationModel) -> st.SearchStrategy[dict[str, Any]]:
    """Return parameters that fit an operation's model."""
    shape = operation.input_shape
    return st.just({}) if shape is None else _structure(shape, 0)


@st.composite
def invalid(draw: st.DrawFn, operation: OperationModel) -> dict[str, Any]:
    """Return parameters of which exactly one member does not fit."""
    shape = operation.input_shape
    parameters = dict(draw(valid(operation)))
    name, bad = draw(st.sampled_from(list(breakable(shape))))
    if bad is None:
        parameters.pop(name, None)
    else:
        parameters[name] = bad
    return parameters


# Values that no model expects, or that a program takes badly.
ODD: list[Any] = [
    *(None, True, -1, 0, 2**31, 2**63, 10**30, -(10**30), 1.5, 1e308, float("nan"), float("inf")),
    *("", " ", "\0", "\ud800", "a" * 5000, "é" * 300, "../..", "%", "${x}", "*" * 50, "arn:aws:::"),
    *("arn:aws:x:y:000000000000:z/a/b", "2026-99-99", "9" * 400, "(a+)+b", "{}", "[", "fuzz"),
    *([], {}, [[]], [None], {"": {}}, {"a": [{}]}, [{"Key": "a"}] * 200, [[[[[[[[[[]]]]]]]]]]),
]


@st.composite
def odd(draw: st.DrawFn, operation: OperationModel) -> Any:
    """Return parameters of which one member, at any depth, is replaced by an odd value."""
    parameters = draw(valid(operation))
    places = list(_places(parameters))
    if not places or draw(st.integers(0, 9)) == 0:
        return draw(st.sampled_from(ODD))
    holder, key = draw(st.sampled_from(places))
    holder[key] = draw(st.sampled_from(ODD))
    return parameters


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each member of a value as its holder and its key."""
    if not isinstance(value, dict | list):
        return
    for key, member in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        yield from _places(member)


@st.composite
def garbled(draw: st.DrawFn, body: bytes) -> bytes:
    """Return a body that is cut, repeated, or has other bytes."""
    place = draw(st.integers(0, len(body)))
    return draw(
        st.sampled_from(
            [
                body[:place],
                body[:place] + b"\0" + body[place:],
                body[:place] + b"\xff\xfe" + body[place:],
                body + body,
                body[:place] + b"[" * 300 + body[place:],
                body[:place] + b"<a>&b;" + body[place:],
                body[:place] + b"&=&%&" + body[place:],
                body.replace(b'"', b"'"),
            ]
        )
    )


def breakable(shape: StructureShape | None) -> list[tuple[str, Any]]:
    """Return (member, value that does not fit) of a shape; None for a member that must be there."""
    found: list[tuple[str, Any]] = []
    if shape is None:
        return found
    found += [(name, None) for name in shape.required_members]
    for name, member in shape.members.items():
        limits = member.metadata
        if member.type_name == "string":
            if member.metadata.get("enum"):
                found.append((name, "no such value"))
            elif "max" in limits and limits["max"] < 10_000:
                found.append((name, "a" * (limits["max"] + 1)))
            if limits.get("min", 0) > 0:
                found.append((name, ""))
        elif member.type_name in ("integer", "long") and "max" in limits:
            found.append((name, limits["max"] + 1))
        elif member.type_name == "list" and limits.get("min", 0) > 0:
            found.append((name, []))
    return found


def _values(shape: Shape, depth: int) -> st.SearchStrategy[Any]:
    limits = shape.metadata
    match shape.type_name:
        case "structure":
            return _structure(shape, depth)
        case "list":
            least = limits.get("min", 0)
            most = min(limits.get("max", least + 2), least + 2)
            return st.lists(_values(shape.member, depth + 1), min_size=least, max_size=most)
        case "map":
            least = limits.get("min", 0)
            return st.dictionaries(
                _values(shape.key, depth + 1),
                _values(shape.value, depth + 1),
                min_size=least,
                max_size=min(limits.get("max", least + 2), least + 2),
            )
        case "string":
            return _string(shape)
        case "boolean":
            return st.booleans()
        case "integer" | "long":
            least = limits.get("min", 0)
            return st.integers(least, min(limits.get("max", least + 100), least + 10_000))
        case "float" | "double":
            least = limits.get("min", 0)
            return st.floats(least, limits.get("max", least + 100), allow_nan=False)
        case "timestamp":
            return st.integers(1_000_000_000, 2_000_000_000)
        case "blob":
            return st.just("ZnV6eg==")
    raise AssertionError(f"{shape.name} has the kind {shape.type_name}, which nothing makes")


def _structure(shape: Any, depth: int) -> st.SearchStrategy[dict[str, Any]]:
    required = {
        name: _values(shape.members[name], depth + 1)
        for name in shape.required_members
        if name in shape.members
    }
    if depth >= _DEEPEST:
        return st.fixed_dictionaries(required)
    optional = {
        name: _later(member, depth + 1)
        for name, member in shape.members.items()
        if name not in required
    }
    if getattr(shape, "is_tagged_union", False):
        return st.sampled_from(sorted(optional)).flatmap(
            lambda name: st.fixed_dictionaries({name: optional[name]})
        )
    # A few optional members at a time: all of them at once would never meet the rest of a rule.
    chosen = st.lists(st.sampled_from(sorted(optional)), max_size=4, unique=True)
    return (chosen if optional else st.just([])).flatmap(
        lambda names: st.fixed_dictionaries(required | {name: optional[name] for name in names})
    )


def _later(shape: Shape, depth: int) -> st.SearchStrategy[Any]:
    """Return a shape's values, made when they are drawn: shapes may hold themselves."""
    return st.deferred(lambda: _values(shape, depth))


@cache
def _string(shape: Shape) -> st.SearchStrategy[str]:
    limits = shape.metadata
    if limits.get("enum"):
        return st.sampled_from(limits["enum"])
    least, most = limits.get("min", 0), limits.get("max", _UNLIMITED)
    known = [name for name in NAMES if least <= len(name) <= most]
    pattern = _compiled(limits.get("pattern"))
    if pattern is None:
        letters = st.text("abcXYZ019-_ é", min_size=least, max_size=min(most, least + _LONGEST))
        return st.sampled_from(known) | letters if known else letters
    known = [name for name in known if pattern.fullmatch(name)]
    made = st.from_regex(pattern, fullmatch=True).filter(lambda s: least <= len(s) <= most)
    return st.sampled_from(known) | made if known else made


def _compiled(text: str | None) -> re.Pattern[str] | None:
    if text is None:
        return None
    for java, python in _JAVA.items():
        text = text.replace(java, python)
    try:
        return re.compile(text)
    except re.error:
        return None


class Wire:
    """Sends parameters as they are, without a client that would refuse them first."""

    def __init__(self, url: str) -> None:
        self._address = str(urlsplit(url).netloc)

    def send(self, service: str, name: str, parameters: dict[str, Any]) -> tuple[int, str, str]:
        """Return the status, the error's code ("" for none) and the body of an answer."""
        model = model_of(service)
        if protocol_of(service) == "query":
            return self.send_text(service, name, _query(model.operation_model(name), parameters))
        return self.send_text(service, name, json.dumps(parameters))

    def send_text(self, service: str, name: str, body: str) -> tuple[int, str, str]:
        """Send a body as it is; return as `send` does."""
        return self.send_bytes(service, name, body.encode())

    def send_bytes(self, service: str, name: str, body: bytes) -> tuple[int, str, str]:
        """Send a body as it is; return as `send` does."""
        model = model_of(service)
        scope = f"000000000000/20260101/us-east-1/{model.signing_name}/aws4_request"
        headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, Signature=0"}
        if protocol_of(service) == "query":
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        else:
            headers["Content-Type"] = "application/x-amz-json-1.1"
            headers["X-Amz-Target"] = f"{model.metadata['targetPrefix']}.{name}"
        return self.exchange("POST", "/", headers, body)

    def send_serialized(
        self, service: str, operation: OperationModel, parameters: dict[str, Any]
    ) -> tuple[int, str, str]:
        """Send parameters in the protocol of the service; return as `send` does."""
        match protocol_of(service):
            case "json":
                body = json.dumps(parameters).encode()
            case "query":
                body = form(operation, parameters)
            case protocol:
                serializer = create_serializer(protocol, include_validation=False)
                try:
                    request = serializer.serialize_to_request(parameters, operation)
                except (TypeError, ValueError, AttributeError, KeyError, ParamValidationError):
                    return 0, "", ""  # no client could send it
                return self.send_request(service, request)
        return self.send_bytes(service, operation.name, body)

    def send_request(self, service: str, request: Mapping[str, Any]) -> tuple[int, str, str]:
        """Send a request as botocore serializes it; return as `send` does."""
        model = model_of(service)
        scope = f"000000000000/20260101/us-east-1/{model.signing_name}/aws4_request"
        headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, Signature=0"}
        headers |= {
            name: re.sub(r"[^\x20-\x7e]", "?", str(value))
            for name, value in request["headers"].items()
            # The client counts the body itself: a server waits for what a length announces.
            if name.lower() != "content-length"
        }
        query = request["query_string"]
        path = re.sub(r"[^\x21-\x7e]", "?", request["url_path"])
        path += "?" + urlencode(query, errors="replace") if query else ""
        body = request["body"] or b""
        sent = body if isinstance(body, bytes) else str(body).encode("utf-8", "replace")
        return self.exchange(request["method"], path, headers, sent)

    def exchange(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, str, str]:
        """Send a request; return the status, the error's code and the body of an answer."""
        # One a request, so that none ends the connection of another.
        connection = http.client.HTTPConnection(self._address, timeout=20)
        try:
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
        finally:
            connection.close()
        code = _code(text, answer.headers.get("content-type", "")) if answer.status >= 400 else ""
        return answer.status, code, text


def protocol_of(service: str) -> str:
    """Return the protocol in which requests are sent to a service."""
    metadata = model_of(service).metadata
    offered = metadata.get("protocols", [metadata["protocol"]])
    return next(p for p in ("json", "query", "rest-json", "rest-xml") if p in offered)


def form(operation: OperationModel, parameters: Any) -> bytes:
    """Return the body of a query request, also for parameters that botocore cannot serialize."""
    try:
        return _query(operation, parameters).encode("utf-8", "replace")
    except (TypeError, ValueError, AttributeError, KeyError, UnicodeEncodeError):
        version = operation.service_model.api_version
        text = json.dumps(parameters)[:5000]
        return urlencode(
            {"Action": operation.name, "Version": version, "Name": text, "StackName": text}
        ).encode()


def _query(operation: OperationModel, parameters: dict[str, Any]) -> str:
    serializer = create_serializer("query", include_validation=False)
    return urlencode(serializer.serialize_to_request(parameters, operation)["body"])


def _code(text: str, content_type: str) -> str:
    if "xml" in content_type:
        if not text:  # an answer to HEAD has no body
            return ""
        found = ElementTree.fromstring(text).find(".//Code")  # noqa: S314 - the local cloud's own
        return "" if found is None else str(found.text)
    try:
        document = json.loads(text)
    except ValueError:
        return text[:60]
    return str(document.get("__type") or document.get("Code") or document.get("message", ""))
