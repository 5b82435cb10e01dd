"""The actions of an execution, as CodePipeline records them."""

import re
from collections.abc import Mapping
from typing import Any

APPROVAL_ACTION = "ApproveDeploy"
_DIGEST = re.compile(r"\bsha256:([0-9a-f]{64})\b")


def actions_of(codepipeline: Any, pipeline: str, execution: str) -> list[dict[str, Any]]:
    """Return the actions of an execution, the newest first."""
    found: list[dict[str, Any]] = codepipeline.list_action_executions(
        pipelineName=pipeline, filter={"pipelineExecutionId": execution}
    )["actionExecutionDetails"]
    return found


def result_of(action: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the result of an action; an empty one while it runs."""
    result: Mapping[str, Any] = action.get("output", {}).get("executionResult", {})
    return result


def approved(actions: list[dict[str, Any]]) -> Mapping[str, Any] | None:
    """Return the approval that a person gave, or None."""
    for action in actions:
        if action["actionName"] == APPROVAL_ACTION and action["status"] == "Succeeded":
            return action
    return None


def shown_digest(approval: Mapping[str, Any]) -> str | None:
    """Return the digest of the evidence in the message of an approval, 64 hexadecimal digits."""
    message = approval.get("input", {}).get("resolvedConfiguration", {}).get("CustomData", "")
    found = _DIGEST.search(message)
    return None if found is None else found[1]
