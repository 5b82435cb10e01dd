"""The plan of one execution in a stage with conditions: entry, success, failure and rollbacks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from localcloud.codepipeline.model import (
    BEFORE_ENTRY,
    ON_FAILURE,
    ON_SUCCESS,
    ActionRun,
    ActionStatus,
    ConditionRun,
    ConditionStatus,
    Execution,
    ExecutionStatus,
    Pipeline,
    StageRun,
    StageStatus,
)
from localcloud.codepipeline.plan import (
    EndExecution,
    EnterStage,
    EvaluateCondition,
    LeaveStage,
    RetryStage,
    SkipStage,
    StartAction,
    Step,
    plan,
)

GUIDE = "https://docs.aws.amazon.com/codepipeline/latest/userguide"
conditions = pytest.mark.aws_documented(f"{GUIDE}/stage-conditions.html")
modes = pytest.mark.aws_documented(f"{GUIDE}/execution-modes.html")
retries = pytest.mark.aws_documented(f"{GUIDE}/stage-retry.html")

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SUCCEEDED, FAILED = ActionStatus.SUCCEEDED, ActionStatus.FAILED
RUNNING, ABANDONED = ActionStatus.IN_PROGRESS, ActionStatus.ABANDONED
MET, NOT_MET = ConditionStatus.SUCCEEDED, ConditionStatus.FAILED
OVERRIDDEN, EVALUATING = ConditionStatus.OVERRIDDEN, ConditionStatus.IN_PROGRESS
FAIL, ROLL_BACK = (EndExecution("1", ExecutionStatus.FAILED, back) for back in (False, True))
STOP = EndExecution("1", ExecutionStatus.STOPPED)
# Conditions by their kind: how each was evaluated, and its result.
Evaluated = dict[str, tuple[ConditionStatus, str]]
RULES: dict[str, Any] = {"conditions": [{"rules": [{"name": "Alarm"}]}]}


def execution(
    number: int = 1, stage: dict[str, Any] | None = None, *, rollback: bool = False
) -> Execution:
    """Return an execution of a pipeline whose only stage has these conditions."""
    actions = [{"name": "Deploy", "runOrder": 1}, {"name": "Check", "runOrder": 2}]
    return Execution(
        id=str(number),
        pipeline_arn="arn:p",
        number=number,
        pipeline_version=1,
        declaration={"stages": [{"name": "Deploy", "actions": actions, **(stage or {})}]},
        trigger_type="StartPipelineExecution",
        trigger_detail="",
        started=NOW,
        updated=NOW,
        rollback_target="0" if rollback else None,
    )


def enter(
    entered: Execution,
    *actions: ActionStatus,
    evaluated: Evaluated | None = None,
    retried: int = 0,
) -> Execution:
    """Let it enter its stage: its first actions with these statuses, and its conditions."""
    names = [action["name"] for action in entered.stage_declaration["actions"]]
    stage = StageRun("Deploy", StageStatus.IN_PROGRESS, NOW, automatic_retries=retried)
    for order, (name, status) in enumerate(zip(names, actions, strict=False), 1):
        stage.actions[name] = ActionRun(f"a{order}", name, order, status, NOW, NOW)
    for kind, (outcome, result) in (evaluated or {}).items():
        stage.conditions[kind] = ConditionRun(kind, outcome, NOW, result)
    entered.stages["Deploy"] = stage
    return entered


def planned(*executions: Execution, mode: str = "QUEUED", disabled: bool = False) -> list[Step]:
    pipeline = Pipeline("arn:p", "p", {"name": "p", "executionMode": mode}, NOW, NOW)
    if disabled:
        pipeline.disabled_transitions["Deploy"] = {}
    return plan(pipeline, executions)


def enters(executions: str) -> list[Step]:
    return [EnterStage(number) for number in executions]


@conditions
@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (None, EvaluateCondition("1", BEFORE_ENTRY)),
        ((EVALUATING, "FAIL"), None),
        ((MET, "FAIL"), StartAction("1", "Deploy")),
        ((OVERRIDDEN, "FAIL"), StartAction("1", "Deploy")),
        ((NOT_MET, "FAIL"), FAIL),
        ((NOT_MET, "SKIP"), SkipStage("1")),
        ((NOT_MET, "ROLLBACK"), ROLL_BACK),
    ],
)
def test_an_entry_condition_comes_before_the_actions_and_its_result_instead_of_them(
    entry: tuple[ConditionStatus, str] | None, expected: Step | None
) -> None:
    evaluated = {} if entry is None else {BEFORE_ENTRY: entry}
    found = planned(enter(execution(1, {BEFORE_ENTRY: RULES}), evaluated=evaluated))
    assert found == ([] if expected is None else [expected])


@conditions
@pytest.mark.parametrize(
    ("success", "expected"),
    [
        (None, EvaluateCondition("1", ON_SUCCESS)),
        ((EVALUATING, "FAIL"), None),
        ((MET, "FAIL"), LeaveStage("1")),
        ((OVERRIDDEN, "ROLLBACK"), LeaveStage("1")),
        ((NOT_MET, "FAIL"), FAIL),
        ((NOT_MET, "ROLLBACK"), ROLL_BACK),
    ],
)
def test_a_success_condition_comes_after_every_action_and_before_the_next_stage(
    success: tuple[ConditionStatus, str] | None, expected: Step | None
) -> None:
    declared = {ON_SUCCESS: RULES}
    assert planned(enter(execution(1, declared), SUCCEEDED)) == [StartAction("1", "Check")]
    evaluated = {} if success is None else {ON_SUCCESS: success}
    found = planned(enter(execution(1, declared), SUCCEEDED, SUCCEEDED, evaluated=evaluated))
    assert found == ([] if expected is None else [expected])


@conditions
@pytest.mark.parametrize(
    ("declared", "failure", "expected"),
    [
        (None, None, FAIL),
        ({}, None, FAIL),
        ({"result": "FAIL"}, None, FAIL),
        ({"result": "ROLLBACK"}, None, ROLL_BACK),
        ({"result": "FAIL", **RULES}, None, EvaluateCondition("1", ON_FAILURE)),
        (RULES, None, EvaluateCondition("1", ON_FAILURE)),
        # A condition that is met has nothing to engage: the stage has failed, and stays so.
        ({"result": "ROLLBACK", **RULES}, (MET, "ROLLBACK"), FAIL),
        ({"result": "ROLLBACK", **RULES}, (NOT_MET, "ROLLBACK"), ROLL_BACK),
        ({"result": "ROLLBACK", **RULES}, (NOT_MET, "FAIL"), FAIL),
    ],
)
@pytest.mark.parametrize("status", [FAILED, ABANDONED])
def test_a_failed_stage_ends_as_its_failure_condition_says(
    declared: dict[str, Any] | None,
    failure: tuple[ConditionStatus, str] | None,
    expected: Step,
    status: ActionStatus,
) -> None:
    stage = {} if declared is None else {ON_FAILURE: declared}
    evaluated = {} if failure is None else {ON_FAILURE: failure}
    assert planned(enter(execution(1, stage), status, evaluated=evaluated)) == [expected]


@retries
@pytest.mark.parametrize(
    ("retry", "all_actions"),
    [
        ({}, False),
        ({"retryConfiguration": {}}, False),
        ({"retryConfiguration": {"retryMode": "FAILED_ACTIONS"}}, False),
        ({"retryConfiguration": {"retryMode": "ALL_ACTIONS"}}, True),
    ],
)
def test_a_failed_stage_is_retried_by_itself_in_its_mode(
    retry: dict[str, Any], all_actions: bool
) -> None:
    stage = {ON_FAILURE: {"result": "RETRY", **retry}}
    assert planned(enter(execution(1, stage), FAILED)) == [RetryStage("1", all_actions)]


@pytest.mark.emulator_only
def test_a_stage_that_fails_again_after_its_retry_fails_for_good() -> None:
    stage = {ON_FAILURE: {"result": "RETRY"}}
    assert planned(enter(execution(1, stage), FAILED, retried=1)) == [FAIL]
    ruled = {ON_FAILURE: {"result": "RETRY", **RULES}}
    again = enter(execution(1, ruled), FAILED, retried=1)
    assert planned(again) == [EvaluateCondition("1", ON_FAILURE)]


@modes
@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("SUPERSEDED", [EndExecution(n, ExecutionStatus.SUPERSEDED) for n in "12"] + enters("3")),
        ("QUEUED", enters("1")),
        ("PARALLEL", enters("123")),
    ],
)
def test_which_of_those_that_wait_enters_is_the_modes_to_say(
    mode: str, expected: list[Step]
) -> None:
    assert planned(execution(3), execution(1), execution(2), mode=mode) == expected


@modes
@pytest.mark.parametrize("mode", ["SUPERSEDED", "QUEUED"])
def test_one_execution_in_a_stage_keeps_the_others_out(mode: str) -> None:
    inside = enter(execution(1), RUNNING)
    assert planned(inside, execution(2), mode=mode) == []
    assert planned(inside, execution(2), mode="PARALLEL") == enters("2")


@pytest.mark.aws_documented(f"{GUIDE}/action-requirements.html")
def test_an_action_without_a_run_order_is_of_the_first() -> None:
    entered = execution()
    actions: list[dict[str, Any]] = [
        {"name": "Late", "runOrder": 2},
        {"name": "Deploy"},
        {"name": "Check", "runOrder": 1},
    ]
    entered.declaration["stages"][0]["actions"] = actions
    both = [StartAction("1", "Deploy"), StartAction("1", "Check")]
    assert planned(enter(entered)) == both
    entered.stages["Deploy"].actions["Check"] = ActionRun("a", "Check", 1, SUCCEEDED, NOW, NOW)
    assert planned(entered) == both[:1]
    entered.stages["Deploy"].actions["Deploy"] = ActionRun("b", "Deploy", 1, SUCCEEDED, NOW, NOW)
    assert planned(entered) == [StartAction("1", "Late")]


@pytest.mark.aws_documented(f"{GUIDE}/pipelines-stop.html")
def test_an_execution_that_is_stopped_starts_no_more_actions() -> None:
    stopping = enter(execution(), SUCCEEDED)
    assert planned(stopping) == [StartAction("1", "Check")]
    stopping.status = ExecutionStatus.STOPPING
    assert planned(stopping) == [STOP]
    beside = execution()
    actions = [{"name": name, "runOrder": 1} for name in ("Deploy", "Check")]
    beside.declaration["stages"][0]["actions"] = actions
    enter(beside, RUNNING).status = ExecutionStatus.STOPPING
    assert planned(beside) == []


@conditions
def test_a_failure_waits_for_the_actions_that_still_run() -> None:
    failed = execution()
    actions = [{"name": "Deploy", "runOrder": 1}, {"name": "Check", "runOrder": 1}]
    failed.declaration["stages"][0]["actions"] = actions
    assert planned(enter(failed, FAILED, RUNNING)) == []
    assert planned(enter(failed, FAILED, SUCCEEDED)) == [FAIL]


@conditions
@pytest.mark.parametrize("kind", [BEFORE_ENTRY, ON_SUCCESS, ON_FAILURE])
def test_a_stop_waits_for_rules_that_are_evaluated(kind: str) -> None:
    stopping = enter(execution(1, {kind: RULES}), evaluated={kind: (EVALUATING, "FAIL")})
    stopping.status = ExecutionStatus.STOPPING
    assert planned(stopping) == []
    stopping.stages["Deploy"].conditions[kind].status = NOT_MET
    assert planned(stopping) == [STOP]


@pytest.mark.emulator_only
@pytest.mark.parametrize(
    ("stage", "statuses", "evaluated"),
    [
        ({ON_FAILURE: {"result": "ROLLBACK"}}, (FAILED,), {}),
        ({BEFORE_ENTRY: RULES}, (), {BEFORE_ENTRY: (NOT_MET, "ROLLBACK")}),
        ({ON_SUCCESS: RULES}, (SUCCEEDED,) * 2, {ON_SUCCESS: (NOT_MET, "ROLLBACK")}),
        ({ON_FAILURE: RULES}, (FAILED,), {ON_FAILURE: (NOT_MET, "ROLLBACK")}),
    ],
)
def test_a_rollback_that_fails_is_not_rolled_back_again(
    stage: dict[str, Any],
    statuses: tuple[ActionStatus, ...],
    evaluated: Evaluated,
) -> None:
    standard = enter(execution(1, stage), *statuses, evaluated=evaluated)
    assert planned(standard) == [ROLL_BACK]
    rollback = enter(execution(1, stage, rollback=True), *statuses, evaluated=evaluated)
    assert planned(rollback) == [FAIL]


@pytest.mark.emulator_only
@pytest.mark.parametrize("mode", ["SUPERSEDED", "QUEUED"])
def test_a_disabled_transition_holds_what_comes_by_it_and_lets_a_rollback_in(mode: str) -> None:
    standard, rollback = execution(1), execution(2, rollback=True)
    assert planned(standard, mode=mode, disabled=True) == []
    assert planned(standard, rollback, mode=mode, disabled=True) == [EnterStage("2")]


@pytest.mark.emulator_only
@pytest.mark.parametrize("mode", ["SUPERSEDED", "QUEUED"])
def test_a_rollback_enters_before_older_executions_and_is_not_superseded(mode: str) -> None:
    older, rollback, newer = execution(1), execution(2, rollback=True), execution(3)
    superseded = [EndExecution("1", ExecutionStatus.SUPERSEDED)] if mode == "SUPERSEDED" else []
    assert planned(newer, rollback, older, mode=mode) == [*superseded, EnterStage("2")]
    inside = enter(execution(4), RUNNING)
    assert planned(inside, rollback, mode=mode) == []
