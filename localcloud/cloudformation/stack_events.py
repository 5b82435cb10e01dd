"""The event log of stacks: every change of a status goes through it and is stored.

An event of a resource has its properties, but for the values of NoEcho parameters. They are stored
with the first event that has them; later events of the resource have the same ones.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_StackEvent.html
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from localcloud.cloudformation.model import Stack, StackEvent, StackResource
from localcloud.cloudformation.notifications import Notifications
from localcloud.cloudformation.request_validation import secrets_of
from localcloud.core.store import Collection
from localcloud.service_context import ServiceContext

INITIATED = "Resource creation Initiated"
_RECENT = 20


class StackEventLog:
    """Sets the statuses of stacks and resources, and records an event for each."""

    def __init__(self, context: ServiceContext, stacks: Collection[Stack]) -> None:
        self._context = context
        self._stacks = stacks
        self._notifications = Notifications(context)

    def event(
        self,
        stack: Stack,
        resource: StackResource,
        status: str,
        reason: str | None = None,
        properties: dict[str, Any] | None = None,
    ) -> None:
        """Set the status of a resource, and record the event.

        Args:
            stack: its stack.
            resource: the resource.
            status: its new status.
            reason: the reason of the status.
            properties: those of the event, if the resource has others or none yet.
        """
        now = self._context.clock.now()
        resource.status, resource.reason, resource.changed = status, reason, now
        shown = resource.properties if properties is None else properties
        self._append(stack, resource, now, _shown(stack, shown))
        self._stacks.put(stack.id, stack)

    def initiated(self, stack: Stack, resource: StackResource, physical_id: str) -> None:
        """Record that a resource has its physical id, though it is not complete yet."""
        before = next(_of(stack, resource.logical_id), None)
        if before is not None and before.reason == INITIATED:
            return  # before a restart
        begun = StackResource(resource.logical_id, resource.type, {}, physical_id)
        begun.status, begun.reason = resource.status, INITIATED
        self._append(stack, begun, self._context.clock.now(), None)
        self._stacks.put(stack.id, stack)

    def forgotten(self, stack: Stack, resource: StackResource, status: str) -> None:
        """Record the deletion of a resource that another one has replaced."""
        now = self._context.clock.now()
        resource.status, resource.reason, resource.changed = status, None, now
        self._append(stack, resource, now, "", f"{resource.logical_id}-{uuid.uuid4()}")
        self._stacks.put(stack.id, stack)

    def set_status(self, stack: Stack, status: str, reason: str | None = None) -> None:
        """Set the status of a stack, and record the event."""
        stack.status, stack.status_reason = status, reason
        now = self._context.clock.now()
        event = StackEvent(
            str(uuid.uuid4()),
            stack.name,
            stack.id,
            "AWS::CloudFormation::Stack",
            status,
            reason,
            now,
            "",
            stack.request_token,
        )
        stack.events.append(event)
        self._notifications.publish(stack, event, "")
        if status.startswith("UPDATE"):
            stack.updated = now
        self._stacks.put(stack.id, stack)

    def _append(
        self,
        stack: Stack,
        resource: StackResource,
        now: datetime,
        properties: str | None,
        id_: str = "",
    ) -> None:
        last = _last_properties(stack, resource.logical_id)
        if properties is not None and properties == last:
            properties = None
        event = StackEvent(
            id_ or _unique_id(stack, f"{resource.logical_id}-{resource.status}", now),
            resource.logical_id,
            resource.physical_id,
            resource.type,
            resource.status,
            resource.reason,
            now,
            properties,
            stack.request_token,
        )
        stack.events.append(event)
        self._notifications.publish(
            stack, event, (last or "") if properties is None else properties
        )


def described(stack: Stack) -> list[dict[str, Any]]:
    """Return the events of a stack in the form of the API, the latest first. Pure."""
    known: dict[str, str] = {}
    found: list[dict[str, Any]] = []
    for event in stack.events:
        properties = event.properties
        if properties is None:
            properties = known.get(event.logical_id)
        elif properties:
            known[event.logical_id] = properties
        found.append(
            {
                "StackId": stack.id,
                "StackName": stack.name,
                "EventId": event.id,
                "LogicalResourceId": event.logical_id,
                "PhysicalResourceId": event.physical_id,
                "ResourceType": event.type,
                "ResourceStatus": event.status,
                "ResourceStatusReason": event.reason,
                "Timestamp": event.timestamp,
                "ResourceProperties": properties or None,
                "ClientRequestToken": event.token,
            }
        )
    return found[::-1]


def _of(stack: Stack, logical_id: str) -> Iterator[StackEvent]:
    return (event for event in reversed(stack.events) if event.logical_id == logical_id)


def _last_properties(stack: Stack, logical_id: str) -> str | None:
    return next((e.properties for e in _of(stack, logical_id) if e.properties), None)


def _unique_id(stack: Stack, name: str, now: datetime) -> str:
    taken = {event.id for event in stack.events[-_RECENT:]}
    while True:
        moment = now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03}Z"
        if f"{name}-{moment}" not in taken:
            return f"{name}-{moment}"
        now += timedelta(milliseconds=1)


def _shown(stack: Stack, properties: dict[str, Any]) -> str:
    """Return properties as JSON, with the values of NoEcho parameters masked."""
    hidden: set[str] = set()
    for body, parameters in (
        (stack.template_body, stack.parameters | stack.stored),
        (stack.new_body, stack.new_parameters | stack.new_stored),
    ):
        if body:
            hidden |= {parameters.get(name, "") for name in secrets_of(body)} - {""}
    return json.dumps(_masked(properties, hidden) if hidden else properties)


def _masked(value: Any, hidden: set[str]) -> Any:
    if isinstance(value, dict):
        return {key: _masked(item, hidden) for key, item in value.items()}
    if isinstance(value, list):
        return [_masked(item, hidden) for item in value]
    if isinstance(value, str):
        for secret in hidden:
            value = value.replace(secret, "****")
    return value
