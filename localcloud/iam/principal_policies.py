"""The policies, the boundary and the tags of roles and users, as IAM stores them.

These functions read moto's backend, so call them in moto's thread.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies.html
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import unquote

from localcloud.aws.routing import scope_of_arn
from localcloud.iam.policy import PolicyError, Statement, parse
from localcloud.moto_backend.dispatcher import backend

_ARN_COLONS = 5
_ALLOWS_NOTHING = '{"Statement": []}'

log = logging.getLogger("localcloud.iam")


@dataclass(frozen=True, slots=True)
class Document:
    """A policy document, with its name and the kind of entity that it is attached to."""

    name: str
    kind: Literal["user", "group", "role", "aws-managed", "user-managed"]
    text: str


@dataclass(frozen=True, slots=True)
class Principal:
    """A role or a user with what decides on its calls.

    Attributes:
        id: the unique id, for example `AROA…`; empty if the principal does not exist.
        trust: a role's trust policy; empty for a user.
        boundary: the permissions boundary, or None.
    """

    id: str = ""
    documents: tuple[Document, ...] = ()
    boundary: Document | None = None
    trust: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


def principal_of(arn: str) -> Principal | None:
    """Return a role, a user or a group by its ARN, or None if it does not exist."""
    from moto.iam.exceptions import NoSuchEntity, NotFoundException

    if arn.count(":") < _ARN_COLONS:  # CloudFormation's model takes any text as a role
        return None
    iam = backend("iam", scope_of_arn(arn))
    kind, _, path = arn.split(":", _ARN_COLONS)[_ARN_COLONS].partition("/")
    name = path.rpartition("/")[2]
    try:
        match kind:
            case "role":
                return _role(iam, iam.get_role_by_arn(arn))
            case "user":
                return _user(iam, iam.get_user(name))
            case "group":
                return Principal(name, tuple(_attached("group", iam.get_group(name))))
    except (NotFoundException, NoSuchEntity):
        return None
    return None


def managed(iam: Any, arn: str) -> Document | None:
    """Return the default version of a managed policy, or None if it does not exist."""
    policy = iam.managed_policies.get(arn)
    if policy is None:
        return None
    text = next(
        (v.document for v in policy.versions if v.version_id == policy.default_version_id), None
    )
    if text is None:
        return None
    return Document(policy.name, "aws-managed" if "::aws:policy/" in arn else "user-managed", text)


def session_policies(role_arn: str, policy: str, arns: Iterable[str]) -> tuple[str, ...]:
    """Return the documents that limit a session.

    Args:
        role_arn: the role.
        policy: the document that was given to AssumeRole; may be empty.
        arns: managed policies of the role's account, or of AWS.
    """
    iam = backend("iam", scope_of_arn(role_arn))
    found = [managed(iam, arn) for arn in arns]
    # A policy that does not exist allows nothing.
    texts = [document.text if document else _ALLOWS_NOTHING for document in found]
    return (*([policy] if policy else []), *texts)


def parsed(owner: str, documents: Iterable[Document]) -> tuple[Statement, ...]:
    """Return the statements of all documents; one that is malformed grants nothing and is named."""
    found: list[Statement] = []
    for document in documents:
        try:
            found += parse(document.text)
        except PolicyError as error:
            # The calls that need it name the role and the action.
            log.warning("the policy %s of %s is ignored: %s", document.name, owner, error)
    return tuple(found)


def _role(iam: Any, role: Any) -> Principal:
    return Principal(
        role.id,
        tuple(_attached("role", role)),
        _boundary(iam, role),
        unquoted(role.assume_role_policy_document),
        {tag["Key"]: tag["Value"] for tag in role.tags or []},
    )


def _user(iam: Any, user: Any) -> Principal:
    documents = _attached("user", user)
    for group in iam.groups.values():
        if user.name in [member.name for member in group.users]:
            documents += _attached("group", group)
    return Principal(user.id, tuple(documents), _boundary(iam, user))


def _boundary(iam: Any, owner: Any) -> Document | None:
    """Return the permissions boundary; one that does not exist any more allows nothing."""
    arn = getattr(owner, "permissions_boundary_arn", None)
    return (managed(iam, arn) or Document(arn, "user-managed", _ALLOWS_NOTHING)) if arn else None


def _attached(kind: Literal["user", "group", "role"], owner: Any) -> list[Document]:
    inline = owner.policies
    if not isinstance(inline, dict):
        inline = {entry["policy_name"]: entry["policy_document"] for entry in inline}
    found = [Document(name, kind, unquoted(text)) for name, text in inline.items()]
    for arn, policy in owner.managed_policies.items():
        for version in policy.versions:
            if version.version_id == policy.default_version_id:
                origin: Literal["aws-managed", "user-managed"] = (
                    "aws-managed" if "::aws:policy/" in arn else "user-managed"
                )
                found.append(Document(policy.name, origin, version.document))
    return found


def unquoted(text: Any) -> str:
    """Return a document as JSON; a client may have sent it percent-encoded."""
    if not isinstance(text, str):
        return json.dumps(text)
    return unquote(text) if text.lstrip().startswith("%7B") else text
