"""EventBridge: rules and their targets."""

from __future__ import annotations

from localcloud.deploy.reading import Terms
from localcloud.deploy.types.base import (
    NAME,
    Answer,
    Aws,
    Inputs,
    Outputs,
    Reader,
    ResourceType,
    delete_by_id,
    fields,
    only,
    split_id,
    tag_list,
    tags_of,
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


def _find_rule(aws: Aws, id_: str, known: Inputs) -> Answer:
    del known
    found = aws.ask("events", "describe_rule", Name=id_)
    arn = found["arn"]
    tags = aws.ask("events", "list_tags_for_resource", ResourceARN=arn).get("tags")
    return {"name": id_, **only(found, _RULE), "tags": tags_of(tags)}, {"arn": arn}


def _find_target(aws: Aws, id_: str, known: Inputs) -> Answer | None:
    rule, target = known.get("rule"), known.get("targetId")
    if not rule or not target:
        rule, target = split_id(id_, "/", "RULE/TARGET")
    answer = aws.ask("events", "list_targets_by_rule", Rule=rule)
    found = next((t for t in answer.get("targets", []) if t["id"] == target), None)
    if found is None:
        return None
    inputs = {"rule": rule, "targetId": target, "arn": found["arn"], **only(found, _TARGET)}
    transformer = found.get("inputTransformer")
    if transformer:
        inputs["inputTransformer"] = {
            "inputTemplate": transformer["inputTemplate"],
            "inputPaths": transformer.get("inputPathsMap", {}),
        }
    return inputs, {}


TYPES: dict[str, ResourceType] = {
    "aws:cloudwatch/eventRule:EventRule": ResourceType(
        _create_rule,
        delete_by_id("events", "delete_rule", "Name"),
        _update_rule,
        NAME,
        fields("name eventPattern scheduleExpression description state roleArn tags"),
        reader=Reader(_find_rule, Terms({"state": "ENABLED"})),
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
        reader=Reader(_find_target),
    ),
}
