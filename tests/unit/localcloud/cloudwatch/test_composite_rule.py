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
        ("", "a function, TRUE or FALSE is missing before 'the end'"),
        ("ALARM", "'(' is missing before 'the end'"),
        ("ALARM TRUE", "'(' is missing before 'TRUE'"),
        ("ALARM()", "an alarm's name is missing"),
        ("ALARM(", "an alarm's name is missing"),
        ("ALARM(a", "')' is missing before 'the end'"),
        ("(TRUE", "')' is missing before 'the end'"),
        ("ALARM(a) ALARM(b)", "'ALARM' comes after the rule's end"),
        ("TRUE)", "')' comes after the rule's end"),
        ("ALARM(a) OR", "a function, TRUE or FALSE is missing before 'the end'"),
        ('"a"', "a function, TRUE or FALSE is missing before '\"a\"'"),
        ("AT_LEAST(1, ALARM, (a))", "', ALARM, (a))' cannot be read"),
        ("TRUE , and what follows it", "' , and what follows ' cannot be read"),
        ('ALARM("a)', "'\"a)' cannot be read"),
        (
            "alarm(a)",
            "'alarm' is not a function here; the functions are: "
            "ALARM, OK, INSUFFICIENT_DATA, TRUE, FALSE",
        ),
    ],
)
def test_a_rule_that_cannot_be_read_is_refused_with_the_place(text: str, reason: str) -> None:
    with pytest.raises(AlarmRuleError) as caught:
        parse(text)
    assert reason == str(caught.value)


@pytest.mark.parametrize(
    ("element", "joined", "elements"),
    [
        ("TRUE", " OR ", 1),
        ("NOT FALSE", " AND ", 1),
        ("ALARM(a)", " OR ", 1),
        ('NOT INSUFFICIENT_DATA("a b")', " AND ", 1),
        ("(TRUE)", " OR ", 2),
        ("NOT (NOT OK(a))", " OR ", 2),
    ],
)
def test_a_rule_has_at_most_five_hundred_elements(element: str, joined: str, elements: int) -> None:
    most = 500 // elements
    assert isinstance(parse(joined.join([element] * most)), AllOf | AnyOf)
    with pytest.raises(AlarmRuleError, match=r"^a rule has at most 500 elements$"):
        parse(joined.join([element] * (most + 1)))


def test_a_rule_names_at_most_a_hundred_alarms_each_of_them_as_often_as_it_likes() -> None:
    hundred = [f"ALARM(a{number})" for number in range(100)]
    assert 100 == len(alarms_of(parse(" OR ".join([*hundred, *hundred]))))
    with pytest.raises(AlarmRuleError, match=r"^a rule names at most 100 alarms; this one names"):
        parse(" OR ".join([*hundred, "ALARM(another)"]))


@pytest.mark.parametrize(("opened", "closed"), [("(", ")"), ("NOT ", ""), ("NOT (", ")")])
def test_a_rule_is_nested_a_hundred_times_at_most(opened: str, closed: str) -> None:
    most = 100 // opened.replace("NOT ", "(").count("(")
    parse(opened * most + "TRUE" + closed * most)
    with pytest.raises(AlarmRuleError, match=r"^the rule is nested too deeply$"):
        parse(opened * (most + 1) + "TRUE" + closed * (most + 1))


@pytest.mark.parametrize(
    ("written", "alarm"),
    [
        ("arn:aws:cloudwatch:us-east-1:000000000000:alarm:hot", "hot"),
        ('"arn:aws:cloudwatch:us-east-1:000000000000:alarm:a:alarm:b"', "a:alarm:b"),
        ("a:alarm:b", "a:alarm:b"),  # not an ARN
        ("arn:aws:sns:us-east-1:000000000000:topic", "arn:aws:sns:us-east-1:000000000000:topic"),
        ('"say \\"hot\\" \\\\o/"', 'say "hot" \\o/'),
    ],
)
def test_an_alarm_is_named_by_its_name_or_its_arn(written: str, alarm: str) -> None:
    assert InState("OK", alarm) == parse(f"OK({written})")


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
