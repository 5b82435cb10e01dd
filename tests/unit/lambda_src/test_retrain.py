"""Retraining starts the pipeline once in a cooldown, whatever else has started it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lambda_src.retrain import handler
from tests.unit.lambda_src.fake_aws import FakeAws

NOW = datetime(2026, 1, 31, 10, 5, tzinfo=UTC)
EVENT = {"id": "11111111-2222-3333-4444-555555555555", "time": "2026-01-31T10:05:00Z"}


@pytest.fixture
def lab(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> FakeAws:
    monkeypatch.setenv("PIPELINE_NAME", "iris-model-pipeline")
    monkeypatch.setenv("STARTED_BY", "drift")
    monkeypatch.setenv("COOLDOWN_HOURS", "24")
    return aws


def execution(
    hours_ago: float, started_by: str, trigger: str = "StartPipelineExecution"
) -> dict[str, Any]:
    return {
        "pipelineExecutionId": f"{hours_ago} hours ago",
        "startTime": NOW - timedelta(hours=hours_ago),
        "trigger": {"triggerType": trigger, "triggerDetail": "arn"},
        "variables": [{"name": "StartedBy", "resolvedValue": started_by}],
    }


def test_drift_starts_the_pipeline_and_says_so(lab: FakeAws) -> None:
    handler(EVENT, None)
    assert lab.made("StartPipelineExecution") == [
        {
            "name": "iris-model-pipeline",
            "variables": [{"name": "StartedBy", "value": "drift"}],
            "clientRequestToken": EVENT["id"],
        }
    ]


@pytest.mark.parametrize("by", ["drift", "schedule"])
def test_within_the_cooldown_it_starts_nothing(lab: FakeAws, by: str) -> None:
    lab.executions = [execution(1, "dataset", "CloudWatchEvent"), execution(23, by)]
    handler(EVENT, None)
    assert lab.made("StartPipelineExecution") == []


def test_after_the_cooldown_it_starts_again(lab: FakeAws) -> None:
    lab.executions = [execution(25, "drift")]
    handler(EVENT, None)
    assert len(lab.made("StartPipelineExecution")) == 1
    assert lab.made("GetPipelineExecution") == []


def test_uploads_and_people_do_not_count(lab: FakeAws) -> None:
    lab.executions = [execution(1, "dataset", "CloudWatchEvent"), execution(2, "dataset")]
    lab.executions.append({**execution(3, "drift"), "variables": []})
    handler(EVENT, None)
    assert len(lab.made("StartPipelineExecution")) == 1


def test_without_a_cooldown_each_alarm_starts_one(
    lab: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COOLDOWN_HOURS", "0")
    lab.executions = [execution(0.1, "drift")]
    handler(EVENT, None)
    assert len(lab.made("StartPipelineExecution")) == 1
