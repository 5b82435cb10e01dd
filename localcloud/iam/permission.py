"""A permission that an operation requires. Pure.

Source: https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from localcloud.aws.routing import Scope


@dataclass(frozen=True, slots=True)
class Permission:
    """One permission that the caller must have.

    Attributes:
        action: `service:Operation`.
        resource: an ARN; `*` if the action has no resource level; None if it is not known.
        context: the condition keys that the request carries, with their values.
    """

    action: str
    resource: str | None
    context: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


Parameters = Mapping[str, Any]
Rule = Callable[[Scope, Parameters], list[Permission]]
