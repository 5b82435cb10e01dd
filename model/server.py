"""The endpoint instance: settings from the environment, processes, the port, SIGTERM.

    SAGEMAKER_BIND_TO_PORT          default 8080
    SAGEMAKER_MODEL_SERVER_WORKERS  processes that share the port (SO_REUSEPORT); default one for
                                    each core
    SAGEMAKER_INFERENCE_OUTPUT      labels (default) or probabilities, when a client does not say
    MODEL_HOST                      default 127.0.0.1
    MODEL_MAX_WAITING               bodies that wait in a worker, to come in or for their turn,
                                    before others are answered 503; default 64
    MODEL_LOG                       errors (default): what was refused; all: every invocation

The port opens once the model has answered a first row, so /ping has no state to be wrong about.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import os
import signal
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import NoReturn

import uvloop

from model.application import Application
from model.connection import Connection, Handler
from model.counters import Counters
from model.errors import ContainerError
from model.media import OUTPUTS
from model.paths import MlPaths
from model.predictor import load, read_card

log = logging.getLogger("model.server")

# SageMaker kills the container 30 s after SIGTERM.
_GRACEFUL_SECONDS = 25
_TICK_SECONDS = 5
# Longer than a load balancer keeps a connection, so that it is never the one surprised.
_KEEP_ALIVE_TICKS = 15
_BACKLOG = 2048
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_GC_ALLOCATIONS = 20_000
_KEPT_BYTES = 32 * 1024 * 1024
_MAX_WORKERS = 256


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says."""

    paths: MlPaths
    host: str
    port: int
    workers: int
    output: str
    max_waiting: int
    log_all: bool

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the environment.

        Raises:
            ContainerError: one or several settings are wrong; the message lists all of them.
        """
        problems: list[str] = []

        def number(name: str, default: int, high: int) -> int:
            text = environment.get(name) or str(default)
            if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= high:
                problems.append(f"{name} is '{text}'; it must be from 1 to {high}")
                return default
            return int(text)

        def choice(name: str, choices: tuple[str, ...]) -> str:
            text = environment.get(name) or choices[0]
            if text not in choices:
                problems.append(f"{name} is '{text}'; it must be {' or '.join(choices)}")
            return text

        settings = cls(
            paths=MlPaths.from_environment(environment),
            host=environment.get("MODEL_HOST") or "127.0.0.1",
            port=number("SAGEMAKER_BIND_TO_PORT", 8080, 65535),
            workers=number("SAGEMAKER_MODEL_SERVER_WORKERS", _cores(), _MAX_WORKERS),
            output=choice("SAGEMAKER_INFERENCE_OUTPUT", OUTPUTS),
            max_waiting=number("MODEL_MAX_WAITING", 64, 100_000),
            log_all=choice("MODEL_LOG", ("errors", "all")) == "all",
        )
        if problems:
            raise ContainerError("; ".join(problems))
        return settings


def run(environment: Mapping[str, str]) -> int:
    """Serve the model of an environment until SIGTERM; return the exit code."""
    began = perf_counter()
    # Until the port is open; then the event loop ends it gracefully.
    signal.signal(signal.SIGTERM, _exit)
    try:
        settings = Settings.from_environment(environment)
        read_card(settings.paths.model)
    except ContainerError as error:
        log.error("cannot serve: %s", error)
        return 1
    counters = Counters(settings.workers)
    others = Others()
    try:
        for worker in range(1, settings.workers):
            others.start(worker, partial(_work, settings, counters, began, worker))
        code = _serve(settings, counters, began, others)
    finally:
        others.end()
        log.info("stopped serving")
    return max(code, int(others.failed))


class Others:
    """The processes that serve beside this one. When one ends, all do: the platform replaces them.

    Workers are forked before a model is loaded: what was imported is shared, and no session is.

    Attributes:
        ends: of a pair of sockets with each of them, which closes when it ends, however it ends.
        failed: a worker that this process forked ended badly.
    """

    def __init__(self, *ends: socket.socket) -> None:
        self.ends = list(ends)
        self.failed = False
        self._workers: dict[int, int] = {}
        self._told = False

    def start(self, worker: int, work: Callable[[Others], int]) -> None:
        """Fork a worker; `work` returns its exit code."""
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            for end in (*self.ends, ours):
                end.close()
            os._exit(work(Others(theirs)))
        theirs.close()
        self.ends.append(ours)
        self._workers[pid] = worker

    def tell(self) -> None:
        """Tell them to end, once."""
        if self._told:
            return
        self._told = True
        for pid in self._workers:
            os.kill(pid, signal.SIGTERM)

    def end(self) -> None:
        """Tell them to end, and wait until they have."""
        self.tell()
        for pid, worker in self._workers.items():
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            # One may be told while it ends by itself, and knows no better any more.
            if code not in (0, -signal.SIGTERM):
                self.failed = True
                log.error("worker %d ended with %d", worker, code)


def _work(settings: Settings, counters: Counters, began: float, worker: int, others: Others) -> int:
    counters.become(worker)
    try:
        return _serve(settings, counters, began, others)
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 1
    except BaseException:
        log.exception("worker %d failed", worker)
        return 1


def _serve(settings: Settings, counters: Counters, began: float, others: Others) -> int:
    try:
        predictor, columns, card = load(settings.paths.model)
    except ContainerError as error:
        log.error("cannot serve: %s", error)
        return 1

    def started() -> None:
        log.info(
            "serving %s of training job '%s' (%d features, classes %s) on http://%s:%d, "
            "ready in %.2f s",
            card.get("algorithm"),
            card.get("lineage", {}).get("training_job_name", ""),
            len(columns.columns),
            ", ".join(predictor.classes) or "none",
            settings.host,
            settings.port,
            perf_counter() - began,
        )

    application = Application(
        predictor,
        columns,
        counters,
        output=settings.output,
        max_waiting=settings.max_waiting,
        log_all=settings.log_all,
    )
    _keep_freed_memory()
    # What was loaded stays, and a request leaves no cycles: the collector has little to find.
    gc.freeze()
    gc.set_threshold(_GC_ALLOCATIONS)
    try:
        listener = _listener(settings.host, settings.port, shared=settings.workers > 1)
    except OSError as error:
        log.error("cannot listen on %s:%d: %s", settings.host, settings.port, error.strerror)
        return 1
    uvloop.run(listen(application, listener, started, others))
    application.flush()
    return 0


async def listen(
    handler: Handler,
    listener: socket.socket,
    started: Callable[[], None] = lambda: None,
    others: Others | None = None,
) -> None:
    """Serve the connections of a socket until SIGTERM or SIGINT, then end gracefully.

    What was begun is answered first, for at most _GRACEFUL_SECONDS. The end of another worker is an
    end, too.
    """
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    others = others or Others()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    for end in others.ends:
        loop.add_reader(end, stopped.set)
    connections: set[Connection] = set()
    server = await loop.create_server(
        lambda: Connection(handler, connections), sock=listener, backlog=_BACKLOG
    )
    started()
    while not stopped.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), _TICK_SECONDS)
        for connection in tuple(connections):
            connection.tick(_KEEP_ALIVE_TICKS)
    for end in others.ends:
        loop.remove_reader(end)
    others.tell()
    server.close()
    for connection in tuple(connections):
        connection.end()
    deadline = loop.time() + _GRACEFUL_SECONDS
    while connections and loop.time() < deadline:  # noqa: ASYNC110 - once, at the end
        await asyncio.sleep(0.01)
    for connection in tuple(connections):
        connection.abort()


def _keep_freed_memory() -> None:
    """Keep what a large body needed for the next one, as far as glibc can be told to.

    It gives large blocks back to the system at once; each body then pays for its pages anew, which
    takes as long as reading its numbers.

    Source: https://man7.org/linux/man-pages/man3/mallopt.3.html
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # not in other libraries
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def _listener(host: str, port: int, *, shared: bool) -> socket.socket:
    """Return a socket on the port; a shared one is this worker's own, beside those of others."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((host, port))
    return listener


def _cores() -> int:
    """Return the cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # there is none on macOS
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _exit(*_: object) -> NoReturn:
    raise SystemExit(0)
