"""The rule of a composite alarm: what it says, and when its actions are held back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.cloudwatch.composite_rule import (
    AlarmRuleError,
    AllOf,
    AnyOf,
    Constant,
    InState,
    Not,
    Rule,
    alarms_of,
    holds,
    parse,
    suppressed_by,
)

pytestmark = pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html"
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
STATES = {"hot": "ALARM", "cold": "OK", "new": "INSUFFICIENT_DATA", "with space": "ALARM"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ALARM(hot)", True),
        ("OK(hot)", False),
        ("OK(cold)", True),
        ("INSUFFICIENT_DATA(new)", True),
        ('ALARM("with space")', True),
        ('ALARM("arn:aws:cloudwatch:us-east-1:000000000000:alarm:hot")', True),
        ("ALARM(arn:aws:cloudwatch:us-east-1:000000000000:alarm:cold)", False),
        ("TRUE", True),
        ("FALSE", False),
        ("NOT ALARM(hot)", False),
        ("NOT (ALARM(cold) OR OK(hot))", True),
        ("TRUE OR TRUE AND FALSE", True),
        ("(TRUE OR TRUE) AND FALSE", False),
        ("NOT FALSE AND FALSE", False),
        ("  ALARM ( hot )\n AND\tNOT ALARM( cold ) ", True),
        ("ALARM(gone) OR OK(gone) OR INSUFFICIENT_DATA(gone)", False),
    ],
)
def test_a_rule_says_what_its_alarms_states_make_of_it(text: str, expected: bool) -> None:
    assert expected == holds(parse(text), STATES.get)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is missing before 'the end'"),
        ("ALARM", r"'\(' is missing"),
        ("ALARM()", "name is missing"),
        ("ALARM(a", r"'\)' is missing"),
        ("ALARM(a) ALARM(b)", "after the rule's end"),
        ("ALARM(a) OR", "is missing before 'the end'"),
        ("AT_LEAST(1, ALARM, (a))", "cannot be read|AT_LEAST"),
        ("alarm(a)", "'alarm' is not a function"),
        ('ALARM("a)', "cannot be read"),
        ("(" * 200 + "TRUE" + ")" * 200, "too deeply"),
    ],
)
def test_a_rule_that_cannot_be_read_is_refused_with_the_place(text: str, reason: str) -> None:
    with pytest.raises(AlarmRuleError, match=reason):
        parse(text)


names = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=8)
rules: st.SearchStrategy[Rule] = st.recursive(
    st.builds(Constant, st.booleans())
    | st.builds(InState, st.sampled_from(["ALARM", "OK", "INSUFFICIENT_DATA"]), names),
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(AllOf, st.lists(inner, min_size=2, max_size=3).map(tuple))
        | st.builds(AnyOf, st.lists(inner, min_size=2, max_size=3).map(tuple))
    ),
    max_leaves=8,
)


def written(rule: Rule) -> str:
    match rule:
        case Constant(value):
            return "TRUE" if value else "FALSE"
        case InState(state, alarm):
            escaped = alarm.replace("\\", "\\\\").replace('"', '\\"')
            return f'{state}("{escaped}")'
        case Not(part):
            return f"NOT ({written(part)})"
        case AllOf(parts):
            return " AND ".join(f"({written(part)})" for part in parts)
        case AnyOf(parts):
            return " OR ".join(f"({written(part)})" for part in parts)


@given(rules)
def test_a_rule_is_read_as_it_was_written(rule: Rule) -> None:
    assert rule == parse(written(rule))


@given(rules, st.dictionaries(names, st.sampled_from(["ALARM", "OK", "INSUFFICIENT_DATA"])))
def test_a_rule_looks_at_its_own_alarms_and_no_others(rule: Rule, states: dict[str, str]) -> None:
    asked: set[str] = set()

    def state_of(name: str) -> str | None:
        asked.add(name)
        return states.get(name)

    assert holds(Not(rule), state_of) is not holds(rule, state_of)
    assert asked <= alarms_of(rule)


@pytest.mark.parametrize(
    ("changed", "state", "left", "expected"),
    [
        (0, "ALARM", None, "Alarm"),
        (600, "ALARM", 10, "Alarm"),
        (30, "OK", None, "WaitPeriod"),
        (60, "OK", None, None),
        (600, "OK", 90, "ExtensionPeriod"),
        (600, "OK", 120, None),
        (600, None, None, None),
    ],
)
def test_a_suppressor_holds_actions_back_while_on_before_and_after(
    changed: int, state: str | None, left: int | None, expected: str | None
) -> None:
    found = suppressed_by(
        NOW,
        NOW - timedelta(seconds=changed),
        state,
        None if left is None else NOW - timedelta(seconds=left),
        wait_seconds=60,
        extension_seconds=120,
    )
    assert expected == found
