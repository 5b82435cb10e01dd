"""AWS Budgets: cost limits and their notifications."""

from __future__ import annotations

from typing import Any

from localcloud.deploy.reading import Terms
from localcloud.deploy.types.base import (
    Answer,
    Aws,
    Inputs,
    Outputs,
    Reader,
    ResourceType,
    fields,
    tag_list,
    tags_of,
    update_tags,
)

_ADDRESSES = {"subscriberEmailAddresses": "EMAIL", "subscriberSnsTopicArns": "SNS"}


def _budget(inputs: Inputs) -> dict[str, Any]:
    budget: dict[str, Any] = {
        "budgetName": inputs["name"],
        "budgetType": inputs["budgetType"],
        "timeUnit": inputs["timeUnit"],
        "budgetLimit": {"amount": inputs["limitAmount"], "unit": inputs["limitUnit"]},
    }
    if inputs.get("costFilters"):
        budget["costFilters"] = {
            filter_["name"]: filter_["values"] for filter_ in inputs["costFilters"]
        }
    if inputs.get("costTypes"):
        budget["costTypes"] = inputs["costTypes"]
    return budget


def _notifications(inputs: Inputs) -> list[dict[str, Any]]:
    found = []
    for wanted in inputs.get("notifications") or []:
        subscribers = [
            {"subscriptionType": kind, "address": address}
            for key, kind in _ADDRESSES.items()
            for address in wanted.get(key) or []
        ]
        settings = {key: value for key, value in wanted.items() if key not in _ADDRESSES}
        found.append({"notification": settings, "subscribers": subscribers})
    return found


def _create_budget(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
    aws.call(
        "budgets",
        "create_budget",
        AccountId=aws.account,
        Budget=_budget(inputs),
        NotificationsWithSubscribers=_notifications(inputs),
        ResourceTags=tag_list(inputs) or None,
    )
    return f"{aws.account}:{inputs['name']}", {**inputs, "arn": _arn(aws, inputs)}


def _update_budget(aws: Aws, id_: str, inputs: Inputs, outputs: Outputs) -> Outputs:
    del id_
    of: dict[str, Any] = {"AccountId": aws.account}
    aws.call("budgets", "update_budget", **of, NewBudget=_budget(inputs))
    of["BudgetName"] = inputs["name"]
    before, after = _notifications(outputs), _notifications(inputs)
    for gone in before:
        if gone not in after:
            aws.call("budgets", "delete_notification", **of, Notification=gone["notification"])
    for new in after:
        if new not in before:
            aws.call("budgets", "create_notification", **of, **new)
    arn = _arn(aws, inputs)
    update_tags(
        aws,
        "budgets",
        outputs,
        inputs,
        of={"ResourceARN": arn},
        names=("ResourceTags", "ResourceTagKeys"),
    )
    return {**inputs, "arn": arn}


def _arn(aws: Aws, inputs: Inputs) -> str:
    return f"arn:aws:budgets::{aws.account}:budget/{inputs['name']}"


def _delete_budget(aws: Aws, id_: str, outputs: Outputs) -> None:
    del id_
    aws.call("budgets", "delete_budget", AccountId=aws.account, BudgetName=outputs["name"])


def _find_budget(aws: Aws, id_: str, known: Inputs) -> Answer:
    name = id_.partition(":")[2]
    of = {"AccountId": aws.account, "BudgetName": name}
    budget = aws.ask("budgets", "describe_budget", **of)["budget"]
    limit = budget["budgetLimit"]
    amount, wanted = limit["amount"], known.get("limitAmount")
    inputs = {
        "name": name,
        "budgetType": budget["budgetType"],
        "timeUnit": budget["timeUnit"],
        # AWS writes the amount with decimals.
        "limitAmount": wanted if wanted and float(wanted) == float(amount) else amount,
        "limitUnit": limit["unit"],
        "costFilters": [
            {"name": key, "values": values}
            for key, values in (budget.get("costFilters") or {}).items()
        ],
        "costTypes": budget.get("costTypes"),
        "notifications": _find_notifications(aws, of),
    }
    arn = _arn(aws, inputs)
    tags = aws.ask("budgets", "list_tags_for_resource", ResourceARN=arn).get("resourceTags")
    return {**inputs, "tags": tags_of(tags)}, {"arn": arn}


def _find_notifications(aws: Aws, of: dict[str, str]) -> list[dict[str, Any]]:
    answer = aws.client("budgets").describe_notifications_for_budget(**of)
    found = []
    for notification in answer.get("Notifications", []):
        subscribers = aws.ask(
            "budgets",
            "describe_subscribers_for_notification",
            **of,
            Notification={k: v for k, v in notification.items() if k != "NotificationState"},
        )["subscribers"]
        addresses = {
            key: [s["address"] for s in subscribers if s["subscriptionType"] == kind]
            for key, kind in _ADDRESSES.items()
        }
        settings = {
            "comparisonOperator": notification["ComparisonOperator"],
            "notificationType": notification["NotificationType"],
            "threshold": notification["Threshold"],
            "thresholdType": notification.get("ThresholdType", "PERCENTAGE"),
        }
        found.append({**settings, **addresses})
    return found


TYPES: dict[str, ResourceType] = {
    "aws:budgets/budget:Budget": ResourceType(
        _create_budget,
        _delete_budget,
        _update_budget,
        fields("name budgetType"),
        fields(
            "name budgetType limitAmount limitUnit timeUnit costFilters costTypes notifications "
            "tags"
        ),
        name_inputs=fields("name"),
        reader=Reader(_find_budget, Terms(filled=fields("costTypes"))),
    ),
}
