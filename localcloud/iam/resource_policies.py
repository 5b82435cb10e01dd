"""The policies of resources: of buckets, keys, topics, queues, functions, secrets and others.

The trust policy of a role is one of them. These functions read moto's backends, so call them in
moto's thread.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_aws-services-that-work-with-iam.html
Differs: the policies of event buses and log groups are not evaluated.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

from localcloud.aws.routing import Scope, scope_of_arn
from localcloud.iam.decision import ResourcePolicy
from localcloud.iam.policy import PolicyError, parse
from localcloud.iam.principal_policies import principal_of, unquoted
from localcloud.moto_backend.dispatcher import backend

log = logging.getLogger("localcloud.iam")

_NONE = ResourcePolicy()
# The account that owns a resource, and its policy.
Found = tuple[str, str | None]
# Returns what is found for an ARN; None if nothing of this kind has a policy.
Finder = Callable[[str], Found | None]


def policy_of(action: str, resource: str | None) -> ResourcePolicy:
    """Return the policy that a resource has on an action.

    Args:
        action: `service:Operation`.
        resource: its ARN, `*` or None.
    """
    if resource is None or not resource.startswith("arn:") or resource.count(":") < 5:
        return _NONE
    find = _FINDERS.get(action if action == "sts:AssumeRole" else action.partition(":")[0])
    found = find(resource) if find is not None else None
    if found is None:
        return _NONE
    return resource_policy(action, resource, found)


def resource_policy(action: str, resource: str, found: Found) -> ResourcePolicy:
    """Return a policy that was found, parsed; one that cannot be parsed grants nothing.

    Args:
        action: `service:Operation`.
        resource: the ARN, for the log.
        found: the account that owns the resource, and its policy.
    """
    account, text = found
    decisive = action == "sts:AssumeRole" or action.startswith("kms:")
    try:
        statements = parse(text) if text else ()
    except PolicyError as error:
        log.warning("the policy of %s is ignored: %s", resource, error)
        statements = ()
    return ResourcePolicy(account, statements, decisive)


def _bucket(arn: str) -> Found | None:
    from moto.s3.models import s3_backends

    name = arn.split(":", 5)[5].partition("/")[0]
    owner = s3_backends.bucket_accounts.get(name)
    if owner is None:
        return None
    bucket = backend("s3", Scope(owner[1])).buckets.get(name)
    policy = getattr(bucket, "policy", None)
    return owner[1], policy.decode() if isinstance(policy, bytes) else policy


def _key(arn: str) -> Found | None:
    scope = scope_of_arn(arn)
    if ":alias/aws/" in arn:  # managed by AWS, and only for this account
        return scope.account, None
    key = backend("kms", scope).keys.get(arn.rpartition("/")[2])
    return None if key is None else (scope.account, key.policy)


def _topic(arn: str) -> Found | None:
    scope = scope_of_arn(arn)
    topic = backend("sns", scope).topics.get(arn)
    return None if topic is None else (scope.account, topic.policy)


def _queue(arn: str) -> Found | None:
    scope = scope_of_arn(arn)
    queue = backend("sqs", scope).queues.get(arn.rpartition(":")[2])
    if queue is None:
        return None
    policy = queue.policy
    return scope.account, policy if isinstance(policy, str | None) else json.dumps(policy)


def _function(arn: str) -> Found | None:
    scope = scope_of_arn(arn)
    bare = ":".join(arn.split(":")[:7])
    function = backend("lambda", scope).get_function_by_arn(bare)
    if function is None:
        return None
    statements = getattr(function.policy, "statements", None)
    return scope.account, json.dumps({"Statement": statements}) if statements else None


def _repository(arn: str) -> Found | None:
    scope = scope_of_arn(arn)
    repository = backend("ecr", scope).repositories.get(arn.split("repository/", 1)[-1])
    return None if repository is None else (scope.account, repository.policy)


def _secret(arn: str) -> Found | None:
    scope = scope_of_arn(arn)
    secrets: Any = backend("secretsmanager", scope).secrets
    found = next((s for s in secrets.values() if getattr(s, "arn", None) == arn), None)
    return None if found is None else (scope.account, found.policy)


def _trust(arn: str) -> Found | None:
    role = principal_of(arn)
    return None if role is None else (scope_of_arn(arn).account, unquoted(role.trust))


_FINDERS: dict[str, Finder] = {
    "s3": _bucket,
    "kms": _key,
    "sns": _topic,
    "sqs": _queue,
    "lambda": _function,
    "ecr": _repository,
    "secretsmanager": _secret,
    "sts:AssumeRole": _trust,
}
