"""Tags by ARN, and their operations."""

from __future__ import annotations

from typing import Any

from localcloud.aws.protocol import operation
from localcloud.aws.routing import Scope
from localcloud.core.store import Collection
from localcloud.sagemaker.listing import Order, pages
from localcloud.service_context import ServiceContext

# The largest number of tags of a resource, so that a page has all of them by default.
_PAGE = 50


class Tags:
    """Tags of any resource, by ARN, and their operations."""

    def __init__(self, context: ServiceContext) -> None:
        self._tags = Collection(context.database, "sagemaker-tags", dict[str, str])

    @operation("AddTags")
    def add_tags(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        del scope
        self.add(params["ResourceArn"], params["Tags"])
        return {"Tags": self.of(params["ResourceArn"])}

    @operation("ListTags")
    def list_tags(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        del scope
        shown, more = pages(
            self.of(params["ResourceArn"]),
            {"MaxResults": _PAGE, **params},
            Order("Key", descending=False, keys={"Key": lambda tag: str(tag["Key"])}),
            lambda tag: tag["Key"],
        )
        return {"Tags": shown, **more}

    @operation("DeleteTags")
    def delete_tags(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        del scope
        tags = dict(self._tags.get(params["ResourceArn"]) or {})
        for key in params["TagKeys"]:
            tags.pop(key, None)
        self._tags.put(params["ResourceArn"], tags)
        return {}

    def add(self, arn: str, tags: list[dict[str, str]] | None) -> None:
        """Add tags to a resource."""
        if tags:
            merged = dict(self._tags.get(arn) or {}) | {t["Key"]: t["Value"] for t in tags}
            self._tags.put(arn, merged)

    def of(self, arn: str) -> list[dict[str, str]]:
        """Return a resource's tags."""
        return [{"Key": k, "Value": v} for k, v in (self._tags.get(arn) or {}).items()]

    def forget(self, arn: str) -> None:
        """Delete the tags of a deleted resource."""
        self._tags.delete(arn)


def without_tags(request: dict[str, Any]) -> dict[str, Any]:
    """Return a request in the shape of a Describe operation."""
    return {key: value for key, value in request.items() if key != "Tags"}
