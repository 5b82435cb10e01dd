"""The locust user that invokes the endpoint, and the quota gate that each request passes.

locust patches the standard library for gevent when it is imported. Modules that open sockets
(boto3 in `loadtest.signing`) must be imported after it, as they are here.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event
from locust import User, constant
from locust.env import Environment
from locust.exception import CatchResponseError, StopUser
from locust.user.task import LOCUST_STATE_STOPPING, LOCUST_STATE_WAITING

from loadtest.connection import Answer, Connection, NoAnswerError, Server
from loadtest.payloads import Payload, parse_label, parse_value, read_payloads, rows_from
from loadtest.recorder import Recorder
from loadtest.replay import Timed, read
from loadtest.request_quota import QuotaLease
from loadtest.schedule import own_times
from loadtest.shapes import Load
from loadtest.signing import Signer, find_credentials, invocations_path

# Requests in flight may take this long when the users stop.
STOP_SECONDS = 5
# A user that waits for quota checks at this interval whether it has to stop.
_WAIT_SECONDS = 0.2
_BEAT_SECONDS = 0.01


class QuotaGate:
    """Lets the users' requests through while there is quota.

    Args:
        lease: the quota of this process.
        on_completed: called once all requests are sent and answered.
        request_quota: asks the master for more, which arrives by `renew`; None without a master.
    """

    def __init__(
        self,
        lease: QuotaLease,
        on_completed: Callable[[], None],
        request_quota: Callable[[], None] | None = None,
    ) -> None:
        self._lease = lease
        self._on_completed = on_completed
        self._request_quota = request_quota
        self._requested = False
        self._renewed = Event()

    def acquire(self) -> bool:
        """Return True if a request may be sent; otherwise wait a moment for more quota.

        Raises:
            StopUser: the quota is used up.
        """
        acquired = self._lease.take()
        if self._lease.low and self._request_quota is not None and not self._requested:
            self._requested = True
            self._renewed.clear()
            self._request_quota()
        if not acquired:
            if self._lease.exhausted:
                raise StopUser
            self._renewed.wait(_WAIT_SECONDS)
        return acquired

    def renew(self, granted: int) -> None:
        """Add the quota that the master granted."""
        self._lease.renew(granted)
        self._requested = False
        self._renewed.set()
        self._check_completed()

    def answered(self, **_: object) -> None:
        """Record the end of a request; a listener of locust's `request` event."""
        self._lease.finish(answered=True)
        self._check_completed()

    def abandoned(self) -> None:
        """Record a request that was cut off because its user stopped."""
        self._lease.finish(answered=False)

    def _check_completed(self) -> None:
        if self._lease.completed:
            self._on_completed()


@dataclass(frozen=True, slots=True)
class Share:
    """The requests that one process sends.

    Attributes:
        rows: the requests, in order.
        times: their moments in an open load, in seconds since it began; None in a closed one.
    """

    rows: Iterator[Payload]
    times: Iterator[float] | None = None


# A master's users run in its workers.
NOTHING = Share(iter(()))


def read_share(settings: dict[str, Any]) -> Share:
    """Return the requests of a process of this machine, which reads the files itself.

    Args:
        settings: the generator's settings.

    Raises:
        UsageError: the dataset cannot be read.
    """
    worker, load = settings.get("worker", 0), Load(**settings["load"])
    replayed = replayed_requests(settings)
    if replayed is None:
        dataset = Path(settings["dataset"])
        payloads = read_payloads(dataset.read_bytes(), dataset.name)
        times = None if load.rate is None else own_times(load, worker)
        return Share(rows_from(payloads, worker, load.workers), times)
    own = replayed[worker :: load.workers]
    return Share((one.payload for one in own), iter([one.at for one in own]))


def create_environment(
    settings: dict[str, Any], recorder: Recorder, gate: QuotaGate, share: Share, shape: Any = None
) -> Environment:
    """Return locust's environment for a process that sends requests or leads workers.

    Args:
        settings: the generator's settings.
        recorder: counts the well-formed predictions.
        gate: decides whether another request may be sent.
        share: the requests of this process.
        shape: the LoadTestShape; None for a worker, which follows its master.
    """
    return Environment(
        user_classes=[create_user_class(settings, share, recorder, gate)],
        shape_class=shape,
        stop_timeout=STOP_SECONDS,
    )


class EndpointClient(User):  # type: ignore[misc]  # locust ships no types
    """A user with a connection of its own; locust starts no user of this class itself."""

    abstract = True
    connection: Connection | None = None
    _state: str | None

    def stop(self, force: bool = False) -> bool:
        """Stop the user; one that waits between two requests sends no other.

        Locust only kills such a user. It may wake up before that takes effect, send a request, and
        be killed while it waits for the answer, which nobody then counts.
        """
        if self._state == LOCUST_STATE_WAITING:
            self._state = LOCUST_STATE_STOPPING
            self.group.killone(self.greenlet)
            return True
        stopped: bool = super().stop(force)
        return stopped

    def on_stop(self) -> None:
        """Close the connection."""
        if self.connection is not None:
            self.connection.close()


def prepare_to_send(recorder: Recorder) -> None:
    """Prepare this process for a load, and note how much later than asked it wakes up.

    While it handles one answer, the others wait, and so does the greenlet that measures it.
    """
    # The modules stay until the end; to search them for garbage takes a tenth of the rate, and the
    # answers that come meanwhile wait.
    gc.collect()
    gc.freeze()

    def measure() -> None:
        while True:
            before = time.monotonic()
            gevent.sleep(_BEAT_SECONDS)
            recorder.delays.add(1000 * max(0.0, time.monotonic() - before - _BEAT_SECONDS))

    gevent.spawn(measure)


def replayed_requests(settings: dict[str, Any]) -> list[Timed] | None:
    """Return the captured requests that the generator sends again; None without a replay."""
    return _read_once(settings["replay"]) if settings.get("replay") else None


@cache
def _read_once(path: str) -> list[Timed]:
    """Read a replay's file, which the schedule and the users of a process need."""
    return read(Path(path))


def create_user_class(
    settings: dict[str, Any], share: Share, recorder: Recorder, gate: QuotaGate
) -> Any:
    """Return the locust user class; all its users together send the rows in turn.

    Args:
        settings: the generator's settings.
        share: the requests of this process.
        recorder: counts the well-formed predictions.
        gate: decides whether another request may be sent.
    """
    sender = Sender(
        settings["url"],
        settings["endpoint"],
        settings["region"],
        share.rows,
        recorder,
    )
    worker = settings.get("worker", 0)
    pace = None if share.times is None else Pace(share.times, worker, recorder)

    def invoke(user: Any) -> None:
        due = None if pace is None else pace.wait()
        if not gate.acquire():
            return
        try:
            sender.send(user, due)
        except gevent.GreenletExit:
            gate.abandoned()
            raise

    class EndpointUser(EndpointClient):
        host = sender.host
        tasks = [invoke]  # noqa: RUF012 - locust reads it from the class
        wait_time = constant(settings["think_seconds"])

    return EndpointUser


class Sender:
    """Signs and sends the requests of a process, and looks at the answers.

    Args:
        url: the base URL of the runtime service.
        endpoint: the endpoint's name.
        region: the AWS region.
        rows: the rows to send, without an end.
        recorder: counts the well-formed predictions.

    Attributes:
        host: the scheme and the host of the URL.

    Raises:
        UsageError: there are no credentials.
    """

    def __init__(
        self, url: str, endpoint: str, region: str, rows: Iterator[Payload], recorder: Recorder
    ) -> None:
        self._server = Server(url)
        self.host = self._server.base
        self._url = self.host + invocations_path(endpoint)
        self._signer = Signer(find_credentials(), region, self._url)
        self._rows = rows
        self._recorder = recorder

    def send(self, user: Any, due: float | None = None) -> None:
        """Send the next row on a user's connection, and fire locust's `request` event.

        Args:
            user: the locust user.
            due: the moment at which an open load's request was due, on the monotonic clock.
        """
        payload = next(self._rows)
        connection = user.connection
        if connection is None:
            connection = user.connection = Connection(self._server)
        request = self._signer.request(payload)
        start_time = time.time()
        sent = time.monotonic()
        answer = None
        try:
            answer = connection.exchange(request)
        except NoAnswerError as error:
            failure = f"no answer: {error}"
        ended = time.monotonic()
        if answer is not None:
            failure = self._judge(answer, payload)
        # The latency of an open load counts from the moment at which a request was due.
        began = sent if due is None else min(sent, due)
        user.environment.events.request.fire(
            request_type="POST",
            name="InvokeEndpoint",
            response_time=1000 * (ended - began),
            response_length=len(answer.content) if answer is not None else 0,
            response=answer,
            context=user.context(),
            exception=CatchResponseError(failure) if failure else None,
            start_time=start_time,
            url=self._url,
        )

    def _judge(self, answer: Answer, payload: Payload) -> str:
        """Record a well-formed prediction; return the reason why an answer is a failure, or ""."""
        text = answer.text
        if answer.status_code != 200:
            return f"HTTP {answer.status_code}: {text}"
        if payload.label is None:
            return ""  # nobody knows the right answer
        label = parse_label(text)
        if label is None:
            return f"not one label: {text}"
        if payload.value is None:
            self._recorder.record_prediction(correct=label == payload.label)
            return ""
        value = parse_value(label)
        if value is None:
            return f"not a number: {text}"
        self._recorder.record_prediction(error=value - payload.value)
        return ""


class Pace:
    """Has the users of a process send their requests on an open load's schedule.

    Args:
        times: the moments of its requests, in seconds since it began.
        worker: number of this process, from 0.
        recorder: counts how late requests are sent.
    """

    def __init__(self, times: Iterator[float], worker: int, recorder: Recorder) -> None:
        self._times = times
        self._worker = worker
        self._recorder = recorder

    def wait(self) -> float:
        """Wait until the next request is due; return that moment, on the monotonic clock.

        Raises:
            StopUser: the schedule is over.
        """
        free = time.monotonic()
        began = self._recorder.began.setdefault(self._worker, free)
        at = next(self._times, None)
        if at is None:
            raise StopUser
        due = began + at
        if due > free:
            gevent.sleep(due - free)
        # A request that was due before a user was free is late by the endpoint, not by us.
        late = time.monotonic() - max(due, free)
        self._recorder.lateness.add(1000 * max(0.0, late))
        return due
