"""The texts of a policy: wildcards and policy variables. Pure.

In a resource or a value of a condition, `*` stands for any characters, `?` for exactly one, and
`${aws:username}` for the value that the request has for that key. `${*}`, `${?}` and `${$}` are the
characters themselves, and `${aws:PrincipalTag/team, 'none'}` has a default. For example,
`arn:aws:s3:::home/${aws:username}/*` matches `arn:aws:s3:::home/ana/a.txt` if ana calls.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TypeAlias

from localcloud.core.glob import Glob

# Condition key → its values in the request.
Context: TypeAlias = Mapping[str, Sequence[str]]


class Wildcard(Enum):
    """A place that matches more than one text."""

    ONE = "?"
    ANY = "*"


Token: TypeAlias = str | Wildcard
_COLON = ":"
_ARN_PARTS = 6

_VARIABLE = re.compile(r"\$\{([^{}]*)\}")
_DEFAULT = re.compile(r"(?P<key>[^,]*?)\s*(?:,\s*'(?P<default>[^']*)'\s*)?")
_LITERAL = frozenset("*?$")


@dataclass(frozen=True, slots=True)
class _Variable:
    key: str
    default: str | None

    def value(self, context: Context) -> str | None:
        values = values_of(context, self.key)
        return values[0] if len(values) == 1 else self.default


def values_of(context: Context, key: str) -> Sequence[str]:
    """Return the request's values of a condition key, whose name is not case-sensitive."""
    found = context.get(key)
    if found is None:
        lower = key.lower()
        found = next((v for name, v in context.items() if name.lower() == lower), ())
    return found


def variables_in(text: str) -> list[str]:
    """Return the keys of a text's policy variables, in order."""
    return [piece.key for piece in _pieces(text) if isinstance(piece, _Variable)]


def tokens(text: str, context: Context | None) -> Sequence[Token] | None:
    """Return a pattern's characters and wildcards, with the values of its variables.

    Args:
        text: the pattern.
        context: the request's keys; None makes every variable match any text.

    Returns:
        None if the request has no single value for a variable that has no default.
    """
    found: list[Token] = []
    for piece in _pieces(text):
        if not isinstance(piece, _Variable):
            found += piece
        elif context is None:
            found.append(Wildcard.ANY)
        else:
            value = piece.value(context)
            if value is None:
                return None
            found += value
    return found


def plain(text: str, context: Context) -> str | None:
    """Return a text with the values of its variables, for an operator without wildcards."""
    if "${" not in text:
        return text
    found = tokens(text, context)
    return None if found is None else "".join(_character(token) for token in found)


def matches(pattern: str, text: str, context: Context | None) -> bool:
    """Return whether a pattern matches a whole text; arguments as those of `tokens`."""
    if "${" not in pattern:
        return wildcard_matches(pattern, text)
    found = tokens(pattern, context)
    return found is not None and _glob(found).matches(text)


def wildcard_matches(pattern: str, text: str) -> bool:
    """Return whether a pattern without variables matches a whole text."""
    return _compiled(pattern).matches(text)


def arn_matches(pattern: str, text: str, context: Context) -> bool:
    """Return whether a pattern matches an ARN, each of its six parts for itself."""
    found = tokens(pattern, context)
    if found is None:
        return False
    wanted, actual = _split(found), text.split(":", 5)
    return len(wanted) == len(actual) and all(
        _glob(p).matches(t) for p, t in zip(wanted, actual, strict=True)
    )


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> Glob:
    return _glob([_wildcard(character) for character in pattern])


def _glob(found: Sequence[Token]) -> Glob:
    parts: list[list[str | None]] = [[]]
    for token in found:
        if token is Wildcard.ANY:
            parts.append([])
        else:
            parts[-1].append(None if isinstance(token, Wildcard) else token)
    return Glob(parts)


def _split(found: Sequence[Token]) -> list[list[Token]]:
    """Return the parts between the first five colons and after them."""
    parts: list[list[Token]] = [[]]
    for token in found:
        if token == _COLON and len(parts) < _ARN_PARTS:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


@lru_cache(maxsize=4096)
def _pieces(text: str) -> tuple[tuple[Token, ...] | _Variable, ...]:
    found: list[tuple[Token, ...] | _Variable] = []
    end = 0
    for match in _VARIABLE.finditer(text):
        found.append(tuple(_wildcard(c) for c in text[end : match.start()]))
        inner, end = match[1], match.end()
        if inner in _LITERAL:
            found.append((inner,))
            continue
        parts = _DEFAULT.fullmatch(inner.strip())
        key, default = (parts["key"], parts["default"]) if parts else (inner, None)
        found.append(_Variable(key, default))
    found.append(tuple(_wildcard(c) for c in text[end:]))
    return tuple(found)


def _wildcard(character: str) -> Token:
    return Wildcard(character) if character in ("*", "?") else character


def _character(token: Token) -> str:
    return token.value if isinstance(token, Wildcard) else token
