"""Resource-based policies: of buckets, keys, topics and the image repository.

Owns the access of services and of other accounts. Pure: names in, documents out. Must not: register
resources.
"""

from collections.abc import Sequence

from components.naming import REPORT_PREFIX, TRAINING_PREFIX, Names
from components.policies import Statement, document

# The services that publish to the project's topics.
ALARMS = "cloudwatch.amazonaws.com"
RULES = "events.amazonaws.com"
PUBLISHERS = (ALARMS, RULES)
# The purpose in the name of the role of production's monitoring jobs.
MONITOR_JOB = "prd-monitor-job"


def bucket(bucket_arn: str, *statements: Statement) -> str:
    """Return a bucket policy that refuses requests without TLS, with further statements."""
    tls_only: Statement = {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [bucket_arn, f"{bucket_arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return document(tls_only, statements)


def receive_access_logs(names: Names, bucket_arn: str) -> Statement:
    """Allow S3 to deliver the access logs of this account's buckets."""
    return {
        "Sid": "AccessLogs",
        "Effect": "Allow",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": [f"{bucket_arn}/*"],
        "Condition": {"StringEquals": {"aws:SourceAccount": names.account}},
    }


def share_artifacts(names: Names, production: Names) -> list[Statement]:
    """Allow production in another account to read artifacts and to load trained models."""
    arn = names.s3_arn(names.artifact_bucket)
    delivery = _role(production, "prd-delivery")
    return [
        {
            "Sid": "ProductionDelivery",
            "Effect": "Allow",
            "Principal": delivery,
            "Action": ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"],
            "Resource": [f"{arn}/*"],
        },
        {
            "Sid": "ProductionDeliveryBucket",
            "Effect": "Allow",
            "Principal": delivery,
            "Action": ["s3:GetBucketAcl", "s3:GetBucketLocation", "s3:GetBucketVersioning"],
            "Resource": [arn],
        },
        {
            "Sid": "ProductionModels",
            "Effect": "Allow",
            "Principal": _role(production, "prd-execution"),
            "Action": ["s3:GetObject"],
            "Resource": [f"{arn}/{TRAINING_PREFIX}/*"],
        },
        {
            # The monitor compares with the model's baseline, which is a report.
            "Sid": "ProductionMonitor",
            "Effect": "Allow",
            **_possible_role(production, MONITOR_JOB),
            "Action": ["s3:GetObject"],
            "Resource": [f"{arn}/{prefix}/*" for prefix in (TRAINING_PREFIX, REPORT_PREFIX)],
        },
        {
            "Sid": "ProductionMonitorBucket",
            "Effect": "Allow",
            **_possible_role(production, MONITOR_JOB),
            "Action": ["s3:ListBucket"],
            "Resource": [arn],
        },
    ]


def image_repository(production: Names) -> str:
    """Return a repository policy that allows another account to pull the image.

    Its endpoints run it, and the jobs of its monitor.
    """
    pull = [
        "ecr:BatchCheckLayerAvailability",
        "ecr:BatchGetImage",
        "ecr:GetDownloadUrlForLayer",
    ]
    return document(
        {
            "Sid": "ProductionPulls",
            "Effect": "Allow",
            "Principal": _role(production, "prd-execution"),
            "Action": pull,
        },
        {
            "Sid": "MonitorPulls",
            "Effect": "Allow",
            **_possible_role(production, MONITOR_JOB),
            "Action": pull,
        },
    )


def key(names: Names, *, share_with: Names | None) -> str:
    """Return a key's policy.

    In the key's own account IAM policies decide. The services that publish to encrypted topics may
    use the key, and so may CloudWatch Logs for this account's groups, and production in another
    account.

    Args:
        names: names in the key's account.
        share_with: names in the account of a separate production, which reads artifacts that are
            encrypted with the key; None if production is in the same account.
    """
    statements: list[Statement] = [
        {
            # Without it, the account's IAM policies would not apply to the key, and the key's
            # policy could not be changed any more.
            "Sid": "EnableIamPolicies",
            "Effect": "Allow",
            "Principal": {"AWS": names.iam_arn("root")},
            "Action": "kms:*",
            "Resource": "*",
        },
        {
            # This follows AWS's pages on encrypted topics. They show no condition key that both
            # services are known to send.
            "Sid": "TopicPublishers",
            "Effect": "Allow",
            "Principal": {"Service": list(PUBLISHERS)},
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": "*",
        },
    ]
    statements.append(
        {
            # Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
            "Sid": "LogGroups",
            "Effect": "Allow",
            "Principal": {"Service": f"logs.{names.region}.amazonaws.com"},
            "Action": [
                "kms:Decrypt",
                "kms:DescribeKey",
                "kms:Encrypt",
                "kms:GenerateDataKey*",
                "kms:ReEncrypt*",
            ],
            "Resource": "*",
            "Condition": {
                "ArnLike": {"kms:EncryptionContext:aws:logs:arn": names.arn("logs", "log-group:*")}
            },
        }
    )
    if share_with is not None:
        roles = [share_with.role_arn(r) for r in _SHARED_ROLES]
        by_s3 = {"StringEquals": {"kms:ViaService": f"s3.{names.region}.amazonaws.com"}}
        monitor = _possible_role(share_with, MONITOR_JOB)
        statements += [
            {
                "Sid": "ProductionReadsArtifacts",
                "Effect": "Allow",
                "Principal": {"AWS": roles},
                "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
                "Resource": "*",
                "Condition": by_s3,
            },
            {
                "Sid": "ProductionMonitorReadsReports",
                "Effect": "Allow",
                "Principal": monitor["Principal"],
                "Action": ["kms:Decrypt"],
                "Resource": "*",
                "Condition": {**monitor["Condition"], **by_s3},
            },
        ]
    return document(statements)


def topic(names: Names, topic_arn: str, publishers: Sequence[str]) -> str:
    """Return a topic's policy, which allows services to publish.

    Alarms must belong to this account. EventBridge rules have no such condition: it is not known
    whether EventBridge sends the rule's ARN to SNS. AWS's own example has no condition either, and
    with one, messages could be lost.
    Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
    """
    own_alarms = {"ArnLike": {"aws:SourceArn": names.arn("cloudwatch", "alarm:*")}}
    return document(
        [
            {
                "Effect": "Allow",
                "Principal": {"Service": publisher},
                "Action": "sns:Publish",
                "Resource": topic_arn,
                **({"Condition": own_alarms} if publisher == ALARMS else {}),
            }
            for publisher in publishers
        ]
    )


_SHARED_ROLES = ("prd-delivery", "prd-execution")


def _role(names: Names, purpose: str) -> dict[str, str]:
    return {"AWS": names.role_arn(purpose)}


def _possible_role(names: Names, purpose: str) -> Statement:
    """Return principal and condition for a role that may not exist.

    S3, ECR and KMS refuse a policy that names a role which does not exist, and production has this
    one only if its endpoint is monitored. So the account is the principal, and a condition names
    the role.
    """
    return {
        "Principal": {"AWS": names.iam_arn("root")},
        "Condition": {"ArnEquals": {"aws:PrincipalArn": names.role_arn(purpose)}},
    }
