"""The section `permissions`: what each role called, and what its policies do not allow."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from localcloud.iam.calls import CallLog, Calls

_MOST_ROLES = 60
_MOST_MISSING = 20


def permissions(log: CallLog) -> dict[str, Any]:
    """Return the roles that called anything, those with missing permissions first."""
    by_role: dict[str, list[Calls]] = defaultdict(list)
    for call in log.entries():
        by_role[call.role].append(call)
    roles = [_role(role, calls) for role, calls in by_role.items()]
    roles.sort(key=lambda role: (-role["missing"]["count"], role["role"]))
    return {
        "count": len(roles),
        "missing": sum(role["missing"]["count"] for role in roles),
        "items": roles[:_MOST_ROLES],
    }


def _role(role: str, calls: list[Calls]) -> dict[str, Any]:
    missing = [call for call in calls if not call.allowed]
    return {
        "role": role,
        "actions": len({call.action for call in calls}),
        "calls": sum(call.count for call in calls),
        "last": max(call.last for call in calls),
        "missing": {
            "count": len(missing),
            "items": [
                {"action": c.action, "resource": c.resource, "count": c.count}
                for c in missing[-_MOST_MISSING:]
            ],
        },
    }
