"""Pages of the lists that moto answers: of the asked size, and with tokens that are checked.

moto ignores the page size of many lists, and takes any text as a token. So a list is asked for
without either, whole, and one page of it is given. botocore's paginators say which member of which
operation is what. A token names the operation and the last entry of its page.

Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListRoles.html and the other lists
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlencode
from xml.etree import ElementTree

import botocore.session

from localcloud.aws.pagination import page
from localcloud.aws.protocol import service_model
from localcloud.aws.routing import Request, Response
from localcloud.moto_backend.validation import operation_of

# The error code of a token that the list did not give, by service.
_CODES = {
    "budgets": "InvalidNextTokenException",
    "codebuild": "InvalidInputException",
    "codecommit": "InvalidContinuationTokenException",
    "ecr": "InvalidParameterException",
    "events": "ValidationException",
    "iam": "ValidationError",
    "kms": "InvalidMarkerException",
    "lambda": "InvalidParameterValueException",
    "logs": "InvalidParameterException",
    "secretsmanager": "InvalidNextTokenException",
    "sns": "InvalidParameter",
    "sqs": "InvalidParameterValue",
    "ssm": "InvalidNextToken",
}
# moto's pages are right, and reading the whole list would cost too much.
_UNTOUCHED = frozenset({"logs:FilterLogEvents"})
_DEFAULT_SIZE = 100
_MOST_CALLS = 1_000
# The members of an entry that name it, the first that it has.
_NAMING = re.compile(r"(?i)arn$|id$|name$|^key$|^tagkey$")


# Parameters of a request by name, and a request with other parameters.
_Read = Callable[[Request], dict[str, Any]]
_Write = Callable[[Request, dict[str, Any]], Request]


@dataclass(frozen=True, slots=True)
class _Paging:
    """The members of one list operation that have to do with pages.

    Attributes:
        token_in: the member of the request for a token.
        token_out: the member of the response for one.
        size: the member of the request for the size of a page; empty if it has none.
        lists: the lists of the response, which share its pages.
        more: the member of the response that says whether there is more, or empty.
        default_size: entries of a page whose request has no size.
    """

    service: str
    operation: str
    token_in: str
    token_out: str
    size: str
    lists: tuple[str, ...]
    more: str
    default_size: int


def paged(request: Request, answer: Callable[[Request], Response]) -> Response:
    """Answer a request; if it is for a list, give the page that it asks for.

    Args:
        request: the request.
        answer: lets moto answer a request.

    Raises:
        AwsError: the token is none of this list.
    """
    operation, protocol, _ = operation_of(request)
    paging = _pagings(request.service).get(operation) if request.service in _CODES else None
    if paging is None or protocol not in _FORMS:
        return answer(request)
    read, write = _FORMS[protocol]
    given = read(request)
    token, size = given.pop(paging.token_in, None), given.pop(paging.size, None)
    document: _Json | _Xml | None = None
    entries: list[tuple[str, Any]] = []
    inner: str | None = None
    for _ in range(_MOST_CALLS):
        more: dict[str, Any] = {paging.token_in: inner} if inner else {}
        response = answer(write(request, {**given, **more}))
        if response.status >= 300:
            break
        found = (_Xml if protocol == "query" else _Json)(response, paging)
        entries += found.entries()
        document, inner = document or found, found.token()
        if not inner:
            break
    if document is None or response.status >= 300:
        return response
    shown, following = page(
        _numbered(entries),
        lambda entry: f"{paging.operation} {entry[0]}",
        str(token) if token else None,
        max(1, int(size or paging.default_size)),
        _CODES[paging.service],
    )
    return document.give([entry for _, entry in shown], following)


@cache
def _pagings(service: str) -> dict[str, _Paging]:
    """Return the list operations of a service, by name."""
    loader = botocore.session.get_session().get_component("data_loader")
    found = {}
    for operation, config in loader.load_service_model(service, "paginators-1")[
        "pagination"
    ].items():
        lists = config["result_key"]
        lists = (lists,) if isinstance(lists, str) else tuple(lists)
        size = config.get("limit_key", "")
        members = service_model(service).operation_model(operation).input_shape.members
        most = members[size].metadata.get("max") if size else None
        names = (config["input_token"], config["output_token"], *lists)
        plain = all(isinstance(name, str) and name.isidentifier() for name in names)
        if plain and f"{service}:{operation}" not in _UNTOUCHED:
            found[operation] = _Paging(
                service,
                operation,
                config["input_token"],
                config["output_token"],
                size,
                lists,
                config.get("more_results", ""),
                min(_DEFAULT_SIZE, most or _DEFAULT_SIZE),
            )
    return found


def _numbered(entries: list[tuple[str, Any]]) -> list[tuple[str, tuple[str, Any]]]:
    """Return the entries with names of their own: a parameter's history has one name for all."""
    seen: Counter[str] = Counter()
    found = []
    for of_list, entry in entries:
        name = f"{of_list} {_name_of(entry)}"
        seen[name] += 1
        found.append((f"{name} {seen[name]}", (of_list, entry)))
    return found


def _name_of(entry: Any) -> str:
    if isinstance(entry, ElementTree.Element):
        parts = {child.tag.rpartition("}")[2]: child.text for child in entry} or entry.text or ""
    else:
        parts = entry
    if isinstance(parts, dict):
        for key, value in parts.items():
            if _NAMING.search(key) and isinstance(value, str):
                return value
        parts = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(str(parts).encode()).hexdigest() if len(str(parts)) > 256 else str(parts)


class _Json:
    """A response in JSON."""

    def __init__(self, response: Response, paging: _Paging) -> None:
        self._response, self._paging = response, paging
        self._document: dict[str, Any] = json.loads(response.body or b"{}")

    def entries(self) -> list[tuple[str, Any]]:
        """Return the entries of all lists, each with the name of its list."""
        return [(n, entry) for n in self._paging.lists for entry in self._document.get(n) or []]

    def token(self) -> str | None:
        """Return moto's own token of the next page."""
        return self._document.get(self._paging.token_out) or None

    def give(self, entries: list[tuple[str, Any]], token: str | None) -> Response:
        """Return the response with these entries."""
        document = dict(self._document)
        for name in self._paging.lists:
            if name in document:
                document[name] = [entry for of_list, entry in entries if of_list == name]
        document.pop(self._paging.token_out, None)
        if token:
            document[self._paging.token_out] = token
        if self._paging.more:
            document[self._paging.more] = token is not None
        body = json.dumps(document).encode()
        return replace(self._response, headers=_headers(self._response), body=body)


class _Xml:
    """A response in XML: the result is the first element, and each list has `member` elements."""

    def __init__(self, response: Response, paging: _Paging) -> None:
        self._response, self._paging = response, paging
        self._root = ElementTree.fromstring(response.body)  # noqa: S314 - moto's own response
        self._space = self._root.tag.partition("}")[0].lstrip("{") if "}" in self._root.tag else ""
        self._result = self._root[0]

    def entries(self) -> list[tuple[str, Any]]:
        """Return the entries of all lists, each with the name of its list."""
        return [(n, entry) for n in self._paging.lists for entry in self._child(n) or []]

    def token(self) -> str | None:
        """Return moto's own token of the next page."""
        found = self._child(self._paging.token_out)
        return found.text if found is not None else None

    def give(self, entries: list[tuple[str, Any]], token: str | None) -> Response:
        """Return the response with these entries."""
        for name in self._paging.lists:
            found = self._child(name)
            if found is not None:
                found[:] = [entry for of_list, entry in entries if of_list == name]
        self._set(self._paging.token_out, token)
        if self._paging.more:
            self._set(self._paging.more, "true" if token else "false")
        body = ElementTree.tostring(self._root, default_namespace=self._space or None)
        return replace(self._response, headers=_headers(self._response), body=body)

    def _child(self, name: str) -> ElementTree.Element | None:
        return self._result.find(f"{{{self._space}}}{name}" if self._space else name)

    def _set(self, name: str, text: str | None) -> None:
        found = self._child(name)
        if found is None:
            found = ElementTree.SubElement(
                self._result, f"{{{self._space}}}{name}" if self._space else name
            )
        if text is None:
            self._result.remove(found)
        found.text = text


def _headers(response: Response) -> dict[str, str]:
    return {k: v for k, v in response.headers.items() if k != "content-length"}


def _read_json(request: Request) -> dict[str, Any]:
    return dict(json.loads(request.body or b"{}"))


def _write_json(request: Request, members: dict[str, Any]) -> Request:
    return replace(request, body=json.dumps(members).encode())


def _read_form(request: Request) -> dict[str, Any]:
    return dict(parse_qsl(request.body.decode(), keep_blank_values=True))


def _write_form(request: Request, members: dict[str, Any]) -> Request:
    return replace(request, body=urlencode(members).encode())


def _read_query(request: Request) -> dict[str, Any]:
    return dict(parse_qsl(request.query, keep_blank_values=True))


def _write_query(request: Request, members: dict[str, Any]) -> Request:
    return replace(request, query=urlencode(members))


# Protocol → how a request's parameters are read and replaced.
_FORMS: dict[str, tuple[_Read, _Write]] = {
    "json": (_read_json, _write_json),
    "query": (_read_form, _write_form),
    "rest-json": (_read_query, _write_query),
}
