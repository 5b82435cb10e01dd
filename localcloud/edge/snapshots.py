"""The routes of snapshots, which save and replace the whole local cloud.

    GET    /_localcloud/snapshots                the snapshots that can be loaded, the oldest first
    POST   /_localcloud/snapshots?name=          save the state of this moment
    POST   /_localcloud/snapshots/load?name=     continue from a snapshot
    DELETE /_localcloud/snapshots?name=          delete one

Must not: know what the state consists of.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any, Protocol
from urllib.parse import parse_qs

from localcloud.aws.routing import Request, Response
from localcloud.core.snapshot_files import SnapshotError
from localcloud.core.snapshots import About, Snapshots
from localcloud.core.state_directory import StateDirectoryError

ROUTE = "/_localcloud/snapshots"
_LOAD = f"{ROUTE}/load"
log = logging.getLogger("localcloud")


class Restorable(Protocol):
    """A local cloud whose state can be saved and replaced."""

    async def save(self, name: str) -> About:
        """Save the state of one moment while work goes on."""
        ...

    async def load(self, name: str) -> About:
        """Continue from a snapshot; requests wait meanwhile."""
        ...


class SnapshotRoutes:
    """Answers the routes.

    Args:
        cloud: the local cloud.
        snapshots: the snapshots.
    """

    def __init__(self, cloud: Restorable, snapshots: Snapshots) -> None:
        self._cloud = cloud
        self._snapshots = snapshots

    async def handle(self, request: Request) -> Response | None:
        """Answer a route of snapshots; return None for any other path."""
        if request.path not in (ROUTE, _LOAD):
            return None
        name = parse_qs(request.query).get("name", [""])[0]
        try:
            match request.method, request.path:
                case "GET", path if path == ROUTE:
                    found = await asyncio.to_thread(self._snapshots.all)
                    return _json([_view(about) for about in found])
                case "POST", path if path == ROUTE:
                    return _json(_view(await self._cloud.save(name)))
                case "POST", _:
                    return _json(_view(await self._cloud.load(name)))
                case "DELETE", path if path == ROUTE:
                    await asyncio.to_thread(self._snapshots.delete, name)
                    return _json({"name": name})
        except (SnapshotError, StateDirectoryError) as error:
            log.warning("%s", error)
            return _json({"message": str(error)}, 400)
        return _json({"message": f"There is no {request.method} {request.path}."}, 404)


def _view(about: About) -> dict[str, Any]:
    return {
        "name": about.name,
        "saved": about.saved.isoformat(),
        "now": about.now.isoformat(),
        "bytes": about.size_bytes,
        "version": about.localcloud,
    }


def _json(document: Any, status: int = 200) -> Response:
    body = json.dumps(document).encode() + b"\n"
    return Response(status, {"content-type": "application/json"}, body)
