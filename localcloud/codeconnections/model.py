"""The record of a connection, and its legal transitions.

    PENDING ── a person authorises it ──► AVAILABLE

Source: https://docs.aws.amazon.com/codeconnections/latest/APIReference/API_Connection.html
Differs: a connection never has the status ERROR, because no provider revokes it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from localcloud.aws.errors import IllegalTransition


class ConnectionStatus(StrEnum):
    """Status of a connection."""

    PENDING = "PENDING"
    AVAILABLE = "AVAILABLE"


CONNECTION_TRANSITIONS: dict[ConnectionStatus, frozenset[ConnectionStatus]] = {
    ConnectionStatus.PENDING: frozenset({ConnectionStatus.AVAILABLE}),
    ConnectionStatus.AVAILABLE: frozenset(),
}


@dataclass(slots=True)
class Connection:
    """One connection to a provider of repositories.

    Attributes:
        owner: account that it belongs to.
    """

    arn: str
    name: str
    provider: str
    owner: str
    status: ConnectionStatus = ConnectionStatus.PENDING
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Return the UUID at the end of the ARN."""
        return self.arn.rpartition("/")[2]

    def become(self, status: ConnectionStatus) -> None:
        """Change the status.

        Raises:
            IllegalTransition: the table has no such transition.
        """
        if status not in CONNECTION_TRANSITIONS[self.status]:
            raise IllegalTransition(f"{self.arn}: {self.status} → {status}")
        self.status = status
