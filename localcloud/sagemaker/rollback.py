"""The rollback alarms of a deployment, watched during its baking period."""

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
    """Wait, and watch alarms meanwhile; return as soon as some are in ALARM, with their names.

    Args:
        context: the context of the services.
        scope: the account and region of the alarms.
        alarms: the names of the alarms.
        clock_seconds: the time to wait.
        wanted: returns False to end the wait early.
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
