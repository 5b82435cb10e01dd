"""CodePipeline: converts Pulumi's flattened inputs to the API's declaration."""

from __future__ import annotations

from typing import Any

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
    lower_tag_list,
    made,
    tags_of,
    update_tags,
)


def _pipeline(inputs: Inputs) -> dict[str, Any]:
    """Return the API's declaration for Pulumi's flattened inputs."""
    stores = inputs["artifactStores"]
    declaration: dict[str, Any] = {
        "name": inputs["name"],
        "roleArn": inputs["roleArn"],
        "pipelineType": inputs.get("pipelineType", "V1"),
        "executionMode": inputs.get("executionMode", "SUPERSEDED"),
        "stages": [
            {**stage, "actions": [_action(action) for action in stage["actions"]]}
            for stage in inputs["stages"]
        ],
    }
    if len(stores) == 1 and not stores[0].get("region"):
        declaration["artifactStore"] = stores[0]
    else:
        declaration["artifactStores"] = {
            store["region"]: {k: v for k, v in store.items() if k != "region"} for store in stores
        }
    if inputs.get("variables"):
        declaration["variables"] = inputs["variables"]
    return declaration


def _action(action: dict[str, Any]) -> dict[str, Any]:
    kind = {key: action[key] for key in ("category", "owner", "provider", "version")}
    rest = {key: value for key, value in action.items() if key not in kind and value is not None}
    for key in ("inputArtifacts", "outputArtifacts"):
        if key in rest:
            rest[key] = [{"name": name} for name in rest[key]]
    return {"actionTypeId": kind, **rest}


def _inputs(declaration: dict[str, Any]) -> Inputs:
    """Return Pulumi's inputs for the API's declaration: the reverse of `_pipeline`."""
    stores = [
        {**store, "region": region}
        for region, store in (declaration.get("artifactStores") or {}).items()
    ] or [declaration["artifactStore"]]
    kept = {
        key: value
        for key, value in declaration.items()
        if key not in ("artifactStore", "artifactStores", "version", "stages")
    }
    stages = [
        {**stage, "actions": [_action_inputs(action) for action in stage["actions"]]}
        for stage in declaration["stages"]
    ]
    return {**kept, "artifactStores": stores, "stages": stages}


def _action_inputs(action: dict[str, Any]) -> dict[str, Any]:
    flat = {**action["actionTypeId"], **action}
    flat.pop("actionTypeId")
    for key in ("inputArtifacts", "outputArtifacts"):
        flat[key] = [artifact["name"] for artifact in action.get(key) or []]
    return flat


def _arn(aws: Aws, name: str) -> str:
    return f"arn:aws:codepipeline:{aws.region}:{aws.account}:{name}"


def _find_pipeline(aws: Aws, id_: str, known: Inputs) -> Answer:
    del known
    found = aws.ask("codepipeline", "get_pipeline", name=id_)["pipeline"]
    arn = _arn(aws, id_)
    tags = aws.ask("codepipeline", "list_tags_for_resource", resourceArn=arn).get("tags")
    return {**_inputs(found), "tags": tags_of(tags)}, {"arn": arn}


def _create_pipeline(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
    aws.call(
        "codepipeline", "create_pipeline", pipeline=_pipeline(inputs), tags=lower_tag_list(inputs)
    )
    return inputs["name"], {**inputs, "arn": _arn(aws, inputs["name"])}


def _update_pipeline(aws: Aws, id_: str, inputs: Inputs, outputs: Outputs) -> Outputs:
    del id_
    aws.call("codepipeline", "update_pipeline", pipeline=_pipeline(inputs))
    update_tags(
        aws,
        "codepipeline",
        outputs,
        inputs,
        of={"resourceArn": outputs["arn"]},
        form=lower_tag_list,
        names=("tags", "tagKeys"),
    )
    return made(outputs, inputs, "arn")


TYPES: dict[str, ResourceType] = {
    "aws:codepipeline/pipeline:Pipeline": ResourceType(
        _create_pipeline,
        delete_by_id("codepipeline", "delete_pipeline", "name"),
        _update_pipeline,
        NAME,
        fields("name roleArn pipelineType executionMode stages artifactStores variables tags"),
        NAME,
        reader=Reader(
            _find_pipeline,
            Terms(
                {
                    "pipelineType": "V1",
                    "executionMode": "SUPERSEDED",
                    "stages.actions.runOrder": 1,
                }
            ),
        ),
    ),
}
