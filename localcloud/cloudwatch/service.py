"""CloudWatch as one service: alarms that evaluate, and log lines; moto answers the operations."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from typing import Any

from localcloud.cloudwatch.alarm_evaluator import AlarmEvaluator, OnScalingAlarm
from localcloud.service import Service
from localcloud.service_context import ServiceContext


class CloudWatchService(Service):
    """Evaluates alarms and writes log lines.

    Args:
        context: what services share; its log writer is run here.
        on_scaling_alarm: called each minute that the alarm of a scaling policy is in ALARM.
    """

    def __init__(self, context: ServiceContext, on_scaling_alarm: OnScalingAlarm) -> None:
        self._logs = context.logs
        self._alarms = AlarmEvaluator(context, on_scaling_alarm)

    def background(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        """Yield the loops of the log writer and of the alarm evaluation."""
        yield "logs", self._logs.run()
        yield "alarms", self._alarms.run()

    async def close(self) -> None:
        """Write the log lines that are still queued."""
        await self._logs.flush()
