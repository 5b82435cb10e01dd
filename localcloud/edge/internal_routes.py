"""The routes that are not AWS's: LocalStack's own and the local cloud's own, without a signature.

    GET  /_localstack/init | init/STAGE          the scripts of `start --init`
    GET  /_localstack/health | info | plugins | config | diagnose
    GET  /_localcloud/clock                      now (epoch seconds) and speed
    POST /_localcloud/clock?advance_seconds=     advance the clock, or change its speed by speed=
    POST /_localcloud/reset                      delete all state (answered by server.py)
    *    /_localcloud/snapshots, …               save and load the state (edge/snapshots.py)
    POST /_localcloud/images                     builds and registers images (image_routes.py)
    *    /_localcloud/, /page, /overview, …      the page for a browser (page/routes.py)
    GET  /_localcloud/operations                 the implemented operations, by service
    *    /_localcloud/iam/calls                  the calls of roles: GET and DELETE
    *    /_localcloud/stacks/PROJECT/STACK       the state of a stack of `localcloud up`
    *    /_localcloud/git/…                      Git itself, answered by CodeCommit
    *    /_localcloud/connections/ID/…           Git and authorisation, by CodeConnections
    POST /_localcloud/shutdown                   shut down gracefully

Source: https://docs.localstack.cloud/aws/capabilities/networking/internal-endpoints/
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from localcloud import __version__
from localcloud.aws.routing import (
    Request,
    Response,
)
from localcloud.codecommit.api import GIT_PREFIX
from localcloud.codeconnections.api import CONNECTIONS_PREFIX
from localcloud.core.store import Collection
from localcloud.edge.init_scripts import InitScripts, Stage
from localcloud.moto_backend.dispatcher import SERVICES
from localcloud.service_context import ServiceContext

log = logging.getLogger("localcloud")

_INIT = "/_localstack/init"
_STACKS = "/_localcloud/stacks"
_STACK_NAME = re.compile(r"[^/]{1,100}/[^/]{1,100}")


class InternalRoutes:
    """The first handler of the chain.

    Args:
        context: what services share.
        stacks: the states of the stacks of `localcloud up`.
        operations: the implemented operations, by service.
        shut_down: shuts the local cloud down.
        changed: called with a section of the overview that a route has changed.
        init: the scripts that are run while the local cloud starts and stops.
    """

    def __init__(
        self,
        context: ServiceContext,
        stacks: Collection[dict[str, Any]],
        operations: dict[str, list[str]],
        shut_down: Callable[[], None],
        changed: Callable[[str], None],
        init: InitScripts,
    ) -> None:
        self._init = init
        self._context = context
        self._changed = changed
        self._operations = operations
        self._shut_down = shut_down
        self._stacks = stacks
        self._move_old_stacks()

    async def handle(self, request: Request) -> Response | None:
        """Answer an internal route; return None for any other path."""
        if not request.path.startswith(("/_localstack/", "/_localcloud/")):
            return None
        if request.path.startswith((GIT_PREFIX, CONNECTIONS_PREFIX)):
            return None
        key = (request.method, request.path)
        if key == ("GET", "/_localstack/health"):
            services = dict.fromkeys((*SERVICES, *self._operations), "available")
            return _json(
                {
                    "services": dict(sorted(services.items())),
                    "edition": "localcloud",
                    "version": __version__,
                }
            )
        if key == ("GET", "/_localstack/info"):
            return _json({"edition": "localcloud", "version": __version__, "is_docker": False})
        if key == ("GET", "/_localstack/plugins"):
            return _json({})  # there are none
        if key == ("GET", "/_localstack/config"):
            return _json(self._configuration())
        if key == ("GET", "/_localstack/diagnose"):
            info = {"edition": "localcloud", "version": __version__}
            return _json({"version": info, "info": info, "config": self._configuration()})
        if request.path == "/_localstack/config":
            text = "the configuration is given at the start: localcloud start --help"
            return _json({"message": text}, 405)
        if request.method == "GET" and request.path.startswith(_INIT):
            return self._init_scripts(request.path.removeprefix(_INIT).strip("/"))
        if request.path == "/_localcloud/clock" and request.method in ("GET", "POST"):
            return await self._clock(request)
        if key == ("GET", "/_localcloud/operations"):
            return _json(self._operations)
        if key == ("GET", "/_localcloud/iam/calls"):
            return _json_list(self._context.iam.calls.document())
        if key == ("DELETE", "/_localcloud/iam/calls"):
            self._context.iam.calls.clear()
            return _json({})
        if request.path.startswith(_STACKS):
            return self._stack(request)
        if request.path == "/_localcloud/faults":
            return _json({"message": "start the local cloud with --faults to inject faults"}, 404)
        if key == ("POST", "/_localcloud/shutdown"):
            self._shut_down()
            return _json({"status": "shutting down"}, 202)
        return _json({"message": f"There is no {request.method} {request.path}."}, 404)

    def _configuration(self) -> dict[str, Any]:
        """Return the settings, under LocalStack's names where it has them."""
        return {
            "GATEWAY_LISTEN": self._context.endpoint_url.partition("://")[2],
            "DEBUG": int(log.isEnabledFor(logging.DEBUG)),
            "STATE_DIRECTORY": str(self._context.directory),
            "CLOCK_SPEED": self._context.clock.speed,
        }

    def _init_scripts(self, stage: str) -> Response:
        if not stage:
            return _json(self._init.document())
        if stage.upper() not in Stage.__members__:
            known = ", ".join(stage.lower() for stage in Stage)
            return _json({"message": f"no such stage '{stage}'; the stages are: {known}"}, 404)
        return _json(self._init.document(Stage(stage.upper())))

    async def _clock(self, request: Request) -> Response:
        clock = self._context.clock
        if request.method == "POST":
            query = parse_qs(request.query)
            name = "speed" if "speed" in query else "advance_seconds"
            given = query.get(name, [""])[0]
            try:
                if name == "speed":
                    clock.change_speed(float(given))
                else:
                    await clock.advance(float(given))
            except ValueError as error:
                return _json({"message": f"{name} is '{given}': {error}"}, 400)
            self._changed("cloud")
        return _json({"now": clock.now().timestamp(), "speed": clock.speed})

    def _move_old_stacks(self) -> None:
        """Store the stacks of versions before 0.2, which were known by their name, by project too.

        The project is in the URNs of their resources: `urn:pulumi:STACK::PROJECT::TYPE::NAME`.
        """
        for key, state in self._stacks.items():
            urns = [str(r.get("urn", "")).split("::") for r in state.get("resources", [])]
            project = next((parts[1] for parts in urns if len(parts) > 2), None)
            if "/" not in key and project:
                self._stacks.put(f"{project}/{key}", state | {"project": project})
                self._stacks.delete(key)

    def _stack(self, request: Request) -> Response:
        name = request.path.removeprefix(_STACKS).strip("/")
        match request.method:
            case "GET" if not name:
                return _json_list(sorted(self._stacks))
            case "GET":
                kept = self._stacks.get(name)
                return _json({}, 404) if kept is None else _json(kept)
            case "PUT" if _STACK_NAME.fullmatch(name):
                try:
                    state = json.loads(request.body, parse_constant=_refuse_constant)
                except (ValueError, RecursionError) as error:
                    return _json({"message": f"the body is not JSON: {error}"}, 400)
                if not isinstance(state, dict):
                    return _json({"message": "the body must be a JSON object"}, 400)
                self._stacks.put(name, state)
                if not self._context.database.flush():
                    return _json(
                        {"message": "the state could not be stored: is the disk full?"}, 500
                    )
                return _json({})
            case "PUT":
                text = f"'{name}' is not a stack; it must be PROJECT/STACK"
                return _json({"message": text}, 400)
            case "DELETE":
                self._stacks.delete(name)
                return _json({})
        return _json({"message": f"{request.method} is not supported here"}, 405)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number in JSON")


def _json_list(entries: list[Any]) -> Response:
    return Response(200, {"content-type": "application/json"}, json.dumps(entries).encode())


def _json(document: dict[str, Any], status: int = 200) -> Response:
    return Response(
        status, {"content-type": "application/json"}, json.dumps(document).encode() + b"\n"
    )
