"""Patches of STS."""

from __future__ import annotations

from typing import Any

from localcloud.moto_backend.patches import RoleListener


def patch(on_role: RoleListener) -> None:
    """Apply the patches; `on_role` is called for every role that is assumed."""
    _patch_assumed_roles(on_role)


def _patch_assumed_roles(on_role: RoleListener) -> None:
    """AssumeRole: the keys that moto returns act as the account; on AWS they act as the role."""
    from moto.sts.models import STSBackend

    original = STSBackend.assume_role

    def assume_role(self: Any, *arguments: Any, **named: Any) -> Any:
        role = original(self, *arguments, **named)
        on_role(role.access_key_id, role.role_arn, role.session_name)
        return role

    STSBackend.assume_role = assume_role
