"""Systems Manager: parameters."""

from __future__ import annotations

from localcloud.deploy.reading import Terms
from localcloud.deploy.types.base import (
    Answer,
    Aws,
    Inputs,
    Outputs,
    Reader,
    ResourceType,
    delete_by_id,
    fields,
    only,
    tag_list,
    tags_of,
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
    # AWS keeps a description that is not named.
    settings = {"description": ""} if outputs.get("description") else {}
    settings |= only(inputs, _SETTINGS)
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


def _find_parameter(aws: Aws, id_: str, known: Inputs) -> Answer:
    del known
    found = aws.ask("ssm", "get_parameter", Name=id_, WithDecryption=True)["parameter"]
    described = aws.ask(
        "ssm",
        "describe_parameters",
        ParameterFilters=[{"Key": "Name", "Option": "Equals", "Values": [id_]}],
    )["parameters"]
    tags = aws.ask("ssm", "list_tags_for_resource", ResourceType="Parameter", ResourceId=id_)
    inputs = {
        "name": id_,
        "value": found["value"],
        **(only(described[0], _SETTINGS) if described else {}),
        "tags": tags_of(tags.get("tagList")),
    }
    outputs = _outputs(aws, inputs, found["version"])
    return inputs, {"arn": outputs["arn"], "version": outputs["version"]}


TYPES: dict[str, ResourceType] = {
    "aws:ssm/parameter:Parameter": ResourceType(
        _create_parameter,
        delete_by_id("ssm", "delete_parameter", "Name"),
        _update_parameter,
        frozenset({"name", "dataType"}),
        fields("name value tags " + " ".join(_SETTINGS)),
        fields("name"),
        fields("version"),
        reader=Reader(
            _find_parameter,
            Terms({"tier": "Standard", "dataType": "text"}, fields("keyId")),
        ),
    ),
}
