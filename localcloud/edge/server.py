"""The HTTP server: the gateway as an ASGI application under uvicorn, on loopback only.

It answers a request from a web page only if the page is local, too. Otherwise any web page could
reach the local cloud through the browser of a person who visits it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvicorn

from localcloud.aws.routing import Request, Response, headers_of
from localcloud.core.clock import Clock, wall_sleep
from localcloud.core.state_directory import StateDirectory
from localcloud.edge.connection import close_stalled
from localcloud.edge.fast_path import FastPath
from localcloud.edge.gateway import Gateway
from localcloud.iam.enforcement import Mode

log = logging.getLogger("localcloud")

DEFAULT_PORT = 4566
MAX_BODY_BYTES = 512 * 1024 * 1024
# Longer than the clients of AWS's SDKs keep an idle connection, which is 90 seconds in Go.
_KEEP_ALIVE_SECONDS = 120
# Statuses whose responses have no body.
_BODILESS = frozenset({204, 304})
# LocalStack's route and ours.
_RESETS = frozenset({"/_localstack/state/reset", "/_localcloud/reset"})
_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1", "localhost.localstack.cloud"})
# The host name of a virtual-hosted S3 request begins with the bucket.
_LOCAL_SUFFIXES = (".localhost", ".localhost.localstack.cloud")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Edge:
    """The ASGI application.

    Args:
        build: builds the gateway, at the start and after a reset.
        empty: deletes the state.
    """

    def __init__(self, build: Callable[[], Gateway], empty: Callable[[], None]) -> None:
        self._build = build
        self._empty = empty
        self._gateway = build()
        self._ready = asyncio.Event()

    async def start(self) -> None:
        """Start the gateway."""
        await self._gateway.start()
        self._ready.set()

    async def stop(self) -> None:
        """Stop the gateway."""
        await self._gateway.stop()

    async def reset(self) -> None:
        """Replace the gateway by a new one with an empty state; requests wait meanwhile."""
        if not self._ready.is_set():
            await self._ready.wait()
            return  # another reset was in progress
        self._ready.clear()
        await self._gateway.stop()
        self._empty()
        self._gateway = self._build()
        await self.start()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            return
        headers = headers_of(scope["headers"])
        refusal = _refusal(headers)
        if refusal is not None:
            await _reply(send, refusal)
            return
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > MAX_BODY_BYTES:
                text = f"The body has over {MAX_BODY_BYTES} bytes.\n".encode()
                await _reply(send, Response(413, {"content-type": "text/plain"}, text))
                return
            chunks.append(chunk)
            if not message.get("more_body", False):
                break
        request = Request(
            method=scope["method"],
            path=scope["path"],  # already unquoted by the server
            raw_path=scope["raw_path"].decode("latin-1").partition("?")[0],
            query=scope["query_string"].decode("latin-1"),
            headers=headers,
            body=chunks[0] if len(chunks) == 1 else b"".join(chunks),
        )
        if request.method == "POST" and request.path in _RESETS:
            await self.reset()
            content_type = {"content-type": "application/json"}
            await _reply(send, Response(200, content_type, b'{"status": "empty"}\n'))
            return
        await _reply(send, await self.answer(request), request.method)

    def begin(self, request: Request, done: Callable[[Response], None]) -> bool:
        """Begin to answer an invocation; `done` gets the response. Return False to be awaited."""
        refusal = _refusal(request.headers)
        if refusal is not None:
            done(refusal)
            return True
        return self._ready.is_set() and self._gateway.begin(request, done)

    async def answer(self, request: Request) -> Response:
        """Answer the request of a local program, after a reset if one is in progress."""
        if not self._ready.is_set():
            await self._ready.wait()
        return await self._gateway.handle(request)


def _refusal(headers: Mapping[str, str]) -> Response | None:
    """Return the response to a request from a foreign web page, or None for a local program."""
    if _is_local(
        headers.get("host", "localhost"), headers.get("origin"), headers.get("sec-fetch-site")
    ):
        return None
    body = b"This address answers local programs only.\n"
    return Response(403, {"content-type": "text/plain"}, body)


@lru_cache(maxsize=256)
def _is_local(given_host: str, origin: str | None, site: str | None) -> bool:
    # The Host header still has the foreign name if it resolves to this address (DNS rebinding).
    host = _host_of(f"//{given_host}")
    if host not in _LOCAL_HOSTS and not host.endswith(_LOCAL_SUFFIXES):
        return False
    if origin is None:
        # An image or a link of a foreign page sends no Origin, but the browser sends the site.
        return site != "cross-site"
    return _host_of(origin) in _LOCAL_HOSTS


def _host_of(url: str) -> str:
    """Return the host of a URL, or an empty string if it is not valid, like half an IPv6 one."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


async def _reply(send: Send, response: Response, method: str = "") -> None:
    headers = [
        (name.encode("latin-1"), value.encode("utf-8"))
        for name, value in response.headers.items()
        if name != "content-length" or method == "HEAD"
    ]
    # A client reads no body of these responses. moto sends some, and a client would take them for
    # the next response.
    bodiless = method == "HEAD" or response.status in _BODILESS
    if not bodiless:
        headers.append((b"content-length", str(len(response.body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if bodiless else response.body})


def port_is_free(port: int) -> bool:
    """Return whether the loopback port can be bound."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


async def serve(
    port: int, speed: float, state_dir: Path | None, iam: Mode, invocation_limit_bytes: int
) -> None:
    """Run the local cloud until SIGTERM, SIGINT or the shutdown route stops it.

    Raises:
        OSError: the port is taken.
        ValueError: the speed is out of range.
        StateDirectoryError: the state directory cannot be used.
    """
    directory = StateDirectory(state_dir)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.set_inheritable(False)
    actual = listener.getsockname()[1]
    stopped = asyncio.Event()
    url = f"http://127.0.0.1:{actual}"
    clock = Clock(speed)

    def build() -> Gateway:
        return Gateway(clock, url, directory, stopped.set, iam, invocation_limit_bytes)

    edge = Edge(build, directory.empty)
    config = uvicorn.Config(
        edge,
        loop="none",
        http=FastPath,
        lifespan="off",
        access_log=False,
        proxy_headers=False,
        log_config=None,
        timeout_graceful_shutdown=2,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
    )
    server = uvicorn.Server(config)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    await edge.start()
    with contextlib.suppress(asyncio.CancelledError):
        # Not server.serve(), which would install its own signal handlers.
        serving = asyncio.create_task(server._serve(sockets=[listener]))
        closing = asyncio.create_task(close_stalled(server.server_state))
        while not server.started:
            await wall_sleep(0.005)
        print(f"localcloud is ready on http://127.0.0.1:{actual}", flush=True)  # noqa: T201
        if directory.kept:
            print(f"state is kept in {directory.path}", flush=True)  # noqa: T201
        await stopped.wait()
        await edge.stop()
        server.should_exit = True
        closing.cancel()
        await serving
    directory.close()


def run(
    port: int, speed: float, state_dir: Path | None, iam: Mode, invocation_limit_bytes: int
) -> None:
    """Run `serve` on uvloop."""
    import uvloop

    uvloop.run(serve(port, speed, state_dir, iam, invocation_limit_bytes))
