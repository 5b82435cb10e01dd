"""Every change to moto's behaviour, for what a real client or our own services need beyond it.

Each module holds the patches of one service. A patch is a function `_patch_*` whose docstring says
what moto does and what AWS does, so that it can be removed once moto does the same. All patches are
applied once, in moto's thread. Nothing else in this package may patch moto.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from localcloud.core.clock import wall_time

# (rule ARN, targets of the rule, event, number): an EventBridge rule has matched. The number is
# that of the stored event, which is forgotten when it was delivered; 0 if it is not stored.
EventListener = Callable[[str, list[dict[str, Any]], dict[str, Any], int], None]

# (access key, role ARN, session name, session policy or "", ARNs of managed session policies): a
# role was assumed.
RoleListener = Callable[[str, str, str, str, tuple[str, ...]], None]

# access key → (role ARN, ARN of the role's session), or None for any other key.
Caller = Callable[[str], tuple[str, str] | None]


def _no_match(
    rule_arn: str, targets: list[dict[str, Any]], event: dict[str, Any], number: int
) -> None:
    """Deliver nothing."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """The functions of the local cloud that the patches call, in moto's thread.

    Attributes:
        on_event: called for every rule that matches an event.
        on_role: called for every role that is assumed.
        caller: returns the role that an access key stands for.
        now: returns the AWS time.
    """

    on_event: EventListener = _no_match
    on_role: RoleListener = lambda access_key, role_arn, session, policy, arns: None
    caller: Caller = lambda access_key: None
    now: Callable[[], datetime] = lambda: datetime.fromtimestamp(wall_time(), UTC)


# The hooks in use; a reset replaces them, because it builds a new gateway.
_applied: list[Hooks] = []


def apply(hooks: Hooks) -> None:
    """Apply the patches, or only replace their hooks; call it in moto's thread."""
    from localcloud.moto_backend.patches import (
        budgets,
        cloudwatch,
        codebuild,
        codecommit,
        ecr,
        events,
        functions,
        iam,
        kms,
        logs,
        metric_data,
        metric_index,
        missing_resources,
        regular_expressions,
        s3,
        s3_documents,
        s3_events,
        sns,
        sqs,
        ssm,
        sts,
        time_stamps,
    )

    if _applied:
        _applied[0] = hooks
        return
    _applied.append(hooks)
    time_stamps.patch(lambda: _applied[0].now())
    events.patch(lambda *match: _applied[0].on_event(*match), lambda: _applied[0].now())
    for stamped in (cloudwatch, kms, metric_data, s3_events):
        stamped.patch(lambda: _applied[0].now())
    sts.patch(lambda *assumed: _applied[0].on_role(*assumed), lambda key: _applied[0].caller(key))
    for module in (
        iam,
        s3,
        s3_documents,
        logs,
        codecommit,
        codebuild,
        budgets,
        ecr,
        functions,
        metric_index,
        missing_resources,
        regular_expressions,
        sns,
        sqs,
        ssm,
    ):
        module.patch()
