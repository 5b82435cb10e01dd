"""The plan of executions through locked stages, driven by a small engine with invented results."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from localcloud.aws.errors import IllegalTransition
from localcloud.codepipeline.model import (
    EXECUTION_TRANSITIONS,
    ActionRun,
    ActionStatus,
    Execution,
    ExecutionStatus,
    Pipeline,
    StageRun,
    StageStatus,
)
from localcloud.codepipeline.plan import (
    ACTIVE,
    EndExecution,
    EnterStage,
    LeaveStage,
    StartAction,
    Step,
    plan,
)
from tests.examples import steps

pytestmark = pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/codepipeline/latest/userguide/execution-modes.html"
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
# Stage → (action, run order).
STAGES = {
    "Source": [("S3", 1)],
    "Train": [("Lint", 1), ("Train", 1), ("Check", 2)],
    "Deploy": [("Deploy", 1), ("SmokeTest", 3)],
}


def declaration(mode: str) -> dict[str, Any]:
    stages = [
        {"name": stage, "actions": [{"name": name, "runOrder": order} for name, order in actions]}
        for stage, actions in STAGES.items()
    ]
    return {"name": "p", "executionMode": mode, "stages": stages}


class Line:
    """A pipeline whose steps are carried out at once, and whose actions wait for the test."""

    def __init__(self, mode: str) -> None:
        self.pipeline = Pipeline("arn:p", "p", declaration(mode), NOW, NOW)
        self.executions: list[Execution] = []
        self.steps: list[Step] = []

    def start(self) -> Execution:
        number = len(self.executions) + 1
        execution = Execution(
            id=str(number),
            pipeline_arn="arn:p",
            number=number,
            pipeline_version=1,
            declaration=self.pipeline.declaration,
            trigger_type="StartPipelineExecution",
            trigger_detail="",
            started=NOW,
            updated=NOW,
        )
        self.executions.append(execution)
        self.tick()
        return execution

    def tick(self) -> None:
        rounds = 0
        while steps := plan(self.pipeline, self.executions):
            rounds += 1
            assert rounds < 100, f"the plan never ends: {steps}"
            for step in steps:
                self.steps.append(step)
                self.carry_out(step)

    def carry_out(self, step: Step) -> None:
        execution = self.executions[int(step.execution_id) - 1]
        stage = execution.current_stage
        match step:
            case EnterStage():
                assert stage is None
                name = execution.stage_declaration["name"]
                execution.stages[name] = StageRun(name, StageStatus.IN_PROGRESS, NOW)
            case StartAction(action_name=name):
                assert stage is not None
                assert name not in stage.actions
                order = dict(STAGES[stage.name])
                before = [other for other, at in STAGES[stage.name] if at < order[name]]
                assert all(
                    stage.actions[other].status is ActionStatus.SUCCEEDED for other in before
                ), f"{name} starts before {before}"
                stage.actions[name] = ActionRun(
                    f"{execution.id}/{name}", name, order[name], ActionStatus.IN_PROGRESS, NOW, NOW
                )
            case LeaveStage():
                assert stage is not None
                assert {name for name, _ in STAGES[stage.name]} == set(stage.actions)
                stage.status = StageStatus.SUCCEEDED
                if execution.stage_index + 1 == len(STAGES):
                    execution.move(ExecutionStatus.SUCCEEDED, NOW)
                else:
                    execution.stage_index += 1
            case EndExecution(status=status):
                if status is ExecutionStatus.SUPERSEDED:
                    waiting = execution.stage_declaration["name"]
                    assert stage is None, "superseded inside a stage"
                    assert any(
                        other.number > execution.number
                        and other.status in ACTIVE
                        and other.stage_declaration["name"] == waiting
                        for other in self.executions
                    ), "superseded by none that is newer"
                execution.move(status, NOW)

    def running(self) -> list[tuple[Execution, ActionRun]]:
        return [
            (execution, run)
            for execution in self.executions
            for stage in execution.stages.values()
            for run in stage.actions.values()
            if run.status is ActionStatus.IN_PROGRESS
        ]

    def finish(self, execution: Execution, name: str, status: ActionStatus) -> None:
        stage = execution.current_stage
        assert stage is not None
        stage.actions[name].status = status
        self.tick()

    def pass_stage(self, execution: Execution) -> None:
        """Let every action of the stage it is in succeed."""
        at = execution.stage_index
        while execution.stage_index == at and execution.status in ACTIVE:
            stage = execution.current_stage
            assert stage is not None
            name = next(r.name for r in stage.actions.values() if r.status == "InProgress")
            self.finish(execution, name, ActionStatus.SUCCEEDED)

    def stop(self, execution: Execution, *, abandon: bool) -> None:
        execution.move(ExecutionStatus.STOPPING, NOW)
        stage = execution.current_stage
        if abandon and stage is not None:
            for run in stage.actions.values():
                if run.status is ActionStatus.IN_PROGRESS:
                    run.status = ActionStatus.ABANDONED
        self.tick()

    def statuses(self) -> list[str]:
        return [execution.status.value for execution in self.executions]

    def where(self) -> list[str]:
        """Return where each execution is: its stage, or `>` and the stage it waits for."""
        return [
            ("" if e.current_stage else ">") + str(e.stage_declaration["name"])
            for e in self.executions
            if e.status in ACTIVE
        ]


def test_an_execution_goes_through_every_stage_in_run_order() -> None:
    line = Line("SUPERSEDED")
    execution = line.start()
    for _ in STAGES:
        line.pass_stage(execution)
    assert ["Succeeded"] == line.statuses()
    started = [step.action_name for step in line.steps if isinstance(step, StartAction)]
    assert ["S3", "Lint", "Train", "Check", "Deploy", "SmokeTest"] == started


def test_actions_of_one_run_order_start_together() -> None:
    line = Line("SUPERSEDED")
    line.pass_stage(line.start())
    assert ["Lint", "Train"] == [run.name for _, run in line.running()]


def test_the_newest_waiting_execution_supersedes_the_older_ones() -> None:
    line = Line("SUPERSEDED")
    for _ in range(3):
        line.pass_stage(line.start())
    # The first is in Train; the second waited before it until the third came.
    assert ["InProgress", "Superseded", "InProgress"] == line.statuses()
    assert ["Train", ">Train"] == line.where()


def test_a_queue_lets_the_oldest_enter_and_supersedes_none() -> None:
    line = Line("QUEUED")
    for _ in range(3):
        line.pass_stage(line.start())
    assert ["Train", ">Train", ">Train"] == line.where()
    line.pass_stage(line.executions[0])
    assert ["Deploy", "Train", ">Train"] == line.where()


def test_parallel_executions_share_a_stage() -> None:
    line = Line("PARALLEL")
    for _ in range(3):
        line.pass_stage(line.start())
    assert ["Train", "Train", "Train"] == line.where()


def test_a_failed_action_ends_the_execution_when_its_neighbours_have_ended() -> None:
    line = Line("SUPERSEDED")
    execution = line.start()
    line.pass_stage(execution)
    line.finish(execution, "Lint", ActionStatus.FAILED)
    assert ["InProgress"] == line.statuses()
    line.finish(execution, "Train", ActionStatus.SUCCEEDED)
    assert ["Failed"] == line.statuses()


@pytest.mark.parametrize("mode", ["SUPERSEDED", "QUEUED"])
def test_a_failure_lets_the_lock_go(mode: str) -> None:
    line = Line(mode)
    first = line.start()
    line.start()
    assert ["Source", ">Source"] == line.where()
    line.finish(first, "S3", ActionStatus.FAILED)
    assert ["Source"] == line.where()
    assert ["Failed", "InProgress"] == line.statuses()


@pytest.mark.parametrize(("abandon", "status"), [(False, "Stopping"), (True, "Stopped")])
def test_a_stop_waits_for_running_actions_unless_they_are_abandoned(
    abandon: bool, status: str
) -> None:
    line = Line("SUPERSEDED")
    first = line.start()
    line.start()
    line.stop(first, abandon=abandon)
    assert [status, "InProgress"] == line.statuses()
    if not abandon:
        line.finish(first, "S3", ActionStatus.SUCCEEDED)
    assert ["Stopped", "InProgress"] == line.statuses()
    assert ["Source"] == line.where()


def test_a_waiting_execution_stops_at_once() -> None:
    line = Line("QUEUED")
    line.start()
    line.stop(line.start(), abandon=False)
    assert ["InProgress", "Stopped"] == line.statuses()


@pytest.mark.parametrize("mode", ["SUPERSEDED", "QUEUED", "PARALLEL"])
def test_a_disabled_transition_holds_executions_before_the_stage(mode: str) -> None:
    line = Line(mode)
    line.pipeline.disabled_transitions["Train"] = {}
    execution = line.start()
    line.pass_stage(execution)
    assert [">Train"] == line.where()
    del line.pipeline.disabled_transitions["Train"]
    line.tick()
    assert ["Train"] == line.where()


def test_before_a_disabled_transition_the_newer_execution_supersedes() -> None:
    line = Line("SUPERSEDED")
    line.pipeline.disabled_transitions["Train"] = {}
    for _ in range(2):
        line.pass_stage(line.start())
    assert ["Superseded", "InProgress"] == line.statuses()


LEGAL = {
    ("InProgress", "Succeeded"),
    ("InProgress", "Failed"),
    ("InProgress", "Superseded"),
    ("InProgress", "Stopping"),
    ("InProgress", "Stopped"),
    ("Stopping", "Stopped"),
    ("Stopping", "Failed"),
    ("Failed", "InProgress"),
}


@pytest.mark.parametrize("before", ExecutionStatus)
@pytest.mark.parametrize("after", ExecutionStatus)
def test_an_execution_moves_by_the_table_alone(
    before: ExecutionStatus, after: ExecutionStatus
) -> None:
    execution = Line("QUEUED").start()
    execution.status = before
    if (before, after) in LEGAL:
        execution.move(after, NOW)
        assert after is execution.status
    else:
        with pytest.raises(IllegalTransition, match=f"{before} to {after}"):
            execution.move(after, NOW)
        assert before is execution.status
    assert ((before, after) in LEGAL) == (after in EXECUTION_TRANSITIONS[before])


class PipelineMachine(RuleBasedStateMachine):
    """Anything that can happen to a pipeline, in any order."""

    mode = ""

    def __init__(self) -> None:
        super().__init__()
        self.line = Line(self.mode)

    @precondition(lambda self: len(self.line.executions) < 8)
    @rule()
    def start(self) -> None:
        self.line.start()

    @precondition(lambda self: bool(self.line.running()))
    @rule(
        pick=st.integers(0, 50),
        status=st.sampled_from(
            [ActionStatus.SUCCEEDED] * 4 + [ActionStatus.FAILED, ActionStatus.ABANDONED]
        ),
    )
    def end_an_action(self, pick: int, status: ActionStatus) -> None:
        running = self.line.running()
        execution, run = running[pick % len(running)]
        self.line.finish(execution, run.name, status)

    @precondition(lambda self: "InProgress" in self.line.statuses())
    @rule(pick=st.integers(0, 50), abandon=st.booleans())
    def stop(self, pick: int, abandon: bool) -> None:
        candidates = [e for e in self.line.executions if e.status is ExecutionStatus.IN_PROGRESS]
        self.line.stop(candidates[pick % len(candidates)], abandon=abandon)

    @rule(stage=st.sampled_from(list(STAGES)), disabled=st.booleans())
    def switch_a_transition(self, stage: str, disabled: bool) -> None:
        if disabled:
            self.line.pipeline.disabled_transitions[stage] = {}
        else:
            self.line.pipeline.disabled_transitions.pop(stage, None)
        self.line.tick()

    @invariant()
    def the_plan_has_reached_its_fixpoint(self) -> None:
        assert [] == plan(self.line.pipeline, self.line.executions)

    @invariant()
    def a_stage_holds_one_execution_unless_parallel(self) -> None:
        inside = [
            stage.name
            for execution in self.line.executions
            if execution.status in ACTIVE and (stage := execution.current_stage)
        ]
        if self.mode != "PARALLEL":
            assert len(inside) == len(set(inside))

    @invariant()
    def only_the_superseded_mode_supersedes(self) -> None:
        if self.mode != "SUPERSEDED":
            assert "Superseded" not in self.line.statuses()

    @invariant()
    def a_stage_is_entered_in_the_order_of_starting(self) -> None:
        if self.mode == "PARALLEL":
            return
        for stage in STAGES:
            numbers = self.order_of_entering(stage)
            assert sorted(numbers) == numbers

    def order_of_entering(self, stage: str) -> list[int]:
        index = {execution.id: 0 for execution in self.line.executions}
        found: list[int] = []
        names = list(STAGES)
        for step in self.line.steps:
            if isinstance(step, EnterStage) and names[index[step.execution_id]] == stage:
                found.append(int(step.execution_id))
            if isinstance(step, LeaveStage):
                index[step.execution_id] = min(index[step.execution_id] + 1, len(names) - 1)
        return found

    @invariant()
    def whatever_is_not_over_waits_for_an_action_a_lock_or_a_transition(self) -> None:
        for execution in self.line.executions:
            if execution.status not in ACTIVE:
                continue
            stage = execution.current_stage
            if stage is not None:
                assert any(r.status is ActionStatus.IN_PROGRESS for r in stage.actions.values())
                continue
            name = execution.stage_declaration["name"]
            holders = [
                other
                for other in self.line.executions
                if other is not execution
                and other.status in ACTIVE
                and (held := other.current_stage) is not None
                and held.name == name
            ]
            assert holders or name in self.line.pipeline.disabled_transitions

    def teardown(self) -> None:
        """Everything ends once transitions are enabled and each action succeeds."""
        self.line.pipeline.disabled_transitions.clear()
        self.line.tick()
        for _ in range(200):
            running = self.line.running()
            if not running:
                break
            execution, run = running[0]
            self.line.finish(execution, run.name, ActionStatus.SUCCEEDED)
        assert not [e.id for e in self.line.executions if e.status in ACTIVE]


class SupersededMachine(PipelineMachine):
    mode = "SUPERSEDED"


class QueuedMachine(PipelineMachine):
    mode = "QUEUED"


class ParallelMachine(PipelineMachine):
    mode = "PARALLEL"


_SETTINGS = settings(stateful_step_count=steps(30))
TestSupersededMode = SupersededMachine.TestCase
TestSupersededMode.settings = _SETTINGS
TestQueuedMode = QueuedMachine.TestCase
TestQueuedMode.settings = _SETTINGS
TestParallelMode = ParallelMachine.TestCase
TestParallelMode.settings = _SETTINGS
