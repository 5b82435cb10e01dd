"""The events that a change of an execution means."""

from datetime import UTC, datetime
from typing import Any

import pytest

from localcloud.codepipeline.model import (
    ActionRun,
    ActionStatus,
    Execution,
    ExecutionStatus,
    Pipeline,
    StageRun,
    StageStatus,
)
from localcloud.codepipeline.state_changes import state_change_events, statuses

pytestmark = pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/codepipeline/latest/userguide/detect-state-changes-cloudwatch-events.html"
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ARN = "arn:aws:codepipeline:eu-central-1:000000000000:lab"
DECLARATION: dict[str, Any] = {
    "stages": [
        {
            "name": "Train",
            "actions": [
                {
                    "name": "Fit",
                    "actionTypeId": {
                        "category": "Invoke",
                        "owner": "AWS",
                        "provider": "Lambda",
                        "version": "1",
                    },
                }
            ],
        }
    ]
}
PIPELINE = Pipeline(ARN, "lab", DECLARATION, NOW, NOW)


def execution() -> Execution:
    return Execution("id", ARN, 1, 3, DECLARATION, "CreatePipeline", "me", NOW, NOW)


def with_action(status: ActionStatus) -> Execution:
    made = execution()
    run = ActionRun("run", "Fit", 1, status, NOW, NOW, error_code="JobFailed", error_message="no")
    made.stages["Train"] = StageRun("Train", StageStatus.IN_PROGRESS, NOW, {"Fit": run})
    return made


def test_a_new_execution_has_started_and_says_what_started_it() -> None:
    (notice,) = state_change_events(PIPELINE, execution(), {})
    assert notice.detail_type == "CodePipeline Pipeline Execution State Change"
    assert notice.detail == {
        "pipeline": "lab",
        "execution-id": "id",
        "state": "STARTED",
        "version": 3.0,
        "execution-trigger": {"trigger-type": "CreatePipeline", "trigger-detail": "me"},
    }


def test_what_did_not_change_is_not_told_again() -> None:
    made = with_action(ActionStatus.IN_PROGRESS)
    assert state_change_events(PIPELINE, made, statuses(made)) == []


def test_a_stage_and_its_action_start_after_the_execution() -> None:
    told = [
        (n.detail_type.split()[1], n.detail["state"])
        for n in state_change_events(PIPELINE, with_action(ActionStatus.IN_PROGRESS), {})
    ]
    assert told == [("Pipeline", "STARTED"), ("Stage", "STARTED"), ("Action", "STARTED")]


def test_a_failed_action_says_its_type_region_and_error() -> None:
    before = statuses(with_action(ActionStatus.IN_PROGRESS))
    (notice,) = state_change_events(PIPELINE, with_action(ActionStatus.FAILED), before)
    assert notice.detail_type == "CodePipeline Action Execution State Change"
    assert notice.detail["state"] == "FAILED"
    assert notice.detail["stage"] == "Train"
    assert notice.detail["action"] == "Fit"
    assert notice.detail["region"] == "eu-central-1"
    assert notice.detail["type"]["provider"] == "Lambda"
    assert notice.detail["execution-result"]["error-code"] == "JobFailed"


def test_a_retried_execution_is_resumed() -> None:
    failed = execution()
    failed.move(ExecutionStatus.FAILED, NOW)
    before = statuses(failed)
    failed.move(ExecutionStatus.IN_PROGRESS, NOW)
    (notice,) = state_change_events(PIPELINE, failed, before)
    assert notice.detail["state"] == "RESUMED"
    assert "execution-trigger" not in notice.detail
