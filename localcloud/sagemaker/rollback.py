"""The alarms that bring a deployment back, watched while its traffic bakes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from localcloud.aws.routing import Scope
from localcloud.moto_backend.dispatcher import backend
from localcloud.service_context import ServiceContext

_ALARM_CLOCK_SECONDS = 5.0


async def watch_alarms(
    context: ServiceContext,
    scope: Scope,
    alarms: tuple[str, ...],
    clock_seconds: float,
    wanted: Callable[[], bool],
) -> list[str]:
    """Wait, and look at alarms meanwhile; return those that are in ALARM, at once.

    Args:
        context: its clock times the watch, and its moto holds the alarms.
        scope: where the alarms are.
        alarms: their names.
        clock_seconds: how long to wait.
        wanted: whether there is still anything to wait for.
    """
    clock = context.clock
    until = clock.now() + timedelta(seconds=clock_seconds)
    while wanted():
        if alarms:
            tripped = await context.moto.call(_in_alarm, scope, alarms)
            if tripped:
                return tripped
        left = (until - clock.now()).total_seconds()
        if left <= 0:
            break
        await clock.sleep(min(left, _ALARM_CLOCK_SECONDS))
    return []


def _in_alarm(scope: Scope, names: tuple[str, ...]) -> list[str]:
    alarms = backend("cloudwatch", scope).alarms
    return [n for n in names if n in alarms and alarms[n].state_value == "ALARM"]
