"""AWS::ApplicationAutoScaling::ScalableTarget and ScalingPolicy."""

from __future__ import annotations

from typing import Any

from localcloud.cloudformation.resource_types.base import (
    Call,
    CreatedResource,
    Handler,
    Properties,
    ResourceFailed,
    tag_changes,
)

_SERVICE = "application-autoscaling"
_TARGET_KEYS = ("ServiceNamespace", "ResourceId", "ScalableDimension")
# Properties that are not parameters of RegisterScalableTarget, or only for a new target.
_APART = ("ScheduledActions", "Tags")


async def _create_target(call: Call, properties: Properties) -> CreatedResource:
    changed, _ = tag_changes({}, properties)
    await _register(call, properties, **({"Tags": changed} if changed else {}))
    # Ref returns "resource|dimension|namespace".
    parts = ("ResourceId", "ScalableDimension", "ServiceNamespace")
    id_ = "|".join(properties[key] for key in parts)
    made = CreatedResource(id_, {"Id": id_, **_key(properties)})
    try:
        await _put_actions(call, properties)
    except ResourceFailed as error:
        raise error.with_made(made) from error
    return made


async def _register(call: Call, properties: Properties, **more: Any) -> str:
    target = {key: value for key, value in properties.items() if key not in _APART}
    answer = await call.api(_SERVICE, "register_scalable_target", **target, **more)
    return str(answer["ScalableTargetARN"])


async def _put_actions(call: Call, properties: Properties) -> None:
    for action in properties.get("ScheduledActions") or []:
        await call.api(_SERVICE, "put_scheduled_action", **_key(properties), **action)


async def _update_target(
    call: Call, made: CreatedResource, before: Properties, after: Properties
) -> CreatedResource:
    arn = await _register(call, after)
    changed, removed = tag_changes(before, after)
    if changed:
        await call.api(_SERVICE, "tag_resource", ResourceARN=arn, Tags=changed)
    if removed:
        await call.api(_SERVICE, "untag_resource", ResourceARN=arn, TagKeys=removed)
    await _put_actions(call, after)
    for name in sorted(_action_names(before) - _action_names(after)):
        await call.api(_SERVICE, "delete_scheduled_action", **_key(after), ScheduledActionName=name)
    return made


def _key(properties: Properties) -> dict[str, str]:
    return {key: properties[key] for key in _TARGET_KEYS}


def _action_names(properties: Properties) -> set[str]:
    return {action["ScheduledActionName"] for action in properties.get("ScheduledActions") or []}


async def _deregister_target(call: Call, made: CreatedResource) -> None:
    await call.api(_SERVICE, "deregister_scalable_target", **_key(made.attributes))


async def _put_policy(call: Call, properties: Properties) -> CreatedResource:
    parameters = dict(properties)
    target = parameters.pop("ScalingTargetId", None)
    if target is not None:
        parts = target.split("|")
        if len(parts) != 3:
            raise ResourceFailed(
                f"ScalingTargetId is {target}; it is the Ref of a scalable target: "
                "resource|dimension|namespace"
            )
        resource, dimension, namespace = parts
        parameters |= {
            "ResourceId": resource,
            "ScalableDimension": dimension,
            "ServiceNamespace": namespace,
        }
    answer = await call.api(_SERVICE, "put_scaling_policy", **parameters)
    return CreatedResource(
        answer["PolicyARN"],
        {
            "Arn": answer["PolicyARN"],
            "PolicyName": parameters["PolicyName"],
            **_key(parameters),
        },
    )


async def _update_policy(
    call: Call, made: CreatedResource, before: Properties, after: Properties
) -> CreatedResource:
    del made, before
    return await _put_policy(call, after)


async def _delete_policy(call: Call, made: CreatedResource) -> None:
    named = {**_key(made.attributes), "PolicyName": made.attributes["PolicyName"]}
    await call.api(_SERVICE, "delete_scaling_policy", **named)


HANDLERS = (
    Handler(
        "AWS::ApplicationAutoScaling::ScalableTarget",
        _create_target,
        _update_target,
        _deregister_target,
        carried_out=frozenset(
            {
                *_TARGET_KEYS,
                "MaxCapacity",
                "MinCapacity",
                "RoleARN",
                "ScheduledActions",
                "SuspendedState",
                "Tags",
            }
        ),
        attributes=("Id",),
    ),
    Handler(
        "AWS::ApplicationAutoScaling::ScalingPolicy",
        _put_policy,
        _update_policy,
        _delete_policy,
        carried_out=frozenset(
            {
                *_TARGET_KEYS,
                "PolicyName",
                "PolicyType",
                "ScalingTargetId",
                "StepScalingPolicyConfiguration",
                "TargetTrackingScalingPolicyConfiguration",
            }
        ),
        attributes=("Arn",),
    ),
)
