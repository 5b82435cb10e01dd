"""Policy variables, and the operators of conditions that compare more than texts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from moto.iam.aws_managed_policies import aws_managed_policies_data

from localcloud.iam.policy import Verdict, evaluate, parse
from localcloud.iam.policy_text import variables_in

GUIDE = "https://docs.aws.amazon.com/IAM/latest/UserGuide"
variables = pytest.mark.aws_documented(f"{GUIDE}/reference_policies_variables.html")
operators = pytest.mark.aws_documented(
    f"{GUIDE}/reference_policies_elements_condition_operators.html"
)
CONTEXT = {
    "aws:username": ["ana"],
    "aws:PrincipalTag/team": ["ml:ops"],
    "aws:TagKeys": ["a", "b"],
    "aws:odd": ["a*"],
}


def allowed(resource: str, called: str, version: str = "2012-10-17", **more: Any) -> bool:
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": resource, **more}
    statements = parse({"Version": version, "Statement": statement})
    return evaluate(statements, "s3:GetObject", called, CONTEXT) is Verdict.ALLOWED


@variables
@pytest.mark.parametrize(
    ("pattern", "called", "expected"),
    [
        ("arn:x/${aws:username}/*", "arn:x/ana/file", True),
        ("arn:x/${aws:username}/*", "arn:x/bob/file", False),
        ("arn:x/${AWS:UserName}", "arn:x/ana", True),
        ("arn:x/${aws:PrincipalTag/team}-?", "arn:x/ml:ops-1", True),
        ("arn:x/${aws:missing}", "arn:x/", False),
        ("arn:x/${aws:missing, 'none'}", "arn:x/none", True),
        ("arn:x/${aws:username, 'none'}", "arn:x/ana", True),
        ("arn:x/${aws:missing,''}", "arn:x/", True),
        # A key with several values has no single one.
        ("arn:x/${aws:TagKeys}", "arn:x/a", False),
        ("arn:x/${*}", "arn:x/*", True),
        ("arn:x/${*}", "arn:x/a", False),
        ("arn:x/${?}${$}", "arn:x/?$", True),
        ("arn:x/${?}", "arn:x/a", False),
        # A wildcard in a value is a character.
        ("arn:x/${aws:odd}", "arn:x/a*", True),
        ("arn:x/${aws:odd}", "arn:x/ab", False),
    ],
)
def test_a_variable_stands_for_the_value_of_the_request(
    pattern: str, called: str, expected: bool
) -> None:
    assert allowed(pattern, called) == expected


@variables
def test_the_older_version_has_no_variables() -> None:
    for version in ("2008-10-17", ""):
        assert not allowed("arn:x/${aws:username}", "arn:x/ana", version)
        assert allowed("arn:x/${aws:username}", "arn:x/${aws:username}", version)
        condition = {"StringEquals": {"aws:username": "${aws:username}"}}
        assert not allowed("*", "arn:x", version, Condition=condition)
    assert allowed("*", "arn:x", Condition={"StringEquals": {"aws:username": "${aws:username}"}})


@variables
def test_a_condition_may_have_variables() -> None:
    def holds(operator: str, wanted: str, actual: str) -> bool:
        statement: dict[str, Any] = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        statement["Condition"] = {operator: {"a:key": wanted}}
        statements = parse({"Version": "2012-10-17", "Statement": statement})
        context = {**CONTEXT, "a:key": [actual]}
        return evaluate(statements, "a:B", "*", context) is Verdict.ALLOWED

    assert holds("StringLike", "${aws:username}-*", "ana-1")
    assert holds("StringNotEquals", "${aws:username}", "bob")
    assert not holds("StringNotEquals", "${aws:username}", "ana")
    assert holds("StringEqualsIgnoreCase", "x${aws:username}", "XANA")
    assert holds("ArnLike", "arn:aws:s3:::${aws:username}", "arn:aws:s3:::ana")
    assert not holds("ArnLike", "arn:aws:s3:::${aws:missing}", "arn:aws:s3:::ana")
    assert holds("StringEquals", "${*}", "*")


def test_the_keys_of_variables_are_known() -> None:
    text = "${aws:username}/${*}/${aws:PrincipalTag/a, 'b'}"
    assert variables_in(text) == ["aws:username", "aws:PrincipalTag/a"]


@operators
@pytest.mark.parametrize(
    ("operator", "wanted", "actual", "expected"),
    [
        ("StringEqualsIgnoreCase", "Ab", ["aB"], True),
        ("StringNotEqualsIgnoreCase", "Ab", ["aB"], False),
        ("StringNotEqualsIgnoreCase", "Ab", ["c"], True),
        ("StringNotLike", "a*", ["ab"], False),
        ("StringNotLike", "a*", ["b"], True),
        ("NumericEquals", "10", ["10.0"], True),
        ("NumericEquals", "10", ["x"], False),
        ("NumericNotEquals", "10", ["11"], True),
        ("NumericLessThan", "10", ["9"], True),
        ("NumericLessThan", "10", ["10"], False),
        ("NumericLessThanEquals", 10, ["10"], True),
        ("NumericGreaterThan", "10", ["10"], False),
        ("NumericGreaterThan", "10", ["11"], True),
        ("NumericGreaterThanEquals", "10", ["10"], True),
        ("DateEquals", "2026-01-02T00:00:00Z", ["2026-01-02"], True),
        ("DateEquals", "2026-01-02T00:00:00Z", ["1767312000"], True),
        ("DateNotEquals", "2026-01-02T00:00:00Z", ["1767312001"], True),
        ("DateLessThan", "2026-01-02T00:00:00Z", ["2026-01-01T23:59:59Z"], True),
        ("DateLessThan", "2026-01-02T00:00:00Z", ["2026-01-02T00:00:00Z"], False),
        ("DateLessThanEquals", "2026-01-02T00:00:00Z", ["2026-01-02T00:00:00Z"], True),
        ("DateGreaterThan", "2026-01-02T00:00:00Z", ["2026-01-02T00:00:00Z"], False),
        ("DateGreaterThan", "2026-01-02T00:00:00Z", ["2026-01-02T01:00:00+00:00"], True),
        ("DateGreaterThanEquals", "2026-01-02T00:00:00Z", ["2026-01-02T00:00:00Z"], True),
        ("DateGreaterThan", "2026-01-02T00:00:00Z", ["soon"], False),
        ("BinaryEquals", "QmluYXJ5", ["QmluYXJ5"], True),
        ("BinaryEquals", "QmluYXJ5", ["QmluYXJ6"], False),
        ("BinaryEquals", "not base64!", ["not base64!"], False),
        ("IpAddress", "203.0.113.0/24", ["203.0.113.7"], True),
        ("IpAddress", "203.0.113.0/24", ["203.0.114.7"], False),
        ("IpAddress", "2001:db8::/32", ["2001:db8::1"], True),
        ("IpAddress", "203.0.113.7", ["203.0.113.7"], True),
        ("IpAddress", "nowhere", ["203.0.113.7"], False),
        ("NotIpAddress", "203.0.113.0/24", ["203.0.113.7"], False),
        ("NotIpAddress", "203.0.113.0/24", [], True),
        ("ArnNotLike", "arn:aws:iam::*:role/x", ["arn:aws:iam::1:role/x"], False),
        ("ArnNotEquals", "arn:aws:iam::1:role/x", ["arn:aws:iam::1:role/y"], True),
        ("Null", "true", [], True),
        ("Null", "true", ["a"], False),
        ("Null", "false", ["a"], True),
        ("Null", False, [], False),
        ("NumericLessThanIfExists", "10", [], True),
    ],
)
def test_an_operator_compares_what_it_is_for(
    operator: str, wanted: Any, actual: list[str], expected: bool
) -> None:
    statement: dict[str, Any] = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    statement["Condition"] = {operator: {"a:key": wanted}}
    statements = parse({"Version": "2012-10-17", "Statement": statement})
    context = {"a:key": actual} if actual else {}
    assert (evaluate(statements, "a:B", "*", context) is Verdict.ALLOWED) == expected


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/aws-managed-policy/latest/reference/policy-list.html"
)
def test_every_policy_that_aws_manages_can_be_evaluated() -> None:
    policies = json.loads(aws_managed_policies_data)
    assert len(policies) > 1000
    for name, policy in policies.items():
        statements = parse(policy["Document"])
        assert statements, name
        for resource in ("*", "arn:aws:s3:::bucket/key"):
            assert evaluate(statements, "s3:GetObject", resource, CONTEXT) in Verdict
