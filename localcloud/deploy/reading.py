"""Expresses what AWS has in the program's terms. Pure.

AWS answers with more than a program asked for (its defaults), in another order, and with policies
written in another way. `settled` returns AWS's values, but the known one wherever both mean the
same, so that a resource that nobody changed reads back equal to its inputs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Lists whose order means nothing to AWS, which returns them in another one.
_UNORDERED = frozenset(
    {
        *("alarmActions", "okActions", "insufficientDataActions", "architectures"),
        *("environmentVariables", "artifactStores", "costFilters", "values", "notifications"),
        *("subscriberEmailAddresses", "subscriberSnsTopicArns", "metricQueries", "rules"),
        *("transitions", "noncurrentVersionTransitions", "variables"),
    }
)
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Terms:
    """The differences between a type's answers and the inputs of a program.

    Attributes:
        defaults: values that AWS has where the program names none, by path without positions, such
            as `stages.actions.runOrder`.
        filled: inputs that AWS fills in if the program leaves them out, with a value of its choice.
        unread: inputs that AWS does not return, and of which the known value stays.
    """

    defaults: Mapping[str, Any] = field(default_factory=dict)
    filled: frozenset[str] = frozenset()
    unread: frozenset[str] = frozenset()


def settled(actual: dict[str, Any], known: dict[str, Any] | None, terms: Terms) -> dict[str, Any]:
    """Return AWS's values as the inputs of a program.

    Args:
        actual: the values, under the names of inputs.
        known: the inputs that the resource was last deployed with; None if there are none, as when
            it is imported: then inputs that AWS fills in are returned, too.
        terms: how the type's answers differ from inputs.
    """
    wanted = known or {}
    kept = {key: wanted[key] for key in terms.unread if key in wanted}
    hidden = terms.filled if known is not None else frozenset()
    seen = {
        key: value
        for key, value in actual.items()
        if key in wanted or (key not in hidden and key not in terms.unread)
    }
    found: dict[str, Any] = _settle({**seen, **kept}, wanted, "", terms.defaults)
    return found


def _settle(actual: Any, known: Any, path: str, defaults: Mapping[str, Any]) -> Any:
    if means_the_same(actual, known):
        return known
    if isinstance(actual, dict):
        return _settle_structure(actual, known if isinstance(known, dict) else {}, path, defaults)
    if isinstance(actual, list):
        rest, found = list(known) if isinstance(known, list) else [], []
        if path.rpartition(".")[2] in _UNORDERED:
            actual = _ordered_as(actual, rest, path, defaults)
        for position, item in enumerate(actual):
            like = rest[position] if position < len(rest) else None
            found.append(_settle(item, like, path, defaults))
        return found
    return actual


def _settle_structure(
    actual: dict[str, Any], known: dict[str, Any], path: str, defaults: Mapping[str, Any]
) -> dict[str, Any]:
    found = {}
    for key in [*known, *(key for key in actual if key not in known)]:
        inner = f"{path}.{key}" if path else key
        value, like = actual.get(key, _ABSENT), known.get(key, _ABSENT)
        if value is _ABSENT:
            if _is_default(inner, like, defaults):
                found[key] = like
        elif like is not _ABSENT:
            found[key] = _settle(value, like, inner, defaults)
        elif not _is_default(inner, value, defaults):
            settled_value = _settle(value, None, inner, defaults)
            if not _is_default(inner, settled_value, defaults):
                found[key] = settled_value
    return found


def _ordered_as(
    actual: list[Any], known: list[Any], path: str, defaults: Mapping[str, Any]
) -> list[Any]:
    """Return a list in the known order as far as its items are known."""
    left, found = list(actual), []
    for like in known:
        same = next((item for item in left if _settle(item, like, path, defaults) == like), None)
        if same is not None:
            left.remove(same)
            found.append(same)
    return found + left


def _is_default(path: str, value: Any, defaults: Mapping[str, Any]) -> bool:
    if path in defaults:
        return means_the_same(value, defaults[path])
    return value in (None, "", False) or value == [] or value == {}


def means_the_same(one: Any, other: Any) -> bool:
    """Return whether two values mean the same to AWS: numbers as text, policies as documents."""
    if one == other:
        return True
    if isinstance(one, str) and isinstance(other, str):
        documents = (_document(one), _document(other))
        return documents[0] is not None and documents[0] == documents[1]
    scalar = (str, int, float)
    if isinstance(one, scalar) and isinstance(other, scalar):
        return _text(one) == _text(other)
    return False


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value}".removesuffix(".0")


def _document(text: str) -> Any:
    """Return a document of JSON, a policy in one form; None if the text is none."""
    if not text.startswith(("{", "[")):
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return None
    is_policy = isinstance(found, dict) and "Statement" in found
    return _canonical(found) if is_policy else found


def _canonical(value: Any) -> Any:
    """Return a part of a policy: AWS makes no difference between `x` and `["x"]`.

    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
    """
    if isinstance(value, dict):
        return {key: _canonical(inner) for key, inner in value.items()}
    if isinstance(value, list):
        inner = [_canonical(item) for item in value]
        if len(inner) == 1:
            return inner[0]
        return sorted(inner) if all(isinstance(item, str) for item in inner) else inner
    return _text(value) if isinstance(value, bool) else value
