"""Pure: the places of a test's workers on other machines, and the parts in which rows travel.

    free ──join──► joined ──enlist──► enlisted
      ▲              │ silent for 15 s, or leaves    │ leaves before the load
      └──────────────┴───────────────────────────────┘

The desk knows who has which place. It sends nothing and has no clock of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from loadtest.messages import row_of
from loadtest.payloads import Payload

# A worker that joined and says nothing for so long has given up.
SILENT_SECONDS = 15.0
# Locust's channel carries whole messages; a larger part would delay the heartbeats behind it.
BATCH_BYTES, BATCH_ROWS = 1024 * 1024, 1000
# For the numbers and headers of a row.
_ROW_BYTES = 100


@dataclass(slots=True)
class Place:
    """A worker's place in a test.

    Attributes:
        joined: the sender that has the place; empty if it is free.
        host: the name of its machine.
        received_at: when it last said something, on the monotonic clock.
        enlisted: the sender of its locust messages; empty until it has its rows.
        greeted: locust's master has it among its workers.
    """

    joined: str = ""
    host: str = ""
    received_at: float = 0.0
    enlisted: str = ""
    greeted: bool = False


class Desk:
    """The places of a test.

    Args:
        count: number of workers that the test expects.
    """

    def __init__(self, count: int) -> None:
        self.places = [Place() for _ in range(count)]

    def join(self, sender: str, host: str, now: float) -> int | None:
        """Return the number of a sender's place, the one that it has or a free one; None if full.

        Args:
            sender: the worker.
            host: the name of its machine.
            now: the time on the monotonic clock.
        """
        if (number := self.received(sender, now)) is not None:
            return number
        number = next((n for n, place in enumerate(self.places) if _is_free(place, now)), None)
        if number is not None:
            self.places[number] = Place(sender, host, now)
        return number

    def received(self, sender: str, now: float) -> int | None:
        """Return the number of the place of a sender that has joined; None if it has none."""
        number = self.number_of(sender)
        if number is not None:
            self.places[number].received_at = now
        return number

    def enlist(self, joined: str, sender: str) -> bool:
        """Let a joined worker's own sender in; return False if it has no place.

        Args:
            joined: the sender that joined.
            sender: the sender of its locust messages.
        """
        number = self.number_of(joined)
        if number is None:
            return False
        self.places[number].enlisted = sender
        return True

    def leave(self, sender: str) -> Place | None:
        """Free the place of a sender; return what it was, or None if it had none."""
        for number, place in enumerate(self.places):
            if sender and sender in {place.joined, place.enlisted}:
                self.places[number] = Place()
                return place
        return None

    def number_of(self, joined: str) -> int | None:
        """Return the number of a joined sender's place; None if it has none."""
        return next((n for n, place in enumerate(self.places) if place.joined == joined), None)

    def enlisted_as(self, sender: str) -> int | None:
        """Return the number of the worker whose locust messages have this sender."""
        return next((n for n, p in enumerate(self.places) if sender and p.enlisted == sender), None)

    @property
    def enlisted(self) -> list[Place]:
        """Return the places of the workers that are ready."""
        return [place for place in self.places if place.enlisted]


def _is_free(place: Place, now: float) -> bool:
    return not place.joined or (not place.enlisted and now - place.received_at > SILENT_SECONDS)


class Batches:
    """The rows of each worker, in parts that fit a message.

    Args:
        payloads: the requests, all of which each worker sends in turn, or of which each worker
            sends every n-th if they have times.
        times: their moments in a replay, in seconds; None for rows of a dataset.
        workers: number of workers.
    """

    def __init__(
        self, payloads: Sequence[Payload], times: Sequence[float] | None, workers: int
    ) -> None:
        self._payloads = payloads
        self._times = times
        self._workers = workers
        self._cuts: dict[int, list[int]] = {}

    def count(self, worker: int) -> int:
        """Return the number of parts of a worker."""
        return len(self._cuts_of(worker)) - 1

    def rows(self, worker: int, batch: int) -> list[list[Any]]:
        """Return a part.

        Raises:
            IndexError: the worker has fewer parts.
        """
        cuts = self._cuts_of(worker)
        start, end = cuts[batch], cuts[batch + 1]
        payloads = self._own(self._payloads, worker)[start:end]
        if self._times is None:
            return [row_of(payload) for payload in payloads]
        times = self._own(self._times, worker)[start:end]
        return [row_of(payload, at) for payload, at in zip(payloads, times, strict=True)]

    def _own(self, all_of_them: Sequence[Any], worker: int) -> Sequence[Any]:
        return all_of_them if self._times is None else all_of_them[worker :: self._workers]

    def _cuts_of(self, worker: int) -> list[int]:
        if worker not in self._cuts:
            own = self._own(self._payloads, worker)
            self._cuts[worker] = cuts(len(payload.body) + _ROW_BYTES for payload in own)
        return self._cuts[worker]


def cuts(sizes: Iterable[int]) -> list[int]:
    """Return the borders of parts of at most BATCH_BYTES and BATCH_ROWS; a larger row is alone.

    Args:
        sizes: the sizes of the rows, in bytes.
    """
    borders, size, rows, end = [0], 0, 0, 0
    for end, one in enumerate(sizes, 1):
        if rows and (size + one > BATCH_BYTES or rows == BATCH_ROWS):
            borders.append(end - 1)
            size, rows = 0, 0
        size, rows = size + one, rows + 1
    return [*borders, end] if end else borders
