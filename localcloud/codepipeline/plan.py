"""Which steps come next: stage locks, superseding, queueing and run order. Pure.

A stage is locked by the one execution in it. In SUPERSEDED mode the newest execution that waits
before a stage enters and the older ones are superseded; in QUEUED mode the oldest enters; in
PARALLEL mode there are no locks. A failed or stopped execution has let its lock go.

Source: https://docs.aws.amazon.com/codepipeline/latest/userguide/execution-modes.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from localcloud.codepipeline.model import (
    ActionStatus,
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
class LeaveStage:
    """Every action of the stage succeeded; the lock is let go."""

    execution_id: str


@dataclass(frozen=True, slots=True)
class EndExecution:
    """The execution is over."""

    execution_id: str
    status: ExecutionStatus


Step = EnterStage | StartAction | LeaveStage | EndExecution


def plan(pipeline: Pipeline, executions: Sequence[Execution]) -> list[Step]:
    """Return the steps that are due now; empty when all there is to do is wait."""
    active = [execution for execution in executions if execution.status in ACTIVE]
    steps: list[Step] = []
    inside: dict[str, int] = {}
    for execution in active:
        stage = execution.current_stage
        if stage is not None:
            inside[stage.name] = inside.get(stage.name, 0) + 1
            steps += _within(execution, stage)
        elif execution.status is ExecutionStatus.STOPPING:
            steps.append(EndExecution(execution.id, ExecutionStatus.STOPPED))
    waiting: dict[str, list[Execution]] = {}
    for execution in active:
        if execution.current_stage is None and execution.status is ExecutionStatus.IN_PROGRESS:
            waiting.setdefault(execution.stage_declaration["name"], []).append(execution)
    for name, queue in waiting.items():
        queue.sort(key=lambda execution: execution.number)
        if pipeline.mode == "SUPERSEDED":
            steps += [EndExecution(e.id, ExecutionStatus.SUPERSEDED) for e in queue[:-1]]
            queue = queue[-1:]
        if name in pipeline.disabled_transitions:
            continue
        if pipeline.mode == "PARALLEL":
            steps += [EnterStage(execution.id) for execution in queue]
        elif not inside.get(name):
            steps.append(EnterStage(queue[0].id))
    return steps


def _within(execution: Execution, stage: StageRun) -> list[Step]:
    """Return what is due for an execution inside a stage."""
    runs = stage.actions
    if any(run.status is ActionStatus.IN_PROGRESS for run in runs.values()):
        in_progress_order = min(
            run.run_order for run in runs.values() if run.status is ActionStatus.IN_PROGRESS
        )
    else:
        in_progress_order = None
    failed = any(
        run.status in (ActionStatus.FAILED, ActionStatus.ABANDONED) for run in runs.values()
    )
    if in_progress_order is None:
        if execution.status is ExecutionStatus.STOPPING:
            return [EndExecution(execution.id, ExecutionStatus.STOPPED)]
        if failed:
            return [EndExecution(execution.id, ExecutionStatus.FAILED)]
    if failed or execution.status is ExecutionStatus.STOPPING:
        return []
    unfinished = [
        action
        for action in execution.stage_declaration["actions"]
        if action["name"] not in runs or runs[action["name"]].status is not ActionStatus.SUCCEEDED
    ]
    if not unfinished:
        return [LeaveStage(execution.id)]
    order = min(action.get("runOrder", 1) for action in unfinished)
    return [
        StartAction(execution.id, action["name"])
        for action in unfinished
        if action.get("runOrder", 1) == order and action["name"] not in runs
    ]
