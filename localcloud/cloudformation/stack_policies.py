"""Stack policies: which updates of which resources a stack allows. Pure.

A policy denies every update that no statement allows. A Deny has precedence.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/protect-stack-resources.html
"""

from __future__ import annotations

import json
import re
from typing import Any

ACTIONS = ("Update:Modify", "Update:Replace", "Update:Delete")
LARGEST_BYTES = 16_384
_KEYS = {"Effect", "Action", "NotAction", "Principal", "Resource", "NotResource", "Condition"}
_OPERATORS = ("StringEquals", "StringLike")
_PREFIX = "LogicalResourceId/"


class StackPolicyError(ValueError):
    """A text that is no stack policy; the message is AWS's."""


def check_policy(text: str) -> None:
    """Refuse a text that is no stack policy. An empty object allows everything.

    Raises:
        StackPolicyError: with AWS's text.
    """
    try:
        statements = _statements(text)
    except (ValueError, RecursionError):
        raise _invalid() from None
    if not all(_is_statement(statement) for statement in statements):
        raise _invalid()


def refusal(policy: str | None, action: str, logical_id: str, resource_type: str) -> str:
    """Return why a policy does not allow an update, or an empty text.

    Args:
        policy: a text that `check_policy` has taken, or None.
        action: one of ACTIONS.
        logical_id: the resource.
        resource_type: its type.
    """
    statements = _statements(policy) if policy else []
    if not statements:
        return ""
    allowed = False
    for number, statement in enumerate(statements, 1):
        if not _applies(statement, action, logical_id, resource_type):
            continue
        if statement["Effect"] == "Allow":
            allowed = True
            continue
        actions = ", ".join(_texts(statement.get("Action", statement.get("NotAction"))))
        resources = ", ".join(_texts(statement.get("Resource", statement.get("NotResource"))))
        return (
            f"Action denied by stack policy: Statement [#{number}] does not allow [{actions}] for "
            f"resource [{resources}]"
        )
    return "" if allowed else "Action not allowed by stack policy"


def _invalid() -> StackPolicyError:
    return StackPolicyError("Error validating stack policy: Invalid stack policy")


def _statements(text: str) -> list[dict[str, Any]]:
    document = json.loads(text)
    if not isinstance(document, dict) or document.keys() - {"Statement", "Version", "Id"}:
        raise _invalid()
    found = document.get("Statement", [])
    return found if isinstance(found, list) else [found]


def _is_statement(statement: Any) -> bool:
    if not isinstance(statement, dict) or statement.keys() - _KEYS - {"Sid"}:
        return False
    for name, instead in (("Action", "NotAction"), ("Resource", "NotResource")):
        if (name in statement) == (instead in statement):
            return False
        given = statement.get(name, statement.get(instead))
        texts = given if isinstance(given, list) else [given]
        if not texts or not all(isinstance(text, str) for text in texts):
            return False
        starts = ("Update:", "*") if name == "Action" else (_PREFIX, "*")
        if not all(str(text).startswith(starts) for text in texts):
            return False
    principal = statement.get("Principal")
    return (
        statement.get("Effect") in ("Allow", "Deny")
        and principal in ("*", {"AWS": "*"})
        and _is_condition(statement.get("Condition", {}))
    )


def _is_condition(condition: Any) -> bool:
    return isinstance(condition, dict) and all(
        operator in _OPERATORS and isinstance(wanted, dict) and list(wanted) == ["ResourceType"]
        for operator, wanted in condition.items()
    )


def _applies(statement: dict[str, Any], action: str, logical_id: str, resource_type: str) -> bool:
    if "Action" in statement:
        of_action = _matches(statement["Action"], action)
    else:
        of_action = not _matches(statement["NotAction"], action)
    resource = f"{_PREFIX}{logical_id}"
    if "Resource" in statement:
        of_resource = _matches(statement["Resource"], resource)
    else:
        of_resource = not _matches(statement["NotResource"], resource)
    return (
        of_action
        and of_resource
        and all(
            _matches(wanted["ResourceType"], resource_type, wild=operator == "StringLike")
            for operator, wanted in statement.get("Condition", {}).items()
        )
    )


def _matches(patterns: Any, text: str, *, wild: bool = True) -> bool:
    for pattern in _texts(patterns):
        expression = re.escape(pattern)
        if wild:
            expression = expression.replace(r"\*", ".*").replace(r"\?", ".")
        if re.fullmatch(expression, text):
            return True
    return False


def _texts(value: Any) -> list[str]:
    return [str(text) for text in (value if isinstance(value, list) else [value])]
