"""The event log of stacks: every change of a status goes through it and is stored."""

from __future__ import annotations

import uuid

from localcloud.cloudformation.model import Stack, StackEvent, StackResource
from localcloud.core.store import Collection
from localcloud.service_context import ServiceContext


class StackEventLog:
    """Sets the statuses of stacks and resources, and records an event for each."""

    def __init__(self, context: ServiceContext, stacks: Collection[Stack]) -> None:
        self._context = context
        self._stacks = stacks

    def event(
        self, stack: Stack, resource: StackResource, status: str, reason: str | None = None
    ) -> None:
        """Set the status of a resource, and record the event."""
        now = self._context.clock.now()
        resource.status, resource.reason, resource.changed = status, reason, now
        stack.events.append(
            StackEvent(
                str(uuid.uuid4()),
                resource.logical_id,
                resource.physical_id,
                resource.type,
                status,
                reason,
                now,
            )
        )
        self._stacks.put(stack.id, stack)

    def set_status(self, stack: Stack, status: str, reason: str | None = None) -> None:
        """Set the status of a stack, and record the event."""
        stack.status, stack.status_reason = status, reason
        now = self._context.clock.now()
        stack.events.append(
            StackEvent(
                str(uuid.uuid4()),
                stack.name,
                stack.id,
                "AWS::CloudFormation::Stack",
                status,
                reason,
                now,
            )
        )
        if status.startswith("UPDATE"):
            stack.updated = now
        self._stacks.put(stack.id, stack)
