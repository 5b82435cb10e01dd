"""The evaluation of a stage's condition: its rules, one after the other, until one fails.

Source: https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-conditions.html
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

from localcloud.codepipeline.actions.base import ActionContext, ActionFailed
from localcloud.codepipeline.model import (
    ActionRun,
    ActionStatus,
    ConditionRun,
    ConditionStatus,
    Execution,
)
from localcloud.codepipeline.rules import RULE_FAILED, RULES
from localcloud.codepipeline.variables import VariableError, resolve

log = logging.getLogger("localcloud.codepipeline")

# The errors of a rule which mean that the check was made and is not met.
_MADE = (RULE_FAILED, "JobFailed")

# Takes a rule's declaration and its run; returns the context of the rule.
MakeContext = Callable[[dict[str, Any], ActionRun], ActionContext]


def declared(execution: Execution, kind: str) -> dict[str, Any]:
    """Return the declaration of a condition of an execution's current stage."""
    condition: dict[str, Any] = execution.stage_declaration[kind]["conditions"][0]
    return condition


def begin(execution: Execution, kind: str, now: datetime) -> ConditionRun:
    """Return a new evaluation of a condition."""
    result = declared(execution, kind).get("result", "FAIL")
    return ConditionRun(kind, ConditionStatus.IN_PROGRESS, now, result)


async def evaluate(
    execution: Execution,
    condition: ConditionRun,
    context_of: MakeContext,
    save: Callable[[], None],
    now: Callable[[], datetime],
) -> None:
    """Run the rules of a condition and set its status."""
    found = ConditionStatus.SUCCEEDED
    rules = declared(execution, condition.kind).get("rules", [])
    for rule in rules:
        run = condition.rules.get(rule["name"])
        if run is not None and run.status is not ActionStatus.IN_PROGRESS:
            continue  # it ended before a restart
        run = run or _run(rule, len(condition.rules) + 1, now())
        condition.rules[rule["name"]] = run
        save()
        await _check(execution, rule, context_of(rule, run))
        run.changed = now()
        if run.status is ActionStatus.FAILED:
            made = run.error_code in _MADE
            found = ConditionStatus.FAILED if made else ConditionStatus.ERRORED
            condition.summary = f"{run.name}: {run.error_message}"[:2048]
            break
        save()
    condition.status = found


def _run(rule: dict[str, Any], order: int, now: datetime) -> ActionRun:
    return ActionRun(str(uuid.uuid4()), rule["name"], order, ActionStatus.IN_PROGRESS, now, now)


async def _check(execution: Execution, rule: dict[str, Any], context: ActionContext) -> None:
    run = context.run
    try:
        for key, value in rule.get("configuration", {}).items():
            run.configuration[key] = resolve(value, execution.variables)
        await context.assume_role()
        outcome = await RULES[rule["ruleTypeId"]["provider"]].run(context)
    except VariableError as error:
        _failed(run, "InvalidVariable", str(error))
    except ActionFailed as error:
        _failed(run, error.code, error.message)
    except asyncio.CancelledError:
        raise
    except Exception as error:
        log.exception("rule %s", run.name)
        _failed(run, "InternalError", f"{type(error).__name__}: {error}")
    else:
        run.status = ActionStatus.SUCCEEDED
        run.summary = outcome.summary


def _failed(run: ActionRun, code: str, message: str) -> None:
    run.status, run.error_code, run.error_message = ActionStatus.FAILED, code, message[:5000]
