"""Patches of CodeCommit. moto stores repositories without Git."""

from __future__ import annotations

import json
from typing import Any


def patch() -> None:
    """Apply the patches."""
    _patch_timestamps()
    _patch_creation()
    _patch_changes()
    _patch_tags()


def _patch_timestamps() -> None:
    """Timestamps: moto returns strings, which the SDK of Terraform's provider cannot parse.

    AWS returns epoch numbers.
    """
    from moto.codecommit.models import CodeCommit
    from moto.core.utils import unix_time

    original = CodeCommit.__init__

    def __init__(self: Any, *arguments: Any, **named: Any) -> None:  # noqa: N807 - moto's own
        original(self, *arguments, **named)
        now = unix_time()
        self.repository_metadata |= {"creationDate": now, "lastModifiedDate": now}

    CodeCommit.__init__ = __init__


def _patch_creation() -> None:
    """CreateRepository: moto drops the key and the tags, and returns a missing description.

    AWS stores the key and the tags, and omits a missing description.
    """
    from moto.codecommit.responses import CodeCommitResponse

    original = CodeCommitResponse.create_repository

    def create_repository(self: Any) -> str:
        original(self)
        repository = self.codecommit_backend.repositories[self._get_param("repositoryName")]
        metadata = repository.repository_metadata
        if metadata["repositoryDescription"] is None:
            del metadata["repositoryDescription"]
        if self._get_param("kmsKeyId"):
            metadata["kmsKeyId"] = self._get_param("kmsKeyId")
        repository.tags = dict(self._get_param("tags") or {})
        return json.dumps({"repositoryMetadata": metadata})

    CodeCommitResponse.create_repository = create_repository


def _patch_changes() -> None:
    """ListRepositories, UpdateRepositoryDescription and -EncryptionKey: moto lacks them."""
    from moto.codecommit.responses import CodeCommitResponse
    from moto.core.utils import unix_time

    def list_repositories(self: Any) -> str:
        found = [r.repository_metadata for r in self.codecommit_backend.repositories.values()]
        return json.dumps(
            {
                "repositories": [
                    {key: metadata[key] for key in ("repositoryName", "repositoryId")}
                    for metadata in found
                ]
            }
        )

    def change(self: Any, key: str, parameter: str) -> dict[str, Any]:
        metadata: dict[str, Any] = self.codecommit_backend.get_repository(
            self._get_param("repositoryName")
        )
        metadata |= {key: self._get_param(parameter) or "", "lastModifiedDate": unix_time()}
        return metadata

    def update_repository_description(self: Any) -> str:
        change(self, "repositoryDescription", "repositoryDescription")
        return "{}"

    def update_repository_encryption_key(self: Any) -> str:
        before = self.codecommit_backend.get_repository(self._get_param("repositoryName"))
        answer = {"originalKmsKeyId": before.get("kmsKeyId", "alias/aws/codecommit")}
        metadata = change(self, "kmsKeyId", "kmsKeyId")
        answer |= {"repositoryId": metadata["repositoryId"], "kmsKeyId": metadata["kmsKeyId"]}
        return json.dumps(answer)

    CodeCommitResponse.list_repositories = list_repositories
    CodeCommitResponse.update_repository_description = update_repository_description
    CodeCommitResponse.update_repository_encryption_key = update_repository_encryption_key


def _patch_tags() -> None:
    """TagResource, UntagResource and ListTagsForResource: moto lacks them."""
    from moto.codecommit.exceptions import RepositoryDoesNotExistException
    from moto.codecommit.responses import CodeCommitResponse

    def tags(self: Any) -> dict[str, str]:
        name = self._get_param("resourceArn").rsplit(":", 1)[-1]
        repository = self.codecommit_backend.repositories.get(name)
        if repository is None:
            raise RepositoryDoesNotExistException(name)
        found: dict[str, str] = repository.tags
        return found

    def tag_resource(self: Any) -> str:
        tags(self).update(self._get_param("tags"))
        return "{}"

    def untag_resource(self: Any) -> str:
        for key in self._get_param("tagKeys"):
            tags(self).pop(key, None)
        return "{}"

    def list_tags_for_resource(self: Any) -> str:
        return json.dumps({"tags": tags(self)})

    CodeCommitResponse.tag_resource = tag_resource
    CodeCommitResponse.untag_resource = untag_resource
    CodeCommitResponse.list_tags_for_resource = list_tags_for_resource
