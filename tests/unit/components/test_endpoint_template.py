"""The CloudFormation template of an endpoint."""

import json
from dataclasses import replace
from typing import Any

import cfnlint
import pytest
from hypothesis import given

from components import endpoint_template
from components.pipeline_stages import (
    LINEAGE_PARAMETERS,
    MODEL_PARAMETERS,
    VERSION_PARAMETER,
)
from components.prices import INSTANCE_HOUR
from components.settings import (
    AlarmSettings,
    EndpointSettings,
    Environment,
    NetworkSettings,
    ScalingMetric,
    ScalingSettings,
    ScheduledCapacity,
    TrafficShifting,
    UpdateSettings,
)
from tests.unit.components.values import configurations, parse

ROLE = "arn:aws:iam::123456789012:role/mlops-iris-model-prd-execution-us-east-1"
TAGS = {"project": "mlops-lab", "environment": "prd"}
DEV = EndpointSettings("ml.t2.medium")
PRD = EndpointSettings("ml.m5.large", 2, ScalingSettings())
FULL = EndpointSettings(
    "ml.m5.large",
    2,
    ScalingSettings(
        schedule=(ScheduledCapacity("day", "cron(0 7 ? * MON-FRI *)", 4, 10, "Europe/Berlin"),)
    ),
    update=UpdateSettings(TrafficShifting.CANARY, 10, 300),
    data_capture_percent=20,
)


NETWORK = NetworkSettings()
KEY = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000"


def render(
    endpoint: EndpointSettings,
    key_arn: str | None = None,
    network: NetworkSettings = NETWORK,
    *,
    by_version: bool = True,
) -> dict[str, Any]:
    return endpoint_template.render(
        "iris-model-production",
        ROLE,
        endpoint,
        TAGS,
        network=network,
        by_version=by_version,
        capture_bucket="captured",
        key_arn=key_arn,
    )


def properties(endpoint: EndpointSettings, resource: str) -> dict[str, Any]:
    found: dict[str, Any] = render(endpoint)["Resources"][resource]["Properties"]
    return found


def lint(template: dict[str, Any]) -> list[str]:
    config = cfnlint.ManualArgs(regions=["us-east-1"], include_checks=["W", "E", "I"])
    return [match.rule.id for match in cfnlint.lint(json.dumps(template), config=config)]


@pytest.mark.parametrize("by_version", [True, False])
@pytest.mark.parametrize("endpoint", [DEV, PRD, FULL])
def test_cfn_lint_finds_no_problems(endpoint: EndpointSettings, *, by_version: bool) -> None:
    assert lint(render(endpoint, by_version=by_version)) == []


def test_a_model_is_deployed_by_its_version_or_by_its_image_and_data() -> None:
    containers = [
        render(PRD, by_version=by_version)["Resources"]["Model"]["Properties"]["PrimaryContainer"]
        for by_version in (True, False)
    ]
    assert containers == [
        {"ModelPackageName": {"Ref": "ModelPackageArn"}},
        {"Image": {"Ref": "ImageUri"}, "ModelDataUrl": {"Ref": "ModelDataUrl"}},
    ]


def test_the_price_of_an_instance_is_with_the_template() -> None:
    assert render(EndpointSettings("ml.m5.large"))["Metadata"] == {
        "MlopsLab": {"InstanceHourUsd": str(INSTANCE_HOUR["ml.m5.large"])}
    }
    assert "Metadata" not in render(EndpointSettings("ml.p4de.24xlarge"))


@pytest.mark.parametrize(
    ("instance_type", "expected"), [("ml.m5.large", KEY), ("ml.m5d.large", None)]
)
def test_the_volumes_are_under_the_stacks_key(instance_type: str, expected: str | None) -> None:
    template = render(EndpointSettings(instance_type), KEY)
    assert lint(template) == []
    config = template["Resources"]["EndpointConfig"]["Properties"]
    assert expected == config.get("KmsKeyId")


@pytest.mark.parametrize("isolated", [True, False])
def test_a_model_has_the_network_of_the_settings(*, isolated: bool) -> None:
    template = render(DEV, network=NetworkSettings(isolation=isolated))
    assert lint(template) == []
    assert template["Resources"]["Model"]["Properties"]["EnableNetworkIsolation"] is isolated


def test_a_model_joins_the_vpc_of_the_settings() -> None:
    vpc = {"Subnets": ["subnet-01234567"], "SecurityGroupIds": ["sg-01234567"]}
    network = NetworkSettings(subnets=("subnet-01234567",), security_groups=("sg-01234567",))
    template = render(DEV, network=network)
    assert lint(template) == []
    assert template["Resources"]["Model"]["Properties"]["VpcConfig"] == vpc
    assert "VpcConfig" not in properties(DEV, "Model")


def test_a_version_is_deployed_by_its_specification_for_arm64_on_arm() -> None:
    template = render(EndpointSettings("ml.c8g.large"))
    assert lint(template) == []
    assert template["Resources"]["Model"]["Properties"]["PrimaryContainer"] == {
        "ModelPackageName": {"Ref": "ModelPackageArn"},
        "InferenceSpecificationName": "arm64",
    }


def test_cfn_lint_detects_a_dangling_reference() -> None:
    template = render(PRD)
    template["Resources"]["ScalingPolicy"]["Properties"]["ScalingTargetId"] = {"Ref": "Nothing"}
    assert "E1020" in lint(template)


def test_an_endpoint_without_scaling_is_three_resources() -> None:
    assert list(render(DEV)["Resources"]) == ["Model", "EndpointConfig", "Endpoint"]


def test_an_endpoint_with_scaling_is_five_resources() -> None:
    assert list(render(PRD)["Resources"]) == [
        "Model",
        "EndpointConfig",
        "Endpoint",
        "ScalableTarget",
        "ScalingPolicy",
    ]


def test_only_the_endpoint_has_a_fixed_name() -> None:
    assert "ModelName" not in properties(PRD, "Model")
    assert "EndpointConfigName" not in properties(PRD, "EndpointConfig")
    assert properties(PRD, "Endpoint")["EndpointName"] == "iris-model-production"


def test_a_scaled_endpoint_keeps_its_instance_count_through_a_deploy() -> None:
    assert properties(PRD, "Endpoint")["RetainAllVariantProperties"] is True
    assert "RetainAllVariantProperties" not in properties(DEV, "Endpoint")


def test_scaling_follows_invocations_per_instance() -> None:
    assert properties(PRD, "ScalableTarget") == {
        "ServiceNamespace": "sagemaker",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
        "ResourceId": {"Fn::Sub": "endpoint/${Endpoint.EndpointName}/variant/AllTraffic"},
        "MinCapacity": 2,
        "MaxCapacity": 10,
    }
    assert properties(PRD, "ScalingPolicy")["TargetTrackingScalingPolicyConfiguration"] == {
        "PredefinedMetricSpecification": {
            "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
        },
        "TargetValue": 120,
        "ScaleInCooldown": 300,
        "ScaleOutCooldown": 60,
    }


def test_scaling_may_follow_requests_at_once() -> None:
    scaling = ScalingSettings(metric=ScalingMetric.CONCURRENT_REQUESTS, max_concurrent_requests=8)
    policy = properties(EndpointSettings("ml.m5.large", 2, scaling), "ScalingPolicy")
    assert policy["PolicyName"] == "concurrent-requests"
    tracking = policy["TargetTrackingScalingPolicyConfiguration"]
    assert tracking["TargetValue"] == 4
    assert tracking["PredefinedMetricSpecification"] == {
        "PredefinedMetricType": "SageMakerVariantConcurrentRequestsPerModelHighResolution"
    }


def test_scaling_limits_change_on_a_schedule() -> None:
    assert properties(FULL, "ScalableTarget")["ScheduledActions"] == [
        {
            "ScheduledActionName": "day",
            "Schedule": "cron(0 7 ? * MON-FRI *)",
            "Timezone": "Europe/Berlin",
            "ScalableTargetAction": {"MinCapacity": 4, "MaxCapacity": 10},
        }
    ]


def test_a_canary_bakes_and_alarms_roll_it_back() -> None:
    assert properties(FULL, "Endpoint")["DeploymentConfig"] == {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {
                "Type": "CANARY",
                "WaitIntervalInSeconds": 300,
                "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 10},
            },
            "MaximumExecutionTimeoutInSeconds": 2400,
        },
        "AutoRollbackConfiguration": {
            "Alarms": [
                {"AlarmName": "iris-model-production-server-errors"},
                {"AlarmName": "iris-model-production-latency-p99"},
            ]
        },
    }
    assert "DeploymentConfig" not in properties(PRD, "Endpoint")


def test_linear_steps_have_time_for_each_bake() -> None:
    linear = EndpointSettings("ml.m5.large", update=UpdateSettings(TrafficShifting.LINEAR, 25, 60))
    policy = properties(linear, "Endpoint")["DeploymentConfig"]["BlueGreenUpdatePolicy"]
    assert policy["TrafficRoutingConfiguration"]["LinearStepSize"]["Value"] == 25
    assert policy["MaximumExecutionTimeoutInSeconds"] == 4 * 60 + 1800


def test_captured_data_goes_to_the_environments_own_bucket() -> None:
    capture = properties(FULL, "EndpointConfig")["DataCaptureConfig"]
    assert capture["InitialSamplingPercentage"] == 20
    assert capture["DestinationS3Uri"] == "s3://captured/capture"
    assert "KmsKeyId" not in capture
    assert "DataCaptureConfig" not in properties(PRD, "EndpointConfig")


def test_variant_weights_are_whole_numbers() -> None:
    (variant,) = properties(PRD, "EndpointConfig")["ProductionVariants"]
    assert variant["InitialVariantWeight"] == 1
    assert isinstance(variant["InitialVariantWeight"], int)


def test_a_model_has_tags_with_its_job_dataset_and_version() -> None:
    assert properties(PRD, "Model")["Tags"] == [
        {"Key": "project", "Value": "mlops-lab"},
        {"Key": "environment", "Value": "prd"},
        {"Key": "TrainingJobName", "Value": {"Ref": "TrainingJobName"}},
        {"Key": "DatasetVersionId", "Value": {"Ref": "DatasetVersionId"}},
        {"Key": "ModelPackageArn", "Value": {"Ref": "ModelPackageArn"}},
    ]


def test_the_pipeline_passes_each_parameter_of_the_template() -> None:
    production = (*LINEAGE_PARAMETERS, VERSION_PARAMETER)
    assert tuple(render(PRD)["Parameters"]) == production
    development = render(DEV, by_version=False)["Parameters"]
    assert tuple(development) == (*MODEL_PARAMETERS, *production)


def test_the_outputs_name_what_was_deployed() -> None:
    assert list(render(PRD)["Outputs"]) == ["EndpointName", "EndpointConfigName", "ModelName"]


@given(configurations())
def test_any_valid_settings_render_a_template_whose_references_resolve(
    values: dict[str, str],
) -> None:
    settings = parse(values)
    template = endpoint_template.render(
        "name",
        ROLE,
        settings.endpoint,
        settings.tags,
        network=settings.network,
        by_version=settings.environment is Environment.PRD,
    )
    assert json.loads(json.dumps(template)) == template
    names = {*template["Parameters"], *template["Resources"]}
    assert set(_references(template)) <= names
    assert ("ScalingPolicy" in template["Resources"]) == (settings.endpoint.scaling is not None)


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["Ref"]] if "Ref" in node else []
        own += [node["Fn::GetAtt"][0]] if "Fn::GetAtt" in node else []
        return own + [name for value in node.values() for name in _references(value)]
    if isinstance(node, list):
        return [name for value in node for name in _references(value)]
    return []


def test_the_alarm_of_silence_comes_with_the_endpoint() -> None:
    endpoint = EndpointSettings("ml.m5.large", alarms=AlarmSettings(no_invocations_minutes=60))
    topic = "arn:aws:sns:us-east-1:123456789012:iris-model-notifications-prd"
    template = endpoint_template.render(
        "iris", ROLE, endpoint, TAGS, network=NETWORK, by_version=True, topic_arn=topic
    )
    assert lint(template) == []
    alarm = template["Resources"]["NoInvocations"]
    assert alarm["DependsOn"] == "Endpoint"
    properties = alarm["Properties"]
    assert properties["AlarmName"] == "iris-no-invocations"
    assert properties["AlarmActions"] == properties["OKActions"] == [topic]
    assert properties["Dimensions"] == [
        {"Name": "EndpointName", "Value": "iris"},
        {"Name": "VariantName", "Value": "AllTraffic"},
    ]
    wanted = {"MetricName": "Invocations", "EvaluationPeriods": 60, "TreatMissingData": "breaching"}
    assert wanted.items() <= properties.items()
    silent = replace(endpoint, alarms=AlarmSettings(no_invocations_minutes=0))
    without = endpoint_template.render(
        "iris", ROLE, silent, TAGS, network=NETWORK, by_version=True, topic_arn=topic
    )
    assert "NoInvocations" not in without["Resources"]
