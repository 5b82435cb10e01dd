"""The locust user that asks the endpoint, and the turnstile that each of its requests goes through.

locust patches the standard library for gevent when it is imported. Whatever opens sockets
(boto3 in `loadtest.signing`) must come after it, as it does in this order.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gevent
from gevent.event import Event
from locust import FastHttpUser, constant
from locust.env import Environment
from locust.exception import StopUser

from loadtest.payloads import Payload, read_answer, read_payloads, read_value, rows_from
from loadtest.recorder import Recorder
from loadtest.signing import Signer, find_credentials, invocations_path
from loadtest.tickets import Purse

# Requests under way at the end of the users may take so long.
STOP_SECONDS = 5
# A user that waits for tickets looks up so often whether it is to stop.
_WAIT_SECONDS = 0.2


class Turnstile:
    """Lets requests through while there are tickets."""

    def __init__(
        self, purse: Purse, settled: Callable[[], None], ask: Callable[[], None] | None = None
    ) -> None:
        """Hold a purse.

        Args:
            purse: the tickets.
            settled: called once when all is sent and answered.
            ask: asks for more, which come by `put`.
        """
        self._purse = purse
        self._settled = settled
        self._ask = ask
        self._asked = False
        self._arrived = Event()

    def enter(self) -> bool:
        """Return whether a request may be sent, after a moment's wait if tickets are on the way.

        Raises:
            StopUser: there are no more.
        """
        entered = self._purse.take()
        if self._purse.low and self._ask is not None and not self._asked:
            self._asked = True
            self._arrived.clear()
            self._ask()
        if not entered:
            if self._purse.spent:
                raise StopUser
            self._arrived.wait(_WAIT_SECONDS)
        return entered

    def put(self, granted: int) -> None:
        """Add the tickets that were asked for."""
        self._purse.put(granted)
        self._asked = False
        self._arrived.set()
        self._check()

    def answered(self, **_: object) -> None:
        """Note an answer; locust's `request` event."""
        self._purse.used(answered=True)
        self._check()

    def given_up(self) -> None:
        """Note a request that was cut off by the end of its user."""
        self._purse.used(answered=False)

    def _check(self) -> None:
        if self._purse.settled:
            self._settled()


def environment_of(
    settings: dict[str, Any], recorder: Recorder, turnstile: Turnstile, shape: Any = None
) -> Environment:
    """Return locust's environment of a process that sends, or that leads those that do.

    Args:
        settings: of the generator.
        recorder: gets the well-formed answers.
        turnstile: says whether there may be one more request.
        shape: of the load; None for a worker, which does what it is told.
    """
    dataset = Path(settings["dataset"])
    payloads = read_payloads(dataset.read_bytes(), dataset.name)
    return Environment(
        user_classes=[user_class(settings, payloads, recorder, turnstile)],
        shape_class=shape,
        stop_timeout=STOP_SECONDS,
    )


def user_class(
    settings: dict[str, Any],
    payloads: tuple[Payload, ...],
    recorder: Recorder,
    turnstile: Turnstile,
) -> Any:
    """Return the locust user that sends the payloads in turn, all users together.

    Args:
        settings: of the generator; `worker` of `load.workers` says at which row to begin.
        payloads: the rows.
        recorder: gets the well-formed answers.
        turnstile: says whether there may be one more.
    """
    parts = urlsplit(settings["url"])
    path = invocations_path(settings["endpoint"])
    base = f"{parts.scheme}://{parts.netloc}"
    signer = Signer(find_credentials(), settings["region"], base + path)
    turn = rows_from(payloads, settings.get("worker", 0), settings["load"]["workers"])

    def invoke(user: Any) -> None:
        if not turnstile.enter():
            return
        try:
            _send(user, path, next(turn), signer, recorder)
        except gevent.GreenletExit:
            turnstile.given_up()
            raise

    class EndpointUser(FastHttpUser):  # type: ignore[misc]  # locust ships no types
        host = base
        tasks = [invoke]  # noqa: RUF012 - locust reads it from the class
        wait_time = constant(settings["think_seconds"])
        insecure = False
        connection_timeout = 10.0
        network_timeout = 60.0
        max_retries = 0

    return EndpointUser


def _send(user: Any, path: str, payload: Payload, signer: Signer, recorder: Recorder) -> None:
    with user.client.post(
        path,
        data=payload.body,
        headers=dict(signer.headers(payload)),
        name="InvokeEndpoint",
        catch_response=True,
    ) as response:
        if response.status_code == 0:
            response.failure(f"no answer: {response.error}")
        elif response.status_code != 200:
            response.failure(f"HTTP {response.status_code}: {response.text}")
        elif (label := read_answer(response.text)) is None:
            response.failure(f"not one label: {response.text}")
        elif payload.value is None:
            recorder.answer(correct=label == payload.label)
        elif (value := read_value(label)) is None:
            response.failure(f"not a number: {response.text}")
        else:
            recorder.answer(error=value - payload.value)
