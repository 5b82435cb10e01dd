"""The Lambda Runtime API of one execution environment, on a loopback port of its own.

    GET  /2018-06-01/runtime/invocation/next          waits for an event
    POST /2018-06-01/runtime/invocation/{id}/response
    POST /2018-06-01/runtime/invocation/{id}/error
    POST /2018-06-01/runtime/init/error

Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from localcloud.lambda_.limits import MOST_RESPONSE_BYTES

_BASE = "/2018-06-01/runtime"


@dataclass(frozen=True, slots=True)
class Invocation:
    """One event on its way to a handler.

    Attributes:
        function_arn: the ARN by which the function was invoked.
        client_context: the JSON of the caller's client context; empty if it gave none.
    """

    request_id: str
    function_arn: str
    event: bytes
    deadline_milliseconds: int
    client_context: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of an invocation: a payload, and AWS's function error if it failed.

    Attributes:
        ended: whether the runtime cannot run another event, because it ends or has ended.
    """

    payload: bytes
    function_error: str | None = None
    ended: bool = False


class RuntimeApi:
    """Gives events to one runtime client and receives its responses."""

    def __init__(self) -> None:
        # None ends the wait of a client for its next event.
        self._events: asyncio.Queue[Invocation | None] = asyncio.Queue()
        self._outcomes: dict[str, asyncio.Future[Outcome]] = {}
        self._runner: web.AppRunner | None = None
        self.init_error: bytes | None = None
        self.address = ""

    async def start(self) -> None:
        """Listen on a free loopback port."""
        app = web.Application(client_max_size=MOST_RESPONSE_BYTES)
        app.router.add_get(f"{_BASE}/invocation/next", self._next)
        app.router.add_post(f"{_BASE}/invocation/{{id}}/response", self._response)
        app.router.add_post(f"{_BASE}/invocation/{{id}}/error", self._error)
        app.router.add_post(f"{_BASE}/init/error", self._init_error)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.address = f"{host}:{port}"

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            self._events.put_nowait(None)
            await self._runner.cleanup()

    def submit(self, invocation: Invocation) -> asyncio.Future[Outcome]:
        """Queue an event; the future resolves to the handler's outcome."""
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._outcomes[invocation.request_id] = future
        self._events.put_nowait(invocation)
        return future

    async def _next(self, request: web.Request) -> web.Response:
        del request
        invocation = await self._events.get()
        if invocation is None:
            self._events.put_nowait(None)
            return web.Response(status=500)
        headers = {
            "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
            "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_milliseconds),
            "Lambda-Runtime-Invoked-Function-Arn": invocation.function_arn,
            "Lambda-Runtime-Trace-Id": _trace(invocation.request_id),
        }
        if invocation.client_context:
            headers["Lambda-Runtime-Client-Context"] = invocation.client_context
        return web.Response(body=invocation.event, content_type="application/json", headers=headers)

    async def _response(self, request: web.Request) -> web.Response:
        try:
            return self._settle(request.match_info["id"], Outcome(await request.read()))
        except web.HTTPRequestEntityTooLarge:
            return self._refuse(request.match_info["id"])

    async def _error(self, request: web.Request) -> web.Response:
        try:
            outcome = Outcome(await request.read(), "Unhandled")
        except web.HTTPRequestEntityTooLarge:
            return self._refuse(request.match_info["id"])
        return self._settle(request.match_info["id"], outcome)

    def _refuse(self, request_id: str) -> web.Response:
        """Answer a response that is too large, and let the invocation fail by it.

        Source: https://docs.aws.amazon.com/lambda/latest/dg/troubleshooting-invocation.html
        """
        message = (
            "Response payload size exceeded maximum allowed payload size "
            f"({MOST_RESPONSE_BYTES} bytes)."
        )
        payload = error_payload("Function.ResponseSizeTooLarge", message)
        # The runtime client ends when its response is refused.
        self._settle(request_id, Outcome(payload, "Unhandled", ended=True))
        document = {
            "errorMessage": f"Exceeded maximum allowed payload size ({MOST_RESPONSE_BYTES} bytes).",
            "errorType": "RequestEntityTooLarge",
        }
        return web.json_response(document, status=413)

    async def _init_error(self, request: web.Request) -> web.Response:
        self.init_error = await request.read()
        for future in self._outcomes.values():
            if not future.done():
                future.set_result(Outcome(self.init_error, "Unhandled"))
        return _accepted()

    def _settle(self, request_id: str, outcome: Outcome) -> web.Response:
        future = self._outcomes.pop(request_id, None)
        if future is None or future.done():
            return web.json_response({"errorMessage": "Invalid request ID"}, status=400)
        future.set_result(outcome)
        return _accepted()


def _trace(request_id: str) -> str:
    """Return a tracing header of X-Ray's form, which samples nothing.

    Source: https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html
    """
    digits = request_id.replace("-", "")
    return f"Root=1-{digits[:8]}-{digits[8:]};Parent={digits[:16]};Sampled=0"


def _accepted() -> web.Response:
    return web.json_response({"status": "OK"}, status=202)


def error_payload(error_type: str, message: str) -> bytes:
    """Return a function error as AWS's JSON."""
    document: dict[str, Any] = {"errorType": error_type, "errorMessage": message}
    return json.dumps(document).encode()
