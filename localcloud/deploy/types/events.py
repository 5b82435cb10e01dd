"""EventBridge: rules and their targets."""

from __future__ import annotations

from localcloud.deploy.types.base import (
    NAME,
    Aws,
    Inputs,
    Outputs,
    ResourceType,
    delete_by_id,
    fields,
    tag_list,
    update_tags,
)

_RULE = ("eventPattern", "scheduleExpression", "description", "state", "roleArn")
_TARGET = ("roleArn", "input", "inputPath", "deadLetterConfig", "retryPolicy")


def _put_rule(aws: Aws, inputs: Inputs, tags: list[dict[str, str]]) -> str:
    settings = {key: inputs[key] for key in _RULE if inputs.get(key)}
    answer = aws.call("events", "put_rule", Name=inputs["name"], Tags=tags, **settings)
    return str(answer["RuleArn"])


def _create_rule(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
    return inputs["name"], {**inputs, "arn": _put_rule(aws, inputs, tag_list(inputs))}


def _update_rule(aws: Aws, id_: str, inputs: Inputs, outputs: Outputs) -> Outputs:
    del id_
    arn = _put_rule(aws, inputs, [])
    update_tags(aws, "events", outputs, inputs, of={"ResourceARN": arn})
    return {**inputs, "arn": arn}


def _put_target(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
    id_ = inputs["targetId"]
    target = {"Id": id_, "Arn": inputs["arn"]}
    target |= {name: inputs[name] for name in _TARGET if inputs.get(name)}
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


TYPES: dict[str, ResourceType] = {
    "aws:cloudwatch/eventRule:EventRule": ResourceType(
        _create_rule,
        delete_by_id("events", "delete_rule", "Name"),
        _update_rule,
        NAME,
        fields("name eventPattern scheduleExpression description state roleArn tags"),
    ),
    "aws:cloudwatch/eventTarget:EventTarget": ResourceType(
        _put_target,
        _delete_target,
        _update_target,
        fields("rule targetId"),
        fields(
            "rule targetId arn roleArn input inputPath inputTransformer deadLetterConfig "
            "retryPolicy"
        ),
    ),
}
