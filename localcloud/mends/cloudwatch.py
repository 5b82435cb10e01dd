"""Mends to CloudWatch."""

from __future__ import annotations

from typing import Any


def mend() -> None:
    """Apply them."""
    _mend_alarms()
    _mend_composite_alarms()


def _mend_alarms() -> None:
    """CloudWatch: a new alarm is INSUFFICIENT_DATA, and a changed one keeps its state."""
    from moto.cloudwatch.models import CloudWatchBackend

    original = CloudWatchBackend.put_metric_alarm

    def put_metric_alarm(self: Any, **settings: Any) -> Any:
        before = self.alarms.get(settings["name"])
        alarm = original(self, **settings)
        alarm.state_value = before.state_value if before is not None else "INSUFFICIENT_DATA"
        return alarm

    CloudWatchBackend.put_metric_alarm = put_metric_alarm


def _mend_composite_alarms() -> None:
    """CloudWatch: PutCompositeAlarm, which moto can keep (an alarm with a rule) but not take."""
    from moto.cloudwatch.responses import CloudWatchResponse

    suppressors = (
        "ActionsSuppressor",
        "ActionsSuppressorWaitPeriod",
        "ActionsSuppressorExtensionPeriod",
    )

    def put_composite_alarm(self: Any) -> Any:
        answer = self.put_metric_alarm()
        alarm = self.cloudwatch_backend.alarms[self._get_param("AlarmName")]
        for name in suppressors:
            # moto's serialiser finds an attribute by its name in snake case.
            setattr(alarm, _snake(name), self._get_param(name))
        return answer

    CloudWatchResponse.put_composite_alarm = put_composite_alarm


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
