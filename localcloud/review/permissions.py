"""Policies as single grants, so that two versions of a role can be compared. Pure.

A policy statement allows several actions on several resources. Here each pair is a grant of its
own, so that a rewritten statement that allows the same is no difference. For example, `Allow [a, b]
on x` and the two statements `Allow a on x`, `Allow b on x` are equal.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_ROLE = "aws:iam/role:Role"
_ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
_ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
# Policies of resources, and the inputs with the resource and the document.
_RESOURCE_POLICIES = {
    "aws:s3/bucketPolicy:BucketPolicy": ("bucket", "policy"),
    "aws:sns/topicPolicy:TopicPolicy": ("arn", "policy"),
    "aws:ecr/repositoryPolicy:RepositoryPolicy": ("repository", "policy"),
    "aws:kms/key:Key": ("description", "policy"),
}
_ANY = "*"
# How a grant says NotAction, NotResource and NotPrincipal.
ALL_BUT = "all but "


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """One permission of a statement.

    Attributes:
        effect: `Allow` or `Deny`.
        action: such as `s3:GetObject`; `all but …` for NotAction.
        resource: an ARN or a pattern; `all but …` for NotResource; empty in a trust policy.
        principal: whom a resource's policy or a trust policy names; empty in a role's own policy.
        condition: the conditions as JSON; empty if there are none.
    """

    effect: str
    action: str
    resource: str = ""
    principal: str = ""
    condition: str = ""


def grants_of(resources: Iterable[Mapping[str, Any]]) -> dict[str, frozenset[Grant]]:
    """Return the grants of a stack by holder: `role NAME`, or `bucket NAME` and the like.

    Args:
        resources: the stack's resources as its state has them, with `type`, `name` and `inputs`.
    """
    found: dict[str, set[Grant]] = {}
    for resource in resources:
        inputs = resource["inputs"]
        match resource["type"]:
            case kind if kind == _ROLE:
                role = found.setdefault(f"role {inputs.get('name')}", set())
                role.update(_grants(inputs.get("assumeRolePolicy")))
                for arn in inputs.get("managedPolicyArns") or []:
                    role.add(Grant("Allow", f"the managed policy {arn}"))
                boundary = inputs.get("permissionsBoundary")
                if boundary:
                    role.add(Grant("Deny", f"{ALL_BUT}the permissions boundary {boundary}"))
            case kind if kind == _ROLE_POLICY:
                role = found.setdefault(f"role {inputs.get('role')}", set())
                role.update(_grants(inputs.get("policy")))
            case kind if kind == _ATTACHMENT:
                role = found.setdefault(f"role {inputs.get('role')}", set())
                role.add(Grant("Allow", f"the managed policy {inputs.get('policyArn')}"))
            case kind if kind in _RESOURCE_POLICIES:
                name, document = _RESOURCE_POLICIES[kind]
                what = kind.rpartition("/")[2].partition(":")[0].removesuffix("Policy")
                holder = f"{what} {inputs.get(name) or resource['name']}"
                found.setdefault(holder, set()).update(_grants(inputs.get(document)))
    return {holder: frozenset(grants) for holder, grants in found.items() if grants}


def _grants(document: Any) -> Iterator[Grant]:
    try:
        parsed = json.loads(document) if isinstance(document, str) else document
    except ValueError:
        return
    statements = parsed.get("Statement") if isinstance(parsed, dict) else None
    for statement in _listed(statements):
        if not isinstance(statement, dict):
            continue
        condition = statement.get("Condition")
        text = json.dumps(condition, sort_keys=True) if condition else ""
        for action in _either(statement, "Action"):
            for resource in _either(statement, "Resource") or [""]:
                for principal in _principals(statement) or [""]:
                    yield Grant(str(statement.get("Effect")), action, resource, principal, text)


def _either(statement: Mapping[str, Any], element: str) -> list[str]:
    """Return the values of an element; of its negation, one text that says so."""
    if f"Not{element}" in statement:
        return [f"{ALL_BUT}{', '.join(sorted(map(str, _listed(statement[f'Not{element}']))))}"]
    return sorted(map(str, _listed(statement.get(element))))


def _principals(statement: Mapping[str, Any]) -> list[str]:
    principal = statement.get("Principal", statement.get("NotPrincipal"))
    prefix = ALL_BUT if "NotPrincipal" in statement else ""
    if principal == _ANY:
        return [f"{prefix}everyone"]
    if not isinstance(principal, dict):
        return []
    return sorted(
        f"{prefix}{one}" for values in principal.values() for one in map(str, _listed(values))
    )


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]
