"""Evaluation of policies: AWS's rules by example, and properties against small models."""

from __future__ import annotations

import json
from itertools import product
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.iam.policy import (
    PolicyError,
    Verdict,
    evaluate,
    parse,
)
from localcloud.iam.policy_text import wildcard_matches

pytestmark = pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html"
)

ARN = "arn:aws:s3:::bucket/key"
ALLOWED, IMPLICIT, EXPLICIT = Verdict.ALLOWED, Verdict.IMPLICIT_DENY, Verdict.EXPLICIT_DENY


def statement(effect: str = "Allow", **rest: Any) -> dict[str, Any]:
    if not {"Action", "NotAction"} & rest.keys():
        rest["Action"] = "s3:GetObject"
    if not {"Resource", "NotResource"} & rest.keys():
        rest["Resource"] = "*"
    return {"Effect": effect, **rest}


def verdict(
    *statements: dict[str, Any],
    action: str = "s3:GetObject",
    resource: str | None = ARN,
    **context: list[str],
) -> Verdict:
    named = {key.replace("_", ":"): values for key, values in context.items()}
    return evaluate(parse({"Statement": list(statements)}), action, resource, named)


@pytest.mark.parametrize("document", ["[" * 5000, '{"Statement":' * 5000, "[]", "{", "1"])
def test_a_document_that_is_no_policy_is_refused(document: str) -> None:
    with pytest.raises(PolicyError, match="the policy document is malformed"):
        parse(document)


def test_what_nothing_allows_is_denied() -> None:
    assert verdict() == IMPLICIT
    assert verdict(statement(Action="s3:PutObject")) == IMPLICIT


def test_a_deny_wins_wherever_it_stands() -> None:
    allow, deny = statement(), statement("Deny", Action="s3:*")
    assert verdict(allow, deny) == verdict(deny, allow) == EXPLICIT


def test_the_names_of_actions_are_not_case_sensitive_and_resources_are() -> None:
    assert verdict(statement(Action="S3:getobject")) == ALLOWED
    assert verdict(statement(Resource=ARN.upper())) == IMPLICIT


def test_not_action_is_every_other_action() -> None:
    others = statement(NotAction=["s3:Get*"])
    assert verdict(others) == IMPLICIT
    assert verdict(others, action="s3:PutObject") == ALLOWED


def test_not_resource_is_every_other_resource() -> None:
    others = statement("Deny", NotResource="arn:aws:s3:::bucket/*")
    assert verdict(statement(), others) == ALLOWED
    assert verdict(statement(), others, resource="arn:aws:s3:::other/key") == EXPLICIT


def test_an_unknown_resource_is_allowed_by_any_and_denied_by_all() -> None:
    assert verdict(statement(Resource=ARN), resource=None) == ALLOWED
    narrow, wide = statement("Deny", Resource=ARN), statement("Deny")
    assert verdict(statement(Resource=ARN), narrow, resource=None) == ALLOWED
    assert verdict(statement(Resource=ARN), wide, resource=None) == EXPLICIT


@pytest.mark.parametrize(
    ("operator", "wanted", "actual", "holds"),
    [
        ("StringEquals", "a", ["a"], True),
        ("StringEquals", ["b", "a"], ["a"], True),
        ("StringEquals", "a", ["A"], False),
        ("StringEquals", "a", [], False),
        ("StringEqualsIfExists", "a", [], True),
        ("StringEqualsIfExists", "a", ["b"], False),
        ("StringNotEquals", "a", ["b"], True),
        ("StringNotEquals", ["b", "a"], ["a"], False),
        ("StringNotEquals", "a", [], True),
        ("StringLike", "a*", ["abc"], True),
        ("StringLike", "a?", ["abc"], False),
        ("ArnLike", "arn:aws:iam::*:role/x-*", ["arn:aws:iam::1:role/x-y"], True),
        ("ArnEquals", "arn:aws:iam::1:role/x", ["arn:aws:iam::1:role/x"], True),
        ("ArnLike", "arn:aws:*", ["arn:aws:iam::1:role/x"], False),
        ("ArnEquals", "arn:aws:*", ["arn:aws:iam::1:role/x"], False),
        ("ArnEquals", "arn:aws:*::1:role/*", ["arn:aws:iam::1:role/x"], True),
        # What follows the fifth colon is one part, with its own colons.
        ("ArnLike", "arn:aws:logs:*:1:log-group:x*", ["arn:aws:logs:a:1:log-group:x:y"], True),
        ("ArnLike", "arn:aws:logs:*:1:log-group:x", ["arn:aws:logs:a:1:log-group:x:y"], False),
        ("ArnLike", "arn:aws:logs:*:log-group:x", ["arn:aws:logs:a:1:log-group:x"], False),
        ("ArnLike", "arn:aws:iam::1:role/x", ["not an ARN"], False),
        ("Bool", "true", ["True"], True),
        ("Bool", True, ["true"], True),
        ("Bool", "false", ["true"], False),
        # JSON's own values stand for their text.
        ("StringEquals", True, ["true"], True),
        ("StringEquals", [False, 7], ["7"], True),
        ("Bool", "false", [], False),
        ("ForAnyValue:StringEquals", "a", ["b", "a"], True),
        ("ForAnyValue:StringEquals", "a", [], False),
        ("ForAnyValue:StringEquals", "a", ["b"], False),
        ("ForAllValues:StringEquals", ["a", "b"], ["a", "b"], True),
        ("ForAllValues:StringEquals", "a", ["a", "b"], False),
        ("ForAllValues:StringEquals", "a", [], True),
        ("ForAnyValue:StringNotEquals", "a", ["a", "b"], True),
        ("ForAllValues:StringNotEquals", "a", ["a", "b"], False),
        ("ForAllValues:StringLike", ["a*"], ["ab", "ac"], True),
    ],
)
def test_a_condition_holds_as_its_operator_says(
    operator: str, wanted: Any, actual: list[str], holds: bool
) -> None:
    found = verdict(
        statement(Condition={operator: {"kms:ViaService": wanted}}), KMS_viaservice=actual
    )
    assert found == (ALLOWED if holds else IMPLICIT)


def test_every_condition_of_a_statement_must_hold() -> None:
    both = statement(Condition={"StringEquals": {"a:x": "1", "a:y": "2"}, "Bool": {"a:z": "true"}})
    assert verdict(both, a_x=["1"], a_y=["2"], a_z=["true"]) == ALLOWED
    assert verdict(both, a_x=["1"], a_y=["3"], a_z=["true"]) == IMPLICIT
    assert verdict(both, a_x=["1"], a_y=["2"]) == IMPLICIT


@pytest.mark.parametrize(
    ("broken", "word"),
    [
        (statement(Condition={"NumberLessThan": {"a:x": "1"}}), "NumberLessThan"),
        (statement(Condition={"ForSomeValue:StringEquals": {"a:x": "1"}}), "ForSomeValue"),
        (statement(Principal={"Robot": "x"}), "Robot"),
        (statement(Principal="x"), "Principal is 'x'"),
        (statement(NotAction="s3:PutObject", Action="s3:GetObject"), "Action or NotAction"),
        (statement("Permit"), "'Permit'"),
        ({"Effect": "Allow", "Action": "s3:GetObject"}, "Resource or NotResource"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_by_name(broken: dict[str, Any], word: str) -> None:
    with pytest.raises(PolicyError, match=word.replace("$", r"\$")):
        parse({"Statement": broken})


def test_an_operator_that_aws_does_not_have_is_refused_with_those_that_it_has() -> None:
    with pytest.raises(PolicyError) as caught:
        parse({"Statement": statement(Condition={"DateBefore": {"a:x": "1"}})})
    said = str(caught.value)
    assert said.startswith("the condition operator DateBefore does not exist; those that do are: S")
    assert said.endswith(", Null, with IfExists, ForAnyValue: and ForAllValues:")


def test_a_document_may_be_text_and_a_statement_stand_alone() -> None:
    document = {"Statement": statement(Resource=[ARN])}
    assert parse(json.dumps(document)) == parse(document)
    assert parse({"Statement": [statement(Resource=ARN)]}) == parse(document)


def test_a_document_that_is_not_a_policy_is_refused() -> None:
    for document in ("not JSON", "[]", "{}"):
        with pytest.raises(PolicyError, match="malformed"):
            parse(document)


ACTIONS = st.sampled_from(["s3:Get*", "s3:GetObject", "s3:*", "s3:PutObject", "*"])
RESOURCES = st.sampled_from(["*", ARN, "arn:aws:s3:::bucket/*", "arn:aws:s3:::other/?"])
CONDITIONS = st.sampled_from(
    [{}, {"Bool": {"a:x": "true"}}, {"StringNotEquals": {"a:y": "1"}}, {"StringLike": {"a:y": "*"}}]
)
CONTEXTS = st.fixed_dictionaries(
    {}, optional={"a:x": st.just(["true"]), "a:y": st.lists(st.sampled_from("12"), max_size=2)}
)


@st.composite
def statements(draw: st.DrawFn) -> dict[str, Any]:
    action = draw(st.sampled_from(["Action", "NotAction"]))
    resource = draw(st.sampled_from(["Resource", "NotResource"]))
    return {
        "Effect": draw(st.sampled_from(["Allow", "Deny"])),
        action: draw(st.lists(ACTIONS, min_size=1, max_size=2)),
        resource: draw(st.lists(RESOURCES, min_size=1, max_size=2)),
        "Condition": draw(CONDITIONS),
    }


CALLS = st.tuples(st.sampled_from(["s3:GetObject", "s3:PutObject"]), st.sampled_from([ARN, None]))


@given(st.lists(statements(), max_size=4), CALLS, CONTEXTS)
def test_a_deny_of_everything_always_wins(
    some: list[dict[str, Any]], call: tuple[str, str | None], context: dict[str, list[str]]
) -> None:
    policies = parse({"Statement": [*some, statement("Deny", Action="*")]})
    assert evaluate(policies, *call, context) == EXPLICIT


@given(st.lists(statements(), max_size=4), statements(), CALLS, CONTEXTS)
def test_another_allow_never_takes_a_permission_away(
    some: list[dict[str, Any]],
    more: dict[str, Any],
    call: tuple[str, str | None],
    context: dict[str, list[str]],
) -> None:
    before = evaluate(parse({"Statement": some}), *call, context)
    after = evaluate(parse({"Statement": [*some, more | {"Effect": "Allow"}]}), *call, context)
    assert after == (ALLOWED if before == ALLOWED else after)
    assert (after == EXPLICIT) == (before == EXPLICIT)


@given(st.lists(statements(), max_size=4), CALLS, CONTEXTS, st.randoms(use_true_random=False))
def test_the_order_of_statements_does_not_matter(
    some: list[dict[str, Any]],
    call: tuple[str, str | None],
    context: dict[str, list[str]],
    dice: Random,
) -> None:
    shuffled = dice.sample(some, len(some))
    expected = evaluate(parse({"Statement": some}), *call, context)
    assert expected == evaluate(parse({"Statement": shuffled}), *call, context)


def model_matches(pattern: str, text: str) -> bool:
    """Match as one would by hand: a star takes any number of characters, tried one by one."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(model_matches(pattern[1:], text[skip:]) for skip in range(len(text) + 1))
    return bool(text) and pattern[0] in ("?", text[0]) and model_matches(pattern[1:], text[1:])


def test_wildcards_agree_with_a_simple_model() -> None:
    patterns = ["".join(p) for n in range(4) for p in product("ab*?", repeat=n)]
    texts = ["".join(t) for n in range(4) for t in product("ab", repeat=n)]
    for pattern, text in product(patterns, texts):
        assert model_matches(pattern, text) == wildcard_matches(pattern, text), (pattern, text)


@given(st.text("a*?.[\n", max_size=6), st.text("a.[\n*", max_size=6))
def test_only_the_two_wildcards_are_special(pattern: str, text: str) -> None:
    assert model_matches(pattern, text) == wildcard_matches(pattern, text)
