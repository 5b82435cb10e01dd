"""The operation that a REST request names by its method and path, from botocore's model. Pure.

Source: https://smithy.io/2.0/spec/http-bindings.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from urllib.parse import unquote

from localcloud.aws.protocol import service_model
from localcloud.aws.routing import Request


def rest_operation(request: Request) -> tuple[str, dict[str, str]]:
    """Return the operation of a request and its parameters in the path; the name may be empty."""
    query = set(request.query.split("&"))
    for method, pattern, fixed, name in _operations(request.service):
        if method != request.method or not fixed <= query:
            continue
        found = pattern.fullmatch(request.path)
        if found is not None:
            return name, {member: unquote(value) for member, value in found.groupdict().items()}
    return "", {}


@cache
def _operations(service: str) -> list[tuple[str, re.Pattern[str], frozenset[str], str]]:
    """Return method, path, fixed query and name of each operation, the most specific first."""

    def found() -> Iterator[tuple[str, re.Pattern[str], frozenset[str], str]]:
        model = service_model(service)
        for name in model.operation_names:
            http = model.operation_model(name).http
            path, _, query = http["requestUri"].partition("?")
            path = path.rstrip("/")
            parts = re.split(r"\{(\w+)\+?\}", path)
            fixed = [re.escape(part) for part in parts[::2]]
            names = [f"(?P<{part}>[^/]+)" for part in parts[1::2]]
            pattern = "".join(a + b for a, b in zip(fixed, [*names, ""], strict=True))
            in_query = frozenset(part for part in query.split("&") if part)
            yield http["method"], re.compile(pattern + "/?"), in_query, name

    return sorted(found(), key=lambda each: (each[1].pattern.count("(?P<"), -len(each[2])))
