"""CodeCommit repositories and CodeBuild projects."""

from __future__ import annotations

from typing import Any

from localcloud.deploy.types.base import (
    NAME,
    Aws,
    Inputs,
    Outputs,
    ResourceType,
    delete_by_id,
    fields,
    lower_tag_list,
    made,
    tag_map,
    update_tags,
)

# Inputs whose Pulumi name differs from CodeBuild's.
_PROJECT_NAMES = {
    "buildTimeout": "timeoutInMinutes",
    "queuedTimeout": "queuedTimeoutInMinutes",
}


def _create_repository(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
    name = inputs["repositoryName"]
    metadata = aws.call(
        "codecommit",
        "create_repository",
        repositoryName=name,
        repositoryDescription=inputs.get("description"),
        kmsKeyId=inputs.get("kmsKeyId"),
        tags=tag_map(inputs) or None,
    )["repositoryMetadata"]
    return name, {
        **inputs,
        "arn": metadata["Arn"],
        "repositoryId": metadata["repositoryId"],
        "cloneUrlHttp": metadata["cloneUrlHttp"],
        "cloneUrlSsh": metadata["cloneUrlSsh"],
    }


def _update_repository(aws: Aws, id_: str, inputs: Inputs, outputs: Outputs) -> Outputs:
    if inputs.get("description") != outputs.get("description"):
        aws.call(
            "codecommit",
            "update_repository_description",
            repositoryName=id_,
            repositoryDescription=inputs.get("description", ""),
        )
    if inputs.get("kmsKeyId") != outputs.get("kmsKeyId"):
        aws.call(
            "codecommit",
            "update_repository_encryption_key",
            repositoryName=id_,
            kmsKeyId=inputs.get("kmsKeyId") or "alias/aws/codecommit",
        )
    update_tags(
        aws,
        "codecommit",
        outputs,
        inputs,
        of={"resourceArn": outputs["arn"]},
        form=tag_map,
        names=("tags", "tagKeys"),
    )
    return made(outputs, inputs, "arn", "repositoryId", "cloneUrlHttp", "cloneUrlSsh")


def _project(inputs: Inputs) -> dict[str, Any]:
    wanted = {_PROJECT_NAMES.get(key, key): value for key, value in inputs.items()}
    logs = {
        # The API requires a status; the provider enables every log that is configured.
        key: {"status": "ENABLED", **value}
        for key, value in (inputs.get("logsConfig") or {}).items()
    }
    return {**wanted, "logsConfig": logs or None, "tags": lower_tag_list(inputs)}


def _create_project(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
    arn = aws.call("codebuild", "create_project", **_project(inputs))["project"]["arn"]
    return arn, {**inputs, "arn": arn}


def _update_project(aws: Aws, id_: str, inputs: Inputs, outputs: Outputs) -> Outputs:
    del outputs
    aws.call("codebuild", "update_project", **_project(inputs))
    return {**inputs, "arn": id_}


TYPES: dict[str, ResourceType] = {
    "aws:codecommit/repository:Repository": ResourceType(
        _create_repository,
        delete_by_id("codecommit", "delete_repository", "repositoryName"),
        _update_repository,
        frozenset({"repositoryName"}),
        fields("repositoryName description kmsKeyId tags"),
        fields("repositoryName"),
    ),
    "aws:codebuild/project:Project": ResourceType(
        _create_project,
        delete_by_id("codebuild", "delete_project", "name"),
        _update_project,
        NAME,
        name_inputs=NAME,
    ),
}
