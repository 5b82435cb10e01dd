"""Every change to moto's behaviour: what a real client or our own services need more than it does.

A mend is a function `_mend_*` that says what AWS does and what moto does instead; a module holds
one service's. They are applied once, in moto's thread. Nothing else of this package may patch moto.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# (rule ARN, targets of the rule, event): an EventBridge rule has matched.
EventListener = Callable[[str, list[dict[str, Any]], dict[str, Any]], None]

# (access key, role ARN, session name): a role was assumed.
RoleListener = Callable[[str, str, str], None]


def apply(on_event: EventListener, on_role: RoleListener) -> None:
    """Mend moto; call it in moto's thread, once it is imported."""
    from localcloud.mends import budgets, cloudwatch, codebuild, codecommit, events, logs, s3, sts

    events.mend(on_event)
    sts.mend(on_role)
    for module in (s3, logs, cloudwatch, codecommit, codebuild, budgets):
        module.mend()
