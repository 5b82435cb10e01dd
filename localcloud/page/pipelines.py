"""The section `pipelines`: stages with their actions, and the newest executions.

The state of a stage is that of the execution that entered it last. It is looked for in the newest
executions only, so that the section costs the same after a thousand of them.
"""

from __future__ import annotations

from itertools import islice
from statistics import median
from typing import TYPE_CHECKING, Any

from localcloud.aws.routing import Scope
from localcloud.codepipeline.model import (
    ActionRun,
    ActionStatus,
    Execution,
    ExecutionStatus,
    Pipeline,
)
from localcloud.codepipeline.views import source_revisions, trigger

if TYPE_CHECKING:
    from localcloud.codepipeline.service import CodePipelineService

_MOST_PIPELINES = 50
# The newest executions of a pipeline that are looked at, and those that are listed.
_LOOKED_AT = 60
_LISTED = 30
# The newest successes from which the usual duration of an action is taken.
_USUAL_OF = 9


def pipelines(service: CodePipelineService, scope: Scope) -> dict[str, Any]:
    """Return the pipelines of a scope by name."""
    prefix = scope.arn("codepipeline", "")
    found = [p for p in service.pipelines.pipelines.values() if p.arn.startswith(prefix)]
    found.sort(key=lambda pipeline: pipeline.name)
    return {
        "count": len(found),
        "items": [
            _pipeline(pipeline, service.pipelines.engine.executions(pipeline))
            for pipeline in found[:_MOST_PIPELINES]
        ],
    }


def _pipeline(pipeline: Pipeline, executions: list[Execution]) -> dict[str, Any]:
    newest = list(islice(reversed(executions), _LOOKED_AT))
    return {
        "name": pipeline.name,
        "arn": pipeline.arn,
        "version": pipeline.version,
        "mode": pipeline.mode,
        "dataset": _dataset(pipeline),
        "stages": [_stage(pipeline, stage, newest) for stage in pipeline.declaration["stages"]],
        "executions": {
            "count": len(executions),
            "items": [_execution(execution) for execution in newest[:_LISTED]],
        },
    }


def _dataset(pipeline: Pipeline) -> dict[str, str] | None:
    """Return the bucket and key of the first object in S3 that starts the pipeline."""
    for action in pipeline.declaration["stages"][0]["actions"]:
        configuration = action.get("configuration", {})
        if action["actionTypeId"]["provider"] == "S3" and "S3ObjectKey" in configuration:
            return {"bucket": configuration["S3Bucket"], "key": configuration["S3ObjectKey"]}
    return None


def _stage(pipeline: Pipeline, stage: dict[str, Any], newest: list[Execution]) -> dict[str, Any]:
    name = stage["name"]
    entered = [execution for execution in newest if name in execution.stages]
    latest = max(entered, key=lambda e: e.stages[name].entered, default=None)
    disabled = pipeline.disabled_transitions.get(name)
    run = latest.stages[name] if latest is not None else None
    return {
        "name": name,
        "transition": {
            "enabled": disabled is None,
            "reason": disabled["reason"] if disabled is not None else None,
        },
        "waiting": [
            e.id
            for e in newest
            if e.status is ExecutionStatus.IN_PROGRESS
            and e.current_stage is None
            and e.stage_declaration["name"] == name
        ],
        "status": run.status if run is not None else None,
        "execution": latest.id if latest is not None else None,
        "actions": [
            _action(name, action, run.actions.get(action["name"]) if run else None, entered)
            for action in stage["actions"]
        ],
    }


def _action(
    stage: str, action: dict[str, Any], run: ActionRun | None, entered: list[Execution]
) -> dict[str, Any]:
    kind = action["actionTypeId"]
    shown: dict[str, Any] = {
        "name": action["name"],
        "category": kind["category"],
        "provider": kind["provider"],
        "status": None,
        "usualSeconds": _usual(stage, action["name"], entered),
    }
    return shown | _run(run) if run is not None else shown


def _run(run: ActionRun) -> dict[str, Any]:
    return {
        "status": run.status,
        "started": run.started,
        "changed": run.changed,
        "summary": run.summary,
        "external": run.external_id,
        "waits": run.token is not None and run.status is ActionStatus.IN_PROGRESS,
        "error": (
            {"code": run.error_code, "message": run.error_message} if run.error_code else None
        ),
    }


def _usual(stage: str, name: str, entered: list[Execution]) -> float | None:
    """Return the median of the newest durations with success, in clock seconds."""
    runs = (execution.stages[stage].actions.get(name) for execution in entered)
    durations = (
        (run.changed - run.started).total_seconds()
        for run in runs
        if run is not None and run.status is ActionStatus.SUCCEEDED
    )
    found = list(islice(durations, _USUAL_OF))
    return median(found) if found else None


def _execution(execution: Execution) -> dict[str, Any]:
    revisions = source_revisions(execution)
    return {
        "id": execution.id,
        "number": execution.number,
        "status": execution.status,
        "statusSummary": execution.status_summary,
        "stopReason": execution.stop_reason,
        **trigger(execution),
        "started": execution.started,
        "updated": execution.updated,
        "revision": revisions[0]["revisionId"] if revisions else None,
        "stage": execution.stage_declaration["name"],
        "rollback": execution.rollback_target,
    }
