"""The endpoint instance: settings from the environment, worker processes, the port, SIGTERM.

    SAGEMAKER_BIND_TO_PORT          default 8080
    SAGEMAKER_MODEL_SERVER_WORKERS  processes that share the port (SO_REUSEPORT); default one per
                                    core
    SAGEMAKER_INFERENCE_OUTPUT      labels (default) or probabilities, used if the Accept header
                                    does not select one
    MODEL_HOST                      default 127.0.0.1
    MODEL_MAX_WAITING               bodies that may wait in a worker, for their remaining parts or
                                    in the queue, before further ones are answered 503; default 64
    MODEL_LOG                       errors (default): log refused invocations; all: log every one

The port opens only after the model has scored a first row, so an answer from /ping always means
that the model works.

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
from model.connection import Connection, RequestHandler
from model.counters import Counters
from model.errors import ContainerError
from model.media import OUTPUTS
from model.paths import MlPaths
from model.predictor import load, read_metadata

log = logging.getLogger("model.server")

# SageMaker kills the container 30 s after SIGTERM.
_GRACEFUL_SECONDS = 25
_TICK_SECONDS = 5
# Longer than a load balancer's idle timeout, so that the balancer is the side that closes a
# connection and never sends a request on one that has just been closed.
_KEEP_ALIVE_TICKS = 15
_BACKLOG = 2048
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_GC_ALLOCATIONS = 20_000
_RETAINED_BYTES = 32 * 1024 * 1024
_MAX_WORKERS = 256


@dataclass(frozen=True, slots=True)
class Settings:
    """The server's settings, read from the environment.

    Attributes:
        paths: the directories under /opt/ml.
        host: address to listen on.
        port: 1 to 65535.
        workers: processes that share the port, 1 to 256.
        output: labels or probabilities, used if the Accept header does not select one.
        max_waiting: bodies that may wait in one worker.
        log_all: log every invocation, not only the refused ones.
    """

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
            ContainerError: one or more settings are invalid; the message lists all of them.
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
    """Serve the model that an environment describes until SIGTERM; return the exit code."""
    started = perf_counter()
    # Until the port is open; from then on the event loop shuts down gracefully.
    signal.signal(signal.SIGTERM, _exit)
    try:
        settings = Settings.from_environment(environment)
        read_metadata(settings.paths.model)
    except ContainerError as error:
        log.error("cannot serve: %s", error)
        return 1
    counters = Counters(settings.workers)
    others = WorkerProcesses()
    try:
        for worker in range(1, settings.workers):
            others.start(worker, partial(_run_worker, settings, counters, started, worker))
        code = _serve_model(settings, counters, started, others)
    finally:
        others.stop()
        log.info("stopped serving")
    return max(code, int(others.failed))


class WorkerProcesses:
    """The worker processes beside this one. When one of them exits, all shut down.

    The platform then replaces the whole instance. Workers are forked before a model is loaded, so
    they share the imported modules but no ONNX Runtime session.

    Attributes:
        lifelines: one end of a socket pair with each of them; it becomes readable when the other
            process exits, for whatever reason.
        failed: a worker that this process forked exited with an error.
    """

    def __init__(self, *lifelines: socket.socket) -> None:
        self.lifelines = list(lifelines)
        self.failed = False
        self._workers: dict[int, int] = {}
        self._terminated = False

    def start(self, worker: int, work: Callable[[WorkerProcesses], int]) -> None:
        """Fork a worker.

        Args:
            worker: its number, from 1; this process is number 0.
            work: runs in the fork, with SIGTERM blocked until it unblocks it, and returns its exit
                code. Its argument holds the forking process's lifeline.
        """
        ours, theirs = socket.socketpair()
        # Python forgets a signal that reaches the fork before `PyOS_AfterFork_Child` has run. On a
        # busy machine that takes so long that this process may already have to stop. A blocked
        # signal stays pending.
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM,))
        pid = os.fork()
        if pid == 0:
            for lifeline in (*self.lifelines, ours):
                lifeline.close()
            os._exit(work(WorkerProcesses(theirs)))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM,))
        theirs.close()
        self.lifelines.append(ours)
        self._workers[pid] = worker

    def terminate(self) -> None:
        """Send SIGTERM to the forked workers, once."""
        if self._terminated:
            return
        self._terminated = True
        for pid in self._workers:
            os.kill(pid, signal.SIGTERM)

    def stop(self) -> None:
        """Send SIGTERM to the forked workers and wait until they have exited."""
        self.terminate()
        for pid, worker in self._workers.items():
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            # SIGTERM kills a worker that is exiting by itself and has removed its handler.
            if code not in (0, -signal.SIGTERM):
                self.failed = True
                log.error("worker %d exited with %d", worker, code)


def _run_worker(
    settings: Settings,
    counters: Counters,
    started: float,
    worker: int,
    others: WorkerProcesses,
) -> int:
    """Serve as a forked worker; return its exit code, whatever happens."""
    counters.set_worker(worker)
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM,))
        return _serve_model(settings, counters, started, others)
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 1
    except BaseException:
        log.exception("worker %d failed", worker)
        return 1


def _serve_model(
    settings: Settings, counters: Counters, started: float, others: WorkerProcesses
) -> int:
    """Load the model, open the port and serve until the shutdown; return the exit code.

    Args:
        settings: the environment's settings.
        counters: shared by all workers.
        started: perf_counter() when the first process started.
        others: the processes whose exit ends this one.
    """
    try:
        predictor, columns, metadata = load(settings.paths.model)
    except ContainerError as error:
        log.error("cannot serve: %s", error)
        return 1

    def log_ready() -> None:
        log.info(
            "serving %s of training job '%s' (%d features, classes %s) by %s on http://%s:%d, "
            "ready in %.2f s",
            metadata.get("algorithm"),
            metadata.get("lineage", {}).get("training_job_name", ""),
            len(columns.columns),
            ", ".join(predictor.classes) or "none",
            predictor.engine,
            settings.host,
            settings.port,
            perf_counter() - started,
        )

    application = Application(
        predictor,
        columns,
        counters,
        output=settings.output,
        max_waiting=settings.max_waiting,
        log_all=settings.log_all,
    )
    _retain_freed_memory()
    # The loaded objects stay alive and a request leaves no cycles, so the garbage collector has
    # little to find.
    gc.freeze()
    gc.set_threshold(_GC_ALLOCATIONS)
    try:
        listener = _listener(settings.host, settings.port, shared=settings.workers > 1)
    except OSError as error:
        log.error("cannot listen on %s:%d: %s", settings.host, settings.port, error.strerror)
        return 1
    uvloop.run(listen(application, listener, log_ready, others))
    application.flush()
    return 0


async def listen(
    handler: RequestHandler,
    listener: socket.socket,
    on_ready: Callable[[], None] = lambda: None,
    others: WorkerProcesses | None = None,
) -> None:
    """Serve the connections of a socket until SIGTERM or SIGINT, then shut down gracefully.

    Requests in flight are answered first, for at most _GRACEFUL_SECONDS. The exit of another
    worker starts the shutdown, too.

    Args:
        handler: answers the requests.
        listener: a bound socket.
        on_ready: called once the socket accepts connections.
        others: the other workers, none by default.
    """
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    others = others or WorkerProcesses()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    for lifeline in others.lifelines:
        loop.add_reader(lifeline, stopping.set)
    connections: set[Connection] = set()
    server = await loop.create_server(
        lambda: Connection(handler, connections), sock=listener, backlog=_BACKLOG
    )
    on_ready()
    while not stopping.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), _TICK_SECONDS)
        for connection in tuple(connections):
            connection.tick(_KEEP_ALIVE_TICKS)
    for lifeline in others.lifelines:
        loop.remove_reader(lifeline)
    others.terminate()
    server.close()
    for connection in tuple(connections):
        connection.close_gracefully()
    deadline = loop.time() + _GRACEFUL_SECONDS
    while connections and loop.time() < deadline:  # noqa: ASYNC110 - once, at the end
        await asyncio.sleep(0.01)
    for connection in tuple(connections):
        connection.abort()


def _retain_freed_memory() -> None:
    """Make glibc keep the memory that a large body used, for the next one.

    By default glibc returns large blocks to the system at once. Each large body then pays for its
    page faults again, which takes as long as parsing its numbers.

    Source: https://man7.org/linux/man-pages/man3/mallopt.3.html
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc only
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _RETAINED_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _RETAINED_BYTES)


def _listener(host: str, port: int, *, shared: bool) -> socket.socket:
    """Return a bound socket; `shared` lets every worker bind one of its own to the same port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((host, port))
    return listener


def _cores() -> int:
    """Return the number of cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # macOS does not have it
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _exit(*_: object) -> NoReturn:
    raise SystemExit(0)
