"""Tags by ARN, and their operations.

Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_AddTags.html
Source: https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from localcloud.aws.errors import ValidationError
from localcloud.aws.protocol import operation
from localcloud.aws.routing import Scope
from localcloud.core.store import Collection
from localcloud.sagemaker.listing import Order, pages
from localcloud.service_context import ServiceContext

# The largest number of tags of a resource, so that a page has all of them by default.
_PAGE = _MOST = 50
# AWS keeps the tags with this prefix to itself.
_RESERVED = "aws:"


class Tags:
    """Tags of any resource, by ARN, and their operations."""

    def __init__(self, context: ServiceContext) -> None:
        self._tags = Collection(context.database, "sagemaker-tags", dict[str, str])
        self._knows: list[Callable[[str], bool]] = []

    def resources(self, *knows: Callable[[str], bool]) -> None:
        """Set the functions that return whether a resource with an ARN exists."""
        self._knows = list(knows)

    @operation("AddTags")
    def add_tags(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        del scope
        arn = self._resource(params)
        self.add(arn, params["Tags"])
        return {"Tags": self.of(arn)}

    @operation("ListTags")
    def list_tags(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        del scope
        shown, more = pages(
            self.of(self._resource(params)),
            {"MaxResults": _PAGE, **params},
            Order("Key", descending=False, keys={"Key": lambda tag: str(tag["Key"])}),
            lambda tag: tag["Key"],
        )
        return {"Tags": shown, **more}

    @operation("DeleteTags")
    def delete_tags(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        del scope
        arn = self._resource(params)
        tags = dict(self._tags.get(arn) or {})
        for key in params["TagKeys"]:
            tags.pop(key, None)
        self._tags.put(arn, tags)
        return {}

    def add(self, arn: str, tags: list[dict[str, str]] | None) -> None:
        """Add tags to a resource.

        Raises:
            ValidationError: as `check`.
        """
        if tags:
            self._tags.put(arn, self._merged(arn, tags))

    def check(self, arn: str, tags: list[dict[str, str]] | None) -> None:
        """Refuse the tags of a resource that is about to be created.

        Raises:
            ValidationError: a key is reserved, or there would be more than 50 tags.
        """
        self._merged(arn, tags or [])

    def _merged(self, arn: str, tags: list[dict[str, str]]) -> dict[str, str]:
        reserved = [tag["Key"] for tag in tags if tag["Key"].lower().startswith(_RESERVED)]
        if reserved:
            raise ValidationError(
                "Tag keys with the prefix aws: are reserved for AWS and may not be given: "
                f"{', '.join(reserved)}."
            )
        merged = dict(self._tags.get(arn) or {}) | {t["Key"]: t["Value"] for t in tags}
        if len(merged) > _MOST:
            raise ValidationError(
                f"{arn} would have {len(merged)} tags; a resource has at most {_MOST}."
            )
        return merged

    def _resource(self, params: dict[str, Any]) -> str:
        """Return the ARN of a request, whose resource is written in lower case.

        Raises:
            ValidationError: there is no such resource.
        """
        given: str = params["ResourceArn"]
        *head, resource = given.split(":", 5)
        arn = ":".join([*head, resource.lower()])
        if not any(knows(arn) for knows in self._knows):
            kind = resource.partition("/")[0].replace("-", " ")
            raise ValidationError(f'Could not find {kind} "{given}".')
        return arn

    def of(self, arn: str) -> list[dict[str, str]]:
        """Return a resource's tags."""
        return [{"Key": k, "Value": v} for k, v in (self._tags.get(arn) or {}).items()]

    def forget(self, arn: str) -> None:
        """Delete the tags of a deleted resource."""
        self._tags.delete(arn)


def without_tags(request: dict[str, Any]) -> dict[str, Any]:
    """Return a request in the shape of a Describe operation."""
    return {key: value for key, value in request.items() if key != "Tags"}
