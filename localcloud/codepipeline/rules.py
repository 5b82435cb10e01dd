"""The rule types of a stage's conditions. A rule returns if it is met, or raises ActionFailed.

A rule gets the same context as an action: its configuration with the variables resolved, its role
and the input artifacts. The code RULE_FAILED means that the check is not met; any other code means
that the check could not be made.

Source: https://docs.aws.amazon.com/codepipeline/latest/userguide/rule-reference.html
Differs: CodeBuild, Commands and DeploymentWindow are refused by name; regular expressions are
Python's; a CloudWatchAlarm rule checks the alarm once, at the end of its WaitTime.
"""

from __future__ import annotations

from collections.abc import Mapping

from localcloud.codepipeline.actions.base import (
    ActionContext,
    ActionFailed,
    ActionOutcome,
    ConfigurationKey,
    RuleProvider,
)
from localcloud.codepipeline.actions.invoke import invoke_function
from localcloud.core.user_pattern import PatternError, UserPattern

RULE_FAILED = "RuleFailed"
OPERATORS = ("EQ", "NE", "CONTAINS", "MATCHES")
_STATES = ("ALARM", "OK", "INSUFFICIENT_DATA")


async def check_variable(context: ActionContext) -> ActionOutcome:
    """Compare a variable's value with the expected one.

    Raises:
        ActionFailed: the comparison is false, or the configuration is not valid.
    """
    operator = context.require("Operator")
    for name in ("Variable", "Value"):
        if name not in context.configuration:
            raise ActionFailed("ConfigurationError", f"the rule's configuration lacks {name}")
    found, expected = context.configuration["Variable"], context.configuration["Value"]
    match operator:
        case "EQ":
            holds = found == expected
        case "NE":
            holds = found != expected
        case "CONTAINS":
            holds = expected in found
        case "MATCHES":
            try:
                holds = UserPattern(expected).matches(found)
            except PatternError as error:
                raise ActionFailed("ConfigurationError", f"Value: {error}") from None
        case _:
            raise ActionFailed(
                "ConfigurationError",
                f"Operator is {operator}; it must be one of: {', '.join(OPERATORS)}",
            )
    if not holds:
        raise ActionFailed(RULE_FAILED, f"'{found}' {operator} '{expected}' is false")
    return ActionOutcome(summary=f"'{found}' {operator} '{expected}'")


async def watch_alarm(context: ActionContext) -> ActionOutcome:
    """Check after the WaitTime that an alarm is in none of the given states, by default ALARM.

    Raises:
        ActionFailed: it is in one of them, or it does not exist.
    """
    name = context.require("AlarmName")
    given = context.configuration.get("AlarmStates") or "ALARM"
    states = [state.strip() for state in given.split(",")]
    try:
        minutes = int(context.configuration.get("WaitTime") or 0)
    except ValueError:
        minutes = -1
    if minutes < 0 or not set(states) <= set(_STATES):
        raise ActionFailed(
            "ConfigurationError",
            f"WaitTime must be in minutes, and AlarmStates some of: {', '.join(_STATES)}",
        )
    await context.services.clock.sleep(minutes * 60.0)
    try:
        answer = await context.api(
            "cloudwatch",
            "describe_alarms",
            AlarmNames=[name],
            AlarmTypes=["MetricAlarm", "CompositeAlarm"],
        )
    except Exception as error:
        raise ActionFailed("PermissionError", str(error)) from error
    found = [*answer.get("MetricAlarms", []), *answer.get("CompositeAlarms", [])]
    if not found:
        raise ActionFailed("ConfigurationError", f"the alarm {name} does not exist")
    state = found[0]["StateValue"]
    if state in states:
        raise ActionFailed(RULE_FAILED, f"the alarm {name} is in the state {state}")
    return ActionOutcome(summary=f"the alarm {name} is in the state {state}")


def _required(*names: str) -> tuple[ConfigurationKey, ...]:
    return tuple(ConfigurationKey(name, required=True) for name in names)


_ALL = (
    RuleProvider(
        "CloudWatchAlarm",
        watch_alarm,
        (*_required("AlarmName"), ConfigurationKey("AlarmStates"), ConfigurationKey("WaitTime")),
    ),
    RuleProvider(
        "LambdaInvoke",
        invoke_function,
        (*_required("FunctionName"), ConfigurationKey("UserParameters")),
    ),
    RuleProvider("VariableCheck", check_variable, _required("Operator", "Variable", "Value")),
)
# Provider → the rule type.
RULES: Mapping[str, RuleProvider] = {provider.name: provider for provider in _ALL}
