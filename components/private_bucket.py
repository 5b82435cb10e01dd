"""PrivateBucket: an S3 bucket with every safeguard that this project asks of one."""

from collections.abc import Mapping

import pulumi
import pulumi_aws as aws

from components import policies
from components.naming import Names


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
        tags: Mapping[str, str],
        force_destroy: bool,
        noncurrent_version_days: int = 90,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("mlops:index:PrivateBucket", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.bucket = aws.s3.Bucket(
            name, bucket=bucket_name, force_destroy=force_destroy, tags=dict(tags), opts=child
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
            rules=[{"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}],
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
        aws.s3.BucketLifecycleConfiguration(
            f"{name}-lifecycle",
            bucket=self.name,
            rules=[
                {
                    "id": "tidy",
                    "status": "Enabled",
                    "filter": {"prefix": ""},
                    "noncurrent_version_expiration": {"noncurrent_days": noncurrent_version_days},
                    "abort_incomplete_multipart_upload": {"days_after_initiation": 7},
                }
            ],
            # S3 counts noncurrent versions only in a bucket that already has versioning.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[versioning]),
        )
        policy = aws.s3.BucketPolicy(
            f"{name}-policy",
            bucket=self.name,
            policy=policies.tls_only(names.s3_arn(bucket_name)),
            # S3 refuses two bucket-level changes at the same moment.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[public_access_block]),
        )
        self.ready: list[pulumi.Resource] = [versioning, policy]
        self.register_outputs({"name": self.name, "arn": self.arn})
