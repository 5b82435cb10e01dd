"""Every change to moto's behaviour, for what a real client or our own services need beyond it.

Each module holds the patches of one service. A patch is a function `_patch_*` whose docstring says
what moto does and what AWS does, so that it can be removed once moto does the same. All patches are
applied once, in moto's thread. Nothing else in this package may patch moto.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# (rule ARN, targets of the rule, event): an EventBridge rule has matched.
EventListener = Callable[[str, list[dict[str, Any]], dict[str, Any]], None]

# (access key, role ARN, session name): a role was assumed.
RoleListener = Callable[[str, str, str], None]

# access key → (role ARN, ARN of the role's session), or None for any other key.
Caller = Callable[[str], tuple[str, str] | None]


@dataclass(slots=True)
class _Applied:
    """The listeners of the patches; a reset replaces them, because it builds a new gateway."""

    on_event: EventListener
    on_role: RoleListener
    caller: Caller


_applied: list[_Applied] = []


def apply(on_event: EventListener, on_role: RoleListener, caller: Caller) -> None:
    """Apply the patches, or only replace their listeners; call it in moto's thread."""
    from localcloud.moto_backend.patches import (
        budgets,
        cloudwatch,
        codebuild,
        codecommit,
        events,
        functions,
        logs,
        metric_data,
        regular_expressions,
        s3,
        sns,
        sqs,
        ssm,
        sts,
    )

    if _applied:
        _applied[0].on_event, _applied[0].on_role = on_event, on_role
        _applied[0].caller = caller
        return
    applied = _Applied(on_event, on_role, caller)
    _applied.append(applied)
    events.patch(lambda *arguments: applied.on_event(*arguments))
    sts.patch(lambda *arguments: applied.on_role(*arguments), lambda key: applied.caller(key))
    for module in (
        s3,
        logs,
        cloudwatch,
        metric_data,
        codecommit,
        codebuild,
        budgets,
        functions,
        regular_expressions,
        sns,
        sqs,
        ssm,
    ):
        module.patch()
