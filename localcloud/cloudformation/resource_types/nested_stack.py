"""AWS::CloudFormation::Stack: a nested stack, created by the API like any other.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudformation-stack.html
Differs: DescribeStacks returns neither ParentId nor RootId; a nested stack that fails rolls itself
back, and then its parent deletes it. A rollback restores a template that changed at its URL if it
has at most 51,200 bytes.
"""

from __future__ import annotations

import contextlib
import json
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
# The attribute that keeps the template from before an update; no Fn::GetAtt can ask for it.
_PREVIOUS = "template before the update"
_LARGEST_BODY = 51_200  # bytes
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
    # For a rollback, since the template may change at its URL. On AWS it needs no permission.
    answer = await call.services.api(
        call.scope, "cloudformation", "get_template", StackName=made.physical_id
    )
    body = answer["TemplateBody"]
    text = body if isinstance(body, str) else json.dumps(body)
    previous = text if len(text.encode()) <= _LARGEST_BODY else ""
    made.attributes[_PREVIOUS] = previous
    made = await _updated(call, made, wanted)
    made.attributes[_PREVIOUS] = previous
    return made


async def _restore(
    call: Call, made: CreatedResource, before: Properties, after: Properties
) -> CreatedResource:
    wanted = _request(call, after)
    previous = made.attributes.get(_PREVIOUS)
    if previous and before.get("TemplateURL") == after.get("TemplateURL"):
        del wanted["TemplateURL"]
        wanted["TemplateBody"] = previous
    return await _updated(call, made, wanted)


async def _updated(call: Call, made: CreatedResource, wanted: dict[str, Any]) -> CreatedResource:
    """Update a nested stack, and wait until it is complete."""
    if call.resumed:  # the nested stack continues its own update
        with contextlib.suppress(ResourceFailed):
            await _settled(call, made)
    try:
        await call.api("cloudformation", "update_stack", StackName=made.physical_id, **wanted)
    except ResourceFailed as error:
        if not error.says("No updates are to be performed"):
            raise
        # It may have rolled an update back itself.
        return await _settled(call, made, (*_DONE, "UPDATE_ROLLBACK_COMPLETE"))
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


async def _settled(
    call: Call, made: CreatedResource, done: tuple[str, ...] = _DONE
) -> CreatedResource:
    """Wait until the operation on the nested stack succeeded.

    Raises:
        ResourceFailed: the operation failed; the message has its reason.
    """
    while True:
        answer = await call.api("cloudformation", "describe_stacks", StackName=made.physical_id)
        stack = answer["Stacks"][0]
        status = stack["StackStatus"]
        if status in done:
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
        restore=_restore,
    ),
)
