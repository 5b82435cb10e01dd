"""The CloudFormation template that deploys one version of the model to an endpoint.

Pure: settings in, template out. Owns the resources of an endpoint. Must not: register resources, or
name a Model or EndpointConfig, because CloudFormation cannot replace a resource that has a custom
name. Only the endpoint has a fixed name, so callers do not notice a deployment.

    Model ◄─ EndpointConfig ◄─ Endpoint ◄─ ScalableTarget ◄─ ScalingPolicy   (scaling only)
                                  ▲
                            NoInvocations   (an alarm, if noInvocationsMinutes is set)
"""

from collections.abc import Mapping
from typing import Any, assert_never

from components import endpoint_alarms
from components.endpoint_alarms import rollback_alarm_names
from components.instance_types import ARM64, architecture, has_local_storage
from components.naming import CAPTURE_PREFIX, VARIANT_NAME
from components.prices import INSTANCE_HOUR
from components.settings import (
    EndpointSettings,
    NetworkSettings,
    ScalingMetric,
    ScalingSettings,
    TrafficShifting,
    UpdateSettings,
)

# Of a model that is deployed before its version is approved.
OF_MODEL = {
    "ImageUri": "Image of the model container, by digest",
    "ModelDataUrl": "S3 URL of the trained model.tar.gz",
}
PARAMETERS = {
    "TrainingJobName": "Training job that produced the model",
    "DatasetVersionId": "S3 version of the dataset that the model was trained on",
    "ModelPackageArn": "Version of the model in SageMaker's registry",
}
LINEAGE = ("TrainingJobName", "DatasetVersionId", "ModelPackageArn")
OUTPUTS = {
    "EndpointName": ("Endpoint", "EndpointName"),
    "EndpointConfigName": ("EndpointConfig", "EndpointConfigName"),
    "ModelName": ("Model", "ModelName"),
}

# Time for a new fleet to start, in addition to the bake time.
FLEET_SECONDS = 1_800
# Bodies of these content types are captured as text; others are captured as base64.
CAPTURED_AS_TEXT = {
    "CsvContentTypes": ["text/csv"],
    "JsonContentTypes": ["application/json", "application/jsonlines"],
}

# CloudFormation's own JSON.
Template = dict[str, Any]


def render(
    endpoint_name: str,
    execution_role_arn: str,
    settings: EndpointSettings,
    tags: Mapping[str, str],
    *,
    network: NetworkSettings,
    by_version: bool,
    capture_bucket: str | None = None,
    key_arn: str | None = None,
    topic_arn: str | None = None,
) -> Template:
    """Return the template of an endpoint.

    Args:
        endpoint_name: the endpoint's fixed name, 1 to 63 characters.
        execution_role_arn: role of the model's containers.
        settings: instances, scaling, and the traffic shift to a new model.
        tags: tags for every resource that takes tags.
        network: the network of the model's containers.
        by_version: deploy the version in the registry, which has to be approved; otherwise the
            image and the model that it names.
        capture_bucket: bucket for captured data; required if data capture is enabled.
        key_arn: KMS key of the captured data and of the instances' volumes; None for the services'
            own keys.
        topic_arn: topic that receives the alarms of the template; without it there are none.

    Returns: the template as JSON-serializable values.
    """
    stack_tags = [{"Key": key, "Value": value} for key, value in tags.items()]
    resources = {
        "Model": _model(
            execution_role_arn,
            network,
            stack_tags,
            architecture=architecture(settings.instance_type),
            by_version=by_version,
        ),
        "EndpointConfig": _endpoint_config(settings, stack_tags, capture_bucket, key_arn),
        "Endpoint": _endpoint(endpoint_name, settings, stack_tags),
    }
    if settings.scaling is not None:
        resources["ScalableTarget"] = _scalable_target(settings.scaling)
        resources["ScalingPolicy"] = _scaling_policy(settings.scaling)
    for alarm in endpoint_alarms.render(endpoint_name, settings):
        if alarm.with_endpoint and topic_arn is not None:
            name = "".join(part.title() for part in alarm.purpose.split("-"))
            resources[name] = endpoint_alarms.in_template(alarm, topic_arn, stack_tags)
    # For the estimates of the rehearsal, which reads the template.
    price = INSTANCE_HOUR.get(settings.instance_type)
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"Endpoint {endpoint_name}: one trained model behind a fixed name",
        **({} if price is None else {"Metadata": {"MlopsLab": {"InstanceHourUsd": str(price)}}}),
        "Parameters": {
            name: {"Type": "String", "Description": description, "MinLength": 1}
            for name, description in (PARAMETERS if by_version else OF_MODEL | PARAMETERS).items()
        },
        "Resources": resources,
        "Outputs": {name: {"Value": _attribute(*source)} for name, source in OUTPUTS.items()},
    }


def _attribute(resource: str, name: str) -> Template:
    return {"Fn::GetAtt": [resource, name]}


def _model(
    execution_role_arn: str,
    network: NetworkSettings,
    tags: list[dict[str, str]],
    *,
    architecture: str,
    by_version: bool,
) -> Template:
    # Lineage: tags show on AWS which job, dataset and version a running model comes from.
    lineage = [{"Key": key, "Value": {"Ref": key}} for key in LINEAGE]
    container: Template = {"Image": {"Ref": "ImageUri"}, "ModelDataUrl": {"Ref": "ModelDataUrl"}}
    if by_version:
        container = {"ModelPackageName": {"Ref": "ModelPackageArn"}}
        if architecture == ARM64:
            # The specification that Register adds for the image of this architecture.
            container["InferenceSpecificationName"] = architecture
    return {
        "Type": "AWS::SageMaker::Model",
        "Properties": {
            "ExecutionRoleArn": execution_role_arn,
            "EnableNetworkIsolation": network.isolation,
            **({"VpcConfig": network.vpc_config} if network.vpc_config else {}),
            "PrimaryContainer": container,
            "Tags": [*tags, *lineage],
        },
    }


def _endpoint_config(
    settings: EndpointSettings,
    tags: list[dict[str, str]],
    capture_bucket: str | None,
    key_arn: str | None,
) -> Template:
    properties: Template = {
        "ProductionVariants": [
            {
                "VariantName": VARIANT_NAME,
                "ModelName": _attribute("Model", "ModelName"),
                "InstanceType": settings.instance_type,
                "InitialInstanceCount": settings.initial_instance_count,
                # A whole number: a weight that float32 cannot represent reads back differently.
                "InitialVariantWeight": 1,
            }
        ],
        "Tags": tags,
    }
    if key_arn and not has_local_storage(settings.instance_type):
        properties["KmsKeyId"] = key_arn
    if settings.data_capture_percent:
        properties["DataCaptureConfig"] = {
            "EnableCapture": True,
            "InitialSamplingPercentage": settings.data_capture_percent,
            "DestinationS3Uri": f"s3://{capture_bucket}/{CAPTURE_PREFIX}",
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            "CaptureContentTypeHeader": CAPTURED_AS_TEXT,
            **({"KmsKeyId": key_arn} if key_arn else {}),
        }
    return {"Type": "AWS::SageMaker::EndpointConfig", "Properties": properties}


def _endpoint(
    endpoint_name: str, settings: EndpointSettings, tags: list[dict[str, str]]
) -> Template:
    properties: Template = {
        "EndpointName": endpoint_name,
        "EndpointConfigName": _attribute("EndpointConfig", "EndpointConfigName"),
        "Tags": tags,
    }
    if settings.scaling is not None:
        # Without it, a deployment under load would reset the count to the initial one.
        properties["RetainAllVariantProperties"] = True
    if settings.update != UpdateSettings():
        properties["DeploymentConfig"] = _deployment(endpoint_name, settings.update)
    return {"Type": "AWS::SageMaker::Endpoint", "Properties": properties}


def _deployment(endpoint_name: str, update: UpdateSettings) -> Template:
    """Return the traffic shift to the new fleet, and the alarms that roll it back."""
    step = {"Type": "CAPACITY_PERCENT", "Value": update.step_percent}
    routing: Template = {
        "Type": update.traffic_shifting.value,
        "WaitIntervalInSeconds": update.bake_seconds,
    }
    match update.traffic_shifting:
        case TrafficShifting.ALL_AT_ONCE:
            pass  # there are no steps
        case TrafficShifting.CANARY:
            routing["CanarySize"] = step
        case TrafficShifting.LINEAR:
            routing["LinearStepSize"] = step
        case _:
            assert_never(update.traffic_shifting)
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": routing,
            "MaximumExecutionTimeoutInSeconds": update.steps * update.bake_seconds + FLEET_SECONDS,
        },
        "AutoRollbackConfiguration": {
            "Alarms": [{"AlarmName": name} for name in rollback_alarm_names(endpoint_name)]
        },
    }


# The policy's name and its predefined metric.
_POLICIES = {
    ScalingMetric.INVOCATIONS: (
        "invocations-per-instance",
        "SageMakerVariantInvocationsPerInstance",
    ),
    ScalingMetric.CONCURRENT_REQUESTS: (
        "concurrent-requests",
        "SageMakerVariantConcurrentRequestsPerModelHighResolution",
    ),
}


def _scalable_target(scaling: ScalingSettings) -> Template:
    properties: Template = {
        "ServiceNamespace": "sagemaker",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
        "ResourceId": {"Fn::Sub": f"endpoint/${{Endpoint.EndpointName}}/variant/{VARIANT_NAME}"},
        "MinCapacity": scaling.min_instance_count,
        "MaxCapacity": scaling.max_instance_count,
    }
    if scaling.schedule:
        properties["ScheduledActions"] = [
            {
                "ScheduledActionName": change.name,
                "Schedule": change.schedule,
                "Timezone": change.timezone,
                "ScalableTargetAction": {
                    "MinCapacity": change.min_instance_count,
                    "MaxCapacity": change.max_instance_count,
                },
            }
            for change in scaling.schedule
        ]
    return {"Type": "AWS::ApplicationAutoScaling::ScalableTarget", "Properties": properties}


def _scaling_policy(scaling: ScalingSettings) -> Template:
    name, metric = _POLICIES[scaling.metric]
    return {
        "Type": "AWS::ApplicationAutoScaling::ScalingPolicy",
        "Properties": {
            "PolicyName": name,
            "PolicyType": "TargetTrackingScaling",
            "ScalingTargetId": {"Ref": "ScalableTarget"},
            "TargetTrackingScalingPolicyConfiguration": {
                "PredefinedMetricSpecification": {
                    "PredefinedMetricType": metric,
                },
                "TargetValue": scaling.target,
                "ScaleInCooldown": scaling.scale_in_cooldown_seconds,
                "ScaleOutCooldown": scaling.scale_out_cooldown_seconds,
            },
        },
    }
