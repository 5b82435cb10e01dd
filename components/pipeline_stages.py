"""The stages of the delivery pipeline.

Pure: settings in, CodePipeline's stage declaration out. Owns the order of the stages and the
configuration of each action. Must not: register resources.

    Source ─► Train ─► DeployDev ─► DeployApproval ─► DeployPrd
                                    └── only with a production target ──┘

Train begins with CheckData, which stops a broken dataset, and ends with Register, which makes the
model a version in the registry. DeployDev ends with Evaluate, which stops a model that is worse
than the one in production, Rehearse, which sends it what production was asked, and Evidence, which
collects what is known of it for the approval. DeployPrd begins with Promote, which approves the
version, because SageMaker deploys no other; without production, DeployDev ends with it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws.codepipeline import PipelineStageActionArgsDict, PipelineStageArgsDict

from components.instance_types import AMD64, ARM64
from components.naming import DATASET_KEY, TEMPLATE_FILE
from components.settings import DeliverySettings, NetworkSettings, PromotionGate

# CodePipeline's limit for the UserParameters of a Lambda action.
USER_PARAMETERS_LENGTH = 1000

DATASET_ARTIFACT = "DatasetArtifact"
MODEL_ARTIFACT = "ModelArtifact"
MODEL_ARTIFACT_FILE = "parameters.json"
LINEAGE_PARAMETERS = ("TrainingJobName", "DatasetVersionId")
# Of DEV's template, which deploys a model before its version is approved.
MODEL_PARAMETERS = ("ImageUri", "ModelDataUrl")
# The key of the image for arm64 in the file that training writes.
ARM64_IMAGE_KEY = "Arm64ImageUri"
# The parameter of the template that no artifact holds: the version in the registry.
VERSION_PARAMETER = "ModelPackageArn"


# The pipeline's variable: what started an execution. `lambda_src/retrain.py` gives it.
STARTED_BY, STARTED_BY_PARAMETER, BY_DATASET = "StartedBy", "started_by", "dataset"

# Output of an environment's stack → field of DeployTarget.
TARGET_OUTPUTS = {
    "templateBucket": "template_bucket",
    "templateKey": "template_key",
    "deployRoleArn": "deploy_role_arn",
    "stackName": "stack_name",
    "endpointName": "endpoint_name",
    "encryptionKeyArn": "encryption_key_arn",
    "deliveryRoleArn": "delivery_role_arn",
    "invokeRoleArn": "invoke_role_arn",
    "imageArchitecture": "image_architecture",
}


@dataclass(frozen=True, slots=True)
class DeployTarget:
    """The target of an environment's deployments: its template, role, stack and endpoint.

    ``encryption_key_arn`` is empty without a KMS key. A pipeline in another account assumes
    ``delivery_role_arn`` and ``invoke_role_arn``; both are empty in the pipeline's own account.
    ``image_architecture``, of the endpoint's instances, is ``amd64`` or ``arm64``.
    """

    template_bucket: str
    template_key: str
    deploy_role_arn: str
    stack_name: str
    endpoint_name: str
    encryption_key_arn: str = ""
    delivery_role_arn: str = ""
    invoke_role_arn: str = ""
    image_architecture: str = AMD64

    @staticmethod
    def of(outputs: Mapping[str, pulumi.Input[str]]) -> "pulumi.Output[DeployTarget]":
        """Return the target that an environment's outputs describe."""
        fields = {field: outputs[key] for key, field in TARGET_OUTPUTS.items()}
        return pulumi.Output.all(**fields).apply(lambda made: DeployTarget(**made))


@dataclass(frozen=True, slots=True)
class StageInputs:
    """The names and ARNs that the stages refer to, as resolved values.

    ``captures`` is where production's endpoint captures requests, as an S3 URL; None if that is in
    another account.
    """

    # Source
    model_name: str
    data_bucket: str
    # Train
    train_function: str
    training_role_arn: str
    image_parameter: str
    training_output: str
    processing_function: str
    processing_role_arn: str
    captures: str | None
    network: NetworkSettings
    # The model registry
    register_function: str
    promote_function: str
    pipeline: str
    production_account: str | None
    # Deploy
    smoke_test_function: str
    evidence_function: str
    development: DeployTarget
    # Approval and production
    approval_topic_arn: str
    production: DeployTarget | None


def render(inputs: StageInputs, settings: DeliverySettings) -> list[PipelineStageArgsDict]:
    """Return the pipeline's stages in order.

    Args:
        inputs: names and ARNs of the resources.
        settings: the pipeline's settings.

    Raises: ValueError when an action's UserParameters exceed CodePipeline's limit.
    """
    stages = [_source(inputs), _train(inputs, settings)]
    # A failed first creation of DEV is replaced. Production has to be deleted by a person.
    development = _deploy(
        "Dev", inputs.development, inputs, settings, "REPLACE_ON_FAILURE", by_version=False
    )
    if settings.promotion_gate is not PromotionGate.OFF:
        development.append(_evaluate(inputs, settings))
    if settings.rehearsal and inputs.production is not None:
        development.append(_rehearse(inputs, settings, len(development) + 1))
    development.append(_evidence(inputs, len(development) + 1))
    if inputs.production is None:
        last = _promote(inputs, len(development) + 1)
        return [*stages, {"name": "DeployDev", "actions": [*development, last]}]
    # SageMaker deploys an approved version only.
    promote = _promote(inputs, 1)
    production = _deploy(
        "Prd", inputs.production, inputs, settings, "CREATE_UPDATE", by_version=True
    )
    stages += [
        {"name": "DeployDev", "actions": development},
        _approval(inputs, settings),
        {"name": "DeployPrd", "actions": [promote, *production]},
    ]
    return stages


def _source(inputs: StageInputs) -> PipelineStageArgsDict:
    actions = [
        _s3_source("Dataset", inputs.data_bucket, DATASET_KEY),
        _template_source("DevTemplate", inputs.development),
    ]
    if inputs.production is not None:
        actions.append(_template_source("PrdTemplate", inputs.production))
    return {"name": "Source", "actions": actions}


def _template_source(name: str, target: DeployTarget) -> PipelineStageActionArgsDict:
    return _in_account_of(target, _s3_source(name, target.template_bucket, target.template_key))


def _in_account_of(
    target: DeployTarget, action: PipelineStageActionArgsDict
) -> PipelineStageActionArgsDict:
    """Make an action run with the target account's delivery role, if the target has one."""
    if target.delivery_role_arn:
        action["role_arn"] = target.delivery_role_arn
    return action


def _s3_source(name: str, bucket: str, key: str) -> PipelineStageActionArgsDict:
    return {
        "name": name,
        "category": "Source",
        "owner": "AWS",
        "provider": "S3",
        "version": "1",
        "namespace": name,
        "configuration": {
            "S3Bucket": bucket,
            "S3ObjectKey": key,
            # The default is polling, and every upload would then start the pipeline twice.
            "PollForSourceChanges": "false",
        },
        "output_artifacts": [f"{name}Artifact"],
    }


def _train(inputs: StageInputs, settings: DeliverySettings) -> PipelineStageArgsDict:
    parameters = {
        **_job_parameters(inputs, settings),
        "trainingRoleArn": inputs.training_role_arn,
        "outputPath": inputs.training_output,
        "hyperparameters": dict(settings.training.hyperparameters),
        **({"arm64Image": True} if settings.arm64_image else {}),
        **({"minimumMetric": limits} if (limits := dict(settings.minimum_metric)) else {}),
    }
    train = _lambda_action(
        "Train",
        inputs.train_function,
        parameters,
        inputs=[DATASET_ARTIFACT],
        outputs=[MODEL_ARTIFACT],
        order=2,
    )
    register = _lambda_action(
        "Register",
        inputs.register_function,
        {
            "modelName": inputs.model_name,
            "executionId": "#{codepipeline.PipelineExecutionId}",
            "reportUrl": "#{CheckData.ReportUrl}",
            **(
                {"productionAccount": inputs.production_account}
                if inputs.production_account
                else {}
            ),
        },
        inputs=[MODEL_ARTIFACT],
        order=3,
    )
    check = _process(
        "CheckData",
        inputs,
        settings,
        {"command": "check", "champion": "baseline"},
        {"data_shift": settings.data_shift.value},
        order=1,
    )
    return {"name": "Train", "actions": [check, train, register]}


def _evaluate(inputs: StageInputs, settings: DeliverySettings) -> PipelineStageActionArgsDict:
    return _process(
        "Evaluate",
        inputs,
        settings,
        {
            "command": "evaluate",
            "champion": "model",
            "reference": True,
            "inputs": {"candidate": "#{Train.ModelDataUrl}"},
        },
        {
            "promotion_gate": settings.promotion_gate.value,
            "maximum_regression": settings.maximum_regression,
            STARTED_BY_PARAMETER: f"#{{variables.{STARTED_BY}}}",
        },
        order=3,
    )


def _rehearse(
    inputs: StageInputs, settings: DeliverySettings, order: int
) -> PipelineStageActionArgsDict:
    if inputs.captures is None:
        reason = "production is in another account, which keeps what its endpoint captures"
        return _lambda_action(
            "Rehearse", inputs.processing_function, {"without": reason}, inputs=[], order=order
        )
    parameters = {
        "command": "rehearse",
        "champion": "model",
        "captures": inputs.captures,
        "inputs": {
            "candidate": "#{Train.ModelDataUrl}",
            "baseline": "#{CheckData.ReportUrl}/baseline.json",
        },
    }
    artifact = "PrdTemplateArtifact"
    return _process("Rehearse", inputs, settings, parameters, None, order=order, artifact=artifact)


def _evidence(inputs: StageInputs, order: int) -> PipelineStageActionArgsDict:
    parameters = {
        "modelPackageArn": "#{Register.ModelPackageArn}",
        "pipelineName": inputs.pipeline,
        "executionId": "#{codepipeline.PipelineExecutionId}",
    }
    return _lambda_action("Evidence", inputs.evidence_function, parameters, inputs=[], order=order)


def _process(
    name: str,
    inputs: StageInputs,
    settings: DeliverySettings,
    parameters: Mapping[str, object],
    hyperparameters: Mapping[str, object] | None,
    *,
    order: int,
    artifact: str = DATASET_ARTIFACT,
) -> PipelineStageActionArgsDict:
    """Return an action that runs a command of the model's container.

    Args:
        name: the action's name.
        inputs: names and ARNs of the resources.
        settings: the pipeline's settings.
        parameters: what the command is, and what it needs besides the dataset.
        hyperparameters: the command's own, beside those of training; None if it needs none at all.
        order: when it runs within its stage, from 1.
        artifact: the input artifact.
    """
    common = _job_parameters(inputs, settings)
    own = {
        "roleArn": inputs.processing_role_arn,
        "hyperparameters": {}
        if hyperparameters is None
        else {**settings.training.hyperparameters, **hyperparameters},
    }
    return _lambda_action(
        name,
        inputs.processing_function,
        {**common, **own, **parameters},
        inputs=[artifact],
        order=order,
    )


def _job_parameters(inputs: StageInputs, settings: DeliverySettings) -> dict[str, object]:
    """Return the parameters that training and processing jobs share."""
    return {
        "modelName": inputs.model_name,
        "executionId": "#{codepipeline.PipelineExecutionId}",
        "datasetVersionId": "#{Dataset.VersionId}",
        "imageParameter": inputs.image_parameter,
        "instanceType": settings.training.instance_type,
        "maxRuntimeSeconds": settings.training.max_runtime_seconds,
        "networkIsolation": inputs.network.isolation,
    }


def _promote(inputs: StageInputs, order: int) -> PipelineStageActionArgsDict:
    parameters = {
        "modelPackageArn": "#{Register.ModelPackageArn}",
        "pipelineName": inputs.pipeline,
        "executionId": "#{codepipeline.PipelineExecutionId}",
    }
    return _lambda_action("Promote", inputs.promote_function, parameters, inputs=[], order=order)


def _lambda_action(
    name: str,
    function: str,
    parameters: Mapping[str, object],
    *,
    inputs: Sequence[str],
    outputs: Sequence[str] = (),
    order: int,
    namespace: str | None = None,
) -> PipelineStageActionArgsDict:
    """Return an action that invokes a function.

    Args:
        name: the action's name, and by default its namespace.
        function: the function's name.
        parameters: its UserParameters.
        inputs: names of the input artifacts.
        outputs: names of the output artifacts.
        order: when it runs within its stage, from 1.
        namespace: the namespace of its output variables.
    """
    action: PipelineStageActionArgsDict = {
        "name": name,
        "category": "Invoke",
        "owner": "AWS",
        "provider": "Lambda",
        "version": "1",
        "run_order": order,
        "namespace": namespace or name,
        "configuration": {
            "FunctionName": function,
            "UserParameters": _user_parameters(name, parameters),
        },
    }
    if inputs:
        action["input_artifacts"] = list(inputs)
    if outputs:
        action["output_artifacts"] = list(outputs)
    return action


def _deploy(
    environment: str,
    target: DeployTarget,
    inputs: StageInputs,
    settings: DeliverySettings,
    mode: str,
    *,
    by_version: bool,
) -> list[PipelineStageActionArgsDict]:
    """Return the actions that deploy to an environment and try its endpoint.

    Args:
        environment: Dev or Prd.
        target: the environment's template, role and stack.
        inputs: names and ARNs of the resources.
        settings: the pipeline's settings.
        mode: CloudFormation's action mode.
        by_version: the template deploys the version in the registry, after Promote has approved
            it; otherwise the image and the model.
    """
    first = 2 if by_version else 1
    template_artifact = f"{environment}TemplateArtifact"
    overrides: dict[str, object] = {
        name: {"Fn::GetParam": [MODEL_ARTIFACT, MODEL_ARTIFACT_FILE, name]}
        for name in (*(() if by_version else MODEL_PARAMETERS), *LINEAGE_PARAMETERS)
    }
    if not by_version and target.image_architecture == ARM64:
        overrides["ImageUri"] = {
            "Fn::GetParam": [MODEL_ARTIFACT, MODEL_ARTIFACT_FILE, ARM64_IMAGE_KEY]
        }
    overrides[VERSION_PARAMETER] = f"#{{Register.{VERSION_PARAMETER}}}"
    deploy: PipelineStageActionArgsDict = {
        "name": "Deploy",
        "category": "Deploy",
        "owner": "AWS",
        "provider": "CloudFormation",
        "version": "1",
        "run_order": first,
        "namespace": f"Deploy{environment}",
        "configuration": {
            "ActionMode": mode,
            "StackName": target.stack_name,
            "RoleArn": target.deploy_role_arn,
            "TemplatePath": f"{template_artifact}::{TEMPLATE_FILE}",
            "ParameterOverrides": json.dumps(overrides, separators=(",", ":")),
        },
        "input_artifacts": [MODEL_ARTIFACT, template_artifact],
    }
    deploy = _in_account_of(target, deploy)
    smoke_test_parameters = {
        "endpointName": target.endpoint_name,
        # The configuration that was deployed: SageMaker may have rolled the update back.
        "endpointConfigName": f"#{{Deploy{environment}.EndpointConfigName}}",
        "minimumAccuracy": settings.minimum_accuracy,
        "metric": "#{Train.Metric}",
        "header": settings.training.hyperparameters.get("header") == "yes",
        **({"roleArn": target.invoke_role_arn} if target.invoke_role_arn else {}),
    }
    smoke_test = _lambda_action(
        "SmokeTest",
        inputs.smoke_test_function,
        smoke_test_parameters,
        inputs=[DATASET_ARTIFACT],
        order=first + 1,
        namespace=f"SmokeTest{environment}",
    )
    return [deploy, smoke_test]


def _approval(inputs: StageInputs, settings: DeliverySettings) -> PipelineStageArgsDict:
    action: PipelineStageActionArgsDict = {
        "name": "ApproveDeploy",
        "category": "Approval",
        "owner": "AWS",
        "provider": "Manual",
        "version": "1",
        "timeout_in_minutes": settings.approval_timeout_minutes,
        "configuration": {
            "NotificationArn": inputs.approval_topic_arn,
            # Two lines of verdicts, and what they rest on. It has at most 1000 characters with
            # the longest values.
            "CustomData": (
                f"Deploy {inputs.model_name} to production? Validation #{{Train.Metric}} "
                "#{Train.Score}, version #{Register.ModelPackageVersion}, training job "
                "#{Train.TrainingJobName}, dataset version #{Dataset.VersionId}.\n"
                "#{Evidence.Summary}\n#{Evidence.Url} sha256:#{Evidence.Sha256}"
            ),
        },
    }
    return {"name": "DeployApproval", "actions": [action]}


def _user_parameters(action: str, parameters: Mapping[str, object]) -> str:
    text = json.dumps(parameters, separators=(",", ":"))
    if len(text) > USER_PARAMETERS_LENGTH:
        raise ValueError(
            f"UserParameters of action {action} have {len(text)} characters, but CodePipeline "
            f"allows {USER_PARAMETERS_LENGTH}: use fewer hyperparameters"
        )
    return text
