"""CodePipeline: how executions are started, held up, listed, and what starts them by itself."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.archives import zip_of
from tests.cloud import TestCloud, wait_for
from tests.pipelines import (
    BUCKET,
    Pipelines,
    approval_action,
    error_code,
    invoke_action,
    kind,
)
from tests.pipelines import source_action as source

GUIDE = "https://docs.aws.amazon.com/codepipeline/latest/userguide"
API = "https://docs.aws.amazon.com/codepipeline/latest/APIReference"
STACK_TEMPLATE = {
    "Resources": {"Group": {"Type": "AWS::Logs::LogGroup"}},
    "Outputs": {"Colour": {"Value": "blue"}, "Group": {"Value": {"Ref": "Group"}}},
}


def outputs(pipelines: Pipelines, name: str, execution: str, action: str) -> dict[str, str]:
    details = pipelines.client.list_action_executions(
        pipelineName=name, filter={"pipelineExecutionId": execution}
    )["actionExecutionDetails"]
    found = [d["output"]["outputVariables"] for d in details if d["actionName"] == action]
    return dict(found[0]) if found else {}


@pytest.mark.aws_documented(f"{GUIDE}/pipelines-rerun-manually.html")
def test_variables_have_their_defaults_unless_a_start_gives_others(pipelines: Pipelines) -> None:
    name = pipelines.make(
        [approval_action(configuration={"CustomData": "#{variables.Colour}"})],
        variables=[{"name": "Colour", "defaultValue": "blue"}],
        executionMode="PARALLEL",
    )
    client = pipelines.client
    given = client.start_pipeline_execution(
        name=name, variables=[{"name": "Colour", "value": "red"}]
    )["pipelineExecutionId"]

    def custom_data() -> set[str]:
        details = client.list_action_executions(pipelineName=name)["actionExecutionDetails"]
        found = [d["input"].get("resolvedConfiguration", {}) for d in details]
        return {c["CustomData"] for c in found if "CustomData" in c}

    wait_for("both approvals", lambda: custom_data() == {"blue", "red"})
    execution = client.get_pipeline_execution(pipelineName=name, pipelineExecutionId=given)
    assert execution["pipelineExecution"]["variables"] == [
        {"name": "Colour", "resolvedValue": "red"}
    ]
    with pytest.raises(ClientError, match="has no variable Size") as caught:
        client.start_pipeline_execution(name=name, variables=[{"name": "Size", "value": "1"}])
    assert error_code(caught) == "ValidationException"


@pytest.mark.aws_documented(f"{GUIDE}/execution-modes.html")
def test_parallel_executions_share_a_stage_and_each_has_a_token_of_its_own(
    pipelines: Pipelines,
) -> None:
    name = pipelines.make([approval_action()], executionMode="PARALLEL")
    first = pipelines.token(name)
    pipelines.client.start_pipeline_execution(name=name)
    second = wait_for(
        "the second approval",
        lambda: (t := pipelines.action(name).get("token")) and t != first and t,
    )
    pipelines.answer(name, str(second), "Rejected")
    pipelines.until(name, "InProgress", "Failed")
    pipelines.answer(name, first, "Approved")
    pipelines.until(name, "Succeeded", "Failed")


@pytest.mark.aws_documented(f"{API}/API_StartPipelineExecution.html")
def test_a_start_with_the_token_of_another_is_that_one(pipelines: Pipelines) -> None:
    name = pipelines.make([approval_action()])
    starts = [
        pipelines.client.start_pipeline_execution(name=name, clientRequestToken="again")
        for _ in range(2)
    ]
    assert starts[0]["pipelineExecutionId"] == starts[1]["pipelineExecutionId"]
    assert len(pipelines.executions(name)) == 2


@pytest.mark.aws_documented(f"{GUIDE}/pipelines-trigger-source-overrides.html")
def test_a_start_can_name_the_version_or_the_key_of_its_source(
    cloud: TestCloud, pipelines: Pipelines
) -> None:
    s3 = cloud.client("s3")
    versions = [
        s3.put_object(Bucket=BUCKET, Key="versions.zip", Body=zip_of({"n": str(n)}))["VersionId"]
        for n in range(2)
    ]
    s3.put_object(Bucket=BUCKET, Key="other.zip", Body=zip_of({"n": "other"}))
    action = source("versions.zip")
    name = pipelines.make([approval_action()], source=action)
    override = {
        "actionName": "Object",
        "revisionType": "S3_OBJECT_VERSION_ID",
        "revisionValue": versions[0],
    }
    client = pipelines.client
    execution = client.start_pipeline_execution(name=name, sourceRevisions=[override])
    given = execution["pipelineExecutionId"]
    wait_for("the source", lambda: outputs(pipelines, name, given, "Object"))
    assert outputs(pipelines, name, given, "Object")["VersionId"] == versions[0]
    by_key = {
        "actionName": "Object",
        "revisionType": "S3_OBJECT_KEY",
        "revisionValue": "other.zip",
    }
    for wrong, reason in (
        (by_key, "AllowOverrideForS3ObjectKey"),
        (by_key | {"revisionType": "COMMIT_ID"}, "does not fit"),
        (by_key | {"actionName": "Nothing"}, "no source action Nothing"),
    ):
        with pytest.raises(ClientError, match=reason) as caught:
            client.start_pipeline_execution(name=name, sourceRevisions=[wrong])
        assert error_code(caught) == "ValidationException"
    action["configuration"]["AllowOverrideForS3ObjectKey"] = "true"
    free = pipelines.make([approval_action()], source=action)
    execution = client.start_pipeline_execution(name=free, sourceRevisions=[by_key])
    given = execution["pipelineExecutionId"]
    wait_for("the source", lambda: outputs(pipelines, free, given, "Object"))
    assert outputs(pipelines, free, given, "Object")["ObjectKey"] == "other.zip"


@pytest.mark.aws_documented(f"{API}/API_PutActionRevision.html")
def test_a_new_revision_of_a_source_starts_the_pipeline_once(
    cloud: TestCloud, pipelines: Pipelines
) -> None:
    name = pipelines.make([approval_action()])
    made = cloud.client("s3").put_object(Bucket=BUCKET, Key="source.zip", Body=zip_of({"a": "b"}))
    revision = {
        "revisionId": made["VersionId"],
        "revisionChangeId": "1",
        "created": "2026-01-01T00:00:00Z",
    }
    told = {"pipelineName": name, "stageName": "Stage0", "actionRevision": revision}
    first = pipelines.client.put_action_revision(**told, actionName="Object")
    again = pipelines.client.put_action_revision(**told, actionName="Object")
    assert first["newRevision"] is True
    assert again == again | {
        "newRevision": False,
        "pipelineExecutionId": first["pipelineExecutionId"],
    }
    assert pipelines.executions(name)[1]["trigger"]["triggerType"] == "PutActionRevision"
    with pytest.raises(ClientError) as caught:
        pipelines.client.put_action_revision(**told, actionName="Nothing")
    assert error_code(caught) == "ActionNotFoundException"


@pytest.mark.aws_documented(f"{GUIDE}/pipelines-stop.html")
def test_a_stop_waits_for_the_running_action_and_is_asked_for_once(pipelines: Pipelines) -> None:
    name = pipelines.make([approval_action()])
    token = pipelines.token(name)
    execution = pipelines.executions(name)[0]["pipelineExecutionId"]
    stop = {"pipelineName": name, "pipelineExecutionId": execution}
    pipelines.client.stop_pipeline_execution(**stop, reason="enough")
    pipelines.until(name, "Stopping")
    with pytest.raises(ClientError) as caught:
        pipelines.client.stop_pipeline_execution(**stop)
    assert error_code(caught) == "DuplicatedStopRequestException"
    pipelines.answer(name, token, "Approved")
    pipelines.until(name, "Stopped")
    (summary,) = pipelines.executions(name)
    assert summary["stopTrigger"] == {"reason": "enough"}
    with pytest.raises(ClientError) as caught:
        pipelines.client.stop_pipeline_execution(**stop)
    assert error_code(caught) == "PipelineExecutionNotStoppableException"


@pytest.mark.botocore_modelled
def test_pipelines_executions_and_actions_are_listed_in_pages(pipelines: Pipelines) -> None:
    client = pipelines.client
    name = pipelines.make([approval_action()])
    pipelines.answer(name, pipelines.token(name), "Rejected")
    pipelines.until(name, "Failed")
    for number in range(2, 5):
        client.start_pipeline_execution(name=name)
        token = pipelines.token(name)
        pipelines.answer(name, token, "Approved" if number == 3 else "Rejected")
        wait_for("its end", lambda: "InProgress" not in pipelines.statuses(name))
    for operation, key, wanted, count in (
        ("list_pipeline_executions", "pipelineExecutionSummaries", {"pipelineName": name}, 4),
        ("list_action_executions", "actionExecutionDetails", {"pipelineName": name}, 8),
    ):
        pages = [
            page[key]
            for page in client.get_paginator(operation).paginate(
                **wanted, PaginationConfig={"PageSize": 3}
            )
        ]
        assert [len(p) for p in pages] == [3, 1] if count == 4 else [3, 3, 2]
        everything = getattr(client, operation)(**wanted)[key]
        assert [entry for page in pages for entry in page] == everything
        with pytest.raises(ClientError) as caught:
            getattr(client, operation)(**wanted, nextToken="of another list")
        assert error_code(caught) == "InvalidNextTokenException"
    succeeded = client.list_pipeline_executions(
        pipelineName=name, filter={"succeededInStage": {"stageName": "Stage1"}}
    )["pipelineExecutionSummaries"]
    assert [e["status"] for e in succeeded] == ["Succeeded"]
    other = pipelines.make([approval_action()])
    pages = [
        [p["name"] for p in page["pipelines"]]
        for page in client.get_paginator("list_pipelines").paginate(
            PaginationConfig={"PageSize": 1}
        )
    ]
    assert {name, other} <= {found for page in pages for found in page}
    assert {len(page) for page in pages} == {1}


@pytest.mark.aws_documented(f"{GUIDE}/action-reference-S3.html")
@pytest.mark.parametrize("setting", [None, "true"])
def test_a_source_without_the_setting_is_polled_for_changes(
    cloud: TestCloud, pipelines: Pipelines, setting: str | None
) -> None:
    s3, key = cloud.client("s3"), f"polled-{setting}.zip"
    s3.put_object(Bucket=BUCKET, Key=key, Body=zip_of({"n": "1"}))
    action = source(key)
    del action["configuration"]["PollForSourceChanges"]
    if setting is not None:
        action["configuration"]["PollForSourceChanges"] = setting
    name = pipelines.make([approval_action()], source=action, executionMode="PARALLEL")
    pipelines.token(name)
    version = s3.put_object(Bucket=BUCKET, Key=key, Body=zip_of({"n": "2"}))["VersionId"]
    wait_for("the polling", lambda: len(pipelines.executions(name)) == 2)
    second = pipelines.executions(name)[1]
    assert second["trigger"]["triggerType"] == "PollForSourceChanges"
    wait_for(
        "the source", lambda: outputs(pipelines, name, second["pipelineExecutionId"], "Object")
    )
    found = outputs(pipelines, name, second["pipelineExecutionId"], "Object")
    assert found["VersionId"] == version


@pytest.mark.aws_documented(f"{GUIDE}/approvals-json-format.html")
def test_an_approval_tells_its_topic_and_takes_a_short_summary(
    cloud: TestCloud, pipelines: Pipelines
) -> None:
    sns, sqs = cloud.client("sns"), cloud.client("sqs")
    topic = sns.create_topic(Name="approvals")["TopicArn"]
    queue = sqs.create_queue(QueueName="approvals")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn["QueueArn"])
    settings = {
        "NotificationArn": topic,
        "ExternalEntityLink": "https://example.com/review",
        "CustomData": "Look at it, please.",
    }
    name = pipelines.make([approval_action(configuration=settings)])
    token = pipelines.token(name)
    found = wait_for("the message", lambda: sqs.receive_message(QueueUrl=queue).get("Messages"), 20)
    envelope = json.loads(found[0]["Body"])
    message = json.loads(envelope["Message"])
    approval = message["approval"]
    assert approval["token"] == token
    assert (approval["pipelineName"], approval["stageName"]) == (name, "Stage1")
    assert approval["customData"] == "Look at it, please."
    assert approval["externalEntityLink"] == "https://example.com/review"
    answer = {"pipelineName": name, "stageName": "Stage1", "actionName": "Approve", "token": token}
    with pytest.raises(ClientError) as caught:
        pipelines.client.put_approval_result(
            **answer, result={"status": "Approved", "summary": "x" * 513}
        )
    assert error_code(caught) == "ValidationException"
    with pytest.raises(ClientError) as caught:
        pipelines.client.put_approval_result(
            **(answer | {"actionName": "Nothing"}), result={"status": "Approved", "summary": ""}
        )
    assert error_code(caught) == "ActionNotFoundException"


@pytest.mark.aws_documented(f"{GUIDE}/action-reference-CloudFormation.html")
def test_the_outputs_of_a_stack_become_a_file_of_the_output_artifact(
    cloud: TestCloud, pipelines: Pipelines
) -> None:
    s3 = cloud.client("s3")
    archive = zip_of({"template.json": json.dumps(STACK_TEMPLATE)})
    s3.put_object(Bucket=BUCKET, Key="outputs.zip", Body=archive)
    deploy = {
        "name": "Deploy",
        "actionTypeId": kind("Deploy", "CloudFormation"),
        "configuration": {
            "ActionMode": "CREATE_UPDATE",
            "StackName": "pipeline-outputs",
            "TemplatePath": "Source::template.json",
            "OutputFileName": "outputs.json",
        },
        "inputArtifacts": [{"name": "Source"}],
    }
    with pytest.raises(ClientError, match="OutputFileName"):
        pipelines.make([deploy], source=source("outputs.zip"))
    after = invoke_action("done", inputArtifacts=[{"name": "Outputs"}])
    name = pipelines.make(
        [deploy | {"outputArtifacts": [{"name": "Outputs"}]}],
        [after],
        source=source("outputs.zip"),
    )
    pipelines.until(name, "Succeeded")
    details = pipelines.client.list_action_executions(pipelineName=name)["actionExecutionDetails"]
    made = next(d for d in details if d["actionName"] == "Deploy")["output"]["outputArtifacts"][0]
    place = made["s3location"]
    content = s3.get_object(Bucket=place["bucket"], Key=place["key"])["Body"].read()
    with zipfile.ZipFile(io.BytesIO(content)) as found:
        document: dict[str, Any] = json.loads(found.read("outputs.json"))
    assert document["Colour"] == "blue"
    assert document["Group"].startswith("pipeline-outputs-Group-")
    cloud.client("cloudformation").delete_stack(StackName="pipeline-outputs")
