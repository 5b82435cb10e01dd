"""The report on roles: their calls compared with their grants. Pure.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_last-accessed.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from localcloud.iam.policy import Statement, parse


@dataclass(frozen=True, slots=True)
class RoleReport:
    """One role's findings.

    Attributes:
        used: actions that the role called and may call.
        missing: (action, resource) that the role called and may not call.
        unused: granted actions that no call needed.
    """

    role: str
    used: list[str]
    missing: list[tuple[str, str]]
    unused: list[str]

    @property
    def acted(self) -> bool:
        """Return whether the role made a call."""
        return bool(self.used or self.missing)


def report(
    calls: Iterable[Mapping[str, Any]], policies: Mapping[str, list[str | dict[str, Any]]]
) -> list[RoleReport]:
    """Compare calls with policies.

    Args:
        calls: the calls from `/_localcloud/iam/calls`.
        policies: the policy documents of each role, by its ARN.
    """
    kept = list(calls)
    roles = {*policies, *(call["role"] for call in kept)}
    return [_of_role(role, kept, policies.get(role, [])) for role in sorted(roles)]


def _of_role(
    role: str, calls: list[Mapping[str, Any]], documents: list[str | dict[str, Any]]
) -> RoleReport:
    own = [call for call in calls if call["role"] == role]
    allowed = [call for call in own if call["allowed"]]
    granted = [s for document in documents for s in parse(document) if s.allow]
    return RoleReport(
        role,
        used=sorted({call["action"] for call in allowed}),
        missing=sorted({(c["action"], c["resource"]) for c in own if not c["allowed"]}),
        unused=sorted(
            {
                action
                for statement in granted
                for action in statement.actions
                if not statement.not_actions
                and not is_used(replace(statement, actions=(action,)), allowed)
            }
        ),
    )


def is_used(statement: Statement, calls: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether one of a role's calls is of the statement's actions and resources.

    Conditions are not compared: the record of calls does not have the keys of the requests.

    Args:
        statement: an Allow of the role's own policies.
        calls: calls of the role that were allowed, from `/_localcloud/iam/calls`.
    """
    return any(
        statement.names(call["action"])
        and statement.covers(None if call["resource"] == "*" else call["resource"])
        for call in calls
    )
