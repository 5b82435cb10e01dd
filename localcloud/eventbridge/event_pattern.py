"""Event patterns: their validation, their alternatives, and the matching of wildcards. Pure.

Must not: store a rule or know an event; `event_matching.py` matches an event.

Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-pattern-operators.html
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from localcloud.core.glob import Glob

# Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html
LONGEST_PATTERN = 4096
# Deeper than any event of AWS.
_DEEPEST = 50
# Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
MOST_ALTERNATIVES = 1000
# Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
_LARGEST_NUMBER = 5_000_000_000
_COMPARISONS = frozenset({"<", "<=", "=", ">=", ">"})


# What one way through the `$or` of a pattern says: path → the values of which one must match. As in
# AWS's matcher, a path is names with dots between them, so that a name with a dot is a path, too.
Alternative = dict[str, list[Any]]


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
    alternatives(pattern)
    return pattern


def alternatives(pattern: dict[str, Any]) -> list[Alternative]:
    """Return the alternatives of a pattern, which `$or` multiplies.

    Raises:
        EventPatternError: there are over 1,000.
    """
    return _extended([{}], "", pattern)


def _extended(found: list[Alternative], path: str, pattern: dict[str, Any]) -> list[Alternative]:
    for name, value in pattern.items():
        inner = f"{path}.{name}" if path else name
        if name == "$or" and _is_alternatives(value):
            before, found = found, []
            for part in value:
                found += _extended(before, path, part)
                if len(found) > MOST_ALTERNATIVES:
                    raise EventPatternError(
                        f"The pattern has over {MOST_ALTERNATIVES} combinations of the "
                        "alternatives in $or"
                    )
        elif isinstance(value, dict):
            found = _extended(found, inner, value)
        else:
            # A new dictionary, because the alternatives of `$or` begin with the same ones.
            found = [{**each, inner: value} for each in found]
    return found


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
        if abs(number) > _LARGEST_NUMBER:
            raise EventPatternError(
                f"Value of {comparison} must be between -{_LARGEST_NUMBER:g} and "
                f"{_LARGEST_NUMBER:g}, inclusive"
            )
    if len(argument) == 4:
        first, low, second, high = argument
        if first not in (">", ">=") or second not in ("<", "<="):
            raise EventPatternError("Bad numeric range operator: " + str(second))
        if low >= high:
            raise EventPatternError("Bottom must be less than top")


def _check_cidr(kind: str, argument: Any) -> None:
    _check_text(kind, argument)
    if argument.count("/") != 1:
        raise EventPatternError("Malformed CIDR, one '/' required")
    try:
        ipaddress.ip_network(argument, strict=False)
    except ValueError:
        raise EventPatternError(f"Malformed CIDR, '{argument[:100]}'") from None


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
            _check_text(inner, entry)
            _CHECKS[inner](inner, entry)
            if inner in ("prefix", "suffix") and not entry:
                raise EventPatternError("Null prefix/suffix not allowed")
        return
    if argument == []:
        raise EventPatternError("Empty arrays are not allowed")
    entries = argument if isinstance(argument, list) else [argument]
    for entry in entries:
        if isinstance(entry, bool) or not isinstance(entry, str | int | float):
            raise EventPatternError(f"Value of {kind} must be an array or single string/number")
    if len({isinstance(entry, str) for entry in entries}) > 1:
        raise EventPatternError(
            "Inside anything but list, either all values are number or string, mixed type is not "
            "supported"
        )


_IN_ANYTHING_BUT = ("prefix", "suffix", "wildcard", "equals-ignore-case")
_CHECKS: dict[str, Callable[[str, Any], None]] = {
    "exists": _check_exists,
    "prefix": _check_texts,
    "suffix": _check_texts,
    "equals-ignore-case": _check_text,
    "wildcard": _check_wildcard,
    "numeric": _check_numeric,
    "cidr": _check_cidr,
    "exactly": _check_text,
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
