"""Pipelines and executions in the shapes of the API. Pure.

Source: https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_GetPipelineState.html
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from localcloud.codepipeline.model import (
    BEFORE_ENTRY,
    ON_FAILURE,
    ON_SUCCESS,
    ActionRun,
    ActionStatus,
    ConditionRun,
    Execution,
    ExecutionStatus,
    Pipeline,
    StageRun,
)

# Members of an action that GetPipeline has although they were not given.
_ADDED: dict[str, Any] = {
    "runOrder": 1,
    "configuration": {},
    "inputArtifacts": [],
    "outputArtifacts": [],
}


def filled(declaration: dict[str, Any]) -> dict[str, Any]:
    """Return a pipeline's declaration with the members that AWS adds to each action.

    Source: https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_GetPipeline.html
    """
    stages = [
        {**stage, "actions": [{**_ADDED, **action} for action in stage["actions"]]}
        for stage in declaration["stages"]
    ]
    return {**declaration, "stages": stages}


def latest_in_stage(executions: list[Execution], name: str) -> Execution | None:
    """Return the execution that entered a stage last."""
    entered = [execution for execution in executions if name in execution.stages]
    return max(entered, key=lambda e: e.stages[name].entered, default=None)


def find_approval(
    executions: list[Execution], stage_name: str, action_name: str, token: str
) -> ActionRun | None:
    """Return the approval run of a token, in progress or not."""
    for execution in executions:
        stage = execution.stages.get(stage_name)
        run = stage.actions.get(action_name) if stage is not None else None
        if run is not None and run.token == token:
            return run
    return None


def stage_state(
    pipeline: Pipeline, stage: dict[str, Any], executions: list[Execution]
) -> dict[str, Any]:
    """Return a stage in the shape of GetPipelineState."""
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
        {"pipelineExecutionId": e.id, "status": e.status, "type": e.type}
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
            "type": latest.type,
        }
        state |= _retries(latest.stages[name])
    for kind in (BEFORE_ENTRY, ON_SUCCESS, ON_FAILURE):
        declared = (stage.get(kind) or {}).get("conditions")
        if declared:
            run = latest.stages[name].conditions.get(kind) if latest is not None else None
            state[f"{kind}ConditionState"] = _condition_state(declared[0], run)
    return state


def _retries(stage: StageRun) -> dict[str, Any]:
    if stage.last_retry is None:
        return {}
    return {
        "retryStageMetadata": {
            "autoStageRetryAttempt": stage.automatic_retries or None,
            "manualStageRetryAttempt": stage.manual_retries or None,
            "latestRetryTrigger": stage.last_retry,
        }
    }


def _condition_state(declared: dict[str, Any], run: ConditionRun | None) -> dict[str, Any]:
    rules = []
    for rule in declared["rules"]:
        state: dict[str, Any] = {"ruleName": rule["name"]}
        made = run.rules.get(rule["name"]) if run is not None else None
        if made is not None:
            state["latestExecution"] = {
                "ruleExecutionId": made.id,
                "status": made.status,
                "summary": made.summary,
                "lastStatusChange": made.changed,
                "externalExecutionId": made.external_id,
                "errorDetails": _error(made),
            }
        rules.append(state)
    if run is None:
        return {"conditionStates": [{"ruleStates": rules}]}
    whole = {"status": run.status, "summary": run.summary}
    latest = {**whole, "lastStatusChange": run.changed}
    return {
        "latestExecution": whole,
        "conditionStates": [{"latestExecution": latest, "ruleStates": rules}],
    }


def _error(run: ActionRun) -> dict[str, Any] | None:
    if run.error_code is None:
        return None
    return {"code": run.error_code, "message": run.error_message or run.error_code}


def action_state(action: dict[str, Any], run: ActionRun | None) -> dict[str, Any]:
    """Return an action in the shape of GetPipelineState."""
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
        "percentComplete": run.percent_complete,
    }
    if run.status is ActionStatus.IN_PROGRESS:
        latest["token"] = run.token
    if run.error_code is not None:
        latest["errorDetails"] = {"code": run.error_code, "message": run.error_message}
    state["latestExecution"] = latest
    revision = _revision(run)
    if action["actionTypeId"]["category"] == "Source" and revision:
        state["currentRevision"] = {
            "revisionId": revision,
            "revisionChangeId": revision,
            "created": run.changed,
        }
    return state


def _revision(run: ActionRun) -> str | None:
    """Return the revision of a source action: an object's version, or a commit."""
    return run.outputs.get("VersionId") or run.outputs.get("CommitId")


def trigger(execution: Execution) -> dict[str, str]:
    """Return the trigger of an execution."""
    return {"triggerType": execution.trigger_type, "triggerDetail": execution.trigger_detail}


def source_revisions(execution: Execution) -> list[dict[str, Any]]:
    """Return the revisions of an execution."""
    source = execution.declaration["stages"][0]
    stage = execution.stages.get(source["name"])
    return [
        {
            "actionName": run.name,
            "revisionId": _revision(run),
            "revisionSummary": run.summary,
        }
        for run in (stage.actions.values() if stage is not None else ())
        if _revision(run)
    ]


def execution_summary(pipeline: Pipeline, execution: Execution) -> dict[str, Any]:
    """Return an execution in the shape of ListPipelineExecutions."""
    stopped = execution.stop_reason
    return {
        "pipelineExecutionId": execution.id,
        "status": execution.status,
        "statusSummary": execution.status_summary,
        "startTime": execution.started,
        "lastUpdateTime": execution.updated,
        "sourceRevisions": source_revisions(execution),
        "trigger": trigger(execution),
        "stopTrigger": {"reason": stopped} if stopped else None,
        "executionMode": pipeline.mode,
        **_rollback(execution),
    }


def execution_detail(pipeline: Pipeline, execution: Execution) -> dict[str, Any]:
    """Return an execution in the shape of GetPipelineExecution."""
    return {
        "pipelineName": pipeline.name,
        "pipelineVersion": execution.pipeline_version,
        "pipelineExecutionId": execution.id,
        "status": execution.status,
        "statusSummary": execution.status_summary,
        "artifactRevisions": [
            {
                "name": name,
                "revisionId": artifact.revision,
                "revisionSummary": artifact.revision_summary,
            }
            for name, artifact in execution.artifacts.items()
            if artifact.revision
        ],
        "variables": [
            {"name": name, "resolvedValue": value}
            for name, value in execution.variables.get("variables", {}).items()
        ],
        "trigger": trigger(execution),
        "executionMode": pipeline.mode,
        **_rollback(execution),
    }


def _rollback(execution: Execution) -> dict[str, Any]:
    if execution.rollback_target is None:
        return {"executionType": execution.type}
    return {
        "executionType": execution.type,
        "rollbackMetadata": {"rollbackTargetPipelineExecutionId": execution.rollback_target},
    }


def rule_detail(
    execution: Execution, stage_name: str, condition: ConditionRun, run: ActionRun
) -> dict[str, Any]:
    """Return a run of a rule in the shape of ListRuleExecutions."""
    stage = next(s for s in execution.declaration["stages"] if s["name"] == stage_name)
    rules = stage[condition.kind]["conditions"][0]["rules"]
    declared = next(rule for rule in rules if rule["name"] == run.name)
    return {
        "pipelineExecutionId": execution.id,
        "ruleExecutionId": run.id,
        "pipelineVersion": execution.pipeline_version,
        "stageName": stage_name,
        "ruleName": run.name,
        "startTime": run.started,
        "lastUpdateTime": run.changed,
        "status": run.status,
        "input": {
            "ruleTypeId": declared["ruleTypeId"],
            "configuration": declared.get("configuration", {}),
            "resolvedConfiguration": run.configuration,
            "roleArn": declared.get("roleArn"),
            "region": declared.get("region"),
            "inputArtifacts": _artifacts(execution, declared.get("inputArtifacts", [])),
        },
        "output": {
            "executionResult": {
                "externalExecutionId": run.external_id,
                "externalExecutionSummary": run.summary,
                "errorDetails": _error(run),
            }
        },
    }


def action_detail(execution: Execution, stage_name: str, run: ActionRun) -> dict[str, Any]:
    """Return an action execution in the shape of ListActionExecutions."""
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
    """Return the declared artifacts that exist, with their locations."""
    found = {entry["name"]: execution.artifacts.get(entry["name"]) for entry in declared}
    return [
        {"name": name, "s3location": {"bucket": artifact.bucket, "key": artifact.key}}
        for name, artifact in found.items()
        if artifact is not None
    ]
