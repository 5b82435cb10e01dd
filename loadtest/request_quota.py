"""Pure: the quota of requests that makes a load end after exactly the requested number.

Every request uses one unit of quota. A single-process generator holds the whole quota. With several
workers, the master holds it, and each worker asks for more when its lease runs low. The master
grants less as the quota shrinks, so a fast worker sends more and all workers end together:

    RequestQuota (master)  ──grant──►  QuotaLease (worker)  ──take──►  request
    1000 remaining, 2 workers: 125, 109, 95, … 1, 1, then 0: the quota is used up
"""

from __future__ import annotations

from dataclasses import dataclass

# A worker is granted a quarter of its share of the remaining quota. So one message pays for many
# requests at first, and the last grants are small.
_GRANT_DIVISOR = 4


@dataclass(slots=True)
class RequestQuota:
    """The quota that the master has not granted yet.

    Attributes:
        remaining: number of requests, at least 0.
    """

    remaining: int

    def grant(self, workers: int) -> int:
        """Return the number of requests granted to one worker; 0 once the quota is used up.

        Args:
            workers: number of workers that share the quota, at least 1.
        """
        granted = min(self.remaining, max(1, self.remaining // (_GRANT_DIVISOR * workers)))
        self.remaining -= granted
        return granted


@dataclass(slots=True)
class QuotaLease:
    """The quota that one process may use.

    Attributes:
        remaining: number of requests that may still be sent; None is unlimited.
        renewable: the master may grant more.
        in_flight: number of requests that were sent and are not answered yet.
    """

    remaining: int | None
    renewable: bool = False
    in_flight: int = 0
    _low_mark: int = 0

    def take(self) -> bool:
        """Use one unit of quota for a request; return False if the lease is empty."""
        if self.remaining == 0:
            return False
        if self.remaining is not None:
            self.remaining -= 1
        self.in_flight += 1
        return True

    def renew(self, granted: int) -> None:
        """Add a grant of the master; a grant of 0 means that the quota is used up."""
        self.remaining = (self.remaining or 0) + granted
        self.renewable = granted > 0
        self._low_mark = granted // 2

    def finish(self, *, answered: bool) -> None:
        """Record the end of a request; one that was abandoned returns its unit to the lease."""
        self.in_flight -= 1
        if not answered and self.remaining is not None:
            self.remaining += 1

    @property
    def low(self) -> bool:
        """Return True if it is time to ask the master for more."""
        return self.renewable and self.remaining is not None and self.remaining <= self._low_mark

    @property
    def exhausted(self) -> bool:
        """Return True if no further request may be sent."""
        return self.remaining == 0 and not self.renewable

    @property
    def completed(self) -> bool:
        """Return True if all requests are sent and answered."""
        return self.exhausted and self.in_flight == 0
