"""An alarm that cannot be evaluated does not keep the others from it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from localcloud.aws.routing import Scope
from localcloud.cloudwatch import alarm_evaluator

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


class Alarm:
    """An alarm as moto stores it."""

    def __init__(self, name: str, **settings: Any) -> None:
        self.name = name
        self.alarm_arn = f"arn:aws:cloudwatch:us-east-1:000000000000:alarm:{name}"
        self.rule = ""
        self.namespace, self.metric_name, self.dimensions = "Test", "Depth", list[Any]()
        self.statistic, self.extended_statistic = "Sum", None
        self.metric_data_queries: list[Any] = []
        self.comparison_operator, self.threshold = "GreaterThanThreshold", 1.0
        self.period, self.evaluation_periods, self.datapoints_to_alarm = 60, 1, None
        self.treat_missing_data, self.actions_enabled = "missing", True
        self.alarm_actions, self.ok_actions = list[str](), list[str]()
        self.insufficient_data_actions = list[str]()
        self.configuration_updated_timestamp = NOW
        self.state_value, self.state_reason, self.state_reason_data = "OK", "", ""
        self.state_updated_timestamp = NOW
        self.history: list[Any] = []
        for key, value in settings.items():
            setattr(self, key, value)

    def update_state(self, reason: str, data: str, state: str) -> None:
        del reason, data
        self.state_value = state


@pytest.mark.parametrize(
    "bad",
    [
        {"period": None},
        {"evaluation_periods": None},
        {"threshold": None},
        {"comparison_operator": "LessThanLowerThreshold"},
        {"extended_statistic": "pxx"},
        {"metric_data_queries": [SimpleNamespace()]},
        {"rule": "ALARM("},
    ],
)
def test_an_alarm_that_cannot_be_evaluated_is_named_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, bad: dict[str, Any]
) -> None:
    stamp = NOW.replace(tzinfo=None) - timedelta(seconds=30)
    datum = SimpleNamespace(
        namespace="Test", name="Depth", dimensions=[], value=5.0, timestamp=stamp
    )
    alarms = [Alarm("bad", **bad), Alarm("good"), Alarm("both", rule="ALARM(good) AND OK(bad)")]
    cloudwatch = SimpleNamespace(
        alarms={alarm.name: alarm for alarm in alarms}, metric_data=[datum]
    )
    monkeypatch.setattr(alarm_evaluator, "backends", lambda service: [(Scope(), cloudwatch)])
    (result,) = alarm_evaluator._evaluate_all(NOW)
    assert list(result.problems) == ["bad"]
    assert result.states == {"bad": "OK", "good": "ALARM", "both": "ALARM"}
