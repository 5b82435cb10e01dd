"""Patches of the errors for resources that do not exist, in the words and statuses of AWS."""

from __future__ import annotations

import re
from typing import Any


def patch() -> None:
    """Apply the patches."""
    _patch_iam()
    _patch_rules()
    _patch_secrets()
    _patch_dashboards()


def _patch_iam() -> None:
    """NoSuchEntity: moto says "Role x not found", AWS "The role with name x cannot be found."."""
    from moto.iam.exceptions import NotFoundException

    original = NotFoundException.__init__

    def refused(self: Any, message: str = "", *arguments: Any, **named: Any) -> None:
        original(self, in_words_of_iam(message), *arguments, **named)

    NotFoundException.__init__ = refused


def in_words_of_iam(message: str) -> str:
    """Return AWS's text of IAM's error for what does not exist; other texts are unchanged."""
    match = re.fullmatch(r"(Role|User|Group) (?!arn:)(\S+) not found", message)
    if match is not None:
        return f"The {match[1].lower()} with name {match[2]} cannot be found."
    match = re.fullmatch(r"Policy (arn:\S+) not found", message)
    return f"Policy {match[1]} was not found." if match is not None else message


def _patch_rules() -> None:
    """DescribeRule: moto does not name the event bus."""
    from moto.events.exceptions import ResourceNotFoundException
    from moto.events.models import EventsBackend

    original = EventsBackend.describe_rule

    def describe_rule(self: Any, name: str, event_bus_arn: str | None) -> Any:
        bus = self._normalize_event_bus_arn(event_bus_arn)
        if name not in self._get_event_bus(bus).rules:
            raise ResourceNotFoundException(f"Rule {name} does not exist on EventBus {bus}.")
        return original(self, name, event_bus_arn)

    EventsBackend.describe_rule = describe_rule


def _patch_secrets() -> None:
    """Secrets Manager: moto answers 404; AWS answers every client error with 400.

    Source: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DescribeSecret.html
    """
    from moto.core.exceptions import JsonRESTError
    from moto.secretsmanager import exceptions

    for kind in list(vars(exceptions).values()):
        if isinstance(kind, type) and issubclass(kind, JsonRESTError):
            _with_400(kind)


def _with_400(kind: Any) -> None:
    if not kind.__module__.startswith("moto.secretsmanager") or "__init__" not in vars(kind):
        return
    original = kind.__init__

    def refused(self: Any, *arguments: Any, **named: Any) -> None:
        original(self, *arguments, **named)
        self.code = 400

    kind.__init__ = refused


def _patch_dashboards() -> None:
    """GetDashboard: moto does not name the dashboard.

    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetDashboard.html
    """
    from moto.cloudwatch.exceptions import ResourceNotFound
    from moto.cloudwatch.models import CloudWatchBackend

    original = CloudWatchBackend.get_dashboard

    def get_dashboard(self: Any, dashboard: str) -> Any:
        found = original(self, dashboard)
        if found is None:
            raise ResourceNotFound(f"Dashboard {dashboard} does not exist")
        return found

    CloudWatchBackend.get_dashboard = get_dashboard
