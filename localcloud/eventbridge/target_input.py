"""The input of a target: the event, a constant, a part of the event, or a template. Pure.

    Input             a constant, which is any JSON
    InputPath         the part of the event at a path, such as $.detail.items[0]
    InputTransformer  a template with <name> for the values at the paths of InputPathsMap

In a template that is a JSON object or array, a placeholder that stands alone becomes JSON, and one
inside quotes becomes text. In any other template it becomes text. A path that the event does not
have gives an empty text.

Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html
"""

from __future__ import annotations

import json
import re
from typing import Any

from localcloud.aws.errors import AwsError, ValidationError

# Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutTargets.html
MOST_TARGETS = 5
_INPUTS = ("Input", "InputPath", "InputTransformer")
_PLACEHOLDER = re.compile(r"<([^<>\s]{1,256})>")
_PATH = re.compile(r"\$(?:\.[^.\[\]\s'\"]+|\[\d{1,6}\]|\[\*\])*", re.ASCII)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\*)\]", re.ASCII)
_EVENT, _EVENT_JSON = "aws.events.event", "aws.events.event.json"
_RULE_ARN, _RULE_NAME = "aws.events.rule-arn", "aws.events.rule-name"
_INGESTION = "aws.events.event.ingestion-time"
_RESERVED = frozenset({_EVENT, _EVENT_JSON, _RULE_ARN, _RULE_NAME, _INGESTION})
# The parameters that only one kind of target takes, and the services of that kind.
_PARAMETERS_OF = {
    "AppSyncParameters": ("appsync",),
    "BatchParameters": ("batch",),
    "EcsParameters": ("ecs",),
    "HttpParameters": ("events", "execute-api"),
    "KinesisParameters": ("kinesis",),
    "RedshiftDataParameters": ("redshift", "redshift-serverless"),
    "RunCommandParameters": ("ec2", "ssm"),
    "SageMakerPipelineParameters": ("sagemaker",),
}


class _Missing:
    """The value at a path that an event does not have."""


_MISSING = _Missing()


def check(targets: list[dict[str, Any]], present: list[str]) -> None:
    """Refuse targets that EventBridge refuses.

    Args:
        targets: those of a PutTargets request.
        present: the ids of the targets that the rule has.

    Raises:
        AwsError: LimitExceededException over five targets; ValidationException for a wrong one.
    """
    if len({*present, *(target["Id"] for target in targets)}) > MOST_TARGETS:
        raise AwsError(
            "LimitExceededException", "The requested resource exceeds the maximum number allowed."
        )
    for target in targets:
        _check_target(target)


def _check_target(target: dict[str, Any]) -> None:
    name = target["Id"]
    if sum(target.get(key) is not None for key in _INPUTS) > 1:
        raise ValidationError(
            f"Only one of Input, InputPath, or InputTransformer must be provided for target {name}."
        )
    service = (target["Arn"].split(":") + [""] * 3)[2]
    for parameter, services in _PARAMETERS_OF.items():
        if target.get(parameter) is not None and service not in services:
            raise ValidationError(f"Parameter(s) {parameter} not supported for target: {name}.")
    if target.get("Input") is not None and not _is_json(target["Input"]):
        raise ValidationError(f"JSON syntax error in input for target {name}.")
    if target.get("InputPath") is not None:
        _check_path(target["InputPath"], name)
    if target.get("InputTransformer") is not None:
        _check_transformer(target["InputTransformer"], name)
    _check_dead_letters(target)


def _check_path(path: str, name: str) -> None:
    if _PATH.fullmatch(path) is None:
        raise ValidationError(f"InputPath for target {name} is invalid.")


def _check_transformer(transformer: dict[str, Any], name: str) -> None:
    paths, template = transformer.get("InputPathsMap") or {}, transformer["InputTemplate"]
    for path in paths.values():
        _check_path(path, name)
    for placeholder in _PLACEHOLDER.findall(template):
        if placeholder not in paths and placeholder not in _RESERVED:
            raise ValidationError(
                f"InputTemplate for target {name} contains invalid placeholder {placeholder}."
            )
        if placeholder == _EVENT_JSON and not template.lstrip().startswith("{"):
            raise ValidationError(
                f"InputTemplate for target {name} contains placeholder {_EVENT_JSON} valid only "
                "for JSON template."
            )
    if _is_object(template) and not _is_json(
        _filled(template, dict.fromkeys([*paths, *_RESERVED], 0))
    ):
        raise ValidationError(f"Invalid InputTemplate for target {name}: it is not JSON.")


def _check_dead_letters(target: dict[str, Any]) -> None:
    arn = str((target.get("DeadLetterConfig") or {}).get("Arn", ""))
    service = (arn.split(":") + [""] * 3)[2]
    if arn and service != "sqs":
        raise ValidationError(f"{service or arn} is not supported as a dead letter resource.")
    if arn.endswith(".fifo"):
        raise ValidationError("SQS FIFO is not supported by Dead Letter Queues.")


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def input_of(target: dict[str, Any], event: dict[str, Any], rule_arn: str) -> str:
    """Return the input of a target as text, which is JSON unless a template makes other text.

    Raises:
        LookupError: the event has nothing at the InputPath.
    """
    if target.get("Input") is not None:
        return str(target["Input"])
    if target.get("InputPath") is not None:
        found = _at(event, target["InputPath"])
        if found is _MISSING:
            raise LookupError(f"the event has nothing at {target['InputPath']}")
        return json.dumps(found)
    if target.get("InputTransformer") is not None:
        transformer = target["InputTransformer"]
        values = {
            name: _at(event, path)
            for name, path in (transformer.get("InputPathsMap") or {}).items()
        }
        values |= {
            _EVENT: {name: value for name, value in event.items() if name != "detail"},
            _EVENT_JSON: event,
            _RULE_ARN: rule_arn,
            _RULE_NAME: rule_arn.rpartition("/")[2],
            _INGESTION: event["time"],
        }
        return _filled(transformer["InputTemplate"], values)
    return json.dumps(event)


def _at(event: Any, path: str) -> Any:
    """Return the value at a path, or _MISSING."""
    found = event
    steps = [(name, index) for name, index in _STEP.findall(path)]
    for place, (name, index) in enumerate(steps):
        if index == "*":
            rest = "$" + "".join(f".{n}" if n else f"[{i}]" for n, i in steps[place + 1 :])
            if not isinstance(found, list):
                return _MISSING
            return [each for entry in found if (each := _at(entry, rest)) is not _MISSING]
        if name and isinstance(found, dict) and name in found:
            found = found[name]
        elif index and isinstance(found, list) and int(index) < len(found):
            found = found[int(index)]
        else:
            return _MISSING
    return found


def _is_object(template: str) -> bool:
    return template.lstrip().startswith(("{", "["))


def _filled(template: str, values: dict[str, Any]) -> str:
    """Return a template with its placeholders filled in."""
    is_json, parts, end, quoted = _is_object(template), [], 0, False
    for found in _PLACEHOLDER.finditer(template):
        between = template[end : found.start()]
        parts.append(between)
        quoted ^= _changes_quotes(between)
        end = found.end()
        if found[1] not in values:
            parts.append(found[0])
            continue
        value = values[found[1]]
        value = "" if value is _MISSING else value
        text = value if isinstance(value, str) else json.dumps(value)
        if not is_json:
            parts.append(text)
        elif quoted:
            parts.append(json.dumps(text)[1:-1])
        else:
            parts.append(json.dumps(value))
    return "".join([*parts, template[end:]])


def _changes_quotes(text: str) -> bool:
    """Return whether a part of JSON has an odd number of quotation marks that are not escaped."""
    return len(re.findall(r'(?<!\\)(?:\\\\)*"', text)) % 2 == 1
