"""The EventBridge events of SageMaker, whose detail is almost the response of Describe.

    SageMaker Training Job State Change     times in milliseconds, tags as a map
    SageMaker Transform Job State Change    the same
    SageMaker Processing Job State Change   the same
    SageMaker HyperParameter Tuning Job State Change   the same
    SageMaker Endpoint State Change         the same, and the status in capitals: IN_SERVICE
    SageMaker Model Package State Change    times as strings

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from localcloud.aws.routing import scope_of_arn
from localcloud.sagemaker.listing import utc
from localcloud.sagemaker.tags import Tags
from localcloud.service_context import ServiceContext

Detail = dict[str, Any]


class StateChangePublisher:
    """Publishes changes of state on EventBridge."""

    def __init__(self, context: ServiceContext, tags: Tags) -> None:
        self._context = context
        self._tags = tags

    def changed(self, kind: str, arn: str, described: Detail) -> None:
        """Publish a change of state.

        Args:
            kind: the kind of resource in the detail type, for example `Training Job`.
            arn: the ARN of the resource.
            described: the response of its Describe operation.
        """
        tags = {tag["Key"]: tag["Value"] for tag in self._tags.of(arn)}
        self._context.publish(
            scope_of_arn(arn),
            "aws.sagemaker",
            f"SageMaker {kind} State Change",
            [arn],
            {**detail_of(kind, described), "Tags": tags},
        )


def detail_of(kind: str, described: Detail) -> Detail:
    """Return the detail of an event, without tags. Pure."""
    detail: Detail = _with_times(described, _text if kind == "Model Package" else _milliseconds)
    if kind == "Endpoint":
        words = re.findall("[A-Z][a-z]*", described["EndpointStatus"])
        detail["EndpointStatus"] = "_".join(words).upper()
    return detail


def _with_times(value: Any, form: Callable[[datetime], Any]) -> Any:
    """Return a document without absent members, and with times in another form."""
    if isinstance(value, dict):
        return {k: _with_times(v, form) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_with_times(member, form) for member in value]
    return form(value) if isinstance(value, datetime) else value


def _milliseconds(time: datetime) -> int:
    return round(utc(time).timestamp() * 1000)


def _text(time: datetime) -> str:
    return utc(time).strftime("%Y-%m-%dT%H:%M:%SZ")
