"""CodeCommit repositories and CodeBuild projects."""

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
    only,
    renamed,
    split_id,
    tag_map,
    tags_of,
    update_tags,
)

# Inputs whose Pulumi name differs from CodeBuild's.
_PROJECT_NAMES = {
    "buildTimeout": "timeoutInMinutes",
    "queuedTimeout": "queuedTimeoutInMinutes",
}


_COMPUTED = ("repositoryId", "cloneUrlHttp", "cloneUrlSsh")


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
        **only(metadata, _COMPUTED),
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
    return made(outputs, inputs, "arn", *_COMPUTED)


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
    # AWS keeps what is not named.
    emptied = {"description": ""} if outputs.get("description") else {}
    aws.call("codebuild", "update_project", **{**emptied, **_project(inputs)})
    return {**inputs, "arn": id_}


def _find_repository(aws: Aws, id_: str, known: Inputs) -> Answer:
    del known
    found = aws.ask("codecommit", "get_repository", repositoryName=id_)["repositoryMetadata"]
    tags = aws.ask("codecommit", "list_tags_for_resource", resourceArn=found["arn"]).get("tags")
    inputs = {
        "repositoryName": id_,
        "description": found.get("repositoryDescription"),
        "kmsKeyId": found.get("kmsKeyId"),
        "tags": tags,
    }
    return inputs, only(found, ("arn", *_COMPUTED))


# Parts of a project that AWS computes.
_PROJECT_STATE = fields("arn created lastModified badge webhook projectVisibility")


def _find_project(aws: Aws, id_: str, known: Inputs) -> Answer | None:
    del known
    found = aws.ask("codebuild", "batch_get_projects", names=[id_.rpartition("/")[2]])["projects"]
    if not found:
        return None
    (project,) = found
    arn = project["arn"]
    inputs = renamed(
        {key: value for key, value in project.items() if key not in _PROJECT_STATE}, _PROJECT_NAMES
    )
    return {**inputs, "tags": tags_of(inputs.get("tags"))}, {"arn": arn}


def _create_template(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
    template = aws.call(
        "codecommit",
        "create_approval_rule_template",
        approvalRuleTemplateName=inputs["name"],
        approvalRuleTemplateContent=inputs["content"],
        approvalRuleTemplateDescription=inputs.get("description"),
    )["approvalRuleTemplate"]
    return inputs["name"], {**inputs, **_of_template(template)}


def _update_template(aws: Aws, id_: str, inputs: Inputs, outputs: Outputs) -> Outputs:
    del outputs
    aws.call(
        "codecommit",
        "update_approval_rule_template_description",
        approvalRuleTemplateName=id_,
        approvalRuleTemplateDescription=inputs.get("description", ""),
    )
    template = aws.call(
        "codecommit",
        "update_approval_rule_template_content",
        approvalRuleTemplateName=id_,
        newRuleContent=inputs["content"],
    )["approvalRuleTemplate"]
    return {**inputs, **_of_template(template)}


def _of_template(template: dict[str, Any]) -> Outputs:
    """Return the computed outputs of a template."""
    return only(template, ("approvalRuleTemplateId", "ruleContentSha256"))


def _find_template(aws: Aws, id_: str, known: Inputs) -> Answer:
    del known
    template = aws.ask("codecommit", "get_approval_rule_template", approvalRuleTemplateName=id_)[
        "approvalRuleTemplate"
    ]
    inputs = {
        "name": id_,
        "content": template["approvalRuleTemplateContent"],
        "description": template.get("approvalRuleTemplateDescription") or None,
    }
    return inputs, _of_template(template)


def _association_id(inputs: Inputs) -> str:
    return f"{inputs['approvalRuleTemplateName']},{inputs['repositoryName']}"


def _associate(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
    aws.call("codecommit", "associate_approval_rule_template_with_repository", **inputs)
    return _association_id(inputs), inputs


def _disassociate(aws: Aws, id_: str, outputs: Outputs) -> None:
    del outputs
    aws.call(
        "codecommit",
        "disassociate_approval_rule_template_from_repository",
        **_association(id_),
    )


def _association(id_: str) -> Inputs:
    template, repository = split_id(id_, ",", "TEMPLATE,REPOSITORY")
    return {"approvalRuleTemplateName": template, "repositoryName": repository}


def _find_association(aws: Aws, id_: str, known: Inputs) -> Answer | None:
    del known
    inputs = _association(id_)
    found = aws.ask(
        "codecommit",
        "list_associated_approval_rule_templates_for_repository",
        repositoryName=inputs["repositoryName"],
    )["approvalRuleTemplateNames"]
    return (inputs, {}) if inputs["approvalRuleTemplateName"] in found else None


_ASSOCIATION = fields("approvalRuleTemplateName repositoryName")


TYPES: dict[str, ResourceType] = {
    "aws:codecommit/approvalRuleTemplate:ApprovalRuleTemplate": ResourceType(
        _create_template,
        delete_by_id("codecommit", "delete_approval_rule_template", "approvalRuleTemplateName"),
        _update_template,
        NAME,
        fields("name content description"),
        NAME,
        frozenset({"ruleContentSha256"}),
        key=lambda inputs: str(inputs["name"]),
        reader=Reader(_find_template),
    ),
    "aws:codecommit/approvalRuleTemplateAssociation:ApprovalRuleTemplateAssociation": ResourceType(
        _associate,
        _disassociate,
        replace_on=_ASSOCIATION,
        accepts=_ASSOCIATION,
        name_inputs=_ASSOCIATION,
        key=_association_id,
        reader=Reader(_find_association),
    ),
    "aws:codecommit/repository:Repository": ResourceType(
        _create_repository,
        delete_by_id("codecommit", "delete_repository", "repositoryName"),
        _update_repository,
        frozenset({"repositoryName"}),
        fields("repositoryName description kmsKeyId tags"),
        fields("repositoryName"),
        reader=Reader(_find_repository, Terms(filled=fields("kmsKeyId"))),
    ),
    "aws:codebuild/project:Project": ResourceType(
        _create_project,
        delete_by_id("codebuild", "delete_project", "name"),
        _update_project,
        NAME,
        name_inputs=NAME,
        reader=Reader(
            _find_project,
            Terms(
                {
                    "buildTimeout": 60,
                    "queuedTimeout": 480,
                    "logsConfig.cloudwatchLogs.status": "ENABLED",
                    "logsConfig.s3Logs.status": "DISABLED",
                    "environment.imagePullCredentialsType": "CODEBUILD",
                    "environment.environmentVariables.type": "PLAINTEXT",
                    "cache.type": "NO_CACHE",
                    "cache": {"type": "NO_CACHE"},
                    "artifacts.packaging": "NONE",
                },
                fields("encryptionKey sourceVersion"),
            ),
        ),
    ),
}
