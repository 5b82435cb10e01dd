"""Requests derived from botocore's service models: what fits them, and what just does not."""

from __future__ import annotations

import http.client
import json
import re
from functools import cache
from typing import Any
from urllib.parse import urlencode, urlsplit
from xml.etree import ElementTree

import botocore.session
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
            return st.floats(least, limits.get("max", least + 100), allow_nan=False, width=32)
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
        if model.metadata["protocol"] == "query":
            return self.send_text(service, name, _query(model.operation_model(name), parameters))
        return self.send_text(service, name, json.dumps(parameters))

    def send_text(self, service: str, name: str, body: str) -> tuple[int, str, str]:
        """Send a body as it is; return as `send` does."""
        model = model_of(service)
        scope = f"000000000000/20260101/us-east-1/{model.signing_name}/aws4_request"
        headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, Signature=0"}
        if model.metadata["protocol"] == "query":
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        else:
            headers["Content-Type"] = "application/x-amz-json-1.1"
            headers["X-Amz-Target"] = f"{model.metadata['targetPrefix']}.{name}"
        # One a request: the server closes a connection that thinks for five seconds.
        connection = http.client.HTTPConnection(self._address, timeout=20)
        try:
            connection.request("POST", "/", body.encode(), headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        code = _code(text, answer.headers.get("content-type", "")) if answer.status >= 400 else ""
        return answer.status, code, text


def _query(operation: OperationModel, parameters: dict[str, Any]) -> str:
    serializer = create_serializer("query", include_validation=False)
    return urlencode(serializer.serialize_to_request(parameters, operation)["body"])


def _code(text: str, content_type: str) -> str:
    if "xml" in content_type:
        found = ElementTree.fromstring(text).find(".//Code")  # noqa: S314 - the local cloud's own
        return "" if found is None else str(found.text)
    return str(json.loads(text)["__type"])
