"""Stack policies: what they allow, and what is none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from localcloud.cloudformation.stack_policies import StackPolicyError, check_policy, refusal

pytestmark = pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/protect-stack-resources.html"
)
TOPIC = "AWS::SNS::Topic"


def statement(effect: str = "Allow", **more: Any) -> dict[str, Any]:
    given = {"Effect": effect, "Principal": "*", **more}
    if "NotAction" not in given:
        given.setdefault("Action", "Update:*")
    if "NotResource" not in given:
        given.setdefault("Resource", "*")
    return given


def policy(*statements: dict[str, Any]) -> str:
    text = json.dumps({"Statement": list(statements)})
    check_policy(text)
    return text


DENIED = "Action denied by stack policy: Statement [#2] does not allow [{}] for resource [{}]"


@pytest.mark.parametrize(
    ("text", "action", "expected"),
    [
        (None, "Update:Modify", ""),
        ("{}", "Update:Modify", ""),
        (policy(statement()), "Update:Delete", ""),
        (
            policy(statement(Action="Update:Modify")),
            "Update:Replace",
            "Action not allowed by stack policy",
        ),
        (
            policy(statement(Resource="LogicalResourceId/Other")),
            "Update:Modify",
            "Action not allowed by stack policy",
        ),
        (
            policy(statement(), statement("Deny", Resource="LogicalResourceId/A*")),
            "Update:Modify",
            DENIED.format("Update:*", "LogicalResourceId/A*"),
        ),
        (
            policy(statement(), statement("Deny", Action=["Update:Replace", "Update:Delete"])),
            "Update:Delete",
            DENIED.format("Update:Replace, Update:Delete", "*"),
        ),
        (policy(statement(), statement("Deny", NotAction="Update:Modify")), "Update:Modify", ""),
        (
            policy(statement(), statement("Deny", NotResource="LogicalResourceId/A")),
            "Update:Modify",
            "",
        ),
        (
            policy(
                statement(),
                statement("Deny", Condition={"StringEquals": {"ResourceType": [TOPIC]}}),
            ),
            "Update:Modify",
            DENIED.format("Update:*", "*"),
        ),
        (
            policy(
                statement(),
                statement("Deny", Condition={"StringLike": {"ResourceType": "AWS::Logs::*"}}),
            ),
            "Update:Modify",
            "",
        ),
        (
            policy(
                statement(),
                statement("Deny", Condition={"StringEquals": {"ResourceType": "AWS::SNS::*"}}),
            ),
            "Update:Modify",
            "",
        ),
    ],
)
def test_a_policy_decides_about_an_update(text: str | None, action: str, expected: str) -> None:
    assert expected == refusal(text, action, "A", TOPIC)


@pytest.mark.parametrize(
    "text",
    [
        "text",
        "[]",
        '{"Statements": []}',
        '{"Statement": ["a"]}',
        json.dumps({"Statement": [statement("Maybe")]}),
        json.dumps({"Statement": [statement(Action="Delete:*")]}),
        json.dumps({"Statement": [statement(Action=[])]}),
        json.dumps({"Statement": [statement(Action=1)]}),
        json.dumps({"Statement": [statement(Resource="A")]}),
        json.dumps({"Statement": [statement(NotResource=["*"], Resource="*")]}),
        json.dumps({"Statement": [statement(Principal={"AWS": "arn:aws:iam::1:root"})]}),
        json.dumps({"Statement": [statement(Condition={"Bool": {"ResourceType": "a"}})]}),
        json.dumps({"Statement": [statement(Condition={"StringLike": {"Other": "a"}})]}),
        json.dumps({"Statement": [statement(Extra=1)]}),
        '{"Statement": ' + "[" * 5_000 + "]" * 5_000 + "}",
    ],
)
def test_what_is_no_policy_is_refused_in_awss_words(text: str) -> None:
    with pytest.raises(StackPolicyError) as caught:
        check_policy(text)
    assert str(caught.value) == "Error validating stack policy: Invalid stack policy"
