"""CodePipeline: the reported state of a pipeline, and retries."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.cloud import REGION, TestCloud, wait_for
from tests.pipelines import (
    Pipelines,
    approval_action,
    error_code,
    invoke_action,
    source_action,
)

GUIDE = "https://docs.aws.amazon.com/codepipeline/latest/userguide"
API = "https://docs.aws.amazon.com/codepipeline/latest/APIReference"
UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


@pytest.mark.aws_documented(f"{API}/API_GetPipelineState.html")
def test_the_state_of_a_pipeline_has_each_stage_and_action(pipelines: Pipelines) -> None:
    name = pipelines.make([approval_action()], [invoke_action("after")])
    token = pipelines.token(name)
    (execution,) = pipelines.executions(name)
    state = pipelines.client.get_pipeline_state(name=name)
    state.pop("ResponseMetadata")
    assert isinstance(state.pop("created"), datetime)
    assert isinstance(state.pop("updated"), datetime)
    source, approve, after = state.pop("stageStates")
    assert state == {"pipelineName": name, "pipelineVersion": 1}
    here = {"pipelineExecutionId": execution["pipelineExecutionId"], "type": "STANDARD"}
    (fetched,) = source.pop("actionStates")
    assert source == {
        "stageName": "Stage0",
        "inboundTransitionState": {"enabled": True},
        "latestExecution": {**here, "status": "Succeeded"},
    }
    assert set(fetched) == {"actionName", "currentRevision", "latestExecution"}
    assert set(fetched["currentRevision"]) == {"revisionId", "revisionChangeId", "created"}
    assert fetched["latestExecution"]["status"] == "Succeeded"
    assert re.fullmatch(UUID, fetched["latestExecution"]["actionExecutionId"])
    assert approve["latestExecution"] == {**here, "status": "InProgress"}
    (asked,) = approve["actionStates"]
    assert asked["actionName"] == "Approve"
    assert set(asked["latestExecution"]) == {
        *("actionExecutionId", "status", "lastStatusChange", "token")
    }
    assert re.fullmatch(UUID, token)
    assert after == {
        "stageName": "Stage2",
        "inboundTransitionState": {"enabled": True},
        "actionStates": [{"actionName": "Invoke"}],
    }


@pytest.mark.botocore_modelled
@pytest.mark.parametrize("minutes", [4, 86401])
def test_an_approval_waits_five_minutes_to_sixty_days(
    cloud: TestCloud, pipelines: Pipelines, minutes: int
) -> None:
    # boto3 itself would refuse what is too small.
    unchecked = boto3.client(
        "codepipeline",
        endpoint_url=cloud.url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(parameter_validation=False),
    )
    with pytest.raises(ClientError, match="timeoutInMinutes") as caught:
        Pipelines(unchecked).make([approval_action(timeoutInMinutes=minutes)])
    assert error_code(caught) == "ValidationException"
    allowed = min(max(minutes, 5), 86400)
    name = pipelines.make([approval_action(timeoutInMinutes=allowed)])
    declared = pipelines.client.get_pipeline(name=name)["pipeline"]["stages"][1]["actions"][0]
    assert declared["timeoutInMinutes"] == allowed


@pytest.mark.aws_documented(f"{GUIDE}/actions-retry.html")
@pytest.mark.parametrize("mode", ["FAILED_ACTIONS", "ALL_ACTIONS"])
def test_a_retry_runs_what_failed_or_everything(pipelines: Pipelines, mode: str) -> None:
    name = pipelines.make([invoke_action("hello"), approval_action()])
    client = pipelines.client

    def invoked(before: str = "") -> Any:
        latest = pipelines.action(name, action="Invoke")
        new = latest.get("actionExecutionId", "") != before
        return latest["actionExecutionId"] if new and latest["status"] == "Succeeded" else None

    first = wait_for("the function", invoked)
    token = wait_for("a token", lambda: pipelines.action(name, action="Approve").get("token"))
    pipelines.answer(name, token, "Rejected")
    pipelines.until(name, "Failed")
    (execution,) = pipelines.executions(name)
    retry = {
        "pipelineName": name,
        "stageName": "Stage1",
        "pipelineExecutionId": execution["pipelineExecutionId"],
    }
    client.retry_stage_execution(**retry, retryMode=mode)
    token = wait_for("a token", lambda: pipelines.action(name, action="Approve").get("token"))
    if mode == "ALL_ACTIONS":
        wait_for("another run", lambda: invoked(first))
    else:
        assert invoked() == first
    pipelines.answer(name, token, "Rejected")
    pipelines.until(name, "Failed")
    client.start_pipeline_execution(name=name)
    wait_for("a token", lambda: pipelines.action(name, action="Approve").get("token"))
    with pytest.raises(ClientError) as caught:
        client.retry_stage_execution(**retry, retryMode=mode)
    assert error_code(caught) == "NotLatestPipelineExecutionException"


@pytest.mark.aws_documented(f"{GUIDE}/action-reference-S3.html")
def test_a_source_of_s3_needs_versions_and_gives_its_variables(
    cloud: TestCloud, pipelines: Pipelines
) -> None:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="plain")
    s3.put_object(Bucket="plain", Key="source.zip", Body=b"x")
    action = source_action()
    action["configuration"]["S3Bucket"] = "plain"
    name = pipelines.make([approval_action()], source=action)
    pipelines.until(name, "Failed")
    assert "is not versioned" in pipelines.action(name, "Stage0")["errorDetails"]["message"]
    s3.put_bucket_versioning(Bucket="plain", VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket="plain", Key="source.zip", Body=b"y")
    pipelines.client.start_pipeline_execution(name=name)
    pipelines.token(name)
    details = pipelines.client.list_action_executions(pipelineName=name)["actionExecutionDetails"]
    found = next(d for d in details if d["status"] == "Succeeded")["output"]["outputVariables"]
    assert found == found | {"ETag": version["ETag"].strip('"'), "VersionId": version["VersionId"]}


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_GetPipeline.html"
)
def test_a_pipeline_has_the_members_that_were_not_given(pipelines: Pipelines) -> None:
    name = pipelines.make([approval_action()])
    (action,) = pipelines.client.get_pipeline(name=name)["pipeline"]["stages"][1]["actions"]
    added = {key: action[key] for key in ("runOrder", "configuration", "inputArtifacts")}
    assert added == {"runOrder": 1, "configuration": {}, "inputArtifacts": []}
    assert action["outputArtifacts"] == []
