"""CodePipeline's CloudFormation action in two steps: make a change set, look, execute it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.archives import zip_of
from tests.cloud import TestCloud, have_role, wait_for
from tests.pipelines import ROLE

pytestmark = pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CloudFormation.html"
)

BUCKET = "change-set-pipeline"
PIPELINE = "change-set-pipeline"
STACK = "change-set-pipeline-stack"
GROUP = "/change-set-pipeline/group"


def put_template(cloud: TestCloud, days: int, topic: str | None = None) -> None:
    properties = {"LogGroupName": f"{GROUP}-{days}", "RetentionInDays": days}
    resources: dict[str, Any] = {"Group": {"Type": "AWS::Logs::LogGroup", "Properties": properties}}
    if topic is not None:
        resources["Topic"] = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": topic}}
    body = {"Resources": resources, "Outputs": {"Name": {"Value": {"Ref": "Group"}}}}
    archive = zip_of({"template.json": json.dumps(body)})
    cloud.client("s3").put_object(Bucket=BUCKET, Key="template.zip", Body=archive)


def deploy(mode: str, order: int, **more: Any) -> dict[str, Any]:
    return {
        "name": mode,
        "actionTypeId": {
            "category": "Deploy",
            "owner": "AWS",
            "provider": "CloudFormation",
            "version": "1",
        },
        "runOrder": order,
        "configuration": {
            "ActionMode": mode,
            "StackName": STACK,
            "ChangeSetName": "pipeline",
            **more,
        },
    }


def declaration() -> dict[str, Any]:
    kind = {"owner": "AWS", "version": "1"}
    source = {
        "name": "Template",
        "actionTypeId": {**kind, "category": "Source", "provider": "S3"},
        "configuration": {
            "S3Bucket": BUCKET,
            "S3ObjectKey": "template.zip",
            "PollForSourceChanges": "false",
        },
        "outputArtifacts": [{"name": "Template"}],
    }
    approve = {
        "name": "Approve",
        "actionTypeId": {**kind, "category": "Approval", "provider": "Manual"},
        "runOrder": 2,
    }
    replace = deploy("CHANGE_SET_REPLACE", 1, TemplatePath="Template::template.json")
    replace["inputArtifacts"] = [{"name": "Template"}]
    actions = [replace, approve, deploy("CHANGE_SET_EXECUTE", 3)]
    return {
        "name": PIPELINE,
        "roleArn": ROLE,
        "artifactStore": {"type": "S3", "location": BUCKET},
        "stages": [
            {"name": "Source", "actions": [source]},
            {"name": "Deploy", "actions": actions},
        ],
    }


def actions_of(client: Any) -> dict[str, dict[str, Any]]:
    states = client.get_pipeline_state(name=PIPELINE)["stageStates"][1]["actionStates"]
    return {state["actionName"]: state.get("latestExecution", {}) for state in states}


def approve(client: Any, execution: str) -> dict[str, dict[str, Any]]:
    """Wait for the approval, give it, and return the actions when the execution has succeeded."""
    token = wait_for(
        "the approval",
        lambda: (
            found
            if (found := actions_of(client)["Approve"]).get("status") == "InProgress"
            and status(client, execution) == "InProgress"
            else None
        ),
        30,
    )["token"]
    client.put_approval_result(
        pipelineName=PIPELINE,
        stageName="Deploy",
        actionName="Approve",
        token=token,
        result={"status": "Approved", "summary": ""},
    )
    wait_for("the end", lambda: status(client, execution) != "InProgress", 30)
    assert status(client, execution) == "Succeeded"
    return actions_of(client)


def status(client: Any, execution: str) -> str:
    found = client.get_pipeline_execution(pipelineName=PIPELINE, pipelineExecutionId=execution)
    return str(found["pipelineExecution"]["status"])


def test_a_change_set_is_made_looked_at_and_executed_again_and_again(cloud: TestCloud) -> None:
    s3, cloudformation = cloud.client("s3"), cloud.client("cloudformation")
    client = cloud.client("codepipeline")
    have_role(cloud, ROLE, "codepipeline")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    put_template(cloud, 7)
    client.create_pipeline(pipeline=declaration())
    try:
        (first,) = client.list_pipeline_executions(pipelineName=PIPELINE)[
            "pipelineExecutionSummaries"
        ]
        wait_for("the change set", lambda: actions_of(client)["Approve"].get("token"), 30)
        (stack,) = cloudformation.describe_stacks(StackName=STACK)["Stacks"]
        assert stack["StackStatus"] == "REVIEW_IN_PROGRESS"
        done = approve(client, first["pipelineExecutionId"])
        assert done["CHANGE_SET_REPLACE"]["summary"] == "Change set pipeline was created: 1 Add."
        assert done["CHANGE_SET_EXECUTE"]["summary"] == f"Stack {STACK}: CREATE_COMPLETE"

        put_template(cloud, 14, topic="change-set-pipeline")
        second = client.start_pipeline_execution(name=PIPELINE)["pipelineExecutionId"]
        done = approve(client, second)
        summary = "Change set pipeline was created: 1 Add, 1 Modify."
        assert done["CHANGE_SET_REPLACE"]["summary"] == summary
        assert done["CHANGE_SET_EXECUTE"]["summary"] == f"Stack {STACK}: UPDATE_COMPLETE"
        (stack,) = cloudformation.describe_stacks(StackName=STACK)["Stacks"]
        assert stack["Outputs"] == [{"OutputKey": "Name", "OutputValue": f"{GROUP}-14"}]

        third = client.start_pipeline_execution(name=PIPELINE)["pipelineExecutionId"]
        done = approve(client, third)
        assert "didn't contain changes" in done["CHANGE_SET_EXECUTE"]["summary"]
    finally:
        client.delete_pipeline(name=PIPELINE)
        cloudformation.delete_stack(StackName=STACK)


@pytest.mark.parametrize(
    ("template", "failed", "message"),
    [
        ("template.json", "CHANGE_SET_EXECUTE", "ChangeSet [other] does not exist"),
        ("no-such-file.json", "CHANGE_SET_REPLACE", "has no file no-such-file.json"),
    ],
)
def test_a_change_set_that_is_not_there_fails_its_action_with_the_reason(
    cloud: TestCloud, template: str, failed: str, message: str
) -> None:
    s3, client = cloud.client("s3"), cloud.client("codepipeline")
    have_role(cloud, ROLE, "codepipeline")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    put_template(cloud, 7)
    wanted = declaration()
    replace, _, execute = wanted["stages"][1]["actions"]
    replace["configuration"]["TemplatePath"] = f"Template::{template}"
    execute["configuration"]["ChangeSetName"] = "other"
    wanted["stages"][1]["actions"] = [replace, execute]
    client.create_pipeline(pipeline=wanted)
    try:
        found = wait_for(
            f"{failed} to fail",
            lambda: (
                action if (action := actions_of(client)[failed]).get("status") == "Failed" else None
            ),
            30,
        )
        assert message in found["errorDetails"]["message"]
    finally:
        client.delete_pipeline(name=PIPELINE)
        cloud.client("cloudformation").delete_stack(StackName=STACK)
