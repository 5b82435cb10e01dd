"""The principals of a resource's policy, and whether one of them is the caller. Pure.

How directly a policy names the caller decides what else has to allow the call. A policy that names
the account leaves the decision to the account's own policies; one that names the role does not.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-reqcontext.html
Differs: canonical users and federated principals other than by their text are not resolved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any


class Named(IntEnum):
    """The directness with which a policy names the caller; a larger one decides more."""

    NOT = 0
    ACCOUNT = 1
    ROLE = 2
    SESSION = 3


@dataclass(frozen=True, slots=True)
class Caller:
    """The principal of a call.

    Attributes:
        account: its account; empty for a service.
        arn: the ARN of the role, the user or the account's root user; empty for a service.
        session_arn: the ARN of the role's session; empty if no role calls.
        service: the service principal, for example `sagemaker.amazonaws.com`; else empty.
    """

    account: str
    arn: str
    session_arn: str = ""
    service: str = ""


@dataclass(frozen=True, slots=True)
class Principals:
    """The element Principal, or NotPrincipal if `negated` is set: kind → names."""

    names: tuple[tuple[str, str], ...]
    negated: bool = False

    def name(self, caller: Caller) -> Named:
        """Return how directly they name the caller."""
        found = max((_named(kind, name, caller) for kind, name in self.names), default=Named.NOT)
        if self.negated:
            return Named.ROLE if found is Named.NOT else Named.NOT
        return found


def parse_principals(entry: Mapping[str, Any]) -> Principals | None:
    """Return the principals of a statement, or None for a statement of an identity's policy.

    Raises:
        ValueError: the element has a kind that AWS does not have.
    """
    for element, negated in (("Principal", False), ("NotPrincipal", True)):
        if element in entry:
            return Principals(tuple(_pairs(element, entry[element])), negated)
    return None


_KINDS = ("AWS", "Service", "Federated", "CanonicalUser")


def _pairs(element: str, given: Any) -> list[tuple[str, str]]:
    if given == "*":
        return [("*", "*")]
    if not isinstance(given, Mapping) or not set(given) <= set(_KINDS):
        raise ValueError(f'{element} is {given!r}; it must be "*" or have the keys {_KINDS}')
    return [
        (kind, str(name))
        for kind, names in given.items()
        for name in (names if isinstance(names, list | tuple) else [names])
    ]


def _named(kind: str, name: str, caller: Caller) -> Named:
    if kind == "Service":
        return Named.SESSION if name == caller.service else Named.NOT
    # "AWS": "*" is the same as "*" alone.
    if kind == "*" or (kind == "AWS" and name == "*"):
        return Named.ROLE
    if kind != "AWS" or caller.service:
        return Named.NOT
    if name in (caller.account, f"arn:aws:iam::{caller.account}:root"):
        return Named.ACCOUNT
    if name == caller.session_arn:
        return Named.SESSION
    if name == caller.arn:
        return Named.ROLE if caller.session_arn else Named.SESSION
    return Named.NOT
