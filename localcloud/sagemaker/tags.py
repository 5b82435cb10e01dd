"""What the operations of SageMaker share: tags by ARN, and listing."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from localcloud.cloud import Cloud
from localcloud.protocol import operation
from localcloud.routing import Scope
from localcloud.store import Collection


class Tags:
    """Tags of any resource, by ARN, and their operations."""

    def __init__(self, cloud: Cloud) -> None:
        self._tags = Collection(cloud.database, "sagemaker-tags", dict[str, str])

    @operation("AddTags")
    def add_tags(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        del scope
        self.add(params["ResourceArn"], params["Tags"])
        return {"Tags": self._tag_list(params["ResourceArn"])}

    @operation("ListTags")
    def list_tags(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        del scope
        return {"Tags": self._tag_list(params["ResourceArn"])}

    @operation("DeleteTags")
    def delete_tags(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        del scope
        tags = dict(self._tags.get(params["ResourceArn"]) or {})
        for key in params["TagKeys"]:
            tags.pop(key, None)
        self._tags.put(params["ResourceArn"], tags)
        return {}

    def add(self, arn: str, tags: list[dict[str, str]] | None) -> None:
        """Add tags to a resource; none given, none added."""
        if tags:
            merged = dict(self._tags.get(arn) or {}) | {t["Key"]: t["Value"] for t in tags}
            self._tags.put(arn, merged)

    def _tag_list(self, arn: str) -> list[dict[str, str]]:
        return [{"Key": k, "Value": v} for k, v in (self._tags.get(arn) or {}).items()]

    def forget(self, arn: str) -> None:
        """Drop the tags of a resource that is gone."""
        self._tags.delete(arn)


def without_tags(request: dict[str, Any]) -> dict[str, Any]:
    """Return a request as the describe operations give it back."""
    return {key: value for key, value in request.items() if key != "Tags"}


def page(records: list[Any], scope: Scope, params: dict[str, Any]) -> list[Any]:
    """Return the scope's records that match NameContains, newest first, at most MaxResults."""

    def created(record: Any) -> datetime:
        value: datetime = record.created
        return value

    prefix = scope.arn("sagemaker", "")
    wanted = params.get("NameContains", "")
    found = [r for r in records if r.arn.startswith(prefix) and wanted in r.name]
    found.sort(key=created, reverse=params.get("SortOrder", "Descending") == "Descending")
    return found[: params.get("MaxResults", 100)]
