"""CloudWatch Logs: log groups."""

from __future__ import annotations

from localcloud.deploy.reading import Terms
from localcloud.deploy.types.base import (
    Answer,
    Aws,
    Inputs,
    Outputs,
    Reader,
    ResourceType,
    completing,
    fields,
    only,
    tag_map,
    update_tags,
)


def _arn(aws: Aws, name: str) -> str:
    return f"arn:aws:logs:{aws.region}:{aws.account}:log-group:{name}"


def _create_log_group(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
    name = inputs["name"]
    aws.call(
        "logs",
        "create_log_group",
        logGroupName=name,
        kmsKeyId=inputs.get("kmsKeyId"),
        tags=tag_map(inputs) or None,
    )
    with completing(name, {"name": name, "arn": _arn(aws, name)}):
        return name, _update_log_group(aws, name, inputs, inputs)


def _update_log_group(aws: Aws, id_: str, inputs: Inputs, outputs: Outputs) -> Outputs:
    arn = _arn(aws, id_)
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


def _find_log_group(aws: Aws, id_: str, known: Inputs) -> Answer | None:
    del known
    answer = aws.ask("logs", "describe_log_groups", logGroupNamePrefix=id_)
    found = next((g for g in answer["logGroups"] if g["logGroupName"] == id_), None)
    if found is None:
        return None
    arn = _arn(aws, id_)
    tags = aws.ask("logs", "list_tags_for_resource", resourceArn=arn).get("tags")
    inputs = {"name": id_, **only(found, ("retentionInDays", "kmsKeyId")), "tags": tags}
    return inputs, {"arn": arn}


TYPES: dict[str, ResourceType] = {
    "aws:cloudwatch/logGroup:LogGroup": ResourceType(
        _create_log_group,
        _delete_log_group,
        _update_log_group,
        frozenset({"name"}),
        fields("name retentionInDays kmsKeyId skipDestroy tags"),
        fields("name"),
        reader=Reader(_find_log_group, Terms(unread=fields("skipDestroy"))),
    ),
}
