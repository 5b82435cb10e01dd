"""DataProtection: the stack's KMS key and access log bucket, and the security of its buckets."""

from collections.abc import Mapping

import pulumi
import pulumi_aws as aws

from components import resource_policies
from components.naming import Names
from components.private_bucket import BucketSafety, PrivateBucket
from components.settings import Encryption, SafetySettings

DELETION_WINDOW_DAYS = 30


class DataProtection(pulumi.ComponentResource):
    """The encryption, access logs and deletion protection of a stack's buckets and topics.

    Attributes:
        key_arn: the stack's KMS key; None if services encrypt with their own keys.
        buckets: the security settings for each bucket of the stack.
    """

    def __init__(
        self,
        name: str,
        names: Names,
        environment: str,
        settings: SafetySettings,
        *,
        tags: Mapping[str, str],
        share_with: Names | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Create the key and the log bucket, if the settings enable them.

        Args:
            name: stem of the logical names.
            names: the account's names.
            environment: ``dev`` or ``prd``.
            settings: encryption, access logs, deletion protection.
            tags: tags for each resource.
            share_with: names in the account of a separate production, which reads this stack's
                artifacts; None if production is in the same account.
            opts: the component's resource options.
        """
        super().__init__("mlops:index:DataProtection", name, None, opts)
        self.key_arn: pulumi.Output[str] | None = None
        if settings.encryption is Encryption.KMS:
            key = aws.kms.Key(
                f"{name}-key",
                description=f"Data of {names.model}, {environment}",
                enable_key_rotation=True,
                deletion_window_in_days=DELETION_WINDOW_DAYS,
                policy=resource_policies.key(names, share_with=share_with),
                tags=dict(tags),
                # Data that stays after the stack is unreadable without its key.
                opts=pulumi.ResourceOptions(
                    parent=self,
                    protect=settings.protect or None,
                    retain_on_delete=settings.protect or None,
                ),
            )
            aws.kms.Alias(
                f"{name}-key-alias",
                name=names.key_alias(environment),
                target_key_id=key.key_id,
                opts=pulumi.ResourceOptions(parent=self, retain_on_delete=settings.protect or None),
            )
            self.key_arn = key.arn
        log_bucket = None
        if settings.access_logs:
            log_bucket_name = names.bucket(f"logs-{environment}")
            log_bucket = PrivateBucket(
                f"{name}-access-logs",
                log_bucket_name,
                names,
                # S3 delivers access logs only to buckets that are encrypted with S3's own keys.
                safety=BucketSafety(protect=settings.protect),
                tags=tags,
                expire_days=365,
                statements=[
                    resource_policies.receive_access_logs(names, names.s3_arn(log_bucket_name))
                ],
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.buckets = BucketSafety(
            key_arn=self.key_arn,
            # S3 refuses a log bucket whose policy does not allow it to write yet.
            log_bucket=log_bucket.name_with_policy if log_bucket else None,
            protect=settings.protect,
        )
        self.register_outputs({"key_arn": self.key_arn})
