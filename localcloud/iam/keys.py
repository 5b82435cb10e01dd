"""The temporary access keys of roles, which distinguish a role's request from its account's.

This module knows which role an access key stands for. Child processes get keys that end with the
local cloud. The keys that AssumeRole returned are stored; otherwise they would act as the account
after a restart. A temporary key that is not known, for example one of before a reset, is refused if
IAM is enforced. Any other key belongs to an account, which may do everything.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp.html
Differs: keys do not expire, and the sessions of services are named after this program.
"""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass

from localcloud.aws.routing import scope_of_arn
from localcloud.core.store import Collection, Database

SERVICE_SESSION = "localcloud"
_ALPHABET = string.ascii_uppercase + "234567"
# AssumeRole makes a key per call; the oldest keys are dropped.
_KEPT = 10_000


# Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
_TEMPORARY = "ASIA"


def is_temporary(access_key: str) -> bool:
    """Return whether a key is a temporary one, as roles have them."""
    return access_key.startswith(_TEMPORARY)


@dataclass(frozen=True, slots=True)
class RoleSession:
    """A session of a role.

    Attributes:
        policies: the documents of its session policies, which limit it; none does not.
    """

    role_arn: str
    name: str = SERVICE_SESSION
    policies: tuple[str, ...] = ()

    @property
    def account(self) -> str:
        """Return the account that the role acts in."""
        return scope_of_arn(self.role_arn).account

    @property
    def arn(self) -> str:
        """Return the ARN in messages, which does not have the role's path."""
        role = self.role_arn.rpartition("/")[2]
        return f"arn:aws:sts::{self.account}:assumed-role/{role}/{self.name}"


class Keys:
    """The keys of roles.

    Args:
        database: stores the keys that AssumeRole returned; None stores none.
    """

    def __init__(self, database: Database | None = None) -> None:
        self._kept = Collection(database, "assumed-role", RoleSession) if database else None
        self._sessions: dict[str, RoleSession] = dict(self._kept.items()) if self._kept else {}
        self._issued: dict[RoleSession, str] = {}

    def issue(self, role_arn: str, name: str = SERVICE_SESSION) -> str:
        """Return an access key id that acts as a role; equal sessions get the same one."""
        session = RoleSession(role_arn, name)
        key = self._issued.get(session)
        if key is None or key not in self._sessions:
            key = _TEMPORARY + "".join(secrets.choice(_ALPHABET) for _ in range(16))
            self._issued[session] = key
            self._add(key, session)
        return key

    def remember(
        self, access_key: str, role_arn: str, name: str, policies: tuple[str, ...] = ()
    ) -> None:
        """Register a key that AssumeRole made; `policies` are those of the session."""
        session = RoleSession(role_arn, name, policies)
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
        """Return the session of a key, or None for the key of an account."""
        return self._sessions.get(access_key)
