"""Patches of IAM."""

from __future__ import annotations

from typing import Any


def patch() -> None:
    """Apply the patches."""
    _patch_boundaries_of_users()
    _patch_update_role()


def _patch_boundaries_of_users() -> None:
    """CreateUser: moto drops the permissions boundary, and lacks the operations that change it."""
    from moto.core.responses import ActionResult, EmptyResult
    from moto.iam.models import User
    from moto.iam.responses import IamResponse

    original = IamResponse.create_user

    def boundary(self: Any) -> dict[str, str] | None:
        arn = getattr(self, "permissions_boundary_arn", None)
        if not arn:
            return None
        return {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn}

    def create_user(self: Any) -> Any:
        arn = self._get_param("PermissionsBoundary")
        if arn:
            self.backend.get_policy(arn)  # which must exist
        answer = original(self)
        user = self.backend.get_user(self._get_param("UserName"))
        user.permissions_boundary_arn = arn
        return ActionResult({"User": user}) if arn else answer

    def put_user_permissions_boundary(self: Any) -> Any:
        user = self.backend.get_user(self._get_param("UserName"))
        user.permissions_boundary_arn = self.backend.get_policy(
            self._get_param("PermissionsBoundary")
        ).arn
        return EmptyResult()

    def delete_user_permissions_boundary(self: Any) -> Any:
        self.backend.get_user(self._get_param("UserName")).permissions_boundary_arn = None
        return EmptyResult()

    User.permissions_boundary = property(boundary)
    IamResponse.create_user = create_user
    IamResponse.put_user_permissions_boundary = put_user_permissions_boundary
    IamResponse.delete_user_permissions_boundary = delete_user_permissions_boundary


def _patch_update_role() -> None:
    """UpdateRole: moto deletes the description or the duration that is not given; AWS keeps it."""
    from moto.core.responses import EmptyResult
    from moto.iam.responses import IamResponse

    def update_role(self: Any) -> Any:
        role = self.backend.get_role(self._get_param("RoleName"))
        description, duration = (
            self._get_param("Description"),
            self._get_param("MaxSessionDuration"),
        )
        if description is not None:
            role.description = description
        if duration is not None:
            role.max_session_duration = duration
        return EmptyResult()

    IamResponse.update_role = update_role
