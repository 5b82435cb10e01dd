"""Event patterns: their validation, and the matching of wildcards. Pure.

moto matches the patterns. It takes any JSON for one, so a pattern that it cannot match would fail
each event of its bus. Must not: store a rule or know an event.

Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-pattern-operators.html
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from localcloud.core.glob import Glob

# Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html
LONGEST_PATTERN = 4096
# Deeper than any event of AWS; moto matches a pattern by recursion.
_DEEPEST = 50
_COMPARISONS = frozenset({"<", "<=", "=", ">=", ">"})


class EventPatternError(ValueError):
    """A pattern that EventBridge would refuse; the message is the reason that it gives."""


def parse(text: str) -> dict[str, Any]:
    """Return a pattern.

    Args:
        text: JSON of at most 4,096 characters.

    Raises:
        EventPatternError: it is not a pattern.
    """
    if len(text) > LONGEST_PATTERN:
        raise EventPatternError(
            f"The pattern has {len(text)} characters; at most {LONGEST_PATTERN} are allowed"
        )
    try:
        pattern = json.loads(text)
    except (ValueError, RecursionError):
        raise EventPatternError("Invalid JSON") from None
    if not isinstance(pattern, dict):
        raise EventPatternError("Filter is not an object")
    _check_object(pattern, 1)
    return pattern


def _check_object(pattern: dict[str, Any], depth: int) -> None:
    if depth > _DEEPEST:
        raise EventPatternError(f"The pattern is nested more than {_DEEPEST} levels deep")
    for name, value in pattern.items():
        if name == "$or" and _is_alternatives(value):
            for alternative in value:
                _check_object(alternative, depth + 1)
        elif isinstance(value, dict):
            if not value:
                raise EventPatternError("Empty objects are not allowed")
            _check_object(value, depth + 1)
        elif isinstance(value, list):
            if not value:
                raise EventPatternError("Empty arrays are not allowed")
            for entry in value:
                _check_value(entry)
        else:
            raise EventPatternError(f"'{name}' must be an object or an array")


def _is_alternatives(value: Any) -> bool:
    """Return whether the value of `$or` is a list of patterns, and not a field of that name."""
    return (
        isinstance(value, list)
        and len(value) > 1
        and all(isinstance(entry, dict) and entry for entry in value)
        and not any(name in _CHECKS for entry in value for name in entry)
    )


def _check_value(value: Any) -> None:
    if isinstance(value, list):
        raise EventPatternError("Match value must be String, number, true, false, or null")
    if isinstance(value, dict):
        _check_expression(value)


def _check_expression(expression: dict[str, Any]) -> None:
    if len(expression) != 1:
        raise EventPatternError("Only one key allowed in match expression")
    (kind, argument), *_ = expression.items()
    if kind not in _CHECKS:
        raise EventPatternError(f"Unrecognized match type {kind}")
    _CHECKS[kind](kind, argument)


def _check_text(kind: str, argument: Any) -> None:
    if not isinstance(argument, str):
        raise EventPatternError(f"{kind} match pattern must be a string")


def _check_texts(kind: str, argument: Any) -> None:
    """Check an operand that is a text, or a text to compare without case."""
    if isinstance(argument, dict) and list(argument) == ["equals-ignore-case"]:
        argument = argument["equals-ignore-case"]
    _check_text(kind, argument)


def _check_exists(kind: str, argument: Any) -> None:
    if not isinstance(argument, bool):
        raise EventPatternError(f"{kind} match pattern must be either true or false")


def _check_numeric(kind: str, argument: Any) -> None:
    if not isinstance(argument, list) or len(argument) not in (2, 4):
        raise EventPatternError(f"Value of {kind} must be an array of one or two comparisons")
    for comparison, number in zip(argument[::2], argument[1::2], strict=True):
        if not isinstance(comparison, str) or comparison not in _COMPARISONS:
            raise EventPatternError(f"Unrecognized numeric range operator: {comparison}")
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise EventPatternError(f"Value of {comparison} must be numeric")


def _check_wildcard(kind: str, argument: Any) -> None:
    _check_text(kind, argument)
    _wildcard(argument)


def _check_anything_but(kind: str, argument: Any) -> None:
    if isinstance(argument, dict):
        if len(argument) != 1 or next(iter(argument)) not in _IN_ANYTHING_BUT:
            known = ", ".join(_IN_ANYTHING_BUT)
            raise EventPatternError(f"Unsupported anything-but pattern; it may have one of {known}")
        (inner, operand), *_ = argument.items()
        for entry in operand if isinstance(operand, list) and operand else [operand]:
            _CHECKS[inner](inner, entry)
        return
    if argument == []:
        raise EventPatternError("Empty arrays are not allowed")
    for entry in argument if isinstance(argument, list) else [argument]:
        if isinstance(entry, bool) or not isinstance(entry, str | int | float):
            raise EventPatternError(f"Value of {kind} must be an array or single string/number")


_IN_ANYTHING_BUT = ("prefix", "suffix", "wildcard", "equals-ignore-case")
_CHECKS: dict[str, Callable[[str, Any], None]] = {
    "exists": _check_exists,
    "prefix": _check_texts,
    "suffix": _check_texts,
    "equals-ignore-case": _check_text,
    "wildcard": _check_wildcard,
    "numeric": _check_numeric,
    "cidr": _check_text,
    "anything-but": _check_anything_but,
}


def wildcard_matches(pattern: str, value: str) -> bool:
    """Return whether a wildcard pattern matches a whole value, in a time linear in both.

    Raises:
        EventPatternError: the pattern has two stars in a row, or a wrong escape.
    """
    return _wildcard(pattern).matches(value)


@lru_cache(maxsize=1024)
def _wildcard(pattern: str) -> Glob:
    parts: list[list[str]] = [[]]
    characters = enumerate(pattern)
    starred = False
    for place, character in characters:
        if character == "*":
            if starred:
                raise EventPatternError(f"Consecutive wildcard characters at pos {place - 1}")
            parts.append([])
        elif character == "\\":
            _, escaped = next(characters, (0, ""))
            if escaped not in ("*", "\\"):
                raise EventPatternError(f"Invalid escape character at pos {place}")
            parts[-1].append(escaped)
        else:
            parts[-1].append(character)
        starred = character == "*"
    return Glob(parts)
