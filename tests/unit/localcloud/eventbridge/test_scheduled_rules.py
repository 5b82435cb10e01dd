"""One bad rule does not keep the others from firing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

from localcloud.eventbridge.scheduled_rules import ScheduledRules
from localcloud.service_context import ServiceContext

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
ARN = "arn:aws:events:us-east-1:000000000000:rule/"


def test_a_rule_that_fails_does_not_keep_the_others_from_firing() -> None:
    fired: list[str] = []

    def deliver(
        rule: str, targets: list[dict[str, Any]], event: dict[str, Any], number: int
    ) -> None:
        assert number == 0  # a scheduled event is due again after a restart
        fired.append(rule.rpartition("/")[2])
        if rule.endswith("unlucky"):
            raise RuntimeError("a target that fails at once")

    rules = ScheduledRules(cast(ServiceContext, SimpleNamespace()), deliver)
    found: dict[tuple[str, str], list[dict[str, Any]]] = {
        (ARN + "broken", "cron(bad)"): [],
        (ARN + "far", "rate(99999999 days)"): [],
        (ARN + "unlucky", "rate(1 minute)"): [],
        (ARN + "good", "rate(1 minute)"): [],
    }
    for minute in range(4):
        rules._look(found, NOW + timedelta(minutes=minute))
    assert fired.count("good") == 3
    # It failed once, and is not tried each time.
    assert fired.count("unlucky") == 1
