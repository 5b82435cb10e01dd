"""An IAM role with one inline policy; every role of the project is created by this function."""

from collections.abc import Mapping

import pulumi
import pulumi_aws as aws

from components.naming import Names


def service_role(
    name: str,
    names: Names,
    purpose: str,
    *,
    trust: str,
    policy: pulumi.Input[str],
    description: str,
    tags: Mapping[str, str],
    parent: pulumi.Resource,
) -> tuple[aws.iam.Role, aws.iam.RolePolicy]:
    """Create a role and its policy; resources that use the role must depend on both.

    Args:
        name: stem of the logical names.
        names: the account's names.
        purpose: the role's purpose, part of its physical name.
        trust: trust policy, JSON.
        policy: permissions policy, JSON.
        description: the role's description in IAM.
        tags: the role's tags.
        parent: the component that the role belongs to.
    """
    child = pulumi.ResourceOptions(parent=parent)
    role = aws.iam.Role(
        f"{name}-role",
        name=names.role(purpose),
        path=names.role_path,
        permissions_boundary=names.permissions_boundary,
        description=description,
        assume_role_policy=trust,
        tags=dict(tags),
        opts=child,
    )
    grants = aws.iam.RolePolicy(
        f"{name}-policy", name="grants", role=role.name, policy=policy, opts=child
    )
    return role, grants
