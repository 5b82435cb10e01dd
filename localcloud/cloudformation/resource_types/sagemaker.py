"""AWS::SageMaker::Model, EndpointConfig and Endpoint."""

from __future__ import annotations

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
    for key in ("Tags", "DeploymentConfig"):
        if key in properties:
            wanted[key] = properties[key]
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
        raise ResourceFailed(str(error), made) from error
    return made


async def _update_endpoint(
    call: Call, made: CreatedResource, before: Properties, after: Properties
) -> CreatedResource:
    wanted = after["EndpointConfigName"]
    # After a restart the endpoint starts again, and the update may have been carried out.
    current = await _settled(call, made) if call.resumed else before.get("EndpointConfigName")
    if current != wanted:
        await call.api(
            "sagemaker",
            "update_endpoint",
            EndpointName=made.attributes["EndpointName"],
            EndpointConfigName=wanted,
            **{key: after[key] for key in _OF_AN_UPDATE if key in after},
        )
        await _wait_in_service(call, made, wanted)
    return await _update_tags(call, made, before, after)


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


HANDLERS = (
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
