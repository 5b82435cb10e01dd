"""PrivateBucket: an S3 bucket with all safeguards that this project requires."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import pulumi
import pulumi_aws as aws

from components import resource_policies
from components.naming import Names
from components.policies import Statement

_NO_PREFIXES: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class BucketSafety:
    """The security settings of a bucket.

    ``key_arn`` is the KMS key of the objects (None for S3's own encryption), ``log_bucket``
    receives the access logs, and ``protect`` prevents the deletion of the bucket and its objects.
    """

    key_arn: pulumi.Input[str] | None = None
    log_bucket: pulumi.Input[str] | None = None
    protect: bool = False


class PrivateBucket(pulumi.ComponentResource):
    """A versioned, encrypted bucket without public access and ACLs, which requires TLS.

    ``ready`` lists the resources that must exist before the bucket is used.
    """

    def __init__(
        self,
        name: str,
        bucket_name: str,
        names: Names,
        *,
        safety: BucketSafety,
        tags: Mapping[str, str],
        rendered: bool = False,
        noncurrent_version_days: int = 90,
        expire_days: int | None = None,
        expire_prefixes: Mapping[str, int] = _NO_PREFIXES,
        statements: Sequence[Statement] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Create the bucket.

        Args:
            name: stem of the logical names.
            bucket_name: the bucket's name.
            names: the account's names.
            safety: encryption, access logs, deletion protection.
            tags: the bucket's tags.
            rendered: all objects are rendered from settings, so they may always be deleted.
            noncurrent_version_days: days until an overwritten object is deleted.
            expire_days: days until an object is deleted; None never deletes it.
            expire_prefixes: days until an object below a prefix is deleted.
            statements: further statements of the bucket's policy.
            opts: the component's resource options.
        """
        super().__init__("mlops:index:PrivateBucket", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        keep = safety.protect and not rendered
        # What protects a bucket that stays has to stay as well.
        guard = pulumi.ResourceOptions(parent=self, retain_on_delete=keep or None)
        self.bucket = aws.s3.Bucket(
            name,
            bucket=bucket_name,
            force_destroy=not keep,
            tags=dict(tags),
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=safety.protect or None,
                # The data stays even if the stack is unprotected and destroyed.
                retain_on_delete=keep or None,
            ),
        )
        self.name = self.bucket.bucket
        self.arn = self.bucket.arn
        versioning = aws.s3.BucketVersioning(
            f"{name}-versioning",
            bucket=self.name,
            versioning_configuration={"status": "Enabled"},
            opts=guard,
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            f"{name}-encryption",
            bucket=self.name,
            rules=[_encryption_rule(safety.key_arn)],
            opts=guard,
        )
        public_access_block = aws.s3.BucketPublicAccessBlock(
            f"{name}-public-access-block",
            bucket=self.name,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=guard,
        )
        aws.s3.BucketOwnershipControls(
            f"{name}-ownership",
            bucket=self.name,
            rule={"object_ownership": "BucketOwnerEnforced"},
            opts=guard,
        )
        tidy: aws.s3.BucketLifecycleConfigurationRuleArgsDict = {
            "id": "tidy",
            "status": "Enabled",
            "filter": {"prefix": ""},
            "noncurrent_version_expiration": {"noncurrent_days": noncurrent_version_days},
            "abort_incomplete_multipart_upload": {"days_after_initiation": 7},
        }
        if expire_days is not None:
            tidy["expiration"] = {"days": expire_days}
        expired: list[aws.s3.BucketLifecycleConfigurationRuleArgsDict] = [
            {
                "id": f"expire-{prefix.strip('/')}",
                "status": "Enabled",
                "filter": {"prefix": prefix},
                "expiration": {"days": days},
            }
            for prefix, days in expire_prefixes.items()
        ]
        aws.s3.BucketLifecycleConfiguration(
            f"{name}-lifecycle",
            bucket=self.name,
            rules=[tidy, *expired],
            # S3 accepts rules for noncurrent versions only after versioning is enabled.
            opts=pulumi.ResourceOptions.merge(
                guard, pulumi.ResourceOptions(depends_on=[versioning])
            ),
        )
        policy = aws.s3.BucketPolicy(
            f"{name}-policy",
            bucket=self.name,
            policy=resource_policies.bucket(names.s3_arn(bucket_name), *statements),
            # S3 refuses two concurrent changes of a bucket.
            opts=pulumi.ResourceOptions.merge(
                guard, pulumi.ResourceOptions(depends_on=[public_access_block])
            ),
        )
        if safety.log_bucket is not None:
            aws.s3.BucketLogging(
                f"{name}-logging",
                bucket=self.name,
                target_bucket=safety.log_bucket,
                target_prefix=f"{bucket_name}/",
                opts=child,
            )
        # The name from the policy resource: a resource that uses it waits for the policy.
        self.name_with_policy = policy.bucket
        self.ready: list[pulumi.Resource] = [versioning, policy]
        self.register_outputs({"name": self.name, "arn": self.arn})


def _encryption_rule(
    key_arn: pulumi.Input[str] | None,
) -> aws.s3.BucketServerSideEncryptionConfigurationRuleArgsDict:
    if key_arn is None:
        return {"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}
    return {
        "apply_server_side_encryption_by_default": {
            "sse_algorithm": "aws:kms",
            "kms_master_key_id": key_arn,
        },
        # A bucket key needs one call to KMS for many objects, which costs much less.
        "bucket_key_enabled": True,
    }
