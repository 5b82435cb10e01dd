"""CodePipeline's engine and operations against a small model, in whatever order things happen.

The model says in a few lines what the engine does in many: who is in which stage, and how each
execution ends. Every call goes to both, and then they must agree.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from localcloud.aws.errors import AwsError
from localcloud.aws.routing import Scope
from localcloud.codepipeline.actions.approval import approve
from localcloud.codepipeline.actions.base import ActionContext, ActionFailed, ActionOutcome
from localcloud.codepipeline.api import CodePipelineApi
from localcloud.codepipeline.history_api import HistoryApi
from localcloud.codepipeline.jobs_api import JobsApi
from localcloud.codepipeline.model import Execution
from localcloud.codepipeline.running_api import RunningApi
from localcloud.service_context import ServiceContext
from tests.examples import examples, steps
from tests.small_cloud import SmallCloud

pytestmark = pytest.mark.fuzz

SETTINGS = settings(max_examples=examples(80), stateful_step_count=steps(40))
SCOPE = Scope("000000000000", "us-east-1")
NAME = "p"
# Stage → action → run order. Those of the source end at once, the others when the test ends them.
STAGES = {
    "Source": {"Object": 1},
    "Review": {"Approve": 1},
    "Work": {"Left": 1, "Right": 1, "Last": 2},
    "Deploy": {"Approve": 1},
}
NAMES = list(STAGES)


def declaration(mode: str) -> dict[str, Any]:
    kinds = {"Object": ("Source", "S3"), "Approve": ("Approval", "Manual")}

    def action(name: str, order: int) -> dict[str, Any]:
        category, provider = kinds.get(name, ("Invoke", "Lambda"))
        kind = {"category": category, "owner": "AWS", "provider": provider, "version": "1"}
        details: dict[str, dict[str, Any]] = {
            "Source": {
                "configuration": {"S3Bucket": "b", "S3ObjectKey": "k"},
                "outputArtifacts": [{"name": "Data"}],
            },
            "Invoke": {"configuration": {"FunctionName": "f"}},
        }
        return {"name": name, "actionTypeId": kind, "runOrder": order, **details.get(category, {})}

    stages: list[dict[str, Any]] = [
        {"name": stage, "actions": [action(n, order) for n, order in actions.items()]}
        for stage, actions in STAGES.items()
    ]
    if mode != "PARALLEL":
        stages[-1]["onFailure"] = {"result": "ROLLBACK"}
    return {
        "name": NAME,
        "roleArn": "arn:aws:iam::000000000000:role/p",
        "artifactStore": {"type": "S3", "location": "b"},
        "pipelineType": "V2",
        "executionMode": mode,
        "stages": stages,
    }


@dataclass
class Modelled:
    """An execution, as the model has it."""

    id: str
    index: int = 0
    rollback: bool = False
    version: int = 1
    status: str = "InProgress"
    inside: bool = False
    failed: bool = False
    running: set[str] = field(default_factory=set)
    done: set[str] = field(default_factory=set)
    passed: set[str] = field(default_factory=set)

    @property
    def active(self) -> bool:
        return self.status in ("InProgress", "Stopping")

    @property
    def stage(self) -> str:
        return NAMES[self.index]


class Model:
    """The rules of execution modes, written down once more and shortly."""

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.executions: list[Modelled] = []
        self.disabled: set[str] = set()
        self.entered: dict[str, Modelled] = {}
        self.entries: dict[str, list[Modelled]] = {name: [] for name in NAMES}
        self.version = 1

    def settle(self) -> None:
        while any([*map(self._advance, list(self.executions)), *map(self._admit, NAMES)]):
            pass

    def _advance(self, one: Modelled) -> bool:
        if not one.active or one.running:
            return False
        if one.status == "Stopping":
            one.status = "Stopped"
        elif not one.inside:
            return False
        elif one.failed:
            one.status = "Failed"
            self._roll_back(one)
        else:
            left = {n: o for n, o in STAGES[one.stage].items() if n not in one.done}
            due = {name for name, order in left.items() if order == min(left.values())}
            if one.stage == "Source":
                one.done |= due
            one.running |= due - one.done
            if not left:
                self._leave(one)
        return True

    def _roll_back(self, failed: Modelled) -> None:
        """The last stage goes back to its latest success, but not from a rollback."""
        if self.mode == "PARALLEL" or failed.rollback or failed.stage != NAMES[-1]:
            return
        if any(self._is_target(one) for one in self.entries[failed.stage]):
            self.executions.append(Modelled("", failed.index, True, self.version))

    def _is_target(self, one: Modelled) -> bool:
        return NAMES[-1] in one.passed and one.version == self.version and not one.rollback

    def _leave(self, one: Modelled) -> None:
        one.passed.add(one.stage)
        one.inside, one.done = False, set()
        if one.rollback or one.index + 1 == len(NAMES):
            one.status = "Succeeded"
        else:
            one.index += 1

    def _admit(self, stage: str) -> bool:
        waiting = [
            e
            for e in self.executions
            if e.status == "InProgress" and not e.inside and e.stage == stage
        ]
        back = [e for e in waiting if e.rollback]
        queue = [e for e in waiting if not e.rollback]
        older = queue[:-1] if self.mode == "SUPERSEDED" else []
        for one in older:
            one.status = "Superseded"
            queue.remove(one)
        ready = back + ([] if stage in self.disabled else queue)
        if self.mode != "PARALLEL":
            locked = any(e.active and e.inside and e.stage == stage for e in self.executions)
            ready = [] if locked else ready[:1]
        for one in ready:
            one.inside = True
            self.entered[stage] = one
            self.entries[stage].append(one)
        return bool(older or ready)

    def may_retry(self, one: Modelled) -> bool:
        latest = self.entered.get(one.stage) is one or self.mode == "PARALLEL"
        return one.status == "Failed" and latest

    def refusal(self, target: Modelled, stage: str, version: int) -> str | None:
        """Return the error that a rollback meets, None when there is none."""
        if target.version != version:
            return "PipelineExecutionOutdatedException"
        busy = any(e.active and e.inside and e.stage == stage for e in self.executions)
        wrong = self.mode == "PARALLEL" or stage == "Source" or target.rollback
        if wrong or busy or stage not in target.passed:
            return "UnableToRollbackStageException"
        return None


class PipelineMachine(RuleBasedStateMachine):
    """Calls of the API and ends of actions."""

    mode = ""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.cloud = SmallCloud(self.loop)
        self.model = Model(self.mode)
        self.tokens: dict[str, str] = {}
        self.pending: dict[str, asyncio.Future[bool]] = {}
        nothing = cast(Any, None)
        cloud = cast(ServiceContext, self.cloud)
        self.api = CodePipelineApi(
            cloud,
            nothing,
            nothing,
            nothing,
            nothing,
            {
                ("Source", "S3"): self._fetch,
                ("Approval", "Manual"): approve,
                ("Invoke", "Lambda"): self._wait_for_the_test,
            },
        )
        self.running_api = RunningApi(cloud, self.api)
        self.history = HistoryApi(self.api)
        self.jobs = JobsApi(cloud, self.api)
        self._do(self.api.create_pipeline, pipeline=declaration(self.mode))
        self._adopt()

    async def _fetch(self, context: ActionContext) -> ActionOutcome:
        del context
        return ActionOutcome()

    async def _wait_for_the_test(self, context: ActionContext) -> ActionOutcome:
        answer: asyncio.Future[bool] = self.loop.create_future()
        self.pending[context.run.id] = answer
        if not await answer:
            raise ActionFailed("JobFailed", "told to")
        return ActionOutcome()

    def _do(self, call: Callable[[Scope, dict[str, Any]], Any], **parameters: Any) -> Any:
        async def work() -> Any:
            try:
                result = call(SCOPE, parameters)
                return await result if inspect.isawaitable(result) else result
            finally:
                for _ in range(40):
                    await asyncio.sleep(0)

        return self.loop.run_until_complete(work())

    def _refused(self, call: Any, **parameters: Any) -> str:
        with pytest.raises(AwsError) as caught:
            self._do(call, **parameters)
        return caught.value.code

    def _real(self) -> list[Execution]:
        return self.api.engine.executions(self.api.pipeline(SCOPE, NAME))

    def _version(self) -> int:
        return self.api.pipeline(SCOPE, NAME).version

    def _adopt(self) -> Modelled:
        """Take the newest execution into the model."""
        one = Modelled("", version=self._version())
        self.model.executions.append(one)
        self._settle()
        return one

    def _settle(self) -> None:
        """Settle the model, and let its new executions have the ids of the real ones."""
        self.model.settle()
        for one, real in zip(self.model.executions, self._real(), strict=False):
            one.id = one.id or real.id

    def _pick(self, pick: int, *statuses: str) -> Modelled | None:
        found = [e for e in self.model.executions if e.status in statuses]
        return found[pick % len(found)] if found else None

    # What may happen.

    @precondition(lambda self: len(self.model.executions) < 9)
    @rule()
    def start(self) -> None:
        self._do(self.running_api.start_pipeline_execution, name=NAME)
        self._adopt()

    @rule(pick=st.integers(0, 50), well=st.sampled_from([True, True, True, False]))
    def end_an_action(self, pick: int, well: bool) -> None:
        busy = [(e, name) for e in self.model.executions for name in sorted(e.running)]
        if not busy:
            return
        self._end(*busy[pick % len(busy)], well)

    @rule(pick=st.integers(0, 50), stages=st.integers(1, 3))
    def let_stages_pass(self, pick: int, stages: int) -> None:
        """Bring one execution far, which single actions seldom do."""
        one = self._pick(pick, "InProgress")
        while one is not None and one.status == "InProgress" and one.running and stages:
            at = one.index
            self._end(one, min(one.running), True)
            stages -= one.index != at

    def _end(self, one: Modelled, name: str, well: bool) -> None:
        real = next(e for e in self._real() if e.id == one.id)
        run = real.stages[one.stage].actions[name]
        if name == "Approve":
            token = str(run.token)
            assert self.tokens.setdefault(token, run.id) == run.id, "a token of two approvals"
            verdict = "Approved" if well else "Rejected"
            answer = {
                "pipelineName": NAME,
                "stageName": one.stage,
                "actionName": name,
                "token": token,
                "result": {"status": verdict, "summary": ""},
            }
            self._do(self.jobs.put_approval_result, **answer)
            code = self._refused(self.jobs.put_approval_result, **answer)
            assert code in ("ApprovalAlreadyCompletedException", "InvalidApprovalTokenException")
        else:
            self._do(lambda *_: self.pending[run.id].set_result(well))
        one.running.remove(name)
        if well:
            one.done.add(name)
        else:
            one.failed = True
        self._settle()

    @rule(pick=st.integers(0, 50), abandon=st.booleans())
    def stop(self, pick: int, abandon: bool) -> None:
        one = self._pick(pick, "InProgress", "Stopping", "Succeeded", "Failed", "Superseded")
        if one is None:
            return
        call = {"pipelineName": NAME, "pipelineExecutionId": one.id, "abandon": abandon}
        if not one.active:
            code = self._refused(self.running_api.stop_pipeline_execution, **call)
            assert code == "PipelineExecutionNotStoppableException"
            return
        if one.status == "Stopping" and not abandon:
            code = self._refused(self.running_api.stop_pipeline_execution, **call)
            assert code == "DuplicatedStopRequestException"
            return
        self._do(self.running_api.stop_pipeline_execution, **call)
        one.status = "Stopping"
        if abandon:
            one.running.clear()
        self._settle()

    @rule(pick=st.integers(0, 50), all_actions=st.booleans())
    def retry(self, pick: int, all_actions: bool) -> None:
        one = self._pick(pick, "Failed", "Succeeded", "InProgress")
        if one is None:
            return
        call = {
            "pipelineName": NAME,
            "stageName": one.stage,
            "pipelineExecutionId": one.id,
            "retryMode": "ALL_ACTIONS" if all_actions else "FAILED_ACTIONS",
        }
        if not self.model.may_retry(one):
            code = self._refused(self.running_api.retry_stage_execution, **call)
            failed = one.status == "Failed"
            late = "NotLatestPipelineExecutionException"
            assert code == (late if failed else "StageNotRetryableException")
            return
        self._do(self.running_api.retry_stage_execution, **call)
        one.status, one.failed = "InProgress", False
        if all_actions:
            one.done.clear()
        self._settle()

    @precondition(lambda self: len(self.model.executions) < 9)
    @rule(pick=st.integers(0, 50), stage=st.sampled_from(NAMES))
    def roll_back(self, pick: int, stage: str) -> None:
        target = self.model.executions[pick % len(self.model.executions)]
        call = {
            "pipelineName": NAME,
            "stageName": stage,
            "targetPipelineExecutionId": target.id,
        }
        refusal = self.model.refusal(target, stage, self._version())
        if refusal is not None:
            assert self._refused(self.running_api.rollback_stage, **call) == refusal
            return
        self._do(self.running_api.rollback_stage, **call)
        self.model.executions.append(Modelled("", NAMES.index(stage), True, self._version()))
        self._settle()

    @rule(stage=st.sampled_from(NAMES), disable=st.booleans())
    def switch_a_transition(self, stage: str, disable: bool) -> None:
        call = {"pipelineName": NAME, "stageName": stage, "transitionType": "Inbound"}
        if disable:
            self._do(self.running_api.disable_stage_transition, **call, reason="frozen")
            self.model.disabled.add(stage)
        else:
            self._do(self.running_api.enable_stage_transition, **call)
            self.model.disabled.discard(stage)
        self._settle()

    @rule()
    def update(self) -> None:
        self._do(self.api.update_pipeline, pipeline=declaration(self.mode))
        self.model.version += 1

    # What must hold.

    @invariant()
    def the_engine_and_the_model_agree(self) -> None:
        real = [
            (e.id, e.status.value, e.stage_declaration["name"], e.current_stage is not None)
            for e in self._real()
        ]
        wanted = [
            (e.id, e.status, e.stage, e.inside or e.status == "Succeeded")
            for e in self.model.executions
        ]
        assert wanted == real

    @invariant()
    def the_same_actions_run(self) -> None:
        real = {
            (e.id, run.name)
            for e in self._real()
            for stage in e.stages.values()
            for run in stage.actions.values()
            if run.status == "InProgress"
        }
        assert {(e.id, name) for e in self.model.executions for name in e.running} == real

    @invariant()
    def one_execution_is_in_a_stage_unless_parallel(self) -> None:
        inside = [e.current_stage.name for e in self._real() if _is_inside(e) and e.current_stage]
        if self.mode != "PARALLEL":
            assert len(inside) == len(set(inside))

    @invariant()
    def the_state_shows_the_latest_execution_and_who_waits(self) -> None:
        state = self.history.get_pipeline_state(SCOPE, {"name": NAME})
        for stage in state["stageStates"]:
            name = stage["stageName"]
            latest = self.model.entered.get(name)
            shown = stage.get("latestExecution", {}).get("pipelineExecutionId")
            if self.mode != "PARALLEL":
                assert shown == (latest.id if latest else None)
            waiting = {
                e.id
                for e in self.model.executions
                if e.status == "InProgress" and not e.inside and e.stage == name
            }
            given = {e["pipelineExecutionId"] for e in stage.get("inboundExecutions", [])}
            assert given == waiting

    @invariant()
    def nothing_failed_in_the_background(self) -> None:
        for task in self.cloud.tasks:
            assert not task.done() or task.cancelled() or task.exception() is None

    def teardown(self) -> None:
        self.cloud.end()
        self.loop.close()
        self.cloud.database.close()


def _is_inside(execution: Execution) -> bool:
    active = execution.status.value in ("InProgress", "Stopping")
    return active and execution.current_stage is not None


class SupersededMachine(PipelineMachine):
    mode = "SUPERSEDED"


class QueuedMachine(PipelineMachine):
    mode = "QUEUED"


class ParallelMachine(PipelineMachine):
    mode = "PARALLEL"


TestSuperseded = SupersededMachine.TestCase
TestSuperseded.settings = SETTINGS
TestQueued = QueuedMachine.TestCase
TestQueued.settings = SETTINGS
TestParallel = ParallelMachine.TestCase
TestParallel.settings = SETTINGS


@pytest.mark.aws_documented("https://docs.aws.amazon.com/codepipeline/latest/userguide/limits.html")
@pytest.mark.parametrize("kind", [QueuedMachine, ParallelMachine])
def test_fifty_executions_may_be_in_progress_and_not_one_more(kind: type[PipelineMachine]) -> None:
    machine = kind()
    for _ in range(49):
        machine.start()
    refused = machine._refused(machine.running_api.start_pipeline_execution, name=NAME)
    assert refused == "ConcurrentPipelineExecutionsLimitExceededException"
    machine.teardown()


@pytest.mark.emulator_only
@pytest.mark.parametrize("kind", [SupersededMachine, QueuedMachine])
def test_a_rollback_goes_before_who_waits_and_supersedes_none(kind: type[PipelineMachine]) -> None:
    machine = kind()
    machine.let_stages_pass(0, 3)
    machine.start()
    machine.let_stages_pass(0, 2)
    machine.start()
    machine.let_stages_pass(1, 2)
    _, second, third = machine.model.executions
    assert (second.stage, second.inside) == (third.stage, not third.inside) == ("Deploy", True)
    machine._end(second, "Approve", False)
    back = machine.model.executions[3]
    assert (back.inside, third.inside, third.status) == (True, False, "InProgress")
    machine.the_engine_and_the_model_agree()
    machine._end(back, "Approve", True)
    assert third.inside
    machine.the_engine_and_the_model_agree()
    machine.teardown()
