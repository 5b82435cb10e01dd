"""Clients that invoke the production endpoint during a game day, and never repeat a call.

They are strict on purpose. Every SDK of AWS repeats a call that failed in transit, so that what is
lost here is an upper bound of what an application would see.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from localcloud.aws.routing import DEFAULT_ACCOUNT, DEFAULT_REGION

_TIMEOUT_SECONDS = 65.0  # an invocation has 60
_AFTER_A_FAILURE_SECONDS = 0.1
_AUTHORIZATION = (
    f"AWS4-HMAC-SHA256 Credential={DEFAULT_ACCOUNT}/20260101/{DEFAULT_REGION}/sagemaker/"
    "aws4_request, SignedHeaders=host, Signature=0"
)


@dataclass(slots=True)
class Counts:
    """Requests of a span of time: answered with 200, and lost, by reason."""

    answered: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    slowest_seconds: float = 0.0


class Load:
    """Runs the clients in threads.

    Args:
        port: the local cloud's port.
        endpoint: name of the endpoint.
        row: a row of values, as CSV.
        clients: how many invoke at the same time.
        think_seconds: pause of a client between two calls.
    """

    def __init__(
        self, port: int, endpoint: str, row: str, clients: int, think_seconds: float
    ) -> None:
        self._port, self._path = port, f"/endpoints/{endpoint}/invocations"
        self._body, self._think_seconds = row.encode(), think_seconds
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._counts = Counts()
        self.total = Counts()
        self.answers_in_a_row = 0
        self._threads = [
            threading.Thread(target=self._run, name=f"client {n}", daemon=True)
            for n in range(clients)
        ]

    def start(self) -> None:
        """Start the clients."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop the clients after their last call."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(_TIMEOUT_SECONDS)

    def take(self) -> Counts:
        """Return the counts since the last call of this method."""
        with self._lock:
            counts, self._counts = self._counts, Counts()
        return counts

    def _run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_TIMEOUT_SECONDS)
        headers = {"Content-Type": "text/csv", "Authorization": _AUTHORIZATION}
        while not self._stopped.wait(self._think_seconds):
            began = time.monotonic()
            try:
                connection.request("POST", self._path, self._body, headers)
                response = connection.getresponse()
                body = response.read()
                reason = "" if response.status == 200 else _reason(response.status, body)
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                reason = type(error).__name__
            self._count(reason, time.monotonic() - began)
            if reason:
                self._stopped.wait(_AFTER_A_FAILURE_SECONDS)
        connection.close()

    def _count(self, reason: str, seconds: float) -> None:
        with self._lock:
            self.answers_in_a_row = 0 if reason else self.answers_in_a_row + 1
            for counts in (self._counts, self.total):
                counts.slowest_seconds = max(counts.slowest_seconds, seconds)
                if reason:
                    counts.lost[reason] += 1
                else:
                    counts.answered += 1


def _reason(status: int, body: bytes) -> str:
    text = body.decode("utf-8", "replace")
    for word in ("did not answer", "does not speak HTTP", "game day", "no healthy", "not found"):
        if word in text:
            return f"{status} {word}"
    return str(status)
