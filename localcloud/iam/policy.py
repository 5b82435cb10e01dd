"""The evaluation of identity-based policies. Pure: documents in, a verdict out.

An explicit Deny takes precedence over an Allow, and an action that nothing allows is denied. An
element that cannot be evaluated is refused by name, because a condition that is skipped would allow
too much or too little. Must not: know roles, calls or where documents are stored.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html
Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_multi-value-conditions.html
Differs: a resource is matched as one string, not part by part; policy variables are refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

from localcloud.core.glob import Glob

# Condition key → its values in the request.
Context = Mapping[str, Sequence[str]]


class Verdict(StrEnum):
    """The decision, in the words of IAM's policy simulator."""

    ALLOWED = "allowed"
    IMPLICIT_DENY = "implicitDeny"
    EXPLICIT_DENY = "explicitDeny"


class PolicyError(ValueError):
    """A policy document that is malformed, or has an element that cannot be evaluated here."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator on one key, for example `ForAnyValue:StringLikeIfExists`, in its parts."""

    operator: str
    quantifier: str
    if_exists: bool
    key: str
    values: tuple[str, ...]

    def holds(self, context: Context) -> bool:
        """Return whether the request's context meets the condition."""
        actual = _values_of(context, self.key)
        if not actual:
            if self.if_exists or self.quantifier == "ForAllValues":
                return True
            # A negated operator is met if the request does not have the key.
            return self.quantifier != "ForAnyValue" and self.operator in _NEGATED
        matches, negated = _OPERATORS[self.operator], self.operator in _NEGATED
        holding = [any(matches(w, value) for w in self.values) != negated for value in actual]
        every = self.quantifier == "ForAllValues" or (negated and not self.quantifier)
        return all(holding) if every else any(holding)


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement.

    Attributes:
        allow: True for the effect Allow, False for Deny.
        actions: patterns of Action, or of NotAction if `not_actions` is set.
        resources: patterns of Resource, or of NotResource if `not_resources` is set.
    """

    allow: bool
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    not_actions: bool = False
    not_resources: bool = False
    conditions: tuple[Condition, ...] = ()

    def matches(self, action: str, resource: str | None, context: Context) -> bool:
        """Return whether the statement applies to this action, resource and context.

        Args:
            action: `service:Operation`, in upper or lower case.
            resource: an ARN, `*` for an action without a resource level, or None for a resource
                that is not known. Then an Allow on any resource applies, and a Deny only if it is
                on all resources.
            context: the request's condition keys.
        """
        named = any(wildcard_matches(p.lower(), action.lower()) for p in self.actions)
        if named == self.not_actions:
            return False
        return self.covers(resource) and all(c.holds(context) for c in self.conditions)

    def covers(self, resource: str | None) -> bool:
        """Return whether the statement applies to a resource, or to any if it is None."""
        if resource is None:
            return self.allow or (not self.not_resources and "*" in self.resources)
        return any(wildcard_matches(p, resource) for p in self.resources) != self.not_resources


def parse(document: str | Mapping[str, Any]) -> tuple[Statement, ...]:
    """Return the statements of a policy document.

    Raises:
        PolicyError: it is malformed, or has an unknown operator or a policy variable.
    """
    try:
        content = json.loads(document) if isinstance(document, str) else document
        return tuple(_statement(entry) for entry in _listed(content["Statement"]))
    except PolicyError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise PolicyError(f"the policy document is malformed: {error!r}") from error


def evaluate(
    statements: Iterable[Statement], action: str, resource: str | None, context: Context
) -> Verdict:
    """Return the verdict of statements on an action, a resource and a context."""
    verdict = Verdict.IMPLICIT_DENY
    for statement in statements:
        if statement.matches(action, resource, context):
            if not statement.allow:
                return Verdict.EXPLICIT_DENY
            verdict = Verdict.ALLOWED
    return verdict


def wildcard_matches(pattern: str, text: str) -> bool:
    """Return whether a pattern matches a whole string: `*` any characters, `?` exactly one."""
    return _compiled(pattern).matches(text)


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> Glob:
    return Glob([[None if c == "?" else c for c in part] for part in pattern.split("*")])


def _arn_matches(pattern: str, text: str) -> bool:
    wanted, actual = pattern.split(":", 5), text.split(":", 5)
    return len(wanted) == len(actual) and all(
        wildcard_matches(p, t) for p, t in zip(wanted, actual, strict=True)
    )


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": str.__eq__,
    "StringNotEquals": str.__eq__,
    "StringLike": wildcard_matches,
    "ArnEquals": _arn_matches,
    "ArnLike": _arn_matches,
    "Bool": lambda wanted, actual: wanted.lower() == actual.lower(),
}
_NEGATED = frozenset({"StringNotEquals"})
_QUANTIFIERS = ("ForAnyValue", "ForAllValues")


def _statement(entry: Mapping[str, Any]) -> Statement:
    effect = entry["Effect"]
    if effect not in ("Allow", "Deny"):
        raise PolicyError(f"a statement's Effect is {effect!r}; it must be Allow or Deny")
    actions, not_actions = _either(entry, "Action")
    resources, not_resources = _either(entry, "Resource")
    conditions = tuple(
        _condition(operator, key, tuple(_texts(values)))
        for operator, keys in entry.get("Condition", {}).items()
        for key, values in keys.items()
    )
    _refuse_variables((*resources, *(v for c in conditions for v in c.values)))
    return Statement(effect == "Allow", actions, resources, not_actions, not_resources, conditions)


def _either(entry: Mapping[str, Any], name: str) -> tuple[tuple[str, ...], bool]:
    """Return the values of `Name` or `NotName`, and whether it was the latter."""
    if (name in entry) == (f"Not{name}" in entry):
        raise PolicyError(f"a statement must have {name} or Not{name}, and not both")
    negated = name not in entry
    return tuple(_texts(entry[f"Not{name}" if negated else name])), negated


def _condition(name: str, key: str, values: tuple[str, ...]) -> Condition:
    quantifier, _, rest = name.rpartition(":")
    operator = rest.removesuffix("IfExists")
    if operator not in _OPERATORS or (quantifier and quantifier not in _QUANTIFIERS):
        raise PolicyError(
            f"the condition operator {name} is not supported here; supported are: "
            f"{', '.join(_OPERATORS)}, with IfExists, ForAnyValue: and ForAllValues:"
        )
    return Condition(operator, quantifier, rest != operator, key, values)


def _refuse_variables(texts: Iterable[str]) -> None:
    for text in texts:
        if "${" in text:
            raise PolicyError(f"policy variables are not supported here: {text}")


def _values_of(context: Context, key: str) -> Sequence[str]:
    # Names of condition keys are not case-sensitive.
    return next((v for name, v in context.items() if name.lower() == key.lower()), ())


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _texts(value: Any) -> list[str]:
    # Bool accepts JSON's true as a value.
    return [str(v).lower() if isinstance(v, bool) else str(v) for v in _listed(value)]
