"""The messages between the master and the workers of the load generator.

QUOTA_REQUEST  worker → master: the worker's quota lease is running low
QUOTA_GRANT    master → worker: the number of requests that the master grants
COUNTS         worker → master: the worker's counts, sent at once when all requests are answered
REPORT_KEY     worker → master: the key of our data in locust's own report

A worker of another machine asks for its part of the test before it becomes a worker of locust's:

    worker                                master
    JOIN protocol, host          ──────►
                                 ◄──────  SETTINGS worker's number, endpoint, load, batches
    ROWS_REQUEST worker, batch   ──────►
                                 ◄──────  ROWS batch, rows                  (once for each batch)
    ENLIST worker                ──────►  lets locust's own messages of this sender in
    …                                     (the load)
    locust's last report         ──────►
                                 ◄──────  RECEIVED

    LEAVE worker, reason         ──────►  at any time before the load: the worker cannot take part
                                 ◄──────  REFUSED reason: there is no test for this worker
"""

from __future__ import annotations

from typing import Any

from loadtest.payloads import Payload

# Raised when the messages change, so that two versions of this package refuse each other.
PROTOCOL = 1
QUOTA_REQUEST = "quota request"
QUOTA_GRANT = "quota grant"
COUNTS = "counts"
REPORT_KEY = "recorded"
JOIN = "join"
SETTINGS = "settings"
ROWS_REQUEST = "rows request"
ROWS = "rows"
ENLIST = "enlist"
LEAVE = "leave"
RECEIVED = "received"
REFUSED = "refused"

# A name or a reason that the other side sent is shown up to this length.
_MOST_CHARACTERS = 400


def row_of(payload: Payload, at: float | None = None) -> list[Any]:
    """Return a request as it travels to a worker, from which `payload_of` makes it again.

    Args:
        payload: the request.
        at: its moment in a replay, in seconds.
    """
    return [
        payload.body,
        payload.label,
        payload.value,
        payload.content_type,
        payload.accept,
        at,
    ]


def payload_of(row: list[Any]) -> tuple[Payload, float | None]:
    """Return the request of a row and its moment.

    Raises:
        ValueError, TypeError: it is not a row of `row_of`.
    """
    body, label, value, content_type, accept, at = row
    if not isinstance(body, bytes) or not isinstance(label, str | None):
        raise TypeError("not a request")
    for header in (content_type, accept):
        if not isinstance(header, str) or not header.isprintable() or not header.isascii():
            raise TypeError("not a header")
    payload = Payload(body, label, _number(value), content_type, accept)
    return payload, _number(at)


def shown(text: object) -> str:
    """Return a text of the other side that is safe to print: one line of a bounded length."""
    line = "".join(c if c.isprintable() else " " for c in str(text)[:_MOST_CHARACTERS])
    return line.strip()


def _number(value: object) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float):
        raise TypeError("not a number")
    return float(value)
