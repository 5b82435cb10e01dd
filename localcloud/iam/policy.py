"""The evaluation of the statements of policies. Pure: documents in, a verdict out.

An explicit Deny takes precedence over an Allow, and an action that nothing allows is denied. An
element that AWS does not have is refused by name, because a condition that is skipped would allow
too much or too little. `decision.py` combines the policies that apply to a call. Must not: know
roles, calls or where documents are stored.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html
Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_multi-value-conditions.html
Differs: a resource is matched as one string, not part by part.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from localcloud.iam.condition_operators import NAMES, NEGATED, NULL, OPERATORS
from localcloud.iam.policy_text import (
    Context,
    matches,
    values_of,
    variables_in,
    wildcard_matches,
)
from localcloud.iam.principals import Principals, parse_principals

__all__ = ["Context", "PolicyError", "Statement", "Verdict", "evaluate", "parse"]

# Policy variables are text in documents of the version before.
_WITH_VARIABLES = "2012-10-17"


class Verdict(StrEnum):
    """The decision, in the words of IAM's policy simulator."""

    ALLOWED = "allowed"
    IMPLICIT_DENY = "implicitDeny"
    EXPLICIT_DENY = "explicitDeny"


class PolicyError(ValueError):
    """A policy document that is malformed, or has an element that AWS does not have."""


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
        actual = values_of(context, self.key)
        if self.operator == NULL:
            return ("false" if actual else "true") in [v.lower() for v in self.values]
        negated = self.operator in NEGATED
        if not actual:
            if self.if_exists or self.quantifier == "ForAllValues":
                return True
            # A negated operator is met if the request does not have the key.
            return self.quantifier != "ForAnyValue" and negated
        check = OPERATORS[NEGATED.get(self.operator, self.operator)]
        found = [any(check(wanted, value, context) for wanted in self.values) for value in actual]
        holding = [one != negated for one in found]
        every = self.quantifier == "ForAllValues" or (negated and not self.quantifier)
        return all(holding) if every else any(holding)


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement.

    Attributes:
        allow: True for the effect Allow, False for Deny.
        actions: patterns of Action, or of NotAction if `not_actions` is set.
        resources: patterns of Resource, or of NotResource if `not_resources` is set.
        principals: whom a resource's policy names; None in the policy of an identity.
    """

    allow: bool
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    not_actions: bool = False
    not_resources: bool = False
    conditions: tuple[Condition, ...] = ()
    principals: Principals | None = None

    def matches(self, action: str, resource: str | None, context: Context) -> bool:
        """Return whether the statement applies to this action, resource and context.

        Args:
            action: `service:Operation`, in upper or lower case.
            resource: an ARN, `*` for an action without a resource level, or None for a resource
                that is not known. Then an Allow on any resource applies, and a Deny only if it is
                on all resources.
            context: the request's condition keys.
        """
        return (
            self.names(action)
            and self.covers(resource, context)
            and all(c.holds(context) for c in self.conditions)
        )

    def names(self, action: str) -> bool:
        """Return whether the statement is about an action."""
        named = any(wildcard_matches(p.lower(), action.lower()) for p in self.actions)
        return named != self.not_actions

    def covers(self, resource: str | None, context: Context | None = None) -> bool:
        """Return whether the statement applies to a resource, or to any if it is None.

        Args:
            resource: as in `matches`.
            context: the request's keys; without them, a policy variable matches any text.
        """
        if resource is None:
            return self.allow or (not self.not_resources and "*" in self.resources)
        return any(matches(p, resource, context) for p in self.resources) != self.not_resources

    def condition_keys(self) -> list[str]:
        """Return the condition keys that the statement depends on, in order, perhaps repeated."""
        found = [key for text in self.resources for key in variables_in(text)]
        for condition in self.conditions:
            found.append(condition.key)
            found += [key for value in condition.values for key in variables_in(value)]
        return found


def parse(document: str | Mapping[str, Any]) -> tuple[Statement, ...]:
    """Return the statements of a policy document.

    Raises:
        PolicyError: it is malformed, or has an operator that AWS does not have.
    """
    try:
        content = json.loads(document) if isinstance(document, str) else document
        version = content.get("Version")
        return tuple(
            _statement(entry, with_variables=version == _WITH_VARIABLES)
            for entry in _listed(content["Statement"])
        )
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


_QUANTIFIERS = ("ForAnyValue", "ForAllValues")


def _statement(entry: Mapping[str, Any], *, with_variables: bool) -> Statement:
    effect = entry["Effect"]
    if effect not in ("Allow", "Deny"):
        raise PolicyError(f"a statement's Effect is {effect!r}; it must be Allow or Deny")
    actions, not_actions = _either(entry, "Action")
    try:
        principals = parse_principals(entry)
    except ValueError as error:
        raise PolicyError(str(error)) from None
    resources: tuple[str, ...] = ("*",)
    not_resources = False
    # A trust policy has no resource: it is the role's.
    if principals is None or "Resource" in entry or "NotResource" in entry:
        resources, not_resources = _either(entry, "Resource")
    conditions = tuple(
        _condition(operator, key, _values(values, with_variables=with_variables))
        for operator, keys in entry.get("Condition", {}).items()
        for key, values in keys.items()
    )
    if not with_variables:
        resources = tuple(_as_text(resource) for resource in resources)
    return Statement(
        effect == "Allow", actions, resources, not_actions, not_resources, conditions, principals
    )


def _either(entry: Mapping[str, Any], name: str) -> tuple[tuple[str, ...], bool]:
    """Return the values of `Name` or `NotName`, and whether it was the latter."""
    if (name in entry) == (f"Not{name}" in entry):
        raise PolicyError(f"a statement must have {name} or Not{name}, and not both")
    negated = name not in entry
    return tuple(_texts(entry[f"Not{name}" if negated else name])), negated


def _condition(name: str, key: str, values: tuple[str, ...]) -> Condition:
    quantifier, _, rest = name.rpartition(":")
    operator = rest.removesuffix("IfExists")
    if operator not in NAMES or (quantifier and quantifier not in _QUANTIFIERS):
        raise PolicyError(
            f"the condition operator {name} does not exist; those that do are: "
            f"{', '.join(NAMES)}, with IfExists, ForAnyValue: and ForAllValues:"
        )
    return Condition(operator, quantifier, rest != operator, key, values)


def _values(values: Any, *, with_variables: bool) -> tuple[str, ...]:
    return tuple(text if with_variables else _as_text(text) for text in _texts(values))


def _as_text(text: str) -> str:
    """Return a text whose `${` begins no variable."""
    return text.replace("${", "${$}{")


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _texts(value: Any) -> list[str]:
    # Bool accepts JSON's true as a value.
    return [str(v).lower() if isinstance(v, bool) else str(v) for v in _listed(value)]
