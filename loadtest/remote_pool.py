"""The workers of other machines, under locust's MasterRunner in this process.

A worker joins, gets its settings and its rows, and enlists (`loadtest.messages`). Locust's messages
of other senders are left out, so that a worker that was not expected changes nothing of a load that
runs. Credentials never travel. Locust's channel has no password: whoever reaches the port
can take a worker's place.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import zmq
from gevent.event import Event
from locust import runners
from locust.env import Environment
from locust.exception import RPCReceiveError
from locust.rpc import zmqrpc
from locust.rpc.protocol import Message
from locust.runners import MasterRunner

from loadtest.address import Address
from loadtest.errors import GeneratorError, UsageError
from loadtest.messages import (
    ENLIST,
    JOIN,
    LEAVE,
    PROTOCOL,
    RECEIVED,
    REFUSED,
    ROWS,
    ROWS_REQUEST,
    SETTINGS,
    shown,
)
from loadtest.payloads import read_payloads
from loadtest.recorder import Recorder
from loadtest.remote_desk import Batches, Desk, Place
from loadtest.user import replayed_requests
from loadtest.worker_pool import MIN_HEARTBEAT, WorkerPool

log = logging.getLogger(__name__)

# A message is a report, or rows of which one may have SageMaker's 6 MB.
MOST_MESSAGE_BYTES = 16 * 1024 * 1024
_POLL_SECONDS = 0.1
# zmq sends in the background; the process must not end before it has.
_FLUSH_SECONDS = 0.3
_OURS = {JOIN, ROWS_REQUEST, ENLIST, LEAVE}


class _Server(zmqrpc.Server):  # type: ignore[misc]  # locust ships no types
    """Locust's server socket, which refuses large and unreadable messages."""

    def __init__(self, host: str, port: int) -> None:
        zmqrpc.BaseSocket.__init__(self, zmq.ROUTER, ":" not in host)
        self.socket.setsockopt(zmq.MAXMSGSIZE, MOST_MESSAGE_BYTES)
        self.port = port
        try:
            self.socket.bind(f"tcp://{Address(host, port)}")
        except zmq.ZMQError as error:
            reason = os.strerror(error.errno or 0)
            raise GeneratorError(
                f"cannot listen on {Address(host, port)}: {reason}; --master-bind takes an address "
                "of this machine and a port that is free"
            ) from None

    def recv_from_client(self) -> tuple[str, Message]:
        try:
            received: tuple[str, Message] = super().recv_from_client()
        except (TypeError, ValueError, KeyError, IndexError) as error:
            raise RPCReceiveError(f"not a message of locust's: {error}") from None
        return received


class _Master(MasterRunner):  # type: ignore[misc]  # locust ships no types
    """Locust's master, which takes messages only of workers that have enlisted.

    Args:
        environment: locust's environment.
        address: where it listens.
        desk: the places of the workers.
        receive: called with the sender, the kind and the data of a message of our own.
    """

    def __init__(
        self,
        environment: Environment,
        address: Address,
        desk: Desk,
        receive: Callable[[str, str, dict[str, Any]], None],
    ) -> None:
        self._desk = desk
        self._receive = receive
        runners.rpc.Server = _Server
        super().__init__(environment, address.host, address.port)

    def handle_message(self, client_id: str, msg: Message) -> None:
        """Handle a message; one that cannot be handled must not end the listener."""
        try:
            if msg.type in _OURS:
                self._receive(client_id, msg.type, msg.data)
            elif self._desk.enlisted_as(client_id) is not None:
                msg.node_id = client_id
                super().handle_message(client_id, msg)
        except Exception as error:  # the edge: whatever another machine sends
            log.warning("a message of %s was left out: %r", shown(client_id), error)


class RemotePool(WorkerPool):
    """Worker processes of other machines, which connect to this one.

    Args:
        settings: the generator's settings, with `master`: host, port and seconds to wait.
        recorder: receives the counts of all workers.
        stopped: set when the test is to end.
        say: shows a line while the workers come.

    Raises:
        UsageError: the dataset cannot be read, or a replay has fewer requests than workers.
    """

    def __init__(
        self,
        settings: dict[str, Any],
        recorder: Recorder,
        stopped: Event,
        say: Callable[[str], None],
    ) -> None:
        super().__init__(settings, recorder)
        self._stopped = stopped
        self._say = say
        self._address = Address(settings["master"]["host"], settings["master"]["port"])
        self._wait_seconds: float = settings["master"]["wait_seconds"]
        self._desk = Desk(self._count)
        self._batches = _batches(settings, self._count)
        self._begun = False
        # Reasons of the workers that ended by themselves, by number.
        self._left: dict[int, str] = {}
        self._runner: Any = None

    def start(self, environment: Environment, on_counts: Callable[[], None]) -> Any:
        """Wait for the workers, and say how many are there."""
        runner = _Master(environment, self._address, self._desk, self._receive)
        environment.runner = self._runner = runner
        environment.shape_class.runner = runner
        self._register_messages(runner, on_counts)
        self._say(
            f"waiting up to {self._wait_seconds:g} s for {self._count} worker{self._plural} at "
            f"{self._address}; start each with: {self._command}"
        )
        deadline = time.monotonic() + self._wait_seconds
        before: list[Place] = []
        while len(ready := self._ready()) < self._count:
            if len(ready) != len(before):
                self._say(self._progress(ready))
                before = ready
            if self._stopped.wait(_POLL_SECONDS):
                self._fail(f"the test was ended with {self._progress(ready)}")
            if time.monotonic() > deadline:
                self._fail(
                    f"{self._progress(ready)} after {self._wait_seconds:g} s: start the others "
                    f"with {self._command}, and look at what they print; --max-wait waits longer"
                )
        self._begun = True
        self._say(self._progress(ready))
        return runner

    @property
    def hosts(self) -> list[str]:
        """Return the names of the other machines that send, one for each worker."""
        return [place.host for place in self._desk.places]

    @property
    def _command(self) -> str:
        host = str(self._address)
        if self._address.host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
            host = f"THIS-MACHINE:{self._address.port}"
        return f"python -m loadtest worker --master {host}"

    @property
    def _plural(self) -> str:
        return "" if self._count == 1 else "s"

    def _progress(self, ready: list[Place]) -> str:
        hosts = f" ({', '.join(place.host for place in ready)})" if ready else ""
        return f"{len(ready)} of {self._count} worker{self._plural} there{hosts}"

    def _ready(self) -> list[Place]:
        """Return the places of the workers that can begin, and free those of workers that left."""
        known = {worker.id: worker for worker in self._runner.clients.all}
        for place in self._desk.enlisted:
            worker = known.get(place.enlisted)
            if place.greeted and (worker is None or worker.heartbeat < 0):
                self._runner.clients.pop(place.enlisted, None)
                self._desk.leave(place.enlisted)
                self._say(f"the worker on {place.host} is gone")
            elif worker is not None:
                place.greeted = True
        return [place for place in self._desk.enlisted if place.greeted]

    def _receive(self, sender: str, kind: str, data: dict[str, Any]) -> None:
        if kind == JOIN:
            self._join(sender, data)
        elif kind == ROWS_REQUEST:
            number = self._desk.received(sender, time.monotonic())
            if number is not None:
                batch = int(data["batch"])
                rows = self._batches.rows(number, batch)
                self._send(ROWS, {"batch": batch, "rows": rows}, sender)
        elif kind == ENLIST:
            if self._begun or not self._desk.enlist(str(data["joined"]), sender):
                self._send(REFUSED, "its place in the test was given to another worker", sender)
        elif not self._begun and (place := self._desk.leave(sender)) is not None:
            self._say(f"the worker on {place.host} left: {shown(data['reason'])}")

    def _join(self, sender: str, data: dict[str, Any]) -> None:
        if data["protocol"] != PROTOCOL:
            self._send(
                REFUSED,
                "the master is of another version of this project: install the same one on both",
                sender,
            )
            return
        host = shown(data["host"])
        number = None if self._begun else self._desk.join(sender, host, time.monotonic())
        if number is None:
            self._send(REFUSED, f"the test has its {self._count} worker{self._plural}", sender)
            return
        names = ("endpoint", "region", "url", "local", "load", "think_seconds")
        document = {name: self._settings[name] for name in names}
        batches = self._batches.count(number)
        document |= {"worker": number, "batches": batches, "replay": bool(self._settings["replay"])}
        self._send(SETTINGS, document, sender)

    def _send(self, kind: str, data: Any, sender: str) -> None:
        self._runner.server.send_to_client(Message(kind, data, sender))

    def _named(self, number: int) -> str:
        return f"{super()._named(number)} ({self._desk.places[number].host})"

    def _finish(self, runner: Any, client_id: str, report: dict[str, Any]) -> None:
        number = self._desk.enlisted_as(client_id)
        if number is None:
            return
        if report["left"]:
            self._left[number] = shown(report["left"])
        self._finished.add(number)
        self._send(RECEIVED, None, client_id)

    def _lost(self, runner: Any) -> str:
        for number, reason in self._left.items():
            return f"{self._named(number)} {reason} before the load ended"
        for number in sorted(self._gone(runner)):
            return (
                f"{self._named(number)} stopped responding: the requests that it sent after its "
                "last report are not in the figures"
            )
        return ""

    def _gone(self, runner: Any) -> set[int]:
        beating = {w.id for w in runner.clients.all if w.heartbeat > MIN_HEARTBEAT}
        places = enumerate(self._desk.places)
        silent = {number for number, place in places if place.enlisted not in beating}
        return silent - self._finished

    def _fail(self, reason: str) -> None:
        for place in self._desk.places:
            if sender := place.enlisted or place.joined:
                self._send(REFUSED, f"the test did not begin: {reason}", sender)
        gevent.sleep(_FLUSH_SECONDS)
        raise GeneratorError(reason)

    def _end(self, runner: Any) -> None:
        gevent.sleep(_FLUSH_SECONDS)


def _batches(settings: dict[str, Any], workers: int) -> Batches:
    replayed = replayed_requests(settings)
    if replayed is None:
        dataset = Path(settings["dataset"])
        return Batches(read_payloads(dataset.read_bytes(), dataset.name), None, workers)
    if len(replayed) < workers:
        raise UsageError(
            f"the replay has {len(replayed)} requests for {workers} workers: expect fewer workers"
        )
    return Batches([one.payload for one in replayed], [one.at for one in replayed], workers)
