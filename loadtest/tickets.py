"""Pure: how many requests may still be sent, so that a load ends at exactly as many as asked for.

Each request takes a ticket. Alone, a generator holds all of them. Of several workers each asks the
master when it runs low; what it gets falls with what is left, so that a quick worker sends more and
all end together:

    office  ──grant──►  purse of a worker  ──take──►  request
    1000 left, 2 workers: 125, 109, 95, … 1, 1, then 0: there are no more
"""

from __future__ import annotations

from dataclasses import dataclass

# A worker gets the fourth part of its share of what is left: one question pays for many requests,
# and the last ones are few.
_PARTS = 4


@dataclass(slots=True)
class Office:
    """What the master has left to give."""

    left: int

    def grant(self, workers: int) -> int:
        """Return how many tickets one of so many workers gets; 0 once there are no more."""
        given = min(self.left, max(1, self.left // (_PARTS * workers)))
        self.left -= given
        return given


@dataclass(slots=True)
class Purse:
    """The tickets of one process.

    Attributes:
        held: to take; None is without end.
        more: whether the office may have more.
        out: taken, their requests not yet answered.
    """

    held: int | None
    more: bool = False
    out: int = 0
    _low: int = 0

    def take(self) -> bool:
        """Take a ticket for a request; return whether there was one."""
        if self.held == 0:
            return False
        if self.held is not None:
            self.held -= 1
        self.out += 1
        return True

    def put(self, granted: int) -> None:
        """Add what the office gave; 0 says that it has no more."""
        self.held = (self.held or 0) + granted
        self.more = granted > 0
        self._low = granted // 2

    def used(self, *, answered: bool) -> None:
        """Note the end of a request; one that was given up has its ticket back."""
        self.out -= 1
        if not answered and self.held is not None:
            self.held += 1

    @property
    def low(self) -> bool:
        """Return whether it is time to ask the office."""
        return self.more and self.held is not None and self.held <= self._low

    @property
    def spent(self) -> bool:
        """Return whether no request may be sent any more."""
        return self.held == 0 and not self.more

    @property
    def settled(self) -> bool:
        """Return whether all is sent and answered."""
        return self.spent and self.out == 0
