"""AWS::SageMaker::Model, EndpointConfig, Endpoint and ModelPackageGroup."""

from __future__ import annotations

from typing import Any

from localcloud.cloudformation.resource_types.base import (
    POLL_CLOCK_SECONDS,
    Call,
    CreatedResource,
    Handler,
    Properties,
    ResourceFailed,
    tag_changes,
    tag_list,
)

# The parameters of UpdateEndpoint besides the new configuration.
_OF_AN_UPDATE = (
    "RetainAllVariantProperties",
    "ExcludeRetainedVariantProperties",
    "DeploymentConfig",
    "RetainDeploymentConfig",
)


async def _update_tags(
    call: Call, made: CreatedResource, before: Properties, after: Properties
) -> CreatedResource:
    changed, removed = tag_changes(before, after)
    if changed:
        await call.api(
            "sagemaker", "add_tags", ResourceArn=made.physical_id, Tags=tag_list(changed)
        )
    if removed:
        await call.api("sagemaker", "delete_tags", ResourceArn=made.physical_id, TagKeys=removed)
    return made


def _named(kind: str, noun: str, name: str, arn: str, carried_out: set[str]) -> Handler:
    """Return the handler of a resource of which only the tags can change.

    Args:
        kind: the last part of the resource type, for example Model.
        noun: the noun of its operations, for example `model` in create_model.
        name: the property and the parameter that name it.
        arn: the member of the response that has its ARN.
        carried_out: the supported properties besides its name and tags.
    """

    async def create(call: Call, properties: Properties) -> CreatedResource:
        properties = {name: call.generated_name(), **properties}
        answer = await call.create_once(
            call.api("sagemaker", f"create_{noun}", **properties),
            lambda: call.api("sagemaker", f"describe_{noun}", **{name: properties[name]}),
        )
        return CreatedResource(answer[arn], {name: properties[name], arn: answer[arn]})

    async def delete(call: Call, made: CreatedResource) -> None:
        await call.api("sagemaker", f"delete_{noun}", **{name: made.attributes[name]})

    return Handler(
        f"AWS::SageMaker::{kind}",
        create,
        _update_tags,
        delete,
        carried_out=frozenset({name, "Tags", *carried_out}),
        attributes=(name, arn),
        name_property=name,
    )


async def _create_endpoint(call: Call, properties: Properties) -> CreatedResource:
    name = properties.get("EndpointName") or call.generated_name()
    wanted = {"EndpointName": name, "EndpointConfigName": properties["EndpointConfigName"]}
    if "Tags" in properties:
        wanted["Tags"] = properties["Tags"]
    if "DeploymentConfig" in properties:
        wanted["DeploymentConfig"] = _deployment_config(properties["DeploymentConfig"])
    answer = await call.create_once(
        call.api("sagemaker", "create_endpoint", **wanted),
        lambda: call.api("sagemaker", "describe_endpoint", EndpointName=name),
    )
    arn = answer["EndpointArn"]
    made = CreatedResource(arn, {"EndpointName": name, "EndpointArn": arn})
    call.initiated(arn)
    try:
        await _wait_in_service(call, made, properties["EndpointConfigName"])
    except ResourceFailed as error:
        raise error.with_made(made) from error
    return made


async def _update_endpoint(
    call: Call, made: CreatedResource, before: Properties, after: Properties
) -> CreatedResource:
    wanted = after["EndpointConfigName"]
    # An update that a restart interrupted may have been carried out, and one that failed may have
    # been rolled back.
    if await _settled(call, made) != wanted:
        await call.api(
            "sagemaker",
            "update_endpoint",
            EndpointName=made.attributes["EndpointName"],
            EndpointConfigName=wanted,
            **_of_an_update(after),
        )
        await _wait_in_service(call, made, wanted)
    return await _update_tags(call, made, before, after)


def _of_an_update(properties: Properties) -> Properties:
    """Return the parameters of UpdateEndpoint besides the names."""
    found = {key: properties[key] for key in _OF_AN_UPDATE if key in properties}
    if "DeploymentConfig" in found:
        found["DeploymentConfig"] = _deployment_config(found["DeploymentConfig"])
    return found


def _deployment_config(config: Properties) -> Properties:
    """Return a DeploymentConfig with what the API requires and a template may leave out."""
    policy = config.get("BlueGreenUpdatePolicy")
    if not policy:
        return config
    routing = {"WaitIntervalInSeconds": 0, **policy["TrafficRoutingConfiguration"]}
    policy = {**policy, "TrafficRoutingConfiguration": routing}
    return {**config, "BlueGreenUpdatePolicy": policy}


async def _wait_in_service(call: Call, made: CreatedResource, config_name: str) -> None:
    """Wait until the endpoint is InService with the new configuration.

    Raises:
        ResourceFailed: it failed, or rolled back to its old configuration.
    """
    name = made.attributes["EndpointName"]
    while True:
        answer = await call.api("sagemaker", "describe_endpoint", EndpointName=name)
        status = answer["EndpointStatus"]
        if status == "InService" and answer["EndpointConfigName"] == config_name:
            return
        if status in ("Failed", "InService"):
            raise ResourceFailed(answer.get("FailureReason") or f"endpoint {name} is {status}")
        call.check_time()
        await call.clock.sleep(POLL_CLOCK_SECONDS)


async def _settled(call: Call, made: CreatedResource) -> str:
    """Wait until nothing happens to the endpoint, and return the name of its configuration."""
    name = made.attributes["EndpointName"]
    while True:
        answer = await call.api("sagemaker", "describe_endpoint", EndpointName=name)
        if answer["EndpointStatus"] in ("InService", "Failed"):
            return str(answer["EndpointConfigName"])
        await call.clock.sleep(POLL_CLOCK_SECONDS)


async def _delete_endpoint(call: Call, made: CreatedResource) -> None:
    name = made.attributes["EndpointName"]
    await call.api("sagemaker", "delete_endpoint", EndpointName=name)
    while True:
        try:
            await call.api("sagemaker", "describe_endpoint", EndpointName=name)
        except ResourceFailed:
            return
        await call.clock.sleep(POLL_CLOCK_SECONDS)


async def _create_group(call: Call, properties: Properties) -> CreatedResource:
    name = properties["ModelPackageGroupName"]

    async def find() -> dict[str, Any]:
        return await call.api(
            "sagemaker", "describe_model_package_group", ModelPackageGroupName=name
        )

    await call.create_once(call.api("sagemaker", "create_model_package_group", **properties), find)
    found = await find()
    arn = found["ModelPackageGroupArn"]
    return CreatedResource(
        arn,
        {
            "ModelPackageGroupArn": arn,
            "ModelPackageGroupName": name,
            "ModelPackageGroupStatus": found["ModelPackageGroupStatus"],
            "CreationTime": found["CreationTime"].isoformat(),
        },
    )


async def _delete_group(call: Call, made: CreatedResource) -> None:
    name = made.attributes["ModelPackageGroupName"]
    await call.api("sagemaker", "delete_model_package_group", ModelPackageGroupName=name)


HANDLERS = (
    Handler(
        "AWS::SageMaker::ModelPackageGroup",
        _create_group,
        _update_tags,
        _delete_group,
        carried_out=frozenset({"ModelPackageGroupName", "ModelPackageGroupDescription", "Tags"}),
        attributes=("ModelPackageGroupArn", "ModelPackageGroupStatus", "CreationTime"),
        name_property="ModelPackageGroupName",
    ),
    _named(
        "Model",
        "model",
        "ModelName",
        "ModelArn",
        {
            "Containers",
            "EnableNetworkIsolation",
            "ExecutionRoleArn",
            "InferenceExecutionConfig",
            "PrimaryContainer",
            "VpcConfig",
        },
    ),
    _named(
        "EndpointConfig",
        "endpoint_config",
        "EndpointConfigName",
        "EndpointConfigArn",
        {
            "AsyncInferenceConfig",
            "DataCaptureConfig",
            "EnableNetworkIsolation",
            "ExecutionRoleArn",
            "ExplainerConfig",
            "KmsKeyId",
            "ProductionVariants",
            "ShadowProductionVariants",
            "VpcConfig",
        },
    ),
    Handler(
        "AWS::SageMaker::Endpoint",
        _create_endpoint,
        _update_endpoint,
        _delete_endpoint,
        carried_out=frozenset({"EndpointConfigName", "EndpointName", "Tags", *_OF_AN_UPDATE}),
        attributes=("EndpointName", "EndpointArn"),
        name_property="EndpointName",
    ),
)
