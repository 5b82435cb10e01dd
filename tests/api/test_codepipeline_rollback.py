"""CodePipeline: a stage goes back to an execution that was successful in it, or is tried again."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.pipelines import Pipelines, approval_action, error_code, invoke_action

ROLLBACK = "https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-rollback.html"
AUTOMATIC = "https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-rollback-auto.html"
RETRY = "https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-retry.html"


def approve_new(pipelines: Pipelines, name: str, verdict: str, after: str = "") -> str:
    """Answer the approval that asks now, which is not the one of the token `after`."""
    token = pipelines.next_token(name, after)
    pipelines.answer(name, token, verdict)
    return token


@pytest.mark.aws_documented(ROLLBACK)
def test_a_stage_is_rolled_back_by_hand_with_what_the_target_had(pipelines: Pipelines) -> None:
    name = pipelines.make(
        [approval_action()],
        [invoke_action("later")],
        variables=[{"name": "Colour", "defaultValue": "blue"}],
    )
    first = approve_new(pipelines, name, "Approved")
    pipelines.until(name, "Succeeded")
    target = pipelines.executions(name)[0]["pipelineExecutionId"]
    back = pipelines.client.rollback_stage(
        pipelineName=name, stageName="Stage1", targetPipelineExecutionId=target
    )["pipelineExecutionId"]
    approve_new(pipelines, name, "Approved", first)
    pipelines.until(name, "Succeeded", "Succeeded")
    found = pipelines.client.get_pipeline_execution(pipelineName=name, pipelineExecutionId=back)
    execution = found["pipelineExecution"]
    assert execution["executionType"] == "ROLLBACK"
    assert execution["rollbackMetadata"] == {"rollbackTargetPipelineExecutionId": target}
    assert execution["trigger"]["triggerType"] == "ManualRollback"
    assert execution["variables"] == [{"name": "Colour", "resolvedValue": "blue"}]
    assert execution["artifactRevisions"][0]["name"] == "Source"
    summaries = pipelines.executions(name)
    assert [s["executionType"] for s in summaries] == ["STANDARD", "ROLLBACK"]
    # It ran that stage and no other.
    details = pipelines.client.list_action_executions(
        pipelineName=name, filter={"pipelineExecutionId": back}
    )["actionExecutionDetails"]
    assert [(d["stageName"], d["actionName"]) for d in details] == [("Stage1", "Approve")]
    state = pipelines.client.get_pipeline_state(name=name)["stageStates"][1]
    assert state["latestExecution"] == {
        "pipelineExecutionId": back,
        "status": "Succeeded",
        "type": "ROLLBACK",
    }


@pytest.mark.aws_documented(ROLLBACK)
def test_what_cannot_be_rolled_back_is_refused(pipelines: Pipelines) -> None:
    name = pipelines.make([approval_action()])
    client = pipelines.client
    first = approve_new(pipelines, name, "Approved")
    pipelines.until(name, "Succeeded")
    target = pipelines.executions(name)[0]["pipelineExecutionId"]

    def roll_back(stage: str = "Stage1", to: str = target) -> str:
        with pytest.raises(ClientError) as caught:
            client.rollback_stage(pipelineName=name, stageName=stage, targetPipelineExecutionId=to)
        return error_code(caught)

    assert roll_back("Stage0") == "UnableToRollbackStageException"
    assert roll_back("Nowhere") == "StageNotFoundException"
    nobody = "11111111-2222-3333-4444-555555555555"
    assert roll_back(to=nobody) == "PipelineExecutionNotFoundException"
    client.start_pipeline_execution(name=name)
    approve_new(pipelines, name, "Rejected", first)
    pipelines.until(name, "Succeeded", "Failed")
    failed = pipelines.executions(name)[1]["pipelineExecutionId"]
    assert roll_back(to=failed) == "UnableToRollbackStageException"
    back = client.rollback_stage(
        pipelineName=name, stageName="Stage1", targetPipelineExecutionId=target
    )["pipelineExecutionId"]
    assert roll_back() == "UnableToRollbackStageException"  # it is running
    client.stop_pipeline_execution(pipelineName=name, pipelineExecutionId=back, abandon=True)
    assert roll_back(to=back) == "UnableToRollbackStageException"  # a rollback itself
    declaration = client.get_pipeline(name=name)["pipeline"]
    client.update_pipeline(pipeline=declaration)
    assert roll_back() == "PipelineExecutionOutdatedException"


@pytest.mark.aws_documented(AUTOMATIC)
def test_a_stage_that_fails_goes_back_to_its_latest_success_by_itself(
    pipelines: Pipelines,
) -> None:
    name = pipelines.make([approval_action()], stage_more={"onFailure": {"result": "ROLLBACK"}})
    first = approve_new(pipelines, name, "Rejected")
    # Nothing to go back to yet.
    pipelines.until(name, "Failed")
    pipelines.client.start_pipeline_execution(name=name)
    second = approve_new(pipelines, name, "Approved", first)
    pipelines.until(name, "Failed", "Succeeded")
    good = pipelines.executions(name)[1]["pipelineExecutionId"]
    pipelines.client.start_pipeline_execution(name=name)
    third = approve_new(pipelines, name, "Rejected", second)
    approve_new(pipelines, name, "Rejected", third)
    # A rollback that fails is not rolled back.
    pipelines.until(name, "Failed", "Succeeded", "Failed", "Failed")
    *_, bad, back = pipelines.executions(name)
    assert back["trigger"] == {
        "triggerType": "AutomatedRollback",
        "triggerDetail": bad["pipelineExecutionId"],
    }
    assert back["rollbackMetadata"] == {"rollbackTargetPipelineExecutionId": good}


@pytest.mark.aws_documented(RETRY)
def test_a_failed_stage_is_retried_once_by_itself(pipelines: Pipelines) -> None:
    retry = {"result": "RETRY", "retryConfiguration": {"retryMode": "FAILED_ACTIONS"}}
    name = pipelines.make([approval_action()], stage_more={"onFailure": retry})
    first = approve_new(pipelines, name, "Rejected")
    second = approve_new(pipelines, name, "Rejected", first)
    pipelines.until(name, "Failed")
    state = pipelines.client.get_pipeline_state(name=name)["stageStates"][1]
    assert state["retryStageMetadata"] == {
        "autoStageRetryAttempt": 1,
        "latestRetryTrigger": "AutomatedStageRetry",
    }
    execution = pipelines.executions(name)[0]["pipelineExecutionId"]
    pipelines.client.retry_stage_execution(
        pipelineName=name,
        stageName="Stage1",
        pipelineExecutionId=execution,
        retryMode="FAILED_ACTIONS",
    )
    approve_new(pipelines, name, "Approved", second)
    pipelines.until(name, "Succeeded")
    state = pipelines.client.get_pipeline_state(name=name)["stageStates"][1]
    assert state["retryStageMetadata"]["latestRetryTrigger"] == "ManualStageRetry"
    details = pipelines.client.list_action_executions(pipelineName=name)["actionExecutionDetails"]
    statuses = [d["status"] for d in details if d["actionName"] == "Approve"]
    assert statuses == ["Succeeded", "Failed", "Failed"]


@pytest.mark.aws_documented(ROLLBACK)
@pytest.mark.parametrize(
    ("stage", "more", "reason"),
    [
        ({"onFailure": {"result": "ROLLBACK"}}, {"executionMode": "PARALLEL"}, "PARALLEL"),
        ({"onFailure": {"result": "SKIP"}}, {}, "onFailure result SKIP"),
        (
            {"onFailure": {"result": "FAIL", "retryConfiguration": {"retryMode": "ALL_ACTIONS"}}},
            {},
            "requires the result RETRY",
        ),
    ],
)
def test_a_declaration_whose_failure_cannot_lead_there_is_refused(
    pipelines: Pipelines, stage: dict[str, Any], more: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ClientError, match=reason) as caught:
        pipelines.make([approval_action()], stage_more=stage, **more)
    assert error_code(caught) == "InvalidStageDeclarationException"


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/codepipeline/latest/userguide/pipeline-types.html"
)
def test_what_only_the_type_v2_has_is_refused_of_v1(pipelines: Pipelines) -> None:
    wrong: tuple[dict[str, Any], ...] = (
        {"executionMode": "QUEUED"},
        {"variables": [{"name": "A", "defaultValue": "b"}]},
        {"stage_more": {"onFailure": {"result": "ROLLBACK"}}},
    )
    for more in wrong:
        with pytest.raises(ClientError, match="pipelineType V2") as caught:
            pipelines.make([approval_action()], pipelineType="V1", **more)
        assert error_code(caught) == "InvalidStructureException"


@pytest.mark.emulator_only
def test_a_trigger_is_refused_since_nothing_here_could_pull_it(pipelines: Pipelines) -> None:
    trigger = {
        "providerType": "CodeStarSourceConnection",
        "gitConfiguration": {
            "sourceActionName": "Object",
            "push": [{"branches": {"includes": ["main"]}}],
        },
    }
    with pytest.raises(ClientError, match="CodeStarSourceConnection") as caught:
        pipelines.make([approval_action()], triggers=[trigger])
    assert error_code(caught) == "InvalidStructureException"
