"""Patches of Budgets. Budgets are stored, but nothing is ever spent here."""

from __future__ import annotations

import json
from typing import Any


def patch() -> None:
    """Apply the patches."""
    _patch_creation()
    _patch_update()
    _patch_subscribers()
    _patch_tags()


def _patch_creation() -> None:
    """CreateBudget: moto drops the tags; AWS stores them."""
    from moto.budgets.responses import BudgetsResponse

    original = BudgetsResponse.create_budget

    def create_budget(self: Any) -> str:
        answer: str = original(self)
        budget = _find(self, self._get_param("Budget")["BudgetName"])
        budget.tags = {tag["Key"]: tag["Value"] for tag in self._get_param("ResourceTags") or []}
        return answer

    BudgetsResponse.create_budget = create_budget


def _patch_update() -> None:
    """UpdateBudget: moto lacks it. On AWS the period stays if the request has none."""
    from moto.budgets.responses import BudgetsResponse
    from moto.core.utils import unix_time

    def update_budget(self: Any) -> str:
        new = self._get_param("NewBudget")
        budget = _find(self, new["BudgetName"])
        period = {"TimePeriod": budget.budget["TimePeriod"]}
        budget.budget = {**period, **new, "LastUpdatedTime": unix_time()}
        return "{}"

    BudgetsResponse.update_budget = update_budget


def _patch_subscribers() -> None:
    """DescribeSubscribersForNotification: moto lacks it, although it stores the subscribers.

    DeleteNotification: moto compares notifications as they were written, including numbers and
    omitted defaults, so it may delete nothing.
    """
    from moto.budgets.exceptions import NotFoundException
    from moto.budgets.responses import BudgetsResponse

    def describe_subscribers_for_notification(self: Any) -> str:
        wanted = self._get_param("Notification")
        budget = _find(self, self._get_param("BudgetName"))
        for notification in budget.notifications:
            if _same(notification.details, wanted):
                return json.dumps({"Subscribers": notification.subscribers})
        raise NotFoundException("Unable to get subscribers - the notification doesn't exist.")

    def delete_notification(self: Any, details: dict[str, Any]) -> None:
        self.notifications = [n for n in self.notifications if not _same(n.details, details)]

    from moto.budgets.models import Budget

    BudgetsResponse.describe_subscribers_for_notification = describe_subscribers_for_notification
    Budget.delete_notification = delete_notification


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Return whether two notifications are the same one, whatever their state."""

    def key(details: dict[str, Any]) -> tuple[Any, ...]:
        return (
            details["NotificationType"],
            details["ComparisonOperator"],
            float(details["Threshold"]),
            details.get("ThresholdType", "PERCENTAGE"),
        )

    return key(one) == key(other)


def _patch_tags() -> None:
    """TagResource, UntagResource and ListTagsForResource: moto lacks them."""
    from moto.budgets.responses import BudgetsResponse

    def tags(self: Any) -> dict[str, str]:
        found: dict[str, str] = _find(self, self._get_param("ResourceARN").partition("/")[2]).tags
        return found

    def tag_resource(self: Any) -> str:
        new = self._get_param("ResourceTags")
        tags(self).update({tag["Key"]: tag["Value"] for tag in new})
        return "{}"

    def untag_resource(self: Any) -> str:
        for key in self._get_param("ResourceTagKeys"):
            tags(self).pop(key, None)
        return "{}"

    def list_tags_for_resource(self: Any) -> str:
        listed = [{"Key": key, "Value": value} for key, value in tags(self).items()]
        return json.dumps({"ResourceTags": listed})

    BudgetsResponse.tag_resource = tag_resource
    BudgetsResponse.untag_resource = untag_resource
    BudgetsResponse.list_tags_for_resource = list_tags_for_resource


def _find(response: Any, name: str) -> Any:
    from moto.budgets.exceptions import NotFoundException

    account = response._get_param("AccountId") or response.current_account
    budget = response.backend.budgets[account].get(name)
    if budget is None:
        raise NotFoundException(f"Unable to get budget: {name} - the budget doesn't exist.")
    return budget
