"""The versions of the model in SageMaker's registry: register one, promote it, reject it.

    Register   after training       a new version of the group, PendingManualApproval
    Promote    before production    Approved, with who approved it and why
    reject     an execution failed  Rejected, with the reason, also after Promote

SageMaker deploys an approved version only. With production in another account, Register lets that
account deploy the versions.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-approve.html
Source: https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-deploy-xaccount.html
"""

import json
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.exceptions import ClientError

from lambda_src.execution import actions_of, approved, result_of, shown_digest
from lambda_src.model_versions import versions
from lambda_src.pipeline_job import ConfigurationError, Job, Succeeded, parameter, run

MODEL_FILE = "parameters.json"
REGISTER_ACTION = "Register"
ARM64_KEY = "Arm64ImageUri"
# What another account has to be allowed to deploy a version, and to read what it serves.
SHARED = ("sagemaker:CreateModel", "sagemaker:DescribeModelPackage")
_DESCRIPTION_LENGTH = 1024
_JSON, _CSV = "application/json", "text/csv"
_PENDING, _APPROVED = "PendingManualApproval", "Approved"
# The statuses of an execution that may yet, or did, bring its model to production.
_GOING_ON = ("InProgress", "Stopping", "Succeeded")


def register_handler(event: Mapping[str, Any], _context: object) -> None:
    """Handle one invocation of the action Register by CodePipeline."""
    run(event, register)


def promote_handler(event: Mapping[str, Any], _context: object) -> None:
    """Handle one invocation of the action Promote by CodePipeline."""
    run(event, promote)


def reject_handler(event: Mapping[str, Any], _context: object) -> None:
    """Reject the version of an execution that EventBridge reports as ended without success.

    Args:
        event: a CodePipeline Pipeline Execution State Change to FAILED, STOPPED or SUPERSEDED.
    """
    detail = event["detail"]
    pipeline, execution = str(detail["pipeline"]), str(detail["execution-id"])
    sagemaker, codepipeline = boto3.client("sagemaker"), boto3.client("codepipeline")
    # Events may come late, or twice: after somebody has retried the stage.
    status = codepipeline.get_pipeline_execution(
        pipelineName=pipeline, pipelineExecutionId=execution
    )["pipelineExecution"]["status"]
    if status in _GOING_ON:
        return
    actions = actions_of(codepipeline, pipeline, execution)
    reason = _why(actions, str(detail["state"]))
    for arn in _undone(sagemaker, pipeline.removesuffix("-pipeline"), execution, actions):
        _decide(sagemaker, arn, "Rejected", reason)


def register(job: Job) -> Succeeded:
    """Create a version of the model's group from what the execution has trained.

    `productionAccount`, 12 digits, is an account that may deploy the versions.
    """
    sagemaker = boto3.client("sagemaker")
    group = parameter(job, "modelName", str)
    model = _model(job)
    _have_group(sagemaker, group)
    arn = sagemaker.create_model_package(
        ModelPackageGroupName=group,
        ModelPackageDescription=f"{model['TrainingJobName']}: {model['Metric']} {model['Score']}",
        ModelApprovalStatus=_PENDING,
        InferenceSpecification=_specification(model, "ImageUri"),
        **_for_arm64(model),
        **_data_quality(job),
        CustomerMetadataProperties={
            "PipelineExecutionId": parameter(job, "executionId", str),
            "DatasetVersionId": model["DatasetVersionId"],
            "TrainingJobName": model["TrainingJobName"],
            "Metric": model["Metric"],
            "Score": model["Score"],
        },
        # The same job always registers the same version, also when Lambda delivers an event twice.
        ClientToken=job.id,
    )["ModelPackageArn"]
    if "productionAccount" in job.parameters:
        _share(sagemaker, group, arn, parameter(job, "productionAccount", str))
    return Succeeded(
        summary=f"registered as {arn.partition(':model-package/')[2]}, pending approval",
        external_id=arn,
        variables={"ModelPackageArn": arn, "ModelPackageVersion": arn.rpartition("/")[2]},
    )


def promote(job: Job) -> Succeeded:
    """Set the version that goes to production to Approved, with who approved what, and why."""
    arn = parameter(job, "modelPackageArn", str)
    actions = actions_of(
        boto3.client("codepipeline"),
        parameter(job, "pipelineName", str),
        parameter(job, "executionId", str),
    )
    approval = approved(actions)
    digest = None if approval is None else shown_digest(approval)
    words = _words(approval)
    # The digest of the evidence that the message showed, so that it can be proved later.
    shown = {"ApprovedEvidenceSha256": digest} if digest else {}
    _decide(boto3.client("sagemaker"), arn, _APPROVED, words, shown)
    name = arn.partition(":model-package/")[2]
    return Succeeded(summary=f"{name} is approved: {words}", external_id=arn)


def _specification(model: Mapping[str, str], image: str) -> dict[str, Any]:
    """Return how an image serves the model."""
    return {
        "Containers": [{"Image": model[image], "ModelDataUrl": model["ModelDataUrl"]}],
        "SupportedContentTypes": [_CSV, _JSON],
        "SupportedResponseMIMETypes": [_CSV, _JSON],
    }


def _for_arm64(model: Mapping[str, str]) -> dict[str, Any]:
    """Return the further specification of a model with an image for arm64.

    The template of an endpoint on Arm names it (`InferenceSpecificationName`).
    Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_AdditionalInferenceSpecificationDefinition.html
    """
    if ARM64_KEY not in model:
        return {}
    further = {"Name": "arm64", **_specification(model, ARM64_KEY)}
    return {"AdditionalInferenceSpecifications": [further]}


def _data_quality(job: Job) -> dict[str, Any]:
    """Return where the report on the dataset and its baseline are, if the execution has made one.

    Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DriftCheckBaselines.html
    """
    if "reportUrl" not in job.parameters:
        return {}
    report = parameter(job, "reportUrl", str)
    files = {
        name: {"Statistics": {"ContentType": _JSON, "S3Uri": f"{report}/{name}.json"}}
        for name in ("check", "baseline")
    }
    return {
        "ModelMetrics": {"ModelDataQuality": files["check"]},
        "DriftCheckBaselines": {"ModelDataQuality": files["baseline"]},
    }


def _model(job: Job) -> dict[str, str]:
    artifact = job.input()
    with job.read(artifact) as archive:
        try:
            found: dict[str, str] = json.loads(archive.read(MODEL_FILE))
        except (KeyError, ValueError):
            raise ConfigurationError(
                f"artifact {artifact.name} must hold {MODEL_FILE}, a JSON object"
            ) from None
    return found


def _have_group(sagemaker: Any, group: str) -> None:
    """Create the group unless it exists; versions outlive the stack that made the pipeline."""
    try:
        sagemaker.create_model_package_group(
            ModelPackageGroupName=group,
            ModelPackageGroupDescription=f"The versions of {group}",
        )
    except ClientError as error:
        if "already exists" not in error.response["Error"]["Message"]:
            raise


def _share(sagemaker: Any, group: str, version: str, account: str) -> None:
    """Let another account deploy the versions of a group, as far as its own policies do.

    Args:
        sagemaker: the client.
        group: the group's name.
        version: ARN of one of its versions.
        account: the account, 12 digits.
    """
    partition = version.split(":")[1]
    statement = {
        "Sid": "ProductionDeploys",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:{partition}:iam::{account}:root"},
        "Action": list(SHARED),
        "Resource": [f"{version.rpartition('/')[0]}/*"],
    }
    sagemaker.put_model_package_group_policy(
        ModelPackageGroupName=group,
        ResourcePolicy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )


def _undone(sagemaker: Any, group: str, execution: str, actions: list[dict[str, Any]]) -> list[str]:
    """Return the versions of an execution that are pending, or approved in vain."""
    found = []
    for summary in list(versions(sagemaker, group, _PENDING)):
        arn = str(summary["ModelPackageArn"])
        package = sagemaker.describe_model_package(ModelPackageName=arn)
        if package.get("CustomerMetadataProperties", {}).get("PipelineExecutionId") == execution:
            found.append(arn)
    for action in actions:
        arn = action.get("output", {}).get("outputVariables", {}).get("ModelPackageArn", "")
        if action["actionName"] == REGISTER_ACTION and arn and arn not in found:
            package = sagemaker.describe_model_package(ModelPackageName=arn)
            if package["ModelApprovalStatus"] == _APPROVED:
                found.append(arn)
    return found


def _decide(
    sagemaker: Any, arn: str, status: str, reason: str, facts: Mapping[str, str] | None = None
) -> None:
    sagemaker.update_model_package(
        ModelPackageArn=arn,
        ModelApprovalStatus=status,
        ApprovalDescription=reason[:_DESCRIPTION_LENGTH],
        **({"CustomerMetadataProperties": dict(facts)} if facts else {}),
    )


def _words(approval: Mapping[str, Any] | None) -> str:
    """Return who approved an execution, and what they said."""
    if approval is None:
        return "deployed without an approval"
    who = approval.get("updatedBy") or "somebody"
    said = result_of(approval).get("externalExecutionSummary")
    return f"approved by {who}" + (f": {said}" if said else "")


def _why(actions: list[dict[str, Any]], state: str) -> str:
    """Return why an execution ended, as the action says that did."""
    for action in actions:
        if action["status"] in ("Failed", "Abandoned"):
            result = result_of(action)
            said = result.get("externalExecutionSummary") or result.get("errorDetails", {}).get(
                "message", "no reason"
            )
            who = f" by {action['updatedBy']}" if action.get("updatedBy") else ""
            name = f"{action['stageName']} {action['actionName']}"
            return f"{name} {action['status'].lower()}{who}: {said}"
    return f"the execution was {state.lower()}"
