"""Lambda's Invoke: warm environments are reused, and concurrent events get one each.

Source: https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
Differs: an idle environment is kept for five wall-clock minutes; memory is reported, not limited.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import logging
import re
import uuid
from collections import defaultdict
from collections.abc import Coroutine, Iterator
from typing import Any, ClassVar
from urllib.parse import unquote

from localcloud.aws.errors import AwsError
from localcloud.aws.protocol import serialise_error
from localcloud.aws.routing import Request, Response, Scope
from localcloud.core.archives import ArchiveError
from localcloud.core.child_process import Child
from localcloud.core.clock import monotonic, wall_sleep, wall_time
from localcloud.iam.actions import permissions
from localcloud.lambda_.environment import Environment, Function, is_json
from localcloud.lambda_.runtime_api import Outcome, error_payload
from localcloud.moto_backend.dispatcher import backend
from localcloud.service import Service
from localcloud.service_context import ServiceContext

log = logging.getLogger("localcloud.lambda")

_INVOKE = re.compile(r"/2015-03-31/functions/([^/]+)/invocations")
_IDLE_SECONDS = 300.0
_ASYNC_ATTEMPTS = 3
_ASYNC_PAUSE_CLOCK_SECONDS = 60.0


class LambdaService(Service):
    """Runs the functions that moto stores."""

    OPERATIONS_BY_PATH: ClassVar = {"lambda": ("Invoke",)}

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._idle: dict[str, list[tuple[float, Environment]]] = defaultdict(list)
        self._busy: set[Environment] = set()

    async def handle(self, request: Request) -> Response | None:
        """Answer Invoke; return None for any other request, which moto answers."""
        match = _INVOKE.fullmatch(request.path)
        if match is None or request.method != "POST" or request.service != "lambda":
            return None
        name = unquote(match.group(1)).split(":function:")[-1].split(":")[0]
        kind = request.headers.get("x-amz-invocation-type", "RequestResponse")
        event = request.body or b"{}"
        try:
            if not is_json(event):
                raise AwsError(
                    "InvalidRequestContentException",
                    "Could not parse request body into json: the payload is not JSON.",
                )
            function, code = await self._find(request.scope, name)
            if kind == "DryRun":
                return Response(204, {}, b"")
            if kind == "Event":
                self._context.spawn(f"lambda {name}", self._invoke_async(function, code, event))
                return Response(202, {}, b"")
            outcome, tail = await self._invoke(function, code, event)
        except AwsError as error:
            return serialise_error("lambda", error)
        headers = {"content-type": "application/json", "x-amz-executed-version": "$LATEST"}
        if outcome.function_error:
            headers["x-amz-function-error"] = outcome.function_error
        if request.headers.get("x-amz-log-type") == "Tail":
            headers["x-amz-log-result"] = base64.b64encode(tail.encode()[-4096:]).decode()
        return Response(200, headers, outcome.payload)

    async def invoke(self, scope: Scope, name: str, event: Any, principal: str = "") -> Outcome:
        """Invoke a function for another service, as that service's role, and wait for the outcome.

        Raises:
            AwsError: the function does not exist, or the role may not invoke it.
        """
        wanted = permissions("lambda", "Invoke", {"FunctionName": name}, scope)
        name = name.split(":function:")[-1].partition(":")[0]
        await self._context.iam.authorise(principal, wanted)
        function, code = await self._find(scope, name)
        outcome, _ = await self._invoke(function, code, json.dumps(event).encode())
        return outcome

    async def _invoke_async(self, function: Function, code: bytes, event: bytes) -> None:
        """Invoke asynchronously, with two retries a minute apart."""
        for attempt in range(_ASYNC_ATTEMPTS):
            outcome, _ = await self._invoke(function, code, event)
            if outcome.function_error is None:
                return
            if attempt + 1 < _ASYNC_ATTEMPTS:
                await self._context.clock.sleep(_ASYNC_PAUSE_CLOCK_SECONDS)

    async def _find(self, scope: Scope, name: str) -> tuple[Function, bytes]:
        found = await self._context.moto.call(_read_function, scope, name)
        if found is None:
            arn = scope.arn("lambda", f"function:{name}")
            raise AwsError("ResourceNotFoundException", f"Function not found: {arn}", 404)
        return found

    async def _invoke(self, function: Function, code: bytes, event: bytes) -> tuple[Outcome, str]:
        request_id = str(uuid.uuid4())
        lines: list[str] = []
        began = monotonic()
        try:
            environment = await self._take(function, code)
        except (OSError, ArchiveError) as error:
            payload = error_payload("Runtime.InvalidEntrypoint", f"cannot start: {error}")
            return Outcome(payload, "Unhandled"), ""

        def say(line: str) -> None:
            lines.append(line)
            self._say(function, environment, line)

        say(f"START RequestId: {request_id} Version: $LATEST")
        began = monotonic()
        self._busy.add(environment)
        try:
            outcome = await environment.invoke(event, request_id, wall_time())
        finally:
            self._busy.discard(environment)
        milliseconds = (monotonic() - began) * 1000
        say(f"END RequestId: {request_id}")
        say(
            f"REPORT RequestId: {request_id}\tDuration: {milliseconds:.2f} ms\t"
            f"Billed Duration: {int(milliseconds) + 1} ms\t"
            f"Memory Size: {function.memory_megabytes} MB"
        )
        if environment.alive and not (outcome.function_error and b"Timedout" in outcome.payload):
            self._idle[function.arn].append((monotonic(), environment))
        else:
            self._context.spawn(f"stop {function.name}", environment.stop())
        return outcome, "\n".join(lines)

    async def _take(self, function: Function, code: bytes) -> Environment:
        """Return a warm environment of this version of the code, or start one."""
        idle = self._idle[function.arn]
        while idle:
            _, environment = idle.pop()
            if environment.alive and environment.function.version_key == function.version_key:
                return environment
            self._context.spawn(f"stop {function.name}", environment.stop())
        directory = self._context.directory / "lambda" / uuid.uuid4().hex
        role = self._context.role_environment(
            function.scope, function.role_arn, directory, function.name
        )
        environment = Environment(function, directory, role)
        await environment.start(
            self._context.children, code, lambda line: self._say(function, environment, line)
        )
        return environment

    def _say(self, function: Function, environment: Environment, line: str) -> None:
        self._context.logs.write(
            function.scope, function.log_group, environment.log_stream, line, function.role_arn
        )

    def background(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        """Yield the loop that stops idle environments."""
        yield "idle functions", self._stop_idle()

    async def _stop_idle(self) -> None:
        while True:
            await wall_sleep(10)
            horizon = monotonic() - _IDLE_SECONDS
            # Copies, because an invocation changes both while one is stopped.
            for idle in list(self._idle.values()):
                for entry in [entry for entry in idle if entry[0] < horizon]:
                    try:
                        idle.remove(entry)
                        await entry[1].stop()
                    except Exception:
                        log.exception("could not stop an idle environment")

    def children(self) -> list[Child]:
        """Return the processes of all environments, busy and idle."""
        idle = [environment for entries in self._idle.values() for _, environment in entries]
        return [e.child for e in (*self._busy, *idle) if e.child is not None and e.alive]

    async def close(self) -> None:
        """Stop every idle environment."""
        environments = [e for idle in self._idle.values() for _, e in idle]
        await asyncio.gather(*(e.stop() for e in environments), return_exceptions=True)


def _read_function(scope: Scope, name: str) -> tuple[Function, bytes] | None:
    """Read a function from moto; call it in moto's thread."""
    from moto.awslambda.exceptions import UnknownFunctionException

    try:
        kept = backend("lambda", scope).get_function(name)
    except UnknownFunctionException:
        return None
    if kept is None or not getattr(kept, "code_bytes", None):
        return None
    code = bytes(kept.code_bytes)
    environment = dict(getattr(kept, "environment_vars", None) or {})
    settings = (
        f"{kept.handler}|{kept.timeout}|{kept.memory_size}|{kept.role}|"
        f"{sorted(environment.items())}"
    )
    logging_config = getattr(kept, "logging_config", None) or {}
    function = Function(
        scope=scope,
        name=name,
        arn=kept.function_arn,
        role_arn=kept.role,
        handler=kept.handler,
        runtime=kept.run_time,
        timeout_seconds=int(kept.timeout),
        memory_megabytes=int(kept.memory_size),
        version_key=hashlib.sha256(code + settings.encode()).hexdigest(),
        log_group=logging_config.get("LogGroup", f"/aws/lambda/{name}"),
        environment={str(k): str(v) for k, v in environment.items()},
    )
    return function, code
