"""The use that a run of the lab makes of the permissions that a change grants. Pure.

The calls are those of `/_localcloud/iam/calls`, and they are compared with the grants as in the
report of `localcloud iam`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from localcloud.iam.policy import Statement
from localcloud.iam.report import is_used, report
from localcloud.review.permissions import ALL_BUT

Json = dict[str, Any]
_ROLE = "role "


def marked(
    permissions: Iterable[Mapping[str, Any]], calls: Iterable[Mapping[str, Any]]
) -> list[Json]:
    """Return the permission difference with `used` in each gained grant.

    `used` is True or False for what a role's own policy allows. It is None for what the record of
    calls does not show: a Deny, a managed policy, a trust policy, and the policy of a resource.

    Args:
        permissions: as `comparison.permissions` returns them.
        calls: each with `role` (an ARN), `action`, `resource` (an ARN or `*`) and `allowed`.
    """
    by_role: dict[str, list[Mapping[str, Any]]] = {}
    for call in calls:
        if call["allowed"]:
            by_role.setdefault(_name(call["role"]), []).append(call)
    return [
        {
            **held,
            "gained": [
                {**grant, "used": _used(held["holder"], grant, by_role)} for grant in held["gained"]
            ],
        }
        for held in permissions
    ]


def _used(
    holder: str, grant: Mapping[str, str], by_role: Mapping[str, Sequence[Mapping[str, Any]]]
) -> bool | None:
    own_policy = holder.startswith(_ROLE) and "resource" in grant and "principal" not in grant
    if not own_policy or grant["effect"] != "Allow":
        return None
    actions, not_actions = _patterns(grant["action"])
    resources, not_resources = _patterns(grant["resource"])
    statement = Statement(
        allow=True,
        actions=actions,
        resources=resources,
        not_actions=not_actions,
        not_resources=not_resources,
    )
    return is_used(statement, by_role.get(holder.removeprefix(_ROLE), ()))


def _patterns(text: str) -> tuple[tuple[str, ...], bool]:
    """Return the patterns of a grant's element, and whether it is all but these."""
    if text.startswith(ALL_BUT):
        return tuple(text.removeprefix(ALL_BUT).split(", ")), True
    return (text,), False


def denied(calls: Iterable[Mapping[str, Any]]) -> list[Json]:
    """Return what roles called and may not call, each with `role`, `action` and `resource`."""
    return [
        {"role": _name(found.role), "action": action, "resource": resource}
        for found in report(calls, {})
        for action, resource in found.missing
    ]


def _name(role: str) -> str:
    """Return the name of a role, without its path."""
    return role.rpartition("/")[2]
