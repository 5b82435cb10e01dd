"""PrivateBucket: an S3 bucket with every safeguard that this project asks of one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components import resource_policies
from components.naming import Names
from components.policies import Statement


@dataclass(frozen=True, slots=True)
class BucketSafety:
    """How a bucket's objects are kept.

    ``key_arn`` encrypts them (None: S3's own key), ``log_bucket`` receives the access logs,
    ``protect`` keeps a command from deleting the bucket, and what is in it.
    """

    key_arn: pulumi.Input[str] | None = None
    log_bucket: pulumi.Input[str] | None = None
    protect: bool = False


class PrivateBucket(pulumi.ComponentResource):
    """A versioned, encrypted bucket without public access, without ACLs, TLS only.

    ``ready`` lists what must exist before anything relies on the bucket.
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
        statements: Sequence[Statement] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the bucket.

        Args:
            name: stem of the logical names.
            bucket_name: the bucket's name.
            names: the account's names.
            safety: encryption, access logs, protection.
            tags: of the bucket.
            rendered: all in it is made from settings, so that it may always be emptied.
            noncurrent_version_days: how long an overwritten object is kept.
            expire_days: how long an object is kept; None for ever.
            statements: of the bucket's policy, beyond TLS only.
            opts: of the component.
        """
        super().__init__("mlops:index:PrivateBucket", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        keep = safety.protect and not rendered
        self.bucket = aws.s3.Bucket(
            name,
            bucket=bucket_name,
            force_destroy=not keep,
            tags=dict(tags),
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=safety.protect or None,
                # Even an unprotected stack leaves the data where it is.
                retain_on_delete=keep or None,
            ),
        )
        self.name = self.bucket.bucket
        self.arn = self.bucket.arn
        versioning = aws.s3.BucketVersioning(
            f"{name}-versioning",
            bucket=self.name,
            versioning_configuration={"status": "Enabled"},
            opts=child,
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            f"{name}-encryption",
            bucket=self.name,
            rules=[_encryption_rule(safety.key_arn)],
            opts=child,
        )
        public_access_block = aws.s3.BucketPublicAccessBlock(
            f"{name}-public-access-block",
            bucket=self.name,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=child,
        )
        aws.s3.BucketOwnershipControls(
            f"{name}-ownership",
            bucket=self.name,
            rule={"object_ownership": "BucketOwnerEnforced"},
            opts=child,
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
        aws.s3.BucketLifecycleConfiguration(
            f"{name}-lifecycle",
            bucket=self.name,
            rules=[tidy],
            # S3 counts noncurrent versions only in a bucket that already has versioning.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[versioning]),
        )
        policy = aws.s3.BucketPolicy(
            f"{name}-policy",
            bucket=self.name,
            policy=resource_policies.bucket(names.s3_arn(bucket_name), *statements),
            # S3 refuses two bucket-level changes at the same moment.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[public_access_block]),
        )
        if safety.log_bucket is not None:
            aws.s3.BucketLogging(
                f"{name}-logging",
                bucket=self.name,
                target_bucket=safety.log_bucket,
                target_prefix=f"{bucket_name}/",
                opts=child,
            )
        # The name as the policy has it: who uses this one waits for the policy.
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
        # One call to KMS for many objects, at a fraction of the cost.
        "bucket_key_enabled": True,
    }
