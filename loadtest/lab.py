"""Pure: the lab's three tests, as data.

The lab asks for 10 clients with 1,000 requests, 100 clients with 10,000 requests, and 150 clients
until they are stopped. The requests are those of all clients together, some 100 for each; how many
one client sends is not fixed, as they send side by side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from loadtest.shapes import MAX_DURATION_SECONDS


@dataclass(frozen=True, slots=True)
class LabTest:
    """A load with a name.

    Attributes:
        users: clients at once.
        spawn_rate: users started a second.
        requests: all users' together, which end it; None: it goes on until it is stopped.
        shape: a name of SHAPES.
        duration_seconds: ends it in any case.
    """

    users: int
    spawn_rate: float
    requests: int | None
    shape: str
    duration_seconds: float

    @property
    def said(self) -> str:
        """Return it in words."""
        bound = "until stopped" if self.requests is None else f"{self.requests:,} requests"
        return f"{self.users} users, {bound}, at most {self.duration_seconds / 60:g} min"


LAB_TESTS: Mapping[str, LabTest] = {
    "small": LabTest(10, 10, 1_000, "constant", 600),
    "large": LabTest(100, 20, 10_000, "constant", 1800),
    "endless": LabTest(150, 20, None, "constant", MAX_DURATION_SECONDS),
}

# Without a test and without options; what has requests to end it gets the time to reach them.
PLAIN = LabTest(16, 8, None, "constant", 30)
REQUESTS_SECONDS = 600.0
