"""A reader of Server-Sent Events, for the tests of the page's stream."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit


@dataclass(slots=True)
class Events:
    """An open stream."""

    response: http.client.HTTPResponse
    last_id: str = ""
    sections: dict[str, Any] = field(default_factory=dict)

    def next(self) -> tuple[str, Any]:
        """Return the next event's name and data; comments are skipped."""
        name = data = ""
        while True:
            line = self.response.readline().decode()
            if not line:
                return "", None
            key, _, value = line.rstrip("\n").partition(": ")
            if key == "event":
                name = value
            elif key == "data":
                data = value
            elif key == "id":
                self.last_id = value
            elif not key and name:
                self.sections[name] = json.loads(data)
                return name, self.sections[name]

    def until(self, what: str, probe: Callable[[dict[str, Any]], bool]) -> None:
        """Read events until the newest sections fulfil a condition."""
        while not probe(self.sections):
            assert self.next()[0], f"the stream ended before {what}"

    def until_next(self, name: str) -> Any:
        """Return the data of the next event of a name."""
        while True:
            found, data = self.next()
            assert found, f"the stream ended before an event {name}"
            if found == name:
                return data

    def block(self) -> dict[str, Any]:
        """Return the events up to the one that has a new id."""
        before, found = self.last_id, {}
        while self.last_id == before:
            name, data = self.next()
            assert name, "the stream ended within an update"
            found[name] = data
        return found


@contextmanager
def listening(url: str, last_id: str = "", query: str = "") -> Iterator[Events]:
    """Listen to a local cloud's stream."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    headers = {"Last-Event-ID": last_id} if last_id else {}
    connection.request("GET", f"/_localcloud/stream{query}", headers=headers)
    response = connection.getresponse()
    try:
        yield Events(response)
    finally:
        response.close()
        connection.close()
