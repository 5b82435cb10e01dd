"""CodePipeline's CloudFormation action: its modes, and where its parameters come from."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.archives import zip_of
from tests.cloud import TestCloud
from tests.pipelines import BUCKET, Pipelines, kind, pipelines_of, prepare, source_action

ACTION = (
    "https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CloudFormation.html"
)
OVERRIDES = (
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/"
    "continuous-delivery-codepipeline-parameter-override-functions.html"
)
NAME = "pipeline-modes"


def template(**second: Any) -> dict[str, Any]:
    groups = {"First": {"Type": "AWS::Logs::LogGroup"}, "Second": {"Type": "AWS::Logs::LogGroup"}}
    return {
        "Parameters": {
            "Colour": {"Type": "String", "Default": "none"},
            "Size": {"Type": "String", "Default": "none"},
            "Place": {"Type": "String", "Default": "none"},
        },
        "Resources": {**groups, "Second": {**groups["Second"], "Properties": second}},
        "Outputs": {
            "Said": {"Value": {"Fn::Sub": "${Colour}/${Size}/${Place}"}},
        },
    }


@pytest.fixture
def pipelines(cloud: TestCloud) -> Iterator[Pipelines]:
    prepare(cloud)
    with pipelines_of(cloud) as made:
        yield made
    cloud.client("cloudformation").delete_stack(StackName=NAME)


def upload(cloud: TestCloud, **files: Any) -> None:
    archive = {f"{name}.json": json.dumps(content) for name, content in files.items()}
    cloud.client("s3").put_object(Bucket=BUCKET, Key="modes.zip", Body=zip_of(archive))


def deploy(mode: str, **configuration: str) -> dict[str, Any]:
    settings = {"ActionMode": mode, "StackName": NAME, **configuration}
    if mode != "DELETE_ONLY":
        settings["TemplatePath"] = "Source::template.json"
    return {
        "name": "Deploy",
        "actionTypeId": kind("Deploy", "CloudFormation"),
        "configuration": settings,
        "inputArtifacts": [{"name": "Source"}],
        "namespace": "Deploy",
    }


def run(pipelines: Pipelines, action: dict[str, Any], ends: str = "Succeeded") -> dict[str, Any]:
    """Make a pipeline of the action, and return the action's run when it is over."""
    name = pipelines.make([action], source=source_action("modes.zip"))
    pipelines.until(name, ends)
    details = pipelines.client.list_action_executions(pipelineName=name)["actionExecutionDetails"]
    return next(dict(d) for d in details if d["actionName"] == "Deploy")


def stack(cloud: TestCloud) -> dict[str, Any]:
    return dict(cloud.client("cloudformation").describe_stacks(StackName=NAME)["Stacks"][0])


@pytest.mark.aws_documented(OVERRIDES)
def test_overrides_beat_the_configuration_file_and_read_artifacts(
    cloud: TestCloud, pipelines: Pipelines
) -> None:
    upload(
        cloud,
        template=template(),
        settings={"Parameters": {"Colour": "red", "Size": "big"}, "Tags": {"Team": "lab"}},
        values={"size": "small"},
    )
    overrides = {
        "Size": {"Fn::GetParam": ["Source", "values.json", "size"]},
        "Place": {"Fn::GetArtifactAtt": ["Source", "BucketName"]},
    }
    made = run(
        pipelines,
        deploy(
            "CREATE_UPDATE",
            TemplateConfiguration="Source::settings.json",
            ParameterOverrides=json.dumps(overrides),
        ),
    )
    assert made["output"]["outputVariables"] == {"Said": f"red/small/{BUCKET}"}
    assert stack(cloud)["Tags"] == [{"Key": "Team", "Value": "lab"}]


@pytest.mark.aws_documented(ACTION)
@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        ({"Unknown": "x"}, r"Parameters: \[Unknown\] do not exist in the template"),
        ({"Colour": {"Fn::GetParam": ["Source", "none.json", "x"]}}, "no file none.json"),
        ({"Colour": {"Fn::GetArtifactAtt": ["Source", "Age"]}}, "has no attribute Age"),
    ],
)
def test_overrides_that_cannot_be_are_the_actions_failure(
    cloud: TestCloud, pipelines: Pipelines, overrides: dict[str, Any], reason: str
) -> None:
    upload(cloud, template=template())
    action = deploy("CREATE_UPDATE", ParameterOverrides=json.dumps(overrides))
    failed = run(pipelines, action, "Failed")
    message = failed["output"]["executionResult"]["errorDetails"]["message"]
    with pytest.raises(ClientError):
        stack(cloud)
    assert re.search(reason, message), message


@pytest.mark.aws_documented(ACTION)
def test_a_stack_that_failed_is_replaced_only_in_the_mode_that_says_so(
    cloud: TestCloud, pipelines: Pipelines
) -> None:
    upload(cloud, template=template(RetentionInDays=8))
    run(pipelines, deploy("CREATE_UPDATE"), "Failed")
    broken = stack(cloud)
    assert broken["StackStatus"] == "ROLLBACK_COMPLETE"
    upload(cloud, template=template())
    failed = run(pipelines, deploy("CREATE_UPDATE"), "Failed")
    reason = failed["output"]["executionResult"]["errorDetails"]["message"]
    assert "is in ROLLBACK_COMPLETE state and can not be updated" in reason
    run(pipelines, deploy("REPLACE_ON_FAILURE"))
    assert stack(cloud)["StackStatus"] == "CREATE_COMPLETE"
    assert stack(cloud)["StackId"] != broken["StackId"]


@pytest.mark.aws_documented(ACTION)
def test_deleting_a_stack_that_is_not_there_succeeds(
    cloud: TestCloud, pipelines: Pipelines
) -> None:
    upload(cloud, template=template())
    run(pipelines, deploy("CREATE_UPDATE"))
    for _ in range(2):
        run(pipelines, deploy("DELETE_ONLY"))
        with pytest.raises(ClientError, match="does not exist"):
            stack(cloud)


@pytest.mark.aws_documented(ACTION)
def test_an_object_that_is_no_archive_fails_the_action_that_reads_it(
    cloud: TestCloud, pipelines: Pipelines
) -> None:
    cloud.client("s3").put_object(Bucket=BUCKET, Key="modes.zip", Body=b"no archive")
    failed = run(pipelines, deploy("CREATE_UPDATE"), "Failed")
    message = failed["output"]["executionResult"]["errorDetails"]["message"]
    assert message == "the artifact Source is not a zip archive"
