"""AWS::Logs::LogGroup."""

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


async def _create(call: Call, properties: Properties) -> CreatedResource:
    name = properties.get("LogGroupName") or call.generated_name(512)
    parameters = {}
    if properties.get("KmsKeyId"):
        parameters["kmsKeyId"] = properties["KmsKeyId"]
    tags, _ = tag_changes({}, properties)

    async def find() -> dict[str, Any]:
        return {}

    await call.create_once(
        call.api(
            "logs",
            "create_log_group",
            logGroupName=name,
            **parameters,
            **({"tags": tags} if tags else {}),
        ),
        find,
    )
    made = CreatedResource(name, {"Arn": call.scope.arn("logs", f"log-group:{name}:*")})
    try:
        await _set_retention(call, name, properties)
    except ResourceFailed as error:
        raise error.with_made(made) from error
    return made


async def _set_retention(call: Call, name: str, properties: Properties) -> None:
    if "RetentionInDays" in properties:
        days = properties["RetentionInDays"]
        await call.api("logs", "put_retention_policy", logGroupName=name, retentionInDays=days)


async def _update(
    call: Call, made: CreatedResource, before: Properties, after: Properties
) -> CreatedResource:
    name = made.physical_id
    if before.get("RetentionInDays") != after.get("RetentionInDays"):
        if "RetentionInDays" in after:
            await _set_retention(call, name, after)
        else:
            await call.api("logs", "delete_retention_policy", logGroupName=name)
    if before.get("KmsKeyId") != after.get("KmsKeyId"):
        if after.get("KmsKeyId"):
            key = after["KmsKeyId"]
            await call.api("logs", "associate_kms_key", logGroupName=name, kmsKeyId=key)
        else:
            await call.api("logs", "disassociate_kms_key", logGroupName=name)
    changed, removed = tag_changes(before, after)
    arn = made.attributes["Arn"].removesuffix(":*")
    if changed:
        await call.api("logs", "tag_resource", resourceArn=arn, tags=changed)
    if removed:
        await call.api("logs", "untag_resource", resourceArn=arn, tagKeys=removed)
    return made


async def _delete(call: Call, made: CreatedResource) -> None:
    await call.api("logs", "delete_log_group", logGroupName=made.physical_id)


HANDLERS = (
    Handler(
        "AWS::Logs::LogGroup",
        _create,
        _update,
        _delete,
        carried_out=frozenset({"KmsKeyId", "LogGroupName", "RetentionInDays", "Tags"}),
        attributes=("Arn",),
        assumed={"DeletionProtectionEnabled": "false", "LogGroupClass": "STANDARD"},
        name_property="LogGroupName",
    ),
)
