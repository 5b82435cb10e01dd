"""What the operations answer of pipelines and executions, in the API's shapes. Pure.

Source: https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_GetPipelineState.html
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from localcloud.codepipeline.model import (
    ActionRun,
    ActionStatus,
    Execution,
    ExecutionStatus,
    Pipeline,
)


def latest_in_stage(executions: list[Execution], name: str) -> Execution | None:
    """Return the execution that entered a stage last."""
    entered = [execution for execution in executions if name in execution.stages]
    return max(entered, key=lambda e: e.stages[name].entered, default=None)


def find_approval(
    executions: list[Execution], stage_name: str, action_name: str, token: str
) -> ActionRun | None:
    """Return the approval run that a token belongs to, in progress or not."""
    for execution in executions:
        stage = execution.stages.get(stage_name)
        run = stage.actions.get(action_name) if stage is not None else None
        if run is not None and run.token == token:
            return run
    return None


def stage_state(
    pipeline: Pipeline, stage: dict[str, Any], executions: list[Execution]
) -> dict[str, Any]:
    """Return a stage as GetPipelineState has it."""
    name = stage["name"]
    latest = latest_in_stage(executions, name)
    disabled = pipeline.disabled_transitions.get(name)
    transition: dict[str, Any] = {"enabled": disabled is None}
    if disabled is not None:
        transition |= {
            "disabledReason": disabled["reason"],
            "lastChangedAt": datetime.fromtimestamp(disabled["at"], UTC),
        }
    waiting = [
        {"pipelineExecutionId": e.id, "status": e.status}
        for e in executions
        if e.status is ExecutionStatus.IN_PROGRESS
        and e.current_stage is None
        and e.stage_declaration["name"] == name
    ]
    state: dict[str, Any] = {
        "stageName": name,
        "inboundTransitionState": transition,
        "actionStates": [
            action_state(
                action, latest.stages[name].actions.get(action["name"]) if latest else None
            )
            for action in stage["actions"]
        ],
    }
    if waiting:
        state |= {"inboundExecutions": waiting, "inboundExecution": waiting[-1]}
    if latest is not None:
        state["latestExecution"] = {
            "pipelineExecutionId": latest.id,
            "status": latest.stages[name].status,
        }
    return state


def action_state(action: dict[str, Any], run: ActionRun | None) -> dict[str, Any]:
    """Return an action as GetPipelineState has it."""
    state: dict[str, Any] = {"actionName": action["name"]}
    if run is None:
        return state
    latest: dict[str, Any] = {
        "actionExecutionId": run.id,
        "status": run.status,
        "summary": run.summary,
        "lastStatusChange": run.changed,
        "lastUpdatedBy": run.updated_by or None,
        "externalExecutionId": run.external_id,
        "externalExecutionUrl": run.external_url,
    }
    if run.status is ActionStatus.IN_PROGRESS:
        latest["token"] = run.token
    if run.error_code is not None:
        latest["errorDetails"] = {"code": run.error_code, "message": run.error_message}
    state["latestExecution"] = latest
    if action["actionTypeId"]["provider"] == "S3" and run.outputs.get("VersionId"):
        state["currentRevision"] = {
            "revisionId": run.outputs["VersionId"],
            "revisionChangeId": run.outputs["VersionId"],
            "created": run.changed,
        }
    return state


def trigger(execution: Execution) -> dict[str, str]:
    """Return what started an execution."""
    return {"triggerType": execution.trigger_type, "triggerDetail": execution.trigger_detail}


def source_revisions(execution: Execution) -> list[dict[str, Any]]:
    """Return the revisions that an execution works on."""
    source = execution.declaration["stages"][0]
    stage = execution.stages.get(source["name"])
    return [
        {
            "actionName": run.name,
            "revisionId": run.outputs["VersionId"],
            "revisionSummary": run.summary,
        }
        for run in (stage.actions.values() if stage is not None else ())
        if run.outputs.get("VersionId")
    ]


def action_detail(execution: Execution, stage_name: str, run: ActionRun) -> dict[str, Any]:
    """Return one action execution as ListActionExecutions has it."""
    result: dict[str, Any] = {
        "externalExecutionId": run.external_id,
        "externalExecutionSummary": run.summary,
        "externalExecutionUrl": run.external_url,
    }
    if run.error_code is not None:
        result["errorDetails"] = {"code": run.error_code, "message": run.error_message}
    declared = execution.action_declaration(stage_name, run.name)
    return {
        "pipelineExecutionId": execution.id,
        "actionExecutionId": run.id,
        "pipelineVersion": execution.pipeline_version,
        "stageName": stage_name,
        "actionName": run.name,
        "startTime": run.started,
        "lastUpdateTime": run.changed,
        "updatedBy": run.updated_by or None,
        "status": run.status,
        "input": {
            "actionTypeId": declared["actionTypeId"],
            "configuration": declared.get("configuration", {}),
            "resolvedConfiguration": run.configuration,
            "inputArtifacts": _artifacts(execution, declared.get("inputArtifacts", [])),
            "namespace": declared.get("namespace"),
        },
        "output": {
            "outputArtifacts": _artifacts(execution, declared.get("outputArtifacts", [])),
            "executionResult": result,
            "outputVariables": run.outputs,
        },
    }


def _artifacts(execution: Execution, declared: list[dict[str, str]]) -> list[dict[str, Any]]:
    """Return those of the declared artifacts that are there, with their places."""
    found = {entry["name"]: execution.artifacts.get(entry["name"]) for entry in declared}
    return [
        {"name": name, "s3location": {"bucket": artifact.bucket, "key": artifact.key}}
        for name, artifact in found.items()
        if artifact is not None
    ]
