"""Mends to STS."""

from __future__ import annotations

from typing import Any

from localcloud.moto_backend.patches import RoleListener


def patch(tell: RoleListener) -> None:
    """Apply them; `tell` is called for every role that is assumed."""
    _patch_assumed_roles(tell)


def _patch_assumed_roles(tell: RoleListener) -> None:
    """AssumeRole's keys act as the role (moto: as the account)."""
    from moto.sts.models import STSBackend

    original = STSBackend.assume_role

    def assume_role(self: Any, *arguments: Any, **named: Any) -> Any:
        role = original(self, *arguments, **named)
        tell(role.access_key_id, role.role_arn, role.session_name)
        return role

    STSBackend.assume_role = assume_role
