"""Pure: the lab's three tests, as data.

The lab asks for 10 clients with 1,000 requests, 100 clients with 10,000 requests, and 150 clients
until they are stopped. The numbers of requests are totals of all clients, about 100 for each; a
single client has no fixed number, because all of them send concurrently.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from loadtest.shapes import MAX_DURATION_SECONDS


@dataclass(frozen=True, slots=True)
class LabTest:
    """A predefined load.

    Attributes:
        users: concurrent clients.
        spawn_rate: users started per second.
        requests: total number of requests after which the load ends; None for a load that runs
            until it is stopped.
        shape: a key of SHAPES.
        duration_seconds: time after which the load ends in any case.
    """

    users: int
    spawn_rate: float
    requests: int | None
    shape: str
    duration_seconds: float

    @property
    def description(self) -> str:
        """Return a description for the help text."""
        bound = "until stopped" if self.requests is None else f"{self.requests:,} requests"
        return f"{self.users} users, {bound}, at most {self.duration_seconds / 60:g} min"


LAB_TESTS: Mapping[str, LabTest] = {
    "small": LabTest(10, 10, 1_000, "constant", 600),
    "large": LabTest(100, 20, 10_000, "constant", 1800),
    "endless": LabTest(150, 20, None, "constant", MAX_DURATION_SECONDS),
}

# The load without --test and other options.
DEFAULT_LOAD = LabTest(16, 8, None, "constant", 30)
# The default duration of a load with --requests, which needs time to send them all.
REQUESTS_SECONDS = 600.0
