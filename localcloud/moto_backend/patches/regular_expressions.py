"""Patches of every service whose request moto turns into a regular expression."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from typing import Any

import regex

from localcloud.aws.errors import ValidationError

# The modules that compile a text of a request, such as a prefix or a filter.
_MODULES = (
    "moto.ecr.models",
    "moto.events.models",
    "moto.iam.access_control",
    "moto.s3.utils",
    "moto.sqs.models",
)
# Wall-clock seconds; no pattern that is meant takes a hundredth of it.
_LIMIT_SECONDS = 0.5
_MATCHING = frozenset(
    {"match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer"}
)


def patch() -> None:
    """Apply the patches."""
    _patch_matching()


def _patch_matching() -> None:
    """ListQueues, ListRules and others: moto takes a prefix of the request for a pattern.

    Some patterns take Python's engine longer than anybody waits. AWS compares the text itself.
    """
    for name in _MODULES:
        module: Any = import_module(name)
        module.re = Bounded()


class Bounded:
    """The module `re` with a time limit for each match."""

    def __getattr__(self, name: str) -> Any:
        return _limited(getattr(regex, name)) if name in _MATCHING else getattr(re, name)

    def compile(self, pattern: str, flags: int = 0) -> Any:
        """Return a compiled pattern whose matches have the limit, too."""
        try:
            return _Pattern(regex.compile(pattern, flags))
        except regex.error as error:
            raise re.error(str(error)) from None


class _Pattern:
    def __init__(self, pattern: Any) -> None:
        self._compiled = pattern

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._compiled, name)
        return _limited(found) if name in _MATCHING else found


def _limited(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> Any:
        try:
            return function(*arguments, timeout=_LIMIT_SECONDS, **named)
        except TimeoutError:
            raise ValidationError("Matching a pattern of the request takes too long.") from None
        except regex.error as error:
            raise re.error(str(error)) from None

    return call
