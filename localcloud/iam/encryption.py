"""The KMS keys that a request uses through S3 or SNS, and the permissions for them.

This module reads the encryption of buckets, objects and topics. A key that AWS manages (aws/s3)
requires no permission in its own account, and cannot be used from any other.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
Source: https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
Differs: reads of versions other than the latest use the key of the latest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from localcloud.aws.routing import Scope, scope_of_arn
from localcloud.iam.actions import use_of_key
from localcloud.iam.permission import Parameters, Permission
from localcloud.moto_backend.dispatcher import MotoBackend, backend

_DECRYPT, _GENERATE = "kms:Decrypt", "kms:GenerateDataKey"
# S3's own key of an account, which its policy opens to that account alone.
AWS_MANAGED_KEY = "alias/aws/s3"
# The ARN of a key, and its aliases.
_Key = tuple[str, tuple[str, ...]]
# Actions, how their key is found, and by what.
_Use = tuple[tuple[str, ...], Callable[[Scope, str], _Key | None], str]


async def key_permissions(
    moto: MotoBackend, service: str, operation: str, parameters: Parameters, scope: Scope
) -> list[Permission]:
    """Return the permissions on KMS keys that an operation requires."""
    uses: list[_Use] = []
    match service, operation:
        case "s3", "GetObject":
            uses = [((_DECRYPT,), _key_of_object, _place(parameters))]
        case "s3", "PutObject":
            uses = [_written(parameters)]
        case "s3", "CopyObject":
            uses = [
                ((_DECRYPT,), _key_of_object, _place(parameters["CopySource"])),
                _written(parameters),
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


async def volume_permissions(
    moto: MotoBackend, scope: Scope, key_id: str | None
) -> list[Permission]:
    """Return the permission to attach encrypted volumes; none without a key.

    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/api-permissions-reference.html

    Args:
        moto: where the keys are.
        scope: the account and region of a key that is given by its id or alias.
        key_id: id, ARN or alias of a key.
    """
    context = {"kms:GrantIsForAWSResource": ("true",)}
    return await _permissions(moto, scope, key_id, "kms:CreateGrant", context)


async def output_permissions(
    moto: MotoBackend, scope: Scope, key_id: str | None
) -> list[Permission]:
    """Return the permission of a training job's role to use the key of its output.

    Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_OutputDataConfig.html
    """
    return await _permissions(moto, scope, key_id, "kms:Encrypt", {})


async def _permissions(
    moto: MotoBackend,
    scope: Scope,
    key_id: str | None,
    action: str,
    context: Mapping[str, tuple[str, ...]],
) -> list[Permission]:
    key = await moto.call(_key, scope, key_id) if key_id else None
    if key is None:
        return []
    arn, aliases = key
    return [Permission(action, arn, {**context, "kms:ResourceAliases": aliases})]


def _written(parameters: Parameters) -> _Use:
    """Return the use of the key that a request names, or of the bucket's."""
    if parameters.get("SSEKMSKeyId"):
        return (_GENERATE,), _key, parameters["SSEKMSKeyId"]
    if parameters.get("ServerSideEncryption"):  # S3's own key, or the one that AWS manages
        return (_GENERATE,), _key, ""
    return (_GENERATE,), _key_of_bucket, parameters["Bucket"]


def _place(parameters: Parameters) -> str:
    return f"{parameters['Bucket']}/{parameters.get('Key', '')}"


def _key_of_object(scope: Scope, place: str) -> _Key | None:
    from moto.s3.exceptions import MissingBucket
    from moto.s3.models import s3_backends

    name, _, key = place.partition("/")
    try:
        bucket: Any = backend("s3", scope).get_bucket(name)
    except MissingBucket:
        return None
    found = bucket.keys.get(key)
    if getattr(found, "encryption", None) != "aws:kms":
        return None
    key_id = found.kms_key_id or AWS_MANAGED_KEY
    if not key_id.endswith(AWS_MANAGED_KEY):
        return _key(scope, key_id)
    owner = Scope(s3_backends.bucket_accounts[name][1], scope.region)
    if owner.account == scope.account:
        return None
    return owner.arn("kms", AWS_MANAGED_KEY), (AWS_MANAGED_KEY,)


def _key_of_topic(scope: Scope, arn: str) -> _Key | None:
    topics: Any = backend("sns", scope).topics
    topic = topics.get(arn)
    return _key(scope, getattr(topic, "kms_master_key_id", None))


def _key(scope: Scope, name: str | None) -> _Key | None:
    """Return a customer managed key by its id, ARN or alias, or None."""
    # moto would create a key for an alias that AWS manages.
    if not name or ":alias/aws/" in f":{name}":
        return None
    where = scope_of_arn(name) if name.startswith("arn:") else scope
    keys: Any = backend("kms", where)
    bare = name.rpartition(":")[2].removeprefix("key/")
    key = keys.keys.get(keys.get_key_id_from_alias(bare) or bare)
    if key is None:
        return None
    return key.arn, tuple(alias.alias_name for alias in keys.list_aliases(key.id))
