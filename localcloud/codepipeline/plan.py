"""Which steps come next: stage locks, superseding, queueing and run order. Pure.

A stage is locked by the one execution in it. In SUPERSEDED mode the newest execution that waits
before a stage enters and the older ones are superseded; in QUEUED mode the oldest enters; in
PARALLEL mode there are no locks. A failed or stopped execution has let its lock go.

    enter ─► beforeEntry ─► actions ─► onSuccess ─► leave     a condition that is not met engages
                 │             │           │                  its result: FAIL, SKIP (at entry)
                 └► skip       └► onFailure: retry once, roll back or fail    or ROLLBACK

Source: https://docs.aws.amazon.com/codepipeline/latest/userguide/execution-modes.html
Source: https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-conditions.html
Inferred: conditions are evaluated with the stage's lock held; a stage is retried once; a rollback
passes a disabled transition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from localcloud.codepipeline.model import (
    BEFORE_ENTRY,
    ON_FAILURE,
    ON_SUCCESS,
    ActionStatus,
    ConditionStatus,
    Execution,
    ExecutionStatus,
    Pipeline,
    StageRun,
)

ACTIVE = (ExecutionStatus.IN_PROGRESS, ExecutionStatus.STOPPING)


@dataclass(frozen=True, slots=True)
class EnterStage:
    """The execution takes the lock of the stage it waits for."""

    execution_id: str


@dataclass(frozen=True, slots=True)
class StartAction:
    """The action may run now."""

    execution_id: str
    action_name: str


@dataclass(frozen=True, slots=True)
class EvaluateCondition:
    """The rules of one of the stage's conditions may run now."""

    execution_id: str
    kind: str


@dataclass(frozen=True, slots=True)
class RetryStage:
    """The stage failed and is to be tried again without being asked to."""

    execution_id: str
    all_actions: bool


@dataclass(frozen=True, slots=True)
class SkipStage:
    """The stage's entry condition is not met, which passes it over."""

    execution_id: str


@dataclass(frozen=True, slots=True)
class LeaveStage:
    """Every action of the stage succeeded; the lock is let go."""

    execution_id: str


@dataclass(frozen=True, slots=True)
class EndExecution:
    """The execution is over.

    Attributes:
        roll_back: whether its stage then goes back to the last execution that was successful in it.
    """

    execution_id: str
    status: ExecutionStatus
    roll_back: bool = False


Step = (
    EnterStage
    | StartAction
    | EvaluateCondition
    | RetryStage
    | SkipStage
    | LeaveStage
    | EndExecution
)


def plan(pipeline: Pipeline, executions: Sequence[Execution]) -> list[Step]:
    """Return the steps that are due now; empty when all there is to do is wait."""
    active = [execution for execution in executions if execution.status in ACTIVE]
    steps: list[Step] = []
    taken: set[str] = set()
    for execution in active:
        stage = execution.current_stage
        if stage is not None:
            taken.add(stage.name)
            steps += _within(execution, stage)
        elif execution.status is ExecutionStatus.STOPPING:
            steps.append(EndExecution(execution.id, ExecutionStatus.STOPPED))
    waiting: dict[str, list[Execution]] = {}
    for execution in active:
        if execution.current_stage is None and execution.status is ExecutionStatus.IN_PROGRESS:
            waiting.setdefault(execution.stage_declaration["name"], []).append(execution)
    for name, queue in waiting.items():
        queue.sort(key=lambda execution: execution.number)
        # A rollback neither came by the transition nor competes with what did.
        rollbacks = [execution for execution in queue if execution.rollback_target]
        queue = [execution for execution in queue if not execution.rollback_target]
        if pipeline.mode == "SUPERSEDED":
            steps += [EndExecution(e.id, ExecutionStatus.SUPERSEDED) for e in queue[:-1]]
            queue = queue[-1:]
        if name in pipeline.disabled_transitions:
            queue = []
        ready = [*rollbacks, *queue]
        if pipeline.mode == "PARALLEL":
            steps += [EnterStage(execution.id) for execution in ready]
        elif ready and name not in taken:
            steps.append(EnterStage(ready[0].id))
    return steps


def _within(execution: Execution, stage: StageRun) -> list[Step]:
    """Return what is due for an execution inside a stage."""
    runs = stage.actions
    running = any(run.status is ActionStatus.IN_PROGRESS for run in runs.values())
    evaluating = any(
        condition.status is ConditionStatus.IN_PROGRESS for condition in stage.conditions.values()
    )
    if execution.status is ExecutionStatus.STOPPING and not running and not evaluating:
        return [EndExecution(execution.id, ExecutionStatus.STOPPED)]
    if execution.status is ExecutionStatus.STOPPING or evaluating:
        return []
    entry = _gate(execution, stage, BEFORE_ENTRY)
    if entry is not None:
        return [entry]
    if any(run.status in (ActionStatus.FAILED, ActionStatus.ABANDONED) for run in runs.values()):
        return [] if running else [_after_failure(execution, stage)]
    unfinished = [
        action
        for action in execution.stage_declaration["actions"]
        if action["name"] not in runs or runs[action["name"]].status is not ActionStatus.SUCCEEDED
    ]
    if not unfinished:
        return [_gate(execution, stage, ON_SUCCESS) or LeaveStage(execution.id)]
    order = min(action.get("runOrder", 1) for action in unfinished)
    return [
        StartAction(execution.id, action["name"])
        for action in unfinished
        if action.get("runOrder", 1) == order and action["name"] not in runs
    ]


def _gate(execution: Execution, stage: StageRun, kind: str) -> Step | None:
    """Return the step that a condition asks for; None when it lets the execution go on."""
    if not execution.stage_declaration.get(kind):
        return None
    run = stage.conditions.get(kind)
    if run is None:
        return EvaluateCondition(execution.id, kind)
    return None if run.is_met else _engage(execution, run.result)


def _after_failure(execution: Execution, stage: StageRun) -> Step:
    """Return what a failed stage leads to, by its onFailure."""
    declared = execution.stage_declaration.get(ON_FAILURE) or {}
    result = declared.get("result", "FAIL")
    if result == "RETRY":
        if not stage.automatic_retries:
            mode = (declared.get("retryConfiguration") or {}).get("retryMode", "FAILED_ACTIONS")
            return RetryStage(execution.id, mode == "ALL_ACTIONS")
        result = "FAIL"
    if not declared.get("conditions"):
        return _engage(execution, result)
    run = stage.conditions.get(ON_FAILURE)
    if run is None:
        return EvaluateCondition(execution.id, ON_FAILURE)
    return _engage(execution, "FAIL" if run.is_met else run.result)


def _engage(execution: Execution, result: str) -> Step:
    if result == "SKIP":
        return SkipStage(execution.id)
    # A rollback that fails is not rolled back in its turn.
    back = result == "ROLLBACK" and execution.rollback_target is None
    return EndExecution(execution.id, ExecutionStatus.FAILED, back)
