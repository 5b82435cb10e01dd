"""The rule of a composite alarm, and when its actions are suppressed. Pure.

    rule   := and ("OR" and)*          and := not ("AND" not)*          not := "NOT" not | part
    part   := "(" rule ")" | TRUE | FALSE | (ALARM | OK | INSUFFICIENT_DATA) "(" name ")"
    name   := without quotes, or "in quotes" with \\" and \\\\; an alarm's name or its ARN

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html
Differs: AT_LEAST is refused by name. A rule may name an alarm that does not exist, which then is in
no state; AWS refuses such a rule.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

STATES = ("ALARM", "OK", "INSUFFICIENT_DATA")
_TOKEN = re.compile(
    r'\s*(?:(?P<bracket>[()])|(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<word>[^\s()",]+))', re.DOTALL
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
# Elements are child alarms, TRUE or FALSE, and parentheses; a pair of these counts once.
_ELEMENTS = 500
_ALARMS = 100


class AlarmRuleError(ValueError):
    """A rule that is not valid; the message says where."""


@dataclass(frozen=True, slots=True)
class Constant:
    """TRUE or FALSE."""

    value: bool


@dataclass(frozen=True, slots=True)
class InState:
    """Condition that an alarm is in a state."""

    state: str
    alarm: str


@dataclass(frozen=True, slots=True)
class Not:
    """NOT."""

    part: Rule


@dataclass(frozen=True, slots=True)
class AllOf:
    """AND."""

    parts: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """OR."""

    parts: tuple[Rule, ...]


Rule = Constant | InState | Not | AllOf | AnyOf


def parse(text: str) -> Rule:
    """Parse a rule.

    Raises:
        AlarmRuleError: the text is not a valid rule.
    """
    parser = _Parser(text)
    rule = parser.either()
    parser.end()
    found = len(alarms_of(rule))
    if found > _ALARMS:
        raise AlarmRuleError(f"a rule names at most {_ALARMS} alarms; this one names {found}")
    return rule


def holds(rule: Rule, state_of: Callable[[str], str | None]) -> bool:
    """Return whether a rule is true.

    Args:
        rule: the parsed rule.
        state_of: returns the state of an alarm by its name, or None if there is no such alarm.
    """
    match rule:
        case Constant(value):
            return value
        case InState(state, alarm):
            return state_of(alarm) == state
        case Not(part):
            return not holds(part, state_of)
        case AllOf(parts):
            return all(holds(part, state_of) for part in parts)
        case AnyOf(parts):
            return any(holds(part, state_of) for part in parts)


def alarms_of(rule: Rule) -> set[str]:
    """Return the names of the alarms that a rule refers to."""
    match rule:
        case InState(_, alarm):
            return {alarm}
        case Not(part):
            return alarms_of(part)
        case AllOf(parts) | AnyOf(parts):
            return set().union(*(alarms_of(part) for part in parts))
        case _:
            return set()


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        self._next = 0
        self._elements = 0
        position, text = 0, text.rstrip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise AlarmRuleError(f"'{text[position : position + 20]}' cannot be read")
            kind = str(match.lastgroup)
            self._tokens.append((kind, match[kind]))
            position = match.end()

    def either(self, depth: int = 0) -> Rule:
        parts = [self._both(depth)]
        while self._take_word("OR"):
            parts.append(self._both(depth))
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def _both(self, depth: int) -> Rule:
        parts = [self._negated(depth)]
        while self._take_word("AND"):
            parts.append(self._negated(depth))
        return parts[0] if len(parts) == 1 else AllOf(tuple(parts))

    def _negated(self, depth: int) -> Rule:
        if depth > 100:
            raise AlarmRuleError("the rule is nested too deeply")
        if self._take_word("NOT"):
            return Not(self._negated(depth + 1))
        self._elements += 1
        if self._elements > _ELEMENTS:
            raise AlarmRuleError(f"a rule has at most {_ELEMENTS} elements")
        if self._peek() == ("bracket", "("):
            self._next += 1
            rule = self.either(depth + 1)
            self._expect(")")
            return rule
        kind, text = self._peek()
        if kind != "word":
            raise AlarmRuleError(f"a function, TRUE or FALSE is missing before '{text}'")
        self._next += 1
        if text in ("TRUE", "FALSE"):
            return Constant(text == "TRUE")
        if text not in STATES:
            known = ", ".join(STATES)
            raise AlarmRuleError(
                f"'{text}' is not a function here; the functions are: {known}, TRUE, FALSE"
            )
        self._expect("(")
        rule = InState(text, self._name())
        self._expect(")")
        return rule

    def _name(self) -> str:
        kind, text = self._peek()
        if kind not in ("word", "quoted"):
            raise AlarmRuleError("an alarm's name is missing")
        self._next += 1
        if kind == "quoted":
            text = _ESCAPE.sub(r"\1", text[1:-1])
        return (
            text.split(":alarm:", 1)[1] if text.startswith("arn:") and ":alarm:" in text else text
        )

    def end(self) -> None:
        if self._next < len(self._tokens):
            raise AlarmRuleError(f"'{self._peek()[1]}' comes after the rule's end")

    def _peek(self) -> tuple[str, str]:
        if self._next < len(self._tokens):
            return self._tokens[self._next]
        return ("end", "the end")

    def _take_word(self, word: str) -> bool:
        found = self._peek() == ("word", word)
        self._next += found
        return found

    def _expect(self, bracket: str) -> None:
        if self._peek() != ("bracket", bracket):
            raise AlarmRuleError(f"'{bracket}' is missing before '{self._peek()[1]}'")
        self._next += 1


def suppressed_by(
    now: datetime,
    changed: datetime,
    suppressor_state: str | None,
    suppressor_left: datetime | None,
    *,
    wait_seconds: float,
    extension_seconds: float,
) -> str | None:
    """Return why the actions of a composite alarm are suppressed, in AWS's words, or None.

    For example, with a wait period of 60 seconds an alarm that changed 30 seconds ago still waits
    for its suppressor. With an extension period of 120 seconds, an alarm whose suppressor left
    ALARM 90 seconds ago is still suppressed.

    Args:
        now: the time.
        changed: the time at which the composite alarm changed its state.
        suppressor_state: the suppressor's state; None if there is no such alarm.
        suppressor_left: the time at which the suppressor last left ALARM, if it ever did.
        wait_seconds: ActionsSuppressorWaitPeriod.
        extension_seconds: ActionsSuppressorExtensionPeriod.
    """
    if suppressor_state == "ALARM":
        return "Alarm"
    if suppressor_left is not None and now - suppressor_left < timedelta(seconds=extension_seconds):
        return "ExtensionPeriod"
    if now - changed < timedelta(seconds=wait_seconds):
        return "WaitPeriod"
    return None
