"""The decision on a call from policies of several kinds, by AWS's documented cases."""

from __future__ import annotations

from typing import Any

import pytest

from localcloud.iam.decision import Policies, ResourcePolicy, decide, trusts
from localcloud.iam.policy import Statement, parse
from localcloud.iam.principals import Caller

GUIDE = "https://docs.aws.amazon.com/IAM/latest/UserGuide"
pytestmark = pytest.mark.aws_documented(
    f"{GUIDE}/reference_policies_evaluation-logic_policy-eval-basics.html"
)

ACCOUNT, OTHER = "111111111111", "222222222222"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/r"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/r/s"
USER = f"arn:aws:iam::{ACCOUNT}:user/u"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/k"
AS_ROLE, AS_USER = Caller(ACCOUNT, ROLE, SESSION), Caller(ACCOUNT, USER)


def policy(effect: str = "Allow", principal: Any = None, **more: Any) -> tuple[Statement, ...]:
    entry: dict[str, Any] = {"Effect": effect, "Action": "kms:*", "Resource": "*", **more}
    if principal is not None:
        entry["Principal"] = principal
    return parse({"Version": "2012-10-17", "Statement": [entry]})


ALLOW, DENY = policy(), policy("Deny")


def said(
    policies: Policies, on_resource: ResourcePolicy | None = None, caller: Caller = AS_ROLE
) -> str:
    """Return `allowed`, or the reason of a denial."""
    found = decide(policies, on_resource or ResourcePolicy(), caller, "kms:Decrypt", KEY, {})
    return found.reason or str(found.verdict)


def owned(*statements: Statement, account: str = ACCOUNT, decisive: bool = False) -> ResourcePolicy:
    return ResourcePolicy(account, statements, decisive)


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        (Policies(), "because no identity-based policy allows the kms:Decrypt action"),
        (Policies(ALLOW), "allowed"),
        (Policies(ALLOW, boundary=ALLOW, session=ALLOW), "allowed"),
        (Policies((), boundary=ALLOW), "because no identity-based policy allows the kms:Decrypt"),
        (Policies(ALLOW, boundary=()), "because no permissions boundary allows the kms:Decrypt"),
        (Policies(ALLOW, session=()), "because no session policy allows the kms:Decrypt action"),
        (Policies((*ALLOW, *DENY)), "with an explicit deny in an identity-based policy"),
        (Policies(ALLOW, boundary=DENY), "with an explicit deny in a permissions boundary"),
        (Policies(ALLOW, session=DENY), "with an explicit deny in a session policy"),
    ],
)
def test_every_policy_that_exists_has_to_allow_the_call(policies: Policies, expected: str) -> None:
    assert said(policies).startswith(expected)


@pytest.mark.parametrize(
    ("caller", "principal", "expected"),
    [
        (AS_ROLE, {"AWS": ROLE}, "allowed"),
        (AS_ROLE, {"AWS": [USER, SESSION]}, "allowed"),
        (AS_ROLE, "*", "allowed"),
        (AS_ROLE, {"AWS": "*"}, "allowed"),
        (AS_USER, {"AWS": USER}, "allowed"),
        (AS_ROLE, {"AWS": USER}, "because no identity-based"),
        # The account's own policies decide.
        (AS_ROLE, {"AWS": ROOT}, "because no identity-based"),
        (AS_ROLE, {"AWS": ACCOUNT}, "because no identity-based"),
        (AS_ROLE, {"Service": "kms.amazonaws.com"}, "because no identity-based"),
    ],
)
def test_a_policy_of_the_resource_that_names_the_caller_is_enough(
    caller: Caller, principal: Any, expected: str
) -> None:
    found = said(Policies(), owned(*policy(principal=principal)), caller)
    assert found.startswith(expected)


def test_only_a_session_or_a_user_that_is_named_is_beyond_the_boundary() -> None:
    bounded = Policies(boundary=(), session=())
    by_role, by_session = policy(principal={"AWS": ROLE}), policy(principal={"AWS": SESSION})
    assert said(bounded, owned(*by_role)).startswith("because no permissions boundary")
    assert said(bounded, owned(*by_session)) == "allowed"
    by_user = policy(principal={"AWS": USER})
    assert said(Policies(boundary=()), owned(*by_user), AS_USER) == "allowed"
    # An explicit deny is never overruled.
    assert said(Policies(boundary=DENY), owned(*by_session)).startswith("with an explicit deny")


def test_a_deny_of_the_resource_counts_for_whom_it_names() -> None:
    denied = "with an explicit deny in a resource-based policy"
    for principal in ("*", {"AWS": ROOT}, {"AWS": ROLE}):
        assert said(Policies(ALLOW), owned(*policy("Deny", principal))) == denied
    assert said(Policies(ALLOW), owned(*policy("Deny", {"AWS": USER}))) == "allowed"
    entry = {"Effect": "Deny", "NotPrincipal": {"AWS": [ROLE]}, "Action": "*", "Resource": "*"}
    others = parse({"Statement": entry})
    assert said(Policies(ALLOW), owned(*others)) == "allowed"
    assert said(Policies(ALLOW), owned(*others), AS_USER) == denied


def test_in_another_account_both_policies_have_to_allow() -> None:
    named = policy(principal={"AWS": ROLE})
    assert said(Policies(ALLOW), owned(*named, account=OTHER)) == "allowed"
    assert said(Policies(ALLOW), owned(*policy(principal={"AWS": ROOT}), account=OTHER)) == (
        "allowed"
    )
    assert said(Policies(), owned(*named, account=OTHER)).startswith("because no identity-based")
    assert said(Policies(ALLOW), owned(account=OTHER)).startswith("because no resource-based")


def test_the_policy_of_a_key_has_to_allow_its_own_account_too() -> None:
    by_account = policy(principal={"AWS": ROOT})
    assert said(Policies(ALLOW), owned(decisive=True)).startswith("because no resource-based")
    assert said(Policies(ALLOW), owned(*by_account, decisive=True)) == "allowed"
    assert said(Policies(), owned(*by_account, decisive=True)).startswith("because no identity")


def test_a_statement_without_a_principal_grants_nothing_on_a_resource() -> None:
    assert said(Policies(), owned(*ALLOW)).startswith("because no identity-based")


@pytest.mark.aws_documented(f"{GUIDE}/id_roles_update-role-trust-policy.html")
def test_a_role_trusts_the_services_that_its_trust_policy_names() -> None:
    def trusting(*statements: dict[str, Any]) -> tuple[Statement, ...]:
        return parse({"Version": "2012-10-17", "Statement": list(statements)})

    def statement(effect: str = "Allow", **more: Any) -> dict[str, Any]:
        principal = {"Service": ["sagemaker.amazonaws.com", "lambda.amazonaws.com"]}
        return {"Effect": effect, "Principal": principal, "Action": "sts:AssumeRole", **more}

    def by(service: str, *statements: dict[str, Any]) -> bool:
        context = {"aws:SourceAccount": [ACCOUNT]}
        return trusts(trusting(*statements), Caller("", "", service=service), context)

    assert by("sagemaker.amazonaws.com", statement())
    assert not by("codepipeline.amazonaws.com", statement())
    assert not by("sagemaker.amazonaws.com", statement(Action="sts:TagSession"))
    assert not by("sagemaker.amazonaws.com", statement(), statement("Deny"))
    assert not by("sagemaker.amazonaws.com", statement(Principal={"AWS": ROOT}))
    assert by("sagemaker.amazonaws.com", statement(Principal="*"))
    assert by("sagemaker.amazonaws.com", statement(Principal={"AWS": "*"}))
    own = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    other = {"StringEquals": {"aws:SourceAccount": OTHER}}
    assert by("lambda.amazonaws.com", statement(Condition=own))
    assert not by("lambda.amazonaws.com", statement(Condition=other))
