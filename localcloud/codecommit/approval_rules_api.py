"""Approval rule templates, and the repositories that they are associated with.

A template says how many people must approve a pull request into its branches. Nothing is merged
here, so that nothing is approved: pull requests are refused by name.

Source: https://docs.aws.amazon.com/codecommit/latest/userguide/approval-rule-templates.html
"""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from localcloud.aws.errors import AwsError
from localcloud.aws.pagination import page
from localcloud.aws.protocol import operation
from localcloud.aws.routing import Scope
from localcloud.codecommit.api import exists
from localcloud.core.store import Collection
from localcloud.service_context import ServiceContext

_VERSION = "2018-11-08"
_PARTS = {"Version", "DestinationReferences", "Statements"}
_PARTS_OF_STATEMENT = {"Type", "NumberOfApprovalsNeeded", "ApprovalPoolMembers"}
_BRANCH = "refs/heads/"
_PAGE = 1000
# https://docs.aws.amazon.com/codecommit/latest/userguide/limits.html
_MOST_TEMPLATES = 1000
_MOST_OF_REPOSITORY = 25


@dataclass(slots=True)
class ApprovalRuleTemplate:
    """One template; its repositories by name."""

    id: str
    name: str
    content: str
    description: str
    created: datetime
    changed: datetime
    changed_by: str
    repositories: list[str] = field(default_factory=list)


class ApprovalRulesApi:
    """The operations on approval rule templates."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._templates = Collection(
            context.database, "codecommit-approval-rule-template", ApprovalRuleTemplate
        )

    @operation("CreateApprovalRuleTemplate")
    def create_template(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        name, content = params["approvalRuleTemplateName"], params["approvalRuleTemplateContent"]
        _check_content(content)
        self._require_free(scope, name)
        if len(self._of(scope)) >= _MOST_TEMPLATES:
            raise AwsError(
                "NumberOfRuleTemplatesExceededException",
                f"The region has {_MOST_TEMPLATES} approval rule templates, which is the most.",
            )
        now = self._context.clock.now()
        template = ApprovalRuleTemplate(
            str(uuid.uuid4()),
            name,
            content,
            params.get("approvalRuleTemplateDescription", ""),
            now,
            now,
            f"arn:aws:iam::{scope.account}:root",
        )
        self._templates.put(_key(scope, name), template)
        return {"approvalRuleTemplate": _view(template)}

    @operation("GetApprovalRuleTemplate")
    def get_template(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        return {"approvalRuleTemplate": _view(self._found(scope, params))}

    @operation("ListApprovalRuleTemplates")
    def list_templates(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        names = [template.name for template in self._of(scope)]
        return _page("approvalRuleTemplateNames", names, params)

    @operation("DeleteApprovalRuleTemplate")
    def delete_template(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        name = params["approvalRuleTemplateName"]
        template = self._templates.get(_key(scope, name))
        if template is None:  # which AWS does not mind
            return {"approvalRuleTemplateId": ""}
        if template.repositories:
            raise AwsError(
                "ApprovalRuleTemplateInUseException",
                f"The approval rule template {name} is associated with "
                f"{', '.join(template.repositories)}; disassociate it first.",
            )
        self._templates.delete(_key(scope, name))
        return {"approvalRuleTemplateId": template.id}

    @operation("UpdateApprovalRuleTemplateContent")
    def update_content(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        template = self._found(scope, params)
        _check_content(params["newRuleContent"])
        given = params.get("existingRuleContentSha256")
        if given not in (None, _digest(template.content)):
            raise AwsError(
                "InvalidRuleContentSha256Exception",
                "The SHA-256 of the existing content is another one: the template has changed.",
            )
        template.content = params["newRuleContent"]
        return self._changed(scope, template)

    @operation("UpdateApprovalRuleTemplateDescription")
    def update_description(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        template = self._found(scope, params)
        template.description = params["approvalRuleTemplateDescription"]
        return self._changed(scope, template)

    @operation("UpdateApprovalRuleTemplateName")
    def update_name(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        old, new = params["oldApprovalRuleTemplateName"], params["newApprovalRuleTemplateName"]
        template = self._found(scope, {"approvalRuleTemplateName": old})
        if old != new:
            self._require_free(scope, new)
            self._templates.delete(_key(scope, old))
            template.name = new
        return self._changed(scope, template)

    @operation("AssociateApprovalRuleTemplateWithRepository")
    async def associate(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        repository = await self._repository(scope, params)
        template = self._found(scope, params)
        associated = self._associated(scope, repository)
        if template not in associated and len(associated) >= _MOST_OF_REPOSITORY:
            raise AwsError(
                "MaximumRuleTemplatesAssociatedWithRepositoryException",
                f"{repository} has {_MOST_OF_REPOSITORY} approval rule templates, which is the "
                "most.",
            )
        if repository not in template.repositories:
            template.repositories = sorted([*template.repositories, repository])
            self._templates.put(_key(scope, template.name), template)
        return {}

    @operation("DisassociateApprovalRuleTemplateFromRepository")
    async def disassociate(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        repository = await self._repository(scope, params)
        template = self._found(scope, params)
        if repository in template.repositories:
            template.repositories.remove(repository)
            self._templates.put(_key(scope, template.name), template)
        return {}

    @operation("ListAssociatedApprovalRuleTemplatesForRepository")
    async def list_of_repository(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        repository = await self._repository(scope, params)
        names = [template.name for template in self._associated(scope, repository)]
        return _page("approvalRuleTemplateNames", names, params)

    @operation("ListRepositoriesForApprovalRuleTemplate")
    def list_repositories(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        return _page("repositoryNames", self._found(scope, params).repositories, params)

    def forget(self, scope: Scope, repository: str) -> None:
        """Remove a deleted repository from the templates."""
        for template in self._associated(scope, repository):
            template.repositories.remove(repository)
            self._templates.put(_key(scope, template.name), template)

    def _of(self, scope: Scope) -> list[ApprovalRuleTemplate]:
        prefix = _key(scope, "")
        return [template for key, template in self._templates.items() if key.startswith(prefix)]

    def _associated(self, scope: Scope, repository: str) -> list[ApprovalRuleTemplate]:
        return [t for t in self._of(scope) if repository in t.repositories]

    def _found(self, scope: Scope, params: dict[str, Any]) -> ApprovalRuleTemplate:
        name = params["approvalRuleTemplateName"]
        template = self._templates.get(_key(scope, name))
        if template is None:
            raise AwsError(
                "ApprovalRuleTemplateDoesNotExistException",
                f"There is no approval rule template {name} in {scope.region}.",
            )
        return template

    def _require_free(self, scope: Scope, name: str) -> None:
        if _key(scope, name) in self._templates:
            raise AwsError(
                "ApprovalRuleTemplateNameAlreadyExistsException",
                f"There is an approval rule template {name} in {scope.region} already.",
            )

    def _changed(self, scope: Scope, template: ApprovalRuleTemplate) -> dict[str, Any]:
        template.changed = self._context.clock.now()
        template.changed_by = f"arn:aws:iam::{scope.account}:root"
        self._templates.put(_key(scope, template.name), template)
        return {"approvalRuleTemplate": _view(template)}

    async def _repository(self, scope: Scope, params: dict[str, Any]) -> str:
        name: str = params["repositoryName"]
        if not await self._context.moto.call(exists, scope, name):
            raise AwsError("RepositoryDoesNotExistException", f"{name} does not exist")
        return name


def _key(scope: Scope, name: str) -> str:
    return f"{scope.account}/{scope.region}/{name}"


def _digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def _page(member: str, names: list[str], params: dict[str, Any]) -> dict[str, Any]:
    limit = params.get("maxResults", _PAGE)
    if limit < 1:
        raise AwsError("InvalidMaxResultsException", f"maxResults is {limit}; it must be above 0.")
    shown, token = page(
        sorted(names), str, params.get("nextToken"), limit, "InvalidContinuationTokenException"
    )
    return {member: shown, **({"nextToken": token} if token else {})}


def _view(template: ApprovalRuleTemplate) -> dict[str, Any]:
    return {
        "approvalRuleTemplateId": template.id,
        "approvalRuleTemplateName": template.name,
        "approvalRuleTemplateDescription": template.description,
        "approvalRuleTemplateContent": template.content,
        "ruleContentSha256": _digest(template.content),
        "lastModifiedDate": template.changed,
        "creationDate": template.created,
        "lastModifiedUser": template.changed_by,
    }


def _check_content(content: str) -> None:
    """Refuse a content that is not a rule.

    Raises:
        AwsError: InvalidApprovalRuleTemplateContentException.
    """
    problem = _problem(content)
    if problem is not None:
        raise AwsError(
            "InvalidApprovalRuleTemplateContentException", f"The content of the rule: {problem}."
        )


def _problem(content: str) -> str | None:
    try:
        rule = json.loads(content)
    except (ValueError, RecursionError):
        return "it is not JSON"
    if not isinstance(rule, dict) or not set(rule) <= _PARTS:
        return f"it must be an object of {', '.join(sorted(_PARTS))}"
    if rule.get("Version") != _VERSION:
        return f"Version must be {_VERSION}"
    references = rule.get("DestinationReferences", [])
    if not isinstance(references, list) or not all(
        isinstance(reference, str) and reference.startswith(_BRANCH) for reference in references
    ):
        return f"DestinationReferences must be a list of branches, {_BRANCH}NAME"
    statements = rule.get("Statements")
    if not isinstance(statements, list) or len(statements) != 1:
        return "Statements must be a list of one statement"
    return _statement_problem(statements[0])


def _statement_problem(statement: Any) -> str | None:
    if not isinstance(statement, dict) or not set(statement) <= _PARTS_OF_STATEMENT:
        return f"a statement is an object of {', '.join(sorted(_PARTS_OF_STATEMENT))}"
    if statement.get("Type") != "Approvers":
        return "the Type of a statement must be Approvers"
    needed = statement.get("NumberOfApprovalsNeeded")
    if not isinstance(needed, int) or isinstance(needed, bool) or needed < 1:
        return "NumberOfApprovalsNeeded must be a whole number of at least 1"
    members = statement.get("ApprovalPoolMembers", [])
    if not isinstance(members, list) or not all(isinstance(m, str) and m for m in members):
        return "ApprovalPoolMembers must be a list of ARNs or names"
    return None
