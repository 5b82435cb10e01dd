"""Conditions on keys of which the request carries several values, or which the policy lists."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.iam.policy import Context, Statement, Verdict, evaluate, parse

GUIDE = "https://docs.aws.amazon.com/IAM/latest/UserGuide"
quantified = pytest.mark.aws_documented(
    f"{GUIDE}/reference_policies_condition-single-vs-multi-valued-context-keys.html"
)
negated = pytest.mark.aws_documented(
    f"{GUIDE}/reference_policies_condition-logic-multiple-context-keys-or-values.html"
)

WORDS = st.lists(st.sampled_from("abc"), max_size=3)
LISTED = st.lists(st.sampled_from("abc"), min_size=1, max_size=2)


def holds(operator: str, listed: list[str], carried: list[str]) -> bool:
    """Return whether an Allow on this condition allows a request with these values of the key."""
    conditions = {operator: {"aws:TagKeys": listed}}
    statement: dict[str, Any] = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    statements = parse({"Statement": {**statement, "Condition": conditions}})
    context = {"aws:TagKeys": carried} if carried else {}
    return evaluate(statements, "ec2:CreateTags", "arn:x", context) is Verdict.ALLOWED


@quantified
@given(LISTED, WORDS)
def test_for_all_values_holds_when_no_value_of_the_request_is_against_it(
    listed: list[str], carried: list[str]
) -> None:
    every = set(carried) <= set(listed)
    assert holds("ForAllValues:StringEquals", listed, carried) == every
    assert holds("ForAllValues:StringEqualsIfExists", listed, carried) == every
    none = set(carried).isdisjoint(listed)
    assert holds("ForAllValues:StringNotEquals", listed, carried) == none


@quantified
@given(LISTED, WORDS)
def test_for_any_value_holds_when_one_value_of_the_request_is_for_it(
    listed: list[str], carried: list[str]
) -> None:
    some = not set(carried).isdisjoint(listed)
    assert holds("ForAnyValue:StringEquals", listed, carried) == some
    other = not set(carried) <= set(listed)
    assert holds("ForAnyValue:StringNotEquals", listed, carried) == other
    if_exists = holds("ForAnyValue:StringNotEqualsIfExists", listed, carried)
    assert if_exists == (other or not carried)


@negated
@given(LISTED, st.sampled_from("abc"))
def test_a_negated_operator_holds_for_a_value_that_is_none_of_those_listed(
    listed: list[str], carried: str
) -> None:
    assert holds("StringNotEquals", listed, [carried]) == (carried not in listed)
    assert holds("StringEquals", listed, [carried]) == (carried in listed)


# AWS's pages say of several values in a request only that they need a quantifier.
@pytest.mark.emulator_only
@given(LISTED, st.lists(st.sampled_from("abc"), min_size=1, max_size=3))
def test_without_a_quantifier_a_negated_operator_holds_for_every_value_and_others_for_one(
    listed: list[str], carried: list[str]
) -> None:
    assert holds("StringEquals", listed, carried) == (not set(carried).isdisjoint(listed))
    assert holds("StringNotEquals", listed, carried) == set(carried).isdisjoint(listed)


@pytest.mark.aws_documented(f"{GUIDE}/reference_policies_elements_condition_operators.html")
def test_if_exists_is_apart_from_the_operator() -> None:
    statement = {"Effect": "Deny", "Action": "a:B", "Resource": "*"}
    conditions = {"ForAnyValue:StringLikeIfExists": {"a:key": ["x", True]}}
    (parsed,) = parse({"Statement": [{**statement, "Condition": conditions}]})
    assert isinstance(parsed, Statement)
    (condition,) = parsed.conditions
    assert (condition.operator, condition.quantifier) == ("StringLike", "ForAnyValue")
    assert (condition.if_exists, condition.key) == (True, "a:key")
    assert condition.values == ("x", "true")
    present: Context = {"A:KEY": ["y"]}
    assert [condition.holds(context) for context in (present, {})] == [False, True]
