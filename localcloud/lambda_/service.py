"""Lambda's Invoke: warm environments are reused, and concurrent events get one each.

Source: https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
Differs: an idle environment is kept for five wall-clock minutes.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import logging
import uuid
from collections import defaultdict
from collections.abc import Coroutine, Iterator
from typing import Any, ClassVar
from urllib.parse import parse_qs

from localcloud.aws.errors import AwsError
from localcloud.aws.protocol import detected as detected_violations
from localcloud.aws.protocol import (
    implemented_by,
    operations_of,
    read,
    serialise,
    serialise_error,
    violations,
)
from localcloud.aws.rest_paths import rest_operation
from localcloud.aws.routing import Request, Response, Scope
from localcloud.core.archives import ArchiveError
from localcloud.core.child_process import Child
from localcloud.core.clock import monotonic, wall_sleep, wall_time
from localcloud.iam.actions import permissions
from localcloud.lambda_ import asynchronous
from localcloud.lambda_.aliases_api import AliasesApi, PermissionsApi
from localcloud.lambda_.configuration import invalid
from localcloud.lambda_.environment import Environment, Function, is_json
from localcloud.lambda_.event_invoke_api import EventInvokeApi
from localcloud.lambda_.found import Found, find
from localcloud.lambda_.functions_api import FunctionsApi
from localcloud.lambda_.limits import MOST_CLIENT_CONTEXT_BYTES
from localcloud.lambda_.names import FunctionName, parse
from localcloud.lambda_.runtime_api import Outcome, error_payload
from localcloud.moto_backend.validation import check
from localcloud.service import Service
from localcloud.service_context import ServiceContext

log = logging.getLogger("localcloud.lambda")

_IDLE_SECONDS = 300.0
_OUTPUT_SECONDS = 0.002
_OUTPUT_WAITS = 10
_PRINCIPAL = "lambda.amazonaws.com"
_TYPES = ("RequestResponse", "Event", "DryRun")
_STATE = (FunctionsApi, AliasesApi, PermissionsApi, EventInvokeApi)


class LambdaService(Service):
    """Runs the functions that moto stores, and keeps their versions, aliases and policies."""

    OPERATIONS_BY_PATH: ClassVar = {
        "lambda": (
            "Invoke",
            "InvokeAsync",
            *sorted(name for api in _STATE for name in implemented_by(api).values()),
        )
    }

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._idle: dict[str, list[tuple[float, Environment]]] = defaultdict(list)
        self._busy: set[Environment] = set()
        self._operations = operations_of(
            FunctionsApi(context.clock.now),
            AliasesApi(),
            PermissionsApi(),
            EventInvokeApi(context.clock.now),
        )
        context.moto.carry_out("lambda", self._answer)

    def _answer(self, request: Request) -> Response | None:
        """Answer an operation on functions, versions, aliases and policies, in moto's thread."""
        name, in_path = rest_operation(request)
        implementation = self._operations.get(name)
        if implementation is None:
            return None
        params = read(request, name, "rest-json", in_path)
        return serialise("lambda", name, implementation(request.scope, params))

    async def handle(self, request: Request) -> Response | None:
        """Answer an invocation; return None for any other request, which moto's thread answers."""
        if request.service != "lambda":
            return None
        name, in_path = rest_operation(request)
        try:
            match name:
                case "Invoke":
                    return await self._answer_invoke(request, in_path)
                case "InvokeAsync":
                    return await self._answer_invoke(request, in_path, kind="Event")
                case "CreateFunction" | "UpdateFunctionConfiguration":
                    await self._check_role(request)
        except AwsError as error:
            return serialise_error("lambda", error)
        return None

    async def _check_role(self, request: Request) -> None:
        """Refuse a role that Lambda cannot assume."""
        try:
            role = json.loads(request.body or b"{}").get("Role")
        except (ValueError, AttributeError, RecursionError):
            return  # it is refused for that
        if not isinstance(role, str) or not role.startswith("arn:") or role.count(":") < 5:
            return
        if not await self._context.iam.trusts(role, _PRINCIPAL):
            check(request)  # what the model forbids is refused for that
            raise invalid("The role defined for the function cannot be assumed by Lambda.")

    async def _answer_invoke(
        self, request: Request, in_path: dict[str, str], kind: str = ""
    ) -> Response:
        query = parse_qs(request.query, keep_blank_values=True)
        kind = kind or request.headers.get("x-amz-invocation-type") or "RequestResponse"
        given = {
            "FunctionName": in_path["FunctionName"],
            "InvocationType": kind,
            "LogType": request.headers.get("x-amz-log-type") or "None",
        }
        if query.get("Qualifier", [""])[0]:
            given["Qualifier"] = query["Qualifier"][0]
        problems = violations("lambda", "Invoke", given)
        if problems:
            raise AwsError("ValidationException", detected_violations(problems))
        name = parse(request.scope, given["FunctionName"], given.get("Qualifier"))
        event = request.body or b"{}"
        if not is_json(event):
            raise AwsError(
                "InvalidRequestContentException",
                "Could not parse request body into json: the payload is not JSON.",
            )
        client_context = _client_context(request.headers.get("x-amz-client-context", ""))
        found = await self._find(name, request.scope)
        request_id = str(uuid.uuid4())
        headers = {"x-amzn-requestid": request_id}
        if kind == "DryRun":
            return Response(204, headers, b"")
        if kind == "Event":
            self._begin(found, event, request_id)
            return Response(202, headers, b"")
        self._check_concurrency(found)
        outcome, tail = await self._invoke(found, event, request_id, client_context)
        headers |= {
            "content-type": "application/json",
            "x-amz-executed-version": found.function.version,
        }
        if outcome.function_error:
            headers["x-amz-function-error"] = outcome.function_error
        if given["LogType"] == "Tail":
            headers["x-amz-log-result"] = base64.b64encode(tail.encode()[-4096:]).decode()
        return Response(200, headers, outcome.payload)

    async def invoke(self, scope: Scope, name: str, event: Any, principal: str = "") -> Outcome:
        """Invoke a function for another service, as that service's role, and wait for the outcome.

        The name may be an ARN, and have a qualifier.

        Raises:
            AwsError: the function does not exist, or the role may not invoke it.
        """
        wanted = permissions("lambda", "Invoke", {"FunctionName": name}, scope)
        await self._context.iam.authorise(principal, wanted)
        found = await self._find(parse(scope, name), scope)
        outcome, _ = await self._invoke(found, json.dumps(event).encode(), str(uuid.uuid4()))
        return outcome

    async def invoke_asynchronously(self, scope: Scope, name: str, event: Any) -> None:
        """Invoke a function as an event source does, and wait until its retries are over.

        Raises:
            AwsError: the function does not exist.
        """
        found = await self._find(parse(scope, name), scope)
        await self._run(found, json.dumps(event).encode(), str(uuid.uuid4()))

    def _begin(self, found: Found, event: bytes, request_id: str) -> None:
        """Begin an asynchronous invocation."""
        self._context.spawn(f"lambda {found.function.name}", self._run(found, event, request_id))

    async def _run(self, found: Found, event: bytes, request_id: str) -> None:
        async def once() -> Outcome:
            outcome, _ = await self._invoke(found, event, request_id)
            return outcome

        async def invoke(arn: str, record: Any, role: str) -> Any:
            return await self.invoke(found.function.scope, arn, record, role)

        await asynchronous.run(self._context, found, event, request_id, once, invoke)

    async def _find(self, name: FunctionName, scope: Scope) -> Found:
        if name.scope.region != scope.region:
            raise name.not_found()
        return await self._context.moto.call(find, name)

    def _check_concurrency(self, found: Found) -> None:
        """Refuse an invocation over the reserved concurrency of its function.

        Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
        """
        busy = sum(e.function.arn == found.function.arn for e in self._busy)
        if found.most_at_once is not None and busy >= found.most_at_once:
            raise AwsError("TooManyRequestsException", "Rate Exceeded.", 429)

    async def _invoke(
        self, found: Found, event: bytes, request_id: str, client_context: str = ""
    ) -> tuple[Outcome, str]:
        function = found.function
        try:
            environment = await self._take(found)
        except (OSError, ArchiveError) as error:
            payload = error_payload("Runtime.InvalidEntrypoint", f"cannot start: {error}")
            return Outcome(payload, "Unhandled"), ""

        def say(line: str) -> None:
            self._say(function, environment, line)

        environment.printed.clear()
        say(f"START RequestId: {request_id} Version: {function.version}")
        began = monotonic()
        self._busy.add(environment)
        try:
            outcome = await environment.invoke(
                event, request_id, wall_time(), found.arn, client_context
            )
        finally:
            self._busy.discard(environment)
        milliseconds = (monotonic() - began) * 1000
        timed_out = outcome.function_error and b"Sandbox.Timedout" in outcome.payload[:100]
        out_of_memory = outcome.function_error and b"Runtime.OutOfMemory" in outcome.payload[:100]
        for _ in range(_OUTPUT_WAITS):  # for what it printed at last
            lines = len(environment.printed)
            await wall_sleep(_OUTPUT_SECONDS)
            if lines == len(environment.printed):
                break
        if timed_out:
            now = f"{self._context.clock.now():%Y-%m-%dT%H:%M:%S.%f}"[:-3]
            say(f"{now}Z {request_id} Task timed out after {function.timeout_seconds:.2f} seconds")
        say(f"END RequestId: {request_id}")
        say(
            f"REPORT RequestId: {request_id}\tDuration: {milliseconds:.2f} ms\t"
            f"Billed Duration: {int(milliseconds) + 1} ms\t"
            f"Memory Size: {function.memory_megabytes} MB\t"
            f"Max Memory Used: {environment.peak_megabytes} MB"
            + ("\tStatus: timeout" if timed_out else "")
            + ("\tStatus: error\tError Type: Runtime.OutOfMemory" if out_of_memory else "")
        )
        printed = "\n".join(environment.printed)
        if environment.alive and not outcome.ended:
            self._idle[function.key].append((monotonic(), environment))
        else:
            self._context.spawn(f"stop {function.name}", environment.stop())
        return outcome, printed

    async def _take(self, found: Found) -> Environment:
        """Return a warm environment of this version of the code, or start one."""
        function = found.function
        idle = self._idle[function.key]
        while idle:
            _, environment = idle.pop()
            if environment.alive and environment.function.version_key == function.version_key:
                return environment
            self._context.spawn(f"stop {function.name}", environment.stop())
        directory = self._context.directory / "lambda" / uuid.uuid4().hex
        role = self._context.role_environment(
            function.scope, function.role_arn, directory, function.name
        )
        day = f"{self._context.clock.now():%Y/%m/%d}"
        environment = Environment(function, directory, role, day)
        await environment.start(
            self._context.children, found.code, lambda line: self._say(function, environment, line)
        )
        return environment

    def _say(self, function: Function, environment: Environment, line: str) -> None:
        environment.printed.append(line)
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


def _client_context(header: str) -> str:
    """Return the JSON of a client context, in ASCII for a header.

    Raises:
        AwsError: it is too long, or not JSON in base64.
    """
    if not header:
        return ""
    if len(header) > MOST_CLIENT_CONTEXT_BYTES:
        raise AwsError(
            "InvalidRequestContentException",
            f"Client context must be no more than {MOST_CLIENT_CONTEXT_BYTES} bytes when "
            "base64-encoded.",
        )
    try:
        document = json.loads(base64.b64decode(header, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise AwsError(
            "InvalidRequestContentException",
            "Client context must be a valid Base64-encoded JSON object.",
        )
    return json.dumps(document)
