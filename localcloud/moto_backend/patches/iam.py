"""Patches of IAM."""

from __future__ import annotations

from typing import Any


def patch() -> None:
    """Apply the patches."""
    _patch_boundaries_of_users()
    _patch_boundaries_of_roles()
    _patch_delete_policy()
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


def _patch_boundaries_of_roles() -> None:
    """CreateRole: moto takes a policy that does not exist for a permissions boundary."""
    from moto.iam.models import IAMBackend

    create, put = IAMBackend.create_role, IAMBackend.put_role_permissions_boundary

    def create_role(
        self: Any,
        name: str,
        document: str,
        path: str,
        boundary: str | None,
        *more: Any,
        **named: Any,
    ) -> Any:
        if boundary:
            self.get_policy(boundary)  # which must exist
        return create(self, name, document, path, boundary, *more, **named)

    def put_role_permissions_boundary(self: Any, name: str, boundary: str) -> None:
        self.get_policy(boundary)
        put(self, name, boundary)

    IAMBackend.create_role = create_role
    IAMBackend.put_role_permissions_boundary = put_role_permissions_boundary


def _patch_delete_policy() -> None:
    """DeletePolicy: moto deletes a policy that is a permissions boundary or is attached.

    Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeletePolicy.html
    """
    from moto.iam.exceptions import DeleteConflictException
    from moto.iam.models import IAMBackend

    original = IAMBackend.delete_policy

    def delete_policy(self: Any, policy_arn: str) -> None:
        principals = [*self.roles.values(), *self.users.values()]
        limits = [getattr(one, "permissions_boundary_arn", None) for one in principals]
        attached = [
            arn for one in (*principals, *self.groups.values()) for arn in one.managed_policies
        ]
        if policy_arn in (*limits, *attached):
            raise DeleteConflictException("Cannot delete a policy attached to entities.")
        original(self, policy_arn)

    IAMBackend.delete_policy = delete_policy


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
