"""New executions and rollbacks, and the effect of a retry or an abandonment on a stage. Pure."""

from __future__ import annotations

import uuid
from datetime import datetime

from localcloud.codepipeline.model import (
    BEFORE_ENTRY,
    ActionStatus,
    ConditionStatus,
    Execution,
    Pipeline,
    StageRun,
    StageStatus,
)


def new_execution(
    pipeline: Pipeline, number: int, trigger_type: str, trigger_detail: str, now: datetime
) -> Execution:
    """Return a new execution; `number` is its place in the order of starts."""
    execution = Execution(
        id=str(uuid.uuid4()),
        pipeline_arn=pipeline.arn,
        number=number,
        pipeline_version=pipeline.version,
        declaration=pipeline.declaration,
        trigger_type=trigger_type,
        trigger_detail=trigger_detail,
        started=now,
        updated=now,
    )
    execution.variables["codepipeline"] = {"PipelineExecutionId": execution.id}
    return execution


def set_variables(execution: Execution, given: dict[str, str]) -> None:
    """Set the pipeline's variables: the given values, and defaults for the others."""
    values = {
        declared["name"]: declared["defaultValue"]
        for declared in execution.declaration.get("variables", [])
        if "defaultValue" in declared
    }
    if values | given:
        execution.variables["variables"] = values | given


def prepare_rollback(execution: Execution, stage_name: str, target: Execution) -> None:
    """Make an execution a rollback: it waits for the stage, with the target's artifacts."""
    execution.rollback_target = target.id
    execution.declaration = target.declaration
    names = [stage["name"] for stage in target.declaration["stages"]]
    execution.stage_index = names.index(stage_name)
    execution.source_revisions = target.source_revisions
    execution.artifacts = dict(target.artifacts)
    execution.variables = {
        **target.variables,
        "codepipeline": execution.variables["codepipeline"],
    }


def reset_for_retry(stage: StageRun, *, all_actions: bool) -> None:
    """Move what a retry repeats into the history of the stage.

    That is the actions, either all or those that failed, and the conditions, except an entry
    condition that was met.
    """
    for name, run in list(stage.actions.items()):
        if all_actions or run.status is not ActionStatus.SUCCEEDED:
            stage.history.append(run)
            del stage.actions[name]
    for kind, condition in list(stage.conditions.items()):
        if kind != BEFORE_ENTRY or not condition.is_met:
            stage.rule_history.append(stage.conditions.pop(kind))
    stage.status = StageStatus.IN_PROGRESS


def abandon(stage: StageRun, now: datetime) -> None:
    """Abandon the runs of a stage that are in progress."""
    runs = list(stage.actions.values())
    for condition in stage.conditions.values():
        if condition.status is ConditionStatus.IN_PROGRESS:
            condition.status, condition.changed = ConditionStatus.ABANDONED, now
            runs += condition.rules.values()
    for run in runs:
        if run.status is ActionStatus.IN_PROGRESS:
            run.status, run.changed = ActionStatus.ABANDONED, now
