"""CodeConnections as one service: its API, and the provider that stands behind a connection.

    POST /_localcloud/connections/ID             authorise the connection
    *    /_localcloud/connections/ID/ORG/REPO/…  Git itself, as at the provider

A push to a branch is what the provider's webhook tells AWS: it starts the pipelines whose source
action follows this branch by this connection. There is no event on EventBridge.

Source: https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CodestarConnectionSource.html
Differs: every user of this machine may push, also while the connection is pending; then nothing
starts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import ClassVar

from localcloud.aws.routing import Request, Response
from localcloud.codecommit.smart_http import References, answer, text
from localcloud.codeconnections.api import CONNECTIONS_PREFIX, REPOSITORY, ConnectionsApi
from localcloud.codeconnections.model import Connection, ConnectionStatus
from localcloud.service import Service

_BRANCHES = "refs/heads/"
_ID = re.compile(r"[0-9a-f-]{36}")
# What Git asks for below the URL of a repository.
_GIT = re.compile(r"(.+?)(?:\.git)?/(info/refs|git-upload-pack|git-receive-pack)")

# Called with the connection's ARN, the repository's full name, the branch and its new commit.
OnPush = Callable[[str, str, str, str], None]


class CodeConnectionsService(Service):
    """Serves connections and the repositories behind them.

    Args:
        connections: the operations and the records.
        on_push: starts the pipelines that follow a branch.
    """

    API_CLASSES: ClassVar = {"codeconnections": (ConnectionsApi,)}

    def __init__(self, connections: ConnectionsApi, on_push: OnPush) -> None:
        self._connections = connections
        self._on_push = on_push

    def apis(self) -> tuple[object, ...]:
        """Return the API of `codeconnections`."""
        return (self._connections,)

    async def handle(self, request: Request) -> Response | None:
        """Answer Git's requests, and authorise a connection."""
        if not request.path.startswith(CONNECTIONS_PREFIX):
            return None
        id_, _, rest = request.path.removeprefix(CONNECTIONS_PREFIX).partition("/")
        connection = self._connections.by_id(id_) if _ID.fullmatch(id_) else None
        if not rest:
            return self._authorise(request, connection)
        if connection is None:
            return text(404, "There is no connection with this id.\n")
        found = _GIT.fullmatch(rest)
        if found is None or not REPOSITORY.fullmatch(found[1]):
            return text(404, "The repository's path must be ORG/REPO.\n")
        name = found[1]

        def pushed(before: References, after: References) -> None:
            self._push(connection, name, before, after)

        repository = self._connections.repository(connection, name)
        return await answer(repository, request, found[2], pushed)

    def _authorise(self, request: Request, connection: Connection | None) -> Response:
        if request.method != "POST":
            message = f"{request.method} is not supported here; POST authorises a connection"
            return _json(405, {"message": message})
        if connection is None:
            return _json(404, {"message": "there is no connection with this ARN or id"})
        authorised = self._connections.authorise(connection.arn)
        return _json(200, {"arn": authorised.arn, "status": authorised.status.value})

    def _push(
        self, connection: Connection, name: str, before: References, after: References
    ) -> None:
        """Do what the provider's webhook does after a push."""
        current = self._connections.get(connection.arn)
        if current is None or current.status is not ConnectionStatus.AVAILABLE:
            return
        for reference, commit in sorted(after.items()):
            if reference.startswith(_BRANCHES) and before.get(reference) != commit:
                branch = reference.removeprefix(_BRANCHES)
                self._on_push(connection.arn, name, branch, commit)


def _json(status: int, document: dict[str, str]) -> Response:
    headers = {"content-type": "application/json"}
    return Response(status, headers, json.dumps(document).encode() + b"\n")
