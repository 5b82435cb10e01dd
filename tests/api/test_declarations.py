"""Declarations of pipelines that CodePipeline refuses. All of it can be recorded on AWS."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud import ACCOUNT, TestCloud
from tests.pipelines import approval_action, invoke_action, kind, source_action

STRUCTURE = (
    "https://docs.aws.amazon.com/codepipeline/latest/userguide/reference-pipeline-structure.html"
)
OTHER = {**source_action(), "name": "Other", "namespace": "Other"}


@pytest.mark.recordable
@pytest.mark.aws_documented(STRUCTURE)
@pytest.mark.parametrize(
    ("stages", "code"),
    [
        ([[source_action()]], "InvalidStructureException"),
        ([[approval_action()], [approval_action()]], "InvalidActionDeclarationException"),
        ([[source_action()], [OTHER]], "InvalidActionDeclarationException"),
        (
            [[source_action()], [approval_action(), approval_action()]],
            "InvalidActionDeclarationException",
        ),
        (
            [[source_action()], [invoke_action("x", inputArtifacts=[{"name": "Nothing"}])]],
            "InvalidActionDeclarationException",
        ),
        (
            [[source_action()], [{**approval_action(), "actionTypeId": kind("Build", "Nobody")}]],
            "InvalidActionDeclarationException",
        ),
    ],
    ids=["one-stage", "no-source", "late-source", "twice", "no-artifact", "no-provider"],
)
def test_a_pipeline_that_cannot_run_is_refused_and_not_made(
    cloud: TestCloud, stages: list[list[dict[str, Any]]], code: str
) -> None:
    client, name = cloud.client("codepipeline"), cloud.name("declared")
    declaration = {
        "name": name,
        "roleArn": f"arn:aws:iam::{ACCOUNT}:role/{name}",
        "artifactStore": {"type": "S3", "location": name},
        "stages": [
            {"name": f"Stage{number}", "actions": actions} for number, actions in enumerate(stages)
        ],
    }
    with pytest.raises(ClientError) as caught:
        client.create_pipeline(pipeline=declaration)
    assert caught.value.response["Error"]["Code"] == code
    with pytest.raises(client.exceptions.PipelineNotFoundException):
        client.get_pipeline(name=name)
