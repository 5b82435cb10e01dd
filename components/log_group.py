"""A log group of CloudWatch; every log group of the project is created by this function."""

from collections.abc import Mapping

import pulumi
import pulumi_aws as aws


def log_group(
    name: str,
    group: str,
    *,
    retention_days: int,
    key_arn: pulumi.Input[str] | None,
    tags: Mapping[str, str],
    parent: pulumi.Resource,
) -> aws.cloudwatch.LogGroup:
    """Create a log group before the service that would create it without retention and key.

    Args:
        name: logical name.
        group: the group's name, for example ``/aws/lambda/FUNCTION``.
        retention_days: days after which events expire; one of ``settings.RETENTION_DAYS``.
        key_arn: KMS key of the group; None for CloudWatch's own encryption.
        tags: the group's tags.
        parent: the component that the group belongs to.
    """
    return aws.cloudwatch.LogGroup(
        name,
        name=group,
        retention_in_days=retention_days,
        kms_key_id=key_arn,
        tags=dict(tags),
        opts=pulumi.ResourceOptions(parent=parent),
    )
