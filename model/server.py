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

import gc
import logging
import os
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import NoReturn

import uvicorn

from model.application import Application
from model.channels import MlPaths
from model.counters import Counters
from model.errors import ContainerError
from model.media import OUTPUTS
from model.predictor import load, read_card

log = logging.getLogger("model.server")

# SageMaker kills the container 30 s after SIGTERM.
_GRACEFUL_SECONDS = 25
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


class _Server(uvicorn.Server):
    """uvicorn, with a line in the log once it listens."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._started_callback = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        if self.started:
            self._started_callback()


def run(environment: Mapping[str, str]) -> int:
    """Serve the model of an environment until SIGTERM; return the exit code."""
    began = perf_counter()
    # uvicorn raises the signal again after its graceful end: this makes that an ordinary exit.
    signal.signal(signal.SIGTERM, _exit)
    try:
        settings = Settings.from_environment(environment)
        read_card(settings.paths.model)
    except ContainerError as error:
        log.error("cannot serve: %s", error)
        return 1
    counters = Counters(settings.workers)
    try:
        if settings.workers == 1:
            return _serve(settings, counters, began)
        return _supervise(settings, counters, began)
    finally:
        log.info("stopped serving")


def _supervise(settings: Settings, counters: Counters, began: float) -> int:
    """Run the workers; when one ends, end the others too, for the platform replaces the container.

    They are forked before a model is loaded: what was imported is shared, and no session is.
    """
    children: dict[int, int] = {}
    for worker in range(settings.workers):
        pid = os.fork()
        if pid == 0:
            os._exit(_work(settings, counters, began, worker))
        children[pid] = worker

    def forward(*_: object) -> None:
        for pid in children:
            os.kill(pid, signal.SIGTERM)

    signal.signal(signal.SIGTERM, forward)
    signal.signal(signal.SIGINT, forward)
    worst = 0
    while children:
        pid, status = os.wait()
        code = os.waitstatus_to_exitcode(status)
        worker = children.pop(pid)
        if code:
            log.error("worker %d ended with %d", worker, code)
        worst = max(worst, 1 if code else 0)
        forward()
    return worst


def _work(settings: Settings, counters: Counters, began: float, worker: int) -> int:
    signal.signal(signal.SIGTERM, _exit)
    counters.become(worker)
    try:
        return _serve(settings, counters, began)
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 1
    except BaseException:
        log.exception("worker %d failed", worker)
        return 1


def _serve(settings: Settings, counters: Counters, began: float) -> int:
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

    def under_way() -> int:
        return len(server.server_state.tasks)

    application = Application(
        predictor,
        columns,
        counters,
        output=settings.output,
        max_waiting=settings.max_waiting,
        log_all=settings.log_all,
        under_way=under_way,
    )
    config = uvicorn.Config(
        application,
        host=settings.host,
        port=settings.port,
        lifespan="off",
        ws="none",
        proxy_headers=False,
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        # Longer than a load balancer keeps a connection, so that it is never the one surprised.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_GRACEFUL_SECONDS,
    )
    sockets = None
    if settings.workers > 1:
        try:
            sockets = [_shared_socket(settings.host, settings.port)]
        except OSError as error:
            log.error("cannot listen on %s:%d: %s", settings.host, settings.port, error.strerror)
            return 1
    server = _Server(config, started)
    # What was loaded stays: the collector need not walk it again and again.
    gc.freeze()
    try:
        server.run(sockets)
    finally:  # uvicorn ends by a signal
        application.flush()
    return 0


def _shared_socket(host: str, port: int) -> socket.socket:
    """Return a socket of this worker's own on the port that all of them share."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((host, port))
    return listener


def _cores() -> int:
    """Return the cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # there is none on macOS
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _exit(*_: object) -> NoReturn:
    raise SystemExit(0)
