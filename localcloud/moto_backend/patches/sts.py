"""Patches of STS."""

from __future__ import annotations

from typing import Any

from localcloud.moto_backend.patches import Caller, RoleListener


def patch(on_role: RoleListener, caller: Caller) -> None:
    """Apply the patches.

    Args:
        on_role: called for every role that is assumed.
        caller: returns the ARNs of the role and of its session that an access key stands for.
    """
    _patch_assumed_roles(on_role)
    _patch_caller_identity(caller)


def _patch_caller_identity(caller: Caller) -> None:
    """GetCallerIdentity: moto knows only keys that it made, and answers `user/moto` otherwise.

    On AWS the keys of a function, a build or a container answer as their role's session, and the
    account's own keys as its root user.
    """
    from moto.iam.exceptions import NotFoundException
    from moto.iam.models import iam_backends
    from moto.sts.models import STSBackend

    original = STSBackend.get_caller_identity

    def get_caller_identity(self: Any, access_key_id: str, region: str) -> Any:
        found = caller(access_key_id)
        if found is None:
            answer = original(self, access_key_id, region)
            if not answer[1].endswith(":user/moto"):
                return answer
            return self.account_id, f"arn:{self.partition}:iam::{self.account_id}:root", answer[2]
        role_arn, session_arn = found
        account = session_arn.split(":")[4]
        try:
            role_id = iam_backends[account][self.partition].get_role_by_arn(role_arn).id
        except NotFoundException:  # it was deleted after its key was issued
            role_id = "AROA"
        return f"{role_id}:{session_arn.rpartition('/')[2]}", session_arn, account

    STSBackend.get_caller_identity = get_caller_identity


def _patch_assumed_roles(on_role: RoleListener) -> None:
    """AssumeRole: the keys that moto returns act as the account; on AWS they act as the role.

    moto also ignores the session policies, which limit what the keys may do.
    """
    from moto.sts.models import STSBackend
    from moto.sts.responses import TokenResponse

    original, answer = STSBackend.assume_role, TokenResponse.assume_role
    named: list[str] = []

    def respond(self: Any) -> Any:
        named[:] = [entry["arn"] for entry in self._get_param("PolicyArns") or []]
        try:
            return answer(self)
        finally:
            named.clear()

    def assume_role(self: Any, *arguments: Any, **keywords: Any) -> Any:
        role = original(self, *arguments, **keywords)
        policy = keywords.get("policy") or ""
        on_role(role.access_key_id, role.role_arn, role.session_name, policy, tuple(named))
        return role

    STSBackend.assume_role = assume_role
    TokenResponse.assume_role = respond
