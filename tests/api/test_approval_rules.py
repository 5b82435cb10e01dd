"""CodeCommit's approval rule templates and the repositories that they are associated with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud import ACCOUNT, TestCloud

TEMPLATES = "https://docs.aws.amazon.com/codecommit/latest/userguide/approval-rule-templates.html"
LIMITS = "https://docs.aws.amazon.com/codecommit/latest/userguide/limits.html"
STATEMENT = {"Type": "Approvers", "NumberOfApprovalsNeeded": 2}
RULE: dict[str, Any] = {
    "Version": "2018-11-08",
    "DestinationReferences": ["refs/heads/main"],
    "Statements": [STATEMENT],
}
_numbers = count(1)


@pytest.fixture
def codecommit(cloud: TestCloud) -> Iterator[Any]:
    client = cloud.client("codecommit")
    yield client
    for repository in client.list_repositories()["repositories"]:
        client.delete_repository(repositoryName=repository["repositoryName"])
    for name in client.list_approval_rule_templates()["approvalRuleTemplateNames"]:
        client.delete_approval_rule_template(approvalRuleTemplateName=name)


@pytest.fixture
def template(codecommit: Any) -> str:
    name = f"rule-{next(_numbers)}"
    create(codecommit, name)
    return name


def create(codecommit: Any, name: str, **rule: Any) -> dict[str, Any]:
    answer = codecommit.create_approval_rule_template(
        approvalRuleTemplateName=name, approvalRuleTemplateContent=json.dumps({**RULE, **rule})
    )
    return dict(answer["approvalRuleTemplate"])


def associated(codecommit: Any, template: str) -> list[str]:
    answer = codecommit.list_repositories_for_approval_rule_template(
        approvalRuleTemplateName=template
    )
    return list(answer["repositoryNames"])


@pytest.mark.botocore_modelled
def test_a_template_is_made_read_and_changed(codecommit: Any, template: str) -> None:
    found = codecommit.get_approval_rule_template(approvalRuleTemplateName=template)[
        "approvalRuleTemplate"
    ]
    content = json.dumps(RULE)
    digest = hashlib.sha256(content.encode()).hexdigest()
    assert (found["approvalRuleTemplateContent"], found["ruleContentSha256"]) == (content, digest)
    assert found["lastModifiedUser"] == f"arn:aws:iam::{ACCOUNT}:root"
    new = json.dumps({**RULE, "Statements": [{**STATEMENT, "NumberOfApprovalsNeeded": 1}]})
    with pytest.raises(ClientError, match="InvalidRuleContentSha256Exception"):
        codecommit.update_approval_rule_template_content(
            approvalRuleTemplateName=template, newRuleContent=new, existingRuleContentSha256="0"
        )
    codecommit.update_approval_rule_template_content(
        approvalRuleTemplateName=template, newRuleContent=new, existingRuleContentSha256=digest
    )
    codecommit.update_approval_rule_template_description(
        approvalRuleTemplateName=template, approvalRuleTemplateDescription="One is enough"
    )
    changed = codecommit.update_approval_rule_template_name(
        oldApprovalRuleTemplateName=template, newApprovalRuleTemplateName="renamed"
    )["approvalRuleTemplate"]
    assert (changed["approvalRuleTemplateName"], changed["approvalRuleTemplateContent"]) == (
        "renamed",
        new,
    )
    assert changed["approvalRuleTemplateDescription"] == "One is enough"
    assert changed["approvalRuleTemplateId"] == found["approvalRuleTemplateId"]
    with pytest.raises(ClientError, match="ApprovalRuleTemplateDoesNotExistException"):
        codecommit.get_approval_rule_template(approvalRuleTemplateName=template)


@pytest.mark.aws_documented(TEMPLATES)
def test_a_template_in_use_is_not_deleted_and_goes_with_no_repository(
    codecommit: Any, template: str
) -> None:
    for name in ("one", "two"):
        codecommit.create_repository(repositoryName=name)
        for _ in range(2):  # twice is once
            codecommit.associate_approval_rule_template_with_repository(
                approvalRuleTemplateName=template, repositoryName=name
            )
    assert associated(codecommit, template) == ["one", "two"]
    with pytest.raises(ClientError, match="is associated with one, two"):
        codecommit.delete_approval_rule_template(approvalRuleTemplateName=template)
    codecommit.delete_repository(repositoryName="one")
    # Another repository of the same name has no rule.
    codecommit.create_repository(repositoryName="one")
    of_one = codecommit.list_associated_approval_rule_templates_for_repository(repositoryName="one")
    assert of_one["approvalRuleTemplateNames"] == []
    assert associated(codecommit, template) == ["two"]
    codecommit.disassociate_approval_rule_template_from_repository(
        approvalRuleTemplateName=template, repositoryName="two"
    )
    deleted = codecommit.delete_approval_rule_template(approvalRuleTemplateName=template)
    assert len(deleted["approvalRuleTemplateId"]) == 36


@pytest.mark.aws_documented(LIMITS)
def test_a_repository_has_at_most_25_templates(codecommit: Any) -> None:
    codecommit.create_repository(repositoryName="ruled")
    names = [f"many-{number:02}" for number in range(26)]
    for name in names:
        create(codecommit, name)
    for name in names[:25]:
        codecommit.associate_approval_rule_template_with_repository(
            approvalRuleTemplateName=name, repositoryName="ruled"
        )
    with pytest.raises(ClientError, match="MaximumRuleTemplatesAssociatedWithRepository"):
        codecommit.associate_approval_rule_template_with_repository(
            approvalRuleTemplateName=names[25], repositoryName="ruled"
        )
    first = codecommit.list_associated_approval_rule_templates_for_repository(
        repositoryName="ruled", maxResults=20
    )
    rest = codecommit.list_associated_approval_rule_templates_for_repository(
        repositoryName="ruled", nextToken=first["nextToken"]
    )
    assert first["approvalRuleTemplateNames"] + rest["approvalRuleTemplateNames"] == names[:25]


@pytest.mark.aws_documented(TEMPLATES)
@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"Version": "2012-10-17"}, "Version must be 2018-11-08"),
        ({"DestinationReferences": ["main"]}, "must be a list of branches, refs/heads/NAME"),
        ({"Statements": []}, "must be a list of one statement"),
        ({"Statements": [{**STATEMENT, "Type": "Owners"}]}, "must be Approvers"),
        ({"Statements": [{**STATEMENT, "NumberOfApprovalsNeeded": 0}]}, "of at least 1"),
        ({"Statements": [{**STATEMENT, "NumberOfApprovalsNeeded": True}]}, "of at least 1"),
        ({"Statements": [{**STATEMENT, "ApprovalPoolMembers": [1]}]}, "a list of ARNs or names"),
        ({"Statements": [{**STATEMENT, "Needed": 1}]}, "a statement is an object of"),
        ({"Else": 1}, "it must be an object of DestinationReferences, Statements, Version"),
    ],
)
def test_a_content_that_is_no_rule_is_refused(
    codecommit: Any, rule: dict[str, Any], said: str
) -> None:
    with pytest.raises(ClientError, match=said) as error:
        create(codecommit, "wrong", **rule)
    assert error.value.response["Error"]["Code"] == "InvalidApprovalRuleTemplateContentException"


@pytest.mark.botocore_modelled
def test_what_is_not_there_or_taken_is_said_in_the_models_errors(
    codecommit: Any, template: str
) -> None:
    with pytest.raises(ClientError, match="ApprovalRuleTemplateNameAlreadyExistsException"):
        create(codecommit, template)
    with pytest.raises(ClientError, match="RepositoryDoesNotExistException"):
        codecommit.associate_approval_rule_template_with_repository(
            approvalRuleTemplateName=template, repositoryName="nowhere"
        )
    with pytest.raises(ClientError, match="not JSON"):
        codecommit.create_approval_rule_template(
            approvalRuleTemplateName="text", approvalRuleTemplateContent="{"
        )
    with pytest.raises(ClientError, match="InvalidMaxResultsException"):
        codecommit.list_approval_rule_templates(maxResults=0)


@pytest.mark.emulator_only
def test_pull_requests_are_refused_by_name(codecommit: Any) -> None:
    with pytest.raises(ClientError, match="ListPullRequests") as error:
        codecommit.list_pull_requests(repositoryName="any")
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
