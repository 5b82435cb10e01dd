"""Temporary access keys of roles: how a request of a role is told from one of its account.

Owns which access key stands for which role. A child gets its keys when it starts and ends with the
local cloud; those that AssumeRole gave out are kept, or a restart would make them their account's.
A key that is not known here is its account's and may do everything.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp.html
Differs: keys do not expire; a service's sessions have this program's name.
"""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass

from localcloud.aws.routing import scope_of_arn
from localcloud.core.store import Collection, Database

SERVICE_SESSION = "localcloud"
_ALPHABET = string.ascii_uppercase + "234567"
# AssumeRole makes a key a call; the oldest are forgotten.
_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class RoleSession:
    """A role that somebody acts as, and what for."""

    role_arn: str
    name: str = SERVICE_SESSION

    @property
    def account(self) -> str:
        """Return the account that the role acts in."""
        return scope_of_arn(self.role_arn).account

    @property
    def arn(self) -> str:
        """Return the ARN that messages name: it leaves out the role's path."""
        role = self.role_arn.rpartition("/")[2]
        return f"arn:aws:sts::{self.account}:assumed-role/{role}/{self.name}"


class Keys:
    """The keys that were given out.

    Args:
        database: where those that AssumeRole gave out are kept; None to keep none.
    """

    def __init__(self, database: Database | None = None) -> None:
        self._kept = Collection(database, "assumed-role", RoleSession) if database else None
        self._sessions: dict[str, RoleSession] = dict(self._kept.items()) if self._kept else {}
        self._issued: dict[RoleSession, str] = {}

    def issue(self, role_arn: str, name: str = SERVICE_SESSION) -> str:
        """Return an access key id that acts as a role: the same one for the same session."""
        session = RoleSession(role_arn, name)
        key = self._issued.get(session)
        if key is None or key not in self._sessions:
            key = "ASIA" + "".join(secrets.choice(_ALPHABET) for _ in range(16))
            self._issued[session] = key
            self._add(key, session)
        return key

    def remember(self, access_key: str, role_arn: str, name: str) -> None:
        """Let a key that another made (AssumeRole) act as a role."""
        session = RoleSession(role_arn, name)
        self._add(access_key, session)
        if self._kept is not None:
            self._kept.put(access_key, session)

    def _add(self, access_key: str, session: RoleSession) -> None:
        self._sessions[access_key] = session
        while len(self._sessions) > _KEPT:
            oldest = next(iter(self._sessions))
            del self._sessions[oldest]
            if self._kept is not None:
                self._kept.delete(oldest)

    def get(self, access_key: str) -> RoleSession | None:
        """Return what a key acts as; None for a key of an account."""
        return self._sessions.get(access_key)
