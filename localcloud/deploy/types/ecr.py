"""ECR: repositories of container images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from localcloud.deploy.reading import Terms
from localcloud.deploy.types.base import (
    Answer,
    Aws,
    Inputs,
    Outputs,
    Reader,
    ResourceType,
    fields,
    made,
    put,
    tag_list,
    tags_of,
    update_tags,
)


def _create_repository(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
    optional: dict[str, Any] = {}
    for name in ("imageTagMutability", "imageScanningConfiguration"):
        if name in inputs:
            optional[name] = inputs[name]
    encryption = inputs.get("encryptionConfigurations") or []
    if encryption:
        optional["encryptionConfiguration"] = encryption[0]
    answer = aws.call(
        "ecr", "create_repository", repositoryName=inputs["name"], tags=tag_list(inputs), **optional
    )
    repository = answer["repository"]
    return inputs["name"], {
        **inputs,
        "arn": repository["repositoryArn"],
        "registryId": repository["registryId"],
        "repositoryUrl": _url(aws, inputs["name"]),
    }


def _url(aws: Aws, name: str) -> str:
    return f"{aws.account}.dkr.ecr.{aws.region}.amazonaws.com/{name}"


def _find_repository(aws: Aws, id_: str, known: Inputs) -> Answer:
    del known
    (found,) = aws.ask("ecr", "describe_repositories", repositoryNames=[id_])["repositories"]
    arn = found["repositoryArn"]
    tags = aws.ask("ecr", "list_tags_for_resource", resourceArn=arn).get("tags")
    encryption = found.get("encryptionConfiguration")
    inputs = {
        "name": id_,
        "imageTagMutability": found["imageTagMutability"],
        "imageScanningConfiguration": found.get("imageScanningConfiguration"),
        "encryptionConfigurations": [encryption] if encryption else [],
        "tags": tags_of(tags),
    }
    computed = {"arn": arn, "registryId": found["registryId"], "repositoryUrl": _url(aws, id_)}
    return inputs, computed


def _find_policy(operation: str, member: str) -> Callable[[Aws, str, Inputs], Answer]:
    def find(aws: Aws, id_: str, known: Inputs) -> Answer:
        del known
        found = aws.ask("ecr", operation, repositoryName=id_)
        return {"repository": id_, "policy": found[member]}, {}

    return find


def _update_repository(aws: Aws, id_: str, inputs: Inputs, outputs: Outputs) -> Outputs:
    aws.call(
        "ecr",
        "put_image_tag_mutability",
        repositoryName=id_,
        imageTagMutability=inputs.get("imageTagMutability", "MUTABLE"),
    )
    aws.call(
        "ecr",
        "put_image_scanning_configuration",
        repositoryName=id_,
        imageScanningConfiguration=inputs.get("imageScanningConfiguration")
        or {"scanOnPush": False},
    )
    update_tags(
        aws, "ecr", outputs, inputs, of={"resourceArn": outputs["arn"]}, names=("tags", "tagKeys")
    )
    return made(outputs, inputs, "arn", "registryId", "repositoryUrl")


def _delete_repository(aws: Aws, id_: str, outputs: Outputs) -> None:
    force = bool(outputs.get("forceDelete"))
    aws.call("ecr", "delete_repository", repositoryName=id_, force=force)


TYPES: dict[str, ResourceType] = {
    "aws:ecr/repository:Repository": ResourceType(
        _create_repository,
        _delete_repository,
        _update_repository,
        fields("name encryptionConfigurations"),
        fields(
            "name imageTagMutability imageScanningConfiguration encryptionConfigurations "
            "forceDelete tags"
        ),
        fields("name"),
        reader=Reader(
            _find_repository,
            Terms(
                {
                    "imageTagMutability": "MUTABLE",
                    "imageScanningConfiguration": {"scanOnPush": False},
                    "encryptionConfigurations": [{"encryptionType": "AES256"}],
                },
                unread=fields("forceDelete"),
            ),
        ),
    ),
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": put(
        "ecr",
        "put_lifecycle_policy",
        lambda i: {"repositoryName": i["repository"], "lifecyclePolicyText": i["policy"]},
        lambda i: str(i["repository"]),
        delete="delete_lifecycle_policy",
        delete_parameters=lambda o: {"repositoryName": o["repository"]},
        # As the provider does, whose lifecycle policy cannot be updated.
        replace_on=fields("repository policy"),
        accepts="repository policy",
        name_inputs="repository",
        find=_find_policy("get_lifecycle_policy", "lifecyclePolicyText"),
    ),
    "aws:ecr/repositoryPolicy:RepositoryPolicy": put(
        "ecr",
        "set_repository_policy",
        lambda i: {"repositoryName": i["repository"], "policyText": i["policy"]},
        lambda i: str(i["repository"]),
        delete="delete_repository_policy",
        delete_parameters=lambda o: {"repositoryName": o["repository"]},
        replace_on=fields("repository"),
        accepts="repository policy",
        find=_find_policy("get_repository_policy", "policyText"),
    ),
}
