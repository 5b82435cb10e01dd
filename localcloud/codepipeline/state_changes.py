"""The EventBridge events of a change of an execution. Pure.

Source: https://docs.aws.amazon.com/codepipeline/latest/userguide/detect-state-changes-cloudwatch-events.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from localcloud.aws.routing import scope_of_arn
from localcloud.codepipeline.model import Execution, Pipeline

# The key () is the execution, (stage,) is a stage, and (stage, action, run) is an action.
Statuses = dict[tuple[str, ...], str]

_LEVEL = {0: "Pipeline", 1: "Stage", 3: "Action"}
_STATE = {"InProgress": "STARTED", "Cancelled": "CANCELED"}


@dataclass(frozen=True, slots=True)
class StateChangeEvent:
    """One event for EventBridge."""

    detail_type: str
    detail: dict[str, Any]


def statuses(execution: Execution) -> Statuses:
    """Return every status of an execution."""
    found: Statuses = {(): execution.status.value}
    for stage in execution.stages.values():
        found[stage.name,] = stage.status.value
        for run in stage.actions.values():
            found[stage.name, run.name, run.id] = run.status.value
    return found


def state_change_events(
    pipeline: Pipeline, execution: Execution, before: Statuses
) -> list[StateChangeEvent]:
    """Return an event for each status that changed, the execution's own first."""
    made = []
    for key, status in sorted(statuses(execution).items(), key=lambda item: len(item[0])):
        was = before.get(key)
        if status == was:
            continue
        resumed = was is not None and status == "InProgress"
        detail: dict[str, Any] = {
            "pipeline": pipeline.name,
            "execution-id": execution.id,
            "state": "RESUMED" if resumed else _STATE.get(status, status.upper()),
            # A number with a fraction, as AWS sends it.
            "version": float(execution.pipeline_version),
        }
        if not key and was is None:
            detail["execution-trigger"] = {
                "trigger-type": execution.trigger_type,
                "trigger-detail": execution.trigger_detail,
            }
        if key:
            detail["stage"] = key[0]
        if len(key) == 3:
            detail |= _action(pipeline, execution, key)
        level = _LEVEL[len(key)]
        made.append(StateChangeEvent(f"CodePipeline {level} Execution State Change", detail))
    return made


def _action(pipeline: Pipeline, execution: Execution, key: tuple[str, ...]) -> dict[str, Any]:
    stage, action, run_id = key
    kind = execution.action_declaration(stage, action)["actionTypeId"]
    run = execution.stages[stage].actions[action]
    detail: dict[str, Any] = {
        "action": action,
        "action-execution-id": run_id,
        "region": scope_of_arn(pipeline.arn).region,
        "type": {**kind, "version": str(kind["version"])},
    }
    if run.error_message is not None:
        detail["execution-result"] = {
            "error-code": run.error_code,
            "external-execution-summary": run.error_message,
        }
    return detail
