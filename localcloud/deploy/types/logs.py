"""CloudWatch Logs: log groups."""

from __future__ import annotations

from localcloud.deploy.types.base import (
    Aws,
    Inputs,
    Outputs,
    ResourceType,
    fields,
    tag_map,
    update_tags,
)


def _create_log_group(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
    name = inputs["name"]
    aws.call(
        "logs",
        "create_log_group",
        logGroupName=name,
        kmsKeyId=inputs.get("kmsKeyId"),
        tags=tag_map(inputs) or None,
    )
    return name, _update_log_group(aws, name, inputs, inputs)


def _update_log_group(aws: Aws, id_: str, inputs: Inputs, outputs: Outputs) -> Outputs:
    arn = f"arn:aws:logs:{aws.region}:{aws.account}:log-group:{id_}"
    days, key = inputs.get("retentionInDays"), inputs.get("kmsKeyId")
    if days:
        aws.call("logs", "put_retention_policy", logGroupName=id_, retentionInDays=days)
    elif outputs.get("retentionInDays"):
        aws.call("logs", "delete_retention_policy", logGroupName=id_)
    if key and key != outputs.get("kmsKeyId"):
        aws.call("logs", "associate_kms_key", logGroupName=id_, kmsKeyId=key)
    elif outputs.get("kmsKeyId") and not key:
        aws.call("logs", "disassociate_kms_key", logGroupName=id_)
    update_tags(
        aws,
        "logs",
        outputs,
        inputs,
        of={"resourceArn": arn},
        form=tag_map,
        names=("tags", "tagKeys"),
    )
    return {**inputs, "arn": arn}


def _delete_log_group(aws: Aws, id_: str, outputs: Outputs) -> None:
    if not outputs.get("skipDestroy"):
        aws.call("logs", "delete_log_group", logGroupName=id_)


TYPES: dict[str, ResourceType] = {
    "aws:cloudwatch/logGroup:LogGroup": ResourceType(
        _create_log_group,
        _delete_log_group,
        _update_log_group,
        frozenset({"name"}),
        fields("name retentionInDays kmsKeyId skipDestroy tags"),
        fields("name"),
    ),
}
