"""Rollback triggers: alarms that are watched while a stack is created or updated, and afterwards.

An alarm that goes to ALARM, or that is not there, rolls the operation back. The monitoring time
begins when every resource is complete.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-rollback-triggers.html
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from botocore.exceptions import ClientError

from localcloud.aws.routing import scope_of_arn
from localcloud.cloudformation.model import Stack
from localcloud.cloudformation.resource_types.base import ResourceFailed
from localcloud.core.store import Collection
from localcloud.service_context import ServiceContext

_POLL_CLOCK_SECONDS = 5.0
_ALARM = re.compile(r"arn:aws[a-z-]*:cloudwatch:[a-z0-9-]+:\d{12}:alarm:.{1,255}")
_TYPES = ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm")


def problem_of(configuration: dict[str, Any] | None) -> str:
    """Return what is wrong with the RollbackConfiguration of a request, or an empty text. Pure."""
    for trigger in (configuration or {}).get("RollbackTriggers") or []:
        if trigger["Type"] not in _TYPES:
            return f"Rollback triggers of the type {trigger['Type']} are not supported."
        if not _ALARM.fullmatch(trigger["Arn"]):
            return f"The rollback trigger {trigger['Arn']} is not the ARN of an alarm."
    return ""


class RollbackTriggers:
    """Watches the alarms of stacks.

    Args:
        context: what services share.
        stacks: the records of stacks.

    Attributes:
        fired: the reason to roll back, by the ids of the stacks whose trigger has fired.
    """

    def __init__(self, context: ServiceContext, stacks: Collection[Stack]) -> None:
        self._context = context
        self._stacks = stacks
        self.fired: dict[str, str] = {}

    @asynccontextmanager
    async def watched(self, stack: Stack) -> AsyncIterator[None]:
        """Watch the alarms of a stack in the background."""
        self.fired.pop(stack.id, None)
        if not _triggers(stack):
            yield
            return
        watch = asyncio.ensure_future(self._watch(stack))
        try:
            yield
        finally:
            watch.cancel()
            self.fired.pop(stack.id, None)

    async def check(self, stack: Stack) -> None:
        """Look at the alarms now.

        Raises:
            ResourceFailed: one is in ALARM, or is not there.
        """
        reason = self.fired.get(stack.id) or await self._reason(stack)
        if reason:
            raise ResourceFailed(reason)

    async def monitor(self, stack: Stack, check_cancelled: Callable[[], None]) -> None:
        """Wait for the monitoring time, and look at the alarms.

        Args:
            stack: the stack, whose resources are complete.
            check_cancelled: raises ResourceFailed if the operation was cancelled.

        Raises:
            ResourceFailed: an alarm is in ALARM, or the operation was cancelled.
        """
        minutes = (stack.rollback or {}).get("MonitoringTimeInMinutes") or 0
        if not _triggers(stack) and not minutes:
            return
        if stack.monitored is None:
            stack.monitored = self._context.clock.now()
            self._stacks.put(stack.id, stack)
        end = stack.monitored + timedelta(minutes=minutes)
        await self.check(stack)
        while (left := (end - self._context.clock.now()).total_seconds()) > 0:
            await self._context.clock.sleep(min(left, _POLL_CLOCK_SECONDS))
            check_cancelled()
            await self.check(stack)

    async def _watch(self, stack: Stack) -> None:
        while not self.fired.get(stack.id):
            reason = await self._reason(stack)
            if reason:
                self.fired[stack.id] = reason
            await self._context.clock.sleep(_POLL_CLOCK_SECONDS)

    async def _reason(self, stack: Stack) -> str:
        """Return why the stack is to be rolled back, or an empty text."""
        for arn in _triggers(stack):
            name = arn.partition(":alarm:")[2]
            try:
                answer = await self._context.api(
                    scope_of_arn(arn),
                    "cloudwatch",
                    "describe_alarms",
                    AlarmNames=[name],
                    AlarmTypes=["MetricAlarm", "CompositeAlarm"],
                )
            except ClientError as error:  # for example of a region that AWS does not have
                return f"Rollback trigger {arn}: {error.response['Error']['Message']}"
            found = [*answer.get("MetricAlarms", []), *answer.get("CompositeAlarms", [])]
            if not found:
                return f"Rollback trigger {arn} does not exist."
            if found[0]["StateValue"] == "ALARM":
                return f"Rollback trigger {arn} is in ALARM."
        return ""


def _triggers(stack: Stack) -> list[str]:
    return [trigger["Arn"] for trigger in (stack.rollback or {}).get("RollbackTriggers") or []]
