"""The KMS keys that a request uses through S3 or SNS, and the permissions for them.

This module reads the encryption of buckets and topics. A key that AWS manages (aws/s3) requires no
permission.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
Source: https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
Differs: assumes that an object is encrypted with the current key of its bucket.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from localcloud.aws.routing import Scope, scope_of_arn
from localcloud.iam.actions import use_of_key
from localcloud.iam.permission import Parameters, Permission
from localcloud.moto_backend.dispatcher import MotoBackend, backend

_DECRYPT, _GENERATE = "kms:Decrypt", "kms:GenerateDataKey"
# The ARN of a key, and its aliases.
_Key = tuple[str, tuple[str, ...]]


async def key_permissions(
    moto: MotoBackend, service: str, operation: str, parameters: Parameters, scope: Scope
) -> list[Permission]:
    """Return the permissions on KMS keys that an operation requires."""
    uses: list[tuple[tuple[str, ...], Callable[[Scope, str], _Key | None], str]] = []
    match service, operation:
        case "s3", "GetObject":
            uses = [((_DECRYPT,), _key_of_bucket, parameters["Bucket"])]
        case "s3", "PutObject":
            uses = [((_GENERATE,), _key_of_bucket, parameters["Bucket"])]
        case "s3", "CopyObject":
            uses = [
                ((_DECRYPT,), _key_of_bucket, parameters["CopySource"]["Bucket"]),
                ((_GENERATE,), _key_of_bucket, parameters["Bucket"]),
            ]
        case "sns", "Publish":
            uses = [((_GENERATE, _DECRYPT), _key_of_topic, parameters.get("TopicArn", ""))]
    found: list[Permission] = []
    for actions, find, name in uses:
        key = await moto.call(find, scope, name)
        if key is not None:
            found += [use_of_key(action, *key, service, scope) for action in actions]
    return found


def _key_of_bucket(scope: Scope, name: str) -> _Key | None:
    from moto.s3.exceptions import MissingBucket

    try:
        encryption: Any = backend("s3", scope).get_bucket(name).encryption
    except MissingBucket:
        return None
    rules = (encryption or {}).get("Rule") or {}
    rule = rules[0] if isinstance(rules, list) else rules
    default = rule.get("ApplyServerSideEncryptionByDefault") or {}
    return _key(scope, default.get("KMSMasterKeyID"))


def _key_of_topic(scope: Scope, arn: str) -> _Key | None:
    topics: Any = backend("sns", scope).topics
    topic = topics.get(arn)
    return _key(scope, getattr(topic, "kms_master_key_id", None))


def _key(scope: Scope, name: str | None) -> _Key | None:
    """Return a customer managed key by its id, ARN or alias, or None."""
    if not name:
        return None
    where = scope_of_arn(name) if name.startswith("arn:") else scope
    keys: Any = backend("kms", where)
    bare = name.rpartition(":")[2].removeprefix("key/")
    key = keys.keys.get(keys.get_key_id_from_alias(bare) or bare)
    if key is None:
        return None
    return key.arn, tuple(alias.alias_name for alias in keys.list_aliases(key.id))
