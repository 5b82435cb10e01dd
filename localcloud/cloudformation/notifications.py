"""Notifications: each event of a stack is published to the topics of its NotificationARNs.

A stack's messages are published in the order of its events. A topic that cannot be published to is
named in the log.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cfn-console-create-stack.html
"""

from __future__ import annotations

import asyncio
import logging

from localcloud.aws.routing import scope_of_arn
from localcloud.cloudformation.model import Stack, StackEvent
from localcloud.service_context import ServiceContext

log = logging.getLogger("localcloud.cloudformation")

_SUBJECT = "AWS CloudFormation Notification"


def message_of(stack: Stack, event: StackEvent, properties: str) -> str:
    """Return the message about an event: one line for each of its members. Pure."""
    scope = scope_of_arn(stack.id)
    lines = {
        "StackId": stack.id,
        "Timestamp": _moment(event),
        "EventId": event.id,
        "LogicalResourceId": event.logical_id,
        "Namespace": scope.account,
        "PhysicalResourceId": event.physical_id,
        "PrincipalId": scope.account,
        "ResourceProperties": properties or "null",
        "ResourceStatus": event.status,
        "ResourceStatusReason": event.reason or "",
        "ResourceType": event.type,
        "StackName": stack.name,
        "ClientRequestToken": event.token or "null",
    }
    return "".join(f"{name}='{value}'\n" for name, value in lines.items())


def _moment(event: StackEvent) -> str:
    milliseconds = event.timestamp.microsecond // 1000
    return f"{event.timestamp:%Y-%m-%dT%H:%M:%S}.{milliseconds:03}Z"


class Notifications:
    """Publishes the events of stacks."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        # The last message of each stack, by the stack's id.
        self._last: dict[str, asyncio.Task[None]] = {}

    def publish(self, stack: Stack, event: StackEvent, properties: str) -> None:
        """Begin to publish an event, after those that the stack had before it."""
        if not stack.notification_arns:
            return
        message = message_of(stack, event, properties)
        before = self._last.get(stack.id)
        arns = list(stack.notification_arns)
        task = self._context.spawn(
            f"notifications of {stack.name}", self._publish(arns, message, before)
        )
        self._last[stack.id] = task
        task.add_done_callback(lambda done: self._forget(stack.id, done))

    def _forget(self, stack_id: str, done: asyncio.Task[None]) -> None:
        if self._last.get(stack_id) is done:
            del self._last[stack_id]

    async def _publish(
        self, arns: list[str], message: str, before: asyncio.Task[None] | None
    ) -> None:
        if before is not None:
            await asyncio.wait([before])
        for arn in arns:
            try:
                await self._context.api(
                    scope_of_arn(arn),
                    "sns",
                    "publish",
                    TopicArn=arn,
                    Subject=_SUBJECT,
                    Message=message,
                )
            except Exception as error:
                log.warning("the topic %s was not notified: %s", arn, error)
