"""Resource types: how each is created, updated and deleted by AWS's own APIs.

A type's properties are mapped to an operation's parameters by their names, which CloudFormation
and the APIs share; the few that differ are said in the table.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-template-resource-type-ref.html
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from localcloud.aws.protocol import input_shape
from localcloud.aws.routing import Scope
from localcloud.cloudformation.template import scalar_text
from localcloud.core.clock import Clock
from localcloud.service_context import ServiceContext

_POLL_CLOCK_SECONDS = 3.0


@dataclass(slots=True)
class CreatedResource:
    """A resource that is there."""

    physical_id: str
    attributes: dict[str, str] = field(default_factory=dict)


class ResourceFailed(Exception):
    """A resource could not be made; the message is its ResourceStatusReason.

    Attributes:
        made: what is there nevertheless, and has to be deleted.
    """

    def __init__(self, message: str, made: CreatedResource | None = None) -> None:
        super().__init__(message)
        self.made = made


@dataclass(frozen=True, slots=True)
class Call:
    """What a handler needs to call AWS's APIs."""

    services: ServiceContext
    scope: Scope
    stack_name: str
    logical_id: str
    role_arn: str = ""
    deadline: datetime | None = None

    def check_time(self) -> None:
        """End a creation that takes longer than its TimeoutInMinutes.

        Raises:
            ResourceFailed: it does.
        """
        if self.deadline is not None and self.clock.now() > self.deadline:
            raise ResourceFailed("Stack creation time exceeded the specified timeout.")

    async def api(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """Call an API as the stack's role, or the account where it has none.

        Raises:
            ResourceFailed: the API refused, with its text.
        """
        shape = input_shape(service, operation)
        try:
            return await self.services.api(
                self.scope,
                service,
                operation,
                principal=self.role_arn,
                **coerced(shape, parameters),
            )
        except Exception as error:
            raise ResourceFailed(str(error)) from error

    @property
    def clock(self) -> Clock:
        """Return the clock."""
        return self.services.clock

    def generated_name(self, limit: int = 63) -> str:
        """Return a name as CloudFormation makes them: stack, logical id, random suffix."""
        alphabet = string.ascii_uppercase + string.digits
        suffix = "".join(secrets.choice(alphabet) for _ in range(12))
        stem = f"{self.stack_name}-{self.logical_id}"[: limit - 13]
        return f"{stem}-{suffix}"


def coerced(shape: Any, value: Any) -> Any:
    """Return a value with the numbers and booleans that a template may hold as text."""
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        members = shape.members
        return {k: coerced(members[k], v) if k in members else v for k, v in value.items()}
    if kind == "list" and isinstance(value, list):
        return [coerced(shape.member, item) for item in value]
    if kind == "map" and isinstance(value, dict):
        return {key: coerced(shape.value, item) for key, item in value.items()}
    if isinstance(value, str):
        try:
            if kind in ("integer", "long"):
                return int(value)
            if kind in ("float", "double"):
                return float(value)
        except ValueError:
            return value  # the API's own error says it best
        if kind == "boolean":
            return value.lower() == "true"
    elif kind == "string" and isinstance(value, (int, float)):
        return scalar_text(value)
    return value


Properties = dict[str, Any]
Create = Callable[[Call, Properties], Awaitable[CreatedResource]]
Update = Callable[[Call, CreatedResource, Properties, Properties], Awaitable[CreatedResource]]
Delete = Callable[[Call, CreatedResource], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Handler:
    """A resource type.

    Attributes:
        update: changes it in place; None when every change replaces it.
        replaced_by: properties whose change replaces it although `update` exists.
        name_property: a name fixed by the template forbids replacement.
    """

    create: Create
    delete: Delete
    update: Update | None = None
    replaced_by: frozenset[str] = frozenset()
    name_property: str = ""

    def recreated_by(self, name: str) -> bool:
        """Return whether a change of one property makes a new resource."""
        return self.update is None or name in self.replaced_by

    def must_replace(self, before: Properties, after: Properties) -> bool:
        """Return whether going from one to the other makes a new resource."""
        if self.update is None:
            return True
        return any(before.get(name) != after.get(name) for name in self.replaced_by)


def _named(
    service: str, noun: str, name: str, arn: str, attributes: tuple[str, ...] = ()
) -> Handler:
    """Return the handler of a SageMaker resource that is created and deleted by its name."""

    async def create(call: Call, properties: Properties) -> CreatedResource:
        properties = {name: call.generated_name(), **properties}
        answer = await call.api(service, f"create_{noun}", **properties)
        known = {name: properties[name], arn: answer[arn]}
        return CreatedResource(
            answer[arn], {key: known[key] for key in (name, *attributes) if key in known}
        )

    async def delete(call: Call, made: CreatedResource) -> None:
        await call.api(service, f"delete_{noun}", **{name: made.attributes[name]})

    return Handler(create, delete, name_property=name)


async def _create_endpoint(call: Call, properties: Properties) -> CreatedResource:
    name = properties.get("EndpointName") or call.generated_name()
    wanted = {"EndpointName": name, "EndpointConfigName": properties["EndpointConfigName"]}
    for key in ("Tags", "DeploymentConfig"):
        if key in properties:
            wanted[key] = properties[key]
    answer = await call.api("sagemaker", "create_endpoint", **wanted)
    made = CreatedResource(answer["EndpointArn"], {"EndpointName": name})
    try:
        await _wait_in_service(call, made, properties["EndpointConfigName"])
    except ResourceFailed as error:
        raise ResourceFailed(str(error), made) from error
    return made


async def _update_endpoint(
    call: Call, made: CreatedResource, before: Properties, after: Properties
) -> CreatedResource:
    if before.get("EndpointConfigName") != after["EndpointConfigName"]:
        wanted = {
            key: after[key]
            for key in (
                "RetainAllVariantProperties",
                "ExcludeRetainedVariantProperties",
                "DeploymentConfig",
            )
            if key in after
        }
        await call.api(
            "sagemaker",
            "update_endpoint",
            EndpointName=made.attributes["EndpointName"],
            EndpointConfigName=after["EndpointConfigName"],
            **wanted,
        )
        await _wait_in_service(call, made, after["EndpointConfigName"])
    if before.get("Tags") != after.get("Tags") and after.get("Tags"):
        await call.api("sagemaker", "add_tags", ResourceArn=made.physical_id, Tags=after["Tags"])
    return made


async def _wait_in_service(call: Call, made: CreatedResource, config_name: str) -> None:
    """Wait for InService, and see that it is on the configuration asked for.

    Raises:
        ResourceFailed: it failed, or went back to its old configuration.
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
        await call.clock.sleep(_POLL_CLOCK_SECONDS)


async def _delete_endpoint(call: Call, made: CreatedResource) -> None:
    name = made.attributes["EndpointName"]
    await call.api("sagemaker", "delete_endpoint", EndpointName=name)
    while True:
        try:
            await call.api("sagemaker", "describe_endpoint", EndpointName=name)
        except ResourceFailed:
            return
        await call.clock.sleep(_POLL_CLOCK_SECONDS)


_TARGET_KEYS = ("ServiceNamespace", "ResourceId", "ScalableDimension")


async def _register_target(call: Call, properties: Properties) -> CreatedResource:
    target = {key: value for key, value in properties.items() if key != "ScheduledActions"}
    await call.api("application-autoscaling", "register_scalable_target", **target)
    for action in properties.get("ScheduledActions") or []:
        await call.api(
            "application-autoscaling", "put_scheduled_action", **_key(properties), **action
        )
    # Ref answers "resource|dimension|namespace".
    parts = ("ResourceId", "ScalableDimension", "ServiceNamespace")
    return CreatedResource("|".join(properties[key] for key in parts), _key(properties))


def _key(properties: Properties) -> dict[str, str]:
    return {key: properties[key] for key in _TARGET_KEYS}


async def _update_target(
    call: Call, made: CreatedResource, before: Properties, after: Properties
) -> CreatedResource:
    made = await _register_target(call, after)
    for name in _action_names(before) - _action_names(after):
        await call.api(
            "application-autoscaling",
            "delete_scheduled_action",
            **_key(after),
            ScheduledActionName=name,
        )
    return made


def _action_names(properties: Properties) -> set[str]:
    return {action["ScheduledActionName"] for action in properties.get("ScheduledActions") or []}


async def _deregister_target(call: Call, made: CreatedResource) -> None:
    await call.api("application-autoscaling", "deregister_scalable_target", **made.attributes)


async def _put_policy(call: Call, properties: Properties) -> CreatedResource:
    wanted = dict(properties)
    target = wanted.pop("ScalingTargetId", None)
    if target is not None:
        resource, dimension, namespace = target.split("|")
        wanted |= {
            "ResourceId": resource,
            "ScalableDimension": dimension,
            "ServiceNamespace": namespace,
        }
    answer = await call.api("application-autoscaling", "put_scaling_policy", **wanted)
    return CreatedResource(
        answer["PolicyARN"],
        {"PolicyName": wanted["PolicyName"], **_key(wanted)},
    )


async def _update_policy(
    call: Call, made: CreatedResource, before: Properties, after: Properties
) -> CreatedResource:
    del made, before
    return await _put_policy(call, after)


async def _delete_policy(call: Call, made: CreatedResource) -> None:
    await call.api("application-autoscaling", "delete_scaling_policy", **made.attributes)


async def _put_alarm(call: Call, properties: Properties) -> CreatedResource:
    wanted = {"AlarmName": call.generated_name(255), **properties}
    await call.api("cloudwatch", "put_metric_alarm", **wanted)
    arn = call.scope.arn("cloudwatch", f"alarm:{wanted['AlarmName']}")
    return CreatedResource(wanted["AlarmName"], {"Arn": arn})


async def _update_alarm(
    call: Call, made: CreatedResource, before: Properties, after: Properties
) -> CreatedResource:
    del before
    return await _put_alarm(call, {**after, "AlarmName": made.physical_id})


async def _delete_alarm(call: Call, made: CreatedResource) -> None:
    await call.api("cloudwatch", "delete_alarms", AlarmNames=[made.physical_id])


async def _create_topic(call: Call, properties: Properties) -> CreatedResource:
    wanted = dict(properties)
    name = wanted.pop("TopicName", None) or call.generated_name(255)
    answer = await call.api("sns", "create_topic", Name=name, Tags=wanted.get("Tags", []))
    return CreatedResource(answer["TopicArn"], {"TopicName": name, "TopicArn": answer["TopicArn"]})


async def _delete_topic(call: Call, made: CreatedResource) -> None:
    await call.api("sns", "delete_topic", TopicArn=made.physical_id)


async def _create_log_group(call: Call, properties: Properties) -> CreatedResource:
    name = properties.get("LogGroupName") or call.generated_name(512)
    await call.api("logs", "create_log_group", logGroupName=name)
    if "RetentionInDays" in properties:
        await call.api(
            "logs",
            "put_retention_policy",
            logGroupName=name,
            retentionInDays=int(properties["RetentionInDays"]),
        )
    return CreatedResource(name, {"Arn": call.scope.arn("logs", f"log-group:{name}:*")})


async def _delete_log_group(call: Call, made: CreatedResource) -> None:
    await call.api("logs", "delete_log_group", logGroupName=made.physical_id)


HANDLERS: dict[str, Handler] = {
    "AWS::SageMaker::Model": _named("sagemaker", "model", "ModelName", "ModelArn"),
    "AWS::SageMaker::EndpointConfig": _named(
        "sagemaker", "endpoint_config", "EndpointConfigName", "EndpointConfigArn"
    ),
    "AWS::SageMaker::Endpoint": Handler(
        _create_endpoint,
        _delete_endpoint,
        _update_endpoint,
        frozenset({"EndpointName"}),
        "EndpointName",
    ),
    "AWS::ApplicationAutoScaling::ScalableTarget": Handler(
        _register_target, _deregister_target, _update_target, frozenset(_TARGET_KEYS)
    ),
    "AWS::ApplicationAutoScaling::ScalingPolicy": Handler(
        _put_policy,
        _delete_policy,
        _update_policy,
        frozenset({"PolicyName", "ScalingTargetId", *_TARGET_KEYS}),
    ),
    "AWS::CloudWatch::Alarm": Handler(
        _put_alarm, _delete_alarm, _update_alarm, frozenset({"AlarmName"}), "AlarmName"
    ),
    "AWS::SNS::Topic": Handler(_create_topic, _delete_topic, name_property="TopicName"),
    "AWS::Logs::LogGroup": Handler(
        _create_log_group, _delete_log_group, name_property="LogGroupName"
    ),
}
