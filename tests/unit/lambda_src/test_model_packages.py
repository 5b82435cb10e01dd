"""The handlers of the registry: a version is registered, then approved or rejected, once."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambda_src.model_packages import promote_handler, register_handler, reject_handler
from tests.unit.lambda_src.fake_aws import (
    EXECUTION_ID,
    IMAGE_URI,
    JOB_ID,
    AwsError,
    FakeAws,
    pipeline_event,
)

MODEL = {
    "TrainingJobName": "iris-model-abc",
    "ModelDataUrl": "s3://artifacts/training/iris-model-abc/output/model.tar.gz",
    "ImageUri": IMAGE_URI,
    "Metric": "accuracy",
    "Score": "0.9667",
    "DatasetVersionId": "version-1",
}
REGISTER = {
    "modelName": "iris-model",
    "executionId": EXECUTION_ID,
    "reportUrl": "s3://artifacts/reports/r",
}
ARN = "arn:aws:sagemaker:us-east-1:123456789012:model-package/iris-model/1"
PROMOTE = {
    "modelPackageArn": ARN,
    "pipelineName": "iris-model-pipeline",
    "executionId": EXECUTION_ID,
}


def artifact(content: bytes) -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("parameters.json", content)
    return body.getvalue()


def register(aws: FakeAws, content: bytes | None = None) -> None:
    body = artifact(json.dumps(MODEL).encode() if content is None else content)
    aws.objects["artifacts", "pipeline/Dataset/abc"] = body
    register_handler(pipeline_event(REGISTER), None)


def action(name: str, status: str, **more: Any) -> dict[str, Any]:
    return {
        "stageName": "DeployApproval" if name == "ApproveDeploy" else "DeployPrd",
        "actionName": name,
        "status": status,
        **more,
    }


def reject(aws: FakeAws, state: str = "FAILED", *, status: str = "Failed") -> None:
    """Handle the event of a state, while the execution has a status."""
    aws.executions = [{"pipelineExecutionId": EXECUTION_ID, "status": status}]
    reject_handler(ended(state), None)


def ended(state: str) -> dict[str, Any]:
    return {
        "detail-type": "CodePipeline Pipeline Execution State Change",
        "detail": {
            "pipeline": "iris-model-pipeline",
            "execution-id": EXECUTION_ID,
            "state": state,
        },
    }


def test_a_trained_model_becomes_a_pending_version(aws: FakeAws) -> None:
    register(aws)
    assert aws.success()["outputVariables"] == {"ModelPackageArn": ARN, "ModelPackageVersion": "1"}
    (package,) = aws.packages
    assert package["ModelApprovalStatus"] == "PendingManualApproval"
    assert package["InferenceSpecification"]["Containers"] == [
        {"Image": IMAGE_URI, "ModelDataUrl": MODEL["ModelDataUrl"]}
    ]
    baselines = package["DriftCheckBaselines"]["ModelDataQuality"]["Statistics"]
    assert baselines["S3Uri"] == "s3://artifacts/reports/r/baseline.json"
    assert package["CustomerMetadataProperties"] == {
        "PipelineExecutionId": EXECUTION_ID,
        "DatasetVersionId": "version-1",
        "TrainingJobName": "iris-model-abc",
        "Metric": "accuracy",
        "Score": "0.9667",
    }
    (request,) = aws.made("CreateModelPackage")
    assert request["ClientToken"] == JOB_ID


def test_a_version_has_a_further_specification_for_arm64(aws: FakeAws) -> None:
    register(aws)
    assert "AdditionalInferenceSpecifications" not in aws.packages[0]
    aws.packages.clear()
    register(aws, json.dumps({**MODEL, "Arm64ImageUri": "arm"}).encode())
    (further,) = aws.packages[0]["AdditionalInferenceSpecifications"]
    assert (further["Name"], further["Containers"]) == (
        "arm64",
        [{"Image": "arm", "ModelDataUrl": MODEL["ModelDataUrl"]}],
    )


def test_the_group_may_be_there_already(aws: FakeAws) -> None:
    aws.errors["CreateModelPackageGroup"] = AwsError(
        "ValidationException", "Model Package Group already exists: arn:…"
    )
    register(aws)
    assert len(aws.packages) == 1


def test_another_error_of_the_group_fails_the_action(aws: FakeAws) -> None:
    aws.errors["CreateModelPackageGroup"] = AwsError("AccessDeniedException", "not allowed")
    register(aws)
    assert "not allowed" in aws.failure()[1]
    assert aws.packages == []


@pytest.mark.parametrize("content", [b"", b"no json"])
def test_an_artifact_that_is_none_of_training_is_named(aws: FakeAws, content: bytes) -> None:
    register(aws, content)
    kind, message = aws.failure()
    assert kind == "ConfigurationError"
    assert "must hold parameters.json, a JSON object" in message


def test_promotion_approves_with_who_and_why(aws: FakeAws) -> None:
    register(aws)
    aws.calls.clear()
    aws.actions = [
        action("Deploy", "Succeeded"),
        action(
            "ApproveDeploy",
            "Succeeded",
            updatedBy="arn:aws:iam::123456789012:user/ada",
            output={"executionResult": {"externalExecutionSummary": "looks right"}},
        ),
    ]
    promote_handler(pipeline_event(PROMOTE), None)
    expected = "approved by arn:aws:iam::123456789012:user/ada: looks right"
    assert aws.success()["executionDetails"]["summary"] == f"iris-model/1 is approved: {expected}"
    (package,) = aws.packages
    assert (package["ModelApprovalStatus"], package["ApprovalDescription"]) == (
        "Approved",
        expected,
    )


@pytest.mark.parametrize(
    ("state", "actions", "reason"),
    [
        (
            "FAILED",
            [
                action(
                    "ApproveDeploy",
                    "Failed",
                    updatedBy="arn:aws:iam::123456789012:user/ada",
                    output={"executionResult": {"externalExecutionSummary": "too weak"}},
                )
            ],
            "DeployApproval ApproveDeploy failed by arn:aws:iam::123456789012:user/ada: too weak",
        ),
        (
            "STOPPED",
            [
                action("SmokeTest", "Abandoned"),
                action(
                    "Deploy",
                    "Failed",
                    output={"executionResult": {"errorDetails": {"message": "rolled back"}}},
                ),
            ],
            "DeployPrd SmokeTest abandoned: no reason",
        ),
        ("SUPERSEDED", [], "the execution was superseded"),
    ],
)
def test_an_execution_that_ends_without_promotion_rejects_its_version(
    aws: FakeAws, state: str, actions: list[dict[str, Any]], reason: str
) -> None:
    register(aws)
    aws.packages.append(
        {
            "ModelPackageArn": "arn:other/2",
            "ModelApprovalStatus": "PendingManualApproval",
            "CustomerMetadataProperties": {"PipelineExecutionId": "another"},
        }
    )
    aws.actions = actions
    reject(aws, state)
    first, other = aws.packages
    assert (first["ModelApprovalStatus"], first["ApprovalDescription"]) == ("Rejected", reason)
    assert other["ModelApprovalStatus"] == "PendingManualApproval"


REGISTERED = action("Register", "Succeeded", output={"outputVariables": {"ModelPackageArn": ARN}})
ROLLED_BACK = action(
    "Deploy",
    "Failed",
    output={"executionResult": {"errorDetails": {"message": "rolled back"}}},
)


def test_an_approved_version_whose_deployment_fails_is_rejected(aws: FakeAws) -> None:
    register(aws)
    promote_handler(pipeline_event(PROMOTE), None)
    aws.packages.append({"ModelPackageArn": "arn:other/2", "ModelApprovalStatus": "Approved"})
    aws.actions = [ROLLED_BACK, action("Promote", "Succeeded"), REGISTERED]
    reject(aws)
    mine, other = aws.packages
    assert (mine["ModelApprovalStatus"], mine["ApprovalDescription"]) == (
        "Rejected",
        "DeployPrd Deploy failed: rolled back",
    )
    assert other["ModelApprovalStatus"] == "Approved"


@pytest.mark.parametrize("status", ["InProgress", "Stopping", "Succeeded"])
def test_an_event_that_comes_after_a_retry_rejects_nothing(aws: FakeAws, status: str) -> None:
    register(aws)
    promote_handler(pipeline_event(PROMOTE), None)
    aws.actions = [ROLLED_BACK, REGISTERED]
    reject(aws, status=status)
    assert aws.packages[0]["ModelApprovalStatus"] == "Approved"


def test_a_rejected_version_keeps_its_first_reason(aws: FakeAws) -> None:
    register(aws)
    aws.actions = [ROLLED_BACK, REGISTERED]
    for _ in range(2):
        reject(aws)
    assert len(aws.made("UpdateModelPackage")) == 1


def test_another_account_may_deploy_the_versions_and_do_nothing_else(aws: FakeAws) -> None:
    aws.objects["artifacts", "pipeline/Dataset/abc"] = artifact(json.dumps(MODEL).encode())
    shared = {**REGISTER, "productionAccount": "210987654321"}
    register_handler(pipeline_event(shared), None)
    (statement,) = json.loads(aws.group_policy)["Statement"]
    assert statement == {
        "Sid": "ProductionDeploys",
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::210987654321:root"},
        "Action": ["sagemaker:CreateModel", "sagemaker:DescribeModelPackage"],
        "Resource": ["arn:aws:sagemaker:us-east-1:123456789012:model-package/iris-model/*"],
    }


def test_a_group_of_one_account_has_no_policy(aws: FakeAws) -> None:
    register(aws)
    assert aws.made("PutModelPackageGroupPolicy") == []


def test_an_execution_that_ended_before_the_first_version_rejects_nothing(aws: FakeAws) -> None:
    aws.errors["ListModelPackages"] = AwsError(
        "ValidationException", "ModelPackageGroup arn:… does not exist."
    )
    reject(aws)
    assert aws.made("UpdateModelPackage") == []
    aws.errors["ListModelPackages"] = AwsError("AccessDeniedException", "not allowed")
    with pytest.raises(ClientError, match="not allowed"):
        reject(aws)


def test_a_version_without_a_report_has_no_baseline(aws: FakeAws) -> None:
    aws.objects["artifacts", "pipeline/Dataset/abc"] = artifact(json.dumps(MODEL).encode())
    without = {key: value for key, value in REGISTER.items() if key != "reportUrl"}
    register_handler(pipeline_event(without), None)
    (request,) = aws.made("CreateModelPackage")
    assert "DriftCheckBaselines" not in request
    assert "ModelMetrics" not in request
