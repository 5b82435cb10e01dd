"""The whole program, both stacks, run against mocks: recorded first, then asserted on."""

import json
from typing import Any

import pulumi
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings

from tests.examples import PULUMI_PROGRAM, examples
from tests.unit.components.recording import (
    ACCOUNT,
    PRODUCTION_OUTPUTS,
    REGION,
    Recording,
    record,
    recorded,
)
from tests.unit.components.values import configurations

PIPELINE = "aws:codepipeline/pipeline:Pipeline"
RULE = "aws:cloudwatch/eventRule:EventRule"
TARGET = "aws:cloudwatch/eventTarget:EventTarget"
# These override Pulumi.prd.yaml, so that random values are valid together with the rest of it.
NOTHING_SHIFTED = {"trafficShifting": "ALL_AT_ONCE", "bakeSeconds": "0", "scaling": "false"}


def template(stack: str) -> dict[str, Any]:
    archive = recorded(stack).one("aws:s3/bucketObjectv2:BucketObjectv2").inputs["source"]
    assert isinstance(archive, pulumi.AssetArchive)
    asset = archive.assets["template.json"]
    assert isinstance(asset, pulumi.StringAsset)
    found: dict[str, Any] = json.loads(asset.text)
    return found


def test_production_is_a_monitored_endpoint_environment_and_nothing_else() -> None:
    components = {r.type for r in recorded("prd").registrations if r.type.startswith("mlops:")}
    assert components == {
        "mlops:index:DataProtection",
        "mlops:index:EndpointEnvironment",
        "mlops:index:EndpointMonitor",
        "mlops:index:NotificationTopic",
        "mlops:index:PipelineFunction",
        "mlops:index:PrivateBucket",
    }


def test_dev_is_lake_image_build_pipeline_and_endpoint_environment() -> None:
    top = [r.type for r in recorded("dev").registrations if r.parent.endswith("mlops-lab-dev")]
    assert sorted(top) == [
        "mlops:index:DataLake",
        "mlops:index:DataProtection",
        "mlops:index:DeliveryPipeline",
        "mlops:index:EndpointEnvironment",
        "mlops:index:FailureNotice",
        "mlops:index:ImageBuild",
        "mlops:index:ImageRepository",
        "mlops:index:NotificationTopic",
        "mlops:index:PrivateBucket",
    ]


def test_only_production_scales() -> None:
    scaling = {"ScalableTarget", "ScalingPolicy"}
    assert scaling & set(template("dev")["Resources"]) == set()
    assert scaling <= set(template("prd")["Resources"])


@pytest.mark.parametrize(
    ("stack", "endpoint", "instance_type", "count"),
    [
        ("dev", "iris-model-development", "ml.t2.medium", 1),
        ("prd", "iris-model-production", "ml.m5.large", 2),
    ],
)
def test_each_environment_has_its_endpoint(
    stack: str, endpoint: str, instance_type: str, count: int
) -> None:
    resources = template(stack)["Resources"]
    (variant,) = resources["EndpointConfig"]["Properties"]["ProductionVariants"]
    assert resources["Endpoint"]["Properties"]["EndpointName"] == endpoint
    assert variant["InstanceType"] == instance_type
    assert variant["InitialInstanceCount"] == count


def test_the_pipeline_is_a_v2_pipeline_with_its_contractual_name_and_stages() -> None:
    inputs = recorded("dev").one(PIPELINE, "delivery").inputs
    assert inputs["name"] == "iris-model-pipeline"
    assert inputs["pipelineType"] == "V2"
    assert inputs["executionMode"] == "SUPERSEDED"
    assert inputs["artifactStores"] == [
        {"location": f"mlops-iris-model-artifacts-{ACCOUNT}-{REGION}", "type": "S3"}
    ]
    assert [stage["name"] for stage in inputs["stages"]] == [
        "Source",
        "Train",
        "DeployDev",
        "DeployApproval",
        "DeployPrd",
    ]
    assert [a["name"] for a in inputs["stages"][3]["actions"]] == ["ApproveDeploy"]


def test_the_pipeline_deploys_what_the_production_stack_exports() -> None:
    pipeline = recorded("dev").one(PIPELINE, "delivery")
    deploy = pipeline.inputs["stages"][4]["actions"][1]["configuration"]
    exports = recorded("prd").exports
    assert deploy["RoleArn"] == exports["deployRoleArn"]
    assert deploy["StackName"] == exports["stackName"] == "mlops-deploy-iris-model-prd"
    source = pipeline.inputs["stages"][0]["actions"][2]["configuration"]
    assert source["S3Bucket"] == exports["templateBucket"]
    assert source["S3ObjectKey"] == exports["templateKey"]


def test_the_pipeline_waits_for_its_permissions_and_buckets() -> None:
    pipeline = recorded("dev").one(PIPELINE, "delivery")
    waited = {urn.split("::")[-1] for urn in pipeline.dependencies}
    assert {
        "pipeline-policy",
        "training-policy",
        "train-function",
        "smoke-test-function",
        "artifacts-versioning",
        "lake-data-versioning",
        "lake-events",
        "dev-template-object",
    } <= waited


def test_a_dataset_upload_starts_the_pipeline() -> None:
    rule = recorded("dev").one(RULE, "dataset-uploaded").inputs
    assert json.loads(rule["eventPattern"]) == {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {
            "bucket": {"name": [f"mlops-iris-model-data-{ACCOUNT}-{REGION}"]},
            "object": {"key": ["dataset.zip"]},
        },
    }
    aim = recorded("dev").one(TARGET, "dataset-uploaded-target").inputs
    assert aim["arn"] == f"arn:aws:codepipeline:{REGION}:{ACCOUNT}:iris-model-pipeline"
    assert aim["rule"] == rule["name"]
    assert recorded("dev").one("aws:s3/bucketNotification:BucketNotification").inputs == {
        "bucket": f"mlops-iris-model-data-{ACCOUNT}-{REGION}",
        "eventbridge": True,
    }


REGISTRY = ["execution", "model_packages", "model_versions", "pipeline_job"]


@pytest.mark.parametrize(
    ("handler", "modules"),
    [
        ("train_model.handler", ["pipeline_job", "sagemaker_job", "train_model"]),
        (
            "run_processing.handler",
            [
                "model_versions",
                "pipeline_job",
                "recorded_traffic",
                "run_processing",
                "sagemaker_job",
            ],
        ),
        ("smoke_test.handler", ["pipeline_job", "smoke_test"]),
        (
            "evidence.handler",
            ["evidence", "evidence_page", "execution", "pipeline_job"],
        ),
        (
            "model_packages.register_handler",
            ["execution", "model_packages", "model_versions", "pipeline_job"],
        ),
        (
            "model_packages.promote_handler",
            ["execution", "model_packages", "model_versions", "pipeline_job"],
        ),
        (
            "model_packages.reject_handler",
            ["execution", "model_packages", "model_versions", "pipeline_job"],
        ),
    ],
)
def test_a_function_ships_its_module_and_what_that_imports(
    handler: str, modules: list[str]
) -> None:
    (function,) = [
        r.inputs
        for r in recorded("dev").of("aws:lambda/function:Function")
        if r.inputs["handler"] == f"lambda_src.{handler}"
    ]
    assert function["runtime"] == "python3.12"
    data = ["lambda_src/page.html"] if handler == "evidence.handler" else []
    expected = [*(f"lambda_src/{module}.py" for module in ("__init__", *modules)), *data]
    assert sorted(function["code"].assets) == sorted(expected)


@pytest.mark.parametrize(
    ("stack", "expected"),
    [
        (
            "dev",
            [
                "/aws/codebuild/iris-model-image",
                "/aws/lambda/iris-model-evidence",
                "/aws/lambda/iris-model-processing",
                "/aws/lambda/iris-model-promote",
                "/aws/lambda/iris-model-register",
                "/aws/lambda/iris-model-reject",
                "/aws/lambda/iris-model-smoke-test",
                "/aws/lambda/iris-model-train",
                "/aws/sagemaker/Endpoints/iris-model-development",
            ],
        ),
        (
            "prd",
            [
                "/aws/lambda/iris-model-prd-monitor",
                "/aws/sagemaker/Endpoints/iris-model-production",
            ],
        ),
    ],
)
def test_the_lines_of_every_log_group_expire(stack: str, expected: list[str]) -> None:
    for recording, days in (
        (recorded(stack), 30),
        (record(stack, {"logRetentionDays": "365"}), 365),
    ):
        groups = recording.of("aws:cloudwatch/logGroup:LogGroup")
        assert sorted(r.inputs["name"] for r in groups) == expected
        assert {r.inputs["retentionInDays"] for r in groups} == {days}


@pytest.mark.parametrize("stack", ["dev", "prd"])
def test_the_log_group_of_an_endpoint_exists_before_it_can_be_deployed(stack: str) -> None:
    template = recorded(stack).one("aws:s3/bucketObjectv2:BucketObjectv2")
    waited = {urn.split("::")[-1] for urn in template.dependencies}
    assert f"{stack}-logs" in waited


FUNCTION = "aws:lambda/function:Function"


def test_drift_or_a_schedule_starts_the_pipeline_if_the_settings_say_so() -> None:
    rule = "aws:cloudwatch/eventRule:EventRule"
    assert [r for r in recorded("dev").of(rule) if r.name == "retraining-rule"] == []
    pipeline = recorded("dev").one("aws:codepipeline/pipeline:Pipeline", "delivery").inputs
    assert [(v["name"], v["defaultValue"]) for v in pipeline["variables"]] == [
        ("StartedBy", "dataset")
    ]
    drift = record("dev", {"retrainOn": "drift", "retrainCooldownHours": "6"})
    pattern = json.loads(drift.one(rule, "retraining-rule").inputs["eventPattern"])
    assert pattern["detail"] == {
        "alarmName": ["iris-model-production-drift"],
        "state": {"value": ["ALARM"]},
    }
    assert drift.one(FUNCTION, "retrain-function").inputs["environment"]["variables"] == {
        "PIPELINE_NAME": "iris-model-pipeline",
        "STARTED_BY": "drift",
        "COOLDOWN_HOURS": "6",
    }
    assert [r.name for r in drift.of(rule) if r.name == "dataset-uploaded"]
    quiet = record("dev", {"retrainOn": "drift", "trainOnUpload": "false"})
    assert [r.name for r in quiet.of(rule) if r.name == "dataset-uploaded"] == []
    weekly = record("dev", {"retrainOn": "schedule"}).one(rule, "retraining-rule").inputs
    assert (weekly["scheduleExpression"], weekly.get("eventPattern")) == ("rate(7 days)", None)


def test_functions_are_reserved_traced_and_in_the_vpc_of_the_settings() -> None:
    vpc = {"vpcSubnets": '["subnet-01234567"]', "vpcSecurityGroups": '["sg-01234567"]'}
    recording = record("dev", {**vpc, "functionConcurrency": "3", "tracing": "true"})
    plain = ("reservedConcurrentExecutions", "tracingConfig", "vpcConfig", "environment")
    for name in ("train", "smoke-test"):
        inputs = recording.one(FUNCTION, f"{name}-function").inputs
        assert inputs["reservedConcurrentExecutions"] == 3
        assert inputs["tracingConfig"] == {"mode": "Active"}
        assert inputs["vpcConfig"] == {
            "subnetIds": ["subnet-01234567"],
            "securityGroupIds": ["sg-01234567"],
        }
        policy = recording.one("aws:iam/rolePolicy:RolePolicy", f"{name}-policy").inputs["policy"]
        assert "ec2:AssignPrivateIpAddresses" in policy
        assert "xray:PutTraceSegments" in policy
        without = recorded("dev").one(FUNCTION, f"{name}-function").inputs
        assert set(plain) & set(without) == set()
    variables = recording.one(FUNCTION, "train-function").inputs["environment"]["variables"]
    assert json.loads(variables["TRAINING_VPC_CONFIG"]) == {
        "Subnets": ["subnet-01234567"],
        "SecurityGroupIds": ["sg-01234567"],
    }
    training = recording.one("aws:iam/rolePolicy:RolePolicy", "training-policy").inputs["policy"]
    assert "ec2:CreateNetworkInterfacePermission" in training


def test_the_exports_name_everything_a_user_needs() -> None:
    assert set(recorded("prd").exports) == {
        "templateBucket",
        "templateKey",
        "deployRoleArn",
        "executionRoleArn",
        "endpointName",
        "stackName",
        "encryptionKeyArn",
        "deliveryRoleArn",
        "invokeRoleArn",
        "imageArchitecture",
        "notificationTopicArn",
        "monthlyCostEstimate",
    }
    exports = recorded("dev").exports
    assert exports["pipelineName"] == "iris-model-pipeline"
    assert exports["dataBucket"] == f"mlops-iris-model-data-{ACCOUNT}-{REGION}"
    assert exports["datasetKey"] == "dataset.zip"
    assert exports["endpointName"] == "iris-model-development"
    assert exports["productionEndpointName"] == "iris-model-production"
    assert exports["repositoryUrl"] == f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/iris-model"
    assert exports["approvalTopicArn"] == f"arn:aws:sns:{REGION}:{ACCOUNT}:iris-model-approval"


def test_without_a_production_stack_the_pipeline_ends_after_dev() -> None:
    alone = record("dev", {"productionStack": ""})
    stages = alone.one(PIPELINE, "delivery").inputs["stages"]
    assert [stage["name"] for stage in stages] == ["Source", "Train", "DeployDev"]
    assert "productionEndpointName" not in alone.exports
    granted = alone.one("aws:iam/rolePolicy:RolePolicy", "smoke-test-policy").inputs["policy"]
    assert "iris-model-production" not in granted


def test_an_approval_address_is_subscribed_to_the_topic() -> None:
    assert recorded("dev").of("aws:sns/topicSubscription:TopicSubscription") == []
    inputs = (
        record("dev", {"approvalEmail": "ops@example.com"})
        .one("aws:sns/topicSubscription:TopicSubscription")
        .inputs
    )
    assert inputs == {
        "topic": f"arn:aws:sns:{REGION}:{ACCOUNT}:iris-model-approval",
        "protocol": "email",
        "endpoint": "ops@example.com",
    }


def test_an_invalid_configuration_stops_the_program_with_every_problem() -> None:
    with pytest.raises(pulumi.RunError, match=r"2 problem\(s\)") as caught:
        record("dev", {"scaling": "maybe", "instancetype": "x"})
    assert "scaling: bad value 'maybe'" in str(caught.value)
    assert "did you mean instanceType?" in str(caught.value)


def test_production_with_another_role_path_is_refused() -> None:
    with pytest.raises(
        pulumi.RunError, match="has rolePath /, but this stack has /mlops/: set the same"
    ):
        record("dev", {"rolePath": "/mlops/"})


def test_production_of_another_model_is_refused() -> None:
    other = {**PRODUCTION_OUTPUTS, "endpointName": "wine-model-production"}
    refused = Recording()
    with pytest.raises(pulumi.RunError, match="set the same modelName in both stacks"):
        record("dev", production=other, recording=refused)
    assert [r.label for r in refused.registrations if r.type.startswith("aws:")] == []


def test_production_of_an_older_program_is_refused() -> None:
    older = {k: v for k, v in PRODUCTION_OUTPUTS.items() if k != "invokeRoleArn"}
    with pytest.raises(pulumi.RunError, match=r"prd has no output invokeRoleArn: deploy it first"):
        record("dev", production=older)


@hypothesis_settings(max_examples=examples(PULUMI_PROGRAM))
@given(configurations())
def test_any_valid_configuration_is_a_program(values: dict[str, str]) -> None:
    key = "arn:aws:kms:us-east-1:123456789012:key/prd" if "aws:kms" in values.values() else ""
    made = record(
        values["environment"],
        {"productionStack": "", "noInvocationsMinutes": "0", **NOTHING_SHIFTED, **values},
        production={**PRODUCTION_OUTPUTS, "encryptionKeyArn": key},
    )
    assert [r for r in made.of("aws:iam/role:Role") if len(r.inputs["name"]) > 64] == []
    assert [r for r in made.of("aws:s3/bucket:Bucket") if len(r.inputs["bucket"]) > 63] == []
    pipelines = [r.inputs["stages"] for r in made.of(PIPELINE) if r.name == "delivery"]
    expected = {"dev": [5 if values.get("productionStack") else 3], "prd": []}
    assert [len(stages) for stages in pipelines] == expected[values["environment"]]


def test_an_execution_trains_the_version_that_started_it() -> None:
    target = recorded("dev").one(TARGET, "dataset-uploaded-target").inputs
    transformer = target["inputTransformer"]
    assert transformer["inputPaths"] == {"revision": "$.detail.object.version-id"}
    assert json.loads(transformer["inputTemplate"]) == {
        "sourceRevisions": [
            {
                "actionName": "Dataset",
                "revisionType": "S3_OBJECT_VERSION_ID",
                "revisionValue": "<revision>",
            }
        ]
    }
