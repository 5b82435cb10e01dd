"""The section `stacks`: CloudFormation's stacks, those of the program, and what they cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcloud.aws.routing import Scope
from localcloud.cloudformation.model import Stack

if TYPE_CHECKING:
    from localcloud.cloudformation.service import CloudFormationService
    from localcloud.core.store import Collection

_MOST_STACKS = 50
_MOST_EVENTS = 8
_MOST_OUTPUTS = 60
_TEXT_CHARACTERS = 400
_SECRET = "[secret]"  # noqa: S105 - shown instead of a secret
ESTIMATE = "monthlyCostEstimate"


def stacks(
    service: CloudFormationService, deployed: Collection[dict[str, Any]], scope: Scope
) -> dict[str, Any]:
    """Return the stacks of a scope that are not deleted, and the states of `localcloud up`."""
    prefix = scope.arn("cloudformation", "stack/")
    found = [
        stack
        for stack in service.stacks.stacks.values()
        if stack.id.startswith(prefix) and stack.deleted is None
    ]
    newest = sorted(found, key=lambda stack: stack.updated or stack.created, reverse=True)
    return {
        "cloudformation": {
            "count": len(found),
            "items": [_stack(stack) for stack in newest[:_MOST_STACKS]],
        },
        "pulumi": {
            "count": len(deployed),
            "items": [_deployed(name, state) for name, state in sorted(deployed.items())][
                :_MOST_STACKS
            ],
        },
    }


def _stack(stack: Stack) -> dict[str, Any]:
    return {
        "name": stack.name,
        "id": stack.id,
        "status": stack.status,
        "reason": stack.status_reason,
        "created": stack.created,
        "updated": stack.updated,
        "resources": len(stack.resources),
        "outputs": {one["OutputKey"]: one["OutputValue"] for one in stack.outputs[:_MOST_OUTPUTS]},
        "events": [
            {
                "at": event.timestamp,
                "resource": event.logical_id,
                "type": event.type,
                "status": event.status,
                "reason": event.reason,
            }
            for event in reversed(stack.events[-_MOST_EVENTS:])
        ],
    }


def _deployed(name: str, state: dict[str, Any]) -> dict[str, Any]:
    outputs = state.get("outputs") or {}
    estimate, secrets = outputs.get(ESTIMATE), set(state.get("secret_outputs") or ())
    return {
        "name": name,
        "resources": len(state.get("resources") or []),
        "outputs": {
            key: _SECRET if key in secrets else _shown(value)
            for key, value in list(outputs.items())[:_MOST_OUTPUTS]
            if key != ESTIMATE
        },
        "cost": estimate if isinstance(estimate, dict) and ESTIMATE not in secrets else None,
    }


def _shown(value: Any) -> Any:
    """Return an output, without the middle of what is too long to show."""
    if isinstance(value, (int, float, bool)) or value is None:
        return value
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _TEXT_CHARACTERS else f"{text[:_TEXT_CHARACTERS]}…"
