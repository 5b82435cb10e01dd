"""IAM's policy simulator, by boto3."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud import ACCOUNT, TRUST, TestCloud

pytestmark = pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html"
)

BUCKET = "arn:aws:s3:::simulated"


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def statement(*actions: str, effect: str = "Allow", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": list(actions), "Resource": "*", **more}


def decisions(answer: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (r["EvalActionName"], r["EvalResourceName"], r["EvalDecision"])
        for r in answer["EvaluationResults"]
    ]


def test_a_role_is_simulated_with_all_its_policies(cloud: TestCloud) -> None:
    iam = cloud.client("iam")
    role = iam.create_role(RoleName="simulated", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    inline = document(statement("s3:GetObject", Resource=f"{BUCKET}/*"))
    iam.put_role_policy(RoleName="simulated", PolicyName="inline", PolicyDocument=inline)
    managed = "arn:aws:iam::aws:policy/AmazonSageMakerFullAccess"
    iam.attach_role_policy(RoleName="simulated", PolicyArn=managed)
    answer = iam.simulate_principal_policy(
        PolicySourceArn=role,
        ActionNames=["s3:GetObject", "sagemaker:CreateTrainingJob", "iam:CreateUser"],
        ResourceArns=[f"{BUCKET}/a"],
    )
    assert [d for _, _, d in decisions(answer)] == ["allowed", "allowed", "implicitDeny"]
    everywhere = iam.simulate_principal_policy(
        PolicySourceArn=role, ActionNames=["sagemaker:CreateTrainingJob", "sagemaker:ListModels"]
    )
    assert {d for _, _, d in decisions(everywhere)} == {"allowed"}
    found = answer["EvaluationResults"][0]
    (matched,) = found["MatchedStatements"]
    assert (matched["SourcePolicyId"], matched["SourcePolicyType"]) == ("inline", "IAM Policy")
    assert matched["StartPosition"]["Line"] == 1
    assert inline[matched["StartPosition"]["Column"] - 1] == "{"
    (specific,) = found["ResourceSpecificResults"]
    assert specific["EvalResourceDecision"] == "allowed"
    iam.detach_role_policy(RoleName="simulated", PolicyArn=managed)
    iam.delete_role_policy(RoleName="simulated", PolicyName="inline")
    iam.delete_role(RoleName="simulated")


def test_a_user_has_the_policies_of_its_groups(cloud: TestCloud) -> None:
    iam = cloud.client("iam")
    user = iam.create_user(UserName="simulated")["User"]["Arn"]
    iam.create_group(GroupName="simulated")
    iam.put_group_policy(
        GroupName="simulated", PolicyName="g", PolicyDocument=document(statement("s3:Get*"))
    )
    actions = ["s3:GetObject", "s3:PutObject"]
    for joined in (True, False):
        change = iam.add_user_to_group if joined else iam.remove_user_from_group
        change(GroupName="simulated", UserName="simulated")
        answer = iam.simulate_principal_policy(PolicySourceArn=user, ActionNames=actions)
        first = "allowed" if joined else "implicitDeny"
        assert [d for _, _, d in decisions(answer)] == [first, "implicitDeny"]
    iam.delete_group_policy(GroupName="simulated", PolicyName="g")
    iam.delete_group(GroupName="simulated")
    iam.delete_user(UserName="simulated")


def test_a_role_may_do_no_more_than_its_boundary(cloud: TestCloud) -> None:
    iam = cloud.client("iam")
    boundary = iam.create_policy(
        PolicyName="simulated-boundary", PolicyDocument=document(statement("s3:GetObject"))
    )["Policy"]["Arn"]
    role = iam.create_role(
        RoleName="bounded", AssumeRolePolicyDocument=TRUST, PermissionsBoundary=boundary
    )["Role"]["Arn"]
    iam.put_role_policy(
        RoleName="bounded", PolicyName="p", PolicyDocument=document(statement("s3:*"))
    )
    answer = iam.simulate_principal_policy(
        PolicySourceArn=role, ActionNames=["s3:GetObject", "s3:PutObject"]
    )
    assert [d for _, _, d in decisions(answer)] == ["allowed", "implicitDeny"]
    limits = [
        r["PermissionsBoundaryDecisionDetail"]["AllowedByPermissionsBoundary"]
        for r in answer["EvaluationResults"]
    ]
    assert limits == [True, False]
    iam.delete_role_policy(RoleName="bounded", PolicyName="p")
    iam.delete_role(RoleName="bounded")
    iam.delete_policy(PolicyArn=boundary)


@pytest.mark.recordable
def test_policies_are_simulated_before_anyone_has_them(cloud: TestCloud) -> None:
    iam = cloud.client("iam")
    condition = {"StringEquals": {"aws:RequestTag/team": "ml"}}
    answer = iam.simulate_custom_policy(
        PolicyInputList=[
            document(statement("s3:*"), statement("s3:DeleteObject", effect="Deny")),
            document(statement("ec2:RunInstances", Condition=condition)),
        ],
        ActionNames=["s3:GetObject", "s3:DeleteObject", "ec2:RunInstances", "sqs:SendMessage"],
    )
    assert decisions(answer) == [
        ("s3:GetObject", "*", "allowed"),
        ("s3:DeleteObject", "*", "explicitDeny"),
        ("ec2:RunInstances", "*", "implicitDeny"),
        ("sqs:SendMessage", "*", "implicitDeny"),
    ]
    denied, missing = answer["EvaluationResults"][1:3]
    assert [m["SourcePolicyId"] for m in denied["MatchedStatements"]] == ["PolicyInputList.1"]
    assert missing["MissingContextValues"] == ["aws:RequestTag/team"]
    given = {
        "ContextKeyName": "aws:RequestTag/team",
        "ContextKeyValues": ["ml"],
        "ContextKeyType": "string",
    }
    answer = iam.simulate_custom_policy(
        PolicyInputList=[document(statement("ec2:RunInstances", Condition=condition))],
        ActionNames=["ec2:RunInstances"],
        ContextEntries=[given],
    )
    assert decisions(answer) == [("ec2:RunInstances", "*", "allowed")]
    assert answer["EvaluationResults"][0]["MissingContextValues"] == []


@pytest.mark.recordable
def test_the_policy_of_a_resource_is_simulated_for_a_caller(cloud: TestCloud) -> None:
    iam = cloud.client("iam")
    caller = f"arn:aws:iam::{ACCOUNT}:user/ana"
    resource = document(statement("s3:GetObject", Principal={"AWS": caller}))
    request = {
        "PolicyInputList": [document(statement("ec2:*"))],
        "ActionNames": ["s3:GetObject"],
        "ResourceArns": [f"{BUCKET}/a"],
        "ResourcePolicy": resource,
    }
    answer = iam.simulate_custom_policy(**request, CallerArn=caller)
    assert [d for _, _, d in decisions(answer)] == ["allowed"]
    other = iam.simulate_custom_policy(**request, CallerArn=f"arn:aws:iam::{ACCOUNT}:user/bob")
    assert [d for _, _, d in decisions(other)] == ["implicitDeny"]
    with pytest.raises(ClientError, match="CallerArn must be given"):
        iam.simulate_custom_policy(**request)


@pytest.mark.recordable
def test_the_results_come_in_pages(cloud: TestCloud) -> None:
    iam = cloud.client("iam")
    request = {
        "PolicyInputList": [document(statement("s3:*"))],
        "ActionNames": ["s3:GetObject", "s3:PutObject"],
        "ResourceArns": [f"{BUCKET}/{n}" for n in range(3)],
    }
    pages = list(
        iam.get_paginator("simulate_custom_policy").paginate(
            **request, PaginationConfig={"PageSize": 4}
        )
    )
    assert [len(page["EvaluationResults"]) for page in pages] == [4, 2]
    assert len({d for page in pages for d in decisions(page)}) == 6


def test_the_keys_that_policies_depend_on_are_listed(cloud: TestCloud) -> None:
    iam = cloud.client("iam")
    text = document(
        statement("s3:*", Condition={"Bool": {"aws:SecureTransport": "true"}}),
        statement("s3:*", Resource=f"{BUCKET}/${{aws:username}}/*"),
    )
    answer = iam.get_context_keys_for_custom_policy(PolicyInputList=[text])
    assert answer["ContextKeyNames"] == ["aws:SecureTransport", "aws:username"]
    role = iam.create_role(RoleName="keyed", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    iam.put_role_policy(RoleName="keyed", PolicyName="p", PolicyDocument=text)
    answer = iam.get_context_keys_for_principal_policy(PolicySourceArn=role)
    assert answer["ContextKeyNames"] == ["aws:SecureTransport", "aws:username"]
    iam.delete_role_policy(RoleName="keyed", PolicyName="p")
    iam.delete_role(RoleName="keyed")


@pytest.mark.parametrize(
    ("arn", "code", "text"),
    [
        (f"arn:aws:iam::{ACCOUNT}:role/nobody", "NoSuchEntity", "role with name nobody cannot"),
        (f"arn:aws:iam::{ACCOUNT}:user/x/nobody", "NoSuchEntity", "user with name nobody cannot"),
        (f"arn:aws:s3:::{ACCOUNT}:thing/long-enough", "InvalidInput", "must be the ARN of a user"),
    ],
)
def test_a_principal_that_is_not_there_is_refused(
    cloud: TestCloud, arn: str, code: str, text: str
) -> None:
    with pytest.raises(ClientError, match=text) as caught:
        cloud.client("iam").simulate_principal_policy(
            PolicySourceArn=arn, ActionNames=["s3:GetObject"]
        )
    assert caught.value.response["Error"]["Code"] == code


@pytest.mark.recordable
def test_a_policy_that_cannot_be_read_is_refused_by_its_place(cloud: TestCloud) -> None:
    with pytest.raises(ClientError, match=r"The policy PolicyInputList\.2 is not valid") as caught:
        cloud.client("iam").simulate_custom_policy(
            PolicyInputList=[document(statement("s3:*")), "{}"], ActionNames=["s3:GetObject"]
        )
    assert caught.value.response["Error"]["Code"] == "InvalidInput"


@pytest.mark.recordable
@pytest.mark.parametrize(
    ("entry", "missing"),
    [
        ({"ContextKeyType": "string", "ContextKeyValues": ["v"]}, "ContextKeyName"),
        ({"ContextKeyName": "aws:username", "ContextKeyValues": ["v"]}, "ContextKeyType"),
    ],
)
def test_a_context_entry_needs_its_name_and_its_type(
    cloud: TestCloud, entry: dict[str, Any], missing: str
) -> None:
    with pytest.raises(
        ClientError, match=f"InvalidInput.*ContextEntries.member.1 has no {missing}"
    ):
        cloud.client("iam").simulate_custom_policy(
            PolicyInputList=['{"Version": "2012-10-17", "Statement": []}'],
            ActionNames=["s3:GetObject"],
            ContextEntries=[entry],
        )
