"""Policies as single grants: the same grants are no difference, however they are written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.review.permissions import Grant, grants_of

pytestmark = pytest.mark.emulator_only

ACTIONS, RESOURCES = ["s3:GetObject", "s3:PutObject", "kms:Decrypt"], ["arn:a", "arn:b", "*"]


def policy(*statements: dict[str, Any], role: str = "r") -> dict[str, Any]:
    return {
        "type": "aws:iam/rolePolicy:RolePolicy",
        "name": "p",
        "inputs": {"role": role, "policy": json.dumps({"Statement": list(statements)})},
    }


def allow(action: Any, resource: Any, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


@given(
    actions=st.lists(st.sampled_from(ACTIONS), min_size=1, unique=True),
    resources=st.lists(st.sampled_from(RESOURCES), min_size=1, unique=True),
)
def test_one_statement_and_many_grant_the_same(actions: list[str], resources: list[str]) -> None:
    one = grants_of([policy(allow(actions, resources))])
    many = grants_of([policy(*(allow(a, r) for r in reversed(resources) for a in actions))])
    assert one == many
    assert len(one["role r"]) == len(actions) * len(resources)


@pytest.mark.parametrize(
    "other",
    [
        allow("s3:GetObject", "arn:b"),
        allow("s3:PutObject", "arn:a"),
        {**allow("s3:GetObject", "arn:a"), "Effect": "Deny"},
        allow("s3:GetObject", "arn:a", Condition={"Bool": {"aws:SecureTransport": "true"}}),
        {"Effect": "Allow", "NotAction": "s3:GetObject", "Resource": "arn:a"},
        {"Effect": "Allow", "Action": "s3:GetObject", "NotResource": "arn:a"},
    ],
)
def test_whatever_is_allowed_otherwise_is_a_difference(other: dict[str, Any]) -> None:
    assert grants_of([policy(allow("s3:GetObject", "arn:a"))]) != grants_of([policy(other)])


def test_every_policy_of_a_stack_has_its_holder() -> None:
    trust = {"Statement": [{**allow("sts:AssumeRole", None), "Principal": {"Service": ["a", "b"]}}]}
    everyone = {"Statement": {**allow("s3:GetObject", "arn:a"), "Principal": "*"}}
    found = grants_of(
        [
            {
                "type": "aws:iam/role:Role",
                "name": "n",
                "inputs": {
                    "name": "r",
                    "assumeRolePolicy": json.dumps(trust),
                    "managedPolicyArns": ["arn:managed"],
                    "permissionsBoundary": "arn:boundary",
                },
            },
            {
                "type": "aws:s3/bucketPolicy:BucketPolicy",
                "name": "n",
                "inputs": {"bucket": "b", "policy": json.dumps(everyone)},
            },
            {"type": "aws:s3/bucket:Bucket", "name": "n", "inputs": {"bucket": "b"}},
        ]
    )
    assert found == {
        "role r": {
            Grant("Allow", "sts:AssumeRole", principal="a"),
            Grant("Allow", "sts:AssumeRole", principal="b"),
            Grant("Allow", "the managed policy arn:managed"),
            Grant("Deny", "all but the permissions boundary arn:boundary"),
        },
        "bucket b": {Grant("Allow", "s3:GetObject", "arn:a", "everyone")},
    }


@pytest.mark.parametrize("document", ["", "{", "[]", None, {"Statement": ["x"]}, 5])
def test_what_is_no_policy_grants_nothing(document: Any) -> None:
    made = {"type": "aws:iam/rolePolicy:RolePolicy", "name": "p"}
    assert grants_of([{**made, "inputs": {"role": "r", "policy": document}}]) == {}
