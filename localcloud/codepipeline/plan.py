"""The planner: the next steps of a pipeline's executions, by locks, modes and run order. Pure.

One execution at a time may be in a stage; it holds the lock of the stage. In SUPERSEDED mode the
newest of the executions that wait before a stage enters it, and the older ones are superseded. In
QUEUED mode the oldest enters. PARALLEL mode has no locks. An execution that failed or was stopped
holds no lock.

An example in time, in SUPERSEDED mode. Execution 1 is in the stage DeployApproval, where a person
has not decided yet. Executions 2 and 3 have left the stage before and wait. The plan is empty,
because 1 holds the lock. The person approves: the action succeeds, and the engine asks again. Now
the plan is LeaveStage for 1. Once 1 is in DeployPrd, the plan is EnterStage for 3, the newest, and
EndExecution with Superseded for 2. The engine carries both out and asks again, until the plan is
empty.

    enter ─► beforeEntry ─► actions ─► onSuccess ─► leave     a condition that is not met engages
                 │             │           │                  its result: FAIL, SKIP (at entry)
                 └► skip       └► onFailure: retry once, roll back or fail    or ROLLBACK

Source: https://docs.aws.amazon.com/codepipeline/latest/userguide/execution-modes.html
Source: https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-conditions.html
Inferred: conditions are evaluated while the stage's lock is held; a stage is retried once; a
disabled transition does not stop a rollback.
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
    """The execution enters the stage that it waits for, and gets its lock."""

    execution_id: str


@dataclass(frozen=True, slots=True)
class StartAction:
    """Start an action."""

    execution_id: str
    action_name: str


@dataclass(frozen=True, slots=True)
class EvaluateCondition:
    """Evaluate a condition of the stage."""

    execution_id: str
    kind: str


@dataclass(frozen=True, slots=True)
class RetryStage:
    """Retry a failed stage automatically."""

    execution_id: str
    all_actions: bool


@dataclass(frozen=True, slots=True)
class SkipStage:
    """Skip a stage whose entry condition is not met."""

    execution_id: str


@dataclass(frozen=True, slots=True)
class LeaveStage:
    """Leave a stage, all of whose actions succeeded, and release its lock."""

    execution_id: str


@dataclass(frozen=True, slots=True)
class EndExecution:
    """End an execution.

    Attributes:
        roll_back: whether its stage is then rolled back to the last execution that succeeded in it.
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
    """Return the steps that are due now, or an empty list if all executions have to wait."""
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
        # A rollback did not come through the transition, and does not compete with executions that
        # did.
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
    """Return the steps that are due for an execution inside a stage."""
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
    """Return the step that a condition requires, or None if the execution may continue."""
    if not execution.stage_declaration.get(kind):
        return None
    run = stage.conditions.get(kind)
    if run is None:
        return EvaluateCondition(execution.id, kind)
    return None if run.is_met else _engage(execution, run.result)


def _after_failure(execution: Execution, stage: StageRun) -> Step:
    """Return the steps after a stage failed, by its onFailure."""
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
    # A rollback that fails is not rolled back again.
    back = result == "ROLLBACK" and execution.rollback_target is None
    return EndExecution(execution.id, ExecutionStatus.FAILED, back)
