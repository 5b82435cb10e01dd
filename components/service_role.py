"""A role with one policy: the way every job of the project gets its permissions."""

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
    """Make a role and its policy; what acts as the role must wait for both.

    Args:
        name: stem of the logical names.
        names: the account's names.
        purpose: what the role is for, part of its name.
        trust: trust policy, JSON.
        policy: what the role may do, JSON.
        description: for people.
        tags: of the role.
        parent: the component that it belongs to.
    """
    child = pulumi.ResourceOptions(parent=parent)
    role = aws.iam.Role(
        f"{name}-role",
        name=names.role(purpose),
        description=description,
        assume_role_policy=trust,
        tags=dict(tags),
        opts=child,
    )
    grants = aws.iam.RolePolicy(
        f"{name}-policy", name="grants", role=role.name, policy=policy, opts=child
    )
    return role, grants
