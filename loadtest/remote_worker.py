"""The command `python -m loadtest worker`: sends a part of a test that runs on another machine.

It gets the endpoint's name, the load and the rows from the master, but neither credentials nor the
place to which it sends them: both are of its own environment. Without AWS_ENDPOINT_URL it sends to
AWS, and only if the master does.

locust patches the standard library for gevent when it is imported; modules that open sockets are
imported after it.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import gevent
import zmq
from locust import runners
from locust.env import Environment
from locust.exception import RPCError
from locust.rpc import zmqrpc
from locust.rpc.protocol import Message
from locust.runners import WorkerRunner

from loadtest.address import Address
from loadtest.errors import GeneratorError, LoadTestError, UsageError
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
    payload_of,
    shown,
)
from loadtest.payloads import Payload, rows_from
from loadtest.replay import MOST_BYTES, MOST_REQUESTS
from loadtest.schedule import own_times
from loadtest.shapes import Load
from loadtest.signing import find_credentials
from loadtest.user import Share
from loadtest.worker import connect

# A master that is there answers at once.
_ANSWER_SECONDS = 10.0
_AGAIN_SECONDS = 5.0
_CONFIRM_SECONDS = 10.0
_MOST_THINK_SECONDS = 3600.0
# Without a sign of the master for so long, a worker ends.
_MASTER_SECONDS = 20
_ENDPOINT = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}")
_REGION = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")


def work(address: Address, wait_seconds: float, say: Callable[[str], None]) -> None:
    """Take part in the test of a master, until it ends.

    Args:
        address: the master's.
        wait_seconds: how long to try to reach it.
        say: shows a line.

    Raises:
        UsageError: there are no credentials, or the master's test is not for this environment.
        GeneratorError: the master did not answer, refused this worker, or went away.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.CRITICAL)
    find_credentials()
    say(f"asking the master at {address} for a part of its test")
    with _connection(address, wait_seconds) as connection:
        settings = connection.join()
        try:
            settings = _checked(settings)
            share = _share(settings, connection.rows(settings))
        except LoadTestError as error:
            connection.send(LEAVE, {"reason": str(error)})
            raise
        number, workers = settings["worker"] + 1, settings["load"]["workers"]
        say(
            f"worker {number} of {workers} for {settings['endpoint']} at {settings['url']}; "
            "waiting for the load to begin"
        )
        _Work(address, settings, share, connection.sender, say).run()


class _Connection:
    """The exchange with a master before the load.

    Args:
        address: the master's.
        wait_seconds: how long to try to reach it.
    """

    def __init__(self, address: Address, wait_seconds: float) -> None:
        self.sender = f"{socket.gethostname()}-{uuid4().hex}"
        self._address = address
        self._wait_seconds = wait_seconds
        self._client = zmqrpc.Client(address.host, address.port, self.sender)

    def close(self) -> None:
        """Close the connection, after what is on its way has been sent."""
        self._client.close(linger=int(1000 * _ANSWER_SECONDS))

    def send(self, kind: str, data: dict[str, Any]) -> None:
        """Send a message to the master."""
        self._client.send(Message(kind, data, self.sender))

    def join(self) -> dict[str, Any]:
        """Return the settings that the master sends.

        Raises:
            GeneratorError: it did not answer, or refused this worker.
        """
        deadline = time.monotonic() + self._wait_seconds
        while (left := deadline - time.monotonic()) > 0:
            self.send(JOIN, {"protocol": PROTOCOL, "host": socket.gethostname()})
            settings = self._next(SETTINGS, min(left, _AGAIN_SECONDS))
            if settings is not None:
                return settings
        raise GeneratorError(
            f"no master answered at {self._address} within {self._wait_seconds:g} s: start python "
            "-m loadtest run --expect-workers N --master-bind HOST:PORT there, and check the "
            "address and the firewall"
        )

    def rows(self, settings: dict[str, Any]) -> Iterator[tuple[Payload, float | None]]:
        """Yield the rows that the master sends, and their moments in a replay.

        Raises:
            GeneratorError: it stopped answering, or sent something else or too much.
        """
        size = count = 0
        for batch in range(settings["batches"]):
            self.send(ROWS_REQUEST, {"batch": batch})
            found = self._next(ROWS, _ANSWER_SECONDS)
            if found is None:
                raise GeneratorError(f"the master at {self._address} stopped answering")
            try:
                rows = [payload_of(row) for row in found["rows"]]
            except (TypeError, ValueError) as error:
                raise GeneratorError(f"the master sent rows that are none: {error}") from None
            size += sum(len(payload.body) for payload, _ in rows)
            count += len(rows)
            if size > MOST_BYTES or count > MOST_REQUESTS:
                raise GeneratorError(f"the master sent more than {MOST_BYTES:,} bytes of rows")
            yield from rows

    def _next(self, kind: str, seconds: float) -> dict[str, Any] | None:
        """Return the data of the next message of a kind; None if none came in time."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if not self._client.socket.poll(int(1000 * left) + 1):
                break
            try:
                message = self._client.recv()
            except (RPCError, TypeError, ValueError):
                continue
            if message.type == REFUSED:
                raise GeneratorError(
                    f"the master at {self._address} refused: {shown(message.data)}"
                )
            if message.type == kind and isinstance(message.data, dict):
                return message.data
        return None


@contextmanager
def _connection(address: Address, wait_seconds: float) -> Iterator[_Connection]:
    connection = _Connection(address, wait_seconds)
    try:
        yield connection
    finally:
        connection.close()


class _Runner(WorkerRunner):  # type: ignore[misc]  # locust ships no types
    """Locust's worker, which enlists with the master before it connects.

    Args:
        environment: locust's environment.
        address: the master's.
        joined: the sender that has joined.

    Attributes:
        refused: the master's reason; empty if it did not refuse.
        confirmed: the master has the last report.
        leaving: no more users are started, whatever the master asks for.
    """

    def __init__(self, environment: Environment, address: Address, joined: str) -> None:
        self.refused = ""
        self.confirmed = self.leaving = False
        self._joined = joined
        super().__init__(environment, address.host, address.port)

    def connect_to_master(self) -> None:
        """Enlist, and connect as locust does."""
        self.client.send(Message(ENLIST, {"joined": self._joined}, self.client_id))
        super().connect_to_master()

    def handle_message(self, msg: Message) -> None:
        """Handle a message of the master."""
        if msg.type == REFUSED:
            self.refused = shown(msg.data)
            self.connection_event.set()
        elif msg.type == RECEIVED:
            self.confirmed = True
        elif not (self.leaving and msg.type == "spawn"):
            super().handle_message(msg)


class _Work:
    """A worker's part of a test, from its enlistment to its last report."""

    def __init__(
        self,
        address: Address,
        settings: dict[str, Any],
        share: Share,
        joined: str,
        say: Callable[[str], None],
    ) -> None:
        self._address = address
        self._settings = settings
        self._share = share
        self._joined = joined
        self._say = say
        self._sent = 0
        self._begun = False
        self._left = ""

    def run(self) -> None:
        """Send the load until the master ends it, or this process is asked to end."""
        runners.CONNECT_RETRY_COUNT = 2
        runners.MASTER_HEARTBEAT_TIMEOUT = _MASTER_SECONDS
        ended = gevent.event.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            gevent.signal_handler(number, self._interrupt, ended)
        try:
            runner = connect(self._settings, self._share, self._create, lambda: self._left)
        except ConnectionError:
            raise GeneratorError(f"the master at {self._address} stopped answering") from None
        gevent.spawn(self._watch, runner, ended)
        ended.wait()
        self._finish(runner)

    def _create(self, environment: Environment) -> Any:
        events = environment.events
        events.test_start.add_listener(self._begin)
        events.request.add_listener(self._count)
        environment.runner = _Runner(environment, self._address, self._joined)
        return environment.runner

    def _begin(self, **_: object) -> None:
        self._begun = True
        self._say("the load has begun")

    def _count(self, **_: object) -> None:
        self._sent += 1

    def _interrupt(self, ended: Any) -> None:
        self._left = "was interrupted"
        ended.set()

    def _watch(self, runner: _Runner, ended: Any) -> None:
        """Note when the master ends the load, refuses this worker or is gone."""
        while not runner.refused and not ended.is_set():
            gevent.sleep(0.1)
            if not runner.greenlet:  # the master's end of the load ends all its greenlets
                break
        ended.set()

    def _finish(self, runner: _Runner) -> None:
        if runner.refused:
            runner.greenlet.kill(block=True)
            raise GeneratorError(f"the master at {self._address} refused: {runner.refused}")
        if self._left and not self._begun:
            runner.send_message(LEAVE, {"reason": self._left})
        elif self._left:
            runner.leaving = True
            runner.stop()
            runner._send_stats()
        runner.greenlet.kill(block=True)
        confirmed = self._confirmed(runner) if self._begun else True
        runner.client.close(linger=int(1000 * _ANSWER_SECONDS))
        self._say(f"the load is over: {self._sent:,} requests answered")
        if not confirmed:
            raise GeneratorError(
                f"the master at {self._address} is gone, or did not confirm the last report"
            )
        if self._left:
            raise GeneratorError(f"this worker {self._left}; the master's report says so")

    def _confirmed(self, runner: _Runner) -> bool:
        """Wait for the master's word that it has the last report."""
        deadline = time.monotonic() + _CONFIRM_SECONDS
        while not runner.confirmed and (left := deadline - time.monotonic()) > 0:
            if runner.client.socket.poll(int(1000 * left) + 1, zmq.POLLIN):
                message = runner.client.recv()
                runner.confirmed = message.type == RECEIVED
        return runner.confirmed


def _checked(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a master with the URL of this environment.

    Raises:
        UsageError: they are out of range, or meant for AWS and this environment is not, or the
            other way round.
    """
    try:
        endpoint, region = str(settings["endpoint"]), str(settings["region"])
        load = Load(**settings["load"])
        think = float(settings["think_seconds"])
        worker, batches = int(settings["worker"]), int(settings["batches"])
        local, url = bool(settings["local"]), shown(settings["url"])
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"the master sent settings that are none: {error!r}") from None
    if not (
        _ENDPOINT.fullmatch(endpoint)
        and _REGION.fullmatch(region)
        and 0 <= think <= _MOST_THINK_SECONDS
        and 0 <= worker < load.workers
        and 1 <= batches <= MOST_REQUESTS
    ):
        raise UsageError("the master sent settings that are out of range")
    own = os.environ.get("AWS_ENDPOINT_URL")
    if local and not own:
        raise UsageError(
            f"the test is of a local cloud, at {url} for its master, but AWS_ENDPOINT_URL is not "
            "set here and the requests would go to AWS: set it to the local cloud's address as "
            "this machine reaches it"
        )
    if own and not local:
        raise UsageError(
            f"the test is of AWS, but AWS_ENDPOINT_URL is {own} here: unset it to send to AWS"
        )
    return {
        **settings,
        "url": own or f"https://runtime.sagemaker.{region}.amazonaws.com",
        "think_seconds": think,
        "worker": worker,
        "batches": batches,
    }


def _share(settings: dict[str, Any], rows: Iterator[tuple[Payload, float | None]]) -> Share:
    """Return the requests of this worker.

    Args:
        settings: the checked settings.
        rows: the rows that the master sent.

    Raises:
        UsageError: the moments of a replay are missing.
    """
    load, worker = Load(**settings["load"]), settings["worker"]
    found = list(rows)
    payloads = [payload for payload, _ in found]
    if not payloads:
        raise UsageError("the master sent no rows")
    if settings["replay"]:
        times = [at for _, at in found if at is not None]
        if len(times) != len(found) or load.rate is None:
            raise UsageError("the master sent a replay without times")
        return Share(iter(payloads), iter(times))
    times_of_load = None if load.rate is None else own_times(load, worker)
    return Share(rows_from(payloads, worker, load.workers), times_of_load)
