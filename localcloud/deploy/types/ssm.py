"""Systems Manager: parameters."""

from __future__ import annotations

from localcloud.deploy.types.base import (
    Aws,
    Inputs,
    Outputs,
    ResourceType,
    delete_by_id,
    fields,
    tag_list,
    update_tags,
)

_SETTINGS = ("type", "description", "tier", "keyId", "allowedPattern", "dataType")
_TAGS = ("add_tags_to_resource", "remove_tags_from_resource")


def _create_parameter(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
    settings = {key: inputs[key] for key in _SETTINGS if key in inputs}
    answer = aws.call(
        "ssm",
        "put_parameter",
        Name=inputs["name"],
        Value=inputs["value"],
        # AWS refuses tags together with Overwrite.
        Tags=tag_list(inputs),
        **settings,
    )
    return inputs["name"], _outputs(aws, inputs, answer["Version"])


def _update_parameter(aws: Aws, id_: str, inputs: Inputs, outputs: Outputs) -> Outputs:
    version = outputs["version"]
    settings = {key: inputs[key] for key in _SETTINGS if key in inputs}
    if inputs["value"] != outputs["value"] or any(
        inputs.get(key) != outputs.get(key) for key in _SETTINGS
    ):
        value = inputs["value"]
        if value == outputs["value"]:
            # Only another setting changed. Keep the current value: with `ignore_changes`, the
            # pipeline may have written it since.
            current = aws.call("ssm", "get_parameter", Name=id_, WithDecryption=True)
            value = current["Parameter"]["Value"]
        version = aws.call(
            "ssm", "put_parameter", Name=id_, Value=value, Overwrite=True, **settings
        )["Version"]
    update_tags(
        aws,
        "ssm",
        outputs,
        inputs,
        of={"ResourceType": "Parameter", "ResourceId": id_},
        operations=_TAGS,
    )
    return _outputs(aws, inputs, version)


def _outputs(aws: Aws, inputs: Inputs, version: int) -> Outputs:
    path = inputs["name"] if inputs["name"].startswith("/") else f"/{inputs['name']}"
    return {
        **inputs,
        "arn": f"arn:aws:ssm:{aws.region}:{aws.account}:parameter{path}",
        "version": version,
    }


TYPES: dict[str, ResourceType] = {
    "aws:ssm/parameter:Parameter": ResourceType(
        _create_parameter,
        delete_by_id("ssm", "delete_parameter", "Name"),
        _update_parameter,
        frozenset({"name", "dataType"}),
        fields("name value tags " + " ".join(_SETTINGS)),
        fields("name"),
        fields("version"),
    ),
}
