"""The HTTP server: the gateway as an ASGI application under uvicorn.

It listens on loopback; only in a container it may listen on every interface. `web_pages.py` decides
which requests of browsers it answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from pathlib import Path
from typing import Any

import uvicorn

from localcloud.aws.routing import Request, Response, StreamedResponse, headers_of
from localcloud.core.child_process import forget_credentials
from localcloud.core.clock import Clock, monotonic, wall_sleep
from localcloud.core.marks import reap_orphans
from localcloud.core.snapshot_files import SnapshotError, link_files
from localcloud.core.snapshots import About, Snapshots
from localcloud.core.state_directory import StateDirectory, StateDirectoryError
from localcloud.edge.connection import ENDS_WITH_CLIENT, Connection, close_stalled
from localcloud.edge.fast_path import FastPath
from localcloud.edge.gateway import Gateway
from localcloud.edge.init_scripts import InitScripts, Stage
from localcloud.edge.request_log import note
from localcloud.edge.shutdown import Shutdown, forget_pid, note_pid
from localcloud.edge.snapshots import SnapshotRoutes
from localcloud.edge.web_pages import answer_as, contain, is_visit, refusal, unmarked, unproven
from localcloud.iam.enforcement import Mode
from localcloud.page.routes import ROOT, STREAM, scope_of

log = logging.getLogger("localcloud")

DEFAULT_PORT = 4566
_BACKLOG = 2048
MAX_BODY_BYTES = 512 * 1024 * 1024
# Longer than the clients of AWS's SDKs keep an idle connection, which is 90 seconds in Go.
_KEEP_ALIVE_SECONDS = 120
_MOST_DESCRIPTORS = 65_536
# Statuses whose responses have no body.
_BODILESS = frozenset({204, 304})
# LocalStack's route and ours.
_RESETS = frozenset({"/_localstack/state/reset", "/_localcloud/reset"})

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Edge:
    """The ASGI application.

    Args:
        build: builds the gateway, at the start, after a reset and after a load.
        directory: the state directory.
        clock: the clock, which a load sets.
        snapshots: the snapshots.
    """

    def __init__(
        self,
        build: Callable[[], Gateway],
        directory: StateDirectory,
        clock: Clock,
        snapshots: Snapshots,
    ) -> None:
        self._build = build
        self._directory = directory
        self._clock = clock
        self._snapshots = snapshots
        self._snapshot_routes = SnapshotRoutes(self, snapshots)
        self._gateway = build()
        self._ready = asyncio.Event()
        # A reset, a save and a load come one after the other.
        self._changing = asyncio.Lock()

    async def start(self) -> None:
        """Start the gateway."""
        await self._gateway.start()
        self._ready.set()

    async def stop(self) -> None:
        """Stop the gateway."""
        await self._gateway.stop()

    def busy(self) -> str:
        """Return what the gateway is doing, for the log; empty if it is idle."""
        return self._gateway.busy()

    @property
    def failure(self) -> str:
        """Return why the gateway shut itself down, or an empty string."""
        return self._gateway.failure

    async def reset(self) -> None:
        """Replace the gateway by a new one with an empty state; requests wait meanwhile."""
        async with self._changing:
            self._ready.clear()
            await self._gateway.stop()
            self._directory.empty()
            self._gateway = self._build()
            await self.start()

    async def save(self, name: str) -> About:
        """Save the state of one moment while work goes on.

        Raises:
            SnapshotError: it cannot be saved; nothing is left of it.
        """
        async with self._changing:
            await self._ready.wait()
            await asyncio.to_thread(self._snapshots.check_name, name)
            scratch = None
            try:
                scratch = self._directory.scratch()
                links = scratch / "files"
                links.mkdir()
                moment = await self._gateway.moment(scratch)
                try:
                    # A push to a repository after that moment waits until its files are kept.
                    self._ready.clear()
                    try:
                        await asyncio.to_thread(link_files, self._directory.path, links)
                    finally:
                        self._ready.set()
                    return await asyncio.to_thread(self._snapshots.write, name, moment, links)
                finally:
                    moment.close()
            except OSError as error:
                raise SnapshotError(
                    f"the state cannot be read ({error}); nothing was saved"
                ) from None
            finally:
                if scratch is not None:
                    await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)

    async def load(self, name: str) -> About:
        """Continue from a snapshot as after a restart; requests wait meanwhile.

        Raises:
            SnapshotError: it cannot be loaded; nothing was changed.
            StateDirectoryError: its state cannot be used; the one of before is back.
        """
        async with self._changing:
            directory, clock = self._directory, self._clock
            try:
                about = await asyncio.to_thread(
                    self._snapshots.unpack, name, directory.next_state()
                )
            except SnapshotError:
                await asyncio.to_thread(directory.keep)
                raise
            except OSError as error:
                raise SnapshotError(
                    f"'{name}' cannot be loaded ({error}); nothing was changed"
                ) from None
            self._ready.clear()
            await self._gateway.stop()
            before = clock.now()
            directory.replace()
            clock.continue_from(about.now)
            try:
                self._gateway = self._build()
            except StateDirectoryError:
                directory.undo()
                clock.continue_from(before)
                self._gateway = self._build()
                raise
            finally:
                await self.start()
            await asyncio.to_thread(directory.keep)
            return about

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            return
        headers = headers_of(scope["headers"])
        query = scope["query_string"].decode("latin-1")
        method, path = scope["method"], scope["path"]
        refused = None if is_visit(method, path, headers) else refusal(headers)
        refused = refused or unproven(method, query, headers) or unmarked(method, path, headers)
        if refused is not None:
            await _reply(send, refused)
            return
        if path == STREAM and method == "GET":
            scope[ENDS_WITH_CLIENT] = True
            await self._stream(query, headers, receive, send)
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
            query=query,
            headers=headers,
            body=chunks[0] if len(chunks) == 1 else b"".join(chunks),
        )
        if request.method == "POST" and request.path in _RESETS:
            await self.reset()
            content_type = {"content-type": "application/json"}
            await _reply(send, Response(200, content_type, b'{"status": "empty"}\n'))
            return
        began = monotonic()
        response = await self._snapshot_routes.handle(request) or await self.answer(request)
        note(request, response.status, monotonic() - began)
        contain(request, response)
        if isinstance(response, StreamedResponse):
            await _reply_in_parts(receive, send, response)
            return
        contain(request, response)
        await _reply(send, response, request.method)

    async def _stream(
        self, query: str, headers: Mapping[str, str], receive: Receive, send: Send
    ) -> None:
        """Answer a browser that listens to what changes."""
        await self._ready.wait()
        shown, stream = scope_of(query), self._gateway.page.stream
        if shown is None:
            text = b"account= must have 12 digits, and region= be one of AWS\n"
            await _reply(send, Response(400, {"content-type": "text/plain"}, text))
        elif stream.is_full:
            text = f"{stream.listeners} pages are open; close one of them.\n".encode()
            wait = {"content-type": "text/plain", "retry-after": "5"}
            await _reply(send, Response(503, wait, text))
        else:
            await stream.serve(shown, headers.get("last-event-id", ""), receive, send)

    def begin(self, request: Request, done: Callable[[Response], None]) -> bool:
        """Begin to answer an invocation; `done` gets the response. Return False to be awaited."""
        refused = refusal(request.headers)
        if refused is not None:
            done(refused)
            return True
        return self._ready.is_set() and self._gateway.begin(request, done)

    async def answer(self, request: Request) -> Response:
        """Answer the request of a local program, after a reset if one is in progress."""
        if not self._ready.is_set():
            await self._ready.wait()
        return await self._gateway.handle(request)


# moto sends these, too; a response has each of them once.
_OF_UVICORN = frozenset({"date", "server"})


async def _reply_in_parts(receive: Receive, send: Send, response: StreamedResponse) -> None:
    """Send the parts of a body as they become known, until the client goes away."""

    async def run() -> None:
        head = [(name.encode(), value.encode()) for name, value in response.headers.items()]
        start = {"type": "http.response.start", "status": response.status, "headers": head}
        await send(start)
        async with contextlib.aclosing(response.chunks) as chunks:
            async for chunk in chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    sending, gone = asyncio.ensure_future(run()), asyncio.ensure_future(receive())
    await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
    gone.cancel()
    sending.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await sending


async def _reply(send: Send, response: Response, method: str = "") -> None:
    headers = [
        (name.encode("latin-1"), value.encode("utf-8"))
        for name, value in response.headers.items()
        if (name != "content-length" or method == "HEAD") and name not in _OF_UVICORN
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
    port: int,
    speed: float,
    state_dir: Path | None,
    iam: Mode,
    invocation_limit_bytes: int,
    *,
    faults: bool = False,
    snapshot_dir: Path | None = None,
    init_dir: Path | None = None,
    host: str = "127.0.0.1",
    names: Iterable[str] = (),
) -> None:
    """Run the local cloud until SIGTERM, SIGINT or the shutdown route stops it.

    Raises:
        OSError: the port is taken.
        ValueError: the speed is out of range.
        StateDirectoryError: the state directory cannot be used.
        InitError: the directory of the scripts cannot be used.
    """
    # What the local cloud and its children write is for its owner only.
    os.umask(0o077)
    answer_as(names)
    init = InitScripts(init_dir)
    await init.run(Stage.BOOT, None)
    directory = StateDirectory(state_dir)
    orphans = await asyncio.to_thread(reap_orphans)
    if orphans:
        log.warning("%d processes that a killed local cloud left behind were ended", orphans)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    await init.run(Stage.START, f"http://127.0.0.1:{listener.getsockname()[1]}")
    # From here on connections wait instead of being refused: what a restart continues calls AWS's
    # APIs at this address before uvicorn accepts connections.
    listener.listen(_BACKLOG)
    listener.set_inheritable(False)
    actual = listener.getsockname()[1]
    shutdown = Shutdown(lambda: edge.busy())
    url = f"http://127.0.0.1:{actual}"
    clock = Clock(speed)

    def build() -> Gateway:
        limit = invocation_limit_bytes
        return Gateway(
            clock, url, directory, shutdown.request, iam, limit, faults=faults, init=init
        )

    edge = Edge(build, directory, clock, Snapshots(snapshot_dir or directory.snapshots))
    config = uvicorn.Config(
        edge,
        loop="none",
        # The fast path writes no line for a request.
        http=Connection if log.isEnabledFor(logging.DEBUG) else FastPath,
        ws="none",
        lifespan="off",
        access_log=False,
        proxy_headers=False,
        log_config=None,
        timeout_graceful_shutdown=2,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
    )
    server = uvicorn.Server(config)
    shutdown.listen()
    await edge.start()
    with contextlib.suppress(asyncio.CancelledError):
        # Not server.serve(), which would install its own signal handlers.
        serving = asyncio.create_task(server._serve(sockets=[listener]))
        closing = asyncio.create_task(close_stalled(server.server_state))
        while not server.started:
            await wall_sleep(0.005)
        note_pid(actual)
        print(f"localcloud is ready on http://127.0.0.1:{actual}", flush=True)  # noqa: T201
        print(f"the page for a browser: http://127.0.0.1:{actual}{ROOT}", flush=True)  # noqa: T201
        if directory.kept:
            print(f"state is kept in {directory.path}", flush=True)  # noqa: T201
        # Requests are served meanwhile, also those of the scripts.
        preparing = asyncio.create_task(init.run(Stage.READY, url))
        await shutdown.requested.wait()
        preparing.cancel()
        await asyncio.wait({preparing})
        await init.run(Stage.SHUTDOWN, url)
        await edge.stop()
        server.should_exit = True
        closing.cancel()
        await serving
    forget_pid(actual)
    directory.close()
    if edge.failure:
        raise StateDirectoryError(edge.failure)


def _raise_descriptor_limit() -> None:
    """Let the process open as many files and sockets as the system allows it."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _MOST_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):  # a limit of the system below the hard one
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def run(
    port: int,
    speed: float,
    state_dir: Path | None,
    iam: Mode,
    invocation_limit_bytes: int,
    *,
    faults: bool = False,
    snapshot_dir: Path | None = None,
    init_dir: Path | None = None,
    host: str = "127.0.0.1",
    names: Iterable[str] = (),
) -> None:
    """Run `serve` on uvloop."""
    import uvloop

    _raise_descriptor_limit()
    forget_credentials()
    limit = invocation_limit_bytes
    uvloop.run(
        serve(
            *(port, speed, state_dir, iam, limit),
            faults=faults,
            snapshot_dir=snapshot_dir,
            init_dir=init_dir,
            host=host,
            names=names,
        )
    )
