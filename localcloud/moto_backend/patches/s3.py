"""Patches of S3."""

from __future__ import annotations

import base64
import json
import re
from typing import Any
from xml.etree import ElementTree

from localcloud.aws.errors import AwsError
from localcloud.aws.pagination import page

_MOST_BUCKETS = 10_000
# Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_NO_BUCKET = re.compile(
    r"\.\.|^(?:\d+\.){3}\d+$|^xn--|^sthree-|^amzn-s3-demo-|-s3alias$|--ol-s3$|\.mrap$|--x-s3$|--table-s3$"
)
# The owner that moto names everywhere.
_OWNER = "bcaf1ffd86f41161ca5fb16fd081034f"


def patch() -> None:
    """Apply the patches."""
    _patch_bucket_policies()
    _patch_bucket_notifications()
    _patch_suspended_versioning()
    _patch_log_permissions()
    _patch_pages_of_buckets()
    _patch_names_of_buckets()
    _patch_default_encryption()
    _patch_tokens_of_objects()


def _patch_bucket_policies() -> None:
    """Bucket policies: moto denies if the Condition of a statement is not met.

    On AWS such a statement has no effect. aws:SecureTransport counts as met, because the requests
    never leave this machine; a policy that requires TLS would otherwise lock the owner out.
    """
    from moto.iam.access_control import IAMPolicyStatement, PermissionResult

    original = IAMPolicyStatement.is_action_permitted

    def is_action_permitted(
        self: Any,
        action: str,
        resource: str = "*",
        principal: str | None = None,
        incoming_condition_values: dict[str, str] | None = None,
    ) -> Any:
        values = {"aws:SecureTransport": "true", **(incoming_condition_values or {})}
        condition = self._statement.get("Condition")
        if condition and not _condition_holds(condition, values):
            return PermissionResult.NEUTRAL
        return original(self, action, resource, principal, values)

    IAMPolicyStatement.is_action_permitted = is_action_permitted
    IAMPolicyStatement._check_conditions = lambda self, values=None: _condition_holds(
        self._statement.get("Condition", {}), values or {}
    )


def _patch_bucket_notifications() -> None:
    """GetBucketNotification: moto omits EventBridgeConfiguration, although it stores it."""
    from moto.s3.responses import S3Response

    original = S3Response.get_bucket_notification

    def get_bucket_notification(self: Any) -> Any:
        answer = original(self)
        kept = self.backend.get_bucket_notification_configuration(self.bucket_name)
        if not kept or kept.event_bridge is None:
            return answer
        status, headers, body = answer
        root = ElementTree.fromstring(body)  # noqa: S314 - moto's own response
        namespace = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
        ElementTree.SubElement(root, f"{namespace}EventBridgeConfiguration")
        return status, headers, ElementTree.tostring(root, encoding="unicode")

    S3Response.get_bucket_notification = get_bucket_notification


def _patch_suspended_versioning() -> None:
    """DeleteObject: if versioning is suspended, moto deletes all versions of the key.

    AWS deletes one version. This matters when a stack is deleted: its provider suspends versioning
    and then deletes each version before the bucket.
    """
    from moto.s3.models import S3Backend

    original = S3Backend.delete_object

    def delete_object(self: Any, bucket_name: str, *arguments: Any, **named: Any) -> Any:
        bucket = self.get_bucket(bucket_name)
        status = bucket.versioning_status
        if status != "Suspended":
            return original(self, bucket_name, *arguments, **named)
        bucket.versioning_status = "Enabled"
        try:
            return original(self, bucket_name, *arguments, **named)
        finally:
            bucket.versioning_status = status

    S3Backend.delete_object = delete_object


def _patch_log_permissions() -> None:
    """PutBucketLogging: moto finds the grant to S3's logging service only outside of lists.

    AWS also accepts lists of principals and of resources in the target bucket's policy.
    """
    from moto.s3.models import FakeBucket

    original = FakeBucket._log_permissions_enabled_policy

    def log_permissions_enabled_policy(target_bucket: Any, target_prefix: str | None) -> bool:
        kept = target_bucket.policy
        if not kept:
            return False
        for statement in json.loads(kept)["Statement"]:
            for resource in _listed(statement.get("Resource", [])):
                single = {**statement, "Resource": resource}
                if not isinstance(single.get("Principal"), dict):
                    continue
                for service in _listed(single["Principal"].get("Service", [])):
                    single["Principal"] = {"Service": service}
                    target_bucket.policy = json.dumps({"Statement": [single]}).encode()
                    try:
                        if original(target_bucket, target_prefix):
                            return True
                    finally:
                        target_bucket.policy = kept
        return False

    FakeBucket._log_permissions_enabled_policy = staticmethod(log_permissions_enabled_policy)


def _patch_pages_of_buckets() -> None:
    """ListBuckets: moto cuts the list at MaxBuckets and gives no token for the rest."""
    from moto.core.responses import ActionResult
    from moto.s3.responses import S3Response

    def all_buckets(self: Any) -> Any:
        self.data["Action"] = "ListAllMyBuckets"
        self._authenticate_and_authorize_s3_action()
        found = self.backend.list_buckets(
            prefix=self._get_param("prefix"),
            bucket_region=self._get_param("bucket-region"),
            max_buckets=None,
        )
        most, token = self._get_param("max-buckets"), self._get_param("continuation-token")
        if most is not None and not (most.isdigit() and 1 <= int(most) <= _MOST_BUCKETS):
            raise AwsError("InvalidArgument", f"max-buckets must be 1 to {_MOST_BUCKETS}.")
        shown, following = page(
            sorted(found, key=lambda bucket: bucket.name),
            lambda bucket: str(bucket.name),
            token,
            int(most or _MOST_BUCKETS),
            "InvalidArgument",
        )
        result = {
            "Owner": {"ID": _OWNER, "DisplayName": "webfile"},
            "Buckets": [
                {
                    "Name": bucket.name,
                    "CreationDate": bucket.creation_date_ISO8601,
                    **({"BucketRegion": bucket.region_name} if most or token else {}),
                }
                for bucket in shown
            ],
            "ContinuationToken": following,
            "Prefix": self._get_param("prefix"),
        }
        self.data["Action"] = "ListBuckets"
        return self.serialized(ActionResult({k: v for k, v in result.items() if v is not None}))

    S3Response.all_buckets = all_buckets


def _patch_names_of_buckets() -> None:
    """CreateBucket: moto takes names with capitals, which AWS refuses."""
    from moto.s3.exceptions import InvalidBucketName
    from moto.s3.models import S3Backend

    original = S3Backend.create_bucket

    def create_bucket(self: Any, bucket_name: str, *arguments: Any, **named: Any) -> Any:
        if not _BUCKET.fullmatch(bucket_name) or _NO_BUCKET.search(bucket_name):
            raise InvalidBucketName
        return original(self, bucket_name, *arguments, **named)

    S3Backend.create_bucket = create_bucket


def _patch_default_encryption() -> None:
    """GetBucketEncryption: moto has none by default; AWS encrypts every bucket with S3's own keys.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/default-encryption-faq.html
    """
    from moto.s3.models import FakeBucket, S3Backend

    original = FakeBucket.__init__

    def init(self: Any, *arguments: Any, **named: Any) -> None:
        original(self, *arguments, **named)
        self.encryption = _default_encryption()

    def delete_bucket_encryption(self: Any, bucket_name: str) -> None:
        self.get_bucket(bucket_name).encryption = _default_encryption()

    FakeBucket.__init__ = init
    S3Backend.delete_bucket_encryption = delete_bucket_encryption


def _default_encryption() -> dict[str, Any]:
    algorithm = {"SSEAlgorithm": "AES256"}
    return {"Rule": {"ApplyServerSideEncryptionByDefault": algorithm, "BucketKeyEnabled": "false"}}


def _patch_tokens_of_objects() -> None:
    """ListObjectsV2: moto keeps every token in memory, and fails on one that it does not know.

    Here a token contains the key after which the list goes on, so that it survives a restart.
    """
    from moto.s3.models import S3Backend

    original = S3Backend.list_objects_v2

    def list_objects_v2(self: Any, *arguments: Any, **named: Any) -> Any:
        given = named.get("continuation_token")
        if given:
            self._pagination_tokens[given] = _key_of(given)
        try:
            keys, truncated, token = original(self, *arguments, **named)
            if token:
                token = base64.urlsafe_b64encode(self._pagination_tokens[token].encode()).decode()
        finally:
            self._pagination_tokens.clear()
        return keys, truncated, token

    S3Backend.list_objects_v2 = list_objects_v2


def _key_of(token: str) -> str:
    try:
        return base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except ValueError:
        text = "The continuation token provided is incorrect"
        raise AwsError("InvalidArgument", text) from None


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _condition_holds(condition: dict[str, dict[str, Any]], values: dict[str, str]) -> bool:
    """Evaluate Bool and String conditions; a condition on an absent key is not met."""
    for operator, keys in condition.items():
        negated = "Not" in operator
        for key, allowed in keys.items():
            wanted = [str(v).lower() for v in (allowed if isinstance(allowed, list) else [allowed])]
            actual = values.get(key)
            matches = actual is not None and actual.lower() in wanted
            if matches == negated:
                return False
    return True
