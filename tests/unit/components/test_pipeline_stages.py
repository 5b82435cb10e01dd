"""The pipeline's stages, checked against botocore's model of CodePipeline."""

import dataclasses
import json
import re
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator
from hypothesis import given

from components import pipeline_stages
from components.naming import Names
from components.pipeline_stages import DeployTarget, StageInputs
from components.settings import DeliverySettings, NetworkSettings, TrainingSettings
from lambda_src import evidence, execution
from tests.unit.components.values import MINIMAL, configurations, parse

_OPTIONAL = {
    "namespace": "namespace",
    "role_arn": "roleArn",
    "timeout_in_minutes": "timeoutInMinutes",
}
NAMES = Names("iris-model", "123456789012", "us-east-1")
_STRUCTURE = (
    botocore.session.get_session()
    .get_service_model("codepipeline")
    .operation_model("CreatePipeline")
    .input_shape
)


def target(names: Names, environment: str) -> DeployTarget:
    return DeployTarget(
        template_bucket=names.template_bucket(environment),
        template_key="template.zip",
        deploy_role_arn=names.role_arn(f"{environment}-deploy"),
        stack_name=names.cloudformation_stack(environment),
        endpoint_name=names.endpoint(environment),
    )


def stage_inputs(names: Names = NAMES, *, production: bool = True) -> StageInputs:
    return StageInputs(
        model_name=names.model,
        data_bucket=names.data_bucket,
        train_function=f"{names.model}-train",
        training_role_arn=names.role_arn("training"),
        image_parameter=names.image_parameter,
        training_output=f"s3://{names.artifact_bucket}/training",
        network=NetworkSettings(),
        processing_function=f"{names.model}-processing",
        processing_role_arn=names.role_arn("processing-job"),
        captures=f"s3://{names.capture_bucket('prd')}/capture/{names.endpoint('prd')}/AllTraffic",
        register_function=f"{names.model}-register",
        promote_function=f"{names.model}-promote",
        pipeline=names.pipeline,
        production_account=None,
        smoke_test_function=f"{names.model}-smoke-test",
        evidence_function=f"{names.model}-evidence",
        development=target(names, "dev"),
        approval_topic_arn=names.arn("sns", f"{names.model}-approval"),
        production=target(names, "prd") if production else None,
    )


def render(production: bool = True) -> list[dict[str, Any]]:
    stages: list[Any] = pipeline_stages.render(
        stage_inputs(production=production), DeliverySettings()
    )
    return stages


def action(stage: str, name: str) -> dict[str, Any]:
    (found,) = [
        a for s in render() if s["name"] == stage for a in s["actions"] if a["name"] == name
    ]
    assert isinstance(found, dict)
    return found


def declaration(stages: list[Any]) -> dict[str, Any]:
    """Return what the provider sends to CreatePipeline for these stages."""
    return {
        "pipeline": {
            "name": "iris-model-pipeline",
            "roleArn": NAMES.iam_arn("role/pipeline"),
            "artifactStore": {"type": "S3", "location": NAMES.artifact_bucket},
            "stages": [
                {
                    "name": stage["name"],
                    "actions": [
                        {
                            "name": a["name"],
                            "actionTypeId": {
                                k: a[k] for k in ("category", "owner", "provider", "version")
                            },
                            "configuration": a["configuration"],
                            "runOrder": a.get("run_order", 1),
                            "inputArtifacts": [{"name": n} for n in a.get("input_artifacts", [])],
                            "outputArtifacts": [{"name": n} for n in a.get("output_artifacts", [])],
                            **{api: a[key] for key, api in _OPTIONAL.items() if key in a},
                        }
                        for a in stage["actions"]
                    ],
                }
                for stage in stages
            ],
        }
    }


def model_errors(stages: list[Any]) -> str:
    assert _STRUCTURE is not None
    report: str = ParamValidator().validate(declaration(stages), _STRUCTURE).generate_report()
    return report


def test_the_pipeline_delivers_to_production_after_an_approval() -> None:
    assert [(s["name"], [a["name"] for a in s["actions"]]) for s in render()] == [
        ("Source", ["Dataset", "DevTemplate", "PrdTemplate"]),
        ("Train", ["CheckData", "Train", "Register"]),
        ("DeployDev", ["Deploy", "SmokeTest", "Evaluate", "Rehearse", "Evidence"]),
        ("DeployApproval", ["ApproveDeploy"]),
        ("DeployPrd", ["Promote", "Deploy", "SmokeTest"]),
    ]
    # A version is approved before SageMaker has to deploy it.
    assert [a["run_order"] for a in render()[-1]["actions"]] == [1, 2, 3]


def test_without_production_the_pipeline_ends_after_dev() -> None:
    assert [(s["name"], [a["name"] for a in s["actions"]]) for s in render(production=False)] == [
        ("Source", ["Dataset", "DevTemplate"]),
        ("Train", ["CheckData", "Train", "Register"]),
        ("DeployDev", ["Deploy", "SmokeTest", "Evaluate", "Evidence", "Promote"]),
    ]
    assert [a["run_order"] for a in render(production=False)[-1]["actions"]] == [1, 2, 3, 4, 5]


def test_sources_never_poll() -> None:
    sources = render()[0]["actions"]
    assert {a["configuration"]["PollForSourceChanges"] for a in sources} == {"false"}


def test_train_receives_all_parameters_of_a_training_job() -> None:
    assert json.loads(action("Train", "Train")["configuration"]["UserParameters"]) == {
        "modelName": "iris-model",
        "executionId": "#{codepipeline.PipelineExecutionId}",
        "datasetVersionId": "#{Dataset.VersionId}",
        "trainingRoleArn": "arn:aws:iam::123456789012:role/mlops-iris-model-training-us-east-1",
        "imageParameter": "/mlops/iris-model/image",
        "instanceType": "ml.m5.large",
        "maxRuntimeSeconds": 3600,
        "outputPath": "s3://mlops-iris-model-artifacts-123456789012-us-east-1/training",
        "networkIsolation": True,
        "hyperparameters": {},
    }


def test_a_rehearsal_gets_the_captures_and_the_template_of_production() -> None:
    rehearse = action("DeployDev", "Rehearse")
    parameters = json.loads(rehearse["configuration"]["UserParameters"])
    assert rehearse["input_artifacts"] == ["PrdTemplateArtifact"]
    assert rehearse["run_order"] == 4
    assert parameters["captures"] == (
        "s3://mlops-iris-model-capture-prd-123456789012-us-east-1/capture/iris-model-production/"
        "AllTraffic"
    )
    assert parameters["inputs"] == {
        "candidate": "#{Train.ModelDataUrl}",
        "baseline": "#{CheckData.ReportUrl}/baseline.json",
    }


def test_a_rehearsal_may_be_left_out() -> None:
    settings = DeliverySettings(rehearsal=False)
    stages: list[Any] = pipeline_stages.render(stage_inputs(), settings)
    assert [a["name"] for a in stages[2]["actions"]] == [
        "Deploy",
        "SmokeTest",
        "Evaluate",
        "Evidence",
    ]


def test_without_the_captures_of_another_account_the_rehearsal_says_so() -> None:
    inputs = dataclasses.replace(stage_inputs(), captures=None)
    stages: list[Any] = pipeline_stages.render(inputs, DeliverySettings())
    rehearse = stages[2]["actions"][3]
    assert json.loads(rehearse["configuration"]["UserParameters"]) == {
        "without": "production is in another account, which keeps what its endpoint captures"
    }
    assert model_errors(stages) == ""


@pytest.mark.parametrize(
    ("environment", "of_model"), [("Dev", ("ImageUri", "ModelDataUrl")), ("Prd", ())]
)
def test_a_deploy_takes_its_parameters_from_the_model_artifact_and_the_registry(
    environment: str, of_model: tuple[str, ...]
) -> None:
    configuration = action(f"Deploy{environment}", "Deploy")["configuration"]
    assert configuration["StackName"] == f"mlops-deploy-iris-model-{environment.lower()}"
    assert configuration["TemplatePath"] == f"{environment}TemplateArtifact::template.json"
    assert json.loads(configuration["ParameterOverrides"]) == {
        name: {"Fn::GetParam": ["ModelArtifact", "parameters.json", name]}
        for name in (*of_model, "TrainingJobName", "DatasetVersionId")
    } | {"ModelPackageArn": "#{Register.ModelPackageArn}"}
    # CodePipeline's limit is 1 KB.
    assert len(configuration["ParameterOverrides"]) <= 1024


def test_the_evaluation_knows_what_started_the_execution() -> None:
    evaluate = action("DeployDev", "Evaluate")["configuration"]["UserParameters"]
    assert json.loads(evaluate)["hyperparameters"]["started_by"] == "#{variables.StartedBy}"


def test_an_endpoint_on_arm_gets_the_image_for_arm64() -> None:
    inputs = stage_inputs()
    arm = dataclasses.replace(inputs.development, image_architecture="arm64")
    stages: list[Any] = pipeline_stages.render(
        dataclasses.replace(inputs, development=arm), DeliverySettings(arm64_image=True)
    )
    overrides = stages[2]["actions"][0]["configuration"]["ParameterOverrides"]
    assert json.loads(overrides)["ImageUri"] == {
        "Fn::GetParam": ["ModelArtifact", "parameters.json", "Arm64ImageUri"]
    }
    assert len(overrides) <= 1024


@pytest.mark.parametrize("account", [None, "210987654321"])
def test_register_knows_the_account_that_deploys_the_versions(account: str | None) -> None:
    inputs = dataclasses.replace(stage_inputs(), production_account=account)
    stages: list[Any] = pipeline_stages.render(inputs, DeliverySettings())
    (register,) = [a for s in stages for a in s["actions"] if a["name"] == "Register"]
    given = json.loads(register["configuration"]["UserParameters"])
    assert given.get("productionAccount") == account


def test_the_smoke_test_scores_as_training_did() -> None:
    with_header = TrainingSettings(hyperparameters={"header": "yes"})
    for training, header in ((TrainingSettings(), False), (with_header, True)):
        settings = DeliverySettings(training=training)
        stages: list[Any] = pipeline_stages.render(stage_inputs(), settings)
        smoke = json.loads(stages[2]["actions"][1]["configuration"]["UserParameters"])
        assert (smoke["metric"], smoke["header"]) == ("#{Train.Metric}", header)


def test_the_approver_reads_score_job_and_dataset() -> None:
    custom_data = action("DeployApproval", "ApproveDeploy")["configuration"]["CustomData"]
    assert re.findall(r"#\{([^}]+)\}", custom_data) == [
        "Train.Metric",
        "Train.Score",
        "Register.ModelPackageVersion",
        "Train.TrainingJobName",
        "Dataset.VersionId",
        "Evidence.Summary",
        "Evidence.Url",
        "Evidence.Sha256",
    ]


def test_the_longest_message_of_an_approval_has_1000_characters_at_most() -> None:
    names = Names("a" * 16, "123456789012", "ap-southeast-1")
    stages: list[Any] = pipeline_stages.render(stage_inputs(names), DeliverySettings())
    custom_data = stages[3]["actions"][0]["configuration"]["CustomData"]
    long = "x" * 300
    reports = {name: {"message": long} for name in ("data", "evaluation", "rehearsal")}
    values = {
        "Train.Metric": "accuracy",
        "Train.Score": "-1.2345e+10",
        "Register.ModelPackageVersion": "99999",
        "Train.TrainingJobName": "j" * 63,
        "Dataset.VersionId": "v" * 64,
        "Evidence.Summary": "\n".join(evidence._verdicts(reports)),
        "Evidence.Url": f"s3://{names.artifact_bucket}/reports/version-99999-abcdef01/evidence.json",
        "Evidence.Sha256": "0" * 64,
    }
    shown = re.sub(r"#\{([^}]+)\}", lambda found: values[found[1]], custom_data)
    assert len(shown) <= 1000
    assert execution.shown_digest({"input": {"resolvedConfiguration": {"CustomData": shown}}}) == (
        "0" * 64
    )


def test_a_pending_approval_times_out_as_the_settings_define() -> None:
    assert action("DeployApproval", "ApproveDeploy")["timeout_in_minutes"] == 7 * 24 * 60
    stages: list[Any] = pipeline_stages.render(
        stage_inputs(), DeliverySettings(approval_timeout_minutes=30)
    )
    assert stages[3]["actions"][0]["timeout_in_minutes"] == 30


def test_in_another_account_the_actions_assume_that_accounts_roles() -> None:
    role, invoke = "arn:aws:iam::2:role/delivery", "arn:aws:iam::2:role/invoke"
    inputs = stage_inputs()
    assert inputs.production is not None
    elsewhere = dataclasses.replace(
        inputs.production, delivery_role_arn=role, invoke_role_arn=invoke
    )
    stages: list[Any] = pipeline_stages.render(
        dataclasses.replace(inputs, production=elsewhere), DeliverySettings()
    )
    assert model_errors(stages) == ""
    acting = {
        (stage["name"], a["name"]): a["role_arn"]
        for stage in stages
        for a in stage["actions"]
        if "role_arn" in a
    }
    assert acting == {("Source", "PrdTemplate"): role, ("DeployPrd", "Deploy"): role}
    smoke = json.loads(stages[4]["actions"][2]["configuration"]["UserParameters"])
    assert smoke["roleArn"] == invoke


def test_parameters_that_are_too_long_are_refused_with_the_length() -> None:
    settings = DeliverySettings(training=TrainingSettings(hyperparameters={"a": "x" * 900}))
    with pytest.raises(
        ValueError, match=r"UserParameters of action Train have 1[0-9]{3} characters"
    ):
        pipeline_stages.render(stage_inputs(), settings)


def test_botocore_detects_a_wrong_stage() -> None:
    stages = render()
    stages[0]["actions"][0]["provider"] = ""
    assert "provider" in model_errors(stages)


@given(configurations())
def test_any_valid_settings_give_stages_that_codepipeline_accepts(values: dict[str, str]) -> None:
    settings = parse(values)
    partition = "aws-us-gov" if "gov" in settings.region else "aws"
    names = Names(settings.model_name, "123456789012", settings.region, partition)
    inputs = stage_inputs(names, production=settings.delivery.production_stack is not None)
    stages: list[Any] = pipeline_stages.render(inputs, settings.delivery)
    assert model_errors(stages) == ""
    _assert_consistent(stages)


def _assert_consistent(stages: list[Any]) -> None:
    made: set[str] = set()
    namespaces: set[str] = {"codepipeline", "variables"}
    names = [stage["name"] for stage in stages]
    assert len(set(names)) == len(names)
    for stage in stages:
        actions = [a["name"] for a in stage["actions"]]
        assert len(set(actions)) == len(actions)
        for one in sorted(stage["actions"], key=lambda a: a.get("run_order", 1)):
            assert set(one.get("input_artifacts", [])) <= made
            used = re.findall(r"#\{(\w+)\.\w+\}", json.dumps(one["configuration"]))
            assert set(used) <= namespaces
            made |= set(one.get("output_artifacts", []))
            if "namespace" in one:
                assert one["namespace"] not in namespaces
                namespaces.add(one["namespace"])


def test_the_longest_names_fit_into_the_parameters() -> None:
    path = f"/{'p' * 62}/"
    names = Names("a" * 16, "123456789012", "ap-southeast-1", "aws-us-gov", role_path=path)
    settings = parse(
        {
            **MINIMAL,
            "aws:region": "ap-southeast-1",
            "modelName": names.model,
            "rolePath": names.role_path,
            "hyperparameters": json.dumps({"k": "v" * 292}),
            "trainingInstanceType": "ml.p4de.24xlarge",
            "trainingMaxRuntimeSeconds": "82800",
        }
    )
    pipeline_stages.render(stage_inputs(names), settings.delivery)
    names_lengths = {
        field.name: len(getattr(target(names, "prd"), field.name))
        for field in dataclasses.fields(DeployTarget)
    }
    assert names_lengths["template_bucket"] <= 63
    assert names_lengths["endpoint_name"] <= 63
