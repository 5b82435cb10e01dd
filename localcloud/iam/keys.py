"""Temporary access keys of roles: how a request of a role is told from one of its account.

Owns which access key stands for which role, in memory: a child gets keys when it starts, so none
outlives the local cloud. A key that is not known here is its account's and may do everything.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp.html
Differs: keys do not expire; a service's sessions have this program's name.
"""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass

from localcloud.routing import scope_of_arn

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
    """The keys that were given out."""

    def __init__(self) -> None:
        self._sessions: dict[str, RoleSession] = {}
        self._issued: dict[RoleSession, str] = {}

    def issue(self, role_arn: str, name: str = SERVICE_SESSION) -> str:
        """Return an access key id that acts as a role: the same one for the same session."""
        session = RoleSession(role_arn, name)
        key = self._issued.get(session)
        if key is None or key not in self._sessions:
            key = "ASIA" + "".join(secrets.choice(_ALPHABET) for _ in range(16))
            self._issued[session] = key
            self.remember(key, role_arn, name)
        return key

    def remember(self, access_key: str, role_arn: str, name: str) -> None:
        """Let a key that another made (AssumeRole) act as a role."""
        self._sessions[access_key] = RoleSession(role_arn, name)
        while len(self._sessions) > _KEPT:
            self._sessions.pop(next(iter(self._sessions)))

    def get(self, access_key: str) -> RoleSession | None:
        """Return what a key acts as; None for a key of an account."""
        return self._sessions.get(access_key)
