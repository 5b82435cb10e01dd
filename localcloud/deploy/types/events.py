"""Log groups, EventBridge's rules and targets, topics."""

from __future__ import annotations

from localcloud.deploy.types.base import NAME, Aws, Inputs, Outputs, ResourceType, tag_list


def _create_log_group(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
    name = inputs["name"]
    aws.call("logs", "create_log_group", logGroupName=name, tags=inputs.get("tags") or {})
    return name, _update_log_group(aws, name, inputs, {})


def _update_log_group(aws: Aws, id_: str, inputs: Inputs, outputs: Outputs) -> Outputs:
    del outputs
    if inputs.get("retentionInDays"):
        aws.call(
            "logs",
            "put_retention_policy",
            logGroupName=id_,
            retentionInDays=inputs["retentionInDays"],
        )
    return {**inputs, "arn": f"arn:aws:logs:{aws.region}:{aws.account}:log-group:{id_}"}


def _delete_log_group(aws: Aws, id_: str, outputs: Outputs) -> None:
    del outputs
    aws.call("logs", "delete_log_group", logGroupName=id_)


def _put_rule(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
    optional = {
        api: inputs[name]
        for name, api in (
            ("eventPattern", "EventPattern"),
            ("scheduleExpression", "ScheduleExpression"),
            ("description", "Description"),
            ("state", "State"),
        )
        if inputs.get(name)
    }
    answer = aws.call("events", "put_rule", Name=inputs["name"], Tags=tag_list(inputs), **optional)
    return inputs["name"], {**inputs, "arn": answer["RuleArn"]}


def _update_rule(aws: Aws, id_: str, inputs: Inputs, outputs: Outputs) -> Outputs:
    del id_, outputs
    return _put_rule(aws, inputs)[1]


def _delete_rule(aws: Aws, id_: str, outputs: Outputs) -> None:
    del outputs
    aws.call("events", "delete_rule", Name=id_)


def _put_target(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
    id_ = inputs["targetId"]
    target = {"Id": id_, "Arn": inputs["arn"]}
    for name, api in (("roleArn", "RoleArn"), ("input", "Input"), ("inputPath", "InputPath")):
        if inputs.get(name):
            target[api] = inputs[name]
    if inputs.get("inputTransformer"):
        transformer = inputs["inputTransformer"]
        target["InputTransformer"] = {
            "InputTemplate": transformer["inputTemplate"],
            "InputPathsMap": transformer.get("inputPaths", {}),
        }
    aws.call("events", "put_targets", Rule=inputs["rule"], Targets=[target])
    return f"{inputs['rule']}-{id_}", inputs


def _update_target(aws: Aws, id_: str, inputs: Inputs, outputs: Outputs) -> Outputs:
    del id_, outputs
    return _put_target(aws, inputs)[1]


def _delete_target(aws: Aws, id_: str, outputs: Outputs) -> None:
    del id_
    aws.call("events", "remove_targets", Rule=outputs["rule"], Ids=[outputs["targetId"]])


def _create_topic(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
    answer = aws.call("sns", "create_topic", Name=inputs["name"], Tags=tag_list(inputs))
    return answer["TopicArn"], {**inputs, "arn": answer["TopicArn"]}


def _delete_topic(aws: Aws, id_: str, outputs: Outputs) -> None:
    del outputs
    aws.call("sns", "delete_topic", TopicArn=id_)


def _subscribe(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
    answer = aws.call(
        "sns",
        "subscribe",
        TopicArn=inputs["topic"],
        Protocol=inputs["protocol"],
        Endpoint=inputs["endpoint"],
        ReturnSubscriptionArn=True,
    )
    return answer["SubscriptionArn"], {**inputs, "arn": answer["SubscriptionArn"]}


def _unsubscribe(aws: Aws, id_: str, outputs: Outputs) -> None:
    del outputs
    aws.call("sns", "unsubscribe", SubscriptionArn=id_)


TYPES: dict[str, ResourceType] = {
    "aws:cloudwatch/logGroup:LogGroup": ResourceType(
        _create_log_group, _delete_log_group, _update_log_group, NAME
    ),
    "aws:cloudwatch/eventRule:EventRule": ResourceType(_put_rule, _delete_rule, _update_rule, NAME),
    "aws:cloudwatch/eventTarget:EventTarget": ResourceType(
        _put_target, _delete_target, _update_target, frozenset({"rule", "targetId"})
    ),
    "aws:sns/topic:Topic": ResourceType(_create_topic, _delete_topic),
    "aws:sns/topicSubscription:TopicSubscription": ResourceType(_subscribe, _unsubscribe),
}
