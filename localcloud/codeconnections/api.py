"""The operations on connections, and the repositories behind them.

A repository behind a connection stands for one at the provider. It exists from the first request of
Git on, and lives as long as the connection.

Source: https://docs.aws.amazon.com/codeconnections/latest/APIReference/API_Operations.html
Differs: there are no hosts, so that self-managed providers are refused, and no repository links.
Inferred: the error of a name that is taken.
"""

from __future__ import annotations

import re
import shutil
import uuid
from typing import Any

from localcloud.aws.errors import AwsError, ResourceNotFound, ValidationError
from localcloud.aws.pagination import page
from localcloud.aws.protocol import operation
from localcloud.aws.routing import Scope
from localcloud.codecommit.git import GitRepository
from localcloud.codeconnections.model import Connection, ConnectionStatus
from localcloud.core.store import Collection
from localcloud.service_context import ServiceContext

CONNECTIONS_PREFIX = "/_localcloud/connections/"
# The providers that need no host of their own.
PROVIDERS = ("AzureDevOps", "Bitbucket", "GitHub", "GitLab")
_SEGMENT = r"(?![.-])[\w.-]{1,100}(?<!\.git)"
REPOSITORY = re.compile(rf"{_SEGMENT}(/{_SEGMENT}){{1,3}}", re.ASCII)
_PAGE = 100
_MOST_TAGS = 200


class ConnectionsApi:
    """Connections and their tags."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._connections = Collection(context.database, "codeconnections", Connection)

    @operation("CreateConnection")
    def create_connection(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        provider, name = params.get("ProviderType"), params["ConnectionName"]
        if "HostArn" in params or provider not in PROVIDERS:
            raise ValidationError(
                f"The local cloud has no connections to {provider or 'a host'}; give one of these "
                f"as ProviderType, and no HostArn: {', '.join(PROVIDERS)}."
            )
        if name in [connection.name for connection in self._of(scope)]:
            raise AwsError(
                "ResourceUnavailableException",
                f"A connection with the name '{name}' already exists in account {scope.account}.",
            )
        tags = _merged({}, params.get("Tags") or [])
        connection = Connection(
            scope.arn("codeconnections", f"connection/{uuid.uuid4()}"),
            name,
            provider,
            scope.account,
            tags=tags,
        )
        self._connections.put(connection.arn, connection)
        return {"ConnectionArn": connection.arn, "Tags": _listed(tags)}

    @operation("GetConnection")
    def get_connection(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        del scope
        return {"Connection": _view(self._found(params["ConnectionArn"]))}

    @operation("ListConnections")
    def list_connections(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        wanted = params.get("ProviderTypeFilter")
        found = [c for c in self._of(scope) if wanted in (None, c.provider)]
        shown, token = page(
            sorted(found, key=lambda connection: connection.name),
            lambda connection: connection.arn,
            params.get("NextToken"),
            params.get("MaxResults") or _PAGE,
            "ValidationException",
        )
        more = {"NextToken": token} if token else {}
        return {"Connections": [_view(connection) for connection in shown], **more}

    @operation("DeleteConnection")
    def delete_connection(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        del scope
        connection = self._found(params["ConnectionArn"])
        self._connections.delete(connection.arn)
        shutil.rmtree(self._context.directory / "connections" / connection.id, ignore_errors=True)
        return {}

    @operation("TagResource")
    def tag_resource(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        del scope
        connection = self._found(params["ResourceArn"])
        connection.tags = _merged(connection.tags, params["Tags"])
        self._connections.put(connection.arn, connection)
        return {}

    @operation("UntagResource")
    def untag_resource(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        del scope
        connection = self._found(params["ResourceArn"])
        for key in params["TagKeys"]:
            connection.tags.pop(key, None)
        self._connections.put(connection.arn, connection)
        return {}

    @operation("ListTagsForResource")
    def list_tags_for_resource(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        del scope
        return {"Tags": _listed(self._found(params["ResourceArn"]).tags)}

    def authorise(self, arn: str) -> Connection:
        """Make a connection AVAILABLE, as a person does in the console.

        Raises:
            ResourceNotFound: there is no such connection.
        """
        connection = self._found(arn)
        if connection.status is not ConnectionStatus.AVAILABLE:
            connection.become(ConnectionStatus.AVAILABLE)
            self._connections.put(arn, connection)
        return connection

    def get(self, arn: str) -> Connection | None:
        """Return a connection by its ARN."""
        return self._connections.get(arn)

    def by_id(self, id_: str) -> Connection | None:
        """Return a connection by the UUID in its ARN."""
        return next((c for c in self._connections.values() if c.id == id_), None)

    def repository(self, connection: Connection, full_name: str) -> GitRepository:
        """Return a repository behind a connection, by its full name, such as `org/repo`."""
        parent = self._context.directory / "connections" / connection.id
        return GitRepository(parent / f"{full_name}.git")

    def _of(self, scope: Scope) -> list[Connection]:
        prefix = scope.arn("codeconnections", "connection/")
        return [c for c in self._connections.values() if c.arn.startswith(prefix)]

    def _found(self, arn: str) -> Connection:
        connection = self._connections.get(arn)
        if connection is None:
            raise ResourceNotFound(f"Connection {arn} not found")
        return connection


def _view(connection: Connection) -> dict[str, Any]:
    return {
        "ConnectionName": connection.name,
        "ConnectionArn": connection.arn,
        "ProviderType": connection.provider,
        "OwnerAccountId": connection.owner,
        "ConnectionStatus": connection.status.value,
    }


def _listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _merged(tags: dict[str, str], given: list[dict[str, str]]) -> dict[str, str]:
    """Return a connection's tags with those that are given.

    Raises:
        AwsError: LimitExceededException.
    """
    merged = tags | {tag["Key"]: tag["Value"] for tag in given}
    if len(merged) > _MOST_TAGS:
        raise AwsError(
            "LimitExceededException",
            f"The connection would have {len(merged)} tags; it has at most {_MOST_TAGS}.",
        )
    return merged
