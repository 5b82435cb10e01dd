"""AWS::CloudFormation::Stack: a nested stack, created by the API like any other.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudformation-stack.html
Differs: DescribeStacks returns neither ParentId nor RootId; a nested stack that fails rolls itself
back, and then its parent deletes it.
"""

from __future__ import annotations

import contextlib
from typing import Any

from localcloud.cloudformation.resource_types.base import (
    POLL_CLOCK_SECONDS,
    Call,
    CreatedResource,
    Handler,
    Properties,
    ResourceFailed,
)
from localcloud.cloudformation.template import scalar_text

NESTED = "AWS::CloudFormation::Stack"
_DONE = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "DELETE_COMPLETE")


async def _create(call: Call, properties: Properties) -> CreatedResource:
    # A stack's name has at most 128 characters.
    name = call.generated_name(128)
    wanted = _request(call, properties)
    minutes = properties.get("TimeoutInMinutes")
    if minutes is not None:
        wanted["TimeoutInMinutes"] = minutes

    async def find() -> dict[str, Any]:
        found = await call.api("cloudformation", "describe_stacks", StackName=name)
        stack: dict[str, Any] = found["Stacks"][0]
        return stack

    answer = await call.create_once(
        call.api("cloudformation", "create_stack", StackName=name, **wanted), find
    )
    made = CreatedResource(answer["StackId"])
    call.initiated(made.physical_id)
    try:
        return await _settled(call, made)
    except ResourceFailed as error:
        raise error.with_made(made) from error


async def _update(
    call: Call, made: CreatedResource, before: Properties, after: Properties
) -> CreatedResource:
    del before
    wanted = _request(call, after)
    if call.resumed:  # the nested stack continues its own update
        with contextlib.suppress(ResourceFailed):
            await _settled(call, made)
    try:
        await call.api("cloudformation", "update_stack", StackName=made.physical_id, **wanted)
    except ResourceFailed as error:
        if not error.says("No updates are to be performed"):
            raise
    return await _settled(call, made)


async def _delete(call: Call, made: CreatedResource) -> None:
    await call.api("cloudformation", "delete_stack", StackName=made.physical_id)
    await _settled(call, made)


def _request(call: Call, properties: Properties) -> dict[str, Any]:
    wanted: dict[str, Any] = {
        "TemplateURL": properties["TemplateURL"],
        "Parameters": [
            {"ParameterKey": name, "ParameterValue": _text(value)}
            for name, value in (properties.get("Parameters") or {}).items()
        ],
        "Capabilities": ["CAPABILITY_NAMED_IAM"],
    }
    for name in ("NotificationARNs", "Tags"):
        if name in properties:
            wanted[name] = properties[name]
    if call.role_arn:
        wanted["RoleARN"] = call.role_arn
    return wanted


def _text(value: Any) -> str:
    return ",".join(map(scalar_text, value)) if isinstance(value, list) else scalar_text(value)


async def _settled(call: Call, made: CreatedResource) -> CreatedResource:
    """Wait until the operation on the nested stack succeeded.

    Raises:
        ResourceFailed: the operation failed; the message has its reason.
    """
    while True:
        answer = await call.api("cloudformation", "describe_stacks", StackName=made.physical_id)
        stack = answer["Stacks"][0]
        status = stack["StackStatus"]
        if status in _DONE:
            outputs = stack.get("Outputs", [])
            found = {f"Outputs.{o['OutputKey']}": o["OutputValue"] for o in outputs}
            return CreatedResource(made.physical_id, found)
        if not status.endswith("IN_PROGRESS"):
            raise ResourceFailed(
                f"Embedded stack {made.physical_id} was not successfully created: it is {status}. "
                f"{stack.get('StackStatusReason', '')}".strip()
            )
        call.check_time()
        await call.clock.sleep(POLL_CLOCK_SECONDS)


HANDLERS = (
    Handler(
        NESTED,
        _create,
        _update,
        _delete,
        carried_out=frozenset(
            {"NotificationARNs", "Parameters", "Tags", "TemplateURL", "TimeoutInMinutes"}
        ),
        attributes=(r"Outputs\..*",),
    ),
)
